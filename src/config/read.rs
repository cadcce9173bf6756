//! How the values of settings are read and written. An error says what to write instead, with an example.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use toml::de::DeValue;

use super::values::{
    AcmeDirectory, Directory, Domain, HeaderName, LogFormat, LogLevel, PublicUrl, Schedule, SecretText, TlsMode,
};
use crate::crypto::secret::Prefix;
use crate::model::dialect::DialectName;
use crate::model::duration;

/// A value as it came: from the file with its type, from elsewhere as text.
pub enum Given<'a> {
    Text(&'a str),
    Toml(&'a DeValue<'a>),
}

impl Given<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()),
            Self::Toml(DeValue::String(text)) => Some(text.trim()),
            Self::Toml(_) => None,
        }
    }

    fn list(&self) -> Option<Vec<&str>> {
        match self {
            Self::Toml(DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.trim()),
                    _ => None,
                })
                .collect(),
            Self::Toml(_) => None,
            Self::Text(text) => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => text.trim().replace('_', "").parse().ok(),
            Self::Toml(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            Self::Toml(_) => None,
        }
    }
}

pub(super) fn boolean(given: &Given) -> Result<bool, String> {
    match given {
        Given::Toml(DeValue::Boolean(value)) => Ok(*value),
        Given::Text("true" | "1" | "yes" | "on") => Ok(true),
        Given::Text("false" | "0" | "no" | "off") => Ok(false),
        _ => Err("use true or false".into()),
    }
}

pub(super) fn number<T: TryFrom<u64>>(given: &Given, min: u64, max: u64) -> Result<T, String> {
    let in_range = given.number().filter(|number| (min..=max).contains(number));
    in_range.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("use a whole number from {min} to {max}"))
}

pub(super) fn share(given: &Given) -> Result<f64, String> {
    let share = match given {
        Given::Text(text) => text.trim().parse::<f64>().ok(),
        Given::Toml(DeValue::Float(number)) => number.as_str().parse().ok(),
        Given::Toml(DeValue::Integer(number)) => number.as_str().parse().ok(),
        Given::Toml(_) => None,
    };
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "use a number from 0 to 1, for example 0.25".into())
}

pub(super) fn span(given: &Given, min_seconds: u64, max_seconds: u64) -> Result<Duration, String> {
    let wrong = || "use a number and unit, for example \"30s\" or \"2m\"".to_owned();
    let span = duration::parse(given.text().ok_or_else(wrong)?).map_err(|_| wrong())?;
    if !(min_seconds..=max_seconds).contains(&span.as_secs()) {
        let shown = |seconds| duration::show(Duration::from_secs(seconds));
        return Err(format!("use a time from {} to {}", shown(min_seconds), shown(max_seconds)));
    }
    Ok(span)
}

pub(super) fn listen(given: &Given) -> Result<SocketAddr, String> {
    let wrong = || "use an address and a port, for example \"127.0.0.1:8080\" or \"0.0.0.0:8080\"".to_owned();
    let text = given.text().ok_or_else(wrong)?;
    let host = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let any = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    host.or(any).as_deref().unwrap_or(text).parse().map_err(|_| wrong())
}

pub(super) fn second_listen(given: &Given) -> Result<Option<SocketAddr>, String> {
    if given.text() == Some("") { Ok(None) } else { listen(given).map(Some) }
}

pub(super) fn path(given: &Given) -> Result<PathBuf, String> {
    given
        .text()
        .map(PathBuf::from)
        .ok_or_else(|| "use the path of a file in quotes, for example \"/etc/keyrack/cert.pem\"".into())
}

pub(super) fn tls_mode(given: &Given) -> Result<TlsMode, String> {
    one_of(given, TlsMode::ALL, TlsMode::as_str)
}

pub(super) fn domains(given: &Given) -> Result<Vec<Domain>, String> {
    let wrong = || "use a list of names, for example [\"keys.example.com\"]".to_owned();
    given.list().ok_or_else(wrong)?.into_iter().map(Domain::parse).collect()
}

pub(super) fn acme_email(given: &Given) -> Result<String, String> {
    let email = given.text().filter(|text| text.is_empty() || crate::model::email::Email::parse(text).is_ok());
    email.map(str::to_owned).ok_or_else(|| "use an email address in quotes, for example \"ops@example.com\"".into())
}

pub(super) fn acme_directory(given: &Given) -> Result<AcmeDirectory, String> {
    AcmeDirectory::parse(given.text().unwrap_or_default())
}

pub(super) fn public_url(given: &Given) -> Result<Option<PublicUrl>, String> {
    optional(given, PublicUrl::parse, "use a URL in quotes, for example \"https://keys.example.com\"")
}

pub(super) fn key_prefix(given: &Given) -> Result<Option<Prefix>, String> {
    let wrong = "use up to 15 letters and digits and a _ at the end, for example \"acme_\"; not kro_, krr_, krc_ or krs_";
    optional(given, |text| Prefix::parse(text).map_err(|_| wrong.into()), wrong)
}

pub(super) fn forward_auth_header(given: &Given) -> Result<Option<HeaderName>, String> {
    optional(given, HeaderName::parse, "use the name of a header in quotes, for example \"X-Api-Key\"")
}

pub(super) fn token(given: &Given) -> Result<Option<SecretText>, String> {
    let wrong = "use at least 16 letters and digits, for example from: openssl rand -hex 32";
    let good = |text: &str| text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
    optional(given, |text| good(text).then(|| SecretText::new(text)).ok_or_else(|| wrong.into()), wrong)
}

/// One that seals backups for years, wherever their copies go.
pub const SHORTEST_PASSPHRASE: usize = 12;

pub(super) fn passphrase(given: &Given) -> Result<Option<SecretText>, String> {
    let wrong = "use at least 12 characters, for example from: openssl rand -hex 32";
    optional(
        given,
        |text| (text.chars().count() >= SHORTEST_PASSPHRASE).then(|| SecretText::new(text)).ok_or_else(|| wrong.into()),
        wrong,
    )
}

pub(super) fn schedule(given: &Given) -> Result<Schedule, String> {
    let wrong = || "use a span such as \"24h\", a time of day in UTC such as \"03:30\", or \"off\"".to_owned();
    Schedule::parse(given.text().ok_or_else(wrong)?).ok_or_else(wrong)
}

pub(super) fn directory(given: &Given) -> Result<Option<Directory>, String> {
    let wrong = "use a directory in quotes, from the root on, for example \"/srv/backups\"";
    let parse = |text: &str| text.starts_with('/').then(|| Directory::new(text)).ok_or_else(|| wrong.into());
    optional(given, parse, wrong)
}

fn optional<T>(given: &Given, parse: impl Fn(&str) -> Result<T, String>, wrong: &str) -> Result<Option<T>, String> {
    match given.text().ok_or(wrong)? {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

pub(super) fn networks(given: &Given) -> Result<Vec<IpNet>, String> {
    let wrong = || "use a list of networks, for example [\"10.0.0.0/8\", \"2001:db8::1/128\"]".to_owned();
    given.list().ok_or_else(wrong)?.into_iter().map(|text| network(text).ok_or_else(wrong)).collect()
}

fn network(text: &str) -> Option<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?.trunc();
    // Clients are compared as IPv4 wherever they are, so a network of v4-mapped addresses is one of IPv4.
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
            Ipv4Net::new(v6.addr().to_ipv4_mapped()?, v6.prefix_len() - 96).ok().map(IpNet::V4)
        }
        net => Some(net),
    }
}

pub(super) fn dialect(given: &Given) -> Result<DialectName, String> {
    one_of(given, DialectName::ALL, DialectName::as_str)
}

pub(super) fn log_format(given: &Given) -> Result<LogFormat, String> {
    one_of(given, LogFormat::ALL, LogFormat::as_str)
}

pub(super) fn log_level(given: &Given) -> Result<LogLevel, String> {
    one_of(given, LogLevel::ALL, LogLevel::as_str)
}

fn one_of<T: Copy>(given: &Given, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|&value| given.text() == Some(name(value)));
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|&value| format!("\"{}\"", name(value))).collect();
        format!("use {}", names.join(" or "))
    })
}

/// A value as the file would have it.
pub(super) trait Show {
    fn show(&self) -> String;
}

impl Show for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for usize {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for u64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for f64 {
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Show for SocketAddr {
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Show for Option<SocketAddr> {
    fn show(&self) -> String {
        format!("\"{}\"", self.map(|addr| addr.to_string()).unwrap_or_default())
    }
}

impl Show for PathBuf {
    fn show(&self) -> String {
        format!("\"{}\"", self.display())
    }
}

impl Show for String {
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Show for Vec<Domain> {
    fn show(&self) -> String {
        let names: Vec<_> = self.iter().map(|domain| format!("\"{}\"", domain.as_str())).collect();
        format!("[{}]", names.join(", "))
    }
}

impl Show for AcmeDirectory {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Show for TlsMode {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Show for Duration {
    fn show(&self) -> String {
        format!("\"{}\"", duration::show(*self))
    }
}

impl Show for Vec<IpNet> {
    fn show(&self) -> String {
        let nets: Vec<_> = self.iter().map(|net| format!("\"{net}\"")).collect();
        format!("[{}]", nets.join(", "))
    }
}

impl Show for Option<PublicUrl> {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_ref().map_or("", PublicUrl::as_str))
    }
}

impl Show for Option<Prefix> {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_ref().map_or("", Prefix::as_str))
    }
}

impl Show for Option<HeaderName> {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_ref().map_or("", HeaderName::as_str))
    }
}

impl Show for DialectName {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Show for LogFormat {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Show for LogLevel {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Show for Schedule {
    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Show for Option<SecretText> {
    fn show(&self) -> String {
        // Whoever may see it can look where it was set.
        format!("\"{}\"", if self.is_some() { "(not shown)" } else { "" })
    }
}

impl Show for Option<Directory> {
    fn show(&self) -> String {
        format!("\"{}\"", self.as_ref().map_or_else(Default::default, |dir| dir.as_path().display().to_string()))
    }
}
