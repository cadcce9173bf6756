//! Where the link of an invitation leads, and of a new password: a form for whoever has no session.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use crate::crypto::common::is_common;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{Visit, signed_in_to, to};
use crate::http::words::{filters, t};
use crate::model::error::FieldErrors;
use crate::model::name::Name;
use crate::model::password_link::LinkKind;
use crate::model::user::{Password, User};
use crate::services;
use crate::services::password_links::Followed;

#[derive(Template)]
#[template(path = "invitation/form.html")]
pub struct InvitationPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub is_invitation: bool,
    pub name: String,
    pub email: String,
}

#[derive(Template)]
#[template(path = "invitation/gone.html")]
pub struct GonePage {
    pub frame: Frame,
}

pub async fn show(visit: Visit, code: Path<String>) -> Result<HttpResponse, PageError> {
    match services::password_links::look_at(&visit.app, &code, visit.facts.ip).await? {
        Some((user, kind)) => Ok(visit.ok(&page(&visit, &user, kind, user.name.clone(), FormErrors::default()))),
        None => Ok(gone(&visit)),
    }
}

pub async fn follow(visit: Visit, code: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let Some((user, kind)) = services::password_links::look_at(&visit.app, &code, visit.facts.ip).await? else {
        return Ok(gone(&visit));
    };
    let typed = form.text("name").trim().to_owned();
    if form.is_stale {
        let mut page = page(&visit, &user, kind, typed, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(visit.ok(&page));
    }
    let mut errors = FieldErrors::default();
    let password = errors.note("password", Password::parse(form.text("password"), is_common));
    let name = match kind {
        LinkKind::Invitation => errors.note("name", Name::parse(&typed)),
        LinkKind::Reset => None,
    };
    let Some(password) = password.filter(|_| errors.as_slice().is_empty()) else {
        return Ok(visit.page(StatusCode::BAD_REQUEST, &page(&visit, &user, kind, typed, errors.into())));
    };
    match services::password_links::follow(&visit.app, &code, name, password, visit.facts.device()).await {
        Ok(Followed::SignedIn(signed_in)) => signed_in_to("/", &visit, &signed_in).await,
        Ok(Followed::PasswordSet) => Ok(to("/sign-in?done=password-set")),
        Ok(Followed::Gone) => Ok(gone(&visit)),
        Err(err) => {
            let code = status(&err);
            Ok(visit.page(code, &page(&visit, &user, kind, typed, FormErrors::of_refusal(err)?)))
        }
    }
}

fn page(visit: &Visit, user: &User, kind: LinkKind, name: String, errors: FormErrors) -> InvitationPage {
    let is_invitation = kind == LinkKind::Invitation;
    let title = if is_invitation { t("Choose your password") } else { t("Set a new password") };
    InvitationPage {
        frame: Frame { bare: true, ..visit.frame(title, Place::Elsewhere).faulty(&errors) },
        errors,
        is_invitation,
        name,
        email: user.email.clone(),
    }
}

fn gone(visit: &Visit) -> HttpResponse {
    let frame = Frame { bare: true, ..visit.frame(t("This link does nothing any more"), Place::Elsewhere) };
    visit.page(StatusCode::NOT_FOUND, &GonePage { frame })
}
