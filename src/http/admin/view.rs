//! How the things of the model look on a page: words, colours of a state, times in the reader's zone.

use jiff::tz::TimeZone;

use crate::model::api_key::{ApiKey, KeyStatus, LastUse};
use crate::model::clock::Timestamp;
use crate::model::user::{User, UserStatus};

/// A key this near its end is marked.
const SOON_SECONDS: i64 = 7 * 86_400;

/// What times are shown against.
#[derive(Clone)]
pub struct Now {
    pub at: Timestamp,
    pub zone: TimeZone,
}

impl Now {
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    pub fn moment(&self, at: Timestamp) -> Moment {
        let zoned = at.to_jiff().to_zoned(self.zone.clone());
        Moment {
            iso: at.to_string(),
            day: zoned.strftime("%-d %b %Y").to_string(),
            full: zoned.strftime("%a %-d %b %Y %H:%M %Z").to_string(),
            relative: relative(at.seconds() - self.at.seconds(), || zoned.strftime("%-d %b %Y").to_string()),
        }
    }
}

/// One moment, in each way that a page may say it.
#[derive(Clone)]
pub struct Moment {
    pub iso: String,
    pub day: String,
    pub full: String,
    pub relative: String,
}

fn relative(seconds: i64, day: impl FnOnce() -> String) -> String {
    let away = seconds.unsigned_abs();
    let span = match away {
        0..60 => format!("{away} s"),
        60..3600 => format!("{} min", away / 60),
        3600..172_800 => format!("{} h", away / 3600),
        172_800..2_592_000 => format!("{} days", away / 86_400),
        _ if seconds < 0 => return day(),
        _ => format!("{} days", away / 86_400),
    };
    match seconds {
        0 => "now".into(),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// A state in one word, and its colour.
#[derive(Clone, Copy)]
pub struct Status {
    pub word: &'static str,
    pub tone: &'static str,
}

impl Status {
    fn of_key(key: &ApiKey, now: Timestamp) -> Self {
        let (word, tone) = match key.status(now) {
            KeyStatus::Active if key.expires_at.is_some_and(|end| end.seconds() - now.seconds() < SOON_SECONDS) => {
                ("Expires soon", "warn")
            }
            KeyStatus::Active => ("Active", "ok"),
            KeyStatus::Rotating => ("Rotating", "warn"),
            KeyStatus::Disabled => ("Disabled", ""),
            KeyStatus::Expired => ("Expired", "bad"),
            KeyStatus::Revoked => ("Revoked", "bad"),
        };
        Self { word, tone }
    }
}

/// A key, in a list or on its own page.
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub hint: String,
    pub owner: String,
    pub owner_id: String,
    pub scopes: String,
    pub status: Status,
    pub state: KeyStatus,
    pub enabled: bool,
    pub created: Moment,
    pub expires: Option<Moment>,
    pub last_used: Option<Moment>,
    pub used_words: String,
    pub revoked: Option<Moment>,
    pub ip_allow: Vec<String>,
    pub old: Option<OldSecret>,
    pub can_extend: bool,
}

/// The older of a key's two secrets.
pub struct OldSecret {
    pub hint: String,
    pub ends: Moment,
    pub still_used: Option<Moment>,
    pub from: String,
}

impl KeyRow {
    /// `owner` is an email address.
    pub fn new(key: &ApiKey, owner: &str, now: &Now) -> Self {
        let rotation = key.rotation_at(now.at);
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            hint: key.hint.clone(),
            owner: owner.into(),
            owner_id: key.user_id.to_string(),
            scopes: key.scopes.to_string().replace(' ', ", "),
            status: Status::of_key(key, now.at),
            state: key.status(now.at),
            enabled: key.enabled,
            created: now.moment(key.created_at),
            expires: key.expires_at.map(|at| now.moment(at)),
            last_used: key.last_used.as_ref().map(|last| now.moment(last.at)),
            used_words: key.last_used.as_ref().map_or_else(
                || "Not used yet".into(),
                |last| format!("Last used {}{}", now.moment(last.at).relative, from(last)),
            ),
            revoked: key.revoked_at.map(|at| now.moment(at)),
            ip_allow: key.ip_allow.entries().collect(),
            old: rotation.map(|rotation| OldSecret {
                hint: rotation.old_hint.clone(),
                ends: now.moment(rotation.old_expires_at),
                still_used: rotation.old_last_used.as_ref().map(|last| now.moment(last.at)),
                from: rotation.old_last_used.as_ref().map(from).unwrap_or_default(),
            }),
            can_extend: rotation.is_some(),
        }
    }

    pub fn is_revoked(&self) -> bool {
        self.state == KeyStatus::Revoked
    }

    pub fn can_rotate(&self) -> bool {
        !matches!(self.state, KeyStatus::Revoked | KeyStatus::Expired)
    }

    pub fn is_working(&self) -> bool {
        matches!(self.state, KeyStatus::Active | KeyStatus::Rotating)
    }
}

fn from(last: &LastUse) -> String {
    let mut words = String::new();
    if let Some(ip) = last.ip {
        words = format!(" from {ip}");
    }
    if !last.user_agent.is_empty() {
        words.push_str(" by ");
        words.extend(last.user_agent.chars().take(60));
    }
    words
}

/// A user, in a list or on their own page.
pub struct UserRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub role: &'static str,
    pub account: String,
    pub status: Status,
    pub active: bool,
    pub created: Moment,
    pub updated: Moment,
}

impl UserRow {
    pub fn new(user: &User, account: &str, now: &Now) -> Self {
        let active = user.status == UserStatus::Active;
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            email: user.email.clone(),
            role: if user.role == crate::model::user::Role::Admin { "Admin" } else { "Member" },
            account: account.into(),
            status: if active { Status { word: "Active", tone: "ok" } } else { Status { word: "Disabled", tone: "" } },
            active,
            created: now.moment(user.created_at),
            updated: now.moment(user.updated_at),
        }
    }
}

/// The foot of a list: where the neighbours are and how many rows a page has.
#[derive(Default)]
pub struct Pages {
    pub previous: Option<String>,
    pub next: Option<String>,
    pub words: String,
    pub size: u32,
    pub sizes: Vec<PageSize>,
}

pub struct PageSize {
    pub count: u32,
    pub href: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_uses_are_relative_until_they_are_a_month_old() {
        let day = || "1 Jan 2026".to_owned();
        for (seconds, words) in [
            (0, "now"),
            (-4, "4 s ago"),
            (-180, "3 min ago"),
            (-7200, "2 h ago"),
            (-86_400 * 3, "3 days ago"),
            (-86_400 * 40, "1 Jan 2026"),
            (86_399, "in 23 h"),
            (86_400 * 90, "in 90 days"),
        ] {
            assert_eq!(relative(seconds, day), words);
        }
    }
}
