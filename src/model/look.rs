//! How a person wants the pages to be: kept with the user, and in a cookie for the pages before the sign-in.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub theme: &'static str,
    /// Whether single keys lead to pages.
    pub shortcuts: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { theme: "system", shortcuts: true }
    }
}

impl Look {
    pub const COOKIE: &str = "look";
    pub const THEMES: [(&str, &str); 3] = [("system", "As the system"), ("light", "Light"), ("dark", "Dark")];

    pub fn new(theme: &str, shortcuts: bool) -> Self {
        let theme = Self::THEMES.iter().find(|known| known.0 == theme).map_or("system", |known| known.0);
        Self { theme, shortcuts }
    }

    pub fn parse(cookie: &str) -> Self {
        let (theme, keys) = cookie.split_once('.').unwrap_or((cookie, "keys"));
        Self::new(theme, keys != "nokeys")
    }

    pub fn to_cookie(&self) -> String {
        format!("{}.{}", self.theme, if self.shortcuts { "keys" } else { "nokeys" })
    }
}
