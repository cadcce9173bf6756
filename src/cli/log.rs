//! Where the server's log goes: standard error, in lines for people or in JSON.

use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};

/// Begins to log. What was logged is written out when the guard is dropped.
pub fn start(log: &Log, color: bool, environment: &[(String, String)]) -> WorkerGuard {
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
        return guard;
    }
    let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
    if log.format == LogFormat::Auto && is_journal(environment) {
        lines.map_event_format(Prioritized).init();
    } else {
        lines.init();
    }
    guard
}

/// Whether standard error leads to systemd's journal (systemd.exec(5)).
fn is_journal(environment: &[(String, String)]) -> bool {
    let stream = environment.iter().find(|(name, _)| name == "JOURNAL_STREAM").map(|(_, value)| value);
    let here = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    matches!((stream, here), (Some(stream), Ok(here)) if *stream == here)
}

/// Begins each line with its priority, which the journal takes away and keeps (sd-daemon(3)): `journalctl -p warning`.
struct Prioritized<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        write!(line, "<{priority}>")?;
        self.0.format_event(context, line, event)
    }
}
