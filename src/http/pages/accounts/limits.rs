//! Limits of an account's own, with the reason for them.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::{BASE, find};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::pages::view::window_words;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::account::{Account, AccountChanges, Reason};
use crate::model::error::{FieldErrors, Problem};
use crate::model::tier::Windows;
use crate::services;

#[derive(Template)]
#[template(path = "admin/accounts/limits.html")]
pub struct OwnLimitsPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub back: String,
    pub back_words: String,
    pub windows: String,
    pub reason: String,
    /// What holds without limits of its own.
    pub without: String,
}

pub async fn show_limits(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let windows = account.windows.as_ref().map_or_else(String::new, Windows::to_lines);
    let reason = account.given.as_ref().map_or("", |given| given.reason.as_str()).to_owned();
    let page = limits_page(&who, &account, windows, reason, FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn set_limits(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let (windows, reason) = (form.text("windows").replace("\r\n", "\n"), form.text("reason").trim().to_owned());
    if form.is_stale {
        let mut page = limits_page(&who, &account, windows, reason, FormErrors::default()).await?;
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let mut errors = FieldErrors::default();
    let parsed = (errors.note("windows", own_windows(&windows)), errors.note("reason", Reason::parse(&reason)));
    let saved = match (parsed, errors.check()) {
        ((Some(windows), Some(reason)), Ok(())) => {
            let changes = AccountChanges { windows: Some(Some(windows)), reason: Some(reason), ..AccountChanges::default() };
            services::accounts::update(&who.app, &who.caller, account.id, changes).await
        }
        (_, Err(err)) => Err(err),
        (_, Ok(())) => Err(AppError::internal("a value that was refused left no error")),
    };
    match saved {
        Ok(_) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => {
            let code = status(&err);
            let page = limits_page(&who, &account, windows, reason, FormErrors::of_refusal(err)?).await?;
            Ok(who.page(code, &page))
        }
    }
}

/// Limits of its own are at least one: without any the account has those of its tier.
fn own_windows(text: &str) -> Result<Windows, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("required", "Enter at least one limit, for example 1000/1h."));
    }
    Windows::parse_lines(text)
}

async fn limits_page(
    who: &SignedIn,
    account: &Account,
    windows: String,
    reason: String,
    errors: FormErrors,
) -> Result<OwnLimitsPage, PageError> {
    Ok(OwnLimitsPage {
        frame: who.frame(t("Own limits of {name}").with("name", &account.name), Place::Accounts).faulty(&errors),
        errors,
        back: format!("{BASE}/{}", account.id),
        back_words: account.name.clone(),
        windows,
        reason,
        without: window_words(&services::accounts::limits_without_own(&who.app, &who.caller, account.id).await?),
    })
}
