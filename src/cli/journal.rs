//! The log as fields of systemd's journal, by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): every field can be
//! asked for, as in `journalctl REQUEST_ID=req_…`.

use std::fmt::Debug;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

pub const SOCKET: &str = "/run/systemd/journal/socket";
/// A datagram has to fit into a socket's buffer.
const LONGEST: usize = 32 * 1024;

/// Each write is one entry. An entry that the journal does not take is lost, as a line is that nobody reads.
pub struct Journal(UnixDatagram);

impl Journal {
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self(socket))
    }
}

impl Write for Journal {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(entry);
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct JournalLayer<W>(pub W);

impl<S: Subscriber, W: for<'a> MakeWriter<'a> + 'static> Layer<S> for JournalLayer<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let _ = self.0.make_writer().write_all(&entry(event));
    }
}

fn entry(event: &Event<'_>) -> Vec<u8> {
    let priority = match *event.metadata().level() {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    };
    let mut entry = Entry::default();
    entry.field("PRIORITY", priority);
    entry.field("SYSLOG_IDENTIFIER", "keyrack");
    entry.field("TARGET", event.metadata().target());
    event.record(&mut entry);
    // A reader of lines sees the values, too.
    let message = [entry.message.as_str(), entry.values.trim_end()].join(" ");
    entry.field("MESSAGE", message.trim());
    entry.bytes
}

#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
    message: String,
    /// All others, as `name=value `.
    values: String,
}

impl Entry {
    fn field(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    fn record(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
            return;
        }
        self.values += &format!("{}={value} ", field.name());
        // Those that begin with an underscore are the journal's own.
        let name: String =
            field.name().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        self.field(name.trim_start_matches('_'), &value);
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn told(log: impl FnOnce()) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let heard = UnixDatagram::bind(&path).expect("a socket");
        let journal = std::sync::Mutex::new(Journal::connect(&path).expect("it is there"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(JournalLayer(journal)), log);
        let mut entry = vec![0; 8 * LONGEST];
        let read = heard.recv(&mut entry).expect("an entry");
        entry.truncate(read);
        entry
    }

    #[test]
    fn what_is_known_of_a_request_is_a_field_each() {
        let entry = told(|| tracing::info!(target: "access", status = 401, ms = %"0.4", request_id = %"req_1", "refused"));
        let expected = "PRIORITY=6\nSYSLOG_IDENTIFIER=keyrack\nTARGET=access\nSTATUS=401\nMS=0.4\nREQUEST_ID=req_1\n\
                        MESSAGE=refused status=401 ms=0.4 request_id=req_1\n";
        assert_eq!(String::from_utf8_lossy(&entry), expected);
    }

    #[test]
    fn several_lines_cannot_pass_for_other_fields() {
        let entry = told(|| tracing::error!(error = "a\nPRIORITY=7", "b"));
        let counted = b"ERROR\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=7\n";
        assert!(entry.windows(counted.len()).any(|bytes| bytes == counted), "{}", String::from_utf8_lossy(&entry));
    }

    #[test]
    fn what_is_too_long_for_the_journal_is_cut() {
        let entry = told(|| tracing::warn!(error = "ä".repeat(LONGEST), "long"));
        assert!((2 * LONGEST..3 * LONGEST).contains(&entry.len()), "{}", entry.len());
    }
}
