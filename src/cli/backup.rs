//! `keyrack backup`: copies of the database, made while the server runs, checked, and put back.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::data::Place;
use super::failure::Failure;
use super::output::Output;
use super::progress::Bar;
use super::running::Running;
use super::{ask, undo};
use crate::app::master_key::MasterKeyError;
use crate::config::{SHORTEST_PASSPHRASE, SecretText};
use crate::model::caller::Caller;
use crate::model::tier::counted;
use crate::services::backups::{self, Backup, BackupError, Manifest, Verified};

#[derive(Subcommand)]
pub enum BackupCommand {
    /// Copy the database, while the server runs or not
    Create {
        /// Where to [default: among the scheduled ones, in the data directory's backups]
        file: Option<PathBuf>,
        #[command(flatten)]
        seal: Seal,
    },
    /// Read a backup to its end and compare it with its manifest
    Verify {
        file: PathBuf,
        #[command(flatten)]
        seal: Seal,
    },
    /// Make a data directory of a backup; it must hold no data yet
    Restore {
        file: PathBuf,
        #[command(flatten)]
        seal: Seal,
    },
}

#[derive(Args)]
pub struct Seal {
    /// The passphrase that seals it, on the file's first line (- for standard input) [default: backup.passphrase]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Seal {
    fn passphrase(&self) -> Result<Option<SecretText>> {
        let read = self.passphrase_file.as_deref().map(ask::secret_from).transpose()?;
        Ok(read.map(|text| SecretText::new(&text)))
    }
}

pub fn run(place: &Place, command: BackupCommand, out: &Output) -> Result<()> {
    match command {
        BackupCommand::Create { file, seal } => create(place, file, &seal, out),
        BackupCommand::Verify { file, seal } => verify(place, &file, &seal, out),
        BackupCommand::Restore { file, seal } => restore(place, &file, &seal, out),
    }
}

fn create(place: &Place, file: Option<PathBuf>, seal: &Seal, out: &Output) -> Result<()> {
    let passphrase = seal.passphrase()?;
    if passphrase.as_ref().is_some_and(|passphrase| passphrase.expose().chars().count() < SHORTEST_PASSPHRASE) {
        return Err(Failure::failed(format!(
            "The passphrase has fewer than {SHORTEST_PASSPHRASE} characters, and would be guessed.\nOne that is not: openssl rand -hex 32"
        )));
    }
    let open = place.open(out)?;
    let bar = Bar::new(out, "Copying");
    let made = open.block_on(backups::create(&open.app, &Caller::command_line(), file, passphrase, bar.follow()));
    bar.done();
    let made = made.map_err(|err| words(place, err, None))?;
    out.result(&to_json(&made.path, &made.manifest), || in_words(&made))?;
    out.talk(format!(
        "The master key is not in it. Keep a copy of {} in another place.",
        place.dir().join("master.key").display()
    ));
    out.talk(format!("Check it: {}", place.command(["backup", "verify", &made.path.display().to_string()])));
    Ok(())
}

fn verify(place: &Place, file: &Path, seal: &Seal, out: &Output) -> Result<()> {
    let passphrase = passphrase(place, seal)?;
    let found = backups::verify(file, passphrase.as_ref().map(SecretText::expose), &std::env::temp_dir());
    let found = found.map_err(|err| words(place, err, Some(file)))?;
    if found.manifest.is_none() {
        out.talk(format!("{} is missing: checked against itself alone.", backups::manifest_path(file).display()));
    }
    out.result(&checked_json(file, &found), || {
        format!("{} is whole: schema {}, {}.", file.display(), found.schema, contents(&found.rows, found.audit.seq))
    })
}

fn restore(place: &Place, file: &Path, seal: &Seal, out: &Output) -> Result<()> {
    let passphrase = passphrase(place, seal)?;
    let dir = place.dir();
    ask::confirm(out, &format!("Make {} of {}?", dir.display(), file.display()))?;
    let found = backups::restore(file, passphrase.as_ref().map(SecretText::expose), &dir);
    let found = found.map_err(|err| words(place, err, Some(file)))?;
    let open = place.open(out)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    open.run(backups::note_restored(&open.app, &Caller::command_line(), name, &found))?;
    let master_key = open.block_on(open.app.load_master_key()).map(drop);
    out.result(&checked_json(file, &found), || {
        format!("Restored {} from {}: {}.", dir.display(), file.display(), contents(&found.rows, found.audit.seq))
    })?;
    out.talk("What was revoked or deleted after the backup was made is there again: look through keys and users.");
    match master_key {
        Err(MasterKeyError::Missing { path, id }) => out.talk(format!(
            "Before it starts it needs its master key ({id}), which is in no backup. Copy master.key from where you keep it:\n\
             install -m 600 MASTER.KEY {}",
            path.display()
        )),
        Err(err) => out.talk(err.to_string()),
        Ok(()) => {}
    }
    out.talk(format!("Start it: {}", place.command(["serve"])));
    Ok(())
}

/// The one that was given, else the configured one.
fn passphrase(place: &Place, seal: &Seal) -> Result<Option<SecretText>> {
    let given = seal.passphrase()?;
    let configured = place.settings(Vec::new(), Default::default())?.config.backup.passphrase;
    Ok(given.or(configured))
}

fn to_json(path: &Path, manifest: &Manifest) -> Value {
    let mut value = json!({ "file": path.display().to_string() });
    if let (Some(to), Ok(Value::Object(from))) = (value.as_object_mut(), serde_json::to_value(manifest)) {
        to.extend(from);
    }
    value
}

fn checked_json(file: &Path, found: &Verified) -> Value {
    json!({
        "file": file.display().to_string(),
        "ok": true,
        "schema": found.schema,
        "audit": found.audit,
        "rows": found.rows,
        "manifest": found.manifest.is_some(),
        "created_at": found.manifest.as_ref().map(|manifest| manifest.created_at),
    })
}

fn in_words(made: &Backup) -> String {
    let manifest = &made.manifest;
    format!(
        "{}  {} bytes  sha256 {}\n{} at {}",
        made.path.display(),
        manifest.bytes,
        manifest.sha256,
        contents(&manifest.rows, manifest.audit.seq),
        manifest.created_at
    )
}

fn contents(rows: &std::collections::BTreeMap<String, u64>, seq: i64) -> String {
    let count = |table: &str, one| counted(rows.get(table).copied().unwrap_or(0), one);
    let (users, keys, accounts) = (count("users", "user"), count("api_keys", "API key"), count("accounts", "account"));
    format!("{users}, {keys}, {accounts}, audit events up to {seq}")
}

/// The fact, then what to do.
fn words(place: &Place, err: BackupError, file: Option<&Path>) -> anyhow::Error {
    let others = || {
        let beside = file.and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        format!("ls -l {}", beside.display())
    };
    let next = match &err {
        BackupError::Exists(_) => "Name another file.".into(),
        BackupError::NoSpace { .. } => "Make room, or name a file on another disk.".into(),
        BackupError::Damaged { .. } => format!("Take another backup. What else there is: {}", others()),
        BackupError::WrongPassphrase { .. } => "Check the passphrase; without it the backup stays closed.".into(),
        BackupError::Newer { .. } => "Upgrade Keyrack, then restore.".into(),
        BackupError::Sealed(_) => "Give it with --passphrase-file FILE (- for standard input).".into(),
        BackupError::InUse(dir) => format!(
            "{} mv {dir} {dir}.before   or restore into another: {}",
            Running::of(dir)
                .map_or("Move it away:".into(), |server| { format!("Stop the server (pid {}) and move it away:", server.pid) }),
            undo::with_data(place, "DIR", ["backup", "restore", "FILE"]),
            dir = dir.display()
        ),
        BackupError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "Check the name.".into(),
        BackupError::App(_) | BackupError::Io { .. } | BackupError::Sqlite { .. } | BackupError::Stopped => String::new(),
    };
    let mut fact = err.to_string();
    if !fact.ends_with('.') {
        fact.push('.');
    }
    match err {
        BackupError::App(err) => err.into(),
        _ => Failure::failed(format!("{fact}\n{next}").trim_end().to_owned()),
    }
}
