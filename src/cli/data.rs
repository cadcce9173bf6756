//! Opening the data directory and the settings, as every command does; and the words when that fails.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use super::Common;
use super::failure::Failure;
use super::output::Output;
use super::running::{LOCK, Running};
use crate::app::App;
use crate::app::master_key::{self, MasterKeyFile};
use crate::config::{self, ConfigFile, Flag, Inputs, Loaded};
use crate::model::clock::Clock;
use crate::services;
use crate::store::migrate::{MigrateError, SCHEMA};
use crate::store::{self, OpenError, Store, backups};

/// Where this command works.
pub struct Place<'a> {
    /// How this program was called.
    pub program: &'a str,
    pub common: &'a Common,
    pub environment: &'a [(String, String)],
    /// A server is to be started: it has the settings that it is given, where commands have those of the server.
    pub is_start: bool,
}

impl Place<'_> {
    /// The data directory: as named, else what systemd gives the unit, else one beside the program's user.
    pub fn dir(&self) -> PathBuf {
        // systemd.exec(5): several directories are separated by colons; ours is the first.
        let states = self.environment.iter().find(|(name, _)| name == "STATE_DIRECTORY").map(|(_, value)| value);
        let state = states.and_then(|dirs| dirs.split(':').next()).filter(|dir| !dir.is_empty());
        let named = self.common.data.clone().filter(|dir| !dir.as_os_str().is_empty());
        named.or_else(|| state.map(PathBuf::from)).unwrap_or_else(|| "./keyrack-data".into())
    }

    /// The settings, with `flags` on top of everything and `stored` beneath.
    pub fn settings(&self, flags: Vec<Flag>, stored: BTreeMap<String, String>) -> Result<Loaded> {
        let file = match self.config_named() {
            Some(path) => Some(config_in(path).map_err(|words| Failure::failed(format!("{words}.")))?),
            None if self.is_start => None,
            None => self.config_of_server()?,
        };
        let read = |path: &str| match super::ask::secret_from(Path::new(path)) {
            Ok(text) => Ok(text.to_string()),
            Err(err) => Err(format!("{err:#}")),
        };
        let inputs = Inputs { flags, environment: self.environment, file, stored, read_file: Some(&read) };
        config::load(&inputs).map_err(|faults| Failure::failed(faults.to_string()))
    }

    /// The file of settings that was named for this command.
    pub fn config_named(&self) -> Option<&Path> {
        self.common.config.as_deref().filter(|file| !file.as_os_str().is_empty())
    }

    /// The file that the server on this data was last started with.
    fn config_of_server(&self) -> Result<Option<ConfigFile>> {
        let dir = self.dir();
        let Some(path) = Running::last(&dir).and_then(|note| note.config) else { return Ok(None) };
        // Settings say where to write and what to read as a secret: whoever owns the data may not say that to another user,
        // least of all to root, unless it is a file of root's own that they cannot write.
        let read = match is_mine(&dir.join(LOCK)) || is_mine_alone(&path) {
            true => config_in(&path),
            false => Err(format!("Not reading {}: others than you may write it", path.display())),
        };
        read.map(Some).map_err(|words| {
            let (shown, owner) = (dir.display(), as_owner(&dir, "…"));
            Failure::failed(format!(
                "{words}.\nThe server on {shown} has its settings from there. Run this as its user: {owner}   \
                 or name the file: --config FILE (none: --config /dev/null)"
            ))
        })
    }

    /// Says so where there is no data: a command that works on data makes none, since the directory may be mistyped.
    pub fn must_hold_data(&self) -> Result<()> {
        let dir = self.dir();
        let is_missing = |name: &str| matches!(dir.join(name).symlink_metadata(), Err(err) if is_nothing(&err));
        if is_missing("keyrack.db") && is_missing(master_key::FILE_NAME) {
            let (shown, serve) = (dir.display(), self.command(["serve"]));
            return Err(Failure::failed(format!(
                "There is no data in {shown}.\nName another: --data DIR   or begin there: {serve}"
            )));
        }
        Ok(())
    }

    pub fn open_store(&self, out: &Output) -> Result<Store> {
        let dir = self.dir();
        let is_new = !dir.join("keyrack.db").exists();
        let store = self.store(&dir)?;
        if is_new {
            out.talk(format!("Created the data directory {}.", dir.display()));
        }
        Ok(store)
    }

    /// The database. Where one was, no new one is made in its place.
    pub fn store(&self, dir: &Path) -> Result<Store> {
        let path = dir.join("keyrack.db");
        let is_empty = path.metadata().map_or(true, |file| file.len() == 0);
        if is_empty && dir.join(master_key::FILE_NAME).exists() {
            let words = format!("{} is empty or gone, and there was one: its master key is there.", path.display());
            return Err(Failure::failed(format!("{words}\n{}", self.way_back(dir))));
        }
        Store::open(dir).map_err(|err| match err.is_damage() {
            true => self.damaged(dir, &err),
            false => Failure::failed(words(dir, &err)),
        })
    }

    /// A database that must not be worked with, and the way back.
    pub fn damaged(&self, dir: &Path, found: &dyn Display) -> anyhow::Error {
        Failure::failed(format!("{} is damaged: {found}.\n{}", dir.join("keyrack.db").display(), self.way_back(dir)))
    }

    /// How the newest backup is brought back.
    pub fn way_back(&self, dir: &Path) -> String {
        let there = backups::list(&store::backups_of(dir)).unwrap_or_default();
        let Some(newest) = there.first() else { return "Restore a backup: keyrack backup restore FILE".into() };
        let (here, away) = (dir.display(), format!("{}.damaged", dir.display()));
        let file = newest.path.strip_prefix(dir).map_or(newest.path.clone(), |name| Path::new(&away).join(name));
        let restore = self.command(["backup", "restore", &file.display().to_string()]);
        format!("Stop the server, mv {here} {away}, then: {restore} && cp -p {away}/{} {here}/", master_key::FILE_NAME)
    }

    /// Where the master key is: handed over by systemd, else in the data directory.
    pub fn master_key(&self, store: &Store) -> MasterKeyFile {
        self.master_key_file(store.path())
    }

    pub fn master_key_file(&self, database: &Path) -> MasterKeyFile {
        // systemd.exec(5): LoadCredential=keyrack-master-key:/path/of/the/file
        let handed_over = self.environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
        let given = handed_over.map(|(_, dir)| Path::new(dir).join("keyrack-master-key")).filter(|path| path.exists());
        given.map_or_else(|| MasterKeyFile::beside(database), MasterKeyFile::given)
    }

    /// What the dashboard stored, by name.
    pub fn stored(store: &Store) -> Result<BTreeMap<String, String>> {
        Ok(services::settings::stored(store)?.into_iter().collect())
    }

    /// The program as a server has it, but listening nowhere: commands work on the file beside a running server.
    pub fn open(&self, out: &Output) -> Result<Opened> {
        self.must_hold_data()?;
        self.begin(out)
    }

    /// The same for the commands of a first start, which make the data where there is none.
    pub fn begin(&self, out: &Output) -> Result<Opened> {
        // A mistake in the settings is told before anything is made.
        self.settings(Vec::new(), BTreeMap::new())?;
        let store = self.open_store(out)?;
        let loaded = self.settings(Vec::new(), Self::stored(&store)?)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let app = App { master_key: self.master_key(&store), ..App::new(store.clone(), loaded.config, Clock::real()) };
        runtime.block_on(services::setup::seed(&app))?;
        Ok(Opened { app, runtime })
    }
}

/// An open data directory, and what runs the services on it.
pub struct Opened {
    pub app: App,
    runtime: Runtime,
}

impl Opened {
    pub fn run<T>(&self, work: impl Future<Output = crate::model::Result<T>>) -> Result<T> {
        Ok(self.block_on(work)?)
    }

    /// For services whose faults are not the caller's.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let mut done = None;
        // Boxed: the runtime's loop is compiled once, and not for each command.
        let work: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async { done = Some(work.await) });
        self.runtime.block_on(work);
        done.expect("the runtime returns when the work is done")
    }
}

/// Why the data cannot be opened, and what to do.
pub fn words(dir: &Path, err: &OpenError) -> String {
    match err {
        OpenError::Io { path, source } => match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => cannot_write(dir),
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                format!("{} is not a directory.\nChoose another: --data DIR", dir.display())
            }
            _ => format!("{}: {source}.", path.display()),
        },
        OpenError::Migrate(MigrateError::Newer { found, version }) => {
            let by = version.as_ref().map_or_else(|| "a newer Keyrack".into(), |version| format!("Keyrack {version}"));
            let backups = backups::list(&store::backups_of(dir)).unwrap_or_default();
            let before = backups.iter().find(|backup| backup.manifest.schema <= SCHEMA);
            let before = before.map(|backup| format!(": {}", backup.path.display())).unwrap_or_default();
            format!(
                "Data in {} was written by {by} (schema {found}); this is {} (schema {SCHEMA}).\n\
                 Upgrade Keyrack, or restore the backup made before the upgrade{before}",
                dir.display(),
                env!("CARGO_PKG_VERSION"),
            )
        }
        OpenError::Migrate(MigrateError::NoBackup(source)) => format!(
            "Nothing was migrated: the backup before it could not be made. {source}.\n\
             Make room in {}, then start again.",
            store::backups_of(dir).display()
        ),
        err => {
            let mut words = err.to_string();
            let mut source = std::error::Error::source(err);
            while let Some(err) = source.filter(|err| !words.contains(&err.to_string())) {
                words += &format!(": {err}");
                source = err.source();
            }
            words + "."
        }
    }
}

/// `Cannot write /var/lib/keyrack (owner root, you are keyrack, mode 755).`
fn cannot_write(dir: &Path) -> String {
    let me = user_name(rustix::process::geteuid().as_raw());
    // What does not exist yet fails for its nearest ancestor that does.
    let Some((at, meta)) = dir.ancestors().find_map(|at| {
        let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
        Some((at, at.metadata().ok()?))
    }) else {
        return format!("Cannot write {} (you are {me}).\nChoose another: --data DIR", dir.display());
    };
    if rustix::fs::access(at, rustix::fs::Access::WRITE_OK) == Err(rustix::io::Errno::ROFS) {
        let shown = at.display();
        return format!(
            "{shown} lies on a file system that is read-only.\n\
             The kernel makes it so after an error of the disk: look with dmesg. Then: mount -o remount,rw, or choose another: --data DIR"
        );
    }
    let (shown, owner, mode) = (at.display(), user_name(meta.uid()), meta.mode() & 0o7777);
    let is_empty = matches!(dir.join("keyrack.db").symlink_metadata(), Err(err) if is_nothing(&err));
    let fix = match is_empty {
        _ if at != dir => "Choose another: --data DIR".into(),
        true => format!("Fix: sudo chown {me}: {shown}   or choose another: --data DIR"),
        // Given away, it would be taken from the server that works on it.
        false => format!("Run this as its owner: {}", as_owner(dir, "…")),
    };
    format!("Cannot write {shown} (owner {owner}, you are {me}, mode {mode:o}).\n{fix}")
}

/// The same command as the user whose directory it is.
pub fn as_owner(dir: &Path, command: &str) -> String {
    let user = match dir.metadata().map(|meta| meta.uid()) {
        Ok(0) | Err(_) => String::new(),
        Ok(uid) => format!("-u {} ", user_name(uid)),
    };
    format!("sudo {user}keyrack --data {} {command}", dir.display())
}

/// There is nothing of this name, as far as anyone can tell.
pub fn is_nothing(err: &std::io::Error) -> bool {
    matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn config_in(path: &Path) -> Result<ConfigFile, String> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|err| format!("Cannot read {name}: {err}"))?;
    Ok(ConfigFile { name, text })
}

fn is_mine(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.uid() == rustix::process::geteuid().as_raw())
}

/// What is missing is nobody's, and is told as missing.
fn is_mine_alone(path: &Path) -> bool {
    path.metadata().map_or(true, |meta| is_mine(path) && meta.mode() & 0o022 == 0)
}

pub fn user_name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut columns = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = columns.find(|columns| columns.get(2).and_then(|text| text.parse().ok()) == Some(uid));
    found.and_then(|columns| columns.first().map(|name| (*name).to_owned())).unwrap_or_else(|| format!("#{uid}"))
}
