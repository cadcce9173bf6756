//! The database as a file by itself: copied while it is in use, told by a manifest beside it, checked, put in its place.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::migrate::SCHEMA;
use super::{OpenError, audit_events, make_private_dir, owner};
use crate::crypto::sealed_file;
use crate::model::AppError;
use crate::model::audit_event::{Broken, Head};
use crate::model::clock::Timestamp;

/// Left free for the database to go on growing in.
const SPARE: u64 = 64 * 1024 * 1024;

/// What must be in a backup: written when it is made, compared when it is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version that made it.
    pub keyrack: String,
    pub created_at: Timestamp,
    pub schema: usize,
    /// The last event of the audit log: all that happened up to there is in it.
    pub audit: AuditHead,
    pub rows: BTreeMap<String, u64>,
    /// Of the file as it lies there, as `sha256sum` prints it.
    pub sha256: String,
    pub bytes: u64,
    /// It opens with a passphrase alone.
    pub sealed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    pub seq: i64,
    pub hash: String,
}

/// A backup with its manifest.
#[derive(Clone, Debug)]
pub struct Backup {
    pub path: PathBuf,
    pub manifest: Manifest,
}

impl Backup {
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Told of the bytes done and of those to do; says whether to go on.
pub type Progress = Arc<dyn Fn(u64, u64) -> bool + Send + Sync>;

/// Somebody who does not look, and does not stop it.
pub fn quietly() -> Progress {
    Arc::new(|_, _| true)
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already; a backup overwrites nothing", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} has {free} MB free, and the backup needs {needed} MB", .path.display(), free = mega(*.free), needed = mega(*.needed))]
    NoSpace { path: PathBuf, needed: u64, free: u64 },
    #[error("{}: {words}", .path.display())]
    Damaged { path: PathBuf, words: String },
    #[error("{} was made by a newer Keyrack ({version}, schema {found}); this one knows schema {SCHEMA}", .path.display())]
    Newer { path: PathBuf, found: usize, version: String },
    #[error("{} is sealed, and opens with its passphrase alone", .0.display())]
    Sealed(PathBuf),
    #[error("{}: another passphrase opens it{}", .path.display(), if *.is_whole { "" } else { ", or it is damaged" })]
    WrongPassphrase { path: PathBuf, is_whole: bool },
    #[error("{} holds data already", .0.display())]
    InUse(PathBuf),
    #[error("stopped before it was done")]
    Stopped,
    #[error("{}: {source}", .path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    App(#[from] AppError),
}

impl BackupError {
    /// For whoever is told no more than that it went wrong.
    pub fn into_app(self) -> AppError {
        match self {
            Self::App(err) => err,
            err => AppError::internal(err),
        }
    }
}

fn mega(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

type Result<T> = std::result::Result<T, BackupError>;

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T> {
    done.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::Io { path: path.to_owned(), source },
    })
}

/// How a backup is made.
pub struct Order<'a> {
    pub target: &'a Path,
    pub passphrase: Option<&'a str>,
    pub now: Timestamp,
}

/// Copies the database as it is at one moment, while others go on writing. The file has its name when it is whole and on
/// the disk, and its manifest after that.
pub fn create(database: &Path, order: &Order, progress: Progress) -> Result<Backup> {
    let target = order.target;
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let data = database.parent().unwrap_or(Path::new("."));
    let conn = open_for_reading(database)?;
    let total = size(&conn).map_err(|source| BackupError::Sqlite { path: database.into(), source })?;
    has_room(dir, if order.passphrase.is_some() { 2 * total } else { total })?;
    // Takes the name; whoever is slower is told, and nothing is overwritten.
    let placeholder = Draft::new(target.to_owned(), data)?;
    let draft = Draft::new(with_ending(target, ".part"), data)?;
    copy(conn, &draft.path, total, progress)?;
    let mut told = describe(&draft.path, order.now)?;
    let draft = match order.passphrase {
        None => draft,
        Some(passphrase) => {
            let sealed = Draft::new(with_ending(target, ".sealing"), data)?;
            let from = at(&draft.path, File::open(&draft.path))?;
            let to = at(&sealed.path, OpenOptions::new().write(true).open(&sealed.path))?;
            at(&sealed.path, sealed_file::seal(passphrase, from, &to).and_then(|()| to.sync_all()))?;
            told.sealed = true;
            sealed
        }
    };
    (told.sha256, told.bytes) = digest(&draft.path)?;
    at(target, fs::rename(&draft.path, target))?;
    placeholder.keep();
    draft.keep();
    write_manifest(target, &told, data)?;
    at(dir, File::open(dir).and_then(|dir| dir.sync_all()))?;
    Ok(Backup { path: target.to_owned(), manifest: told })
}

/// A file that goes away unless it is kept.
struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// Empty and private from its first byte, whatever the umask; for this data directory.
    fn new(path: PathBuf, data: &Path) -> Result<Self> {
        let file = at(&path, OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path))?;
        let draft = Self { path, kept: false };
        at(&draft.path, owner::hand_over(data, &file))?;
        Ok(draft)
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `VACUUM INTO` reads in one transaction, so the copy is one moment of the database; other connections may write on.
fn copy(conn: Connection, target: &Path, total: u64, progress: Progress) -> Result<()> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::OperationInterrupted) => BackupError::Stopped,
        Some(rusqlite::ErrorCode::DiskFull) => {
            BackupError::Io { path: target.to_owned(), source: io::Error::from(ErrorKind::StorageFull) }
        }
        _ => BackupError::Sqlite { path: target.to_owned(), source },
    };
    let (watched, seen) = (target.to_owned(), progress.clone());
    let look = move || {
        let done = fs::metadata(&watched).map_or(0, |meta| meta.len());
        !seen(done.min(total), total)
    };
    conn.progress_handler(10_000, Some(look)).map_err(failed)?;
    let name = target.to_str().ok_or_else(|| BackupError::Io {
        path: target.to_owned(),
        source: io::Error::new(ErrorKind::InvalidInput, "the name is not UTF-8"),
    })?;
    conn.execute("VACUUM INTO $1", [name]).map_err(failed)?;
    drop(conn);
    if !progress(total, total) {
        return Err(BackupError::Stopped);
    }
    at(target, File::open(target).and_then(|file| file.sync_all()))
}

fn open_for_reading(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || {
        let mut conn = Connection::open_with_flags(database, flags)?;
        super::configure(&mut conn)?;
        Ok(conn)
    };
    open().map_err(|source| BackupError::Sqlite { path: database.to_owned(), source })
}

/// A backup is a file that nobody writes: SQLite is told so, and leaves nothing beside it.
fn open_copy(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let escaped: String = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let open = || {
        let mut conn = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?;
        super::configure(&mut conn)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(conn)
    };
    open().map_err(|source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            BackupError::Damaged { path: path.to_owned(), words: "this is no database, or a damaged one".into() }
        }
        _ => BackupError::Sqlite { path: path.to_owned(), source },
    })
}

fn size(conn: &Connection) -> rusqlite::Result<u64> {
    let pages: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let each: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok((pages.max(0) * each.max(0)) as u64)
}

fn has_room(dir: &Path, needed: u64) -> Result<()> {
    let free = free_space(dir).map_err(|source| BackupError::Io { path: dir.to_owned(), source })?;
    let needed = needed.saturating_add(SPARE);
    if free < needed { Err(BackupError::NoSpace { path: dir.to_owned(), needed, free }) } else { Ok(()) }
}

/// Makes the directory that backups of this data directory go to, for its owner alone.
pub fn make_dir(dir: &Path, data: &Path) -> Result<()> {
    let is_new = !dir.exists();
    make_private_dir(dir).map_err(|err| match err {
        OpenError::Io { path, source } => BackupError::Io { path, source },
        err => BackupError::Io { path: dir.to_owned(), source: io::Error::other(err.to_string()) },
    })?;
    if is_new { at(dir, File::open(dir).and_then(|made| owner::hand_over(data, &made))) } else { Ok(()) }
}

/// Whether this process could put a backup there; one that is missing would be made.
pub fn is_writable(dir: &Path) -> io::Result<()> {
    use rustix::fs::Access;
    let there = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    Ok(rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// What its file system has left for us.
pub fn free_space(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// What is in a copy; of the file itself, nothing yet.
fn describe(path: &Path, now: Timestamp) -> Result<Manifest> {
    let conn = open_copy(path)?;
    let sqlite = |source| BackupError::Sqlite { path: path.to_owned(), source };
    let schema: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    let head = audit_events::head(&conn)?;
    Ok(Manifest {
        keyrack: env!("CARGO_PKG_VERSION").into(),
        created_at: now,
        schema: usize::try_from(schema).unwrap_or(0),
        audit: AuditHead { seq: head.seq, hash: head.hash.to_string() },
        rows: count_rows(&conn).map_err(sqlite)?,
        sha256: String::new(),
        bytes: 0,
        sealed: false,
    })
}

fn count_rows(conn: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut tables =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?;
    let names = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let count = |name: String| {
        let count: i64 = conn.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
        Ok((name, count.max(0) as u64))
    };
    names.into_iter().map(count).collect()
}

fn digest(path: &Path) -> Result<(String, u64)> {
    let mut file = at(path, File::open(path))?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 256 * 1024], 0);
    loop {
        match at(path, file.read(&mut buffer))? {
            0 => return Ok((HEXLOWER.encode(&hasher.finalize()), bytes)),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Beside the backup, with `.json` behind its name.
pub fn manifest_path(backup: &Path) -> PathBuf {
    with_ending(backup, ".json")
}

fn write_manifest(backup: &Path, manifest: &Manifest, data: &Path) -> Result<()> {
    let path = manifest_path(backup);
    let text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data") + "\n";
    let draft = Draft::new(with_ending(&path, ".part"), data)?;
    let write = || {
        let mut file = OpenOptions::new().write(true).open(&draft.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft.path, &path)
    };
    at(&path, write())?;
    draft.keep();
    Ok(())
}

/// `None` where there is no manifest beside the file.
pub fn read_manifest(backup: &Path) -> Result<Option<Manifest>> {
    let path = manifest_path(backup);
    let text = match fs::read_to_string(&path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        read => at(&path, read)?,
    };
    let words = |err: serde_json::Error| BackupError::Damaged { path, words: format!("this is no manifest: {err}") };
    serde_json::from_str(&text).map(Some).map_err(words)
}

/// The backups of a directory, newest first: files with a manifest. None where there is no such directory.
pub fn list(dir: &Path) -> Result<Vec<Backup>> {
    let entries = match fs::read_dir(dir) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => at(dir, read)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = at(dir, entry)?.path();
        let is_manifest = path.extension().is_some_and(|ending| ending == "json");
        let backup = path.with_extension("");
        // What is damaged or half there is no backup; `verify` says why.
        if is_manifest
            && backup.is_file()
            && let Ok(Some(manifest)) = read_manifest(&backup)
        {
            found.push(Backup { path: backup, manifest });
        }
    }
    found.sort_by(|a, b| (b.manifest.created_at, &b.path).cmp(&(a.manifest.created_at, &a.path)));
    Ok(found)
}

pub fn delete(backup: &Backup) -> Result<()> {
    at(&backup.path, fs::remove_file(&backup.path))?;
    at(&backup.path, fs::remove_file(manifest_path(&backup.path)))
}

/// A backup that was read to its end and found to be whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// None: it had none, and was checked against itself alone.
    pub manifest: Option<Manifest>,
    pub schema: usize,
    pub audit: AuditHead,
    pub rows: BTreeMap<String, u64>,
}

/// Reads all of it: the digest, the structure, what refers to what, the chain of the audit log, and the counts. A sealed
/// one is opened in `scratch`, for as long as that takes.
pub fn verify(path: &Path, passphrase: Option<&str>, scratch: &Path) -> Result<Verified> {
    opened(path, passphrase, scratch, |manifest, copy| check(path, manifest, copy))
}

/// Gives `work` the database of a backup, unsealed if it must be, with its manifest; the digest is compared before.
fn opened<T>(
    path: &Path,
    passphrase: Option<&str>,
    scratch: &Path,
    work: impl FnOnce(Option<Manifest>, &Path) -> Result<T>,
) -> Result<T> {
    let manifest = read_manifest(path)?;
    if let Some(manifest) = &manifest {
        let (sha256, bytes) = digest(path)?;
        if (&sha256, bytes) != (&manifest.sha256, manifest.bytes) {
            let words = format!("it is not the file that its manifest tells of ({bytes} of {} bytes)", manifest.bytes);
            return Err(BackupError::Damaged { path: path.to_owned(), words });
        }
    }
    let mut first = Vec::new();
    at(path, File::open(path).and_then(|file| file.take(64).read_to_end(&mut first)))?;
    if !sealed_file::is_sealed(&first) {
        return work(manifest, path);
    }
    let passphrase = passphrase.ok_or_else(|| BackupError::Sealed(path.to_owned()))?;
    let clear = Draft::new(scratch.join(format!(".keyrack-{}.opened", std::process::id())), scratch)?;
    let from = at(path, File::open(path))?;
    let to = at(&clear.path, OpenOptions::new().write(true).open(&clear.path))?;
    sealed_file::open(passphrase, from, to).map_err(|source| match source.kind() {
        // With a manifest it was found to be the file that was made.
        ErrorKind::InvalidData => BackupError::WrongPassphrase { path: path.to_owned(), is_whole: manifest.is_some() },
        _ => BackupError::Io { path: clear.path.clone(), source },
    })?;
    work(manifest, &clear.path)
}

fn check(path: &Path, manifest: Option<Manifest>, copy: &Path) -> Result<Verified> {
    let damaged = |words: String| BackupError::Damaged { path: path.to_owned(), words };
    let sqlite = |source: rusqlite::Error| damaged(format!("it cannot be read: {source}"));
    let found = describe(copy, Timestamp::from_millis(0)).map_err(|err| match err {
        BackupError::Sqlite { source, .. } => sqlite(source),
        BackupError::Damaged { words, .. } => damaged(words),
        BackupError::App(_) => damaged("this is no database of Keyrack".into()),
        err => err,
    })?;
    if found.schema > SCHEMA {
        let version = manifest.map_or_else(|| "unknown".into(), |manifest| manifest.keyrack);
        return Err(BackupError::Newer { path: path.to_owned(), found: found.schema, version });
    }
    let conn = open_copy(copy)?;
    let sound: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if sound != "ok" {
        return Err(damaged(format!("its structure is damaged: {sound}")));
    }
    if conn.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists([])).map_err(sqlite)? {
        return Err(damaged("rows refer to rows that are not there".into()));
    }
    if let (_, Some(Broken { seq, .. })) = audit_events::verify(&conn, Head::START, u32::MAX)? {
        return Err(damaged(format!("the audit log was changed at event {seq}")));
    }
    if let Some(manifest) = &manifest
        && (manifest.schema, &manifest.audit, &manifest.rows) != (found.schema, &found.audit, &found.rows)
    {
        return Err(damaged("it does not hold what its manifest tells of".into()));
    }
    Ok(Verified { manifest, schema: found.schema, audit: found.audit, rows: found.rows })
}

/// Makes a data directory of a backup that is whole. One that holds data already is left alone.
pub fn restore(path: &Path, passphrase: Option<&str>, dir: &Path) -> Result<Verified> {
    let database = dir.join("keyrack.db");
    let in_use = || {
        let left = ["", "-wal", "-journal"].map(|ending| with_ending(&database, ending));
        left.iter().any(|file| file.symlink_metadata().is_ok())
    };
    if in_use() {
        return Err(BackupError::InUse(dir.to_owned()));
    }
    // A file that is not there leaves nothing behind, and neither does one that cannot be restored.
    at(path, File::open(path))?;
    let is_new = !dir.exists();
    make_dir(dir, dir)?;
    let restored = put_in_place(path, passphrase, dir, &database, in_use);
    if is_new && restored.is_err() {
        // One that holds anything stays.
        let _ = fs::remove_dir(dir);
    }
    restored
}

fn put_in_place(
    path: &Path,
    passphrase: Option<&str>,
    dir: &Path,
    database: &Path,
    in_use: impl Fn() -> bool,
) -> Result<Verified> {
    opened(path, passphrase, dir, |manifest, copy| {
        let verified = check(path, manifest, copy)?;
        has_room(dir, at(copy, fs::metadata(copy))?.len())?;
        let draft = Draft::new(with_ending(database, ".restoring"), dir)?;
        let write = || {
            let mut to = OpenOptions::new().write(true).open(&draft.path)?;
            io::copy(&mut File::open(copy)?, &mut to)?;
            to.sync_all()
        };
        at(&draft.path, write())?;
        // The copy that is put in place is the one that was found to be whole.
        if digest(&draft.path)? != digest(copy)? {
            return Err(BackupError::Damaged { path: path.to_owned(), words: "it changed while it was copied".into() });
        }
        if in_use() {
            return Err(BackupError::InUse(dir.to_owned()));
        }
        at(database, fs::rename(&draft.path, database))?;
        draft.keep();
        at(dir, File::open(dir).and_then(|dir| dir.sync_all()))?;
        Ok(verified)
    })
}
