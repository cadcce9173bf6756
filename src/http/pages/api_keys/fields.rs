//! What a key is given by a form, whether it is generated or edited: the fields, what was typed, and what it means.

use std::time::Duration;

use jiff::civil::Date;

use super::Choice;
use crate::http::csrf::Posted;
use crate::http::moment::Now;
use crate::http::signed_in::SignedIn;
use crate::http::words::{Message, msg, t};
use crate::model::api_key::{ApiKey, Expiry, IpAllow, Metadata};
use crate::model::clock::Timestamp;
use crate::model::error::{FieldErrors, Problem};
use crate::model::name::Name;
use crate::model::scope::{Scope, ScopeSet, ScopesAsked};
use crate::model::tier::Windows;

const DAY: u64 = 86_400;

/// The fields that both forms show.
pub struct KeyFields {
    pub typed: TypedKey,
    pub presets: Vec<Choice>,
    pub scope_rows: Vec<ScopeRow>,
    /// Scopes that the one who fills the form may not give, with the reason.
    pub withheld: String,
    pub expiries: Vec<Choice>,
    pub your_address: String,
}

#[derive(Clone, Default)]
pub struct TypedKey {
    pub name: String,
    pub owner: String,
    pub preset: String,
    pub scopes: ScopeSet,
    pub expires: String,
    pub expires_on: String,
    pub ip_allow: String,
    pub windows: String,
    pub metadata: String,
}

pub struct ScopeRow {
    pub resource: &'static str,
    pub cells: Vec<ScopeCell>,
}

pub struct ScopeCell {
    /// Empty: there is no such scope.
    pub scope: &'static str,
    pub checked: bool,
}

/// What the fields mean.
pub struct Given {
    pub name: Name,
    pub scopes: ScopesAsked,
    /// None: it stays as it is.
    pub expiry: Option<Expiry>,
    pub ip_allow: IpAllow,
    pub windows: Windows,
    pub metadata: Metadata,
}

impl TypedKey {
    pub fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        let lines = |name| form.text(name).replace("\r\n", "\n").trim_end().to_owned();
        Self {
            name: text("name"),
            owner: text("owner"),
            preset: text("preset"),
            scopes: form.all("scope").filter_map(Scope::parse).fold(ScopeSet::EMPTY, ScopeSet::with),
            expires: text("expires"),
            expires_on: text("expires_on"),
            ip_allow: lines("ip_allow"),
            windows: lines("windows"),
            metadata: lines("metadata"),
        }
    }

    /// The form of a key as it is.
    pub fn of_key(key: &ApiKey) -> Self {
        let metadata = key.metadata.as_map();
        Self {
            name: key.name.clone(),
            owner: String::new(),
            preset: "custom".into(),
            scopes: key.scopes,
            expires: "keep".into(),
            expires_on: String::new(),
            ip_allow: key.ip_allow.entries().collect::<Vec<_>>().join("\n"),
            windows: key.windows.to_lines(),
            metadata: if metadata.is_empty() {
                String::new()
            } else {
                serde_json::to_string_pretty(metadata).unwrap_or_default()
            },
        }
    }

    /// What was meant; none where something has to be mended, which is then noted.
    pub fn read(&self, now: &Now, errors: &mut FieldErrors) -> Option<Given> {
        let name = errors.note("name", Name::parse(&self.name));
        let scopes = errors.note("scopes", self.asked());
        let expiry =
            self.expiry(now).and_then(|expiry| expiry.map_or(Ok(()), |it| it.resolve(now.at).map(|_| ())).map(|()| expiry));
        let expiry = errors.note(self.expiry_field(), expiry);
        let lines = self.ip_allow.lines().map(str::trim).filter(|line| !line.is_empty());
        let ip_allow = errors.note("ip_allow", IpAllow::parse(lines));
        let windows = errors.note("windows", Windows::parse_lines(&self.windows));
        let metadata = errors.note("metadata", Metadata::parse(&self.metadata));
        Some(Given { name: name?, scopes: scopes?, expiry: expiry?, ip_allow: ip_allow?, windows: windows?, metadata: metadata? })
    }

    pub fn is_for_everything(&self) -> bool {
        self.preset == "custom" && self.scopes.has(Scope::Admin)
    }

    fn asked(&self) -> Result<ScopesAsked, Problem> {
        match self.preset.as_str() {
            "custom" if self.scopes.is_empty() => Err(Problem::new("required", "Choose at least one scope.")),
            "custom" => Ok(self.scopes.into()),
            preset @ ("read" | "write") => ScopesAsked::parse([preset]),
            _ => Err(Problem::new("required", "Choose what the key may do.")),
        }
    }

    fn expiry(&self, now: &Now) -> Result<Option<Expiry>, Problem> {
        let days = |n: u64| Ok(Some(Expiry::In(Duration::from_secs(n * DAY))));
        match self.expires.as_str() {
            "keep" => Ok(None),
            "30d" => days(30),
            "90d" => days(90),
            "365d" => days(365),
            "never" => Ok(Some(Expiry::Never)),
            "date" => end_of_day(&self.expires_on, now)
                .map(|end| Some(Expiry::At(end)))
                .ok_or_else(|| Problem::new("invalid_date", "Enter the last day, for example 2027-01-31.")),
            _ => Err(Problem::new("required", "Choose when the key expires.")),
        }
    }

    pub fn expiry_field(&self) -> &'static str {
        if self.expires == "date" { "expires_on" } else { "expires" }
    }

    /// Something that few keys have was typed, or has to be mended.
    pub fn has_more(&self) -> bool {
        !self.windows.is_empty() || !self.metadata.is_empty()
    }
}

impl KeyFields {
    /// `kept` is the expiry in words that an edited key has now.
    pub fn new(who: &SignedIn, typed: TypedKey, kept: Option<String>) -> Self {
        let (now, allowed) = (who.now(), who.caller.scopes);
        let until = |days: u64| now.moment(now.at.saturating_add(Duration::from_secs(days * DAY))).day;
        let withheld: Vec<&str> = Scope::ALL.iter().filter(|&&scope| !allowed.allows(scope)).map(|scope| scope.name()).collect();
        let plain = |value, words: Message| Choice { value, words: words.into(), hint: String::new() };
        let choice = |value, words: Message, hint: Message| Choice { value, words: words.into(), hint: hint.into() };
        let kept = kept.map(|words| Choice { value: "keep", words, hint: String::new() });
        let full = match allowed.allows(Scope::Admin) {
            true => t(
                "Reads and changes what is in its owner’s account. Without admin (every account) and keys:verify (checking keys): choose those one by one.",
            ),
            false => {
                t("Reads and changes what is in its owner’s account. Without keys:verify (checking keys): choose that by itself.")
            }
        };
        let ends = [
            plain("30d", t("In 30 days, on {day}").with("day", until(30))),
            plain("90d", t("In 90 days, on {day}").with("day", until(90))),
            plain("365d", t("In a year, on {day}").with("day", until(365))),
            plain("date", t("On a date")),
            plain("never", t("Never")),
        ];
        Self {
            presets: vec![
                choice("read", t("Read only"), t("Reads what is in its owner’s account, and changes nothing.")),
                choice("write", t("Full"), full),
                choice("custom", t("Custom scopes"), t("Each one chosen.")),
            ],
            scope_rows: scope_rows(allowed, typed.scopes),
            withheld: match withheld.as_slice() {
                [] => String::new(),
                scopes => t("{scopes}, which only an administrator’s key may have").with("scopes", scopes.join(", ")).into(),
            },
            expiries: kept.into_iter().chain(ends).collect(),
            your_address: who.facts.ip.to_string(),
            typed,
        }
    }
}

fn end_of_day(typed: &str, now: &Now) -> Option<Timestamp> {
    let day: Date = typed.parse().ok()?;
    let end = day.tomorrow().ok()?.to_zoned(now.zone.clone()).ok()?;
    Some(Timestamp::from_millis(end.timestamp().as_millisecond()))
}

/// The scopes that may be given, a row for each resource, with what only reads before what changes.
fn scope_rows(allowed: ScopeSet, checked: ScopeSet) -> Vec<ScopeRow> {
    let resources =
        [(msg!("Users"), "users"), (msg!("API keys"), "keys"), (msg!("Webhooks"), "webhooks"), (msg!("Audit log"), "audit")];
    let cell = |name: &str| match Scope::parse(name).filter(|&scope| allowed.allows(scope)) {
        Some(scope) => ScopeCell { scope: scope.name(), checked: checked.has(scope) },
        None => ScopeCell { scope: "", checked: false },
    };
    let row = |resource, cells: [&str; 2]| ScopeRow { resource, cells: cells.map(cell).into() };
    let mut rows: Vec<ScopeRow> =
        resources.iter().map(|(words, name)| row(*words, [&format!("{name}:read"), &format!("{name}:write")])).collect();
    rows.push(row(msg!("Other"), ["keys:verify", "admin"]));
    rows.retain(|row| row.cells.iter().any(|cell| !cell.scope.is_empty()));
    rows
}
