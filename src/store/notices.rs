//! Notices: one that stands for each kind and key, and those that were dismissed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{at, at_opt, damaged};
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{ApiKeyId, NoticeId};
use crate::model::notice::{Notice, NoticeKind};

const SELECT: &str = "SELECT id, kind, key_id, detail, count, first_at, last_at, dismissed_at FROM notices";
/// How long a notice is kept after it happened last. That a key was reported is kept as long as the key.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// What happened, before it is a notice.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: NoticeKind,
    pub key_id: Option<ApiKeyId>,
    pub detail: String,
    pub count: u64,
}

/// Whether a new notice stands for it, rather than one that stood already, or none since its key is gone.
pub fn note(tx: &Transaction, event: &Event, now: Timestamp) -> Result<bool> {
    let count = i64::try_from(event.count).unwrap_or(i64::MAX);
    let whose = if event.key_id.is_some() { "key_id = $5" } else { "key_id IS NULL AND $5 IS NULL" };
    let mut again = tx.prepare_cached(&format!(
        "UPDATE notices SET detail = $1, count = count + $2, last_at = $3
         WHERE kind = $4 AND {whose} AND dismissed_at IS NULL RETURNING id"
    ))?;
    if again.exists(params![event.detail, count, now, event.kind.name(), event.key_id])? {
        return Ok(false);
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO notices (id, kind, key_id, detail, count, first_at, last_at)
         SELECT $1, $2, $3, $4, $5, $6, $6 WHERE $3 IS NULL OR EXISTS (SELECT 1 FROM api_keys WHERE id = $3)",
    )?;
    Ok(insert.execute(params![NoticeId::new(), event.kind.name(), event.key_id, event.detail, count, now])? > 0)
}

/// When this last happened to all requests, whether or not it was dismissed.
pub fn last_of_all(conn: &Connection, kind: NoticeKind) -> Result<Option<Timestamp>> {
    let mut one = conn.prepare_cached("SELECT max(last_at) AS last_at FROM notices WHERE kind = $1 AND key_id IS NULL")?;
    Ok(one.query_row([kind.name()], |row| at_opt(row, "last_at"))?)
}

/// Those that stand, the latest first.
pub fn list_standing(conn: &Connection, limit: u32) -> Result<Vec<Notice>> {
    let mut all = conn.prepare_cached(&format!("{SELECT} WHERE dismissed_at IS NULL ORDER BY last_at DESC LIMIT $1"))?;
    Ok(all.query_map([limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Those of one key, the latest first, the dismissed ones too.
pub fn list_of_key(conn: &Connection, key: ApiKeyId, limit: u32) -> Result<Vec<Notice>> {
    let mut all = conn.prepare_cached(&format!("{SELECT} WHERE key_id = $1 ORDER BY last_at DESC LIMIT $2"))?;
    Ok(all.query_map(params![key, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// None: it does not stand, or no longer.
pub fn dismiss(tx: &Transaction, id: NoticeId, now: Timestamp) -> Result<Option<Notice>> {
    let mut dismiss = tx.prepare_cached(
        "UPDATE notices SET dismissed_at = $1 WHERE id = $2 AND dismissed_at IS NULL
         RETURNING id, kind, key_id, detail, count, first_at, last_at, dismissed_at",
    )?;
    Ok(dismiss.query_row(params![now, id], from_row).optional()?)
}

/// Forgets what is older than it is kept.
pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    let mut old = tx.prepare_cached("DELETE FROM notices WHERE last_at < $1 AND kind <> 'reported'")?;
    old.execute([now.saturating_sub(KEPT)])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Notice> {
    let kind: String = row.get("kind")?;
    Ok(Notice {
        id: row.get("id")?,
        kind: NoticeKind::parse(&kind).ok_or_else(|| damaged(&kind))?,
        key_id: row.get("key_id")?,
        detail: row.get("detail")?,
        count: row.get::<_, i64>("count")?.max(0) as u64,
        first_at: at(row, "first_at")?,
        last_at: at(row, "last_at")?,
        dismissed_at: at_opt(row, "dismissed_at")?,
    })
}
