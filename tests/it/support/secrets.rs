//! Every secret that a test is given by a server: none of them may lie in the server's files, nor be in its log. Looked
//! for when the server goes, so that every test is a test of this, too.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use keyrack::crypto::secret::has_checksum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Reply;

/// Tests import keys of other systems that are words of every day.
const SHORTEST: usize = 20;

/// By data directory.
static GIVEN: LazyLock<Mutex<HashMap<PathBuf, HashSet<String>>>> = LazyLock::new(Mutex::default);
/// Of all servers, since they share a process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Looks when it is dropped.
pub struct Watch {
    data: PathBuf,
    log_from: usize,
}

impl Watch {
    pub fn over(data: &Path) -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let filter = Targets::new()
                .with_default(LevelFilter::WARN)
                .with_targets([("keyrack", LevelFilter::TRACE), ("access", LevelFilter::INFO)]);
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Listener);
            tracing_subscriber::registry().with(filter).with(lines).init();
        });
        Self { data: data.to_owned(), log_from: lock(&LOG).len() }
    }
}

/// The secrets that are in an answer: keys, tokens, webhooks' secrets, sessions.
pub fn note_all_of(data: &Path, reply: &Reply) {
    let words = reply.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| has_checksum(word));
    let signing = reply.text.split("whsec_").skip(1).filter_map(|rest| rest.get(..32));
    let cookies = reply.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    let sessions = cookies.filter_map(|cookie| cookie.trim_start_matches("__Host-").strip_prefix("sid="));
    for secret in words.chain(signing).chain(sessions.filter(|token| token.len() > 20)) {
        note(data, secret);
    }
}

pub fn note(data: &Path, secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    // Neither prefix nor checksum, of which the hint shows some.
    let secret = if has_checksum(secret) { &secret[secret.len() - 49..secret.len() - 6] } else { secret };
    lock(&GIVEN).entry(data.to_owned()).or_default().insert(secret.to_owned());
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let secrets = lock(&GIVEN).get(&self.data).cloned().unwrap_or_default();
        for path in files_below(&self.data) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = secrets.iter().find(|secret| is_in(secret, &bytes));
            assert!(found.is_none(), "a secret lies in {}: {found:?}", path.display());
        }
        let log = lock(&LOG)[self.log_from..].to_owned();
        let found = secrets.iter().find(|secret| is_in(secret, &log));
        assert!(found.is_none(), "a secret is in the log: {found:?}");
    }
}

fn is_in(secret: &str, bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, secret.as_bytes()).is_some()
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

struct Listener;

impl Write for Listener {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        lock(&LOG).extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A test that failed elsewhere is none of ours.
fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_secret_in_a_file_or_in_the_log_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let seen = |act: &dyn Fn()| {
        let watch = Watch::over(dir.path());
        act();
        std::panic::catch_unwind(|| drop(watch)).is_err()
    };
    note(dir.path(), "the-secret-of-this-test");
    assert!(!seen(&|| ()));
    assert!(seen(&|| tracing::warn!(target: "keyrack", "the-secret-of-this-test")));
    assert!(seen(&|| std::fs::write(dir.path().join("notes"), "..the-secret-of-this-test..").expect("written")));
}
