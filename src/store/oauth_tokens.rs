//! Access and refresh tokens, by their hash.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::holders::{self, Holder, holder_columns, holder_joins};
use super::{Cells, at, at_opt, damaged, scopes};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::grant::Granted;
use crate::model::ids::{ClientId, GrantId, UserId};
use crate::model::scope::ScopeSet;

/// An access token with all that decides on it: the holder is the user who allowed it, and for a client's own token
/// whoever registered the client.
const SELECT_PRESENTED: &str = concat!(
    "SELECT x.grant_id, g.client_id, c.name, g.user_id, x.scopes, c.scopes, x.created_at, x.expires_at, ",
    holder_columns!(),
    " FROM oauth_tokens x JOIN oauth_grants g ON g.id = x.grant_id JOIN oauth_clients c ON c.id = g.client_id
    JOIN users u ON u.id = coalesce(g.user_id, c.user_id) ",
    holder_joins!(),
    "WHERE x.hash = $1 AND x.kind = 'access'"
);

const COLUMNS: &str = "x.kind, x.grant_id, x.family, x.words, x.scopes, x.began_at, x.created_at, x.expires_at, x.used_at,
    g.client_id, g.user_id";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Access,
    Refresh,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Access, Self::Refresh].into_iter().find(|kind| kind.name() == text)
    }
}

#[derive(Debug)]
pub struct Presented {
    pub secret: SecretHash,
    pub grant_id: GrantId,
    pub client_id: ClientId,
    pub client_name: String,
    /// None: the client's own token.
    pub user_id: Option<UserId>,
    pub scopes: ScopeSet,
    /// The most that the client may still ask for.
    pub client_scopes: ScopeSet,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub holder: Holder,
}

pub fn find_presented(conn: &Connection, hash: SecretHash) -> Result<Option<Presented>> {
    let mut one = conn.prepare_cached(SELECT_PRESENTED)?;
    let presented = |row: &Row| {
        let mut cells = Cells::of(row);
        Ok(Presented {
            secret: hash,
            grant_id: cells.next()?,
            client_id: cells.next()?,
            client_name: cells.next()?,
            user_id: cells.next()?,
            scopes: cells.scopes()?,
            client_scopes: cells.scopes()?,
            created_at: cells.at()?,
            expires_at: cells.at()?,
            holder: holders::from_cells(&mut cells)?,
        })
    };
    Ok(one.query_row([hash], presented).optional()?)
}

/// A token of either kind, and whose it is.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub grant_id: GrantId,
    pub client_id: ClientId,
    pub user_id: Option<UserId>,
    pub family: SecretHash,
    pub granted: Granted,
    pub began_at: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

pub fn find(conn: &Connection, hash: SecretHash) -> Result<Option<Token>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_tokens x JOIN oauth_grants g ON g.id = x.grant_id WHERE x.hash = $1");
    Ok(conn.prepare_cached(&sql)?.query_row([hash], from_row).optional()?)
}

pub struct Insert<'a> {
    pub hash: SecretHash,
    pub kind: Kind,
    pub grant_id: GrantId,
    pub family: SecretHash,
    pub parent: Option<SecretHash>,
    pub granted: &'a Granted,
    pub began_at: Timestamp,
    pub expires_at: Timestamp,
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO oauth_tokens (hash, kind, grant_id, family, parent, words, scopes, began_at, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )?;
    insert.execute(params![
        new.hash,
        new.kind.name(),
        new.grant_id,
        new.family,
        new.parent,
        new.granted.words,
        new.granted.scopes.to_string(),
        new.began_at,
        now,
        new.expires_at
    ])?;
    Ok(())
}

/// Whether this is the one use of a refresh token.
pub fn rotate(tx: &Transaction, refresh: SecretHash, now: Timestamp) -> Result<bool> {
    let mut used = tx.prepare_cached(
        "UPDATE oauth_tokens SET used_at = $1 WHERE hash = $2 AND kind = 'refresh' AND used_at IS NULL AND expires_at > $1
         RETURNING hash",
    )?;
    Ok(used.exists(params![now, refresh])?)
}

/// Whether a refresh token may be used once more: it was used after `since`, nobody has retried it, and nothing that was
/// given for it was used in turn, so that the answer may have been lost.
pub fn retry(tx: &Transaction, refresh: SecretHash, since: Timestamp, now: Timestamp) -> Result<bool> {
    let mut retried = tx.prepare_cached(
        "UPDATE oauth_tokens SET retried_at = $1
         WHERE hash = $2 AND kind = 'refresh' AND used_at > $3 AND retried_at IS NULL AND expires_at > $1
             AND NOT EXISTS (SELECT 1 FROM oauth_tokens next WHERE next.parent = oauth_tokens.hash AND next.used_at IS NOT NULL)
         RETURNING hash",
    )?;
    Ok(retried.exists(params![now, refresh, since])?)
}

pub fn delete(tx: &Transaction, hash: SecretHash) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM oauth_tokens WHERE hash = $1")?.execute([hash])? > 0)
}

/// Everything that one code gave.
pub fn delete_family(tx: &Transaction, family: SecretHash) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM oauth_tokens WHERE family = $1")?.execute([family])? > 0)
}

/// Forgets tokens that ended before `since`: until then whoever presents one is told that it has expired.
pub fn sweep(tx: &Transaction, since: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM oauth_tokens WHERE expires_at <= $1", params![since])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Token> {
    Ok(Token {
        kind: Kind::parse(&row.get::<_, String>("kind")?).ok_or_else(|| damaged("kind"))?,
        grant_id: row.get("grant_id")?,
        client_id: row.get("client_id")?,
        user_id: row.get("user_id")?,
        family: SecretHash::from_bytes(row.get("family")?),
        granted: Granted { words: row.get("words")?, scopes: scopes(row, "scopes")? },
        began_at: at(row, "began_at")?,
        created_at: at(row, "created_at")?,
        expires_at: at(row, "expires_at")?,
        used_at: at_opt(row, "used_at")?,
    })
}
