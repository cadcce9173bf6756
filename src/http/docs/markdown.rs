//! The pages of the documentation are written in Markdown; this makes HTML of them. Blocks of code that follow one
//! another become tabs, a language each. Nothing in the text is taken for HTML.

use askama::Template;
use askama::filters::Safe;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A piece of HTML that was made here, and is not escaped again.
pub type Html = Safe<String>;

/// A block of code with the words of its tab.
struct Block {
    /// Tells the blocks of a page apart.
    id: String,
    lang: String,
    words: String,
    /// What a reader is told of it.
    label: String,
    code: String,
}

/// What scrolls by itself is a region, and each region of a page has a name of its own.
#[derive(Default)]
struct Regions {
    heading: String,
    given: Vec<String>,
}

impl Regions {
    fn label(&mut self, what: &str) -> String {
        let plain = if self.heading.is_empty() { what.to_owned() } else { format!("{what}, {}", self.heading) };
        let mut label = plain.clone();
        for n in 2.. {
            if !self.given.contains(&label) {
                break;
            }
            label = format!("{plain} {n}");
        }
        self.given.push(label.clone());
        label
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[derive(Template)]
#[template(path = "docs/code.html")]
struct CodeBlocks<'a> {
    blocks: &'a [Block],
    /// Tells the groups of a page apart.
    n: usize,
}

pub fn render(markdown: &str) -> Html {
    let mut made = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    let mut groups = 0;
    let mut regions = Regions::default();
    let mut events = Parser::new_ext(markdown, Options::ENABLE_TABLES).peekable();
    while let Some(event) = events.next() {
        if let Event::Start(Tag::CodeBlock(kind)) = &event {
            let language = match kind {
                CodeBlockKind::Fenced(language) => language.to_string(),
                CodeBlockKind::Indented => String::new(),
            };
            let code = text_until(&mut events, TagEnd::CodeBlock);
            let mut block = block(&language, code.trim_end(), format!("code-{groups}-{}", blocks.len()));
            block.label = regions.label(&block.words);
            blocks.push(block);
            if !matches!(events.peek(), Some(Event::Start(Tag::CodeBlock(_)))) {
                groups += 1;
                made.push(Event::Html(CodeBlocks { blocks: &blocks, n: groups }.render().unwrap_or_default().into()));
                blocks.clear();
            }
            continue;
        }
        match event {
            Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                let inner = inner_of(&mut events, level);
                let words: String = inner.iter().filter_map(words_of).collect();
                regions.heading = words.clone();
                let id = slug(&words).into();
                made.push(Event::Start(Tag::Heading { level, id: Some(id), classes, attrs }));
                made.extend(inner);
                made.push(Event::End(TagEnd::Heading(level)));
            }
            // A table wider than a phone scrolls by itself.
            Event::Start(Tag::Table(columns)) => {
                let label = escaped(&regions.label("Table"));
                made.push(Event::Html(
                    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">").into(),
                ));
                made.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                made.push(Event::End(TagEnd::Table));
                made.push(Event::Html("</div>".into()));
            }
            Event::Html(text) if text.trim_start().starts_with("<!--") => {}
            Event::Html(text) | Event::InlineHtml(text) => made.push(Event::Text(text)),
            other => made.push(other),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, made.into_iter());
    Safe(out)
}

fn text_until<'a>(events: &mut impl Iterator<Item = Event<'a>>, end: TagEnd) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::End(ended) if ended == end => break,
            Event::Text(part) => text.push_str(&part),
            _ => {}
        }
    }
    text
}

fn inner_of<'a>(events: &mut impl Iterator<Item = Event<'a>>, level: HeadingLevel) -> Vec<Event<'a>> {
    events.take_while(|event| *event != Event::End(TagEnd::Heading(level))).collect()
}

fn words_of(event: &Event) -> Option<String> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text.to_string()),
        _ => None,
    }
}

fn slug(words: &str) -> String {
    let mut slug = String::new();
    for c in words.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches('-').into()
}

/// `python`, or `json 200`: what is written, and what the tab says where that is not the language.
fn block(info: &str, code: &str, id: String) -> Block {
    let (lang, label) = info.split_once(' ').unwrap_or((info, ""));
    let words = match lang {
        _ if !label.is_empty() => label,
        "bash" | "sh" | "curl" => "cURL",
        "javascript" | "js" => "JavaScript",
        "python" => "Python",
        "go" => "Go",
        "rust" => "Rust",
        "php" => "PHP",
        "toml" => "TOML",
        "powershell" => "PowerShell",
        "json" => "JSON",
        "http" => "HTTP",
        "" => "Text",
        other => other,
    };
    let lang = if label.is_empty() { lang } else { label };
    Block { id, lang: slug(lang), words: words.into(), label: String::new(), code: code.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_in_the_text_is_shown_and_not_taken() {
        let made = render("A <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n`<b>`").0;
        assert!(!made.contains("<script") && !made.contains("<img") && !made.contains("<b>"), "{made}");
    }

    #[test]
    fn code_in_several_languages_becomes_tabs_and_one_block_does_not() {
        let made = render("```python\nx < 1\n```\n\n```go\ny\n```\n\ntext\n\n```json\n{}\n```").0;
        assert_eq!(made.matches("type=\"radio\"").count(), 2, "{made}");
        assert!(made.contains("x &#60; 1") || made.contains("x &lt; 1"), "{made}");
    }

    #[test]
    fn headings_can_be_linked_to() {
        let made = render("## The `Retry-After` header\n\ntext");
        assert!(made.0.contains("<h2 id=\"the-retry-after-header\">"), "{}", made.0);
    }
}
