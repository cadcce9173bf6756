//! Where the server's log goes: standard error, in lines for people or in JSON, or systemd's journal.

use std::io::IsTerminal;
use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::journal::{self, Journal, JournalLayer};
use crate::config::{Log, LogFormat, LogLevel};

/// Begins to log. What was logged is written out when the guard is dropped.
pub fn start(log: &Log, color: bool, environment: &[(String, String)]) -> WorkerGuard {
    let level = log.level.as_str();
    let filter = match log.level {
        LogLevel::Error => "error".to_owned(),
        LogLevel::Warn | LogLevel::Info | LogLevel::Debug => format!("warn,keyrack={level},access={level}"),
        LogLevel::Trace => "trace".to_owned(),
    };
    // A reader that is slow, or gone, must not hold up requests.
    let journal =
        (log.format == LogFormat::Auto && is_journal(environment)).then(|| Journal::connect(Path::new(journal::SOCKET)));
    if let Some(Ok(journal)) = journal {
        let (writer, guard) = NonBlocking::new(journal);
        tracing_subscriber::registry().with(EnvFilter::new(filter)).with(JournalLayer(writer)).init();
        return guard;
    }
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let pretty = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(writer);
    if pretty {
        lines.with_target(false).with_ansi(color && std::io::stderr().is_terminal()).init();
        return guard;
    }
    lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    guard
}

/// Whether standard error leads to systemd's journal (systemd.exec(5)).
fn is_journal(environment: &[(String, String)]) -> bool {
    let stream = environment.iter().find(|(name, _)| name == "JOURNAL_STREAM").map(|(_, value)| value);
    let here = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    matches!((stream, here), (Some(stream), Ok(here)) if *stream == here)
}
