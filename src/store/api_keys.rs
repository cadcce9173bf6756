//! API keys and their secrets.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::accounts::metadata_from_json;
use super::holders::{Holder, holder_columns, holder_joins};
use super::lists::{self, Conditions};
use super::tiers::{to_json, windows_from_json};
use super::{Cells, damaged, holders};
use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::api_key::{ApiKey, IpAllow, KeyStatus, LastUse, Metadata, Rotation};
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId, UserId};
use crate::model::name::{Name, fold};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::ScopeSet;
use crate::model::tier::Windows;

macro_rules! columns {
    () => {
        "k.id, k.user_id, k.account_id, k.name, k.scopes, k.enabled, k.revoked_at, k.hint, k.created_at, k.updated_at,
    k.expires_at, k.last_used_at, k.last_used_ip, k.last_used_agent, k.ip_allow, k.windows, k.metadata, k.revision,
    new.created_at, k.old_hint, k.old_expires_at, old.last_used_at, old.last_used_ip, old.last_used_agent, old.requests, new.requests"
    };
}

macro_rules! secrets {
    () => {
        "LEFT JOIN key_secrets old ON old.key_id = k.id AND old.expires_at IS NOT NULL
    LEFT JOIN key_secrets new ON new.key_id = k.id AND new.expires_at IS NULL"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM api_keys k ", secrets!());

/// The same by an index that is named; empty: whichever SQLite takes.
pub(super) fn select(index: &str) -> String {
    let indexed = if index.is_empty() { String::new() } else { format!(" INDEXED BY {index}") };
    format!("SELECT {} FROM api_keys k{indexed} {}", columns!(), secrets!())
}

/// A secret, its key, and the key's owner and account.
const SELECT_PRESENTED: &str = concat!(
    "SELECT ",
    columns!(),
    ", s.hash, s.strip_prefix, s.expires_at, ",
    holder_columns!(),
    " FROM key_secrets s JOIN api_keys k ON k.id = s.key_id JOIN users u ON u.id = k.user_id ",
    holder_joins!(),
    secrets!()
);

/// What a list of keys is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: every account's.
    pub account: Option<AccountId>,
    pub user: Option<UserId>,
    pub status: Option<KeyStatus>,
    /// Those that are not revoked.
    pub without_revoked: bool,
    /// The beginning of a name or of its owner's email, or a whole id.
    pub q: Option<String>,
}

pub fn list(conn: &Connection, filter: &Filter, place: (Start<ApiKeyId>, Order, Limit), now: Timestamp) -> Result<Page<ApiKey>> {
    let mut conditions = Conditions::default();
    if let Some(account) = filter.account {
        conditions.add("k.account_id = {}", account);
    }
    if let Some(user) = filter.user {
        conditions.add("k.user_id = {}", user);
    }
    if filter.without_revoked {
        conditions.add("(k.revoked_at IS NULL OR k.revoked_at > {})", now);
    }
    match filter.status {
        None => {}
        Some(KeyStatus::Revoked) => conditions.add("k.revoked_at <= {}", now),
        Some(KeyStatus::Expired) => conditions.add("k.revoked_at IS NULL AND k.expires_at <= {}", now),
        Some(KeyStatus::Disabled) => {
            conditions.add("k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > {}) AND k.enabled = 0", now);
        }
        Some(KeyStatus::Rotating) => conditions.add(
            "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > {}) AND k.enabled = 1 AND k.old_expires_at > {}",
            now,
        ),
        Some(KeyStatus::Active) => conditions.add(
            "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > {}) AND k.enabled = 1
             AND (k.old_expires_at IS NULL OR k.old_expires_at <= {})",
            now,
        ),
    }
    if let Some(q) = &filter.q {
        match ApiKeyId::parse(&q.to_lowercase()) {
            Some(id) => conditions.add("k.id = {}", id),
            None => conditions.begins(
                "(k.name_folded >= {low} AND k.name_folded < {high}
                  OR k.user_id IN (SELECT id FROM users WHERE email_canonical >= {low} AND email_canonical < {high}))",
                &fold(q),
            ),
        }
    }
    let narrows = filter.user.is_some() || filter.status.is_some() || filter.without_revoked || filter.q.is_some();
    let mut page = lists::page(conn, SELECT, "k.id", conditions, place, from_row)?;
    if !narrows {
        page.total = Some(lists::total(conn, "api_keys", filter.account)?);
    }
    Ok(page)
}

pub fn find(conn: &Connection, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE k.id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// Keys that work, and end before `until`; those that end first come first.
pub fn list_expiring(conn: &Connection, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<ApiKey>> {
    let mut ending = conn.prepare_cached(&format!(
        "{SELECT} WHERE k.expires_at > $1 AND k.expires_at <= $2 AND k.revoked_at IS NULL AND k.enabled = 1
         ORDER BY k.expires_at LIMIT $3"
    ))?;
    Ok(ending.query_map(params![now, until, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Keys that work, end within this time, and were not told of since it began. Those that were made later are new enough.
pub fn list_to_tell(conn: &Connection, before: Duration, now: Timestamp, limit: u32) -> Result<Vec<ApiKey>> {
    let mut ending = conn.prepare_cached(&format!(
        "{SELECT} WHERE k.expires_at > $1 AND k.expires_at <= $2 AND k.revoked_at IS NULL AND k.enabled = 1
         AND k.created_at < k.expires_at - $3 AND (k.expiring_told IS NULL OR k.expiring_told < k.expires_at - $3)
         ORDER BY k.expires_at LIMIT $4"
    ))?;
    let millis = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
    let rows = ending.query_map(params![now, now.saturating_add(before), millis, limit], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether nobody told of it before: a key that was given another end is told of anew.
pub fn mark_told(tx: &Transaction, key: &ApiKey, before: Duration) -> Result<bool> {
    let Some(end) = key.expires_at else { return Ok(false) };
    let mut mark = tx.prepare_cached(
        "UPDATE api_keys SET expiring_told = $1 WHERE id = $2 AND expires_at = $3 AND revoked_at IS NULL
         AND (expiring_told IS NULL OR expiring_told < $1) RETURNING id",
    )?;
    Ok(mark.exists(params![end.saturating_sub(before), key.id, end])?)
}

/// Keys that work, are older than `since`, and were not used after it; those that were idle the longest come first.
pub fn list_unused(conn: &Connection, since: Timestamp, now: Timestamp, limit: u32) -> Result<Vec<ApiKey>> {
    let mut unused = conn.prepare_cached(&format!(
        "{SELECT} WHERE coalesce(k.last_used_at, k.created_at) < $1 AND k.ended = 0 AND k.enabled = 1
             AND (k.expires_at IS NULL OR k.expires_at > $2)
         ORDER BY coalesce(k.last_used_at, k.created_at), k.id LIMIT $3"
    ))?;
    Ok(unused.query_map(params![since, now, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// How many users had a key in use since then, up to one more than that many.
pub fn count_active_users(conn: &Connection, since: Timestamp, most: u32) -> Result<u64> {
    // Named, since SQLite would rather walk all keys in the order of their users.
    let mut one = conn.prepare_cached(
        "SELECT count(*) FROM (SELECT DISTINCT user_id FROM api_keys INDEXED BY api_keys_last_use WHERE last_used_at >= $1 LIMIT $2)",
    )?;
    let count: i64 = one.query_row(params![since, i64::from(most) + 1], |row| row.get(0))?;
    Ok(count.max(0) as u64)
}

/// How many keys were used since then.
pub fn count_used_since(conn: &Connection, since: Timestamp) -> Result<u64> {
    let mut one = conn.prepare_cached("SELECT count(*) FROM api_keys WHERE last_used_at >= $1")?;
    let count: i64 = one.query_row([since], |row| row.get(0))?;
    Ok(count.max(0).unsigned_abs())
}

/// A presented secret with all that decides on it, in one look-up.
#[derive(Debug)]
pub struct Presented {
    pub secret: SecretHash,
    /// What stands before the hashed part; empty but for imported keys.
    pub strip_prefix: String,
    /// When this secret of the key ends; only the older one of a rotation has an end of its own.
    pub secret_expires_at: Option<Timestamp>,
    pub key: ApiKey,
    pub holder: Holder,
}

pub fn find_presented(conn: &Connection, hash: SecretHash) -> Result<Option<Presented>> {
    let mut one = conn.prepare_cached(&format!("{SELECT_PRESENTED} WHERE s.hash = $1"))?;
    Ok(one.query_row([hash], presented).optional()?)
}

/// The active secret of a key, as if it were presented.
pub fn find_presented_of(conn: &Connection, id: ApiKeyId) -> Result<Option<Presented>> {
    let mut one = conn.prepare_cached(&format!("{SELECT_PRESENTED} WHERE s.key_id = $1 AND s.expires_at IS NULL"))?;
    Ok(one.query_row([id], presented).optional()?)
}

pub fn has_secret(conn: &Connection, hash: SecretHash) -> Result<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM key_secrets WHERE hash = $1")?.exists([hash])?)
}

/// What stands before the hashed part of imported keys, each once; empty: no key was imported.
pub fn strip_prefixes(conn: &Connection) -> Result<Vec<String>> {
    // Steps from each to the next in the index, so that a million imported keys cost no more than one.
    let mut all = conn.prepare_cached(
        "WITH RECURSIVE prefixes (prefix) AS (
             SELECT min(strip_prefix) FROM key_secrets WHERE strip_prefix IS NOT NULL
             UNION ALL
             SELECT (SELECT min(s.strip_prefix) FROM key_secrets s WHERE s.strip_prefix IS NOT NULL AND s.strip_prefix > prefix)
             FROM prefixes WHERE prefix IS NOT NULL
         )
         SELECT prefix FROM prefixes WHERE prefix IS NOT NULL",
    )?;
    Ok(all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn presented(row: &Row) -> rusqlite::Result<Presented> {
    let mut cells = Cells::of(row);
    Ok(Presented {
        key: from_cells(&mut cells)?,
        secret: SecretHash::from_bytes(cells.next()?),
        strip_prefix: cells.next::<Option<String>>()?.unwrap_or_default(),
        secret_expires_at: cells.at_opt()?,
        holder: holders::from_cells(&mut cells)?,
    })
}

pub struct Insert<'a> {
    pub user_id: UserId,
    pub account_id: AccountId,
    pub name: &'a Name,
    pub scopes: ScopeSet,
    pub expires_at: Option<Timestamp>,
    pub ip_allow: &'a IpAllow,
    pub windows: &'a Windows,
    pub metadata: &'a Metadata,
    pub hash: SecretHash,
    pub hint: &'a str,
    /// For imported keys: what stands before the part of the secret that was hashed.
    pub strip_prefix: Option<&'a str>,
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<ApiKey> {
    let id = ApiKeyId::new();
    let mut insert = tx.prepare_cached(
        "INSERT INTO api_keys (id, user_id, account_id, name, name_folded, scopes, enabled, expires_at, ip_allow, windows,
             metadata, hint, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12, $12)",
    )?;
    insert.execute(params![
        id,
        new.user_id,
        new.account_id,
        new.name.as_str(),
        new.name.folded(),
        new.scopes.to_string(),
        new.expires_at,
        ip_json(new.ip_allow),
        to_json(new.windows),
        new.metadata.to_json(),
        new.hint,
        now
    ])?;
    insert_secret(tx, id, (new.hash, new.hint), new.strip_prefix, now)?;
    Ok(ApiKey {
        id,
        user_id: new.user_id,
        account_id: new.account_id,
        name: new.name.as_str().to_owned(),
        scopes: new.scopes,
        enabled: true,
        revoked_at: None,
        hint: new.hint.to_owned(),
        created_at: now,
        updated_at: now,
        expires_at: new.expires_at,
        last_used: None,
        ip_allow: new.ip_allow.clone(),
        windows: new.windows.clone(),
        metadata: new.metadata.clone(),
        rotation: None,
        revision: 1,
    })
}

pub fn update(tx: &Transaction, key: &ApiKey, now: Timestamp) -> Result<ApiKey> {
    let mut update = tx.prepare_cached(
        "UPDATE api_keys SET name = $1, name_folded = $2, scopes = $3, enabled = $4, revoked_at = $5, expires_at = $6,
             ip_allow = $7, windows = $8, metadata = $9, updated_at = $10, revision = revision + 1,
             ended = CASE WHEN $5 IS NOT NULL OR $6 <= $10 THEN 1 ELSE 0 END
         WHERE id = $11",
    )?;
    update.execute(params![
        key.name,
        fold(&key.name),
        key.scopes.to_string(),
        key.enabled,
        key.revoked_at,
        key.expires_at,
        ip_json(&key.ip_allow),
        to_json(&key.windows),
        key.metadata.to_json(),
        now,
        key.id
    ])?;
    must_find(tx, key.id)
}

/// Gives the key a new secret. The one that was active works until `old_ends`; whatever was older ends now.
pub fn rotate(
    tx: &Transaction,
    key: &ApiKey,
    (hash, hint): (SecretHash, &str),
    old_ends: Option<Timestamp>,
    now: Timestamp,
) -> Result<ApiKey> {
    delete_old_secret(tx, key.id)?;
    match old_ends {
        Some(end) => {
            tx.prepare_cached("UPDATE key_secrets SET expires_at = $1, requests = 0 WHERE key_id = $2")?
                .execute(params![end, key.id])?;
        }
        None => {
            tx.prepare_cached("DELETE FROM key_secrets WHERE key_id = $1")?.execute([key.id])?;
        }
    }
    insert_secret(tx, key.id, (hash, hint), None, now)?;
    let mut update = tx.prepare_cached(
        "UPDATE api_keys SET old_hint = CASE WHEN $1 IS NULL THEN NULL ELSE hint END, old_expires_at = $1, hint = $2,
             updated_at = $3, revision = revision + 1
         WHERE id = $4",
    )?;
    update.execute(params![old_ends, hint, now, key.id])?;
    must_find(tx, key.id)
}

/// Moves the end of the older secret; none: it ends now.
pub fn end_old_secret(tx: &Transaction, id: ApiKeyId, at: Option<Timestamp>, now: Timestamp) -> Result<ApiKey> {
    match at {
        Some(end) => {
            let mut moved =
                tx.prepare_cached("UPDATE key_secrets SET expires_at = $1 WHERE key_id = $2 AND expires_at IS NOT NULL")?;
            moved.execute(params![end, id])?;
        }
        None => delete_old_secret(tx, id)?,
    }
    let mut update = tx.prepare_cached(
        "UPDATE api_keys SET old_hint = CASE WHEN $1 IS NULL THEN NULL ELSE old_hint END, old_expires_at = $1, updated_at = $2,
             revision = revision + 1
         WHERE id = $3",
    )?;
    update.execute(params![at, now, id])?;
    must_find(tx, id)
}

/// Uses to note: of a key, by one of its secrets.
#[derive(Clone, Debug)]
pub struct Use {
    pub key_id: ApiKeyId,
    pub secret: SecretHash,
    pub count: u64,
    pub last: LastUse,
}

pub fn note_uses(tx: &Transaction, uses: &[Use]) -> Result<()> {
    // Of two batches, or two processes, the later use stands.
    let mut secret = tx.prepare_cached(
        "UPDATE key_secrets SET requests = requests + $1,
             last_used_ip = CASE WHEN coalesce(last_used_at, 0) <= $2 THEN $3 ELSE last_used_ip END,
             last_used_agent = CASE WHEN coalesce(last_used_at, 0) <= $2 THEN $4 ELSE last_used_agent END,
             last_used_at = CASE WHEN coalesce(last_used_at, 0) <= $2 THEN $2 ELSE last_used_at END
         WHERE hash = $5",
    )?;
    let mut key = tx.prepare_cached(
        "UPDATE api_keys SET last_used_at = $1, last_used_ip = $2, last_used_agent = $3
         WHERE id = $4 AND coalesce(last_used_at, 0) <= $1",
    )?;
    for Use { key_id, secret: hash, count, last } in uses {
        let ip = last.ip.map(|ip| ip.to_string());
        secret.execute(params![i64::try_from(*count).unwrap_or(i64::MAX), last.at, ip, last.user_agent, hash])?;
        key.execute(params![last.at, ip, last.user_agent, key_id])?;
    }
    Ok(())
}

/// Forgets the older secrets that have ended.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM key_secrets WHERE expires_at <= $1", params![now])?;
    Ok(())
}

/// Marks some of the keys that are past their end, so that lists need not walk past them; whether there may be more.
/// Whether a key works is never read from this mark alone.
pub fn mark_ended(tx: &Transaction, now: Timestamp) -> Result<bool> {
    const SOME: u32 = 1_000;
    let mut mark = tx.prepare_cached(
        "UPDATE api_keys SET ended = 1
         WHERE id IN (SELECT id FROM api_keys WHERE expires_at <= $1 AND ended = 0 ORDER BY expires_at LIMIT $2)",
    )?;
    Ok(mark.execute(params![now, SOME])? == SOME as usize)
}

fn insert_secret(
    tx: &Transaction,
    key: ApiKeyId,
    (hash, hint): (SecretHash, &str),
    strip_prefix: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT INTO key_secrets (hash, key_id, hint, strip_prefix, created_at) VALUES ($1, $2, $3, $4, $5)")?;
    insert.execute(params![hash, key, hint, strip_prefix, now])?;
    Ok(())
}

fn delete_old_secret(tx: &Transaction, key: ApiKeyId) -> Result<()> {
    tx.prepare_cached("DELETE FROM key_secrets WHERE key_id = $1 AND expires_at IS NOT NULL")?.execute([key])?;
    Ok(())
}

fn must_find(tx: &Transaction, id: ApiKeyId) -> Result<ApiKey> {
    Ok(tx.prepare_cached(&format!("{SELECT} WHERE k.id = $1"))?.query_row([id], from_row)?)
}

pub(super) fn from_row(row: &Row) -> rusqlite::Result<ApiKey> {
    from_cells(&mut Cells::of(row))
}

/// From the next columns of a row, in the order of [`columns`].
fn from_cells(cells: &mut Cells) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: cells.next()?,
        user_id: cells.next()?,
        account_id: cells.next()?,
        name: cells.next()?,
        scopes: cells.scopes()?,
        enabled: cells.next()?,
        revoked_at: cells.at_opt()?,
        hint: cells.next()?,
        created_at: cells.at()?,
        updated_at: cells.at()?,
        expires_at: cells.at_opt()?,
        last_used: last_use(cells)?,
        ip_allow: ip_allow(cells.text()?)?,
        windows: windows_from_json(cells.text()?)?,
        metadata: metadata_from_json(cells.text()?)?,
        revision: cells.next()?,
        rotation: rotation(cells)?,
    })
}

fn last_use(cells: &mut Cells) -> rusqlite::Result<Option<LastUse>> {
    let (at, ip, agent) = (cells.at_opt()?, cells.next::<Option<String>>()?, cells.next::<Option<String>>()?);
    let Some(at) = at else { return Ok(None) };
    let ip = ip.map(|text| text.parse().map_err(damaged)).transpose()?;
    Ok(Some(LastUse { at, ip, user_agent: agent.unwrap_or_default() }))
}

fn rotation(cells: &mut Cells) -> rusqlite::Result<Option<Rotation>> {
    let (started_at, old_hint, old_expires_at) = (cells.at_opt()?, cells.next::<Option<String>>()?, cells.at_opt()?);
    let old_last_used = last_use(cells)?;
    let mut count = || Ok::<_, rusqlite::Error>(cells.next::<Option<i64>>()?.unwrap_or_default().unsigned_abs());
    let (old_requests, new_requests) = (count()?, count()?);
    Ok(match (started_at, old_hint, old_expires_at) {
        (Some(started_at), Some(old_hint), Some(old_expires_at)) => {
            Some(Rotation { started_at, old_hint, old_expires_at, old_last_used, old_requests, new_requests })
        }
        _ => None,
    })
}

fn ip_allow(json: &str) -> rusqlite::Result<IpAllow> {
    let entries: Vec<String> = serde_json::from_str(json).map_err(damaged)?;
    IpAllow::parse(entries.iter().map(String::as_str)).map_err(|problem| damaged(problem.message))
}

fn ip_json(allow: &IpAllow) -> String {
    serde_json::to_string(allow).expect("addresses are plain text")
}
