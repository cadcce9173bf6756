//! The note that a running server leaves in its data directory, for those who come after it.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::model::clock::Timestamp;

const TLS: &str = "tls";
pub const LOCK: &str = "keyrack.lock";

/// Lines: process, start, address, where it listens, what it speaks there, and the file of its settings, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub pid: u32,
    pub since: Timestamp,
    pub url: String,
    pub listen: SocketAddr,
    pub tls: bool,
    pub config: Option<PathBuf>,
}

impl Running {
    pub fn parse(note: &str) -> Option<Self> {
        let mut lines = note.lines();
        let (pid, since, url, listen) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let (since, tls) = (Timestamp::parse(since)?, lines.next() == Some(TLS));
        let config = lines.next().map(PathBuf::from);
        Some(Self { pid: pid.parse().ok()?, since, url: url.to_owned(), listen: listen.parse().ok()?, tls, config })
    }

    /// Where it is reached from this machine: what listens everywhere listens here, too.
    pub fn reached_at(bound: SocketAddr) -> SocketAddr {
        let here = if bound.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        if bound.ip().is_unspecified() { SocketAddr::new(here, bound.port()) } else { bound }
    }

    /// The server that has this data directory now.
    pub fn of(dir: &Path) -> Option<Self> {
        // Its lock ends with the process, its note does not.
        let is_held = matches!(File::open(dir.join(LOCK)).ok()?.try_lock_shared(), Err(fs::TryLockError::WouldBlock));
        Self::last(dir).filter(|_| is_held)
    }

    /// The server that had it last, and may have it still.
    pub fn last(dir: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(dir.join(LOCK)).ok()?)
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let speaks = if self.tls { TLS } else { "plain" };
        writeln!(f, "{}\n{}\n{}\n{}\n{speaks}", self.pid, self.since, self.url, self.listen)?;
        self.config.as_ref().map_or(Ok(()), |path| writeln!(f, "{}", path.display()))
    }
}

/// `14:32`, or with its date when that is not today, in the machine's time zone.
pub fn clock_time(at: Timestamp, now: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let (at, now) = (at.to_jiff().to_zoned(zone.clone()), now.to_jiff().to_zoned(zone));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let since = Timestamp::from_millis(1_698_400_800_000);
        for (tls, config) in [(false, None), (true, Some("/etc/keyrack/keyrack.toml".into()))] {
            let note = Running { pid: 700, since, url: "http://127.0.0.1:8080".into(), listen, tls, config };
            assert_eq!(Running::parse(&note.to_string()), Some(note));
        }
        assert_eq!(Running::parse(""), None);
    }
}
