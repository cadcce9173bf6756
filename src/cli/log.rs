//! Where the server's log goes: standard error, in lines for people or in JSON.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Begins to log. What was logged is written out when the guard is dropped.
pub fn start(log: &Log, color: bool) -> WorkerGuard {
    // A reader that is slow, or gone, must not hold up requests.
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let level = log.level.as_str();
    let filter = match log.level {
        LogLevel::Error => "error".to_owned(),
        LogLevel::Warn | LogLevel::Info | LogLevel::Debug => format!("warn,keyrack={level},access={level}"),
        LogLevel::Trace => "trace".to_owned(),
    };
    let pretty = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(writer);
    if pretty {
        lines.with_target(false).with_ansi(color && std::io::stderr().is_terminal()).init();
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
    guard
}
