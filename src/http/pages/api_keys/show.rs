//! The page of one key: what it is, both secrets while it rotates, and what it was used for.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::Realm;
use crate::app::callers::State;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Banner, Done, Frame, PageError};
use crate::http::pages::chart::Chart;
use crate::http::pages::notices::NoticeRow;
use crate::http::pages::view::{KeyRow, grouped, limit_words, window_words};
use crate::http::signed_in::SignedIn;
use crate::http::words::{Message, count, filters, t};
use crate::limits::WindowState;
use crate::model::api_key::ApiKey;
use crate::model::notice::{Notice, NoticeKind};
use crate::model::tier::Window;
use crate::model::usage::Range;
use crate::model::user::User;
use crate::services;
use crate::services::verify::Outlook;

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
    pub words: String,
}

impl Report {
    fn of(notices: &[Notice], now: &Now) -> Option<Self> {
        let report = notices.iter().find(|notice| notice.kind == NoticeKind::Reported)?;
        let words = match report.detail.as_str() {
            "" => t(
                "Somebody who held the secret reported it. Programs that use it get 401 since then. Generate a new one for them, and find out where this one stood.",
            ),
            from => t(
                "Somebody who held the secret reported it from {from}. Programs that use it get 401 since then. Generate a new one for them, and find out where this one stood.",
            )
            .with("from", from),
        };
        Some(Self { at: now.moment(report.first_at), words: words.into() })
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
        summary: t("API key of {owner}").with("owner", &owner.email).into(),
        limits: account_limits(&who, &owner).await?,
        own_limits: if key.windows.is_empty() { String::new() } else { window_words(&key.windows) },
        metadata: if metadata.is_empty() { String::new() } else { serde_json::to_string_pretty(metadata).unwrap_or_default() },
        verdict: verdict(&services::verify::outlook(&who.app, &who.caller, key.id).await?).into(),
        base_url: who.facts.base_url().into(),
        row,
    };
    Ok(who.ok(&page))
}

fn revoked(key: &ApiKey, now: &Now) -> Option<Banner> {
    let at = now.moment(key.revoked_at?).full;
    Some(Banner::ok(t("Revoked"), t("No request was accepted since {when}.").with("when", at)))
}

/// What requests of an account are counted against, in words.
pub(super) async fn account_limits(who: &SignedIn, owner: &User) -> Result<String, PageError> {
    let (account, windows) = services::accounts::limits(&who.app, &who.caller, owner.account_id).await?;
    let words = match account.tier.as_ref().filter(|_| account.windows.is_none()) {
        Some(tier) => t("{limits}, counted over all keys of the account {account} ({tier})").with("tier", tier),
        None => t("{limits}, counted over all keys of the account {account}"),
    };
    Ok(words.with("limits", window_words(&windows)).with("account", &account.name).into())
}

/// What a request would meet now.
fn verdict(outlook: &Outlook) -> Message {
    let window = |window: &WindowState| limit_words(&Window::new(window.limit, window.seconds));
    match outlook {
        Outlook::Free => t("It would pass. Nothing limits it."),
        Outlook::Passes(None) => t("It would pass."),
        Outlook::Passes(Some(left)) => t("It would pass: of the window {window}, {n} are left.")
            .with("window", window(left))
            .with("n", grouped(left.remaining)),
        Outlook::UsedUp(left) => t("It would be refused: the window {window} is used up, {span} left.")
            .with("window", window(left))
            .with("span", wait_words(left.reset)),
        Outlook::Refused(state) => match state {
            State::Good => t("It would pass."),
            State::Revoked => t("It would be refused: the key is revoked."),
            State::Disabled => t("It would be refused: the key is disabled."),
            State::OwnerDisabled => t("It would be refused: its owner is disabled."),
            State::AccountSuspended => t("It would be refused: its account is suspended."),
            State::Expired | State::TokenExpired => t("It would be refused: the key has expired."),
            State::Replaced => t("It would be refused: its secret was replaced."),
        },
    }
}

/// `12 minutes`, rounded up, so that waiting for it is enough.
fn wait_words(span: Duration) -> Message {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    match seconds {
        0..=90 => count(seconds.max(1), "{n} second", "{n} seconds"),
        91..=5_400 => count(seconds.div_ceil(60), "{n} minute", "{n} minutes"),
        5_401..=172_800 => count(seconds.div_ceil(3_600), "{n} hour", "{n} hours"),
        _ => count(seconds.div_ceil(86_400), "{n} day", "{n} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_people_would_take() {
        let told = |seconds: f64| wait_words(Duration::from_secs_f64(seconds)).to_string();
        assert_eq!(told(0.2), "1 second");
        assert_eq!(told(59.1), "60 seconds");
        assert_eq!(told(661.0), "12 minutes");
        assert_eq!(told(5_401.0), "2 hours");
        assert_eq!(told(200_000.0), "3 days");
    }
}
