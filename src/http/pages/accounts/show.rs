//! An account: its limits, what is left of them, and its requests.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::{AccountRow, BASE, find, pretty};
use crate::http::moment::Moment;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::pages::chart::Chart;
use crate::http::pages::view::{grouped, limit_words, resets_words};
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, t};
use crate::limits::WindowState;
use crate::model::account::AccountStatus;
use crate::model::tier::Window;
use crate::model::usage::Range;
use crate::services;

#[derive(Template)]
#[template(path = "admin/accounts/show.html")]
pub struct AccountPage {
    pub frame: Frame,
    pub account: AccountRow,
    pub is_active: bool,
    /// It has neither users nor keys.
    pub is_empty: bool,
    pub updated: Moment,
    pub tier: String,
    /// Where its limits come from, in words.
    pub source: String,
    pub given: Option<GivenWords>,
    pub windows: Vec<WindowRow>,
    pub metadata: String,
    pub chart: Chart,
}

pub struct GivenWords {
    pub reason: String,
    pub by: String,
    pub at: Moment,
}

/// A window that holds, and what is left of it.
pub struct WindowRow {
    pub words: String,
    pub left: String,
    pub resets: String,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
}

pub async fn show(
    who: SignedIn,
    id: Path<String>,
    (done, asked): (Query<Done>, Query<Asked>),
) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let counts = services::accounts::counts(&who.app, &who.caller, vec![account.id]).await?;
    let range = Range::parse(&asked.range).unwrap_or_default();
    let usage = services::usage::of_account(&who.app, &who.caller, account.id, range).await?;
    let now = who.now();
    let page = AccountPage {
        frame: who.frame(&account.name, Place::Accounts).with_banner(done.banner()),
        is_empty: counts.get(&account.id).is_none_or(|&(users, keys)| users + keys == 0),
        is_active: account.status == AccountStatus::Active,
        updated: now.moment(account.updated_at),
        tier: account.tier.clone().unwrap_or_else(|| t("No tier: the API’s default limits").into()),
        source: match (&account.windows, &account.tier) {
            (Some(_), _) => t("Requests of all its keys together are held to limits of its own."),
            (None, Some(tier)) => t("Requests of all its keys together are held to the tier {tier}.").with("tier", tier),
            (None, None) => t("Requests of all its keys together are held to the default limits."),
        }
        .into(),
        given: account.given.as_ref().map(|given| GivenWords {
            reason: given.reason.as_str().into(),
            by: given.by.clone(),
            at: now.moment(given.at),
        }),
        windows: window_rows(&usage.windows),
        metadata: pretty(&account.metadata),
        chart: Chart::new(&usage.used, &format!("{BASE}/{}", account.id), &now),
        account: AccountRow::new(&account, counts.get(&account.id).copied(), &now),
    };
    Ok(who.ok(&page))
}

fn window_rows(left: &[WindowState]) -> Vec<WindowRow> {
    let rows = left.iter().rev().map(|state| WindowRow {
        words: limit_words(&Window::new(state.limit, state.seconds)),
        left: grouped(state.remaining),
        resets: resets_words(state),
    });
    rows.collect()
}
