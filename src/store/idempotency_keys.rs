//! Answers that requests with an `Idempotency-Key` got.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;

/// Whose request it was, on what route, under what key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub owner: String,
    pub route: String,
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub request_hash: [u8; 32],
    pub status: u16,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub body: String,
}

pub fn find(conn: &Connection, request: &Request, now: Timestamp) -> Result<Option<Answer>> {
    let mut one = conn.prepare_cached(
        "SELECT request_hash, status, location, etag, body FROM idempotency_keys
         WHERE owner = $1 AND route = $2 AND key = $3 AND expires_at > $4",
    )?;
    Ok(one.query_row(params![request.owner, request.route, request.key, now], from_row).optional()?)
}

/// Takes the place of an answer that has expired; one that has not is a fault of the caller.
pub fn insert(tx: &Transaction, request: &Request, answer: &Answer, now: Timestamp, expires_at: Timestamp) -> Result<bool> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO idempotency_keys (owner, route, key, request_hash, status, location, etag, body, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (owner, route, key) DO UPDATE SET request_hash = excluded.request_hash, status = excluded.status,
             location = excluded.location, etag = excluded.etag, body = excluded.body, expires_at = excluded.expires_at
         WHERE idempotency_keys.expires_at <= $10
         RETURNING key",
    )?;
    let hash = SecretHash::from_bytes(answer.request_hash);
    Ok(insert.exists(params![
        request.owner,
        request.route,
        request.key,
        hash,
        answer.status,
        answer.location,
        answer.etag,
        answer.body,
        expires_at,
        now
    ])?)
}

pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM idempotency_keys WHERE expires_at <= $1", params![now])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Answer> {
    Ok(Answer { request_hash: row.get(0)?, status: row.get(1)?, location: row.get(2)?, etag: row.get(3)?, body: row.get(4)? })
}
