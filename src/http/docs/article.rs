//! A page of the documentation: Markdown, from which the page for people is made.

pub struct Article {
    /// Below `/docs/`; empty for the first page.
    pub path: String,
    pub title: String,
    /// One line, for lists.
    pub summary: String,
    pub markdown: String,
}

impl Article {
    pub fn new(
        path: impl Into<String>,
        title: impl Into<String>,
        summary: impl Into<String>,
        markdown: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), title: title.into(), summary: summary.into(), markdown: markdown.into() }
    }

    pub fn href(&self) -> String {
        href(&self.path)
    }

    /// The page as a file of its own, links with the server's address.
    pub fn to_markdown(&self, base_url: &str) -> String {
        let text = self.markdown.replace("](/", &format!("]({base_url}/"));
        format!("# {}\n\n{}\n", self.title, text.trim_end())
    }
}

pub fn href(path: &str) -> String {
    if path.is_empty() { "/docs".into() } else { format!("/docs/{path}") }
}
