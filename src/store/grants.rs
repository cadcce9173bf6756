//! Grants: what users allowed clients.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, Conditions};
use super::{at, at_opt, damaged, scopes};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::grant::Grant;
use crate::model::ids::{AccountId, ClientId, GrantId, UserId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::ScopeSet;

const SELECT: &str = "SELECT g.id, g.client_id, c.name AS client_name, g.user_id, g.account_id, g.scopes, g.created_at,
    g.updated_at, g.last_used_at, g.last_used_ip FROM oauth_grants g JOIN oauth_clients c ON c.id = g.client_id";

/// What a list of grants is narrowed to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// None: every account's.
    pub account: Option<AccountId>,
    pub user: Option<UserId>,
    pub client: Option<ClientId>,
}

pub fn list(conn: &Connection, filter: Filter, place: (Start<GrantId>, Order, Limit)) -> Result<Page<Grant>> {
    let mut conditions = Conditions::default();
    if let Some(account) = filter.account {
        conditions.add("g.account_id = {}", account);
    }
    if let Some(user) = filter.user {
        conditions.add("g.user_id = {}", user);
    }
    if let Some(client) = filter.client {
        conditions.add("g.client_id = {}", client);
    }
    lists::page(conn, SELECT, "g.id", conditions, place, from_row)
}

pub fn find(conn: &Connection, id: GrantId) -> Result<Option<Grant>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE g.id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// What this user allowed this client.
pub fn find_of(conn: &Connection, client: ClientId, user: UserId) -> Result<Option<Grant>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE g.client_id = $1 AND g.user_id = $2"))?;
    Ok(one.query_row(params![client, user], from_row).optional()?)
}

/// The client's own.
pub fn find_own(conn: &Connection, client: ClientId) -> Result<Option<Grant>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE g.client_id = $1 AND g.user_id IS NULL"))?;
    Ok(one.query_row([client], from_row).optional()?)
}

/// All that a user allowed, in the order in which it was.
pub fn list_of_user(conn: &Connection, user: UserId) -> Result<Vec<Grant>> {
    let mut all = conn.prepare_cached(&format!("{SELECT} WHERE g.user_id = $1 ORDER BY g.id"))?;
    Ok(all.query_map([user], from_row)?.collect::<Result<_, _>>()?)
}

/// All that a client was allowed.
pub fn list_of_client(conn: &Connection, client: ClientId) -> Result<Vec<Grant>> {
    let mut all = conn.prepare_cached(&format!("{SELECT} WHERE g.client_id = $1 ORDER BY g.id"))?;
    Ok(all.query_map([client], from_row)?.collect::<Result<_, _>>()?)
}

pub struct Insert {
    pub client_id: ClientId,
    /// None: the client's own.
    pub user_id: Option<UserId>,
    pub account_id: AccountId,
    pub scopes: ScopeSet,
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<GrantId> {
    let id = GrantId::new();
    let mut insert = tx.prepare_cached(
        "INSERT INTO oauth_grants (id, client_id, user_id, account_id, scopes, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )?;
    insert.execute(params![id, new.client_id, new.user_id, new.account_id, new.scopes.to_string(), now])?;
    Ok(id)
}

pub fn set_scopes(tx: &Transaction, id: GrantId, scopes: ScopeSet, now: Timestamp) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE oauth_grants SET scopes = $1, updated_at = $2 WHERE id = $3")?;
    set.execute(params![scopes.to_string(), now, id])?;
    Ok(())
}

/// Whether this ended it: of two who ask at once, one did.
pub fn delete(tx: &Transaction, id: GrantId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM oauth_grants WHERE id = $1")?.execute([id])? > 0)
}

pub fn note_uses(tx: &Transaction, uses: &[(GrantId, Timestamp, Option<IpAddr>)]) -> Result<()> {
    let mut note = tx.prepare_cached(
        "UPDATE oauth_grants SET last_used_at = $1, last_used_ip = $2 WHERE id = $3 AND coalesce(last_used_at, 0) <= $1",
    )?;
    for (id, at, ip) in uses {
        note.execute(params![at, ip.map(|ip| ip.to_string()), id])?;
    }
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Grant> {
    let ip: Option<String> = row.get("last_used_ip")?;
    Ok(Grant {
        id: row.get("id")?,
        client_id: row.get("client_id")?,
        client_name: row.get("client_name")?,
        user_id: row.get("user_id")?,
        account_id: row.get("account_id")?,
        scopes: scopes(row, "scopes")?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
        last_used_at: at_opt(row, "last_used_at")?,
        last_used_ip: ip.map(|text| text.parse().map_err(damaged)).transpose()?,
    })
}
