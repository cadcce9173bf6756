//! A link with which somebody sets their own password: an invitation, or a new password in place of the old.

use std::time::Duration;

use super::clock::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// For someone who has no password yet.
    Invitation,
    /// For someone who has one, and will have another.
    Reset,
}

impl LinkKind {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "invitation" => Some(Self::Invitation),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reset => "reset",
        }
    }

    /// How long such a link works.
    pub const fn life(self) -> Duration {
        match self {
            Self::Invitation => Duration::from_secs(7 * 86_400),
            Self::Reset => Duration::from_secs(86_400),
        }
    }
}

/// A link that was given and not used yet. Past its end it does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub kind: LinkKind,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
