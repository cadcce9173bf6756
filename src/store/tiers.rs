//! Tiers: named sets of windows.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::damaged;
use crate::model::clock::Timestamp;
use crate::model::name::fold;
use crate::model::tier::{Tier, Windows};
use crate::model::{AppError, Result};

const COLUMNS: &str = "name, windows";

pub fn list(conn: &Connection) -> Result<Vec<Tier>> {
    let mut all = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM tiers ORDER BY created_at, name_folded"))?;
    Ok(all.query_map([], from_row)?.collect::<Result<_, _>>()?)
}

pub fn find(conn: &Connection, name: &str) -> Result<Option<Tier>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM tiers WHERE name_folded = $1"))?;
    Ok(one.query_row([fold(name)], from_row).optional()?)
}

/// Adds a tier, or gives the one of this name these windows.
pub fn set(tx: &Transaction, tier: &Tier, now: Timestamp) -> Result<()> {
    let mut set = tx.prepare_cached(
        "INSERT INTO tiers (name, name_folded, windows, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (name_folded) DO UPDATE SET name = excluded.name, windows = excluded.windows, updated_at = excluded.updated_at",
    )?;
    set.execute(params![tier.name, fold(&tier.name), to_json(&tier.windows), now])?;
    Ok(())
}

/// Whether there was one. A tier that accounts have is kept, with their number as the reason.
pub fn delete(tx: &Transaction, name: &str) -> Result<bool> {
    let having: i64 = tx.query_row("SELECT count(*) FROM accounts WHERE tier = $1", [fold(name)], |row| row.get(0))?;
    if having > 0 {
        return Err(AppError::invalid("name", "in_use", format!("{having} accounts have this tier. Give them another first.")));
    }
    Ok(tx.prepare_cached("DELETE FROM tiers WHERE name_folded = $1")?.execute([fold(name)])? > 0)
}

fn from_row(row: &Row) -> rusqlite::Result<Tier> {
    Ok(Tier { name: row.get("name")?, windows: windows_from_json(&row.get::<_, String>("windows")?)? })
}

pub fn to_json(windows: &Windows) -> String {
    serde_json::to_string(windows).expect("windows are plain numbers")
}

pub fn windows_from_json(text: &str) -> rusqlite::Result<Windows> {
    let windows = serde_json::from_str(text).map_err(damaged)?;
    Windows::new(windows).map_err(damaged)
}
