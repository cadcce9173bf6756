//! Events as webhooks send them, stored with the change that they tell of, once for all who are told.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::{deliveries, webhooks};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::AccountId;
use crate::model::webhook::{EventId, EventType};

pub struct Event {
    pub id: EventId,
    pub kind: EventType,
    /// Whose it is.
    pub account: Option<AccountId>,
    pub at: Timestamp,
}

/// Stores an event for those who are told of it. Where nobody is, nothing is done.
pub fn store(tx: &Transaction, event: &Event, data: impl FnOnce() -> Value) -> Result<()> {
    let listening = webhooks::listening(tx, event.account, event.kind)?;
    if listening.is_empty() {
        return Ok(());
    }
    insert(tx, event.id, event.kind.name(), &data(), event.at)?;
    for webhook in listening {
        deliveries::insert(tx, webhook, event.id, Some(event.at), event.at)?;
        webhooks::queue(tx, webhook, event.at)?;
    }
    Ok(())
}

/// The body is written here, once: every attempt sends these very bytes.
pub fn insert(tx: &Transaction, id: EventId, kind: &str, data: &Value, now: Timestamp) -> Result<()> {
    let body = json!({ "id": id, "type": kind, "created_at": now, "data": data }).to_string();
    let mut insert = tx.prepare_cached("INSERT INTO webhook_events (id, type, body, created_at) VALUES ($1, $2, $3, $4)")?;
    insert.execute(params![id, kind, body, now])?;
    Ok(())
}

pub fn body(conn: &Connection, id: EventId) -> Result<Option<String>> {
    let mut one = conn.prepare_cached("SELECT body FROM webhook_events WHERE id = $1")?;
    Ok(one.query_row([id], |row| row.get(0)).optional()?)
}

/// Forgets so many of the events before then, with their deliveries. Gives how many there were.
pub fn sweep(tx: &Transaction, before: Timestamp, limit: u32) -> Result<usize> {
    let mut old = tx.prepare_cached(
        "DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
    )?;
    Ok(old.execute(params![before, limit])?)
}
