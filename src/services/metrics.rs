//! The figures for a scraper: what was counted since the start, and how things stand. Few labels, each with few values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::backups;
use crate::app::App;
use crate::model::Result;
use crate::model::histogram::Counted;
use crate::model::usage::{Outcome, STEPS, Tally};
use crate::store::{self, migrate::SCHEMA};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric as it is announced.
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

pub type Labels = Vec<(&'static str, String)>;

/// What one metric says now.
pub enum Value {
    Numbers(Vec<(Labels, f64)>),
    Steps(Vec<Steps>),
}

/// How many values each step has.
pub struct Steps {
    pub labels: Labels,
    /// Each with its upper end.
    pub steps: Vec<(f64, u64)>,
    pub sum: f64,
}

macro_rules! families {
    ($($id:ident $name:literal $kind:ident $help:literal)*) => {
        $(const $id: Family = Family { name: $name, kind: Kind::$kind, help: $help };)*
        /// Every metric that there is; docs/OPERATIONS.md has the same list.
        pub const FAMILIES: &[Family] = &[$($id),*];
    };
}

families! {
    BUILD "keyrack_build_info" Gauge "Always 1; the labels tell the version, SQLite's version and the schema."
    REQUESTS "keyrack_requests_total" Counter "Requests by surface (api, pages), method, route and status (2xx, 4xx, 429, 5xx)."
    DURATION "keyrack_request_duration_seconds" Histogram "How long the requests took that were let in, by surface."
    LIMITED "keyrack_rate_limited_total" Counter "Requests refused for a limit: of an account or key, or of an address without a valid key."
    IN_FLIGHT "keyrack_requests_in_flight" Gauge "API requests being worked on."
    QUEUED "keyrack_requests_queued" Gauge "API requests waiting for their turn."
    BUSY "keyrack_requests_refused_busy_total" Counter "API requests that waited too long or found the queue full."
    SIGN_INS "keyrack_sign_ins_refused_total" Counter "Sign-ins with a wrong address or password."
    HITS "keyrack_credential_cache_hits_total" Counter "Credentials that were still remembered."
    MISSES "keyrack_credential_cache_misses_total" Counter "Credentials that the database was asked about."
    BATCH "keyrack_commit_changes" Histogram "Changes that shared one commit."
    COMMIT "keyrack_commit_duration_seconds" Histogram "How long commits took, up to the disk's word."
    COMMITS_FAILED "keyrack_commits_failed_total" Counter "Commits that failed: a full disk, a lock held from outside."
    DATABASE "keyrack_database_bytes" Gauge "The size of the database file."
    WAL "keyrack_wal_bytes" Gauge "The size of the write-ahead log beside it."
    DISK "keyrack_disk_free_bytes" Gauge "What the data directory's file system has left."
    BACKUP "keyrack_backup_age_seconds" Gauge "How long ago the last backup was made; absent while there is none."
    BACKUP_FAILS "keyrack_backup_failing" Gauge "1 while the schedule can make no backup, else 0."
    CERTIFICATE "keyrack_certificate_end_time_seconds" Gauge "When the certificate that is shown ends, in Unix time; absent without TLS."
    WAITING "keyrack_webhook_deliveries_waiting" Gauge "Webhook deliveries that are still to be sent, or sent again."
    FAILING "keyrack_webhooks_failing" Gauge "Webhooks that did not take what was last sent to them."
    RSS "process_resident_memory_bytes" Gauge "Memory in use."
    FDS "process_open_fds" Gauge "Open file descriptors."
    MAX_FDS "process_max_fds" Gauge "The most file descriptors that may be open."
    CPU "process_cpu_seconds_total" Counter "Processor time used."
    STARTED "process_start_time_seconds" Gauge "When the process started, in Unix time."
}

/// Everything that is known now; what is not known is left out.
pub async fn gather(app: &App) -> Result<Vec<(&'static Family, Value)>> {
    let one = |value: f64| Value::Numbers(vec![(Vec::new(), value)]);
    let count = |value: u64| one(value as f64);
    let commits = app.store.commits();
    let path = app.store.path();
    let mut found = vec![
        (BUILD.name, build()),
        (IN_FLIGHT.name, count(app.in_flight.running() as u64)),
        (QUEUED.name, count(app.in_flight.queued() as u64)),
        (BUSY.name, count(app.in_flight.refused() as u64)),
        (SIGN_INS.name, count(app.metrics.sign_ins_refused.read())),
        (HITS.name, count(app.metrics.credential_hits.read())),
        (MISSES.name, count(app.metrics.credential_misses.read())),
        (BATCH.name, steps(&commits.changes.read(), 1.0)),
        (COMMIT.name, steps(&commits.micros.read(), 1e6)),
        (COMMITS_FAILED.name, count(commits.failed.load(std::sync::atomic::Ordering::Relaxed))),
        (DATABASE.name, count(size(path))),
        (WAL.name, count(size(&path.with_file_name("keyrack.db-wal")))),
        (STARTED.name, one(app.started_at.millis() as f64 / 1e3)),
    ];
    found.extend(requests(app));
    found.extend(process());
    if let Ok(free) = store::backups::free_space(path.parent().unwrap_or(path)) {
        found.push((DISK.name, count(free)));
    }
    if let Some(last) = backups::last(app).await? {
        found.push((BACKUP.name, one(app.clock.now().since(last).as_secs_f64())));
    }
    found.push((BACKUP_FAILS.name, one(f64::from(u8::from(backups::trouble(app).await?.is_some())))));
    if let Some(ends_at) = app.certificate().and_then(|certificate| certificate.ends_at) {
        found.push((CERTIFICATE.name, one(ends_at.seconds() as f64)));
    }
    let webhooks = |conn: &store::Conn| Ok((store::deliveries::count_waiting(conn)?, store::webhooks::count_failing(conn)?));
    let (waiting, failing) = app.store.read(webhooks).await?;
    found.extend([(WAITING.name, count(waiting)), (FAILING.name, count(failing))]);
    let mut found: BTreeMap<&str, Value> = found.into_iter().collect();
    Ok(FAMILIES.iter().filter_map(|family| Some((family, found.remove(family.name)?))).collect())
}

/// The versions in one line, for a report.
pub fn build_words(app: &App) -> String {
    let up = app.clock.now().since(app.started_at).as_secs();
    format!("keyrack {} schema {SCHEMA} SQLite {} up {up} s", env!("CARGO_PKG_VERSION"), store::sqlite_version())
}

fn build() -> Value {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("sqlite", store::sqlite_version().to_owned()),
        ("schema", SCHEMA.to_string()),
    ];
    Value::Numbers(vec![(labels, 1.0)])
}

fn requests(app: &App) -> [(&'static str, Value); 3] {
    let (pages, forms) = app.metrics.pages();
    let mut by_route: BTreeMap<(&str, String, String), Tally> = BTreeMap::new();
    by_route.insert(("pages", "GET".into(), String::new()), pages);
    by_route.insert(("pages", "POST".into(), String::new()), forms);
    let (mut of_address, mut of_account) = (0, 0);
    for (route, has_key, tally) in app.usage.totals() {
        let limited = if has_key { &mut of_account } else { &mut of_address };
        *limited += tally.of(Outcome::RateLimited);
        by_route.entry(("api", route.method.to_owned(), route.pattern.to_owned())).or_default().add(&tally);
    }
    let mut numbers = Vec::new();
    let mut by_surface: BTreeMap<&str, Tally> = BTreeMap::new();
    for ((surface, method, route), tally) in &by_route {
        by_surface.entry(surface).or_default().add(tally);
        for outcome in Outcome::ALL {
            let labels = vec![
                ("surface", (*surface).to_owned()),
                ("method", method.clone()),
                ("route", route.clone()),
                ("status", outcome.name().to_owned()),
            ];
            numbers.push((labels, tally.of(outcome) as f64));
        }
    }
    let durations = by_surface.iter().map(|(surface, tally)| {
        let bounds = STEPS.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
        let labels = vec![("surface", (*surface).to_owned())];
        Steps { labels, steps: bounds.zip(tally.latency).collect(), sum: tally.took_us as f64 / 1e6 }
    });
    let whose = |whose: &str, count: u64| (vec![("of", whose.to_owned())], count as f64);
    [
        (REQUESTS.name, Value::Numbers(numbers)),
        (DURATION.name, Value::Steps(durations.collect())),
        (LIMITED.name, Value::Numbers(vec![whose("account", of_account), whose("address", of_address)])),
    ]
}

fn steps(counted: &Counted, unit: f64) -> Value {
    let bounds = counted.bounds.iter().map(|&end| end as f64 / unit).chain([f64::INFINITY]);
    let steps = bounds.zip(counted.counts.iter().copied()).collect();
    Value::Steps(vec![Steps { labels: Vec::new(), steps, sum: counted.sum as f64 / unit }])
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Of this process, under the names that every exporter gives them; on Linux alone.
fn process() -> Vec<(&'static str, Value)> {
    let one = |value: f64| Value::Numbers(vec![(Vec::new(), value)]);
    let mut found = Vec::new();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    found.extend(resident.map(|kb: f64| (RSS.name, one(kb * 1024.0))));
    // proc(5): after the name in brackets, which may hold blanks, utime and stime are the twelfth and thirteenth.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: Vec<f64> = after.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    if let [user, system] = ticks[..] {
        found.push((CPU.name, one((user + system) / rustix::param::clock_ticks_per_second() as f64)));
    }
    found.extend(fs::read_dir("/proc/self/fd").ok().map(|open| (FDS.name, one(open.count() as f64))));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_ascii_whitespace().next()?.parse().ok());
    found.extend(most.map(|most: f64| (MAX_FDS.name, one(most))));
    found
}
