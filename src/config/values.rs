//! The values that only settings have.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;
use subtle::ConstantTimeEq;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::model::clock::Timestamp;
use crate::model::duration;

/// The address under which clients reach the server: scheme, host and port, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    https: bool,
    loopback: bool,
}

impl PublicUrl {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "use a URL without a path, for example \"https://keys.example.com\"".to_owned();
        let url: Url = text.trim().parse().map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_open = url.username().is_empty() && url.password().is_none();
        let host = url.host().ok_or_else(wrong)?;
        let loopback = match host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(addr) => addr.is_loopback(),
            Host::Ipv6(addr) => addr.is_loopback(),
        };
        if !is_bare || !is_open || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        Ok(Self { origin: url.origin().ascii_serialization(), host: host.to_string(), https: url.scheme() == "https", loopback })
    }

    /// `https://keys.example.com`, without a slash at the end: what links begin with, and what `Origin` must equal.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Without scheme and port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Names this machine alone.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// The name of a header, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(String);

impl HeaderName {
    pub fn parse(text: &str) -> Result<Self, String> {
        // The characters of a token (RFC 9110 §5.6.2).
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(is_token) {
            return Err("use the name of a header, for example \"X-Api-Key\"".into());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain HTTP.
    Off,
    Files,
    SelfSigned,
    Acme,
}

impl TlsMode {
    pub const ALL: &[Self] = &[Self::Off, Self::Files, Self::SelfSigned, Self::Acme];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Files => "files",
            Self::SelfSigned => "self-signed",
            Self::Acme => "acme",
        }
    }
}

/// A name in the DNS, in its ASCII form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

impl Domain {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "use names that lead to this machine, for example [\"keys.example.com\"]; no wildcards, no addresses".to_owned();
        let ascii = idna::domain_to_ascii_strict(text.trim().trim_end_matches('.')).map_err(|_| wrong())?;
        let is_name = ascii.contains('.') && ascii.parse::<std::net::IpAddr>().is_err();
        if is_name { Ok(Self(ascii)) } else { Err(wrong()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an ACME server tells how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeDirectory(Url);

impl Default for AcmeDirectory {
    fn default() -> Self {
        let url = "https://acme-v02.api.letsencrypt.org/directory".parse();
        Self(url.expect("a URL"))
    }
}

impl AcmeDirectory {
    pub fn parse(text: &str) -> Result<Self, String> {
        let url: Option<Url> = text.trim().parse().ok().filter(|url: &Url| url.scheme() == "https" && url.has_host());
        url.map(Self).ok_or_else(|| {
            "use a URL, for example \"https://acme-staging-v02.api.letsencrypt.org/directory\" to try things out".into()
        })
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// How people call whoever is behind it.
    pub fn server(&self) -> &str {
        let host = self.0.host_str().unwrap_or_default();
        if host.ends_with(".letsencrypt.org") { "Let's Encrypt" } else { host }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    Pretty,
    Json,
}

impl LogFormat {
    pub const ALL: &[Self] = &[Self::Auto, Self::Pretty, Self::Json];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const ALL: &[Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A secret from the configuration. Printed by nothing.
#[derive(Clone, PartialEq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes as long for a guess that is nearly right as for any other of its length.
    pub fn is(&self, guess: &str) -> bool {
        self.0.as_bytes().ct_eq(guess.as_bytes()).into()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// A directory, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    Off,
    Every(Duration),
    /// At this time of day, in UTC.
    Daily(Time),
}

impl Schedule {
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "off" | "0s") {
            return Some(Self::Off);
        }
        if let Ok(span) = duration::parse(text) {
            let allowed = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);
            return allowed.contains(&span).then_some(Self::Every(span));
        }
        let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok().map(Self::Daily)
    }

    /// Whether it is time again, when it was done last at `last`.
    pub fn is_due(self, last: Option<Timestamp>, now: Timestamp) -> bool {
        match self {
            Self::Off => false,
            Self::Every(span) => last.is_none_or(|last| last <= now.saturating_sub(span)),
            Self::Daily(time) => last.is_none_or(|last| last < latest(time, now)),
        }
    }
}

/// The last time that it was this time of day.
fn latest(time: Time, now: Timestamp) -> Timestamp {
    let now = now.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    let today = now.with().time(time).build().unwrap_or_else(|_| now.clone());
    let at = if today > now { today.yesterday().unwrap_or(today) } else { today };
    Timestamp::from_millis(at.timestamp().as_millisecond())
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Every(span) => f.write_str(&duration::show(*span)),
            Self::Daily(time) => write!(f, "{:02}:{:02}", time.hour(), time.minute()),
        }
    }
}
