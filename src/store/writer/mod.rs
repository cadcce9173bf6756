//! The one writer: a thread that runs changes one after another, commits what has gathered in one transaction, and
//! answers each after that commit. `synchronous=FULL` makes a commit cost a disk's flush; sharing it makes it cheap.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::BUSY_TIMEOUT;
use crate::model::error::in_full;
use crate::model::histogram::Histogram;
use crate::model::{AppError, Result};

/// The most changes that share one commit.
const BATCH: usize = 256;
/// The most changes that may wait; past it the answer is `Busy`.
const WAITING: usize = 4096;
/// However long a change has waited behind others, another process's lock is waited for so long.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// How often another process's commits are looked for.
const LOOK_AROUND: Duration = Duration::from_millis(500);

pub struct Writer {
    jobs: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    foreign: watch::Receiver<u64>,
    broken: watch::Receiver<bool>,
    commits: Arc<Commits>,
}

/// What the commits since the start were like.
#[derive(Debug)]
pub struct Commits {
    /// How many changes shared one.
    pub changes: Histogram,
    /// How long they took, up to the disk's word, in microseconds.
    pub micros: Histogram,
    pub failed: AtomicU64,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            changes: Histogram::new(&[1, 2, 4, 8, 16, 32, 64, 128, 256]),
            micros: Histogram::new(&[
                250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
            ]),
            failed: AtomicU64::new(0),
        }
    }
}

/// A change on its way: run inside a transaction, answered when that is committed.
trait Job: Send {
    fn asked_at(&self) -> Instant;
    fn run(&mut self, tx: &Transaction) -> Ran;
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// How a change went, before the commit.
enum Ran {
    Stays,
    /// Its error concerns itself alone.
    GoesBack,
    /// The file failed under it, and with it all that shares the transaction.
    Failed(Fault),
}

struct Change<T, F, Then> {
    asked_at: Instant,
    work: Option<F>,
    then: Then,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F, Then> Job for Change<T, F, Then>
where
    T: Send,
    F: FnOnce(&Transaction) -> Result<T> + Send,
    Then: FnOnce(&T) + Send,
{
    fn asked_at(&self) -> Instant {
        self.asked_at
    }

    fn run(&mut self, tx: &Transaction) -> Ran {
        let work = self.work.take().expect("a change runs once");
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .unwrap_or_else(|_| Err(AppError::internal("a change panicked and was rolled back")));
        let ran = match &outcome {
            Ok(_) => Ran::Stays,
            Err(err) => Fault::behind(err).map_or(Ran::GoesBack, Ran::Failed),
        };
        self.outcome = Some(outcome);
        ran
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let outcome = match self.outcome {
            Some(outcome) => outcome.and_then(|value| committed.map(|()| value)),
            // The transaction failed before its turn came, or could not begin.
            None => Err(committed.err().unwrap_or_else(|| AppError::internal("the change did not run"))),
        };
        if let Ok(value) = &outcome {
            (self.then)(value);
        }
        // An asker that went away is no fault: what is committed is committed.
        drop(self.reply.send(outcome));
    }
}

impl Writer {
    pub fn start(conn: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(WAITING);
        let (foreign_tx, foreign) = watch::channel(0);
        let (broken_tx, broken) = watch::channel(false);
        let commits = Arc::new(Commits::default());
        let thread = std::thread::Builder::new().name("writer".into()).spawn({
            let commits = commits.clone();
            let probe = Probe::of(&conn);
            move || Loop { conn, queue, foreign: foreign_tx, broken: broken_tx, commits, probe }.run()
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), foreign, broken, commits })
    }

    /// Runs the change and, once it is committed, `then`: whether or not the asker still waits.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("the channel is open until the writer is dropped");
        let change = Change { asked_at: Instant::now(), work: Some(work), then, outcome: None, reply };
        jobs.try_send(Box::new(change)).map_err(|err| match err {
            TrySendError::Full(_) => AppError::Busy { retry_after: Duration::from_secs(1) },
            TrySendError::Disconnected(_) => AppError::internal("the writer has stopped"),
        })?;
        answer.await.unwrap_or_else(|_| Err(AppError::internal("the writer has stopped")))
    }

    /// Changes whenever another process has committed to the file.
    pub fn foreign_commits(&self) -> watch::Receiver<u64> {
        self.foreign.clone()
    }

    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Becomes true when the disk failed a write: what the file holds is then unknown, and the process must start anew.
    pub fn broken(&self) -> watch::Receiver<bool> {
        self.broken.clone()
    }
}

impl Drop for Writer {
    /// Waits until what was asked for is committed.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Loop {
    conn: Connection,
    queue: Receiver<Box<dyn Job>>,
    foreign: watch::Sender<u64>,
    broken: watch::Sender<bool>,
    commits: Arc<Commits>,
    probe: Probe,
}

impl Loop {
    fn run(mut self) {
        let mut seen = data_version(&self.conn);
        let mut looked = Instant::now();
        let mut batch = Vec::new();
        loop {
            if batch.is_empty() {
                match self.queue.recv_timeout(LOOK_AROUND) {
                    Ok(first) => batch.push(first),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            while !batch.is_empty() && batch.len() < BATCH {
                let Ok(next) = self.queue.try_recv() else { break };
                batch.push(next);
            }
            if !batch.is_empty() {
                batch = self.commit(batch);
            }
            if looked.elapsed() >= LOOK_AROUND {
                looked = Instant::now();
                let version = data_version(&self.conn);
                if version != seen {
                    seen = version;
                    self.foreign.send_modify(|n| *n += 1);
                }
            }
        }
        // Leaves one file behind when nobody else has it open.
        drop(self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    /// Commits and answers. What has time left where another process holds the lock comes back.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let began = Instant::now();
        let waited = |job: &dyn Job| job.asked_at().elapsed();
        // Each waits as long as one that came first: the batch until the oldest has, and then the others again.
        let patience =
            BUSY_TIMEOUT.saturating_sub(batch.iter().map(|job| waited(&**job)).max().unwrap_or_default()).max(SHORTEST_WAIT);
        let mut committed = match (*self.broken.borrow(), self.conn.busy_timeout(patience)) {
            (true, _) => Err(Fault::Broken),
            (_, Err(err)) => Err(Fault::from(err)),
            (_, Ok(())) => run_batch(&mut self.conn, &mut batch),
        };
        let mut left = Vec::new();
        if matches!(committed, Err(Fault::Locked)) {
            (left, batch) = batch.into_iter().partition(|job| waited(&**job) + SHORTEST_WAIT < BUSY_TIMEOUT);
            committed = Err(Fault::Busy);
        }
        if committed.is_ok() && !self.probe.is_writable() {
            committed = Err(Fault::Broken);
        }
        self.commits.changes.count(batch.len() as u64);
        self.commits.micros.count(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        if let Err(fault) = committed {
            self.commits.failed.fetch_add(1, Relaxed);
            tracing::error!(?fault, changes = batch.len(), "a commit failed; nothing of it was kept");
            if matches!(fault, Fault::Broken) {
                self.broken.send_replace(true);
            }
        }
        for job in batch {
            job.answer(committed.map_err(Fault::to_error));
        }
        left
    }
}

fn run_batch(conn: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|err| match Fault::from(err) {
        Fault::Busy => Fault::Locked,
        fault => fault,
    })?;
    // Alone, a change needs no savepoint: what goes back is the transaction. Within a savepoint, a statement that SQLite could
    // have to undo by itself (one with a trigger or an upsert) walks over copies of all pages that were changed before it.
    if let [only] = batch {
        return match only.run(&tx) {
            Ran::Stays => Ok(tx.commit()?),
            Ran::GoesBack => Ok(tx.rollback()?),
            Ran::Failed(fault) => Err(fault),
        };
    }
    for job in batch {
        run(&tx, "SAVEPOINT change")?;
        match job.run(&tx) {
            Ran::Stays => {}
            Ran::GoesBack => run(&tx, "ROLLBACK TO change")?,
            // SQLite has rolled the whole transaction back by itself, or is about to: nothing of it may be committed.
            Ran::Failed(fault) => return Err(fault),
        }
        run(&tx, "RELEASE change")?;
    }
    Ok(tx.commit()?)
}

/// Whether the file system has turned read-only, as it does after an error of the disk. A flush that is under way then
/// may go well and keep nothing; ext4 refuses a write of no bytes, xfs looks at none and refuses a read. Both cost less than
/// a microsecond. Between the error and its turning, the kernel tells nobody.
struct Probe(Option<File>);

impl Probe {
    /// The log: unlike the database, it has no locks that closing another handle of it would give back.
    fn of(conn: &Connection) -> Self {
        let log = conn.path().map(|path| format!("{path}-wal"));
        Self(log.and_then(|log| File::options().read(true).write(true).open(log).ok()))
    }

    fn is_writable(&self) -> bool {
        self.0.as_ref().is_none_or(|log| log.write_at(&[], 0).and(log.read_at(&mut [0], 0)).is_ok())
    }
}

fn run(tx: &Transaction, sql: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(sql)?.execute([]).map(drop)
}

/// Why a commit failed, as all its changes are told.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Full,
    /// Another process had the lock, and nothing has been done yet.
    Locked,
    Busy,
    Broken,
    Other,
}

impl Fault {
    fn of(err: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, SystemIoFailure};
        match err.sqlite_error_code() {
            Some(DiskFull) => Self::Full,
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
            Some(SystemIoFailure | DatabaseCorrupt | NotADatabase) => Self::Broken,
            _ => Self::Other,
        }
    }

    /// The fault of the file that an error of a change tells of, if it does.
    fn behind(err: &AppError) -> Option<Self> {
        match err {
            AppError::StorageFull => Some(Self::Full),
            AppError::Internal(source) => match Self::of(source.downcast_ref()?) {
                Self::Other => None,
                fault => Some(fault),
            },
            _ => None,
        }
    }

    fn to_error(self) -> AppError {
        match self {
            Self::Full => AppError::StorageFull,
            Self::Locked | Self::Busy => AppError::Busy { retry_after: Duration::from_secs(5) },
            Self::Broken => AppError::internal("the database file could not be written"),
            Self::Other => AppError::internal("the commit failed; see the log"),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(err: rusqlite::Error) -> Self {
        tracing::error!(error = in_full(&err), "the database refused");
        Self::of(&err)
    }
}

/// Changes when another connection commits, never by commits of this one.
fn data_version(conn: &Connection) -> i64 {
    conn.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
