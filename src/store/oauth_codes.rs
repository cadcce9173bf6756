//! Authorization codes, each good for one use.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{damaged, scopes};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::grant::Granted;
use crate::model::ids::{ClientId, GrantId};
use crate::model::pkce::Challenge;

const COLUMNS: &str = "grant_id, redirect_uri, redirect_sent, challenge, words, scopes";

/// What a code stands for.
#[derive(Clone, Debug)]
pub struct Code {
    pub grant_id: GrantId,
    pub redirect_uri: String,
    /// The request named it, so the client must name it again.
    pub redirect_sent: bool,
    pub challenge: Option<Challenge>,
    pub granted: Granted,
}

pub fn insert(
    tx: &Transaction,
    hash: SecretHash,
    client: ClientId,
    code: &Code,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO oauth_codes (hash, grant_id, client_id, redirect_uri, redirect_sent, challenge, words, scopes, created_at,
             expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )?;
    insert.execute(params![
        hash,
        code.grant_id,
        client,
        code.redirect_uri,
        code.redirect_sent,
        code.challenge.as_ref().map(Challenge::as_str),
        code.granted.words,
        code.granted.scopes.to_string(),
        now,
        expires_at
    ])?;
    Ok(())
}

/// The one use of a code, whatever comes of it.
pub fn redeem(tx: &Transaction, hash: SecretHash, client: ClientId, now: Timestamp) -> Result<Option<Code>> {
    let mut used = tx.prepare_cached(&format!(
        "UPDATE oauth_codes SET used_at = $1 WHERE hash = $2 AND client_id = $3 AND used_at IS NULL AND expires_at > $1
         RETURNING {COLUMNS}"
    ))?;
    Ok(used.query_row(params![now, hash, client], from_row).optional()?)
}

/// A code of this client that was used before.
pub fn find_used(conn: &Connection, hash: SecretHash, client: ClientId) -> Result<Option<Code>> {
    let mut one = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM oauth_codes WHERE hash = $1 AND client_id = $2 AND used_at IS NOT NULL"
    ))?;
    Ok(one.query_row(params![hash, client], from_row).optional()?)
}

pub fn exists(conn: &Connection, hash: SecretHash) -> Result<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM oauth_codes WHERE hash = $1")?.exists([hash])?)
}

/// Forgets codes that ended before `since`: until then one that is sent again tells that somebody has a copy.
pub fn sweep(tx: &Transaction, since: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM oauth_codes WHERE expires_at <= $1", params![since])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Code> {
    let challenge: Option<String> = row.get("challenge")?;
    let challenge = challenge.map(|text| Challenge::parse(&text).ok_or_else(|| damaged("challenge"))).transpose()?;
    Ok(Code {
        grant_id: row.get("grant_id")?,
        redirect_uri: row.get("redirect_uri")?,
        redirect_sent: row.get("redirect_sent")?,
        challenge,
        granted: Granted { words: row.get("words")?, scopes: scopes(row, "scopes")? },
    })
}
