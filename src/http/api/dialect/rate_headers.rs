//! The limits on every answer, from the one decision.

use std::fmt::Write;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

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
        if let Some((reset_as, quota)) = self.longest.zip(refused.or_else(|| decision.longest())) {
            headers.insert(X_LIMIT, number(quota.limit));
            headers.insert(X_REMAINING, number(quota.remaining));
            headers.insert(
                X_RESET,
                number(match reset_as {
                    ResetAs::UnixTime => unix_reset(quota, now),
                    ResetAs::Seconds => quota.reset_seconds(),
                }),
            );
        }
        if let Some(tightest) = refused.or_else(|| decision.tightest()) {
            if self.limit {
                headers.insert(LIMIT, number(tightest.limit));
            }
            if self.left {
                headers.insert(REMAINING, number(tightest.remaining));
                headers.insert(RESET, number(tightest.reset_seconds()));
            }
        }
        if let Some(policy) = self.policy.then(|| policy(decision.windows())).flatten() {
            headers.insert(POLICY, policy);
        }
    }
}

fn number(n: u64) -> HeaderValue {
    HeaderValue::from(n)
}

fn unix_reset(window: &WindowState, now: Timestamp) -> u64 {
    let at = now.saturating_add(window.reset);
    // Rounded up, so that waiting until then is enough.
    at.millis().max(0).unsigned_abs().div_ceil(1000)
}

/// `50;w=1, 1000;w=3600`
fn policy(windows: &[WindowState]) -> Option<HeaderValue> {
    let mut text = String::with_capacity(32);
    for (n, window) in windows.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        write!(text, "{comma}{};w={}", window.limit, window.seconds).ok()?;
    }
    HeaderValue::from_str(&text).ok().filter(|_| !windows.is_empty())
}
