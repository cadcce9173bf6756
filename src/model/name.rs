//! The names that people give to users, keys and accounts.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::error::Problem;

/// 1 to 100 characters in NFC, trimmed, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err(Problem::new("required", "Enter a name."));
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(Problem::new("too_long", format!("A name has at most {} characters.", Self::MAX_CHARS)));
        }
        if name.chars().any(is_invisible) {
            return Err(Problem::new("invalid_characters", "A name has no line breaks or control characters."));
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What names are compared and searched by.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text without regard to case and to the way its characters are composed.
pub fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfc().collect()
}

/// Control characters, and those that turn the direction of the text around them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse("  Ada  ").expect("a name").as_str(), "Ada");
        assert!(Name::parse(" ").is_err());
        assert!(Name::parse("a\nb").is_err());
        assert!(Name::parse("a\u{202e}b").is_err());
        assert!(Name::parse(&"é".repeat(100)).is_ok());
        assert!(Name::parse(&"é".repeat(101)).is_err());
    }

    #[test]
    fn folding_ignores_case_and_composition() {
        assert_eq!(fold("ÉCOLE"), fold("e\u{301}cole"));
    }
}
