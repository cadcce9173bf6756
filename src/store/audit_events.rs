//! The audit log: rows that are only added, each with a hash over itself and the row before.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use crate::model::Result;
use crate::model::audit_event::Happening;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, AuditEventId};

/// Appends what happened, in the transaction of the change.
pub fn append(tx: &Transaction, caller: &Caller, now: Timestamp, account: Option<AccountId>, what: &Happening) -> Result<()> {
    let last = tx
        .prepare_cached("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))
        .optional()?;
    let (seq, prev_hash) = last.map_or((1, [0; 32]), |(seq, hash)| (seq + 1, hash));
    let (actor_kind, actor_id) = match caller.actor {
        Actor::Key(id) => ("key", id.to_string()),
        Actor::User(id) => ("user", id.to_string()),
        Actor::Token(grant, _) => ("grant", grant.to_string()),
        Actor::Client(id) => ("client", id.to_string()),
        Actor::CommandLine => ("command_line", String::new()),
        Actor::System => ("system", String::new()),
    };
    let id = AuditEventId::new();
    let ip = caller.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let request_id = caller.request_id.as_deref().unwrap_or_default();
    let diff = what.diff.to_string();
    let account_text = account.map(|id| id.to_string()).unwrap_or_default();
    let hash = hash_of(
        &prev_hash,
        &[
            &seq.to_string(),
            &id.to_string(),
            &now.millis().to_string(),
            actor_kind,
            &actor_id,
            &account_text,
            what.action,
            what.target.kind,
            &what.target.id,
            &what.target.name,
            &diff,
            &ip,
            request_id,
        ],
    );
    let mut insert = tx.prepare_cached(
        "INSERT INTO audit_events (seq, id, at, actor_kind, actor_id, account_id, action, target_kind, target_id, target_name,
             diff, ip, request_id, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )?;
    insert.execute(params![
        seq,
        id,
        now,
        actor_kind,
        actor_id,
        account,
        what.action,
        what.target.kind,
        what.target.id,
        what.target.name,
        diff,
        ip,
        request_id,
        prev_hash.as_slice(),
        hash.as_slice()
    ])?;
    Ok(())
}

pub fn is_empty(conn: &Connection) -> Result<bool> {
    Ok(!conn.prepare_cached("SELECT 1 FROM audit_events LIMIT 1")?.exists([])?)
}

/// SHA-256 over the hash before and the fields, each behind its length, so that no two rows read alike.
fn hash_of(prev: &[u8; 32], fields: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(prev);
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().into()
}
