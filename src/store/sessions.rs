//! Sessions of the dashboard, by the hash of their cookie.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{at, damaged};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{SessionId, UserId};
use crate::model::session::Session;

const COLUMNS: &str = "id, user_id, created_at, last_seen_at, expires_at, elevated_until, ip, user_agent";

pub fn insert(tx: &Transaction, token: SecretHash, session: &Session) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, elevated_until, ip, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )?;
    insert.execute(params![
        token,
        session.id,
        session.user_id,
        session.created_at,
        session.last_seen_at,
        session.expires_at,
        session.elevated_until,
        session.ip.map(|ip| ip.to_string()),
        session.user_agent
    ])?;
    Ok(())
}

pub fn find(conn: &Connection, token: SecretHash) -> Result<Option<Session>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE token_hash = $1"))?;
    Ok(one.query_row([token], from_row).optional()?)
}

/// The user's sessions that are not over, the last used first.
pub fn list_of(conn: &Connection, user: UserId, now: Timestamp, idle_since: Timestamp) -> Result<Vec<Session>> {
    let mut all = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sessions WHERE user_id = $1 AND expires_at > $2 AND last_seen_at > $3 ORDER BY last_seen_at DESC, id"
    ))?;
    Ok(all.query_map(params![user, now, idle_since], from_row)?.collect::<Result<_, _>>()?)
}

pub fn touch(tx: &Transaction, token: SecretHash, now: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE sessions SET last_seen_at = $1 WHERE token_hash = $2")?.execute(params![now, token])?;
    Ok(())
}

pub fn elevate(tx: &Transaction, token: SecretHash, until: Timestamp) -> Result<()> {
    tx.prepare_cached("UPDATE sessions SET elevated_until = $1 WHERE token_hash = $2")?.execute(params![until, token])?;
    Ok(())
}

/// The same session behind another cookie. Whether it was there.
pub fn renew(tx: &Transaction, old: SecretHash, new: SecretHash) -> Result<bool> {
    Ok(tx.prepare_cached("UPDATE sessions SET token_hash = $1 WHERE token_hash = $2")?.execute(params![new, old])? > 0)
}

pub fn delete(tx: &Transaction, token: SecretHash) -> Result<()> {
    tx.prepare_cached("DELETE FROM sessions WHERE token_hash = $1")?.execute([token])?;
    Ok(())
}

/// One session of the user, by the id that lists show. Whether it was there.
pub fn delete_of(tx: &Transaction, user: UserId, id: SessionId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM sessions WHERE id = $1 AND user_id = $2")?.execute(params![id, user])? > 0)
}

/// All sessions of the user but one, if one is named. How many there were.
pub fn delete_all_of(tx: &Transaction, user: UserId, but: Option<SecretHash>) -> Result<usize> {
    match but {
        Some(kept) => {
            let mut others = tx.prepare_cached("DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2")?;
            Ok(others.execute(params![user, kept])?)
        }
        None => Ok(tx.prepare_cached("DELETE FROM sessions WHERE user_id = $1")?.execute([user])?),
    }
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
        elevated_until: at(row, "elevated_until")?,
        ip: ip.map(|text| text.parse().map_err(damaged)).transpose()?,
        user_agent: row.get("user_agent")?,
    })
}
