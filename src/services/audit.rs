//! The audit log: read, followed link by link, and its head told to the log of the process, which is kept elsewhere.

use std::time::Duration;

use crate::app::App;
use crate::model::audit_event::{AuditEvent, AuditFilter, Broken, Head, How, Verified};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::error::in_full;
use crate::model::ids::{AuditEventId, UserId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store;

/// How often the head is told and what is new is verified.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Every so many times the chain is verified from its start.
const WHOLE_EVERY: u32 = 24;
/// Events that are verified in one read.
const STEP: u32 = 2_000;

pub async fn list(
    app: &App,
    caller: &Caller,
    mut filter: AuditFilter,
    place: (Start<i64>, Order, Limit),
) -> Result<Page<AuditEvent>> {
    caller.must_have(Scope::AuditRead)?;
    filter.account = caller.account().or(filter.account);
    app.store.read(move |conn| store::audit_events::list(conn, &filter, place)).await
}

pub async fn find(app: &App, caller: &Caller, id: AuditEventId) -> Result<AuditEvent> {
    caller.must_have(Scope::AuditRead)?;
    let found = app.store.read(move |conn| store::audit_events::find(conn, id)).await?;
    let seen = |event: &AuditEvent| caller.account().is_none_or(|own| event.account_id == Some(own));
    found.filter(seen).ok_or(AppError::NotFound("event"))
}

/// When the oldest event was that is kept.
pub async fn earliest(app: &App) -> Result<Option<Timestamp>> {
    app.store.read(store::audit_events::earliest).await
}

pub async fn head(app: &App) -> Result<Head> {
    app.store.read(store::audit_events::head).await
}

/// Follows the chain from a place to its end, or to the first event that is not as it was written.
pub async fn verify(app: &App, from: Head) -> Result<Verified> {
    let (mut head, mut broken) = (from, None);
    loop {
        let start = head;
        (head, broken) = match app.store.read(move |conn| store::audit_events::verify(conn, start, STEP)).await? {
            (reached, None) if reached == start => break,
            (reached, broken) => (reached, broken),
        };
        if broken.is_some() {
            break;
        }
    }
    Ok(Verified { head, at: app.clock.now(), broken })
}

/// The same from the start, against a head that was kept elsewhere: what was cut off at the end or written anew as a
/// whole shows by that alone.
pub async fn verify_against(app: &App, kept: Head) -> Result<Verified> {
    let mut verified = verify(app, Head::START).await?;
    if verified.broken.is_none() {
        let there = app.store.read(move |conn| store::audit_events::hash_at(conn, kept.seq)).await?;
        verified.broken = match there {
            None => Some(Broken { seq: verified.head.seq + 1, how: How::Missing }),
            Some(hash) if hash != kept.hash => Some(Broken { seq: kept.seq, how: How::Rewritten }),
            Some(_) => None,
        };
    }
    Ok(verified)
}

/// Verifies what has come since the last time, for whoever does not wait for the hour.
pub async fn check_now(app: &App, caller: &Caller) -> Result<()> {
    caller.must_have(Scope::AuditRead)?;
    check(app, false).await
}

async fn check(app: &App, is_whole: bool) -> Result<()> {
    let known = app.verified.lock().clone().filter(|_| !is_whole);
    let verified = verify(app, known.map_or(Head::START, |known| known.head)).await?;
    if let Some(broken) = &verified.broken {
        tracing::error!(seq = broken.seq, "the audit log was altered: {broken}");
    }
    let mut last = app.verified.lock();
    // What was found altered meanwhile, behind the place from which this began, stays until all of it is sound.
    if is_whole || last.as_ref().is_none_or(|last| last.broken.is_none()) {
        *last = Some(verified);
    }
    Ok(())
}

/// Runs until the program ends.
pub async fn keep_verified(app: &App) {
    let mut hour = tokio::time::interval(EVERY);
    for n in 0_u32.. {
        hour.tick().await;
        if let Err(err) = check(app, n % WHOLE_EVERY == 0).await {
            tracing::warn!(error = in_full(&err), "the audit log could not be verified");
        }
        tell_head(app).await;
    }
}

/// Writes the head to the log of the process, for a later `keyrack audit verify --head`.
pub async fn tell_head(app: &App) {
    match head(app).await {
        Ok(head) => tracing::info!(seq = head.seq, head = %head, "audit log"),
        Err(err) => tracing::warn!(error = in_full(&err), "the head of the audit log could not be read"),
    }
}

/// What a user did and what was done to them, the latest first.
pub async fn concerning(app: &App, caller: &Caller, id: UserId, before: Option<i64>, limit: u32) -> Result<Vec<AuditEvent>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::audit_events::list_concerning(conn, &id.to_string(), before, limit)).await
}
