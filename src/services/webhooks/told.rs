//! Events that no change brings about: keys that are about to end, and limits that were met. Looked for in batches, and
//! only while somebody listens.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::app::exceeded::Exceeding;
use crate::model::Result;
use crate::model::api_key::ApiKey;
use crate::model::audit_event::Happening;
use crate::model::body::KeyBody;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::webhook::{EventId, EventType};
use crate::store::webhook_events::Event;
use crate::store::{self, Tx};

/// How long before its end a key's owner is told of it: twice.
const BEFORE: [Duration; 2] = [Duration::from_secs(7 * 86_400), Duration::from_secs(86_400)];
/// Keys of one write: other changes need not wait for all of them.
const KEYS_OF_A_WRITE: u32 = 200;

/// Tells of the keys that are about to end, of each once at each of the times.
pub async fn expiring(app: &App) -> Result<()> {
    if !app.store.read(store::webhooks::has_any).await? {
        return Ok(());
    }
    let now = app.clock.now();
    // The later time first: a key that meets both is told of once.
    for before in [BEFORE[1], BEFORE[0]] {
        loop {
            let find = move |conn: &store::Conn| store::api_keys::list_to_tell(conn, before, now, KEYS_OF_A_WRITE);
            let keys = app.store.read(find).await?;
            if keys.is_empty() {
                break;
            }
            app.store.write(move |tx| keys.iter().try_for_each(|key| tell(tx, key, before, now))).await?;
            app.to_send.notify_one();
        }
    }
    Ok(())
}

fn tell(tx: &Tx, key: &ApiKey, before: Duration, now: Timestamp) -> Result<()> {
    if !store::api_keys::mark_told(tx, key, before)? {
        return Ok(());
    }
    let happening = Happening::new("key.expiring", "key", key.id, &key.name)
        .with(json!({ "expires_at": key.expires_at }))
        .showing(&KeyBody::new(key, now));
    store::audit_events::append(tx, &Caller::system(), now, Some(key.account_id), &happening)
}

/// Tells of the limits that accounts have met since the last time.
pub async fn exceeded(app: &App) -> Result<()> {
    let now = app.clock.now();
    let exceeding = app.exceeded.take(now);
    if exceeding.is_empty() || !app.store.read(store::webhooks::has_any).await? {
        return Ok(());
    }
    app.store.write(move |tx| exceeding.iter().try_for_each(|window| tell_exceeded(tx, window, now))).await?;
    app.to_send.notify_one();
    Ok(())
}

fn tell_exceeded(tx: &Tx, window: &Exceeding, now: Timestamp) -> Result<()> {
    // A restart forgets what was told, the table does not.
    if !store::webhooks::tell_exceeded(tx, window.account, window.seconds, window.quiet_until(), now)? {
        return Ok(());
    }
    let event = Event { id: EventId::new(), kind: EventType::RateLimitExceeded, account: Some(window.account), at: window.at };
    store::webhook_events::store(tx, &event, || {
        json!({
            "account_id": window.account,
            "key_id": window.key,
            "limit": window.limit,
            "seconds": window.seconds,
            "resets_at": window.resets_at,
        })
    })
}
