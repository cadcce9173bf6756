//! Files of users that somebody is looking at before they are imported.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::model::Result;
use crate::model::clock::Timestamp;

pub fn insert(tx: &Transaction, code: &str, text: &str, expires_at: Timestamp) -> Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO user_imports (code, text, expires_at) VALUES ($1, $2, $3)")?;
    insert.execute(params![code, text, expires_at])?;
    Ok(())
}

pub fn find(conn: &Connection, code: &str, now: Timestamp) -> Result<Option<String>> {
    let mut one = conn.prepare_cached("SELECT text FROM user_imports WHERE code = $1 AND expires_at > $2")?;
    Ok(one.query_row(params![code, now], |row| row.get(0)).optional()?)
}

/// Whether this was the one who took it.
pub fn take(tx: &Transaction, code: &str, now: Timestamp) -> Result<bool> {
    let mut taken = tx.prepare_cached("DELETE FROM user_imports WHERE code = $1 AND expires_at > $2 RETURNING code")?;
    Ok(taken.exists(params![code, now])?)
}

pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.prepare_cached("DELETE FROM user_imports WHERE expires_at <= $1")?.execute([now])?;
    Ok(())
}
