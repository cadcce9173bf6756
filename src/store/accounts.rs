//! Accounts, found by id and by name, and listed by page.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, By, Conditions};
use super::tiers::{to_json, windows_from_json};
use super::{at, at_opt, damaged, violated_foreign_key, violated_unique};
use crate::model::account::{Account, AccountStatus, Given, NewAccount, Reason, Source};
use crate::model::api_key::Metadata;
use crate::model::clock::Timestamp;
use crate::model::ids::AccountId;
use crate::model::name::fold;
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::{AppError, Result};

const COLUMNS: &str = "id, accounts.name AS name, (SELECT tiers.name FROM tiers WHERE tiers.name_folded = accounts.tier) AS tier,
    windows, windows_reason, windows_by, windows_at, metadata, status, created_at, updated_at, revision";

/// What a list of accounts is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The beginning of a name, or a whole id.
    pub q: Option<String>,
    pub limits: Option<Source>,
    pub status: Option<AccountStatus>,
}

impl Filter {
    fn narrows(&self) -> bool {
        self.q.is_some() || self.limits.is_some() || self.status.is_some()
    }

    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(q) = &self.q {
            match AccountId::parse(&q.to_lowercase()) {
                Some(id) => conditions.add("id = {}", id),
                None => conditions.among_beginning("accounts", "name_folded >= {low} AND name_folded < {high}", &fold(q)),
            }
        }
        match &self.limits {
            None => {}
            Some(Source::Own) => conditions.among_those("accounts", "windows IS NOT NULL"),
            Some(Source::Default) => conditions.among_those("accounts", "windows IS NULL AND tier IS NULL"),
            Some(Source::Tier(tier)) => conditions.among("accounts", "tier = {} AND windows IS NULL", fold(tier)),
        }
        match self.status {
            None => {}
            Some(AccountStatus::Suspended) => conditions.among_those("accounts", "status = 'suspended'"),
            Some(AccountStatus::Active) => conditions.add("status = {}", AccountStatus::Active.name()),
        }
        conditions
    }
}

/// In order of creation.
pub fn list(conn: &Connection, filter: &Filter, place: (Start<AccountId>, Order, Limit)) -> Result<Page<Account>> {
    let select = format!("SELECT {COLUMNS} FROM accounts");
    let page = lists::page(conn, &select, "id", filter.conditions(), place, from_row)?;
    counted(conn, filter, page)
}

/// By name.
pub fn list_by_name(conn: &Connection, filter: &Filter, place: (Start<AccountId>, Order, Limit)) -> Result<Page<Account>> {
    const BY_NAME: By = By { value: "name_folded", of_row: "SELECT name_folded FROM accounts WHERE id = {}", id: "id" };
    let select = format!("SELECT {COLUMNS} FROM accounts");
    let page = lists::page_by(conn, &select, BY_NAME, filter.conditions(), place, from_row)?;
    counted(conn, filter, page)
}

fn counted(conn: &Connection, filter: &Filter, mut page: Page<Account>) -> Result<Page<Account>> {
    if !filter.narrows() {
        page.total = Some(lists::total(conn, "accounts", None)?);
    }
    Ok(page)
}

/// How many users and keys an account has.
pub fn counts(conn: &Connection, id: AccountId) -> Result<(u64, u64)> {
    Ok((lists::total(conn, "users", Some(id))?, lists::total(conn, "api_keys", Some(id))?))
}

pub fn find(conn: &Connection, id: AccountId) -> Result<Option<Account>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

pub fn find_by_name(conn: &Connection, name: &str) -> Result<Option<Account>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE name_folded = $1"))?;
    Ok(one.query_row([fold(name)], from_row).optional()?)
}

/// How many accounts have a tier.
pub fn count_of_tier(conn: &Connection, tier: &str) -> Result<u64> {
    let mut one = conn.prepare_cached("SELECT count(*) FROM accounts WHERE tier = $1")?;
    let count: i64 = one.query_row([fold(tier)], |row| row.get(0))?;
    Ok(count.max(0).unsigned_abs())
}

/// How many accounts a tier's windows hold for, and how many keys those have.
pub fn reach_of_tier(conn: &Connection, tier: &str) -> Result<(u64, u64)> {
    let mut one = conn.prepare_cached(
        "SELECT count(*), coalesce(sum((SELECT r.count FROM row_counts r WHERE r.noun = 'api_keys' AND r.account_id = a.id)), 0)
         FROM accounts a WHERE a.tier = $1 AND a.windows IS NULL",
    )?;
    let number = |count: i64| count.max(0).unsigned_abs();
    Ok(one.query_row([fold(tier)], |row| Ok((number(row.get(0)?), number(row.get(1)?))))?)
}

/// Some of the accounts that a tier's windows hold for, each with how many keys it has.
pub fn ids_within_tier(conn: &Connection, tier: &str, limit: u32) -> Result<Vec<(AccountId, u64)>> {
    let mut some = conn.prepare_cached(
        "SELECT a.id, coalesce((SELECT r.count FROM row_counts r WHERE r.noun = 'api_keys' AND r.account_id = a.id), 0)
         FROM accounts a WHERE a.tier = $1 AND a.windows IS NULL LIMIT $2",
    )?;
    let rows =
        some.query_map(params![fold(tier), limit], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0).unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Some of the accounts that have a tier.
pub fn list_of_tier(conn: &Connection, tier: &str, limit: u32) -> Result<Vec<Account>> {
    let mut some = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE tier = $1 LIMIT $2"))?;
    Ok(some.query_map(params![fold(tier), limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Gives some of the accounts of a tier another one, or none; how many it were.
pub fn move_tier(tx: &Transaction, from: &str, to: Option<&str>, limit: u32, now: Timestamp) -> Result<u64> {
    let mut moved = tx.prepare_cached(
        "UPDATE accounts SET tier = $1, updated_at = $2, revision = revision + 1
         WHERE id IN (SELECT id FROM accounts WHERE tier = $3 LIMIT $4)",
    )?;
    Ok(moved.execute(params![to.map(fold), now, fold(from), limit])? as u64)
}

pub fn insert(tx: &Transaction, new: &NewAccount, now: Timestamp) -> Result<Account> {
    let sql = format!(
        "INSERT INTO accounts (id, name, name_folded, tier, status, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'active', $5, $5) RETURNING {COLUMNS}"
    );
    let values = params![AccountId::new(), new.name.as_str(), new.name.folded(), new.tier.as_deref().map(fold), now];
    tx.prepare_cached(&sql)?.query_row(values, from_row).map_err(meaning)
}

pub fn update(tx: &Transaction, account: &Account, now: Timestamp) -> Result<Account> {
    let sql = format!(
        "UPDATE accounts SET name = $1, name_folded = $2, tier = $3, windows = $4, windows_reason = $5, windows_by = $6,
         windows_at = $7, metadata = $8, status = $9, updated_at = $10, revision = revision + 1 WHERE id = $11 RETURNING {COLUMNS}"
    );
    let values = params![
        account.name,
        fold(&account.name),
        account.tier.as_deref().map(fold),
        account.windows.as_ref().map(to_json),
        account.given.as_ref().map(|given| given.reason.as_str()),
        account.given.as_ref().map(|given| given.by.as_str()),
        account.given.as_ref().map(|given| given.at),
        account.metadata.to_json(),
        account.status.name(),
        now,
        account.id
    ];
    tx.prepare_cached(&sql)?.query_row(values, from_row).map_err(meaning)
}

/// Whether it went: it stays while anything belongs to it.
pub fn delete(tx: &Transaction, id: AccountId) -> Result<bool> {
    match tx.prepare_cached("DELETE FROM accounts WHERE id = $1")?.execute([id]) {
        Ok(deleted) => Ok(deleted > 0),
        Err(err) if violated_foreign_key(&err) => Ok(false),
        Err(err) => Err(err.into()),
    }
}

fn meaning(err: rusqlite::Error) -> AppError {
    match violated_unique(&err) {
        Some("accounts.name_folded") => AppError::invalid("name", "taken", "There is an account of this name already."),
        _ => err.into(),
    }
}

fn from_row(row: &Row) -> rusqlite::Result<Account> {
    let windows: Option<String> = row.get("windows")?;
    Ok(Account {
        id: row.get("id")?,
        name: row.get("name")?,
        tier: row.get("tier")?,
        windows: windows.map(|text| windows_from_json(&text)).transpose()?,
        given: given(row)?,
        metadata: metadata_from_json(&row.get::<_, String>("metadata")?)?,
        status: AccountStatus::parse(&row.get::<_, String>("status")?).map_err(|problem| damaged(problem.message))?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
        revision: row.get("revision")?,
    })
}

fn given(row: &Row) -> rusqlite::Result<Option<Given>> {
    let (reason, at): (Option<String>, _) = (row.get("windows_reason")?, at_opt(row, "windows_at")?);
    let (Some(reason), Some(at)) = (reason, at) else { return Ok(None) };
    let reason = Reason::parse(&reason).map_err(|problem| damaged(problem.message))?;
    Ok(Some(Given { reason, by: row.get::<_, Option<String>>("windows_by")?.unwrap_or_default(), at }))
}

pub(super) fn metadata_from_json(text: &str) -> rusqlite::Result<Metadata> {
    Metadata::new(serde_json::from_str(text).map_err(damaged)?).map_err(|problem| damaged(problem.message))
}
