//! The networks that keys were used from.

use rusqlite::{Connection, Transaction, params};

use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::ApiKeyId;
use crate::model::network::Network;

/// Networks that are remembered of one key; a new one takes the place of the oldest.
const MOST: u32 = 32;

pub fn list(conn: &Connection, key: ApiKeyId) -> Result<Vec<String>> {
    let mut all = conn.prepare_cached("SELECT network FROM key_networks WHERE key_id = $1")?;
    Ok(all.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Whether it is new; a key that is gone meanwhile has no networks.
pub fn insert(tx: &Transaction, key: ApiKeyId, network: Network, now: Timestamp) -> Result<bool> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO key_networks (key_id, network, first_seen_at) SELECT id, $1, $2 FROM api_keys WHERE id = $3
         ON CONFLICT (key_id, network) DO NOTHING",
    )?;
    if insert.execute(params![network.to_string(), now, key])? == 0 {
        return Ok(false);
    }
    let mut surplus = tx.prepare_cached(
        "DELETE FROM key_networks WHERE key_id = $1 AND first_seen_at <= (
             SELECT first_seen_at FROM key_networks WHERE key_id = $1 ORDER BY first_seen_at DESC LIMIT 1 OFFSET $2)",
    )?;
    surplus.execute(params![key, MOST])?;
    Ok(true)
}
