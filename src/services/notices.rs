//! What somebody should look at: keys used from new networks or after long silence, keys that were reported as leaked,
//! many refusals at once. Found in the batches that are written anyway; no request waits for it.

use std::time::Duration;

use serde_json::json;

use super::api_keys;
use super::authorize::seen_key;
use crate::app::App;
use crate::app::callers::{Concerns, Used};
use crate::model::api_key::ApiKey;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::{ApiKeyId, NoticeId};
use crate::model::network::Network;
use crate::model::notice::{Notice, NoticeKind};
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store::notices::Event;
use crate::store::{self, Tx};

/// A key that was not used for so long sleeps.
pub const DORMANT: Duration = Duration::from_secs(30 * 86_400);
/// Of notices that stand: more than anybody reads.
const SHOWN: u32 = 20;
const SHOWN_OF_KEY: u32 = 5;

/// Those that stand, for administrators, the latest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Notice>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(|conn| store::notices::list_standing(conn, SHOWN)).await
}

/// The latest of one key, the dismissed ones too, for whoever sees the key.
pub async fn of_key(app: &App, caller: &Caller, key: &ApiKey) -> Result<Vec<Notice>> {
    let id = seen_key(caller, Some(key.clone()))?.id;
    app.store.read(move |conn| store::notices::list_of_key(conn, id, SHOWN_OF_KEY)).await
}

/// Somebody has looked at it. What comes of the same kind from here on is a notice of its own.
pub async fn dismiss(app: &App, caller: &Caller, id: NoticeId) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let dismissed = move |tx: &Tx| {
        // Dismissed already: what was asked for is so.
        let Some(notice) = store::notices::dismiss(tx, id, now)? else { return Ok(()) };
        let key = notice.key_id.map(|id| store::api_keys::find(tx, id)).transpose()?.flatten();
        append(tx, &by, now, "notice.dismissed", key.as_ref(), json!({ "kind": notice.kind.name() }))
    };
    app.change(caller, dismissed, |()| Concerns::Nobody).await
}

/// Notes what happened, with an audit event where a new notice stands for it.
pub(super) fn note(tx: &Tx, caller: &Caller, event: &Event, key: Option<&ApiKey>, now: Timestamp) -> Result<()> {
    if !store::notices::note(tx, event, now)? {
        return Ok(());
    }
    append(tx, caller, now, event.kind.action(), key, json!({ "detail": event.detail, "count": event.count }))
}

fn append(
    tx: &Tx,
    caller: &Caller,
    now: Timestamp,
    action: &'static str,
    key: Option<&ApiKey>,
    diff: serde_json::Value,
) -> Result<()> {
    match key {
        Some(key) => api_keys::note(tx, caller, now, action, key, diff),
        None => {
            let happening = Happening::new(action, "requests", "", "all requests").with(diff);
            store::audit_events::append(tx, caller, now, None, &happening)
        }
    }
}

/// What is odd about the uses of a batch.
#[derive(Default)]
pub(super) struct Oddities {
    /// Networks to be remembered. A key's first one is nothing odd, and neither is one of a key with an allow-list.
    networks: Vec<(ApiKey, Network, bool)>,
    woke: Vec<(ApiKey, String)>,
}

/// Compares uses with what is known of their keys, before they are written.
pub(super) async fn look(app: &App, used: &[Used]) -> Result<Oddities> {
    let now = app.clock.now();
    let to_compare: Vec<(ApiKeyId, Vec<Network>, bool)> = used
        .iter()
        .filter_map(|used| {
            let key = used.credential.key()?;
            let before = key.last_used.as_ref().map_or(key.created_at, |last| last.at);
            Some((key.id, used.networks.to_vec(), used.last.at.since(before) >= DORMANT))
        })
        .filter(|(_, networks, slept)| !networks.is_empty() || *slept)
        .collect();
    if to_compare.is_empty() {
        return Ok(Oddities::default());
    }
    app.store
        .read(move |conn| {
            let mut odd = Oddities::default();
            for (id, networks, slept) in to_compare {
                let known = store::key_networks::list(conn, id)?;
                let new: Vec<Network> = networks.into_iter().filter(|network| !known.contains(&network.to_string())).collect();
                if new.is_empty() && !slept {
                    continue;
                }
                let Some(key) = store::api_keys::find(conn, id)? else { continue };
                let (mut is_known, is_listed) = (!known.is_empty(), !key.ip_allow.is_empty());
                for network in new {
                    odd.networks.push((key.clone(), network, is_known && !is_listed));
                    is_known = true;
                }
                // As the database has it: what is remembered may be from before the batch that told of it.
                let before = key.last_used.as_ref().map_or(key.created_at, |last| last.at);
                if slept && now.since(before) >= DORMANT {
                    let before = key.last_used.as_ref().map_or_else(String::new, |last| last.at.to_string());
                    odd.woke.push((key, before));
                }
            }
            Ok(odd)
        })
        .await
}

impl Oddities {
    /// In the transaction that writes the uses.
    pub(super) fn write(&self, tx: &Tx, now: Timestamp) -> Result<()> {
        let caller = Caller::system();
        for (key, network, is_odd) in &self.networks {
            if store::key_networks::insert(tx, key.id, *network, now)? && *is_odd {
                let detail = network.to_string();
                note(
                    tx,
                    &caller,
                    &Event { kind: NoticeKind::NewNetwork, key_id: Some(key.id), detail, count: 1 },
                    Some(key),
                    now,
                )?;
            }
        }
        for (key, before) in &self.woke {
            let event = Event { kind: NoticeKind::Woke, key_id: Some(key.id), detail: before.clone(), count: 1 };
            note(tx, &caller, &event, Some(key), now)?;
        }
        Ok(())
    }
}

/// A spike that was told of is not told of again for so long.
const QUIET: Duration = Duration::from_secs(3_600);

/// Refusals since the last batch: without a valid credential, and for a limit.
pub(super) async fn note_refusals(app: &App, refused: u64, rate_limited: u64) -> Result<()> {
    let now = app.clock.now();
    let spikes: Vec<(NoticeKind, u64)> = {
        let mut known = app.spikes.lock();
        let refused = known.0.note(refused, now).map(|count| (NoticeKind::Refused, count));
        let limited = known.1.note(rate_limited, now).map(|count| (NoticeKind::RateLimited, count));
        refused.into_iter().chain(limited).collect()
    };
    for (kind, count) in spikes {
        let told = app.store.read(move |conn| store::notices::last_of_all(conn, kind)).await?;
        if told.is_some_and(|at| now.since(at) < QUIET) {
            continue;
        }
        let event = Event { kind, key_id: None, detail: String::new(), count };
        app.store.write(move |tx| note(tx, &Caller::system(), &event, None, now)).await?;
    }
    Ok(())
}

/// A key was reported, and is revoked: in the transaction of that.
pub(super) fn note_report(tx: &Tx, caller: &Caller, key: &ApiKey, now: Timestamp) -> Result<()> {
    let detail = caller.ip.map(|ip| ip.to_string()).unwrap_or_default();
    // Its audit event is that it was revoked, with the reason.
    store::notices::note(tx, &Event { kind: NoticeKind::Reported, key_id: Some(key.id), detail, count: 1 }, now).map(|_| ())
}

/// Which notice a form names.
pub fn id_of(text: &str) -> Result<NoticeId> {
    NoticeId::parse(text).ok_or(AppError::NotFound("notice"))
}
