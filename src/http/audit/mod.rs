//! Audit events as people and programs read them: sentences, what changed, and the formats of the export.

mod changes;
mod csv;
mod words;

pub use changes::{Change, changes};
pub use csv::{CSV_HEAD, csv_row};
pub use words::{KNOWN, actor_words, sentence};

use serde::Serialize;
use serde_json::Value;

use crate::model::audit_event::AuditEvent;
use crate::model::clock::Timestamp;

/// An event as programs get it.
#[derive(Serialize)]
pub struct AuditEventBody<'a> {
    seq: i64,
    id: String,
    created_at: Timestamp,
    actor: Named<'a>,
    action: &'a str,
    target: Named<'a>,
    account_id: Option<String>,
    changes: &'a Value,
    ip: Option<&'a str>,
    request_id: Option<&'a str>,
    prev_hash: String,
    hash: String,
}

#[derive(Serialize)]
struct Named<'a> {
    kind: &'a str,
    id: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> From<&'a AuditEvent> for AuditEventBody<'a> {
    fn from(event: &'a AuditEvent) -> Self {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        let named = |kind, id, name| Named { kind, id: some(id), name: some(name) };
        Self {
            seq: event.seq,
            id: event.id.to_string(),
            created_at: event.at,
            actor: named(&event.actor.kind, &event.actor.id, &event.actor.name),
            action: &event.action,
            target: named(&event.target.kind, &event.target.id, &event.target.name),
            account_id: event.account_id.map(|id| id.to_string()),
            changes: &event.diff,
            ip: some(&event.ip),
            request_id: some(&event.request_id),
            prev_hash: event.prev_hash.to_string(),
            hash: event.hash.to_string(),
        }
    }
}
