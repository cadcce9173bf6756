//! What a dialect says of keys and windows. How it looks on the wire is in `http::api::dialect`.

use super::tier::{Tier, Window, Windows};

/// The set of conventions in which the API answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DialectName {
    #[default]
    Native,
}

impl DialectName {
    pub const ALL: &[Self] = &[Self::Native];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
        }
    }

    /// What a new key's secret begins with, unless configured otherwise.
    pub const fn key_prefix(self) -> &'static str {
        match self {
            Self::Native => "kr_",
        }
    }

    /// The windows of an account that has no tier and none of its own.
    pub fn default_windows(self) -> Windows {
        match self {
            Self::Native => windows(&[Window::new(50, 1), Window::new(1_000, 3_600)]),
        }
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
