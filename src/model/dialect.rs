//! What a dialect says of keys, windows and tiers. How it looks on the wire is in `http::api::dialect`.

use super::language::msg;
use super::tier::{Tier, Window, Windows};

/// The set of conventions in which the API answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum DialectName {
    #[default]
    Native,
    Plain,
    Usertour,
    Resend,
    Mitwirken,
}

/// What the model needs to know of one; a row of the table below.
struct Facts {
    name: &'static str,
    words: &'static str,
    key_prefix: &'static str,
    default_windows: &'static [Window],
    tiers: &'static [(&'static str, Window)],
}

/// In the order of the names.
const FACTS: [Facts; 5] = [
    Facts {
        name: "native",
        words: msg!("Keyrack's own, for an API that is new: stable error codes, every limit header, lists as plain arrays."),
        key_prefix: "kr_",
        default_windows: &[Window::new(50, 1), Window::new(1_000, 3_600)],
        tiers: &[],
    },
    Facts {
        name: "plain",
        words: msg!(
            "Like a small API with as little as possible: an error is one text, two limit headers, lists as plain arrays."
        ),
        key_prefix: "kr_",
        default_windows: &[Window::new(100, 60), Window::new(5_000, 3_600)],
        tiers: &[],
    },
    Facts {
        name: "usertour",
        words: msg!(
            "Like the API of Usertour, which shows product tours: errors numbered E1001 with links, limits by plan and minute, lists with next and previous."
        ),
        key_prefix: "ak_",
        default_windows: &[Window::new(100, 60)],
        tiers: &[
            ("Hobby", Window::new(100, 60)),
            ("Starter", Window::new(500, 60)),
            ("Growth", Window::new(1_000, 60)),
            ("Business", Window::new(3_000, 60)),
        ],
    },
    Facts {
        name: "resend",
        words: msg!(
            "Like the API of Resend, which sends email: named errors, five requests a second, /api-keys for Resend's client libraries, a User-Agent required."
        ),
        key_prefix: "re_",
        default_windows: &[Window::new(5, 1)],
        tiers: &[],
    },
    Facts {
        name: "mitwirken",
        words: msg!(
            "Like the API of Mitwirken, a small one with tight limits: errors as in native, two requests a second, lists without pages."
        ),
        key_prefix: "mit_",
        default_windows: &[Window::new(2, 1)],
        tiers: &[],
    },
];

impl DialectName {
    pub const ALL: &[Self] = &[Self::Native, Self::Plain, Self::Usertour, Self::Resend, Self::Mitwirken];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text)
    }

    const fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// What sets it apart, for people.
    pub const fn words(self) -> &'static str {
        self.facts().words
    }

    /// What a new key's secret begins with, unless configured otherwise.
    pub const fn key_prefix(self) -> &'static str {
        self.facts().key_prefix
    }

    /// The windows of an account that has no tier and none of its own.
    pub fn default_windows(self) -> Windows {
        windows(self.facts().default_windows)
    }

    /// The tiers that it brings, besides those there are.
    pub fn tiers(self) -> impl Iterator<Item = Tier> {
        self.facts().tiers.iter().map(|&(name, window)| Tier { name: name.into(), windows: windows(&[window]) })
    }
}

/// The tiers that a new database starts with.
pub fn default_tiers() -> [Tier; 3] {
    [
        Tier { name: "Free".into(), windows: windows(&[Window::new(50, 1), Window::new(1_000, 3_600)]) },
        Tier { name: "Pro".into(), windows: windows(&[Window::new(200, 1), Window::new(10_000, 3_600)]) },
        Tier { name: "Enterprise".into(), windows: windows(&[Window::new(1_000, 1)]) },
    ]
}

fn windows(windows: &[Window]) -> Windows {
    Windows::new(windows.to_vec()).expect("the windows written above are in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_facts() {
        let names: Vec<_> = DialectName::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(names, ["native", "plain", "usertour", "resend", "mitwirken"]);
        assert!(DialectName::ALL.iter().all(|&name| DialectName::parse(name.as_str()) == Some(name)));
        assert_eq!(DialectName::Mitwirken.key_prefix(), "mit_");
        assert!(DialectName::ALL.iter().all(|name| !name.default_windows().is_empty()));
    }
}
