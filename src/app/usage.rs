//! Counts of requests, kept in memory until a batch writes them. A request takes one lock, which only its own worker and
//! that batch ever want.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::service::{Checks, ServiceName, ServiceRow};
use crate::model::usage::{Outcome, Span, Subject, Tally, UsageRow};

/// More than there are workers, so that two of them share one by accident alone.
pub(super) const SHARDS: usize = 64;
/// Rows that wait for a disk that takes none; older ones are kept, newer ones are lost.
const MOST_UNWRITTEN: usize = 200_000;
/// Labels of services that are told apart for one account in one day. Whoever holds a key may write any number of them
/// into the address of a gateway's question.
const MOST_SERVICES: usize = 20;
/// Cells of services that one shard holds until the next batch.
const MOST_SERVICE_CELLS: usize = 10_000;

#[derive(Debug)]
pub struct Usage {
    shards: Box<[Shard]>,
    /// Taken for a batch that failed: the next one begins with them.
    unwritten: Mutex<Batch>,
    services: Mutex<KnownServices>,
    /// Of all batches that were taken, by route and whether there was a valid key.
    totals: Mutex<HashMap<(RouteName, bool), Tally>>,
}

/// What was counted since the last batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Those of one subject follow one another.
    pub requests: Vec<UsageRow>,
    pub services: Vec<ServiceRow>,
    /// Requests that were refused for want of a valid credential, and that met a limit, for the first time in this batch.
    pub refused: u64,
    pub rate_limited: u64,
}

// Apart in memory, so that one worker's lock does not slow its neighbour's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    // Of ids that we made, routes and minutes: nobody can choose them so that they collide.
    requests: HashMap<Cell, Tally, RandomState>,
    services: HashMap<ServiceCell, Checks>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ServiceCell {
    whose: (Option<ApiKeyId>, AccountId),
    service: ServiceName,
    hour: Timestamp,
}

/// The labels that came in one day, by the account whose keys were checked.
#[derive(Debug, Default)]
struct KnownServices {
    day: Option<Timestamp>,
    of_account: HashMap<AccountId, HashSet<ServiceName>>,
}

impl KnownServices {
    fn told_apart(&mut self, account: AccountId, service: ServiceName, day: Timestamp) -> ServiceName {
        if self.day.replace(day) != Some(day) {
            self.of_account.clear();
        }
        let known = self.of_account.entry(account).or_default();
        if service == ServiceName::NONE || known.contains(&service) {
            return service;
        }
        if known.len() >= MOST_SERVICES {
            return ServiceName::others();
        }
        known.insert(service.clone());
        service
    }
}

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
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            unwritten: Mutex::default(),
            services: Mutex::default(),
            totals: Mutex::default(),
        }
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
        self.shards[shard_of_this_thread()].0.lock().requests.entry(cell).or_default().count(outcome, took);
    }

    /// Counts one check of a key for another service.
    pub fn count_check(&self, whose: (Option<ApiKeyId>, AccountId), service: &ServiceName, outcome: Outcome, at: Timestamp) {
        let mut cell = ServiceCell { whose, service: service.clone(), hour: Span::Hour.start_of(at) };
        let mut counted = self.shards[shard_of_this_thread()].0.lock();
        if counted.services.len() >= MOST_SERVICE_CELLS && !counted.services.contains_key(&cell) {
            cell.service = ServiceName::others();
        }
        counted.services.entry(cell).or_default().count(outcome);
    }

    /// Everything since the start, by route and whether there was a valid key.
    pub fn totals(&self) -> Vec<(RouteName, bool, Tally)> {
        let taken = self.totals.lock();
        let mut all = taken.clone();
        for shard in &self.shards {
            for (cell, tally) in &shard.0.lock().requests {
                all.entry((cell.route, cell.who.is_some())).or_default().add(tally);
            }
        }
        all.into_iter().map(|((route, has_key), tally)| (route, has_key, tally)).collect()
    }

    /// What was counted since the last call, as the rows to add it to.
    pub fn take(&self) -> Batch {
        let mut batch = Batch::default();
        let mut rows: HashMap<(Subject, Span, String, Timestamp), Tally> = HashMap::new();
        let mut services: HashMap<(Subject, Span, ServiceName, Timestamp), Checks> = HashMap::new();
        // Held until all shards are emptied: whoever reads the totals meanwhile would miss what is on its way.
        let mut totals = self.totals.lock();
        for shard in &self.shards {
            let counted = std::mem::take(&mut *shard.0.lock());
            for (Cell { who, route, minute }, tally) in counted.requests {
                totals.entry((route, who.is_some())).or_default().add(&tally);
                batch.rate_limited += tally.of(Outcome::RateLimited);
                // What no route took tells of lost crawlers rather than of guessed keys.
                if who.is_none() && !route.pattern.is_empty() {
                    batch.refused += tally.of(Outcome::ClientError) + tally.of(Outcome::RateLimited);
                }
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
            for (ServiceCell { whose: (key, account), service, hour }, checks) in counted.services {
                let service = self.services.lock().told_apart(account, service, Span::Day.start_of(hour));
                for subject in key.map(Subject::Key).into_iter().chain([Subject::Account(account), Subject::Everyone]) {
                    for span in [Span::Hour, Span::Day] {
                        services.entry((subject, span, service.clone(), span.start_of(hour))).or_default().add(&checks);
                    }
                }
            }
        }
        drop(totals);
        let mut waited = std::mem::take(&mut *self.unwritten.lock());
        for row in &mut waited.requests {
            if let Entry::Occupied(new) = rows.entry((row.subject, row.span, row.route.clone(), row.start)) {
                row.tally.add(&new.remove());
            }
        }
        for row in &mut waited.services {
            if let Entry::Occupied(new) = services.entry((row.subject, row.span, row.service.clone(), row.start)) {
                row.checks.add(&new.remove());
            }
        }
        batch.requests = waited.requests;
        batch.requests.extend(rows.into_iter().map(|((subject, span, route, start), tally)| UsageRow {
            subject,
            span,
            start,
            route,
            tally,
        }));
        batch.requests.sort_by(|a, b| (a.subject, a.span, &a.route, a.start).cmp(&(b.subject, b.span, &b.route, b.start)));
        batch.services = waited.services;
        batch.services.extend(services.into_iter().map(|((subject, span, service, start), checks)| ServiceRow {
            subject,
            span,
            start,
            service,
            checks,
        }));
        batch
    }

    /// These rows could not be written: the next call of [`Usage::take`] gives them again.
    pub fn not_written(&self, requests: &[UsageRow], services: &[ServiceRow]) {
        let mut unwritten = self.unwritten.lock();
        let room = MOST_UNWRITTEN.saturating_sub(unwritten.requests.len());
        unwritten.requests.extend(requests.iter().take(room).cloned());
        let room = MOST_UNWRITTEN.saturating_sub(unwritten.services.len());
        unwritten.services.extend(services.iter().take(room).cloned());
    }
}

/// Threads are numbered as they are made, so workers come to lie beside each other.
pub(super) fn shard_of_this_thread() -> usize {
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
        usage.count(Some((Some(who.0), who.1)), ROUTE, Outcome::Success, Some(Duration::from_millis(2)), at);
        usage.count(None, ROUTE, Outcome::ClientError, None, at);
        let rows = usage.take().requests;
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
        let totals = usage.totals();
        assert_eq!(totals.iter().map(|(.., tally)| tally.total()).sum::<u64>(), 2, "what was taken is still known");
        assert!(usage.take().requests.is_empty());
        usage.count(None, ROUTE, Outcome::Success, None, at);
        usage.not_written(&rows, &[]);
        let again = usage.take().requests;
        let everyone = again.iter().filter(|row| row.subject == Subject::Everyone && row.route.is_empty());
        assert!(everyone.map(|row| row.tally.total()).all(|total| total == 3));
        assert_eq!(again.len(), rows.len(), "the same rows, with more in them");
    }

    #[test]
    fn an_account_has_a_bounded_number_of_services_told_apart() {
        let usage = Usage::default();
        let (one, other) = ((Some(ApiKeyId::new()), AccountId::new()), (Some(ApiKeyId::new()), AccountId::new()));
        let at = Timestamp::parse("2026-11-22T10:00:59Z").expect("a time");
        for n in 0..MOST_SERVICES + 30 {
            let service = ServiceName::parse(&format!("service-{n}")).expect("a label");
            usage.count_check(one, &service, Outcome::Success, at);
        }
        usage.count_check(other, &ServiceName::parse("billing").expect("a label"), Outcome::RateLimited, at);
        let rows = usage.take().services;
        let of = |subject| rows.iter().filter(|row| row.subject == subject && row.span == Span::Day).collect::<Vec<_>>();
        let of_one = of(Subject::Key(one.0.expect("a key")));
        assert_eq!(of_one.len(), MOST_SERVICES + 1);
        let others = of_one.iter().find(|row| row.service == ServiceName::others()).expect("the rest");
        assert_eq!(others.checks, Checks { accepted: 30, ..Checks::default() });
        assert_eq!(of(Subject::Account(other.1))[0].service.as_str(), "billing");
        assert_eq!(of(Subject::Everyone).iter().map(|row| row.checks.accepted + row.checks.rate_limited).sum::<u64>(), 51);
    }

    #[test]
    fn threads_beside_each_other_count_apart() {
        let of = || std::thread::spawn(shard_of_this_thread).join().expect("a shard");
        assert_ne!(of(), of());
    }
}
