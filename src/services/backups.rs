//! Backups: made by hand or by schedule, off the workers; how many are kept; how old the newest is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::app::callers::Concerns;
use crate::config::{Config, Schedule, SecretText};
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::error::in_full;
use crate::model::health::Age;
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

pub use crate::store::backups::{
    Backup, BackupError, Manifest, Progress, Verified, free_space, is_writable, manifest_path, quietly, restore, verify,
};

/// The setting that remembers when the last backup was made, wherever it was put.
pub const LAST_AT: &str = "backup.last_at";
/// The setting that says why the schedule could make no backup; empty since it could.
pub const FAILED: &str = "backup.failed";
/// Older than this, the newest backup is told of; a slower schedule moves it.
const OLD: Duration = Duration::from_secs(3 * 86_400);
/// Those made before an upgrade that are kept.
const KEPT_BEFORE_UPGRADES: usize = 3;
const LOOK: Duration = Duration::from_secs(60);
/// How long a schedule waits after a backup that could not be made.
const TRY_AGAIN: Duration = Duration::from_secs(3_600);

/// Where they go that nobody names another place for.
pub fn dir(app: &App) -> PathBuf {
    let beside = || store::backups_of(app.store.path().parent().unwrap_or(Path::new(".")));
    app.config.backup.dir.as_ref().map_or_else(beside, |dir| dir.as_path().to_owned())
}

/// Newest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Backup>, BackupError> {
    caller.must_have(Scope::Admin)?;
    let dir = dir(app);
    off_the_workers(move || store::backups::list(&dir)).await
}

pub async fn find(app: &App, caller: &Caller, name: &str) -> Result<Backup> {
    let found = list(app, caller).await.map_err(BackupError::into_app)?.into_iter().find(|backup| backup.name() == name);
    found.ok_or(AppError::NotFound("backup"))
}

/// Makes one at `target`, or among the others, where it takes the place of what is over the number to be kept.
pub async fn create(
    app: &App,
    caller: &Caller,
    target: Option<PathBuf>,
    passphrase: Option<SecretText>,
    progress: Progress,
) -> Result<Backup, BackupError> {
    caller.must_have(Scope::Admin)?;
    let _one = app.backing_up.lock().await;
    let now = app.clock.now();
    let (is_ours, dir) = (target.is_none(), dir(app));
    let passphrase = passphrase.or_else(|| app.config.backup.passphrase.clone());
    let target = target.unwrap_or_else(|| dir.join(name(now, passphrase.is_some())));
    let (database, keep, draining) = (app.store.path().to_owned(), app.config.backup.keep, app.draining.clone());
    let goes_on = move |done, total| progress(done, total) && !draining.load(Relaxed);
    let made = off_the_workers(move || {
        if is_ours {
            store::backups::make_dir(&dir, database.parent().unwrap_or(Path::new(".")))?;
        }
        let order = store::backups::Order { target: &target, passphrase: passphrase.as_ref().map(SecretText::expose), now };
        let made = store::backups::create(&database, &order, Arc::new(goes_on))?;
        if is_ours {
            prune(&dir, keep)?;
        }
        Ok(made)
    })
    .await?;
    note(app, caller, &made, is_ours, now).await?;
    Ok(made)
}

/// Reads a backup to its end.
pub async fn check(app: &App, caller: &Caller, backup: &Backup) -> Result<Verified, BackupError> {
    caller.must_have(Scope::Admin)?;
    let (path, scratch, passphrase) = (backup.path.clone(), dir(app), app.config.backup.passphrase.clone());
    off_the_workers(move || verify(&path, passphrase.as_ref().map(SecretText::expose), &scratch)).await
}

/// Says that somebody takes one away.
pub async fn note_download(app: &App, caller: &Caller, backup: &Backup) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (caller_of_event, now, name) = (caller.clone(), app.clock.now(), backup.name());
    let write = move |tx: &Tx| {
        let happening = Happening::new("backup.downloaded", "backup", &name, name.clone());
        store::audit_events::append(tx, &caller_of_event, now, None, &happening)
    };
    app.change(caller, write, |()| Concerns::Nobody).await
}

/// Says in a database that it came out of a backup.
pub async fn note_restored(app: &App, caller: &Caller, name: String, verified: &Verified) -> Result<()> {
    let (caller_of_event, now) = (caller.clone(), app.clock.now());
    let diff = json!({
        "audit_seq": verified.audit.seq,
        "created_at": verified.manifest.as_ref().map(|manifest| manifest.created_at),
    });
    let write = move |tx: &Tx| {
        let happening = Happening::new("backup.restored", "backup", &name, name.clone()).with(diff);
        store::audit_events::append(tx, &caller_of_event, now, None, &happening)
    };
    app.change(caller, write, |()| Concerns::Everyone).await
}

/// `keyrack-20261122T100000Z.db`: by name they sort as by time.
fn name(now: Timestamp, sealed: bool) -> String {
    let compact: String = now.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("keyrack-{compact}.db{}", if sealed { ".sealed" } else { "" })
}

fn prune(dir: &Path, keep: usize) -> Result<(), BackupError> {
    let all = store::backups::list(dir)?;
    let over = |prefix: &'static str, keep| all.iter().filter(move |backup| backup.name().starts_with(prefix)).skip(keep);
    over("keyrack-", keep).chain(over("pre-", KEPT_BEFORE_UPGRADES)).try_for_each(store::backups::delete)
}

async fn note(app: &App, caller: &Caller, made: &Backup, is_ours: bool, now: Timestamp) -> Result<()> {
    let (caller_of_event, name, manifest) = (caller.clone(), made.name(), made.manifest.clone());
    let write = move |tx: &Tx| {
        store::settings::set(tx, LAST_AT, &now.to_string(), now)?;
        if is_ours && store::settings::find(tx, FAILED)?.is_some_and(|words| !words.is_empty()) {
            store::settings::set(tx, FAILED, "", now)?;
        }
        let diff = json!({ "bytes": manifest.bytes, "sha256": manifest.sha256, "audit_seq": manifest.audit.seq });
        let happening = Happening::new("backup.created", "backup", &name, name.clone()).with(diff);
        store::audit_events::append(tx, &caller_of_event, now, None, &happening)
    };
    app.change(caller, write, |()| Concerns::Nobody).await
}

/// When the last one was made, wherever it was put.
pub async fn last(app: &App) -> Result<Option<Timestamp>> {
    let text = app.store.read(|conn| store::settings::find(conn, LAST_AT)).await?;
    Ok(text.and_then(|text| Timestamp::parse(&text)))
}

/// When the newest backup is too old: by more than its schedule explains.
pub fn old_after(config: &Config) -> Duration {
    match config.backup.schedule {
        Schedule::Every(span) => OLD.max(span * 2),
        _ => OLD,
    }
}

pub async fn age(app: &App) -> Result<Age> {
    let old = old_after(&app.config);
    Ok(last(app).await?.map_or(Age::None, |last| {
        let age = app.clock.now().since(last);
        if age > old { Age::Old(age) } else { Age::Fresh(age) }
    }))
}

/// Why the schedule can make no backup, where that is known: the last one failed, or the next one would.
pub async fn trouble(app: &App) -> Result<Option<String>> {
    if app.config.backup.schedule == Schedule::Off {
        return Ok(None);
    }
    let failed = app.store.read(|conn| store::settings::find(conn, FAILED)).await?.filter(|words| !words.is_empty());
    let dir = dir(app);
    Ok(failed.or_else(|| store::backups::is_writable(&dir).err().map(|err| format!("{}: {err}", dir.display()))))
}

/// Makes those that the schedule asks for, until the program ends.
pub async fn run(app: Arc<App>) {
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    let mut not_before = app.clock.now();
    loop {
        look.tick().await;
        let now = app.clock.now();
        if now < not_before {
            continue;
        }
        match make_if_due(&app).await {
            Ok(Some(made)) => tracing::info!(path = %made.path.display(), bytes = made.manifest.bytes, "made a backup"),
            Ok(None) => {}
            Err(BackupError::Stopped) => return,
            Err(err) => {
                not_before = now.saturating_add(TRY_AGAIN);
                tracing::error!(error = in_full(&err), "no backup was made; trying again in an hour");
            }
        }
    }
}

/// One, if it is time for one; that it could not be made is remembered.
pub async fn make_if_due(app: &App) -> Result<Option<Backup>, BackupError> {
    let made = make_due(app).await;
    if let Err(err) = made.as_ref()
        && !matches!(err, BackupError::Stopped)
    {
        let (words, now) = (in_full(err), app.clock.now());
        let noted = app.store.write(move |tx| store::settings::set(tx, FAILED, &words, now)).await;
        // A disk that took no backup may take no note of it either: what is told is why there is no backup.
        if let Err(err) = noted {
            tracing::warn!(error = in_full(&err), "that no backup was made could not be noted");
        }
    }
    made
}

/// What counts is what lies in the directory: one that was put elsewhere is no replacement.
async fn make_due(app: &App) -> Result<Option<Backup>, BackupError> {
    let there = list(app, &Caller::system()).await?;
    let newest = there.iter().find(|backup| backup.name().starts_with("keyrack-")).map(|backup| backup.manifest.created_at);
    if !app.config.backup.schedule.is_due(newest, app.clock.now()) {
        return Ok(None);
    }
    create(app, &Caller::system(), None, None, quietly()).await.map(Some)
}

async fn off_the_workers<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(|err| BackupError::App(AppError::internal(err)))?
}
