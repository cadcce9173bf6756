//! The audit log: rows that are only added, each with a hash over itself and the row before.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::lists::{self, Conditions};
use super::webhook_events::{self, Event};
use super::{at, damaged};
use crate::model::Result;
use crate::model::audit_event::{
    ActorFilter, AuditEvent, AuditFilter, Broken, ChainHash, EventActor, Happening, Head, How, Target,
};
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, AuditEventId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::webhook::EventType;

/// The actor's name is the one that the log last told of them then: it stays when they are gone.
const SELECT: &str = "SELECT seq, id, at, actor_kind, actor_id, account_id, action, target_kind, target_id, target_name, diff, ip,
    request_id, prev_hash, hash,
    (SELECT named.target_name FROM audit_events named
     WHERE named.target_id = audit_events.actor_id AND named.seq <= audit_events.seq ORDER BY named.seq DESC LIMIT 1) AS actor_name
    FROM audit_events";

/// Appends what happened, in the transaction of the change, and stores it for the webhooks that are told of it.
pub fn append(tx: &Transaction, caller: &Caller, now: Timestamp, account: Option<AccountId>, what: &Happening) -> Result<()> {
    let before = head(tx)?;
    let (actor_kind, actor_id) = match caller.actor {
        Actor::Key(id) => ("key", id.to_string()),
        Actor::User(id) => ("user", id.to_string()),
        Actor::Token(grant, _) => ("grant", grant.to_string()),
        Actor::Client(id) => ("client", id.to_string()),
        Actor::CommandLine => ("command_line", String::new()),
        Actor::System => ("system", String::new()),
    };
    let fields = Fields {
        seq: before.seq + 1,
        id: AuditEventId::new(),
        at: now,
        actor_kind: actor_kind.into(),
        actor_id,
        account,
        action: what.action.into(),
        target: what.target.clone(),
        diff: what.diff.to_string(),
        ip: caller.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        request_id: caller.request_id.as_deref().unwrap_or_default().into(),
    };
    let hash = fields.hash_after(&before.hash);
    let mut insert = tx.prepare_cached(
        "INSERT INTO audit_events (seq, id, at, actor_kind, actor_id, account_id, action, target_kind, target_id, target_name,
             diff, ip, request_id, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )?;
    insert.execute(params![
        fields.seq,
        fields.id,
        fields.at,
        fields.actor_kind,
        fields.actor_id,
        fields.account,
        fields.action,
        fields.target.kind,
        fields.target.id,
        fields.target.name,
        fields.diff,
        fields.ip,
        fields.request_id,
        before.hash.0.as_slice(),
        hash.0.as_slice()
    ])?;
    match EventType::parse(what.action) {
        Some(kind) => webhook_events::store(tx, &Event { id: fields.id, kind, account, at: now }, || what.data()),
        None => Ok(()),
    }
}

pub fn is_empty(conn: &Connection) -> Result<bool> {
    Ok(!conn.prepare_cached("SELECT 1 FROM audit_events LIMIT 1")?.exists([])?)
}

/// The last event's place in the chain.
pub fn head(conn: &Connection) -> Result<Head> {
    let mut last = conn.prepare_cached("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1")?;
    let found = last.query_row([], |row| Ok(Head { seq: row.get("seq")?, hash: ChainHash(row.get("hash")?) })).optional()?;
    Ok(found.unwrap_or(Head::START))
}

pub fn list(conn: &Connection, filter: &AuditFilter, place: (Start<i64>, Order, Limit)) -> Result<Page<AuditEvent>> {
    let mut conditions = Conditions::default();
    if let Some(account) = filter.account {
        conditions.add("account_id = {}", account);
    }
    match &filter.actor {
        Some(ActorFilter::Id(id)) => conditions.add("actor_id = {}", id.clone()),
        Some(ActorFilter::CommandLine) => conditions.add("actor_id = '' AND actor_kind = {}", "command_line"),
        Some(ActorFilter::System) => conditions.add("actor_id = '' AND actor_kind = {}", "system"),
        None => {}
    }
    if let Some(action) = &filter.action {
        conditions.add("action = {}", action.clone());
    }
    if let Some(target) = &filter.target {
        conditions.add("target_id = {}", target.clone());
    }
    if let Some(request) = &filter.request_id {
        conditions.add("request_id <> '' AND request_id = {}", request.clone());
    }
    if let Some(id) = filter.id {
        conditions.add("id = {}", id);
    }
    // By place and not by time, so that the order needs no sorting; events follow one another in both alike.
    if let Some(since) = filter.since {
        conditions.add("seq >= {}", first_since(conn, since)?);
    }
    if let Some(before) = filter.before {
        conditions.add("seq < {}", first_since(conn, before)?);
    }
    lists::page(conn, SELECT, "seq", conditions, place, from_row)
}

/// What this one did and what was done to it, the latest first; from before `before` on.
pub fn list_concerning(conn: &Connection, id: &str, before: Option<i64>, limit: u32) -> Result<Vec<AuditEvent>> {
    // Each half ends at the limit, so that a long history costs no more than a short one.
    let mut places = conn.prepare_cached(
        "SELECT seq FROM (SELECT seq FROM audit_events WHERE actor_id = $1 AND actor_id <> '' AND seq < $2 ORDER BY seq DESC LIMIT $3)
         UNION
         SELECT seq FROM (SELECT seq FROM audit_events WHERE target_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3)
         ORDER BY seq DESC LIMIT $3",
    )?;
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE seq = $1"))?;
    let places = places.query_map(params![id, before.unwrap_or(i64::MAX), limit], |row| row.get::<_, i64>(0))?;
    places.map(|seq| Ok(one.query_row([seq?], from_row)?)).collect()
}

/// The place of the first event of that time or later; past the end where there is none.
fn first_since(conn: &Connection, since: Timestamp) -> Result<i64> {
    let mut first = conn.prepare_cached("SELECT seq FROM audit_events WHERE at >= $1 ORDER BY at, seq LIMIT 1")?;
    Ok(first.query_row([since], |row| row.get(0)).optional()?.unwrap_or(i64::MAX))
}

pub fn find(conn: &Connection, id: AuditEventId) -> Result<Option<AuditEvent>> {
    let mut one = conn.prepare_cached(&format!("{SELECT} WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

/// When the oldest event was.
pub fn earliest(conn: &Connection) -> Result<Option<Timestamp>> {
    let mut first = conn.prepare_cached("SELECT at FROM audit_events ORDER BY seq LIMIT 1")?;
    Ok(first.query_row([], |row| at(row, "at")).optional()?)
}

/// The hash of the event at this place.
pub fn hash_at(conn: &Connection, seq: i64) -> Result<Option<ChainHash>> {
    let mut one = conn.prepare_cached("SELECT hash FROM audit_events WHERE seq = $1")?;
    Ok(one.query_row([seq], |row| row.get(0).map(ChainHash)).optional()?)
}

/// Follows the chain from a place on, so many events at most. Gives how far it is sound, and what is not.
pub fn verify(conn: &Connection, from: Head, limit: u32) -> Result<(Head, Option<Broken>)> {
    let mut next = conn.prepare_cached(
        "SELECT seq, id, at, actor_kind, actor_id, account_id, action, target_kind, target_id, target_name, diff, ip, request_id,
             prev_hash, hash
         FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2",
    )?;
    let mut rows = next.query(params![from.seq, limit])?;
    let mut sound = from;
    while let Some(row) = rows.next()? {
        let seq = sound.seq + 1;
        let broken = |how| Ok((sound, Some(Broken { seq, how })));
        if row.get::<_, i64>("seq")? != seq {
            return broken(How::Missing);
        }
        // What cannot be read any more was not written so.
        let Ok((fields, prev, hash)) = linked(row) else { return broken(How::Changed) };
        if prev != sound.hash {
            return broken(How::Unlinked);
        }
        if fields.hash_after(&prev) != hash {
            return broken(How::Changed);
        }
        sound = Head { seq, hash };
    }
    Ok((sound, None))
}

fn linked(row: &Row) -> rusqlite::Result<(Fields, ChainHash, ChainHash)> {
    Ok((Fields::from_row(row)?, ChainHash(row.get("prev_hash")?), ChainHash(row.get("hash")?)))
}

fn from_row(row: &Row) -> rusqlite::Result<AuditEvent> {
    let (fields, prev_hash, hash) = linked(row)?;
    let named: Option<String> = row.get("actor_name")?;
    let name = named.filter(|_| !fields.actor_id.is_empty()).unwrap_or_default();
    Ok(AuditEvent {
        seq: fields.seq,
        id: fields.id,
        at: fields.at,
        actor: EventActor { kind: fields.actor_kind, id: fields.actor_id, name },
        account_id: fields.account,
        action: fields.action,
        target: fields.target,
        diff: serde_json::from_str(&fields.diff).map_err(damaged)?,
        ip: fields.ip,
        request_id: fields.request_id,
        prev_hash,
        hash,
    })
}

/// What the hash of an event covers besides the hash before it.
struct Fields {
    seq: i64,
    id: AuditEventId,
    at: Timestamp,
    actor_kind: String,
    actor_id: String,
    account: Option<AccountId>,
    action: String,
    target: Target,
    diff: String,
    ip: String,
    request_id: String,
}

impl Fields {
    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get("seq")?,
            id: row.get("id")?,
            at: at(row, "at")?,
            actor_kind: row.get("actor_kind")?,
            actor_id: row.get("actor_id")?,
            account: row.get("account_id")?,
            action: row.get("action")?,
            target: Target { kind: row.get("target_kind")?, id: row.get("target_id")?, name: row.get("target_name")? },
            diff: row.get("diff")?,
            ip: row.get("ip")?,
            request_id: row.get("request_id")?,
        })
    }

    /// SHA-256 over the hash before and the fields, each behind its length, so that no two rows read alike.
    fn hash_after(&self, prev: &ChainHash) -> ChainHash {
        let mut hasher = Sha256::new();
        hasher.update(prev.0);
        for field in [
            self.seq.to_string().as_str(),
            &self.id.to_string(),
            &self.at.millis().to_string(),
            &self.actor_kind,
            &self.actor_id,
            &self.account.map(|id| id.to_string()).unwrap_or_default(),
            &self.action,
            &self.target.kind,
            &self.target.id,
            &self.target.name,
            &self.diff,
            &self.ip,
            &self.request_id,
        ] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        ChainHash(hasher.finalize().into())
    }
}
