//! Looking at a database without changing it: nothing is made, migrated or written.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{audit_events, configure, settings};
use crate::model::audit_event::Head;
use crate::model::clock::Timestamp;
use crate::model::{AppError, Result};

pub struct Inspection {
    pub schema: usize,
    /// What SQLite says of its structure: `ok`, or the first fault.
    pub structure: String,
    pub head: Head,
    pub first_broken: Option<i64>,
    pub last_event_at: Option<Timestamp>,
    pub settings: Vec<(String, String)>,
}

pub fn inspect(database: &Path) -> Result<Inspection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut conn = Connection::open_with_flags(database, flags)?;
    configure(&mut conn)?;
    let schema: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let structure: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if structure != "ok" {
        let (head, settings) = (Head::START, Vec::new());
        let schema = usize::try_from(schema).unwrap_or(0);
        return Ok(Inspection { schema, structure, head, first_broken: None, last_event_at: None, settings });
    }
    let last: Option<i64> = conn.query_row("SELECT max(at) FROM audit_events", [], |row| row.get(0)).map_err(AppError::from)?;
    Ok(Inspection {
        schema: usize::try_from(schema).unwrap_or(0),
        structure,
        head: audit_events::head(&conn)?,
        first_broken: audit_events::verify(&conn, Head::START, u32::MAX)?.1.map(|broken| broken.seq),
        last_event_at: last.map(Timestamp::from_millis),
        settings: settings::list(&conn)?,
    })
}
