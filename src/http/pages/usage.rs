//! What an account may do, what it has left now and what it used: one's own under the settings, anyone's for
//! administrators.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::chart::Chart;
use super::view::{grouped, limit_words, resets_words};
use crate::http::page::{Frame, PageError, Place};
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, t};
use crate::limits::WindowState;
use crate::model::AppError;
use crate::model::ids::AccountId;
use crate::model::tier::Window;
use crate::model::usage::Range;
use crate::services;

#[derive(Template)]
#[template(path = "settings/usage.html")]
pub struct OwnUsagePage {
    pub frame: Frame,
    pub usage: AccountUsage,
}

#[derive(Template)]
#[template(path = "admin/accounts/usage.html")]
pub struct AccountUsagePage {
    pub frame: Frame,
    pub id: String,
    pub usage: AccountUsage,
}

/// What both pages show.
pub struct AccountUsage {
    pub account: String,
    /// Where its limits come from, and what they count.
    pub source: String,
    pub limits: Vec<LimitRow>,
    pub chart: Chart,
    pub keys: Vec<KeyUse>,
    pub keys_are_own: bool,
}

/// One window of an account, as it stands now.
pub struct LimitRow {
    pub words: String,
    pub left: String,
    pub resets: String,
    /// Nothing is left of it.
    pub is_over: bool,
}

pub struct KeyUse {
    pub href: String,
    pub name: String,
    pub hint: String,
    pub requests: String,
    pub rate_limited: String,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
}

pub async fn own(who: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let usage = usage(&who, who.user.account_id, &asked, "/settings/usage").await?;
    Ok(who.ok(&OwnUsagePage { frame: who.frame(t("Usage"), Place::Usage), usage }))
}

pub async fn of_account(who: SignedIn, id: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let id = AccountId::parse(&id).ok_or(AppError::NotFound("account"))?;
    let usage = usage(&who, id, &asked, &format!("/admin/accounts/{id}/usage")).await?;
    let frame = who.frame(t("Usage of {account}").with("account", &usage.account), Place::Elsewhere);
    Ok(who.ok(&AccountUsagePage { frame, id: id.to_string(), usage }))
}

async fn usage(who: &SignedIn, id: AccountId, asked: &Asked, base: &str) -> Result<AccountUsage, PageError> {
    let range = Range::parse(&asked.range).unwrap_or_default();
    let told = services::usage::of_account(&who.app, &who.caller, id, range).await?;
    let source = match (&told.account.windows, &told.account.tier) {
        (Some(_), _) => t(
            "As of now. They are its own, and count over all keys of the account {account} together. Load the page again to look anew.",
        ),
        (None, Some(tier)) => t(
            "As of now. They are those of the tier {tier}, and count over all keys of the account {account} together. Load the page again to look anew.",
        )
        .with("tier", tier),
        (None, None) => t(
            "As of now. They are the default, and count over all keys of the account {account} together. Load the page again to look anew.",
        ),
    };
    let keys_are_own = who.caller.only_user().is_some();
    let at = if keys_are_own { "/settings/api-keys" } else { "/admin/keys" };
    let keys = told.keys.iter().map(|(key, counts)| KeyUse {
        href: format!("{at}/{}", key.id),
        name: key.name.clone(),
        hint: key.hint.clone(),
        requests: grouped(counts.requests),
        rate_limited: grouped(counts.rate_limited),
    });
    Ok(AccountUsage {
        account: told.account.name.clone(),
        source: source.with("account", &told.account.name).into(),
        limits: told.windows.iter().rev().map(limit_row).collect(),
        chart: Chart::new(&told.used, base, &who.now()),
        keys: keys.collect(),
        keys_are_own,
    })
}

fn limit_row(window: &WindowState) -> LimitRow {
    LimitRow {
        words: limit_words(&Window::new(window.limit, window.seconds)),
        left: t("{n} of {limit}").with("n", grouped(window.remaining)).with("limit", grouped(window.limit)).into(),
        resets: resets_words(window),
        is_over: window.remaining == 0,
    }
}
