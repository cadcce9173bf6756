//! One-time links and forms: setup links, and the nonces of forms that show a secret once.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;

/// Keeps the new link and forgets those before it.
pub fn insert_link(tx: &Transaction, code: SecretHash, now: Timestamp, expires_at: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM setup_links", [])?;
    tx.execute(
        "INSERT INTO setup_links (code_hash, created_at, expires_at) VALUES ($1, $2, $3)",
        params![code, now, expires_at],
    )?;
    Ok(())
}

/// When the link ends, unless it was used or never was.
pub fn link_ends_at(conn: &Connection, code: SecretHash) -> Result<Option<Timestamp>> {
    let mut one = conn.prepare_cached("SELECT expires_at FROM setup_links WHERE code_hash = $1 AND used_at IS NULL")?;
    Ok(one.query_row([code], |row| row.get(0)).optional()?.map(Timestamp::from_millis))
}

/// Whether this was the one use of the link.
pub fn use_link(tx: &Transaction, code: SecretHash, now: Timestamp) -> Result<bool> {
    let mut used = tx.prepare_cached(
        "UPDATE setup_links SET used_at = $1 WHERE code_hash = $2 AND used_at IS NULL AND expires_at > $1 RETURNING code_hash",
    )?;
    Ok(used.exists(params![now, code])?)
}

/// What a form made, if it was answered before.
pub fn made_by_form(conn: &Connection, nonce: SecretHash) -> Result<Option<String>> {
    let mut one = conn.prepare_cached("SELECT made FROM form_nonces WHERE nonce_hash = $1")?;
    Ok(one.query_row([nonce], |row| row.get(0)).optional()?)
}

pub fn remember_form(tx: &Transaction, nonce: SecretHash, made: &str, expires_at: Timestamp) -> Result<()> {
    let mut set = tx.prepare_cached("INSERT INTO form_nonces (nonce_hash, made, expires_at) VALUES ($1, $2, $3)")?;
    set.execute(params![nonce, made, expires_at])?;
    Ok(())
}

pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM form_nonces WHERE expires_at <= $1", params![now])?;
    tx.execute("DELETE FROM setup_links WHERE expires_at <= $1", params![now])?;
    Ok(())
}
