//! Counts of requests, kept in memory until a batch writes them. A request takes one lock, which only its own worker and
//! that batch ever want.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::usage::{Outcome, Span, Subject, Tally, UsageRow};

/// More than there are workers, so that two of them share one by accident alone.
const SHARDS: usize = 64;
/// Rows that wait for a disk that takes none; older ones are kept, newer ones are lost.
const MOST_UNWRITTEN: usize = 200_000;

#[derive(Debug)]
pub struct Usage {
    shards: Box<[Shard]>,
    /// Taken for a batch that failed: the next one begins with them.
    unwritten: Mutex<Vec<UsageRow>>,
}

// Apart in memory, so that one worker's lock does not slow its neighbour's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<HashMap<Cell, Tally>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell {
    who: Option<(Option<ApiKeyId>, AccountId)>,
    route: RouteName,
    /// When the request came, to the minute: a batch may be written in the next one.
    minute: Timestamp,
}

/// A verb and the pattern of a path, both of the route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteName {
    pub method: &'static str,
    /// Empty for a path that does not exist.
    pub pattern: &'static str,
}

impl Hash for RouteName {
    // By its place: the texts are constants, and the same text in two places would only be two cells of one row.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.pattern.as_ptr() as usize ^ self.method.len()).hash(state);
    }
}

impl RouteName {
    fn words(self) -> String {
        if self.pattern.is_empty() { "no such path".into() } else { format!("{} {}", self.method, self.pattern) }
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), unwritten: Mutex::default() }
    }
}

impl Usage {
    /// Counts one request. `took` is none for one that was refused.
    pub fn count(
        &self,
        who: Option<(Option<ApiKeyId>, AccountId)>,
        route: RouteName,
        outcome: Outcome,
        took: Option<Duration>,
        at: Timestamp,
    ) {
        let cell = Cell { who, route, minute: Span::Minute.start_of(at) };
        self.shards[shard_of_this_thread()].0.lock().entry(cell).or_default().count(outcome, took);
    }

    /// What was counted since the last call, as the rows to add it to; those of one subject follow one another.
    pub fn take(&self) -> Vec<UsageRow> {
        let mut rows: HashMap<(Subject, Span, String, Timestamp), Tally> = HashMap::new();
        for shard in &self.shards {
            let counted = std::mem::take(&mut *shard.0.lock());
            for (Cell { who, route, minute }, tally) in counted {
                let whose = match who {
                    Some((key, account)) => [key.map(Subject::Key), Some(Subject::Account(account))],
                    None => [Some(Subject::NoKey), None],
                };
                for subject in whose.into_iter().flatten().chain([Subject::Everyone]) {
                    for span in Span::ALL {
                        let start = span.start_of(minute);
                        rows.entry((subject, span, String::new(), start)).or_default().add(&tally);
                        // Routes are compared over hours and days; minutes of each would be very many rows.
                        if span != Span::Minute {
                            rows.entry((subject, span, route.words(), start)).or_default().add(&tally);
                        }
                    }
                }
            }
        }
        let mut waited = std::mem::take(&mut *self.unwritten.lock());
        for row in &mut waited {
            if let Entry::Occupied(new) = rows.entry((row.subject, row.span, row.route.clone(), row.start)) {
                row.tally.add(&new.remove());
            }
        }
        waited.extend(rows.into_iter().map(|((subject, span, route, start), tally)| UsageRow {
            subject,
            span,
            start,
            route,
            tally,
        }));
        waited.sort_by(|a, b| (a.subject, a.span, &a.route, a.start).cmp(&(b.subject, b.span, &b.route, b.start)));
        waited
    }

    /// These rows could not be written: the next call of [`Usage::take`] gives them again.
    pub fn not_written(&self, rows: &[UsageRow]) {
        let mut unwritten = self.unwritten.lock();
        let room = MOST_UNWRITTEN.saturating_sub(unwritten.len());
        unwritten.extend(rows.iter().take(room).cloned());
    }
}

/// Threads are numbered as they are made, so workers come to lie beside each other.
fn shard_of_this_thread() -> usize {
    struct Number(u64);
    impl Hasher for Number {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.iter().fold(self.0, |number, &byte| number << 8 | u64::from(byte));
        }
        fn write_u64(&mut self, number: u64) {
            self.0 = number;
        }
    }
    let mut number = Number(0);
    std::thread::current().id().hash(&mut number);
    number.finish() as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: RouteName = RouteName { method: "GET", pattern: "/v1/key" };

    #[test]
    fn a_request_is_in_every_span_of_everyone_it_belongs_to() {
        let usage = Usage::default();
        let who = (ApiKeyId::new(), AccountId::new());
        let at = Timestamp::parse("2026-11-22T10:00:59Z").expect("a time");
        usage.count(Some(who), ROUTE, Outcome::Success, Some(Duration::from_millis(2)), at);
        usage.count(None, ROUTE, Outcome::ClientError, None, at);
        let rows = usage.take();
        let total = |subject, span| {
            let mut found = rows.iter().filter(|row| row.subject == subject && row.span == span && row.route.is_empty());
            found.next().map_or(0, |row| row.tally.total())
        };
        for span in Span::ALL {
            assert_eq!(total(Subject::Everyone, span), 2);
            assert_eq!(total(Subject::Key(who.0), span), 1);
            assert_eq!(total(Subject::Account(who.1), span), 1);
            assert_eq!(total(Subject::NoKey, span), 1);
        }
        assert!(rows.iter().any(|row| row.route == "GET /v1/key" && row.span == Span::Day && row.tally.total() == 2));
        assert!(!rows.iter().any(|row| !row.route.is_empty() && row.span == Span::Minute));
        assert!(usage.take().is_empty());
        usage.count(None, ROUTE, Outcome::Success, None, at);
        usage.not_written(&rows);
        let again = usage.take();
        let everyone = again.iter().filter(|row| row.subject == Subject::Everyone && row.route.is_empty());
        assert!(everyone.map(|row| row.tally.total()).all(|total| total == 3));
        assert_eq!(again.len(), rows.len(), "the same rows, with more in them");
    }

    #[test]
    fn threads_beside_each_other_count_apart() {
        let of = || std::thread::spawn(shard_of_this_thread).join().expect("a shard");
        assert_ne!(of(), of());
    }
}
