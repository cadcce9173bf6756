//! How the things of the model look on a page: words, and the colour of a state.

use std::time::Duration;

use crate::http::moment::{Moment, Now};
pub use crate::http::words::number as grouped;
use crate::http::words::{Message, capitalized, count, decimal, msg, t};
use crate::limits::WindowState;
use crate::model::api_key::{ApiKey, KeyStatus, LastUse, Overlap};
use crate::model::clock::Timestamp;
use crate::model::duration;
use crate::model::page::{Order, Page};
use crate::model::tier::{Window, Windows};
use crate::model::user::{Role, User, UserStatus};
use crate::services::usage::KeyCounts;

/// A key this near its end is marked.
const SOON_SECONDS: i64 = 7 * 86_400;

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
                (msg!("Expires soon"), "warn")
            }
            KeyStatus::Active => (msg!("Active"), "ok"),
            KeyStatus::Rotating => (msg!("Rotating"), "warn"),
            KeyStatus::Disabled => (msg!("Disabled"), ""),
            KeyStatus::Expired => (msg!("Expired"), "bad"),
            KeyStatus::Revoked => (msg!("Revoked"), "bad"),
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
    pub used: Option<Used>,
    pub revoked: Option<Moment>,
    pub ip_allow: Vec<String>,
    pub old: Option<OldSecret>,
    pub can_extend: bool,
    /// In the last 24 hours; only where a list asks for it.
    pub requests: String,
    /// What limits its account; only where a list asks for it.
    pub tier: String,
}

/// The older of a key's two secrets.
pub struct OldSecret {
    pub hint: String,
    /// When the key got its new secret.
    pub since: Moment,
    pub ends: Moment,
    /// Its last use, if that was after the rotation.
    pub still_used: Option<Used>,
    /// How often each secret was presented since the rotation.
    pub requests: String,
    pub new_requests: String,
}

/// A use of a secret: `Last used {when} from 192.0.2.1`, and `3 min ago from 192.0.2.1`.
pub struct Used {
    pub at: Moment,
    pub sentence: Message,
    pub words: String,
}

impl Used {
    fn of(last: &LastUse, now: &Now) -> Self {
        let at = now.moment(last.at);
        Self { sentence: used(last), words: used_words(last).with("when", &at.relative).into(), at }
    }
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
            expires: key.expires_at.map(|at| now.end(at)),
            last_used: key.last_used.as_ref().map(|last| now.moment(last.at)),
            used: key.last_used.as_ref().map(|last| Used::of(last, now)),
            revoked: key.revoked_at.map(|at| now.moment(at)),
            ip_allow: key.ip_allow.entries().collect(),
            old: rotation.map(|rotation| {
                let since = rotation.old_last_used.as_ref().filter(|last| last.at >= rotation.started_at);
                OldSecret {
                    hint: rotation.old_hint.clone(),
                    since: now.moment(rotation.started_at),
                    ends: now.moment(rotation.old_expires_at),
                    still_used: since.map(|last| Used::of(last, now)),
                    requests: count(rotation.old_requests, "{n} request since the rotation.", "{n} requests since the rotation.")
                        .into(),
                    new_requests: count(rotation.new_requests, "{n} request since.", "{n} requests since.").into(),
                }
            }),
            can_extend: rotation.is_some_and(|rotation| {
                let longest = now.at.saturating_add(Overlap::MAX);
                let longest = key.expires_at.map_or(longest, |expiry| expiry.min(longest));
                rotation.old_expires_at < longest
            }),
            requests: String::new(),
            tier: String::new(),
        }
    }

    /// What it was used for in the last 24 hours. One that met its limits is marked.
    pub fn with_usage(self, used: Option<&KeyCounts>) -> Self {
        let is_limited = used.is_some_and(|used| used.rate_limited > 0) && self.state == KeyStatus::Active;
        let status = if is_limited { Status { word: msg!("Limited"), tone: "limited" } } else { self.status };
        Self { requests: grouped(used.map_or(0, |used| used.requests)), status, ..self }
    }

    pub fn with_tier(self, tier: String) -> Self {
        Self { tier, ..self }
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

fn used(last: &LastUse) -> Message {
    let agent: String = last.user_agent.chars().take(60).collect();
    match (last.ip, agent.as_str()) {
        (None, "") => t("Last used {when}"),
        (Some(ip), "") => t("Last used {when} from {ip}").with("ip", ip),
        (None, agent) => t("Last used {when} by {agent}").with("agent", agent),
        (Some(ip), agent) => t("Last used {when} from {ip} by {agent}").with("ip", ip).with("agent", agent),
    }
}

fn used_words(last: &LastUse) -> Message {
    let agent: String = last.user_agent.chars().take(60).collect();
    match (last.ip, agent.as_str()) {
        (None, "") => t("{when}"),
        (Some(ip), "") => t("{when} from {ip}").with("ip", ip),
        (None, agent) => t("{when} by {agent}").with("agent", agent),
        (Some(ip), agent) => t("{when} from {ip} by {agent}").with("ip", ip).with("agent", agent),
    }
}

/// A user, in a list or on their own page.
pub struct UserRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub role: &'static str,
    pub account: String,
    pub account_id: String,
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
            role: role_word(user.role),
            account: account.into(),
            account_id: user.account_id.to_string(),
            status: match (active, user.has_password) {
                (true, true) => Status { word: msg!("Active"), tone: "ok" },
                (true, false) => Status { word: msg!("No password yet"), tone: "warn" },
                (false, _) => Status { word: msg!("Disabled"), tone: "" },
            },
            active,
            created: now.moment(user.created_at),
            updated: now.moment(user.updated_at),
        }
    }

    /// They have an invitation, and no password yet.
    pub fn invited(self, invited: bool) -> Self {
        let status = if invited && self.active { Status { word: msg!("Invited"), tone: "info" } } else { self.status };
        Self { status, ..self }
    }
}

/// To be translated where it is shown.
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => msg!("Admin"),
        Role::Member => msg!("Member"),
    }
}

/// `1,000 requests an hour, 50 a second`: the longest first, as people think of a quota.
pub fn window_words(windows: &Windows) -> String {
    let mut longest_first = windows.as_slice().iter().rev();
    let Some(longest) = longest_first.next() else { return t("no limit").into() };
    let shorter = longest_first.map(short_window_words);
    std::iter::once(one_window_words(longest)).chain(shorter).collect::<Vec<_>>().join(", ")
}

/// `1,000 requests an hour`
pub fn one_window_words(window: &Window) -> String {
    let words = match window.seconds {
        1 => count(window.limit, "{n} request a second", "{n} requests a second"),
        60 => count(window.limit, "{n} request a minute", "{n} requests a minute"),
        3600 => count(window.limit, "{n} request an hour", "{n} requests an hour"),
        86_400 => count(window.limit, "{n} request a day", "{n} requests a day"),
        _ => count(window.limit, "{n} request in {span}", "{n} requests in {span}").with("span", span_of(window)),
    };
    words.into()
}

/// `50 a second`
fn short_window_words(window: &Window) -> String {
    let words = match window.seconds {
        1 => t("{n} a second"),
        60 => t("{n} a minute"),
        3600 => t("{n} an hour"),
        86_400 => t("{n} a day"),
        _ => t("{n} in {span}").with("span", span_of(window)),
    };
    words.with("n", grouped(window.limit)).into()
}

/// `1,000/hour`
pub fn limit_words(window: &Window) -> String {
    let words = match window.seconds {
        1 => t("{n}/second"),
        60 => t("{n}/minute"),
        3600 => t("{n}/hour"),
        86_400 => t("{n}/day"),
        _ => t("{n}/{span}").with("span", span_of(window)),
    };
    words.with("n", grouped(window.limit)).into()
}

/// When a window begins anew: `In 12 min`.
pub fn resets_words(window: &WindowState) -> String {
    if window.remaining == window.limit {
        return t("Begins with the next request").into();
    }
    capitalized(&in_span(window.reset_seconds()))
}

/// `in 12 min`, rounded up, so that waiting for it is enough.
fn in_span(seconds: u64) -> String {
    let words = match seconds {
        0..=90 => t("in {n} s").with("n", seconds.max(1)),
        91..=5_400 => t("in {n} min").with("n", seconds.div_ceil(60)),
        5_401..=172_800 => t("in {n} h").with("n", seconds.div_ceil(3_600)),
        _ => t("in {n} days").with("n", seconds.div_ceil(86_400)),
    };
    words.into()
}

fn span_of(window: &Window) -> String {
    duration::show(Duration::from_secs(window.seconds.into()))
}

/// `12.3 MB`
pub fn size_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => count(bytes, "{n} byte", "{n} bytes").into(),
        1_000..1_000_000 => format!("{} kB", decimal(bytes as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", decimal(bytes as f64 / 1e6)),
        _ => format!("{} GB", decimal(bytes as f64 / 1e9)),
    }
}

/// `12 days`
pub fn age_words(age: Duration) -> String {
    let words = match age.as_secs() {
        0..60 => t("less than a minute"),
        seconds @ 60..7_200 => count(seconds / 60, "{n} minute", "{n} minutes"),
        seconds @ 7_200..172_800 => count(seconds / 3_600, "{n} hour", "{n} hours"),
        seconds => count(seconds / 86_400, "{n} day", "{n} days"),
    };
    words.into()
}

/// The head of a column; with a link where the list can be sorted by it.
pub struct Column {
    pub words: &'static str,
    pub class: &'static str,
    /// Empty: this column is not sorted by.
    pub href: String,
    /// `ascending`, `descending`, or empty.
    pub sorted: &'static str,
}

/// What a list is sorted by: `name`, or `-created_at` for what is newest first, which is also what nothing means.
pub struct Sorted {
    pub by: &'static str,
    pub descending: bool,
}

impl Sorted {
    pub const CREATED: &str = "created_at";

    /// `texts` are the columns besides the time of creation.
    pub fn parse(text: &str, texts: &[&'static str]) -> Self {
        let (descending, by) = text.strip_prefix('-').map_or((false, text), |by| (true, by));
        match texts.iter().find(|known| **known == by) {
            Some(by) => Self { by, descending },
            None => Self { by: Self::CREATED, descending: descending || by != Self::CREATED },
        }
    }

    /// As the address says it; empty for the order of a list that nobody sorted.
    pub fn word(&self) -> &'static str {
        match (self.by, self.descending) {
            ("name", false) => "name",
            ("name", true) => "-name",
            ("email", false) => "email",
            ("email", true) => "-email",
            (_, false) => Self::CREATED,
            (_, true) => "",
        }
    }

    pub fn in_words(&self) -> &'static str {
        match (self.by, self.descending) {
            ("name", false) => msg!("By name"),
            ("name", true) => msg!("By name, backwards"),
            ("email", false) => msg!("By email address"),
            ("email", true) => msg!("By email address, backwards"),
            (_, false) => msg!("Oldest first"),
            (_, true) => msg!("Newest first"),
        }
    }

    /// The columns of a list, each with the word it is sorted by, or none. A number's column is known by its words.
    pub fn columns(&self, listed: &Listed, columns: &[(&'static str, &'static str)]) -> Vec<Column> {
        let column = |&(by, words): &(&'static str, &'static str)| {
            let is_sorted = by == self.by;
            let turned = Self { by, descending: if is_sorted { !self.descending } else { by == Self::CREATED } };
            let more = [("sort", turned.word())];
            let href = listed.link(listed.size(), if turned.word().is_empty() { &[] } else { &more });
            Column {
                words,
                class: if matches!(words, "Users" | "API keys") { "num" } else { "" },
                href: if by.is_empty() { String::new() } else { href },
                sorted: match (is_sorted, self.descending) {
                    (false, _) => "",
                    (true, false) => "ascending",
                    (true, true) => "descending",
                },
            }
        };
        columns.iter().map(column).collect()
    }

    pub fn order(&self) -> Order {
        if self.descending { Order::NewestFirst } else { Order::OldestFirst }
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

/// A list that is paged through: what its links keep, all of it in the address.
pub struct Listed {
    base: String,
    kept: Vec<(&'static str, String)>,
    size: u32,
    /// The number of the page's first row. Only shown, so a wrong one harms nobody.
    from: u64,
}

impl Listed {
    const SIZES: [u32; 3] = [25, 50, 100];

    pub fn new(base: impl Into<String>, size: Option<u32>, from: Option<u64>) -> Self {
        let size = size.filter(|size| Self::SIZES.contains(size)).unwrap_or(Self::SIZES[0]);
        Self { base: base.into(), kept: Vec::new(), size, from: from.unwrap_or(1).max(1) }
    }

    pub fn keeping(mut self, name: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.kept.push((name, value.into()));
        }
        self
    }

    pub fn size(&self) -> u32 {
        self.size
    }

    /// A link to the same list with something more in its address.
    pub fn link(&self, size: u32, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.kept);
        if size != Self::SIZES[0] {
            query.append_pair("limit", &size.to_string());
        }
        query.extend_pairs(more);
        let query = query.finish();
        if query.is_empty() { self.base.clone() } else { format!("{}?{query}", self.base) }
    }

    fn rows_words(&self, rows: u64, last: u64, total: Option<u64>) -> String {
        let span = format!("{}–{}", grouped(self.from), grouped(last));
        match total {
            _ if rows == 0 => String::new(),
            Some(total) => t("{span} of {total}").with("span", span).with("total", grouped(total)).into(),
            None => span,
        }
    }

    pub fn pages<T>(&self, page: &Page<T>, id: impl Fn(&T) -> String) -> Pages {
        let rows = page.rows.len() as u64;
        let neighbour = |has: bool, row: Option<&T>, cursor: &str, from: u64| {
            let row = row.filter(|_| has)?;
            Some(self.link(self.size, &[(cursor, &id(row)), ("from", &from.to_string())]))
        };
        let is_whole = !page.has_prev && !page.has_next;
        let last = self.from.saturating_add(rows.saturating_sub(1));
        Pages {
            previous: neighbour(page.has_prev, page.rows.first(), "before", self.from.saturating_sub(self.size.into()).max(1)),
            next: neighbour(page.has_next, page.rows.last(), "after", self.from.saturating_add(rows)),
            words: self.rows_words(rows, last, page.total),
            size: self.size,
            sizes: if is_whole && rows <= Self::SIZES[0].into() {
                Vec::new()
            } else {
                Self::SIZES.map(|count| PageSize { count, href: self.link(count, &[]) }).into()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_as_people_say_them() {
        let windows = |list: &[(u64, u32)]| {
            let list = list.iter().map(|&(limit, seconds)| Window::new(limit, seconds)).collect();
            window_words(&Windows::new(list).expect("windows"))
        };
        assert_eq!(windows(&[(50, 1), (1000, 3600)]), "1,000 requests an hour, 50 a second");
        assert_eq!(windows(&[(1_234_567, 7200)]), "1,234,567 requests in 2h");
        assert_eq!(windows(&[]), "no limit");
    }

    #[test]
    fn links_of_a_list_keep_what_was_asked_for() {
        let listed = Listed::new("/admin/users", Some(50), Some(51)).keeping("q", "a b&c").keeping("sort", "");
        let page = Page { rows: vec!["x", "y"], has_prev: true, has_next: true, total: Some(1204) };
        let pages = listed.pages(&page, ToString::to_string);
        assert_eq!(pages.previous.as_deref(), Some("/admin/users?q=a+b%26c&limit=50&before=x&from=1"));
        assert_eq!(pages.next.as_deref(), Some("/admin/users?q=a+b%26c&limit=50&after=y&from=53"));
        assert_eq!(pages.words, "51–52 of 1,204");
        assert_eq!(pages.sizes[0].href, "/admin/users?q=a+b%26c");
        assert_eq!(Listed::new("/x", Some(1_000_000), None).size(), 25, "a size of one's own making is not taken");
    }
}
