//! Disabling and enabling a user, which can be undone, and deleting one, which cannot: only who is disabled is deleted.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};

use super::{BASE, find};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Done, FormErrors, Link, PageError, Place};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::pages::view::grouped;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{msg, t};
use crate::model::AppError;
use crate::model::api_key::KeyStatus;
use crate::model::error::Problem;
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::user::{User, UserChanges, UserStatus};
use crate::services;

/// The names of keys that are listed.
const NAMED: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Disable,
    Enable,
    Delete,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
        }
    }
}

pub async fn show_disable(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Disable).await
}

pub async fn show_enable(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Enable).await
}

pub async fn show_delete(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Delete).await
}

async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let mut page = page(&who, &user, act, String::new(), FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn disable(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, Act::Disable).await
}

pub async fn enable(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, Act::Enable).await
}

async fn switch(who: SignedIn, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/{}?done=renewed", user.id, act.path())));
    }
    let status = if act == Act::Enable { UserStatus::Active } else { UserStatus::Disabled };
    let changes = UserChanges { status: Some(status), ..UserChanges::default() };
    match services::users::update(&who.app, &who.caller, user.id, changes, IfMatch::ANY).await {
        Ok(_) => Ok(to(format!("{BASE}/{}", user.id))),
        Err(err) => refused(&who, &user, act, String::new(), err).await,
    }
}

pub async fn delete(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/delete?done=renewed", user.id)));
    }
    let typed = form.text("confirm").trim();
    // Who is not disabled is not asked for the address.
    if user.status == UserStatus::Disabled && !typed.eq_ignore_ascii_case(&user.email) {
        let different = Problem::new("different", format!("Type {} to delete the user.", user.email)).of("confirm");
        return refused(&who, &user, Act::Delete, typed.into(), different).await;
    }
    if user.status == UserStatus::Disabled {
        who.must_be_elevated(&form).await?;
    }
    match services::users::delete_disabled(&who.app, &who.caller, user.id).await {
        Ok(_) => Ok(to(format!("{BASE}?done=deleted"))),
        Err(err) => refused(&who, &user, Act::Delete, typed.into(), err).await,
    }
}

async fn refused(who: &SignedIn, user: &User, act: Act, typed: String, err: AppError) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = page(who, user, act, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

async fn page(who: &SignedIn, user: &User, act: Act, typed: String, errors: FormErrors) -> Result<ConfirmPage, PageError> {
    let own = format!("{BASE}/{}", user.id);
    let must_disable = act == Act::Delete && user.status == UserStatus::Active;
    let (title, line, button) = match act {
        Act::Disable => (
            t("Disable {name}"),
            t("They are signed out, and their keys get 401, until you enable them again."),
            msg!("Disable user"),
        ),
        Act::Enable => (t("Enable {name}"), t("They may sign in again, and their keys are let in again."), msg!("Enable user")),
        Act::Delete if must_disable => (
            t("Delete {name}"),
            t(
                "Only a disabled user is deleted. Disable them first, which can be undone: their keys and sessions stop at once. Delete them when nobody misses these.",
            ),
            msg!("Disable user"),
        ),
        Act::Delete => (
            t("Delete {name}"),
            t("Their keys and sessions are deleted with them. This cannot be undone, and their keys cannot come back."),
            msg!("Delete user"),
        ),
    };
    let action = if must_disable { Act::Disable } else { act };
    let is_final = act == Act::Delete && !must_disable;
    let sessions = services::sessions::list(&who.app, user.id).await?.len();
    Ok(ConfirmPage {
        frame: who.frame(title.with("name", &user.name), Place::Users).faulty(&errors),
        errors,
        action: format!("{own}/{}", action.path()),
        lines: vec![line.into()],
        facts: vec![
            (msg!("Email"), user.email.clone()),
            (if is_final { msg!("Keys deleted with them") } else { msg!("Working keys") }, keys(who, user, is_final).await?),
            (msg!("Sessions"), grouped(sessions as u64)),
        ],
        instead: is_final.then(|| Link { href: own.clone(), words: t("Keep them disabled instead, which can be undone").into() }),
        back: own,
        back_words: user.name.clone(),
        typed_label: msg!("Type their email address"),
        typed_name: if is_final { user.email.clone() } else { String::new() },
        typed,
        act: button,
        final_act: is_final,
    })
}

/// The keys that stop, by name.
async fn keys(who: &SignedIn, user: &User, all: bool) -> Result<String, PageError> {
    let filter = services::api_keys::Filter { user: Some(user.id), ..Default::default() };
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(Limit::MAX));
    let keys = services::api_keys::list(&who.app, &who.caller, filter, newest).await?;
    let now = who.app.clock.now();
    let works = |status| matches!(status, KeyStatus::Active | KeyStatus::Rotating);
    let named: Vec<&str> = keys.rows.iter().filter(|key| all || works(key.status(now))).map(|key| key.name.as_str()).collect();
    Ok(match named.as_slice() {
        [] => t("None").into(),
        names if names.len() <= NAMED => names.join(", "),
        names => {
            let words = if keys.has_next { t("{names}, and {n} or more others") } else { t("{names}, and {n} others") };
            words.with("names", names[..NAMED].join(", ")).with("n", names.len() - NAMED).into()
        }
    })
}
