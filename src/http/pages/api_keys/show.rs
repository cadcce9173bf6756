//! The page of one key: what it is, both secrets while it rotates, and what it was used for.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::Realm;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Banner, Done, Frame, PageError};
use crate::http::pages::chart::Chart;
use crate::http::pages::notices::NoticeRow;
use crate::http::pages::view::{KeyRow, window_words};
use crate::http::signed_in::SignedIn;
use crate::http::words::filters;
use crate::model::api_key::ApiKey;
use crate::model::notice::{Notice, NoticeKind};
use crate::model::usage::Range;
use crate::model::user::User;
use crate::services;

#[derive(Template)]
#[template(path = "admin/api_keys/show.html")]
pub struct KeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub row: KeyRow,
    pub summary: String,
    pub limits: String,
    /// Empty: none but its account's.
    pub own_limits: String,
    /// Empty: none.
    pub metadata: String,
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
pub struct Asked {
    #[serde(default)]
    range: String,
    #[serde(default)]
    done: String,
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
    let banner = if asked.done == "revoked" { revoked(&key, &now) } else { done.banner() };
    let metadata = key.metadata.as_map();
    let noticed = services::notices::of_key(&who.app, &who.caller, &key).await?;
    let others = noticed.iter().filter(|notice| notice.kind != NoticeKind::Reported);
    let page = KeyPage {
        report: Report::of(&noticed, &now),
        notices: others.map(|notice| NoticeRow::new(notice, Some(&key.name), &now)).collect(),
        frame: who.frame(&key.name, realm.place()).with_banner(banner),
        chart: Chart::new(&used, &realm.of(&key), &now),
        realm,
        summary: format!("API key of {}", owner.email),
        limits: account_limits(&who, &owner).await?,
        own_limits: if key.windows.is_empty() { String::new() } else { window_words(&key.windows) },
        metadata: if metadata.is_empty() { String::new() } else { serde_json::to_string_pretty(metadata).unwrap_or_default() },
        verdict: services::verify::explain(&who.app, &who.caller, key.id).await?,
        base_url: who.facts.base_url().into(),
        row,
    };
    Ok(who.ok(&page))
}

fn revoked(key: &ApiKey, now: &Now) -> Option<Banner> {
    let at = now.moment(key.revoked_at?).full;
    Some(Banner::ok("Revoked", format!("No request was accepted since {at}.")))
}

/// What requests of an account are counted against, in words.
pub(super) async fn account_limits(who: &SignedIn, owner: &User) -> Result<String, PageError> {
    let (account, windows) = services::accounts::limits(&who.app, &who.caller, owner.account_id).await?;
    let tier = account.tier.as_ref().filter(|_| account.windows.is_none()).map(|tier| format!(" ({tier})")).unwrap_or_default();
    Ok(format!("{}, counted over all keys of the account {}{tier}", window_words(&windows), account.name))
}
