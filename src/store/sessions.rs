//! Sessions of the dashboard, by the hash of their cookie.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{at, damaged};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{SessionId, UserId};
use crate::model::session::Session;

const COLUMNS: &str = "id, user_id, created_at, last_seen_at, expires_at, ip, user_agent";

pub fn insert(tx: &Transaction, token: SecretHash, session: &Session) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, ip, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )?;
    insert.execute(params![
        token,
        session.id,
        session.user_id,
        session.created_at,
        session.last_seen_at,
        session.expires_at,
        session.ip.map(|ip| ip.to_string()),
        session.user_agent
    ])?;
    Ok(())
}

pub fn find(conn: &Connection, token: SecretHash) -> Result<Option<Session>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE token_hash = $1"))?;
    Ok(one.query_row([token], from_row).optional()?)
}

/// The latest used first. Some may be over.
pub fn list_of(conn: &Connection, user: UserId) -> Result<Vec<Session>> {
    const MOST: u32 = 200;
    let mut all = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE user_id = $1 ORDER BY last_seen_at DESC LIMIT {MOST}"))?;
    Ok(all.query_map([user], from_row)?.collect::<Result<_, _>>()?)
}

/// Whether there was one.
pub fn delete_one(tx: &Transaction, user: UserId, id: SessionId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM sessions WHERE id = $1 AND user_id = $2")?.execute(params![id, user])? > 0)
}

/// All sessions of the user but the one that is kept, if one is.
pub fn delete_others(tx: &Transaction, user: UserId, kept: Option<SessionId>) -> Result<()> {
    let kept = kept.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    tx.prepare_cached("DELETE FROM sessions WHERE user_id = $1 AND id <> $2")?.execute(params![user, kept])?;
    Ok(())
}

pub fn touch(tx: &Transaction, token: SecretHash, now: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE sessions SET last_seen_at = $1 WHERE token_hash = $2")?.execute(params![now, token])?;
    Ok(())
}

pub fn delete(tx: &Transaction, token: SecretHash) -> Result<()> {
    tx.prepare_cached("DELETE FROM sessions WHERE token_hash = $1")?.execute([token])?;
    Ok(())
}

pub fn delete_all_of(tx: &Transaction, user: UserId) -> Result<()> {
    tx.prepare_cached("DELETE FROM sessions WHERE user_id = $1")?.execute([user])?;
    Ok(())
}

pub fn sweep(tx: &Transaction, now: Timestamp, idle_since: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2", params![now, idle_since])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Session> {
    let ip: Option<String> = row.get("ip")?;
    Ok(Session {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        created_at: at(row, "created_at")?,
        last_seen_at: at(row, "last_seen_at")?,
        expires_at: at(row, "expires_at")?,
        ip: ip.map(|text| text.parse().map_err(damaged)).transpose()?,
        user_agent: row.get("user_agent")?,
    })
}
