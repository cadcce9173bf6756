//! Suspending and resuming an account, and taking its own limits away: each asks first.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};

use super::{BASE, find};
use crate::http::csrf::Posted;
use crate::http::page::{Done, FormErrors, PageError, Place};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::pages::view::{grouped, window_words};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{msg, t};
use crate::model::account::{AccountChanges, AccountStatus};
use crate::services;

#[derive(Clone, Copy)]
enum Act {
    Suspend,
    Resume,
    TakeLimits,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::TakeLimits => "limits/remove",
        }
    }

    fn changes(self) -> AccountChanges {
        match self {
            Self::Suspend => AccountChanges { status: Some(AccountStatus::Suspended), ..AccountChanges::default() },
            Self::Resume => AccountChanges { status: Some(AccountStatus::Active), ..AccountChanges::default() },
            Self::TakeLimits => AccountChanges { windows: Some(None), ..AccountChanges::default() },
        }
    }
}

pub async fn show_suspend(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Suspend).await
}

pub async fn show_resume(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Resume).await
}

pub async fn show_take_limits(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::TakeLimits).await
}

pub async fn suspend(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::Suspend).await
}

pub async fn resume(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::Resume).await
}

pub async fn take_limits(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::TakeLimits).await
}

async fn act(who: SignedIn, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let page = format!("{BASE}/{}", account.id);
    if form.is_stale {
        return Ok(to(format!("{page}/{}?done=renewed", act.path())));
    }
    services::accounts::update(&who.app, &who.caller, account.id, act.changes()).await?;
    Ok(to(page))
}

async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let counts = services::accounts::counts(&who.app, &who.caller, vec![account.id]).await?;
    let (users, keys) = counts.get(&account.id).copied().unwrap_or_default();
    let without = window_words(&services::accounts::limits_without_own(&who.app, &who.caller, account.id).await?);
    let (title, line, button) = match act {
        Act::Suspend => (
            t("Suspend {name}"),
            t("All its keys get 401, and its members are signed out, until you resume it. Its administrators can still sign in."),
            msg!("Suspend account"),
        ),
        Act::Resume => (t("Resume {name}"), t("Its keys are let in again, and its members may sign in."), msg!("Resume account")),
        Act::TakeLimits => (
            t("Remove the own limits of {name}"),
            t("From then on it may make {limits}. What it has used counts on.").with("limits", without),
            msg!("Remove own limits"),
        ),
    };
    let mut facts = vec![(msg!("Users"), grouped(users)), (msg!("API keys"), grouped(keys))];
    if let (Act::TakeLimits, Some(given)) = (act, &account.given) {
        facts = vec![(msg!("Reason"), given.reason.as_str().to_owned()), (msg!("Given by"), given.by.clone())];
    }
    let page = format!("{BASE}/{}", account.id);
    Ok(who.ok(&ConfirmPage {
        frame: who.frame(title.with("name", &account.name), Place::Accounts).with_banner(done.banner()),
        errors: FormErrors::default(),
        action: format!("{page}/{}", act.path()),
        back: page,
        back_words: account.name.clone(),
        lines: vec![line.into()],
        facts,
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: button,
        final_act: false,
    }))
}
