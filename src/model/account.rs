//! An account: a team or customer. It owns users and keys, has one tier, and is what requests are counted against.

use super::api_key::Metadata;
use super::clock::Timestamp;
use super::error::Problem;
use super::ids::AccountId;
use super::name::{Name, is_invisible};
use super::tier::Windows;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    /// None: the dialect's default windows.
    pub tier: Option<String>,
    /// Windows of its own win over those of its tier.
    pub windows: Option<Windows>,
    /// Why it has windows of its own. Those of an older database have no reason.
    pub given: Option<Given>,
    pub metadata: Metadata,
    pub status: AccountStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: i64,
}

/// Who gave an account its own windows, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub reason: Reason,
    /// An email address, or `command line`.
    pub by: String,
    pub at: Timestamp,
}

/// Why something was done, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    pub const MAX_CHARS: usize = 200;

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Problem::new("required", "Say why this account has limits of its own."));
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(Problem::new("too_long", format!("A reason has at most {} characters.", Self::MAX_CHARS)));
        }
        if text.chars().any(is_invisible) {
            return Err(Problem::new("invalid_characters", "A reason has no line breaks or control characters."));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    Suspended,
}

impl AccountStatus {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            _ => Err(Problem::new("invalid_choice", "`status` must be `active` or `suspended`.")),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

#[derive(Clone, Debug)]
pub struct NewAccount {
    pub name: Name,
    pub tier: Option<String>,
}

/// Where an account's windows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tier, by its name.
    Tier(String),
    /// The dialect's.
    Default,
    /// Its own, which win over the others.
    Own,
}

/// The fields to change; the outer `None` keeps, the inner one takes away.
#[derive(Clone, Debug, Default)]
pub struct AccountChanges {
    pub name: Option<Name>,
    pub tier: Option<Option<String>>,
    pub windows: Option<Option<Windows>>,
    /// Why it is given windows of its own: those are not given without.
    pub reason: Option<Reason>,
    pub metadata: Option<Metadata>,
    pub status: Option<AccountStatus>,
}
