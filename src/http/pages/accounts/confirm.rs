//! Suspending, resuming and deleting an account, and taking its own limits away: each asks first.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};

use super::{BASE, find};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Done, FormErrors, PageError, Place};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::pages::view::{grouped, window_words};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{msg, t};
use crate::model::AppError;
use crate::model::account::{Account, AccountChanges, AccountStatus};
use crate::model::ids::AccountId;
use crate::services;

#[derive(Clone, Copy)]
enum Act {
    Suspend,
    Resume,
    TakeLimits,
    Delete,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::TakeLimits => "limits/remove",
            Self::Delete => "delete",
        }
    }

    async fn run(self, who: &SignedIn, id: AccountId) -> Result<(), AppError> {
        let changes = match self {
            Self::Suspend => AccountChanges { status: Some(AccountStatus::Suspended), ..AccountChanges::default() },
            Self::Resume => AccountChanges { status: Some(AccountStatus::Active), ..AccountChanges::default() },
            Self::TakeLimits => AccountChanges { windows: Some(None), ..AccountChanges::default() },
            Self::Delete => return services::accounts::delete(&who.app, &who.caller, id).await,
        };
        services::accounts::update(&who.app, &who.caller, id, changes).await.map(drop)
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

pub async fn show_delete(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Delete).await
}

pub async fn delete(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::Delete).await
}

async fn act(who: SignedIn, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let page = format!("{BASE}/{}", account.id);
    if form.is_stale {
        return Ok(to(format!("{page}/{}?done=renewed", act.path())));
    }
    match act.run(&who, account.id).await {
        Ok(()) if matches!(act, Act::Delete) => Ok(to(format!("{BASE}?done=account-deleted"))),
        Ok(()) => Ok(to(page)),
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &confirm(&who, &account, act, FormErrors::of_refusal(err)?).await?))
        }
    }
}

async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let mut page = confirm(&who, &account, act, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

async fn confirm(who: &SignedIn, account: &Account, act: Act, errors: FormErrors) -> Result<ConfirmPage, PageError> {
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
        Act::Delete => (
            t("Delete {name}"),
            t("The account is gone for good. Only one that has neither users nor webhooks can be deleted."),
            msg!("Delete account"),
        ),
    };
    let mut facts = vec![(msg!("Users"), grouped(users)), (msg!("API keys"), grouped(keys))];
    if let (Act::TakeLimits, Some(given)) = (act, &account.given) {
        facts = vec![(msg!("Reason"), given.reason.as_str().to_owned()), (msg!("Given by"), given.by.clone())];
    }
    let page = format!("{BASE}/{}", account.id);
    Ok(ConfirmPage {
        frame: who.frame(title.with("name", &account.name), Place::Accounts),
        errors,
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
        final_act: matches!(act, Act::Delete),
    })
}
