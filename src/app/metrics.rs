//! What is counted for those who watch the server, since it started. Requests of the API are counted in `usage`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::usage::{SHARDS, shard_of_this_thread};
use crate::model::usage::{Outcome, Tally};

#[derive(Debug, Default)]
pub struct Metrics {
    pub credential_hits: Counter,
    pub credential_misses: Counter,
    pub sign_ins_refused: Counter,
    /// Pages that were looked at, and forms that were sent.
    pages: Mutex<(Tally, Tally)>,
}

impl Metrics {
    pub fn count_page(&self, is_form: bool, outcome: Outcome, took: Duration) {
        let mut pages = self.pages.lock();
        let tally = if is_form { &mut pages.1 } else { &mut pages.0 };
        tally.count(outcome, Some(took));
    }

    /// Pages, then forms.
    pub fn pages(&self) -> (Tally, Tally) {
        *self.pages.lock()
    }
}

/// Counts from many threads without their slowing one another.
#[derive(Debug)]
pub struct Counter(Box<[Cell]>);

// Apart in memory, so that one worker's count does not slow its neighbour's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Cell::default()).collect())
    }
}

impl Counter {
    pub fn add(&self) {
        self.0[shard_of_this_thread()].0.fetch_add(1, Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.iter().map(|cell| cell.0.load(Relaxed)).sum()
    }
}
