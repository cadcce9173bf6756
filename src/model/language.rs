//! The languages that the pages speak. What each says is in `src/http/words/`.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    En,
    De,
    /// English, stretched and accented: what is not translated stands out. For tests.
    #[cfg(debug_assertions)]
    Pseudo,
}

impl Language {
    /// Those that somebody can choose.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// As `lang` and `Accept-Language` say it.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            #[cfg(debug_assertions)]
            Self::Pseudo => "en-XA",
        }
    }

    /// By its own speakers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
            #[cfg(debug_assertions)]
            Self::Pseudo => "Pseudo",
        }
    }

    /// None that anybody speaks.
    pub const fn is_made_up(self) -> bool {
        #[cfg(debug_assertions)]
        if matches!(self, Self::Pseudo) {
            return true;
        }
        false
    }

    /// The one that a tag names, with or without a region.
    pub fn parse(tag: &str) -> Option<Self> {
        #[cfg(debug_assertions)]
        if tag == Self::Pseudo.tag() {
            return Some(Self::Pseudo);
        }
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }
}

/// Marks words that are translated where they are shown, so that the catalogue is held against them.
macro_rules! msg {
    ($text:literal) => {
        $text
    };
}
pub(crate) use msg;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_does_not_matter_and_an_unknown_language_is_none() {
        assert_eq!(Language::parse("de-AT"), Some(Language::De));
        assert_eq!(Language::parse("EN"), Some(Language::En));
        assert_eq!([Language::parse("fr"), Language::parse(""), Language::parse("deu")], [None; 3]);
    }
}
