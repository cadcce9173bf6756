//! Links with which somebody sets their own password, by the hash of their code; at most one for each user.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{at, damaged};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;
use crate::model::password_link::{LinkKind, Pending};

const COLUMNS: &str = "user_id, kind, created_at, expires_at";

/// Keeps the new link of a user and forgets the one before it.
pub fn set(tx: &Transaction, user: UserId, code: SecretHash, pending: &Pending) -> Result<()> {
    let mut set = tx.prepare_cached(
        "INSERT INTO password_links (user_id, kind, code_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id) DO UPDATE SET kind = excluded.kind, code_hash = excluded.code_hash,
             created_at = excluded.created_at, expires_at = excluded.expires_at",
    )?;
    set.execute(params![user, pending.kind.name(), code, pending.created_at, pending.expires_at])?;
    Ok(())
}

pub fn find(conn: &Connection, code: SecretHash) -> Result<Option<(UserId, Pending)>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM password_links WHERE code_hash = $1"))?;
    Ok(one.query_row([code], |row| Ok((row.get("user_id")?, from_row(row)?))).optional()?)
}

pub fn find_of(conn: &Connection, user: UserId) -> Result<Option<Pending>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM password_links WHERE user_id = $1"))?;
    Ok(one.query_row([user], from_row).optional()?)
}

/// Uses the link up. None: it was used, was withdrawn, or has ended.
pub fn take(tx: &Transaction, code: SecretHash, now: Timestamp) -> Result<Option<UserId>> {
    let mut taken = tx.prepare_cached("DELETE FROM password_links WHERE code_hash = $1 AND expires_at > $2 RETURNING user_id")?;
    Ok(taken.query_row(params![code, now], |row| row.get("user_id")).optional()?)
}

/// Whether there was one.
pub fn delete_of(tx: &Transaction, user: UserId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM password_links WHERE user_id = $1")?.execute([user])? > 0)
}

/// Forgets what has ended. An invitation stays, so that whoever did not follow it is still listed as invited.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.prepare_cached("DELETE FROM password_links WHERE kind = 'reset' AND expires_at <= $1")?.execute([now])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Pending> {
    let kind: String = row.get("kind")?;
    Ok(Pending {
        kind: LinkKind::parse(&kind).ok_or_else(|| damaged(kind))?,
        created_at: at(row, "created_at")?,
        expires_at: at(row, "expires_at")?,
    })
}
