//! An account: a team or customer. It owns users and keys, has one tier, and is what requests are counted against.

use super::clock::Timestamp;
use super::error::Problem;
use super::ids::AccountId;
use super::name::Name;
use super::tier::Windows;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    /// None: the dialect's default windows.
    pub tier: Option<String>,
    /// Windows of its own win over those of its tier.
    pub windows: Option<Windows>,
    pub status: AccountStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: i64,
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

/// The fields to change; the outer `None` keeps, the inner one takes away.
#[derive(Clone, Debug, Default)]
pub struct AccountChanges {
    pub name: Option<Name>,
    pub tier: Option<Option<String>>,
    pub windows: Option<Option<Windows>>,
    pub status: Option<AccountStatus>,
}
