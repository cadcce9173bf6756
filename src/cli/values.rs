//! How the values of arguments are read; a wrong one is a usage error, in the model's own words.

use jiff::civil::Date;

use crate::model::account::Reason;
use crate::model::api_key::{Expiry, IpAllow, KeyStatus, Metadata, Overlap};
use crate::model::audit_event::Head;
use crate::model::clock::Timestamp;
use crate::model::duration;
use crate::model::email::Email;
use crate::model::error::Problem;
use crate::model::name::Name;
use crate::model::scope::{Scope, ScopesAsked};
use crate::model::tier::{Window, Windows};
use crate::model::user::Role;
use crate::model::webhook::EventTypes;

use super::failure::Failure;

type Parsed<T> = Result<T, String>;

pub fn email(text: &str) -> Parsed<Email> {
    Email::parse(text).map_err(words)
}

pub fn name(text: &str) -> Parsed<Name> {
    Name::parse(text).map_err(words)
}

pub fn reason(text: &str) -> Parsed<Reason> {
    Reason::parse(text).map_err(words)
}

pub fn metadata(text: &str) -> Parsed<Metadata> {
    Metadata::parse(text).map_err(words)
}

pub fn role(text: &str) -> Parsed<Role> {
    Role::parse(text).map_err(words)
}

pub fn key_status(text: &str) -> Parsed<KeyStatus> {
    KeyStatus::parse(text).map_err(words)
}

/// A scope that exists, or a short word for several.
pub fn scope(text: &str) -> Parsed<String> {
    ScopesAsked::parse([text]).map(|_| text.to_owned()).map_err(words)
}

/// What an option for scopes says of itself.
pub fn scope_help(what: &str, default: &str) -> String {
    let all = Scope::ALL.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(", ");
    format!("{what}; may be repeated: {all}; or read (all that read), write (all that read or write) [default: {default}]")
}

pub fn event(text: &str) -> Parsed<String> {
    EventTypes::parse([text]).map(|_| text.to_owned()).map_err(words)
}

pub fn network(text: &str) -> Parsed<String> {
    IpAllow::parse([text]).map(|_| text.to_owned()).map_err(|_| "write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32".into())
}

/// A moment, or the beginning of a day in UTC.
pub fn time(text: &str) -> Parsed<Timestamp> {
    let midnight = || day(text).and_then(beginning);
    Timestamp::parse(text).or_else(midnight).ok_or_else(|| "write it as 2026-11-22T10:00:00Z, or as a day: 2026-11-22".into())
}

/// After some time, at a moment, or with the end of a day in UTC.
pub fn expiry(text: &str) -> Parsed<Expiry> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let end = || day(text).and_then(|day| beginning(day.tomorrow().ok()?));
    match Timestamp::parse(text).or_else(end) {
        Some(at) => Ok(Expiry::At(at)),
        None => duration::parse(text).map(Expiry::In).map_err(|words| format!("{words}; or a day, for example 2027-01-31")),
    }
}

fn day(text: &str) -> Option<Date> {
    // More than the day would be read, and lost.
    text.parse().ok().filter(|_| text.len() == "2026-11-22".len())
}

fn beginning(day: Date) -> Option<Timestamp> {
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(midnight.timestamp().as_millisecond()))
}

pub fn head(text: &str) -> Parsed<Head> {
    Head::parse(text).ok_or_else(|| "write it as the log does, the number of an event and its hash: 1204:9f86d0…".into())
}

pub fn overlap(text: &str) -> Parsed<Overlap> {
    Overlap::new(duration::parse(text)?).map_err(words)
}

pub fn window(text: &str) -> Parsed<Window> {
    Window::parse(text)
}

/// Several windows, each a good one, as a set.
pub fn windows(windows: Vec<Window>) -> anyhow::Result<Windows> {
    Windows::new(windows).map_err(|words| Failure::usage(format!("--window: {words}")))
}

fn words(problem: Problem) -> String {
    problem.message
}
