//! Webhooks: their settings, their sealed secrets, and the queue that they form when there is something to send.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, Conditions};
use super::{at, at_opt, damaged};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, WebhookId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::webhook::{EventType, EventTypes, Webhook, WebhookStatus};

const SELECT: &str = "SELECT id, account_id, url, events, status, disabled_reason, failing_since, old_secret_ends_at, created_at,
    updated_at, revision FROM webhooks";

pub struct Insert<'a> {
    pub id: WebhookId,
    pub account_id: Option<AccountId>,
    pub url: &'a str,
    pub events: EventTypes,
    pub secret: &'a [u8],
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<Webhook> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO webhooks (id, account_id, url, events, status, secret, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'active', $5, $6, $6)",
    )?;
    insert.execute(params![new.id, new.account_id, new.url, new.events.names().join(" "), new.secret, now])?;
    must_find(tx, new.id)
}

pub fn find(conn: &Connection, id: WebhookId) -> Result<Option<Webhook>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// Those that are told of one account's events alone; none: all there are.
pub fn list(conn: &Connection, account: Option<AccountId>, place: (Start<WebhookId>, Order, Limit)) -> Result<Page<Webhook>> {
    let mut conditions = Conditions::default();
    if let Some(account) = account {
        conditions.add("account_id = {}", account);
    }
    lists::page(conn, SELECT, "id", conditions, place, from_row)
}

/// Those that an account has, or that are told of all accounts.
pub fn count(conn: &Connection, account: Option<AccountId>) -> Result<u64> {
    let count: i64 = match account {
        Some(account) => {
            let mut one = conn.prepare_cached("SELECT count(*) FROM webhooks WHERE account_id = $1")?;
            one.query_row([account], |row| row.get(0))?
        }
        None => conn.prepare_cached("SELECT count(*) FROM webhooks WHERE account_id IS NULL")?.query_row([], |row| row.get(0))?,
    };
    Ok(count.max(0) as u64)
}

/// How many do not take what they are sent, or were disabled for it.
pub fn count_failing(conn: &Connection) -> Result<u64> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM webhooks WHERE failing_since IS NOT NULL")?;
    Ok(count.query_row([], |row| row.get::<_, i64>(0))?.max(0) as u64)
}

/// The same, the longest first.
pub fn list_failing(conn: &Connection, limit: u32) -> Result<Vec<Webhook>> {
    let mut failing =
        conn.prepare_cached(&format!("{SELECT} WHERE failing_since IS NOT NULL ORDER BY failing_since LIMIT $1"))?;
    Ok(failing.query_map([limit], from_row)?.collect::<Result<_, _>>()?)
}

pub fn update(tx: &Transaction, webhook: &Webhook, now: Timestamp) -> Result<Webhook> {
    let mut update = tx.prepare_cached(
        "UPDATE webhooks SET url = $1, events = $2, status = $3, disabled_reason = $4, failing_since = $5, updated_at = $6,
             failures = CASE WHEN $5 IS NULL THEN 0 ELSE failures END, hold_until = CASE WHEN $5 IS NULL THEN 0 ELSE hold_until END,
             revision = revision + 1
         WHERE id = $7",
    )?;
    update.execute(params![
        webhook.url,
        webhook.events.names().join(" "),
        webhook.status.name(),
        webhook.disabled_reason,
        webhook.failing_since,
        now,
        webhook.id
    ])?;
    must_find(tx, webhook.id)
}

pub fn delete(tx: &Transaction, id: WebhookId) -> Result<()> {
    tx.prepare_cached("DELETE FROM webhooks WHERE id = $1")?.execute([id])?;
    Ok(())
}

/// The sealed secrets that sign now: the newer first.
pub fn secrets(conn: &Connection, id: WebhookId, now: Timestamp) -> Result<Vec<Vec<u8>>> {
    let mut one = conn.prepare_cached(
        "SELECT secret, CASE WHEN old_secret_ends_at > $1 THEN old_secret END AS old_secret FROM webhooks WHERE id = $2",
    )?;
    let found = one.query_row(params![now, id], |row| Ok((row.get("secret")?, row.get::<_, Option<Vec<u8>>>("old_secret")?)));
    Ok(found.optional()?.map(|(secret, old)| [Some(secret), old].into_iter().flatten().collect()).unwrap_or_default())
}

/// A new secret. The one before signs too until `old_ends`; none: it is forgotten.
pub fn rotate(tx: &Transaction, id: WebhookId, secret: &[u8], old_ends: Option<Timestamp>, now: Timestamp) -> Result<Webhook> {
    let mut rotate = tx.prepare_cached(
        "UPDATE webhooks SET old_secret = CASE WHEN $1 IS NULL THEN NULL ELSE secret END, old_secret_ends_at = $1, secret = $2,
             updated_at = $3, revision = revision + 1
         WHERE id = $4",
    )?;
    rotate.execute(params![old_ends, secret, now, id])?;
    must_find(tx, id)
}

/// Forgets the older secrets that have ended.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    let mut old =
        tx.prepare_cached("UPDATE webhooks SET old_secret = NULL, old_secret_ends_at = NULL WHERE old_secret_ends_at <= $1")?;
    old.execute([now])?;
    Ok(())
}

/// Who is to be told of an event of this account.
pub fn listening(conn: &Connection, account: Option<AccountId>, event: EventType) -> Result<Vec<WebhookId>> {
    let mut all = conn.prepare_cached(
        "SELECT id, events FROM webhooks WHERE (account_id = $1 OR account_id IS NULL) AND status <> 'disabled' ORDER BY id",
    )?;
    let rows = all.query_map([account], |row| Ok((row.get::<_, WebhookId>("id")?, events(row)?)))?;
    let mut listening = Vec::new();
    for row in rows {
        let (id, events) = row?;
        listening.extend(events.has(event).then_some(id));
    }
    Ok(listening)
}

/// Whether anybody would be told of anything.
pub fn has_any(conn: &Connection) -> Result<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM webhooks WHERE status <> 'disabled' LIMIT 1")?.exists([])?)
}

/// How the queue stands with one webhook.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub failures: u32,
    pub failing_since: Option<Timestamp>,
    /// Nothing is sent before.
    pub hold_until: Timestamp,
}

pub fn standing(conn: &Connection, id: WebhookId) -> Result<Option<Standing>> {
    let mut one = conn.prepare_cached("SELECT failures, failing_since, hold_until FROM webhooks WHERE id = $1")?;
    let read = |row: &Row| {
        Ok(Standing {
            failures: row.get("failures")?,
            failing_since: at_opt(row, "failing_since")?,
            hold_until: at(row, "hold_until")?,
        })
    };
    Ok(one.query_row([id], read).optional()?)
}

pub fn set_standing(tx: &Transaction, id: WebhookId, standing: &Standing) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE webhooks SET failures = $1, failing_since = $2, hold_until = $3 WHERE id = $4")?;
    set.execute(params![standing.failures, standing.failing_since, standing.hold_until, id])?;
    Ok(())
}

/// There is something to send at this time, or as soon as it may be sent.
pub fn queue(tx: &Transaction, id: WebhookId, due_at: Timestamp) -> Result<()> {
    let mut queue = tx.prepare_cached(
        "UPDATE webhooks SET due_at = CASE WHEN hold_until > $1 THEN hold_until ELSE $1 END
         WHERE id = $2 AND (due_at IS NULL OR (due_at > $1 AND due_at > hold_until))",
    )?;
    queue.execute(params![due_at, id])?;
    Ok(())
}

/// Takes its place anew, by what is pending.
pub fn requeue(tx: &Transaction, id: WebhookId) -> Result<()> {
    let mut requeue = tx.prepare_cached(
        "UPDATE webhooks SET due_at = (
             SELECT CASE WHEN webhooks.hold_until > min(next_attempt_at) THEN webhooks.hold_until ELSE min(next_attempt_at) END
             FROM webhook_deliveries WHERE webhook_id = webhooks.id AND status = 'pending')
         WHERE id = $1",
    )?;
    requeue.execute([id])?;
    Ok(())
}

/// Whose turn it is: those that have waited longest, of those that fail or of those that do not.
pub fn list_due(conn: &Connection, failing: bool, now: Timestamp, limit: usize) -> Result<Vec<WebhookId>> {
    let which = if failing { "IS NOT NULL" } else { "IS NULL" };
    let mut due = conn.prepare_cached(&format!(
        "SELECT id FROM webhooks WHERE status = 'active' AND failing_since {which} AND due_at <= $1 ORDER BY due_at LIMIT $2"
    ))?;
    Ok(due.query_map(params![now, limit as i64], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// When the next turn comes, of those that fail or of those that do not.
pub fn next_due_at(conn: &Connection, failing: bool, after: Timestamp) -> Result<Option<Timestamp>> {
    let which = if failing { "IS NOT NULL" } else { "IS NULL" };
    let mut next = conn.prepare_cached(&format!(
        "SELECT min(due_at) AS due_at FROM webhooks WHERE status = 'active' AND failing_since {which} AND due_at > $1"
    ))?;
    Ok(next.query_row([after], |row| at_opt(row, "due_at"))?)
}

/// Whether this is the first to tell that an account has exceeded this window, which ends at `until`.
pub fn tell_exceeded(tx: &Transaction, account: AccountId, seconds: u32, until: Timestamp, now: Timestamp) -> Result<bool> {
    let mut tell = tx.prepare_cached(
        "INSERT INTO exceeded_windows (account_id, seconds, until) VALUES ($1, $2, $3)
         ON CONFLICT (account_id, seconds) DO UPDATE SET until = excluded.until WHERE exceeded_windows.until <= $4
         RETURNING account_id",
    )?;
    Ok(tell.exists(params![account, seconds, until, now])?)
}

pub fn sweep_exceeded(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.prepare_cached("DELETE FROM exceeded_windows WHERE until <= $1")?.execute([now])?;
    Ok(())
}

fn must_find(tx: &Transaction, id: WebhookId) -> Result<Webhook> {
    Ok(tx.prepare_cached(&format!("{SELECT} WHERE id = $1"))?.query_row([id], from_row)?)
}

fn events(row: &Row) -> rusqlite::Result<EventTypes> {
    let names: String = row.get("events")?;
    EventTypes::parse(names.split_whitespace()).map_err(|problem| damaged(problem.message))
}

fn from_row(row: &Row) -> rusqlite::Result<Webhook> {
    let status: String = row.get("status")?;
    Ok(Webhook {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        url: row.get("url")?,
        events: events(row)?,
        status: WebhookStatus::parse(&status).ok_or_else(|| damaged(&status))?,
        disabled_reason: row.get("disabled_reason")?,
        failing_since: at_opt(row, "failing_since")?,
        old_secret_ends_at: at_opt(row, "old_secret_ends_at")?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
        revision: row.get("revision")?,
    })
}
