//! The lists of keys that the dashboard offers. Each is one that an index serves, however many keys there are.

use super::ids::ApiKeyId;
use super::language::msg;
use super::page::Order;

/// Which keys a list shows, and with that in what order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyView {
    #[default]
    All,
    Active,
    /// Those that work and that nobody used for 30 days, the longest first.
    Unused,
    /// Those that work and end within 14 days, the first to end first.
    Expiring,
    NoExpiry,
    /// Those with two secrets, the first old one to end first.
    Rotating,
    Disabled,
    /// The latest to end first.
    Expired,
    Revoked,
}

impl KeyView {
    pub const UNUSED_DAYS: u64 = 30;
    pub const EXPIRING_DAYS: u64 = 14;

    pub const ALL: &[Self] = &[
        Self::All,
        Self::Active,
        Self::Unused,
        Self::Expiring,
        Self::NoExpiry,
        Self::Rotating,
        Self::Disabled,
        Self::Expired,
        Self::Revoked,
    ];

    /// As addresses have it; the names of states are the API's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Active => "active",
            Self::Unused => "unused",
            Self::Expiring => "expiring",
            Self::NoExpiry => "no-expiry",
            Self::Rotating => "rotating",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|view| view.name() == text)
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::All => msg!("All"),
            Self::Active => msg!("Active"),
            Self::Unused => msg!("Unused 30 days"),
            Self::Expiring => msg!("Expiring"),
            Self::NoExpiry => msg!("No expiry"),
            Self::Rotating => msg!("Rotating"),
            Self::Disabled => msg!("Disabled"),
            Self::Expired => msg!("Expired"),
            Self::Revoked => msg!("Revoked"),
        }
    }
}

/// How all keys are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    #[default]
    Newest,
    Oldest,
    Name,
    NameBackwards,
}

impl KeySort {
    const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Name, Self::NameBackwards];

    /// As addresses have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "",
            Self::Oldest => "created_at",
            Self::Name => "name",
            Self::NameBackwards => "-name",
        }
    }

    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|sort| sort.name() == text).unwrap_or_default()
    }

    pub const fn order(self) -> Order {
        match self {
            Self::Newest | Self::NameBackwards => Order::NewestFirst,
            Self::Oldest | Self::Name => Order::OldestFirst,
        }
    }

    pub const fn is_by_name(self) -> bool {
        matches!(self, Self::Name | Self::NameBackwards)
    }
}

/// What somebody looks for among keys, told by how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySought {
    Id(ApiKeyId),
    /// The prefix, `…` and the last four characters of a secret, also of one that has been replaced.
    Hint(String),
    /// The beginning of the owner's email address.
    Owner(String),
    /// The beginning of the key's name.
    Name(String),
}

impl KeySought {
    pub fn parse(text: &str) -> Self {
        if let Some(id) = ApiKeyId::parse(&text.to_lowercase()) {
            return Self::Id(id);
        }
        if text.contains('…') || text.contains("...") {
            return Self::Hint(text.replace("...", "…"));
        }
        if text.contains('@') { Self::Owner(text.into()) } else { Self::Name(text.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_told_by_how_it_is_written() {
        assert_eq!(KeySought::parse("kr_...9f2c"), KeySought::Hint("kr_…9f2c".into()));
        assert_eq!(KeySought::parse("ada@"), KeySought::Owner("ada@".into()));
        assert_eq!(KeySought::parse("billing"), KeySought::Name("billing".into()));
        let id = ApiKeyId::new();
        assert_eq!(KeySought::parse(&id.to_string().to_uppercase()), KeySought::Id(id));
    }

    #[test]
    fn every_view_is_found_by_its_name() {
        assert!(KeyView::ALL.iter().all(|&view| KeyView::parse(view.name()) == Some(view)));
    }
}
