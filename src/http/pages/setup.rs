//! The first administrator: the one-time link, its form, and what is shown when the link is gone.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use crate::config::PublicUrl;
use crate::crypto::common::is_common;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{Visit, signed_in_to, to};
use crate::http::words::{filters, t};
use crate::model::email::Email;
use crate::model::error::{FieldErrors, Problem};
use crate::model::user::{Password, parse_time_zone};
use crate::services;
use crate::services::setup::{CodeState, Finished, FirstAdmin};

#[derive(Template)]
#[template(path = "setup/form.html")]
pub struct SetupPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedSetup,
    /// Nobody has said yet under which address the server is reached.
    pub asks_url: bool,
}

#[derive(Clone, Default)]
pub struct TypedSetup {
    pub email: String,
    pub time_zone: String,
    pub public_url: String,
}

#[derive(Template)]
#[template(path = "setup/code.html")]
pub struct CodePage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub code: String,
}

#[derive(Template)]
#[template(path = "setup/gone.html")]
pub struct GonePage {
    pub frame: Frame,
    pub what: String,
    pub set_up: bool,
}

/// `/setup`: asks for the code of the link.
pub async fn ask(visit: Visit) -> Result<HttpResponse, PageError> {
    if services::setup::is_done(&visit.app).await? {
        return Ok(gone(&visit, CodeState::Done));
    }
    Ok(visit.ok(&code_page(&visit, "", FormErrors::default())))
}

pub async fn enter(visit: Visit, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = form.text("code").trim();
    Ok(match services::setup::look_at(&visit.app, typed, visit.facts.ip).await? {
        CodeState::Good => to(format!("/setup/{}", url::form_urlencoded::byte_serialize(typed.as_bytes()).collect::<String>())),
        CodeState::Unknown => {
            let mut errors = FieldErrors::default();
            errors.add("code", "unknown", t("This is not the code. Look for the last link that the server printed."));
            visit.page(StatusCode::BAD_REQUEST, &code_page(&visit, typed, errors.into()))
        }
        state => gone(&visit, state),
    })
}

/// `/setup/{code}`: the form of the first administrator.
pub async fn show(visit: Visit, code: Path<String>) -> Result<HttpResponse, PageError> {
    match services::setup::look_at(&visit.app, &code, visit.facts.ip).await? {
        CodeState::Good => {
            let typed = TypedSetup {
                email: String::new(),
                time_zone: "UTC".into(),
                public_url: suggested_url(&visit).unwrap_or_default(),
            };
            Ok(visit.ok(&form_page(&visit, typed, FormErrors::default())))
        }
        state => Ok(gone(&visit, state)),
    }
}

pub async fn finish(visit: Visit, code: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let text = |name| form.text(name).trim().to_owned();
    let typed = TypedSetup { email: text("email"), time_zone: text("time_zone"), public_url: text("public_url") };
    if form.is_stale {
        let mut page = form_page(&visit, typed, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(visit.ok(&page));
    }
    let first = match parse(&typed, form.text("password")) {
        Ok(first) => first,
        Err(errors) => return Ok(visit.page(StatusCode::BAD_REQUEST, &form_page(&visit, typed, errors.into()))),
    };
    match services::setup::finish(&visit.app, &code, first, visit.facts.device()).await {
        Ok(Finished::SignedIn(signed_in)) => signed_in_to("/settings/api-keys/new", &visit, &signed_in).await,
        Ok(Finished::Gone(state)) => Ok(gone(&visit, state)),
        Err(err) => {
            let code = status(&err);
            Ok(visit.page(code, &form_page(&visit, typed, FormErrors::of_refusal(err)?)))
        }
    }
}

fn parse(typed: &TypedSetup, password: &str) -> Result<FirstAdmin, FieldErrors> {
    let mut errors = FieldErrors::default();
    let email = errors.note("email", Email::parse(&typed.email));
    let password = errors.note("password", Password::parse(password, is_common));
    let zone = if typed.time_zone.is_empty() { "UTC" } else { &typed.time_zone };
    let time_zone = errors.note("time_zone", parse_time_zone(zone));
    let public_url = match typed.public_url.as_str() {
        "" => None,
        text => errors.note("public_url", PublicUrl::parse(text).map_err(|words| Problem::new("invalid_url", sentence(&words)))),
    };
    match (email, password, errors.as_slice()) {
        (Some(email), Some(password), []) => Ok(FirstAdmin { email, name: None, password, time_zone, public_url }),
        _ => Err(errors),
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

/// The address that the request came to, unless only this machine knows it.
fn suggested_url(visit: &Visit) -> Option<String> {
    let url = PublicUrl::parse(visit.facts.base_url()).ok()?;
    (!url.is_loopback()).then(|| url.to_string())
}

fn form_page(visit: &Visit, typed: TypedSetup, errors: FormErrors) -> SetupPage {
    SetupPage {
        frame: Frame { bare: true, ..visit.frame(t("Create the first admin"), Place::Elsewhere).faulty(&errors) },
        errors,
        typed,
        asks_url: visit.app.live.public_url().is_none(),
    }
}

fn code_page(visit: &Visit, code: &str, errors: FormErrors) -> CodePage {
    CodePage {
        frame: Frame { bare: true, ..visit.frame(t("Set up this server"), Place::Elsewhere).faulty(&errors) },
        errors,
        code: code.into(),
    }
}

fn gone(visit: &Visit, state: CodeState) -> HttpResponse {
    let (title, what) = match state {
        CodeState::Done => (t("This server is already set up"), t("There is an administrator. Setup links do nothing any more.")),
        CodeState::Expired(at) => {
            let at = visit.now().moment(at);
            (
                t("This setup link has expired"),
                t("It was good until {time}. Run this on the server for a new one:").with("time", at.full),
            )
        }
        _ => (
            t("This setup link is not good"),
            t("It was used, replaced by a newer one, or mistyped. Run this on the server for a new one:"),
        ),
    };
    let frame = Frame { bare: true, reading: true, ..visit.frame(title, Place::Elsewhere) };
    visit.page(StatusCode::NOT_FOUND, &GonePage { frame, what: what.into(), set_up: state == CodeState::Done })
}
