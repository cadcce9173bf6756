//! The request log on its way to the database: which requests are kept, and who looks on while they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::model::clock::Timestamp;
use crate::model::request::{LoggedRequest, RequestFilter};
use crate::model::usage::Outcome;

/// Requests that are kept in one second: so many that went well, and as many that did not.
pub const PER_SECOND: u64 = 50;
/// Rows that wait for a disk that takes none.
const MOST_WAITING: usize = 10_000;
/// What a slow reader of the live tail may be behind by before it misses some.
const BEHIND: usize = 256;

#[derive(Debug)]
pub struct RequestLog {
    /// The share of requests that is kept, from 0 to 1.
    sample: f64,
    seen: AtomicU64,
    well: Budget,
    badly: Budget,
    waiting: Mutex<VecDeque<Arc<LoggedRequest>>>,
    live: broadcast::Sender<Arc<LoggedRequest>>,
}

impl RequestLog {
    pub fn new(sample: f64) -> Self {
        Self {
            sample,
            seen: AtomicU64::new(0),
            well: Budget::default(),
            badly: Budget::default(),
            waiting: Mutex::default(),
            live: broadcast::Sender::new(BEHIND),
        }
    }

    /// Whether a request is to be kept. Failures have a budget of their own, so that they are not lost among the rest.
    pub fn wants(&self, outcome: Outcome, at: Timestamp) -> bool {
        let budget = if outcome == Outcome::Success { &self.well } else { &self.badly };
        budget.has(at.seconds()) && self.is_sampled() && budget.take(at.seconds())
    }

    fn is_sampled(&self) -> bool {
        if self.sample >= 1.0 || self.sample <= 0.0 {
            return self.sample > 0.0;
        }
        let seen = self.seen.fetch_add(1, Relaxed) as f64;
        (seen * self.sample).floor() != ((seen + 1.0) * self.sample).floor()
    }

    pub fn add(&self, request: LoggedRequest) {
        let request = Arc::new(request);
        if self.live.receiver_count() > 0 {
            // Nobody listens any more: then nobody misses it.
            self.live.send(request.clone()).ok();
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST_WAITING {
            waiting.push_back(request);
        }
    }

    /// Every request that is kept from here on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<LoggedRequest>> {
        self.live.subscribe()
    }

    pub fn watchers(&self) -> usize {
        self.live.receiver_count()
    }

    /// What waits to be written, oldest first.
    pub fn take(&self) -> Vec<Arc<LoggedRequest>> {
        self.waiting.lock().drain(..).collect()
    }

    /// These could not be written: the next call of [`RequestLog::take`] gives them again.
    pub fn not_written(&self, requests: Vec<Arc<LoggedRequest>>) {
        let mut waiting = self.waiting.lock();
        for request in requests.into_iter().rev() {
            waiting.push_front(request);
        }
        waiting.truncate(MOST_WAITING);
    }

    /// The latest that waits to be written and matches.
    pub fn find_waiting(&self, filter: &RequestFilter) -> Option<Arc<LoggedRequest>> {
        self.waiting.lock().iter().rev().find(|request| filter.matches(request)).cloned()
    }
}

/// So many in one second. Once it is used up a request only reads it, and workers do not slow one another.
#[derive(Debug, Default)]
struct Budget(AtomicU64);

impl Budget {
    fn has(&self, second: i64) -> bool {
        let (at, used) = Self::read(self.0.load(Relaxed));
        at != second as u64 & SECONDS || used < PER_SECOND
    }

    fn take(&self, second: i64) -> bool {
        let second = second as u64 & SECONDS;
        let taken = self.0.fetch_update(Relaxed, Relaxed, |seen| match Self::read(seen) {
            (at, _) if at != second => Some(second << 16 | 1),
            (_, used) if used < PER_SECOND => Some(seen + 1),
            _ => None,
        });
        taken.is_ok()
    }

    /// The second, and what was used in it.
    const fn read(seen: u64) -> (u64, u64) {
        (seen >> 16, seen & 0xffff)
    }
}

/// The bits of a second that a budget remembers.
const SECONDS: u64 = u64::MAX >> 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn each_second_has_its_budget_and_failures_their_own() {
        let log = RequestLog::new(1.0);
        let kept = |outcome, second, of: usize| (0..of).filter(|_| log.wants(outcome, at(second))).count() as u64;
        assert_eq!(kept(Outcome::Success, 1, 200), PER_SECOND);
        assert_eq!(kept(Outcome::RateLimited, 1, 200), PER_SECOND);
        assert_eq!(kept(Outcome::Success, 2, 20), 20);
    }

    #[test]
    fn a_share_is_kept_evenly() {
        let log = RequestLog::new(0.25);
        assert_eq!((0..100).filter(|n| log.wants(Outcome::Success, at(*n))).count(), 25);
        assert!(!RequestLog::new(0.0).wants(Outcome::ServerError, at(1)));
    }
}
