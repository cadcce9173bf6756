//! The request log: the newest requests, in the order in which they were written.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, Conditions};
use super::{at, damaged};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::request::{LimitState, LoggedRequest, RequestFilter};

const SELECT: &str = "SELECT seq, at, request_id, method, path, route, status, duration_us, error, key_id, account_id, ip,
    user_agent, request_bytes, response_bytes, limit_count, limit_remaining, limit_seconds FROM logged_requests";

pub fn insert(tx: &Transaction, requests: &[Arc<LoggedRequest>]) -> Result<()> {
    let last: i64 = tx.prepare_cached("SELECT coalesce(max(seq), 0) FROM logged_requests")?.query_row([], |row| row.get(0))?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO logged_requests (seq, at, request_id, method, path, route, status, outcome, duration_us, error, key_id,
             account_id, ip, user_agent, request_bytes, response_bytes, limit_count, limit_remaining, limit_seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for (seq, one) in (last + 1..).zip(requests) {
        insert.execute(params![
            seq,
            one.at,
            one.request_id,
            one.method,
            one.path,
            one.route,
            one.status,
            one.outcome().name(),
            whole(one.duration_us),
            one.error,
            one.key_id,
            one.account_id,
            one.ip.to_string(),
            one.user_agent,
            one.request_bytes.map(whole),
            one.response_bytes.map(whole),
            one.limit.map(|limit| whole(limit.limit)),
            one.limit.map(|limit| whole(limit.remaining)),
            one.limit.map(|limit| limit.seconds),
        ])?;
    }
    Ok(())
}

pub fn list(conn: &Connection, filter: &RequestFilter, start: Start<i64>, limit: Limit) -> Result<Page<LoggedRequest>> {
    let mut conditions = Conditions::default();
    if let Some(outcome) = filter.outcome {
        conditions.add("outcome = {}", outcome.name());
    }
    if let Some(key) = filter.key_id {
        conditions.add("key_id = {}", key);
    }
    if let Some(path) = &filter.path {
        conditions.begins("path >= {low} AND path < {high}", path);
    }
    if let Some(id) = &filter.request_id {
        conditions.add("request_id = {}", id.clone());
    }
    lists::page(conn, SELECT, "seq", conditions, (start, Order::NewestFirst, limit), from_row)
}

/// The latest request of this id.
pub fn find(conn: &Connection, request_id: &str) -> Result<Option<LoggedRequest>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE request_id = $1 ORDER BY seq DESC LIMIT 1"))?;
    Ok(one.query_row([request_id], from_row).optional()?)
}

/// When the oldest that is kept came.
pub fn oldest(conn: &Connection) -> Result<Option<Timestamp>> {
    let mut one = conn.prepare_cached("SELECT at FROM logged_requests ORDER BY seq LIMIT 1")?;
    Ok(one.query_row([], |row| at(row, "at")).optional()?)
}

/// Keeps the newest so many, of those that came after `since`.
pub fn sweep(tx: &Transaction, newest: u32, since: Timestamp) -> Result<()> {
    let mut surplus =
        tx.prepare_cached("DELETE FROM logged_requests WHERE seq <= (SELECT max(seq) FROM logged_requests) - $1")?;
    surplus.execute([newest])?;
    // They were written about as they came: those before the first that is young enough are old.
    let mut old = tx.prepare_cached(
        "DELETE FROM logged_requests WHERE seq < (SELECT coalesce(
             (SELECT seq FROM logged_requests WHERE at >= $1 ORDER BY seq LIMIT 1),
             (SELECT max(seq) + 1 FROM logged_requests)))",
    )?;
    old.execute([since])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<LoggedRequest> {
    let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(|number| number.max(0) as u64));
    let limit = match (number("limit_count")?, number("limit_remaining")?, row.get("limit_seconds")?) {
        (Some(limit), Some(remaining), Some(seconds)) => Some(LimitState { limit, remaining, seconds }),
        _ => None,
    };
    Ok(LoggedRequest {
        seq: row.get("seq")?,
        at: at(row, "at")?,
        request_id: row.get("request_id")?,
        method: row.get("method")?,
        path: row.get("path")?,
        route: row.get("route")?,
        status: row.get("status")?,
        duration_us: number("duration_us")?.unwrap_or(0),
        error: row.get("error")?,
        key_id: row.get("key_id")?,
        account_id: row.get("account_id")?,
        ip: row.get::<_, String>("ip")?.parse().map_err(damaged)?,
        user_agent: row.get("user_agent")?,
        request_bytes: number("request_bytes")?,
        response_bytes: number("response_bytes")?,
        limit,
    })
}
