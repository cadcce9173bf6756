//! A notice: something about a key, or about all requests, that somebody should look at.

use super::clock::Timestamp;
use super::ids::{ApiKeyId, NoticeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Somebody who held a key's secret reported it, and the key is revoked.
    Reported,
    /// A key was used from a network that it was never used from before.
    NewNetwork,
    /// A key was used after nobody had used it for long.
    Woke,
    /// Many requests came without a valid credential.
    Refused,
    /// Many requests met a limit.
    RateLimited,
}

impl NoticeKind {
    pub const ALL: [Self; 5] = [Self::Reported, Self::NewNetwork, Self::Woke, Self::Refused, Self::RateLimited];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::NewNetwork => "new_network",
            Self::Woke => "woke",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The audit event that its beginning is.
    pub const fn action(self) -> &'static str {
        match self {
            Self::Reported => "key.revoked",
            Self::NewNetwork => "key.anomaly.new_network",
            Self::Woke => "key.anomaly.dormant",
            Self::Refused => "requests.anomaly.refused",
            Self::RateLimited => "requests.anomaly.rate_limited",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: NoticeId,
    pub kind: NoticeKind,
    /// None: it concerns all requests.
    pub key_id: Option<ApiKeyId>,
    /// The network, the time of the use before, the address it was reported from: what the kind tells of.
    pub detail: String,
    /// How often it happened since it stands; for a spike, how many requests were part of it.
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub dismissed_at: Option<Timestamp>,
}
