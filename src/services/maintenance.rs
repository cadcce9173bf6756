//! What happens by itself: uses and windows written in batches, what has ended swept away, other processes' changes
//! noticed.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::app::callers::{Bearer, Concerns, Used};
use crate::limits::rate::{KeptWindow, Subject};
use crate::model::Result;
use crate::model::error::in_full;
use crate::store;
use crate::store::api_keys::Use;
use crate::store::rate_windows::SavedWindow;

/// How often uses and windows are written: what a crash may lose of them.
pub const FLUSH: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(600);
/// How often credentials that nobody uses leave the memory.
const TIDY: Duration = Duration::from_secs(60);
/// Uses or windows that are written as one: other changes need not wait for all of them.
const OF_A_WRITE: usize = 500;

/// Runs until the program ends.
pub async fn run(app: Arc<App>) {
    tokio::join!(keep_up(&app), super::audit::keep_verified(&app));
}

async fn keep_up(app: &App) {
    let mut foreign = app.store.foreign_commits();
    let mut flush_at = tokio::time::interval(FLUSH);
    let mut sweep_at = tokio::time::interval(SWEEP);
    let mut tidy_at = tokio::time::interval(TIDY);
    loop {
        let done = tokio::select! {
            _ = flush_at.tick() => flush(app).await,
            _ = sweep_at.tick() => sweep(app).await,
            _ = tidy_at.tick() => {
                app.callers.sweep(app.clock.tick());
                Ok(())
            }
            changed = foreign.changed() => match changed {
                Ok(()) => {
                    app.callers.forget(Concerns::Everyone);
                    super::settings::notice(app).await
                }
                Err(_) => return,
            },
        };
        if let Err(err) = done {
            tracing::warn!(error = in_full(&err), "maintenance will try again");
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
        let subject = Subject::parse(&window.subject)?;
        Some(KeptWindow { subject, seconds: window.seconds, used: window.used, ends_in: window.ends_at.since(now) })
    });
    app.rates.restore(kept, app.clock.tick());
    Ok(())
}

/// Writes what was used since the last time.
pub async fn flush(app: &App) -> Result<()> {
    let uses = write_uses(app).await;
    let windows = write_windows(app).await;
    uses.and(windows).and(super::usage::flush(app).await).and(super::webhooks::told::exceeded(app).await)
}

async fn write_uses(app: &App) -> Result<()> {
    let mut used = app.callers.take_uses().into_iter();
    let mut written = Ok(());
    loop {
        let some: Vec<Used> = used.by_ref().take(OF_A_WRITE).collect();
        if some.is_empty() {
            return written;
        }
        written = written.and(write_some_uses(app, some).await);
    }
}

async fn write_some_uses(app: &App, used: Vec<Used>) -> Result<()> {
    // That it cannot be compared is no reason to lose the uses.
    let odd =
        super::notices::look(app, &used).await.inspect_err(|err| tracing::warn!(error = in_full(err), "uses were not compared"));
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
    let note = move |tx: &store::Tx| {
        store::api_keys::note_uses(tx, &uses)?;
        store::grants::note_uses(tx, &grants)?;
        odd.write(tx, now)
    };
    app.store.write(note).await
}

async fn write_windows(app: &App) -> Result<()> {
    let now = app.clock.now();
    let kept = app.rates.snapshot(app.clock.tick());
    for (n, some) in kept.chunks(OF_A_WRITE).enumerate() {
        let saved = |window: &KeptWindow| SavedWindow {
            subject: window.subject.to_string(),
            seconds: window.seconds,
            used: window.used,
            ends_at: now.saturating_add(window.ends_in),
        };
        let windows: Vec<SavedWindow> = some.iter().map(saved).collect();
        if let Err(err) = app.store.write(move |tx| store::rate_windows::save(tx, &windows)).await {
            app.rates.not_saved(&kept[n * OF_A_WRITE..]);
            return Err(err);
        }
    }
    Ok(())
}

/// Forgets what has ended or is older than it is kept.
pub async fn sweep(app: &App) -> Result<()> {
    app.rates.sweep(app.clock.tick());
    app.callers.sweep_accounts();
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
