//! Second factors: sealed seeds, recovery codes by their hash, and sign-ins that wait for one of them.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;

/// The sealed seed, if the user has one.
pub fn seed(conn: &Connection, user: UserId) -> Result<Option<Vec<u8>>> {
    let mut one = conn.prepare_cached("SELECT totp_seed FROM users WHERE id = $1")?;
    Ok(one.query_row([user], |row| row.get(0)).optional()?.flatten())
}

/// Gives the user a seed, of which the code of this step was used.
pub fn set(tx: &Transaction, user: UserId, seed: &[u8], step: i64) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE users SET totp_seed = $1, totp_last_step = $2 WHERE id = $3")?;
    set.execute(params![seed, step, user])?;
    Ok(())
}

/// Takes seed and recovery codes away.
pub fn clear(tx: &Transaction, user: UserId) -> Result<()> {
    tx.prepare_cached("UPDATE users SET totp_seed = NULL, totp_last_step = 0 WHERE id = $1")?.execute([user])?;
    replace_codes(tx, user, &[])
}

/// Whether this was the first use of a code of this step or of a later one.
pub fn use_step(tx: &Transaction, user: UserId, step: i64) -> Result<bool> {
    let mut used = tx.prepare_cached(
        "UPDATE users SET totp_last_step = $1 WHERE id = $2 AND totp_seed IS NOT NULL AND totp_last_step < $1 RETURNING id",
    )?;
    Ok(used.exists(params![step, user])?)
}

/// These recovery codes in place of those before.
pub fn replace_codes(tx: &Transaction, user: UserId, codes: &[SecretHash]) -> Result<()> {
    tx.prepare_cached("DELETE FROM recovery_codes WHERE user_id = $1")?.execute([user])?;
    let mut insert = tx.prepare_cached("INSERT INTO recovery_codes (code_hash, user_id) VALUES ($1, $2)")?;
    for code in codes {
        insert.execute(params![code, user])?;
    }
    Ok(())
}

/// Whether this was the one use of a recovery code.
pub fn use_code(tx: &Transaction, user: UserId, code: SecretHash, now: Timestamp) -> Result<bool> {
    let mut used = tx.prepare_cached(
        "UPDATE recovery_codes SET used_at = $1 WHERE code_hash = $2 AND user_id = $3 AND used_at IS NULL RETURNING code_hash",
    )?;
    Ok(used.exists(params![now, code, user])?)
}

/// How many recovery codes are left.
pub fn codes_left(conn: &Connection, user: UserId) -> Result<u64> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL")?;
    Ok(count.query_row([user], |row| row.get::<_, i64>(0))?.max(0) as u64)
}

/// A sign-in whose password was right.
pub fn begin(tx: &Transaction, token: SecretHash, user: UserId, expires_at: Timestamp) -> Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT INTO half_sign_ins (token_hash, user_id, tries, expires_at) VALUES ($1, $2, 0, $3)")?;
    insert.execute(params![token, user, expires_at])?;
    Ok(())
}

/// Whose sign-in waits, if it does still.
pub fn waiting(conn: &Connection, token: SecretHash, now: Timestamp, tries: u32) -> Result<Option<UserId>> {
    let mut one =
        conn.prepare_cached("SELECT user_id FROM half_sign_ins WHERE token_hash = $1 AND expires_at > $2 AND tries < $3")?;
    Ok(one.query_row(params![token, now, tries], |row| row.get(0)).optional()?)
}

/// Counts a try before it is looked at; gives whose it is, as long as there are tries left.
pub fn try_once(tx: &Transaction, token: SecretHash, now: Timestamp, tries: u32) -> Result<Option<UserId>> {
    let mut counted = tx.prepare_cached(
        "UPDATE half_sign_ins SET tries = tries + 1 WHERE token_hash = $1 AND expires_at > $2 AND tries < $3 RETURNING user_id",
    )?;
    Ok(counted.query_row(params![token, now, tries], |row| row.get(0)).optional()?)
}

pub fn finish(tx: &Transaction, token: SecretHash) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM half_sign_ins WHERE token_hash = $1")?.execute([token])? == 1)
}

/// Ends what waits for this user: their password or their second factor is another one now.
pub fn end_all_of(tx: &Transaction, user: UserId) -> Result<()> {
    tx.prepare_cached("DELETE FROM half_sign_ins WHERE user_id = $1")?.execute([user])?;
    Ok(())
}

pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.prepare_cached("DELETE FROM half_sign_ins WHERE expires_at <= $1")?.execute([now])?;
    Ok(())
}
