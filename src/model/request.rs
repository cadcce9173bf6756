//! A request to the API, as the request log keeps it. Neither a header that could be a secret nor a query is part of it.

use std::net::IpAddr;

use super::clock::Timestamp;
use super::ids::{AccountId, ApiKeyId};
use super::usage::Outcome;

#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRequest {
    /// Its place in the log; 0 until it is written.
    pub seq: i64,
    pub at: Timestamp,
    /// The client's own, if it sent one: two requests may share it.
    pub request_id: String,
    pub method: String,
    /// Without the query, and with secrets blotted out.
    pub path: String,
    /// The pattern of the route; empty for a path that does not exist.
    pub route: String,
    pub status: u16,
    pub duration_us: u64,
    /// The stable code of the error that was answered.
    pub error: Option<String>,
    pub key_id: Option<ApiKeyId>,
    pub account_id: Option<AccountId>,
    pub ip: IpAddr,
    pub user_agent: String,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    pub limit: Option<LimitState>,
}

/// What the answer said of the limits: the window that `X-RateLimit-*` described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitState {
    pub limit: u64,
    pub remaining: u64,
    pub seconds: u32,
}

impl LoggedRequest {
    pub const fn outcome(&self) -> Outcome {
        Outcome::of(self.status)
    }
}

/// What the request log is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    pub outcome: Option<Outcome>,
    pub key_id: Option<ApiKeyId>,
    /// The beginning of the path.
    pub path: Option<String>,
    pub request_id: Option<String>,
}

impl RequestFilter {
    pub fn matches(&self, request: &LoggedRequest) -> bool {
        self.outcome.is_none_or(|outcome| outcome == request.outcome())
            && (self.key_id.is_none() || self.key_id == request.key_id)
            && self.path.as_ref().is_none_or(|path| request.path.starts_with(path.as_str()))
            && self.request_id.as_ref().is_none_or(|id| *id == request.request_id)
    }
}
