//! How the server is: whether it can do its work now, and what the public status page tells of it. A database that does not
//! answer keeps nobody waiting for long.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::backups;
use crate::app::App;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::health::{Readiness, Told};
use crate::model::usage::{Outcome, Range, Subject};
use crate::store;

/// How long a check waits for the database.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// A database that was asked so lately is not asked again: anyone may ask, and each time is a transaction.
const FRESH: Duration = Duration::from_secs(1);
/// Whoever asks again within this time is told the same: the page is public, and asking costs the database something.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Less free space than this, and writes will soon fail.
pub const LOW: u64 = 64 * 1024 * 1024;

pub async fn readiness(app: &App) -> Readiness {
    let database = !*app.store.broken().borrow() && is_writable(app).await;
    let dir = app.store.path().parent().unwrap_or(app.store.path());
    let disk = store::backups::free_space(dir).is_ok_and(|free| free >= LOW);
    Readiness { database, disk, draining: app.draining.load(Relaxed) }
}

/// Whether the database takes a write, or did so lately. One asks it, and who comes meanwhile hears the same.
async fn is_writable(app: &App) -> bool {
    let mut probed = app.probed.lock().await;
    if let Some((_, found)) = probed.filter(|(at, _)| app.clock.tick().since(*at) < FRESH) {
        return found;
    }
    let found = matches!(tokio::time::timeout(PATIENCE, app.store.write(|_| Ok(()))).await, Ok(Ok(())));
    *probed = Some((app.clock.tick(), found));
    found
}

/// What was found last, or now if that is old.
pub async fn told(app: &App) -> Told {
    let now = app.clock.now();
    let known = app.told.lock().clone();
    if let Some(told) = known.filter(|told| now.since(told.at) < REMEMBERED && told.ready.draining == app.draining.load(Relaxed))
    {
        return told;
    }
    let ready = readiness(app).await;
    let told = Told {
        at: now,
        since: app.started_at,
        ready,
        is_busy: app.in_flight.queued() > 0,
        backup: patiently(backups::age(app)).await,
        backups_fail: patiently(backups::trouble(app)).await.flatten().is_some(),
        error_rate: patiently(error_rate(app, now)).await.flatten(),
        webhooks_waiting: patiently(app.store.read(store::deliveries::count_waiting)).await,
    };
    *app.told.lock() = Some(told.clone());
    told
}

async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, work).await.ok()?.ok()
}

async fn error_rate(app: &App, now: Timestamp) -> Result<Option<f64>> {
    let (span, ..) = Range::Day.bars();
    let since = Range::Day.start(now);
    let counted = app.store.read(move |conn| store::usage::series(conn, Subject::Everyone, span, since)).await?;
    let (mut all, mut failed) = (0, 0);
    for (_, tally) in counted {
        all += tally.total();
        failed += tally.of(Outcome::ServerError);
    }
    Ok((all > 0).then(|| failed as f64 / all as f64))
}
