//! The only SQL in the program. Two doors: [`Store::read`], from a pool of read-only connections, and [`Store::write`],
//! through the one writer. Below the doors are plain functions over a connection, a file for each noun.

pub mod accounts;
pub mod actors;
pub mod api_keys;
pub mod audit_events;
pub mod backups;
pub mod deliveries;
pub mod found;
pub mod grants;
pub mod holders;
pub mod idempotency_keys;
pub mod inspect;
pub mod key_networks;
pub mod key_views;
mod lists;
pub mod logged_requests;
pub mod migrate;
pub mod notices;
pub mod oauth_clients;
pub mod oauth_codes;
pub mod oauth_tokens;
pub mod owner;
pub mod password_links;
pub mod rate_windows;
pub mod second_factors;
pub mod service_counts;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod tiers;
pub mod usage;
pub mod user_imports;
pub mod users;
pub mod webhook_events;
pub mod webhooks;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{oneshot, watch};

use crate::model::clock::{Clock, Timestamp};
use crate::model::error::in_full;
use crate::model::scope::{Scope, ScopeSet};
use crate::model::{AppError, Result};
use backups::BackupError;
use migrate::{MigrateError, Migrated};
use writer::Writer;

pub use writer::Commits;

pub use rusqlite::{Connection as Conn, Transaction as Tx};

/// SQLite before 3.51.3 can damage a WAL that two connections write and checkpoint, which is what we do.
const SQLITE_MIN: i32 = 3_051_003;
/// How long a lock that another process holds is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database of one data directory. Cloned freely.
#[derive(Clone)]
pub struct Store {
    readers: r2d2::Pool<SqliteConnectionManager>,
    /// For look-ups alone, which the workers wait for: a slow list must not hold them up.
    lookups: r2d2::Pool<SqliteConnectionManager>,
    writer: Arc<Writer>,
    path: Arc<Path>,
    pub migrated: Arc<Migrated>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("this program was built with SQLite {0}, which can damage its write-ahead log; 3.51.3 is the oldest that is safe")]
    OldSqlite(&'static str),
    #[error("{} is a symbolic link; name the file itself", .0.display())]
    Link(PathBuf),
    #[error("{} may be read by others (mode {:o}); run: chmod 600 {}", .path.display(), .mode, .path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("{}: {source}", .path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Pool(#[from] r2d2::Error),
}

impl OpenError {
    /// Whether the file is no sound database.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let (Self::Sqlite { source, .. } | Self::Migrate(MigrateError::Sqlite(source))) = self else { return false };
        matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }
}

impl Store {
    /// Opens the database of a data directory; makes both where there is none.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        if rusqlite::version_number() < SQLITE_MIN {
            return Err(OpenError::OldSqlite(rusqlite::version()));
        }
        make_private_dir(dir)?;
        let path = dir.join("keyrack.db");
        make_private_file(&path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };

        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut conn = Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        configure(&mut conn).map_err(sqlite)?;
        configure_writer(&conn).map_err(sqlite)?;
        let migrated = migrate::migrate(&mut conn, |_| keep_before_migrating(&path))?;

        let pool = |connections: usize| {
            let manager =
                SqliteConnectionManager::file(&path).with_flags(flags | OpenFlags::SQLITE_OPEN_READ_ONLY).with_init(configure);
            r2d2::Pool::builder()
                .max_size(u32::try_from(connections).unwrap_or(8))
                .min_idle(Some(1))
                .test_on_check_out(false)
                .connection_timeout(BUSY_TIMEOUT)
                .build(manager)
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (readers, lookups) = (pool(cores + 2)?, pool(cores)?);
        let writer = Writer::start(conn).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(Self { readers, lookups, writer: Arc::new(writer), path: path.into(), migrated: Arc::new(migrated) })
    }

    /// Reads, away from the workers.
    pub async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let readers = self.readers.clone();
        let (reply, answer) = oneshot::channel();
        // Boxed: what runs it is compiled once, and not for each kind of question.
        let question: Box<dyn FnOnce() + Send> = Box::new(move || {
            let found = readers.get().map_err(none_free).and_then(|conn| work(&conn));
            // An asker that went away needs none.
            drop(reply.send(found));
        });
        tokio::task::spawn_blocking(question);
        answer.await.unwrap_or_else(|_| Err(AppError::internal("a read panicked")))
    }

    /// Reads on the calling thread: for the one indexed look-up of a credential that is not cached, which costs less
    /// than a hop to another thread.
    pub fn look_up<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&*self.lookups.get().map_err(none_free)?)
    }

    /// Changes, in a transaction that is durable when the answer comes. The closure holds no side effect but its SQL.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(work, |_| ()).await
    }

    /// Changes, and does what follows from the change as soon as it is committed: even when whoever asked has gone away
    /// by then, as a client does that closes its connection.
    pub async fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction) -> Result<T> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        self.writer.write(work, then).await
    }

    /// The first fault in the structure of the file, if there is one. A second for each few hundred megabytes, on a
    /// connection of its own: nobody waits for it.
    pub fn damage(&self) -> Option<String> {
        let look = || -> rusqlite::Result<String> {
            let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_READ_ONLY;
            let mut conn = Connection::open_with_flags(&self.path, flags)?;
            configure(&mut conn)?;
            conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        };
        look().map_or_else(|err| Some(err.to_string()), |found| Some(found).filter(|found| found != "ok"))
    }

    /// Changes whenever another process has committed to the file.
    pub fn foreign_commits(&self) -> watch::Receiver<u64> {
        self.writer.foreign_commits()
    }

    /// Becomes true when the disk failed a write.
    pub fn broken(&self) -> watch::Receiver<bool> {
        self.writer.broken()
    }

    /// What the commits since the start were like.
    pub fn commits(&self) -> &Commits {
        self.writer.commits()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The version of the SQLite that is built in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

fn configure(conn: &mut Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(256);
    // Without it SQLite plans a statement anew at every binding, should anyone have run ANALYZE.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    conn.execute_batch(
        "PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4096;",
    )
}

fn configure_writer(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // What is deleted is overwritten, too: a person who was erased is not left in the file.
    conn.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    conn.execute_batch("PRAGMA synchronous = FULL")
}

/// Where backups lie unless somewhere else is named.
pub fn backups_of(dir: &Path) -> PathBuf {
    dir.join("backups")
}

/// The database as the version before left it, for the way back. The transaction that will change it has begun.
fn keep_before_migrating(database: &Path) -> Result<(), BackupError> {
    let data = database.parent().unwrap_or(Path::new("."));
    let dir = backups_of(data);
    backups::make_dir(&dir, data)?;
    let version = env!("CARGO_PKG_VERSION");
    let names = std::iter::once(format!("pre-{version}.db")).chain((2..).map(|n| format!("pre-{version}-{n}.db")));
    for target in names.map(|name| dir.join(name)) {
        let order = backups::Order { target: &target, passphrase: None, now: Clock::real().now() };
        match backups::create(database, &order, backups::quietly()) {
            // From an upgrade that was begun before.
            Err(BackupError::Exists(_)) => {}
            done => return done.map(drop),
        }
    }
    unreachable!("there is always another number")
}

fn make_private_dir(dir: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: dir.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(io)
        }
        Err(err) => Err(io(err)),
    }
}

// Made before SQLite opens it, so that it is private from its first byte whatever the umask; the -wal and -shm files
// inherit its mode.
fn make_private_file(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => Err(OpenError::Link(path.to_owned())),
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            Err(OpenError::ReadableByOthers { path: path.to_owned(), mode: meta.mode() & 0o777 })
        }
        Ok(_) => Ok(()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            match made {
                Ok(file) => owner::hand_over(path.parent().unwrap_or(Path::new(".")), &file).map_err(io),
                Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                Err(err) => Err(io(err)),
            }
        }
        Err(err) => Err(io(err)),
    }
}

/// Holds the data directory for one server, as long as it lives. Commands do not take it: they may write beside a
/// running server.
#[derive(Debug)]
pub struct ServerLock(#[allow(dead_code)] File);

impl ServerLock {
    /// `Err` with what the holder wrote into the file, when another server has the directory. `note` is what this one
    /// tells the next.
    pub fn take(dir: &Path, note: &str) -> Result<Result<Self, String>, OpenError> {
        use std::io::{Read, Seek, Write};
        make_private_dir(dir)?;
        let path = dir.join("keyrack.lock");
        let io = |source| OpenError::Io { path: path.clone(), source };
        // What is written into it would else go wherever a link of the directory's owner leads.
        let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_link);
        let mut file = open.open(&path).map_err(|err| match path.is_symlink() {
            true => OpenError::Link(path.clone()),
            false => io(err),
        })?;
        owner::hand_over(dir, &file).map_err(io)?;
        if file.try_lock().is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io)?;
            return Ok(Err(holder));
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes())).map_err(io)?;
        Ok(Ok(Self(file)))
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(err: rusqlite::Error) -> Self {
        match err.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::StorageFull,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Busy { retry_after: BUSY_TIMEOUT }
            }
            _ => Self::internal(err),
        }
    }
}

/// All connections were taken for as long as anyone waits: the server has more to do than it can, and is not broken.
fn none_free(err: r2d2::Error) -> AppError {
    tracing::warn!(error = in_full(&err), "no connection to the database was free");
    AppError::Busy { retry_after: Duration::from_secs(1) }
}

/// The `table.column` whose uniqueness a statement broke.
fn violated_unique(err: &rusqlite::Error) -> Option<&str> {
    match err {
        rusqlite::Error::SqliteFailure(failure, Some(message)) if failure.code == rusqlite::ErrorCode::ConstraintViolation => {
            message.strip_prefix("UNIQUE constraint failed: ")
        }
        _ => None,
    }
}

/// Whether a row was to go that others refer to.
fn violated_foreign_key(err: &rusqlite::Error) -> bool {
    err.sqlite_error().is_some_and(|failure| failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

// How the model's values are kept. A value that cannot be read back is a damaged row.

fn at(row: &rusqlite::Row, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

fn at_opt(row: &rusqlite::Row, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// The columns of a row one after the other: to look each up by its name costs more than to read it.
struct Cells<'r, 'stmt> {
    row: &'r rusqlite::Row<'stmt>,
    next: usize,
}

impl<'r, 'stmt> Cells<'r, 'stmt> {
    fn of(row: &'r rusqlite::Row<'stmt>) -> Self {
        Self { row, next: 0 }
    }

    fn next<T: rusqlite::types::FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    /// A text that is only looked at: it is not copied.
    fn text(&mut self) -> rusqlite::Result<&'r str> {
        self.next += 1;
        Ok(self.row.get_ref(self.next - 1)?.as_str()?)
    }

    fn at(&mut self) -> rusqlite::Result<Timestamp> {
        self.next().map(Timestamp::from_millis)
    }

    fn at_opt(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.next::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    fn scopes(&mut self) -> rusqlite::Result<ScopeSet> {
        scopes_from(self.text()?)
    }
}

/// Scopes, kept as their names with blanks between them.
fn scopes(row: &rusqlite::Row, column: &str) -> rusqlite::Result<ScopeSet> {
    scopes_from(row.get_ref(column)?.as_str()?)
}

fn scopes_from(names: &str) -> rusqlite::Result<ScopeSet> {
    names.split_whitespace().try_fold(ScopeSet::EMPTY, |set, name| Ok(set.with(Scope::parse(name).ok_or_else(|| damaged(name))?)))
}

fn damaged(what: impl std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, format!("damaged row: {what}").into())
}

macro_rules! kept_as_bytes {
    ($($id:ident),*) => {$(
        impl rusqlite::ToSql for crate::model::ids::$id {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_bytes().as_slice().into())
            }
        }
        impl rusqlite::types::FromSql for crate::model::ids::$id {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(Self::from_bytes)
            }
        }
    )*};
}
kept_as_bytes!(UserId, AccountId, ApiKeyId, SessionId, AuditEventId, NoticeId, WebhookId, DeliveryId, ClientId, GrantId);

impl rusqlite::ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.millis().into())
    }
}

impl rusqlite::ToSql for crate::crypto::SecretHash {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.as_bytes().as_slice().into())
    }
}
