//! API keys on pages: one's own under the settings, everyone's for administrators. The two share every handler and
//! template; the path tells which it is.

mod confirm;
mod generate;
mod rotate;

pub use confirm::{disable, enable, revoke, show_disable, show_enable, show_revoke};
pub use generate::{create, download, new, test};
pub use rotate::{end_old, extend, rotate, show_end_old, show_rotate};

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::{Path, Query};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::chart::Chart;
use super::notices::NoticeRow;
use super::view::{KeyRow, Listed, Pages, window_words};
use crate::http::arrival::path_of;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, KeyStatus};
use crate::model::ids::{ApiKeyId, UserId};
use crate::model::notice::{Notice, NoticeKind};
use crate::model::page::{Limit, Order, Start};
use crate::model::usage::Range;
use crate::model::user::User;
use crate::services;

/// Whose keys a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    Own,
    All,
}

impl Realm {
    pub const fn base(self) -> &'static str {
        match self {
            Self::Own => "/settings/api-keys",
            Self::All => "/admin/keys",
        }
    }

    pub const fn is_own(self) -> bool {
        matches!(self, Self::Own)
    }

    const fn place(self) -> Place {
        match self {
            Self::Own => Place::OwnKeys,
            Self::All => Place::Keys,
        }
    }

    fn of(&self, key: &ApiKey) -> String {
        format!("{}/{}", self.base(), key.id)
    }

    /// The key of a page, if it belongs there.
    async fn find(self, who: &SignedIn, id: &str) -> Result<ApiKey, PageError> {
        let id = ApiKeyId::parse(id).ok_or(AppError::NotFound("key"))?;
        let key = services::api_keys::find(&who.app, &who.caller, id).await?;
        if self.is_own() && key.user_id != who.user.id {
            return Err(AppError::NotFound("key").into());
        }
        Ok(key)
    }
}

impl FromRequest for Realm {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(if path_of(req).starts_with(Self::All.base()) { Self::All } else { Self::Own }))
    }
}

#[derive(Template)]
#[template(path = "admin/api_keys/list.html")]
pub struct KeysPage {
    pub frame: Frame,
    pub realm: Realm,
    pub summary: String,
    pub filter: Filter,
    pub keys: Vec<KeyRow>,
    pub pages: Pages,
    pub base_url: String,
}

impl KeysPage {
    /// There is no key at all, rather than none that matches.
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.filter.words.is_empty() && self.pages.previous.is_none()
    }
}

#[derive(Default)]
pub struct Filter {
    pub q: String,
    pub statuses: Vec<Choice>,
    /// The filter in words, where nothing matches it.
    pub words: String,
}

/// One option of a form.
pub struct Choice {
    pub value: &'static str,
    pub words: String,
    pub hint: String,
    pub current: bool,
}

#[derive(Template)]
#[template(path = "admin/api_keys/show.html")]
pub struct KeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub row: KeyRow,
    pub summary: String,
    pub limits: String,
    /// What a request would meet now.
    pub verdict: String,
    pub report: Option<Report>,
    /// What else was noticed of it.
    pub notices: Vec<NoticeRow>,
    pub base_url: String,
    pub chart: Chart,
}

/// The key was reported as leaked.
pub struct Report {
    pub at: Moment,
    pub from: String,
    pub next: &'static str,
}

impl Report {
    fn of(notices: &[Notice], now: &Now) -> Option<Self> {
        let report = notices.iter().find(|notice| notice.kind == NoticeKind::Reported)?;
        let from = if report.detail.is_empty() { String::new() } else { format!(" from {}", report.detail) };
        let next = "Generate a new one for them, and find out where this one stood.";
        Some(Self { at: now.moment(report.first_at), from, next })
    }
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

pub async fn list(who: SignedIn, realm: Realm, query: Query<ListQuery>) -> Result<HttpResponse, PageError> {
    let query = query.into_inner();
    let q = query.q.trim();
    if let Some(found) = key_of_secret(&who, realm, q) {
        return Ok(to(found));
    }
    let status = KeyStatus::parse(&query.status).ok();
    let filter = services::api_keys::Filter {
        user: realm.is_own().then_some(who.user.id),
        status,
        q: (!q.is_empty()).then(|| q.to_owned()),
        ..Default::default()
    };
    let listed =
        Listed::new(realm.base(), query.limit, query.from).keeping("q", q).keeping("status", status.map_or("", KeyStatus::name));
    let start = Start::parse(None, query.after.as_deref(), query.before.as_deref(), ApiKeyId::parse, &mut Default::default());
    let place = (start, Order::NewestFirst, Limit::of(listed.size()));
    let page = services::api_keys::list(&who.app, &who.caller, filter, place).await?;
    let owners = owners(&who, &page.rows).await?;
    let requests = services::usage::requests_of_a_day(&who.app, &who.caller, &page.rows).await?;
    let requests = |key: &ApiKey| requests.get(&key.id).copied().unwrap_or(0);
    let now = who.now();
    let mut words = Vec::new();
    words.extend((!q.is_empty()).then(|| q.to_owned()));
    words.extend(status.map(|status| format!("status: {}", status.name())));
    let none = Choice { value: "", words: "Any".into(), hint: String::new(), current: status.is_none() };
    let statuses = KeyStatus::ALL.iter().map(|known| Choice {
        value: known.name(),
        words: super::view::capitalized(known.name()),
        hint: String::new(),
        current: status == Some(*known),
    });
    let title = if realm.is_own() { "API Keys" } else { "API keys" };
    let page = KeysPage {
        frame: who.frame(title, realm.place()),
        realm,
        summary: "Secrets are shown once, when a key is generated.".into(),
        filter: Filter { q: q.into(), statuses: std::iter::once(none).chain(statuses).collect(), words: words.join(", ") },
        keys: page.rows.iter().map(|key| KeyRow::new(key, owner_of(&owners, key), &now).with_requests(requests(key))).collect(),
        pages: listed.pages(&page, |key| key.id.to_string()),
        base_url: who.facts.base_url().into(),
    };
    Ok(who.ok(&page))
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
}

pub async fn show(
    who: SignedIn,
    realm: Realm,
    id: Path<String>,
    (done, asked): (Query<Done>, Query<Asked>),
) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let owner = services::users::find(&who.app, &who.caller, key.user_id).await?;
    let now = who.now();
    let row = KeyRow::new(&key, &owner.email, &now);
    let range = Range::parse(&asked.range).unwrap_or_default();
    let used = services::usage::of_key(&who.app, &who.caller, &key, range).await?;
    let noticed = services::notices::of_key(&who.app, &who.caller, &key).await?;
    let others = noticed.iter().filter(|notice| notice.kind != NoticeKind::Reported);
    let page = KeyPage {
        report: Report::of(&noticed, &now),
        notices: others.map(|notice| NoticeRow::new(notice, Some(&key.name), &now)).collect(),
        frame: who.frame(&key.name, realm.place()).with_banner(done.banner()),
        chart: Chart::new(&used, &realm.of(&key), &now),
        realm,
        summary: format!("API key of {}", owner.email),
        limits: limits(&who, &owner, &key).await?,
        verdict: services::verify::explain(&who.app, &who.caller, key.id).await?,
        base_url: who.facts.base_url().into(),
        row,
    };
    Ok(who.ok(&page))
}

/// What requests of a key are counted against, in words.
async fn limits(who: &SignedIn, owner: &User, key: &ApiKey) -> Result<String, PageError> {
    let mut words = account_limits(who, owner).await?;
    if !key.windows.is_empty() {
        words.push_str(&format!("; this key alone: {}", window_words(&key.windows)));
    }
    Ok(words)
}

async fn account_limits(who: &SignedIn, owner: &User) -> Result<String, PageError> {
    let (account, windows) = services::accounts::limits(&who.app, &who.caller, owner.account_id).await?;
    let tier = account.tier.as_ref().filter(|_| account.windows.is_none()).map(|tier| format!(" ({tier})")).unwrap_or_default();
    Ok(format!("{}, counted over all keys of the account {}{tier}", window_words(&windows), account.name))
}

/// A whole secret in the search leads to its key, and out of the address.
fn key_of_secret(who: &SignedIn, realm: Realm, q: &str) -> Option<String> {
    if !crate::crypto::secret::has_checksum(q) {
        return None;
    }
    let found = services::credentials::authenticate(&who.app, q, who.app.clock.now()).ok();
    let found = found.filter(|found| !realm.is_own() || found.user.id == who.user.id);
    Some(match found.as_ref().and_then(|found| found.key()) {
        Some(key) => format!("{}/{}", realm.base(), key.id),
        None => format!("{}?q=no-working-key-has-this-secret", realm.base()),
    })
}

async fn owners(who: &SignedIn, keys: &[ApiKey]) -> Result<HashMap<UserId, User>, PageError> {
    let ids = keys.iter().map(|key| key.user_id).collect();
    Ok(services::users::find_all(&who.app, &who.caller, ids).await?)
}

fn owner_of<'a>(owners: &'a HashMap<UserId, User>, key: &ApiKey) -> &'a str {
    owners.get(&key.user_id).map_or("", |owner| owner.email.as_str())
}
