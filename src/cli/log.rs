//! Where the server's log goes: standard error, in lines for people or in JSON, or systemd's journal.

use std::io::IsTerminal;
use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::journal::{self, Journal, JournalLayer};
use crate::config::{Log, LogFormat, LogLevel};

/// Begins to log. What was logged is written out when the guard is dropped.
pub fn start(log: &Log, color: bool, environment: &[(String, String)]) -> WorkerGuard {
    let filter = filter(log.level);
    // A reader that is slow, or gone, must not hold up requests.
    let journal =
        (log.format == LogFormat::Auto && is_journal(environment)).then(|| Journal::connect(Path::new(journal::SOCKET)));
    if let Some(Ok(journal)) = journal {
        let (writer, guard) = NonBlocking::new(journal);
        tracing_subscriber::registry().with(filter).with(JournalLayer(writer)).init();
        return guard;
    }
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let pretty = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = fmt::layer().with_writer(writer);
    let log = tracing_subscriber::registry().with(filter);
    if pretty {
        log.with(lines.with_target(false).with_ansi(color && std::io::stderr().is_terminal())).init();
    } else {
        log.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    }
    guard
}

/// What of the log is written. Libraries say what is wrong; `trace` is for everything.
fn filter(level: LogLevel) -> Targets {
    let (of_libraries, level) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::WARN, LevelFilter::INFO),
        LogLevel::Debug => (LevelFilter::WARN, LevelFilter::DEBUG),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_default(of_libraries).with_targets([("keyrack", level), ("access", level)])
}

/// Whether standard error leads to systemd's journal (systemd.exec(5)).
fn is_journal(environment: &[(String, String)]) -> bool {
    let stream = environment.iter().find(|(name, _)| name == "JOURNAL_STREAM").map(|(_, value)| value);
    let here = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    matches!((stream, here), (Some(stream), Ok(here)) if *stream == here)
}
