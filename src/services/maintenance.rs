//! What happens by itself: uses and windows written in batches, what has ended swept away, other processes' changes
//! noticed.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::app::callers::{Bearer, Concerns};
use crate::limits::rate::{KeptWindow, Subject};
use crate::model::Result;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::store;
use crate::store::api_keys::Use;
use crate::store::rate_windows::SavedWindow;

/// How often uses and windows are written: what a crash may lose of them.
pub const FLUSH: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(600);

/// Runs until the program ends.
pub async fn run(app: Arc<App>) {
    tokio::join!(keep_up(&app), super::audit::keep_verified(&app));
}

async fn keep_up(app: &App) {
    let mut foreign = app.store.foreign_commits();
    let mut flush_at = tokio::time::interval(FLUSH);
    let mut sweep_at = tokio::time::interval(SWEEP);
    loop {
        let done = tokio::select! {
            _ = flush_at.tick() => flush(app).await,
            _ = sweep_at.tick() => sweep(app).await,
            changed = foreign.changed() => match changed {
                Ok(()) => {
                    app.callers.forget(Concerns::Everyone);
                    super::settings::notice(app).await
                }
                Err(_) => return,
            },
        };
        if let Err(err) = done {
            tracing::warn!(error = %err, "maintenance will try again");
        }
    }
}

/// Whether the database can still be read.
pub async fn is_alive(app: &App) -> bool {
    app.store.read(|conn| store::settings::find(conn, "api.dialect")).await.is_ok()
}

/// Goes on counting where the process before this one stopped. Done before the first request.
pub async fn restore_windows(app: &App) -> Result<()> {
    let now = app.clock.now();
    let saved = app.store.read(move |conn| store::rate_windows::list(conn, now)).await?;
    let kept = saved.into_iter().filter_map(|window| {
        let subject = (AccountId::parse(&window.subject).map(Subject::Account))
            .or_else(|| ApiKeyId::parse(&window.subject).map(Subject::Key))?;
        Some(KeptWindow { subject, seconds: window.seconds, used: window.used, ends_in: window.ends_at.since(now) })
    });
    app.rates.restore(kept, app.clock.tick());
    Ok(())
}

/// Writes what was used since the last time.
pub async fn flush(app: &App) -> Result<()> {
    let uses = write_uses(app).await;
    uses.and(super::usage::flush(app).await).and(super::webhooks::told::exceeded(app).await)
}

async fn write_uses(app: &App) -> Result<()> {
    let used = app.callers.take_uses();
    // That it cannot be compared is no reason to lose the uses.
    let odd = super::notices::look(app, &used).await.inspect_err(|err| tracing::warn!(error = %err, "uses were not compared"));
    let odd = odd.unwrap_or_default();
    let (mut uses, mut grants) = (Vec::new(), Vec::new());
    for used in used {
        match &used.credential.bearer {
            Bearer::Key(bearer) => {
                let (key_id, secret) = (bearer.key.id, used.credential.secret);
                uses.push(Use { key_id, secret, count: used.count, last: used.last });
            }
            Bearer::Token(token) => grants.push((token.grant_id, used.last.at, used.last.ip)),
        }
    }
    let now = app.clock.now();
    let kept = app.rates.snapshot(app.clock.tick());
    let windows: Vec<SavedWindow> = kept
        .iter()
        .map(|window| SavedWindow {
            subject: match window.subject {
                Subject::Account(id) => id.to_string(),
                Subject::Key(id) => id.to_string(),
            },
            seconds: window.seconds,
            used: window.used,
            ends_at: now.saturating_add(window.ends_in),
        })
        .collect();
    if uses.is_empty() && grants.is_empty() && windows.is_empty() {
        return Ok(());
    }
    let written = app.store.write(move |tx| {
        store::api_keys::note_uses(tx, &uses)?;
        store::grants::note_uses(tx, &grants)?;
        odd.write(tx, now)?;
        store::rate_windows::save(tx, &windows)
    });
    written.await.inspect_err(|_| app.rates.not_saved(&kept))
}

/// Forgets what has ended or is older than it is kept.
pub async fn sweep(app: &App) -> Result<()> {
    app.rates.sweep(app.clock.tick());
    app.callers.sweep();
    let now = app.clock.now();
    app.store
        .write(move |tx| {
            store::sessions::sweep(tx, now, super::sessions::idle_since(now))?;
            store::second_factors::sweep(tx, now)?;
            store::idempotency_keys::sweep(tx, now)?;
            store::setup::sweep(tx, now)?;
            store::password_links::sweep(tx, now)?;
            store::user_imports::sweep(tx, now)?;
            store::rate_windows::sweep(tx, now)?;
            store::usage::sweep(tx, now)?;
            store::service_counts::sweep(tx, now)?;
            store::notices::sweep(tx, now)?;
            let requests = super::requests::KEPT_ROWS;
            store::logged_requests::sweep(tx, requests, now.saturating_sub(super::requests::kept()))?;
            store::webhooks::sweep(tx, now)?;
            store::webhooks::sweep_exceeded(tx, now)?;
            super::oauth::sweep(tx, now)?;
            store::api_keys::sweep(tx, now)
        })
        .await?;
    while app.store.write(move |tx| store::api_keys::mark_ended(tx, now)).await? {}
    super::webhooks::deliveries::sweep(app).await?;
    super::webhooks::told::expiring(app).await
}
