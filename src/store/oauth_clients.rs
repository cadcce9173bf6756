//! OAuth clients and their secrets.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, Conditions};
use super::{at, at_opt, damaged, scopes};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{ClientId, UserId};
use crate::model::name::fold;
use crate::model::oauth_client::{ClientKind, OauthClient};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::redirect_uri::RedirectUri;
use crate::model::scope::ScopeSet;

const COLUMNS: &str =
    "id, user_id, name, kind, redirect_uris, scopes, hint, old_hint, old_expires_at, created_at, updated_at, revision";

/// In order of creation; `q` is the beginning of a name, or a whole id.
pub fn list(conn: &Connection, q: Option<&str>, place: (Start<ClientId>, Order, Limit)) -> Result<Page<OauthClient>> {
    let mut conditions = Conditions::default();
    match q.map(|q| (q, ClientId::parse(&q.to_lowercase()))) {
        None => {}
        Some((_, Some(id))) => conditions.add("id = {}", id),
        Some((q, None)) => {
            conditions.among_beginning("oauth_clients", "name_folded >= {low} AND name_folded < {high}", &fold(q));
        }
    }
    lists::page(conn, &format!("SELECT {COLUMNS} FROM oauth_clients"), "id", conditions, place, from_row)
}

pub fn find(conn: &Connection, id: ClientId) -> Result<Option<OauthClient>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM oauth_clients WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// Whose secret this is, if it works at `now`.
pub fn holder_of(conn: &Connection, secret: SecretHash, now: Timestamp) -> Result<Option<ClientId>> {
    let mut one =
        conn.prepare_cached("SELECT client_id FROM client_secrets WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)")?;
    Ok(one.query_row(params![secret, now], |row| row.get(0)).optional()?)
}

pub struct Insert<'a> {
    pub user_id: UserId,
    pub name: &'a str,
    pub kind: ClientKind,
    pub redirect_uris: &'a [RedirectUri],
    pub scopes: ScopeSet,
    /// None for a public client.
    pub secret: Option<(SecretHash, &'a str)>,
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<OauthClient> {
    let sql = format!(
        "INSERT INTO oauth_clients (id, user_id, name, name_folded, kind, redirect_uris, scopes, hint, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING {COLUMNS}"
    );
    let values = params![
        ClientId::new(),
        new.user_id,
        new.name,
        fold(new.name),
        new.kind.name(),
        uris_json(new.redirect_uris),
        new.scopes.to_string(),
        new.secret.map(|(_, hint)| hint).unwrap_or_default(),
        now
    ];
    let client = tx.prepare_cached(&sql)?.query_row(values, from_row)?;
    if let Some((hash, _)) = new.secret {
        insert_secret(tx, client.id, hash, now)?;
    }
    Ok(client)
}

pub fn update(tx: &Transaction, client: &OauthClient, now: Timestamp) -> Result<OauthClient> {
    let sql = format!(
        "UPDATE oauth_clients SET name = $1, name_folded = $2, redirect_uris = $3, scopes = $4, updated_at = $5,
             revision = revision + 1
         WHERE id = $6 RETURNING {COLUMNS}"
    );
    let values =
        params![client.name, fold(&client.name), uris_json(&client.redirect_uris), client.scopes.to_string(), now, client.id];
    Ok(tx.prepare_cached(&sql)?.query_row(values, from_row)?)
}

/// Gives the client a new secret. The one that was active works until `old_ends`; whatever was older ends now.
pub fn rotate(
    tx: &Transaction,
    id: ClientId,
    (hash, hint): (SecretHash, &str),
    old_ends: Option<Timestamp>,
    now: Timestamp,
) -> Result<OauthClient> {
    delete_old_secret(tx, id)?;
    match old_ends {
        Some(end) => {
            tx.prepare_cached("UPDATE client_secrets SET expires_at = $1 WHERE client_id = $2")?.execute(params![end, id])?;
        }
        None => {
            tx.prepare_cached("DELETE FROM client_secrets WHERE client_id = $1")?.execute([id])?;
        }
    }
    insert_secret(tx, id, hash, now)?;
    let sql = format!(
        "UPDATE oauth_clients SET old_hint = CASE WHEN $1 IS NULL THEN NULL ELSE hint END, old_expires_at = $1, hint = $2,
             updated_at = $3, revision = revision + 1
         WHERE id = $4 RETURNING {COLUMNS}"
    );
    Ok(tx.prepare_cached(&sql)?.query_row(params![old_ends, hint, now, id], from_row)?)
}

/// The older secret of a rotation ends now.
pub fn end_old_secret(tx: &Transaction, id: ClientId, now: Timestamp) -> Result<OauthClient> {
    delete_old_secret(tx, id)?;
    let sql = format!(
        "UPDATE oauth_clients SET old_hint = NULL, old_expires_at = NULL, updated_at = $1, revision = revision + 1
         WHERE id = $2 RETURNING {COLUMNS}"
    );
    Ok(tx.prepare_cached(&sql)?.query_row(params![now, id], from_row)?)
}

/// The client, with its secrets, grants, codes and tokens.
pub fn delete(tx: &Transaction, id: ClientId) -> Result<()> {
    tx.prepare_cached("DELETE FROM oauth_clients WHERE id = $1")?.execute([id])?;
    Ok(())
}

/// Forgets the older secrets that have ended.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM client_secrets WHERE expires_at <= $1", params![now])?;
    Ok(())
}

fn insert_secret(tx: &Transaction, client: ClientId, hash: SecretHash, now: Timestamp) -> Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO client_secrets (hash, client_id, created_at) VALUES ($1, $2, $3)")?;
    insert.execute(params![hash, client, now])?;
    Ok(())
}

fn delete_old_secret(tx: &Transaction, client: ClientId) -> Result<()> {
    tx.prepare_cached("DELETE FROM client_secrets WHERE client_id = $1 AND expires_at IS NOT NULL")?.execute([client])?;
    Ok(())
}

fn uris_json(uris: &[RedirectUri]) -> String {
    serde_json::Value::from_iter(uris.iter().map(RedirectUri::as_str)).to_string()
}

fn from_row(row: &Row) -> rusqlite::Result<OauthClient> {
    let uris: Vec<String> = serde_json::from_str(&row.get::<_, String>("redirect_uris")?).map_err(damaged)?;
    let uris = uris.iter().map(|uri| RedirectUri::parse(uri)).collect::<Result<_, _>>();
    let old: Option<String> = row.get("old_hint")?;
    Ok(OauthClient {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        name: row.get("name")?,
        kind: ClientKind::parse(&row.get::<_, String>("kind")?).map_err(|problem| damaged(problem.message))?,
        redirect_uris: uris.map_err(|problem| damaged(problem.message))?,
        scopes: scopes(row, "scopes")?,
        hint: row.get("hint")?,
        old_secret: old.zip(at_opt(row, "old_expires_at")?),
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
        revision: row.get("revision")?,
    })
}
