//! How a server is: whether it can do its work, and what anybody may know of that.

use std::time::Duration;

use super::clock::Timestamp;

/// Whether the server can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub database: bool,
    pub disk: bool,
    pub draining: bool,
}

impl Readiness {
    pub fn is_ready(self) -> bool {
        self.database && self.disk && !self.draining
    }
}

/// What anybody may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub at: Timestamp,
    pub since: Timestamp,
    pub ready: Readiness,
    /// Requests wait for their turn.
    pub is_busy: bool,
    /// None: not known now.
    pub backup: Option<Age>,
    /// The schedule can make no backup.
    pub backups_fail: bool,
    /// The share of the requests of 24 hours that failed on our side; none without a request, or not known now.
    pub error_rate: Option<f64>,
    /// Webhook deliveries that are still to be sent; none: not known now.
    pub webhooks_waiting: Option<u64>,
}

/// How old the newest backup is, and whether that is older than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    None,
    Fresh(Duration),
    Old(Duration),
}
