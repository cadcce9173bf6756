//! Checks of keys by the service that asked for them, added to in batches.

use rusqlite::{Connection, Transaction, params};

use super::usage::{kept, number};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::service::{Checks, ServiceRow};
use crate::model::usage::{Span, Subject};

/// Adds each row to what is there; in two statements as in [`super::usage::add`].
pub fn add(tx: &Transaction, rows: &[ServiceRow]) -> Result<()> {
    let mut add = tx.prepare_cached(
        "UPDATE service_counts SET accepted = accepted + $1, refused = refused + $2, rate_limited = rate_limited + $3
         WHERE kind = $4 AND subject = $5 AND span = $6 AND start = $7 AND service = $8",
    )?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO service_counts (accepted, refused, rate_limited, kind, subject, span, start, service)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )?;
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for row in rows {
        let ((kind, subject), checks) = (kept(&row.subject), row.checks);
        let counts = (whole(checks.accepted), whole(checks.refused), whole(checks.rate_limited));
        let (span, service) = (row.span.seconds(), row.service.as_str());
        let row = params![counts.0, counts.1, counts.2, kind, subject, span, row.start, service];
        if add.execute(row)? == 0 {
            insert.execute(row)?;
        }
    }
    Ok(())
}

/// The services that had most keys of a subject checked since then, each by its label.
pub fn most(conn: &Connection, subject: Subject, span: Span, since: Timestamp, limit: u32) -> Result<Vec<(String, Checks)>> {
    let mut most = conn.prepare_cached(
        "SELECT service, sum(accepted), sum(refused), sum(rate_limited) FROM service_counts
         WHERE kind = $1 AND subject = $2 AND span = $3 AND start >= $4
         GROUP BY service ORDER BY sum(accepted) + sum(refused) + sum(rate_limited) DESC, service LIMIT $5",
    )?;
    let (kind, id) = kept(&subject);
    let rows = most.query_map(params![kind, id, span.seconds(), since, limit], |row| {
        let checks = Checks { accepted: number(row, 1)?, refused: number(row, 2)?, rate_limited: number(row, 3)? };
        Ok((row.get(0)?, checks))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets what is older than it is kept.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    let mut old = tx.prepare_cached("DELETE FROM service_counts WHERE span = $1 AND start < $2")?;
    for span in [Span::Hour, Span::Day] {
        old.execute(params![span.seconds(), now.saturating_sub(span.kept())])?;
    }
    Ok(())
}
