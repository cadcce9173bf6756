//! Accounts, found by id and by name.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::tiers::{to_json, windows_from_json};
use super::{at, damaged, violated_unique};
use crate::model::account::{Account, AccountStatus, NewAccount};
use crate::model::clock::Timestamp;
use crate::model::ids::AccountId;
use crate::model::name::fold;
use crate::model::{AppError, Result};

const COLUMNS: &str = "id, accounts.name AS name, (SELECT tiers.name FROM tiers WHERE tiers.name_folded = accounts.tier) AS tier,
    windows, status, created_at, updated_at, revision";

pub fn find(conn: &Connection, id: AccountId) -> Result<Option<Account>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

pub fn find_by_name(conn: &Connection, name: &str) -> Result<Option<Account>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE name_folded = $1"))?;
    Ok(one.query_row([fold(name)], from_row).optional()?)
}

/// Oldest first, after the given one.
pub fn list(conn: &Connection, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>> {
    let mut page = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id > $1 ORDER BY id LIMIT $2"))?;
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    Ok(page.query_map(params![after, limit], from_row)?.collect::<Result<_, _>>()?)
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
        "UPDATE accounts SET name = $1, name_folded = $2, tier = $3, windows = $4, status = $5, updated_at = $6,
         revision = revision + 1 WHERE id = $7 RETURNING {COLUMNS}"
    );
    let values = params![
        account.name,
        fold(&account.name),
        account.tier.as_deref().map(fold),
        account.windows.as_ref().map(to_json),
        account.status.name(),
        now,
        account.id
    ];
    tx.prepare_cached(&sql)?.query_row(values, from_row).map_err(meaning)
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
        status: AccountStatus::parse(&row.get::<_, String>("status")?).map_err(|problem| damaged(problem.message))?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
        revision: row.get("revision")?,
    })
}
