//! Counts of requests, kept in memory until a batch writes them. A request takes one lock, which only its own worker and
//! that batch ever want.

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
/// Counts that wait for a disk that takes none; older ones are kept, newer ones are lost.
const MOST_UNWRITTEN: usize = 100_000;
/// Counts that are written as one: each is about ten rows.
const PART: usize = 100;
/// Labels of services that are told apart for one account in one day. Whoever holds a key may write any number of them
/// into the address of a gateway's question.
const MOST_SERVICES: usize = 20;
/// Cells of services that one shard holds until the next batch.
const MOST_SERVICE_CELLS: usize = 10_000;

#[derive(Debug)]
pub struct Usage {
    shards: Box<[Shard]>,
    /// Taken for a batch that failed: the next one begins with them.
    unwritten: Mutex<Counted>,
    services: Mutex<KnownServices>,
    /// Of all batches that were taken, by route and whether there was a valid key.
    totals: Mutex<HashMap<(RouteName, bool), Tally>>,
}

/// What was counted since the last batch.
#[derive(Debug, Default)]
pub struct Batch {
    pub parts: Vec<Part>,
    /// Requests that were refused for want of a valid credential, and that met a limit, for the first time in this batch.
    pub refused: u64,
    pub rate_limited: u64,
}

/// What of a batch is written as one: other changes need not wait for the whole of it. All that is in it of one account
/// is beside each other.
#[derive(Debug, Default)]
pub struct Part {
    requests: Vec<(Cell, Tally)>,
    services: Vec<(ServiceCell, Checks)>,
}

// Apart in memory, so that one worker's lock does not slow its neighbour's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    // Of ids that we made, routes and minutes: nobody can choose them so that they collide.
    requests: HashMap<Cell, Tally, RandomState>,
    // Of labels that clients choose, too: those that collide are at most [`MOST_SERVICE_CELLS`].
    services: HashMap<ServiceCell, Checks, RandomState>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ServiceCell {
    whose: (AccountId, Option<ApiKeyId>),
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
    who: Option<(AccountId, Option<ApiKeyId>)>,
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
        who: Option<(AccountId, Option<ApiKeyId>)>,
        route: RouteName,
        outcome: Outcome,
        took: Option<Duration>,
        at: Timestamp,
    ) {
        let cell = Cell { who, route, minute: Span::Minute.start_of(at) };
        self.shards[shard_of_this_thread()].0.lock().requests.entry(cell).or_default().count(outcome, took);
    }

    /// Counts one check of a key for another service.
    pub fn count_check(&self, whose: (AccountId, Option<ApiKeyId>), service: &ServiceName, outcome: Outcome, at: Timestamp) {
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

    /// What was counted since the last call.
    pub fn take(&self) -> Batch {
        let (mut refused, mut rate_limited) = (0, 0);
        let mut all = std::mem::take(&mut *self.unwritten.lock());
        // Held until all shards are emptied: whoever reads the totals meanwhile would miss what is on its way.
        let mut totals = self.totals.lock();
        for shard in &self.shards {
            let counted = std::mem::take(&mut *shard.0.lock());
            for (cell, tally) in counted.requests {
                totals.entry((cell.route, cell.who.is_some())).or_default().add(&tally);
                rate_limited += tally.of(Outcome::RateLimited);
                // What no route took tells of lost crawlers rather than of guessed keys.
                if cell.who.is_none() && !cell.route.pattern.is_empty() {
                    refused += tally.of(Outcome::ClientError) + tally.of(Outcome::RateLimited);
                }
                all.requests.entry(cell).or_default().add(&tally);
            }
            for (mut cell, checks) in counted.services {
                cell.service = self.services.lock().told_apart(cell.whose.0, cell.service, Span::Day.start_of(cell.hour));
                all.services.entry(cell).or_default().add(&checks);
            }
        }
        drop(totals);
        Batch { parts: all.into_parts(), refused, rate_limited }
    }

    /// These parts could not be written: the next call of [`Usage::take`] gives what is in them again.
    pub fn not_written(&self, parts: impl IntoIterator<Item = Part>) {
        let mut unwritten = self.unwritten.lock();
        for part in parts {
            for (cell, tally) in part.requests {
                if unwritten.requests.len() < MOST_UNWRITTEN || unwritten.requests.contains_key(&cell) {
                    unwritten.requests.entry(cell).or_default().add(&tally);
                }
            }
            for (cell, checks) in part.services {
                if unwritten.services.len() < MOST_UNWRITTEN || unwritten.services.contains_key(&cell) {
                    unwritten.services.entry(cell).or_default().add(&checks);
                }
            }
        }
    }
}

impl Counted {
    fn into_parts(self) -> Vec<Part> {
        let (mut requests, mut services) = (Vec::from_iter(self.requests), Vec::from_iter(self.services));
        requests.sort_unstable_by_key(|(cell, _)| cell.who);
        services.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let (mut requests, mut services) = (requests.into_iter(), services.into_iter());
        let next = || {
            let part =
                Part { requests: requests.by_ref().take(PART).collect(), services: services.by_ref().take(PART).collect() };
            (!part.requests.is_empty() || !part.services.is_empty()).then_some(part)
        };
        std::iter::from_fn(next).collect()
    }
}

impl Part {
    /// The rows to add it to.
    pub fn rows(&self) -> (Vec<UsageRow>, Vec<ServiceRow>) {
        (self.usage_rows(), self.service_rows())
    }

    fn usage_rows(&self) -> Vec<UsageRow> {
        let mut rows: HashMap<(Subject, Span, Option<RouteName>, Timestamp), Tally, RandomState> = HashMap::default();
        for (Cell { who, route, minute }, tally) in &self.requests {
            let whose = match who {
                Some((account, key)) => [Some(Subject::Account(*account)), key.map(Subject::Key)],
                None => [Some(Subject::NoKey), None],
            };
            for subject in whose.into_iter().flatten().chain([Subject::Everyone]) {
                for span in Span::ALL {
                    let start = span.start_of(*minute);
                    rows.entry((subject, span, None, start)).or_default().add(tally);
                    // Routes are compared over hours and days; minutes of each would be very many rows.
                    if span != Span::Minute {
                        rows.entry((subject, span, Some(*route), start)).or_default().add(tally);
                    }
                }
            }
        }
        let words = |route: Option<RouteName>| route.map(RouteName::words).unwrap_or_default();
        let rows = rows.into_iter().map(|((subject, span, route, start), tally)| UsageRow {
            subject,
            span,
            start,
            route: words(route),
            tally,
        });
        let mut rows: Vec<UsageRow> = rows.collect();
        // As they lie in the database.
        rows.sort_unstable_by(|a, b| (a.subject, a.span, &a.route, a.start).cmp(&(b.subject, b.span, &b.route, b.start)));
        rows
    }

    fn service_rows(&self) -> Vec<ServiceRow> {
        let mut rows: HashMap<(Subject, Span, &ServiceName, Timestamp), Checks> = HashMap::new();
        for (ServiceCell { whose: (account, key), service, hour }, checks) in &self.services {
            for subject in key.map(Subject::Key).into_iter().chain([Subject::Account(*account), Subject::Everyone]) {
                for span in [Span::Hour, Span::Day] {
                    rows.entry((subject, span, service, span.start_of(*hour))).or_default().add(checks);
                }
            }
        }
        let rows = rows.into_iter().map(|((subject, span, service, start), checks)| ServiceRow {
            subject,
            span,
            start,
            service: service.clone(),
            checks,
        });
        rows.collect()
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

    fn rows_of(batch: &Batch) -> (Vec<UsageRow>, Vec<ServiceRow>) {
        let [part] = &batch.parts[..] else { panic!("one part") };
        part.rows()
    }

    #[test]
    fn a_request_is_in_every_span_of_everyone_it_belongs_to() {
        let usage = Usage::default();
        let (account, key) = (AccountId::new(), ApiKeyId::new());
        let at = Timestamp::parse("2026-11-22T10:00:59Z").expect("a time");
        usage.count(Some((account, Some(key))), ROUTE, Outcome::Success, Some(Duration::from_millis(2)), at);
        usage.count(None, ROUTE, Outcome::ClientError, None, at);
        let batch = usage.take();
        let rows = rows_of(&batch).0;
        let total = |subject, span| {
            let mut found = rows.iter().filter(|row| row.subject == subject && row.span == span && row.route.is_empty());
            found.next().map_or(0, |row| row.tally.total())
        };
        for span in Span::ALL {
            assert_eq!(total(Subject::Everyone, span), 2);
            assert_eq!(total(Subject::Key(key), span), 1);
            assert_eq!(total(Subject::Account(account), span), 1);
            assert_eq!(total(Subject::NoKey, span), 1);
        }
        assert!(rows.iter().any(|row| row.route == "GET /v1/key" && row.span == Span::Day && row.tally.total() == 2));
        assert!(!rows.iter().any(|row| !row.route.is_empty() && row.span == Span::Minute));
        let totals = usage.totals();
        assert_eq!(totals.iter().map(|(.., tally)| tally.total()).sum::<u64>(), 2, "what was taken is still known");
        assert!(usage.take().parts.is_empty());
        usage.count(None, ROUTE, Outcome::Success, None, at);
        usage.not_written(batch.parts);
        let again = rows_of(&usage.take()).0;
        let everyone = again.iter().filter(|row| row.subject == Subject::Everyone && row.route.is_empty());
        assert!(everyone.map(|row| row.tally.total()).all(|total| total == 3));
        assert_eq!(again.len(), rows.len(), "the same rows, with more in them");
    }

    #[test]
    fn an_account_has_a_bounded_number_of_services_told_apart() {
        let usage = Usage::default();
        let (one, other) = ((AccountId::new(), Some(ApiKeyId::new())), (AccountId::new(), Some(ApiKeyId::new())));
        let at = Timestamp::parse("2026-11-22T10:00:59Z").expect("a time");
        for n in 0..MOST_SERVICES + 30 {
            let service = ServiceName::parse(&format!("service-{n}")).expect("a label");
            usage.count_check(one, &service, Outcome::Success, at);
        }
        usage.count_check(other, &ServiceName::parse("billing").expect("a label"), Outcome::RateLimited, at);
        let rows = rows_of(&usage.take()).1;
        let of = |subject| rows.iter().filter(|row| row.subject == subject && row.span == Span::Day).collect::<Vec<_>>();
        let of_one = of(Subject::Key(one.1.expect("a key")));
        assert_eq!(of_one.len(), MOST_SERVICES + 1);
        let others = of_one.iter().find(|row| row.service == ServiceName::others()).expect("the rest");
        assert_eq!(others.checks, Checks { accepted: 30, ..Checks::default() });
        assert_eq!(of(Subject::Account(other.0))[0].service.as_str(), "billing");
        assert_eq!(of(Subject::Everyone).iter().map(|row| row.checks.accepted + row.checks.rate_limited).sum::<u64>(), 51);
    }

    #[test]
    fn what_many_accounts_used_is_written_in_parts_that_lose_nothing() {
        let usage = Usage::default();
        let at = Timestamp::parse("2026-11-22T10:00:59Z").expect("a time");
        for _ in 0..3 * PART {
            let account = AccountId::new();
            for _ in 0..2 {
                usage.count(Some((account, Some(ApiKeyId::new()))), ROUTE, Outcome::Success, None, at);
            }
        }
        let batch = usage.take();
        assert_eq!(batch.parts.len(), 6);
        let everyone = |rows: &[UsageRow]| rows.iter().find(|row| row.subject == Subject::Everyone).map(|row| row.tally.total());
        assert!(batch.parts.iter().all(|part| everyone(&part.rows().0) == Some(PART as u64)));
        let mut parts = batch.parts.into_iter();
        let written = parts.next().expect("a part").rows().0;
        usage.not_written(parts);
        let rest = usage.take();
        assert_eq!(rest.parts.len(), 5);
        let accounts = |rows: Vec<UsageRow>| {
            rows.into_iter().filter(|row| matches!(row.subject, Subject::Account(_)) && row.span == Span::Minute)
        };
        let mut seen: Vec<_> = rest.parts.iter().flat_map(|part| accounts(part.rows().0)).chain(accounts(written)).collect();
        assert_eq!(seen.len(), 3 * PART, "two keys of one account are in one part");
        seen.retain(|row| row.tally.total() != 2);
        assert!(seen.is_empty());
    }

    #[test]
    fn threads_beside_each_other_count_apart() {
        let of = || std::thread::spawn(shard_of_this_thread).join().expect("a shard");
        assert_ne!(of(), of());
    }
}
