//! What SQLite alone allows: rows of a key's size into one table, each flushed to the disk (`synchronous=FULL`), one a transaction and
//! 32 a transaction. `raw_inserts DIR [SECONDS]`, printed as JSON.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| ".".into());
    let time = Duration::from_secs(args.next().and_then(|text| text.parse().ok()).unwrap_or(3));
    let single = rate(&Path::new(&dir).join("single.db"), 1, time)?;
    let grouped = rate(&Path::new(&dir).join("grouped.db"), 32, time)?;
    println!(r#"{{"single": {single:.1}, "grouped": {grouped:.1}}}"#);
    Ok(())
}

/// Rows a second.
fn rate(file: &Path, rows_each: u64, time: Duration) -> anyhow::Result<f64> {
    let mut conn = Connection::open(file)?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE keys (id BLOB NOT NULL PRIMARY KEY, user_id BLOB NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL,
                            hint TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;",
    )?;
    let (began, mut count) = (Instant::now(), 0u64);
    while began.elapsed() < time {
        let tx = conn.transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO keys VALUES (?, ?, 'bench', 'users:read', 'kr_…4f2a', ?)")?;
            for _ in 0..rows_each {
                count += 1;
                // In the order of their index, as the ids of real keys are.
                let id = u128::from(count).to_be_bytes();
                insert.execute(params![id, [7u8; 16], i64::try_from(count)?])?;
            }
        }
        tx.commit()?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
