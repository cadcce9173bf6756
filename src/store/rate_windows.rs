//! Windows that are under way, kept over a restart.

use rusqlite::{Connection, Transaction, params};

use crate::model::Result;
use crate::model::clock::Timestamp;

/// One window of an account or a key, named by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedWindow {
    pub subject: String,
    pub seconds: u32,
    pub used: u64,
    pub ends_at: Timestamp,
}

/// Those that have not ended.
pub fn list(conn: &Connection, now: Timestamp) -> Result<Vec<SavedWindow>> {
    let mut all = conn.prepare_cached("SELECT subject, seconds, used, ends_at FROM rate_windows WHERE ends_at > $1")?;
    let rows = all.query_map(params![now], |row| {
        let used: i64 = row.get(2)?;
        let ends_at = Timestamp::from_millis(row.get(3)?);
        Ok(SavedWindow { subject: row.get(0)?, seconds: row.get(1)?, used: used.max(0) as u64, ends_at })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// In two statements as in [`super::usage::add`].
pub fn save(tx: &Transaction, windows: &[SavedWindow]) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE rate_windows SET used = $1, ends_at = $2 WHERE subject = $3 AND seconds = $4")?;
    let mut insert = tx.prepare_cached("INSERT INTO rate_windows (used, ends_at, subject, seconds) VALUES ($1, $2, $3, $4)")?;
    for window in windows {
        let used = i64::try_from(window.used).unwrap_or(i64::MAX);
        let row = params![used, window.ends_at, window.subject, window.seconds];
        if set.execute(row)? == 0 {
            insert.execute(row)?;
        }
    }
    Ok(())
}

pub fn sweep(tx: &Transaction, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM rate_windows WHERE ends_at <= $1", params![now])?;
    Ok(())
}
