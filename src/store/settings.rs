//! What the dashboard stored: settings by name.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::model::Result;
use crate::model::clock::Timestamp;

pub fn list(conn: &Connection) -> Result<Vec<(String, String)>> {
    let mut all = conn.prepare_cached("SELECT name, value FROM settings ORDER BY name")?;
    Ok(all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

pub fn find(conn: &Connection, name: &str) -> Result<Option<String>> {
    let mut one = conn.prepare_cached("SELECT value FROM settings WHERE name = $1")?;
    Ok(one.query_row([name], |row| row.get(0)).optional()?)
}

pub fn set(tx: &Transaction, name: &str, value: &str, now: Timestamp) -> Result<()> {
    let mut set = tx.prepare_cached(
        "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )?;
    set.execute(params![name, value, now])?;
    Ok(())
}
