//! A few users, accounts, OAuth clients and webhooks that begin so, for the page that leads anywhere.

use rusqlite::{Connection, params};

use super::lists::end_of;
use crate::model::Result;
use crate::model::ids::{AccountId, ClientId, UserId, WebhookId};
use crate::model::name::fold;

/// The first users whose address or name begins so: their id, name and address.
pub fn users(conn: &Connection, start: &str, limit: u32) -> Result<Vec<(UserId, String, String)>> {
    let (low, high) = bounds(start);
    let mut found: Vec<(UserId, String, String)> = Vec::new();
    for sql in [
        "SELECT id, name, email FROM users WHERE email_canonical >= $1 AND email_canonical < $2 ORDER BY email_canonical LIMIT $3",
        "SELECT id, name, email FROM users WHERE name_folded >= $1 AND name_folded < $2 ORDER BY name_folded, id LIMIT $3",
    ] {
        let mut some = conn.prepare_cached(sql)?;
        let rows = some.query_map(params![low, high, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let row: (UserId, String, String) = row?;
            if found.len() < limit as usize && found.iter().all(|known| known.0 != row.0) {
                found.push(row);
            }
        }
    }
    Ok(found)
}

/// The first accounts whose name begins so.
pub fn accounts(conn: &Connection, start: &str, limit: u32) -> Result<Vec<(AccountId, String)>> {
    let (low, high) = bounds(start);
    let mut some = conn.prepare_cached(
        "SELECT id, name FROM accounts WHERE name_folded >= $1 AND name_folded < $2 ORDER BY name_folded LIMIT $3",
    )?;
    let rows = some.query_map(params![low, high, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first OAuth clients whose name begins so.
pub fn clients(conn: &Connection, start: &str, limit: u32) -> Result<Vec<(ClientId, String)>> {
    let (low, high) = bounds(start);
    let mut some = conn.prepare_cached(
        "SELECT id, name FROM oauth_clients WHERE name_folded >= $1 AND name_folded < $2 ORDER BY name_folded, id LIMIT $3",
    )?;
    let rows = some.query_map(params![low, high, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first webhooks whose URL begins so, with or without its scheme.
pub fn webhooks(conn: &Connection, start: &str, limit: u32) -> Result<Vec<(WebhookId, String)>> {
    let rest = start.trim_start_matches("https://").trim_start_matches("http://");
    let mut some = conn.prepare_cached("SELECT id, url FROM webhooks WHERE url >= $1 AND url < $2 ORDER BY url, id LIMIT $3")?;
    let mut found = Vec::new();
    for scheme in ["https://", "http://"] {
        let (low, high) = bounds(&format!("{scheme}{rest}"));
        let rows = some.query_map(params![low, high, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    found.truncate(limit as usize);
    Ok(found)
}

fn bounds(start: &str) -> (String, String) {
    let low = fold(start);
    let high = end_of(&low);
    (low, high)
}
