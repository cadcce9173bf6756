//! Giving somebody a link to set their password, and withdrawing it. The link is shown once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use actix_web::web::{Path, Query};
use askama::Template;

use super::{BASE, find};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::Moment;
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, msg, t};
use crate::model::password_link::LinkKind;
use crate::model::user::User;
use crate::services;
use crate::services::password_links::Link;

#[derive(Template)]
#[template(path = "admin/users/link.html")]
pub struct LinkPage {
    pub frame: Frame,
    pub id: String,
    pub name: String,
    pub email: String,
    pub is_invitation: bool,
    pub link: String,
    pub ends: Moment,
}

pub async fn show_give(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let mut page = page(&who, &user, Act::Give, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn give(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/link?done=renewed", user.id)));
    }
    // Whoever has the link signs in as this user.
    who.must_be_elevated(&form).await?;
    match services::password_links::give(&who.app, &who.caller, user.id).await {
        Ok((user, link)) => Ok(show_once(&who, &user, &link, StatusCode::OK)),
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &page(&who, &user, Act::Give, FormErrors::of_refusal(err)?).await?))
        }
    }
}

pub async fn show_withdraw(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let mut page = page(&who, &user, Act::Withdraw, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn withdraw(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/link/withdraw?done=renewed", user.id)));
    }
    services::password_links::withdraw(&who.app, &who.caller, user.id).await?;
    Ok(to(format!("{BASE}/{}", user.id)))
}

/// The page that shows a link: kept by no cache, and not compressed, like every page with a secret.
pub(super) fn show_once(who: &SignedIn, user: &User, link: &Link, code: StatusCode) -> HttpResponse {
    let page = LinkPage {
        frame: who.frame(t("Pass this link on to {name}").with("name", &user.name), Place::Users),
        id: user.id.to_string(),
        name: user.name.clone(),
        email: user.email.clone(),
        is_invitation: link.pending.kind == LinkKind::Invitation,
        link: format!("{}/invite/{}", who.facts.base_url(), *link.code),
        ends: who.now().moment(link.pending.expires_at),
    };
    let mut response = who.page(code, &page);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Give,
    Withdraw,
}

async fn page(who: &SignedIn, user: &User, act: Act, errors: FormErrors) -> Result<ConfirmPage, PageError> {
    let standing = services::password_links::standing(&who.app, &who.caller, user.id).await?;
    let own = format!("{BASE}/{}", user.id);
    let kind = if standing.has_password { LinkKind::Reset } else { LinkKind::Invitation };
    let days = kind.life().as_secs() / 86_400;
    let span = if days == 1 { t("24 hours") } else { count(days, "{n} day", "{n} days") };
    let (title, line, button) = match (act, kind) {
        (Act::Give, LinkKind::Invitation) => (
            t("Invite {name}"),
            t(
                "You get a link to pass on. Whoever opens it first chooses the password and is signed in. It works once, for {span}.",
            ),
            msg!("Make link"),
        ),
        (Act::Give, LinkKind::Reset) => (
            t("New password for {name}"),
            t(
                "You get a link to pass on. Whoever opens it first sets a new password, which signs them out everywhere. Until then the old one works. The link works once, for {span}.",
            ),
            msg!("Make link"),
        ),
        (Act::Withdraw, _) => (
            t("Withdraw the link of {name}"),
            t("The link does nothing from this moment on. You can give another."),
            msg!("Withdraw link"),
        ),
    };
    let mut lines = vec![line.with("span", span).into()];
    if act == Act::Give && standing.pending.is_some() {
        lines.push(t("The link that was given before does nothing from then on.").into());
    }
    Ok(ConfirmPage {
        frame: who.frame(title.with("name", &user.name), Place::Users).faulty(&errors),
        errors,
        action: if act == Act::Give { format!("{own}/link") } else { format!("{own}/link/withdraw") },
        back: own,
        back_words: user.name.clone(),
        lines,
        facts: vec![(msg!("Email"), user.email.clone())],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: button,
        final_act: false,
    })
}
