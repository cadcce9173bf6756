//! Deliveries of events to webhooks, and the attempts that were made.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, Conditions};
use super::{at, at_opt, damaged, webhooks};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{DeliveryId, WebhookId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::webhook::{Attempt, Delivery, DeliveryStatus, EventId, EventType, Outcome};

const SELECT: &str =
    "SELECT d.id, d.webhook_id, d.event_id, e.type AS event_type, d.status, d.attempts, d.next_attempt_at, d.last_at,
    d.last_code, d.last_ms, d.last_error, d.created_at
    FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id";

/// What a list of deliveries is narrowed to.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub webhook: WebhookId,
    pub status: Option<DeliveryStatus>,
}

/// To be sent at that time. None: whoever asks sends it, and it has failed until they have.
pub fn insert(
    tx: &Transaction,
    webhook: WebhookId,
    event: EventId,
    next_attempt_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<DeliveryId> {
    let id = DeliveryId::new();
    let status = if next_attempt_at.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Failed };
    let mut insert = tx.prepare_cached(
        "INSERT INTO webhook_deliveries (id, webhook_id, event_id, status, next_attempt_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )?;
    insert.execute(params![id, webhook, event, status.name(), next_attempt_at, now])?;
    Ok(id)
}

pub fn list(conn: &Connection, filter: &Filter, place: (Start<DeliveryId>, Order, Limit)) -> Result<Page<Delivery>> {
    let mut conditions = Conditions::default();
    conditions.add("d.webhook_id = {}", filter.webhook);
    if let Some(status) = filter.status {
        conditions.add("d.status = {}", status.name());
    }
    lists::page(conn, SELECT, "d.id", conditions, place, from_row)
}

pub fn find(conn: &Connection, id: DeliveryId) -> Result<Option<Delivery>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE d.id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// Oldest first.
pub fn attempts(conn: &Connection, id: DeliveryId) -> Result<Vec<Attempt>> {
    let mut all = conn.prepare_cached(
        "SELECT number, at, url, signature, code, ms, error, content_type, excerpt FROM webhook_attempts
         WHERE delivery_id = $1 ORDER BY number",
    )?;
    let read = |row: &Row| {
        Ok(Attempt {
            number: row.get("number")?,
            url: row.get("url")?,
            signature: row.get("signature")?,
            outcome: Outcome {
                at: at(row, "at")?,
                response_code: row.get("code")?,
                response_time_ms: row.get::<_, i64>("ms")?.max(0) as u64,
                error: row.get("error")?,
            },
            content_type: row.get("content_type")?,
            excerpt: row.get("excerpt")?,
        })
    };
    Ok(all.query_map([id], read)?.collect::<Result<_, _>>()?)
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub id: DeliveryId,
    pub event_id: EventId,
}

/// Of those that are due, the one that was stored first.
pub fn next_of(conn: &Connection, webhook: WebhookId, now: Timestamp) -> Result<Option<Turn>> {
    // The plus keeps the order of the index: after an outage, all of a long queue is due.
    let mut next = conn.prepare_cached(
        "SELECT id, event_id FROM webhook_deliveries
         WHERE webhook_id = $1 AND status = 'pending' AND +next_attempt_at <= $2 ORDER BY id LIMIT 1",
    )?;
    let read = |row: &Row| Ok(Turn { id: row.get("id")?, event_id: row.get("event_id")? });
    Ok(next.query_row(params![webhook, now], read).optional()?)
}

/// Keeps an attempt, numbered after those before it.
pub fn insert_attempt(tx: &Transaction, id: DeliveryId, attempt: &Attempt) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO webhook_attempts (delivery_id, number, at, url, signature, code, ms, error, content_type, excerpt)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9 FROM webhook_attempts WHERE delivery_id = $1",
    )?;
    let Outcome { at, response_code, response_time_ms, error } = &attempt.outcome;
    insert.execute(params![
        id,
        at,
        attempt.url,
        attempt.signature,
        response_code,
        i64::try_from(*response_time_ms).unwrap_or(i64::MAX),
        error,
        attempt.content_type,
        attempt.excerpt
    ])?;
    Ok(())
}

/// Where a delivery stands after an attempt.
pub fn settle(
    tx: &Transaction,
    id: DeliveryId,
    status: DeliveryStatus,
    next_attempt_at: Option<Timestamp>,
    outcome: &Outcome,
) -> Result<()> {
    let mut settle = tx.prepare_cached(
        "UPDATE webhook_deliveries SET status = $1, next_attempt_at = $2, attempts = attempts + 1, last_at = $3, last_code = $4,
             last_ms = $5, last_error = $6
         WHERE id = $7",
    )?;
    let ms = i64::try_from(outcome.response_time_ms).unwrap_or(i64::MAX);
    settle.execute(params![status.name(), next_attempt_at, outcome.at, outcome.response_code, ms, outcome.error, id])?;
    Ok(())
}

/// Sends it again from the beginning, whatever became of it.
pub fn replay(tx: &Transaction, id: DeliveryId, now: Timestamp) -> Result<()> {
    let mut replay =
        tx.prepare_cached("UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = $1 WHERE id = $2")?;
    replay.execute(params![now, id])?;
    Ok(())
}

/// Sends all again that failed and are not older, but for tests, which are sent once. Gives how many there are.
pub fn replay_failed(tx: &Transaction, webhook: WebhookId, since: Timestamp, now: Timestamp) -> Result<usize> {
    let mut replay = tx.prepare_cached(
        "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = $1
         WHERE webhook_id = $2 AND status = 'failed' AND created_at >= $3
           AND (SELECT type FROM webhook_events WHERE webhook_events.id = event_id) <> $4",
    )?;
    let count = replay.execute(params![now, webhook, since, EventType::TEST])?;
    if count > 0 {
        webhooks::queue(tx, webhook, now)?;
    }
    Ok(count)
}

/// Gives up what is pending: nobody is there to take it.
pub fn give_up(tx: &Transaction, webhook: WebhookId) -> Result<()> {
    let mut give_up = tx.prepare_cached(
        "UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL WHERE webhook_id = $1 AND status = 'pending'",
    )?;
    give_up.execute([webhook])?;
    Ok(())
}

/// How many are pending and have failed.
pub fn counts(conn: &Connection, webhook: WebhookId) -> Result<(u64, u64)> {
    let count = |status: DeliveryStatus| {
        // Past a thousand nobody counts.
        let mut count = conn.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE webhook_id = $1 AND status = $2 LIMIT 1001) AS some",
        )?;
        count.query_row(params![webhook, status.name()], |row| row.get::<_, i64>(0))
    };
    Ok((count(DeliveryStatus::Pending)?.max(0) as u64, count(DeliveryStatus::Failed)?.max(0) as u64))
}

/// How many are on their way, of all webhooks.
pub fn count_waiting(conn: &Connection) -> Result<u64> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'")?;
    Ok(count.query_row([], |row| row.get::<_, i64>(0))?.max(0) as u64)
}

fn from_row(row: &Row) -> rusqlite::Result<Delivery> {
    let status: String = row.get("status")?;
    let last = match at_opt(row, "last_at")? {
        None => None,
        Some(at) => Some(Outcome {
            at,
            response_code: row.get("last_code")?,
            response_time_ms: row.get::<_, Option<i64>>("last_ms")?.unwrap_or(0).max(0) as u64,
            error: row.get("last_error")?,
        }),
    };
    Ok(Delivery {
        id: row.get("id")?,
        webhook_id: row.get("webhook_id")?,
        event_id: row.get("event_id")?,
        event_type: row.get("event_type")?,
        status: DeliveryStatus::parse(&status).map_err(|problem| damaged(problem.message))?,
        attempts: row.get("attempts")?,
        next_attempt_at: at_opt(row, "next_attempt_at")?,
        created_at: at(row, "created_at")?,
        last,
    })
}
