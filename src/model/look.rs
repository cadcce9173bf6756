//! How a person wants the pages to be: kept with the user, and in a cookie for the pages before the sign-in.

use super::language::{Language, msg};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub theme: &'static str,
    /// Whether single keys lead to pages.
    pub shortcuts: bool,
    /// None: as the browser asks.
    pub language: Option<Language>,
}

impl Default for Look {
    fn default() -> Self {
        Self { theme: "system", shortcuts: true, language: None }
    }
}

impl Look {
    pub const COOKIE: &str = "look";
    pub const THEMES: [(&str, &str); 3] = [("system", msg!("As the system")), ("light", msg!("Light")), ("dark", msg!("Dark"))];

    pub fn new(theme: &str, shortcuts: bool, language: &str) -> Self {
        let theme = Self::THEMES.iter().find(|known| known.0 == theme).map_or("system", |known| known.0);
        Self { theme, shortcuts, language: Language::parse(language) }
    }

    pub fn parse(cookie: &str) -> Self {
        let mut parts = cookie.split('.');
        let mut next = || parts.next().unwrap_or_default();
        Self::new(next(), next() != "nokeys", next())
    }

    pub fn to_cookie(&self) -> String {
        let shortcuts = if self.shortcuts { "keys" } else { "nokeys" };
        self.language.map_or_else(
            || format!("{}.{shortcuts}", self.theme),
            |language| format!("{}.{shortcuts}.{}", self.theme, language.tag()),
        )
    }

    /// The chosen language's tag; empty: as the browser asks.
    pub fn language_tag(&self) -> &'static str {
        self.language.map_or("", Language::tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read_from_its_cookie_and_from_an_older_one() {
        for look in [Look::default(), Look::new("dark", false, "de"), Look::new("light", true, "")] {
            assert_eq!(Look::parse(&look.to_cookie()), look);
        }
        assert_eq!(Look::parse("dark"), Look::new("dark", true, ""));
        assert_eq!(Look::parse("dark.nokeys"), Look::new("dark", false, ""));
        assert_eq!(Look::parse("nonsense.x.y.z"), Look::default());
    }
}
