//! One's own settings: who one is, in which zone times are shown, and how the pages look.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use askama::Template;

use super::view::role_word;
use crate::http::csrf::Posted;
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to, with_look};
use crate::http::words::{Language, count, filters, t};
use crate::model::error::FieldErrors;
use crate::model::look::Look;
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::user::{UserChanges, parse_time_zone};
use crate::services;

#[derive(Template)]
#[template(path = "settings/index.html")]
pub struct SettingsPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub account: AccountFacts,
    pub time_zone: String,
    pub themes: [(&'static str, &'static str); 3],
    pub languages: [Language; 2],
}

pub struct AccountFacts {
    pub name: String,
    pub email: String,
    pub role: String,
    pub account: String,
    pub keys: String,
}

pub async fn show(who: SignedIn, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let mut page = page(&who, who.user.time_zone.clone(), FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn look(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to("/settings?done=renewed"));
    }
    let look = Look::new(form.text("theme"), form.text("shortcuts") == "on", form.text("language"));
    services::users::set_look(&who.app, &who.caller, who.user.id, look.clone()).await?;
    // The pages before the sign-in are in the same look.
    Ok(with_look(to("/settings?done=saved"), &who.facts, &look))
}

pub async fn time_zone(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = form.text("time_zone").trim();
    if form.is_stale {
        let mut page = page(&who, typed.into(), FormErrors::default()).await?;
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let mut errors = FieldErrors::default();
    let Some(zone) = errors.note("time_zone", parse_time_zone(typed)) else {
        return Ok(who.page(StatusCode::BAD_REQUEST, &page(&who, typed.into(), errors.into()).await?));
    };
    let changes = UserChanges { time_zone: Some(zone), ..UserChanges::default() };
    services::users::update(&who.app, &who.caller, who.user.id, changes, IfMatch::ANY).await?;
    Ok(to("/settings?done=saved"))
}

async fn page(who: &SignedIn, time_zone: String, errors: FormErrors) -> Result<SettingsPage, PageError> {
    let account = services::accounts::find(&who.app, &who.caller, who.user.account_id).await?;
    let own = services::api_keys::Filter { user: Some(who.user.id), ..Default::default() };
    let place = (Start::Offset(0), Order::NewestFirst, Limit::of(Limit::MAX));
    let keys = services::api_keys::list(&who.app, &who.caller, own, place).await?;
    Ok(SettingsPage {
        frame: who.frame(t("Settings"), Place::Settings).faulty(&errors),
        errors,
        account: AccountFacts {
            name: who.user.name.clone(),
            email: who.user.email.clone(),
            role: t(role_word(who.user.role)).into(),
            account: account.name,
            keys: match keys.has_next {
                true => t("{n} or more keys").with("n", Limit::MAX),
                false => count(keys.rows.len() as u64, "{n} key", "{n} keys"),
            }
            .into(),
        },
        time_zone,
        themes: Look::THEMES,
        languages: Language::ALL,
    })
}
