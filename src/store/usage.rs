//! Counts of requests, added to in batches and read as series, by route and by key.

use std::collections::HashMap;

use rusqlite::{Connection, Row, Statement, Transaction, params};

use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::ApiKeyId;
use crate::model::usage::{Span, Subject, Tally, UsageRow};

const COUNTS: &str = "success, client_errors, rate_limited, server_errors,
    l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15, l16, l17, l18, l19";

const SUMS: &str = "sum(success), sum(client_errors), sum(rate_limited), sum(server_errors),
    sum(l0), sum(l1), sum(l2), sum(l3), sum(l4), sum(l5), sum(l6), sum(l7), sum(l8), sum(l9),
    sum(l10), sum(l11), sum(l12), sum(l13), sum(l14), sum(l15), sum(l16), sum(l17), sum(l18), sum(l19)";

/// Adds each row to what is there. In two statements: for `ON CONFLICT DO UPDATE` SQLite keeps a copy of each page that it
/// changes, and takes the longer to let go of them the more the transaction has changed before.
pub fn add(tx: &Transaction, rows: &[UsageRow]) -> Result<()> {
    let more: Vec<String> =
        COUNTS.split(',').map(str::trim).zip(1..).map(|(count, n)| format!("{count} = {count} + ${n}")).collect();
    let mut add = tx.prepare_cached(&format!(
        "UPDATE usage_counts SET {} WHERE kind = $25 AND subject = $26 AND span = $27 AND route = $28 AND start = $29",
        more.join(", ")
    ))?;
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO usage_counts ({COUNTS}, kind, subject, span, route, start)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
             $25, $26, $27, $28, $29)"
    ))?;
    for row in rows {
        let bind_and_run = |to: &mut Statement| -> rusqlite::Result<usize> {
            for (n, &count) in (1..).zip(row.tally.outcomes.iter().chain(&row.tally.latency)) {
                to.raw_bind_parameter(n, i64::try_from(count).unwrap_or(i64::MAX))?;
            }
            let (kind, subject) = kept(&row.subject);
            to.raw_bind_parameter(25, kind)?;
            to.raw_bind_parameter(26, subject)?;
            to.raw_bind_parameter(27, row.span.seconds())?;
            to.raw_bind_parameter(28, &row.route)?;
            to.raw_bind_parameter(29, row.start)?;
            to.raw_execute()
        };
        if bind_and_run(&mut add)? == 0 {
            bind_and_run(&mut insert)?;
        }
    }
    Ok(())
}

/// The counts of a subject since then, oldest first; spans without a request are left out.
pub fn series(conn: &Connection, subject: Subject, span: Span, since: Timestamp) -> Result<Vec<(Timestamp, Tally)>> {
    let mut all = conn.prepare_cached(&format!(
        "SELECT {COUNTS}, start FROM usage_counts
         WHERE kind = $1 AND subject = $2 AND span = $3 AND route = '' AND start >= $4 ORDER BY start"
    ))?;
    let (kind, id) = kept(&subject);
    let rows = all.query_map(params![kind, id, span.seconds(), since], |row| Ok((super::at(row, "start")?, tally(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The routes that a subject called most since then. Minutes are not counted by route.
pub fn routes(conn: &Connection, subject: Subject, span: Span, since: Timestamp, limit: u32) -> Result<Vec<(String, Tally)>> {
    let mut most = conn.prepare_cached(&format!(
        "SELECT {SUMS}, route FROM usage_counts
         WHERE kind = $1 AND subject = $2 AND span = $3 AND route > '' AND start >= $4
         GROUP BY route ORDER BY sum(success) + sum(client_errors) + sum(rate_limited) + sum(server_errors) DESC LIMIT $5"
    ))?;
    let (kind, id) = kept(&subject);
    let rows = most.query_map(params![kind, id, span.seconds(), since, limit], |row| Ok((row.get("route")?, tally(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One key among those that made the most requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCounts {
    pub key_id: ApiKeyId,
    pub requests: u64,
    pub rate_limited: u64,
}

/// The keys with the most requests since then, and those that met their limits most often.
pub fn top_keys(conn: &Connection, span: Span, since: Timestamp, limit: u32) -> Result<(Vec<KeyCounts>, Vec<KeyCounts>)> {
    let mut all = conn.prepare_cached(
        "SELECT subject, sum(success + client_errors + rate_limited + server_errors), sum(rate_limited)
         FROM usage_counts INDEXED BY usage_counts_keys
         WHERE kind = 'key' AND route = '' AND span = $1 AND start >= $2 GROUP BY subject",
    )?;
    let rows = all.query_map(params![span.seconds(), since], |row| {
        Ok(KeyCounts { key_id: row.get(0)?, requests: number(row, 1)?, rate_limited: number(row, 2)? })
    })?;
    let mut all: Vec<KeyCounts> = rows.collect::<Result<_, _>>()?;
    let limit = limit as usize;
    all.sort_by_key(|key| (std::cmp::Reverse(key.requests), key.key_id));
    let most = all.iter().take(limit).copied().collect();
    all.retain(|key| key.rate_limited > 0);
    all.sort_by_key(|key| (std::cmp::Reverse(key.rate_limited), key.key_id));
    all.truncate(limit);
    Ok((most, all))
}

/// How many requests each of these keys made since then; those without any are left out.
pub fn requests_of(conn: &Connection, keys: &[ApiKeyId], span: Span, since: Timestamp) -> Result<HashMap<ApiKeyId, KeyCounts>> {
    let mut one = conn.prepare_cached(
        "SELECT coalesce(sum(success + client_errors + rate_limited + server_errors), 0), coalesce(sum(rate_limited), 0)
         FROM usage_counts WHERE kind = 'key' AND subject = $1 AND span = $2 AND route = '' AND start >= $3",
    )?;
    let mut found = HashMap::new();
    for &key_id in keys {
        let counts = one.query_row(params![key_id, span.seconds(), since], |row| {
            Ok(KeyCounts { key_id, requests: number(row, 0)?, rate_limited: number(row, 1)? })
        })?;
        if counts.requests > 0 {
            found.insert(key_id, counts);
        }
    }
    Ok(found)
}

/// Whether a request with a valid key was ever counted, as far back as counts are kept.
pub fn has_any(conn: &Connection) -> Result<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM usage_counts WHERE kind = 'key' LIMIT 1")?.exists([])?)
}

/// Forgets what is older than it is kept.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    let mut old = tx.prepare_cached("DELETE FROM usage_counts WHERE span = $1 AND start < $2")?;
    for span in Span::ALL {
        old.execute(params![span.seconds(), now.saturating_sub(span.kept())])?;
    }
    let mut ones = tx.prepare_cached("DELETE FROM usage_counts WHERE span = 60 AND start < $1 AND kind IN ('account', 'key')")?;
    ones.execute([now.saturating_sub(Span::MINUTES_OF_ONE_KEPT)])?;
    Ok(())
}

pub(super) fn kept(subject: &Subject) -> (&'static str, &[u8]) {
    match subject {
        Subject::Everyone => ("everyone", &[]),
        Subject::NoKey => ("no_key", &[]),
        Subject::Account(id) => ("account", id.as_bytes()),
        Subject::Key(id) => ("key", id.as_bytes()),
    }
}

/// From the first columns of a row, in the order of [`COUNTS`].
fn tally(row: &Row) -> rusqlite::Result<Tally> {
    let mut tally = Tally::default();
    for (column, count) in tally.outcomes.iter_mut().chain(&mut tally.latency).enumerate() {
        *count = number(row, column)?;
    }
    Ok(tally)
}

pub(super) fn number(row: &Row, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number.max(0) as u64)
}
