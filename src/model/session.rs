//! A session: someone signed in to the dashboard, in one browser.

use std::net::IpAddr;
use std::time::Duration;

use super::clock::Timestamp;
use super::ids::{SessionId, UserId};

/// A session ends this long after it was last used.
pub const IDLE: Duration = Duration::from_secs(60 * 60);
/// A session ends this long after it began, used or not.
pub const ABSOLUTE: Duration = Duration::from_secs(24 * 60 * 60);
/// This long after proving who one is, one may do what matters without being asked again.
pub const ELEVATED: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub elevated_until: Timestamp,
    pub ip: Option<IpAddr>,
    pub user_agent: String,
}

impl Session {
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.last_seen_at.saturating_add(IDLE)
    }

    pub fn is_elevated(&self, now: Timestamp) -> bool {
        now < self.elevated_until
    }
}
