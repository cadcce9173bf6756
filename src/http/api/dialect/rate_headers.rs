//! The limits on every answer, from the one decision.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use smallvec::SmallVec;

use crate::http::api::reply::put;
use crate::limits::{Decision, WindowState};
use crate::model::clock::Timestamp;

const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Which headers tell of the limits. On a refusal all of them tell of the window that refused.
#[derive(Clone, Copy, Debug)]
pub struct RateHeaders {
    /// `X-RateLimit-*` for the longest window, and how its reset is written; none: without them.
    pub longest: Option<ResetAs>,
    /// `RateLimit-Limit` for the tightest window (draft-ietf-httpapi-ratelimit-headers-06).
    pub limit: bool,
    /// `RateLimit-Remaining` and `RateLimit-Reset` for the tightest window, the reset in seconds.
    pub left: bool,
    /// `RateLimit-Policy` for all windows.
    pub policy: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum ResetAs {
    UnixTime,
    Seconds,
}

impl RateHeaders {
    pub fn write(self, headers: &mut HeaderMap, decision: &Decision, now: Timestamp) {
        let refused = decision.refused_by();
        let mut values = Values::default();
        if let Some((reset_as, quota)) = self.longest.zip(refused.or_else(|| decision.longest())) {
            values.number(X_LIMIT, quota.limit);
            values.number(X_REMAINING, quota.remaining);
            values.number(
                X_RESET,
                match reset_as {
                    ResetAs::UnixTime => unix_reset(quota, now),
                    ResetAs::Seconds => quota.reset_seconds(),
                },
            );
        }
        if let Some(tightest) = refused.or_else(|| decision.tightest()) {
            if self.limit {
                values.number(LIMIT, tightest.limit);
            }
            if self.left {
                values.number(REMAINING, tightest.remaining);
                values.number(RESET, tightest.reset_seconds());
            }
        }
        if self.policy && !decision.windows().is_empty() {
            values.policy(decision.windows());
        }
        values.insert(headers);
    }
}

/// The values of an answer's headers, written into one text that they share: each by itself would be an allocation.
struct Values {
    text: Vec<u8>,
    ends: SmallVec<[(HeaderName, usize); 8]>,
}

impl Default for Values {
    fn default() -> Self {
        Self { text: Vec::with_capacity(128), ends: SmallVec::new() }
    }
}

impl Values {
    fn number(&mut self, name: HeaderName, number: u64) {
        self.digits(number);
        self.ends.push((name, self.text.len()));
    }

    /// `50;w=1, 1000;w=3600`
    fn policy(&mut self, windows: &[WindowState]) {
        for (n, window) in windows.iter().enumerate() {
            if n > 0 {
                self.text.extend_from_slice(b", ");
            }
            self.digits(window.limit);
            self.text.extend_from_slice(b";w=");
            self.digits(window.seconds.into());
        }
        self.ends.push((POLICY, self.text.len()));
    }

    fn digits(&mut self, number: u64) {
        self.text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn insert(self, headers: &mut HeaderMap) {
        let (text, mut from) = (Bytes::from(self.text), 0);
        for (name, end) in self.ends {
            // Digits and punctuation: always a value.
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(from..end)) {
                put(headers, name, value);
            }
            from = end;
        }
    }
}

fn unix_reset(window: &WindowState, now: Timestamp) -> u64 {
    let at = now.saturating_add(window.reset);
    // Rounded up, so that waiting until then is enough.
    at.millis().max(0).unsigned_abs().div_ceil(1000)
}
