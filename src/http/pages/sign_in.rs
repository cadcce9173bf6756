//! Signing in and out, and where one begins.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place, sign_in_path};
use crate::http::signed_in::{SignedIn, Visit, safe_next, signed_in_to, to, with_half, without_session};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::user::{Password, Role};
use crate::services;
use crate::services::sessions::Entered;

#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub email: String,
    /// The page to go to afterwards: a path of ours.
    pub next: String,
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
pub struct CodePage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub next: String,
    pub is_recovery: bool,
    /// The other way to prove it.
    pub other: String,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    with: String,
}

/// `/`: to the dashboard, one's own keys, the sign-in, or the first set-up.
pub async fn start(visit: Visit) -> Result<HttpResponse, PageError> {
    Ok(match &visit.who {
        Some((user, _)) if user.role == Role::Admin => to("/admin"),
        Some(_) => to("/settings/api-keys"),
        None if services::setup::is_done(&visit.app).await? => to("/sign-in"),
        None => to("/setup"),
    })
}

pub async fn show(visit: Visit, asked: Query<Asked>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    if visit.who.is_some() {
        return Ok(to(safe_next(&asked.next)));
    }
    if !services::setup::is_done(&visit.app).await? {
        return Ok(to("/setup"));
    }
    let mut page = page(&visit, FormErrors::default(), "", &asked.next);
    page.frame.banner = done.banner();
    Ok(visit.ok(&page))
}

pub async fn sign_in(visit: Visit, form: Posted) -> Result<HttpResponse, PageError> {
    let (email, next) = (form.text("email"), form.text("next"));
    if form.is_stale {
        let mut page = page(&visit, FormErrors::default(), email, next);
        page.frame.banner = Some(Banner::renewed());
        return Ok(visit.ok(&page));
    }
    let password = Password::typed(form.text("password"));
    match services::sessions::sign_in(&visit.app, email, password, visit.facts.device()).await {
        Ok(Entered::In(signed_in)) => entered(&visit, &signed_in, next).await,
        Ok(Entered::Half(token)) => Ok(with_half(to(code_page(next, false)), &visit.facts, token.expose())),
        Err(err @ (AppError::Invalid(_) | AppError::TooManyAttempts { .. })) => {
            let errors = FormErrors::refused(&err);
            let mut response = visit.page(status(&err), &page(&visit, errors, email, next));
            if let Some(wait) = err.retry_after() {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Ok(response)
        }
        Err(err) => Err(err.into()),
    }
}

/// The second step, for whoever knew the password.
pub async fn show_code(visit: Visit, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    if !services::sessions::is_half_signed_in(&visit.app, visit.cookie_before()).await? {
        return Ok(to(asked_again(&asked.next)));
    }
    Ok(visit.ok(&CodePage::new(&visit, FormErrors::default(), &asked.next, asked.with == "recovery")))
}

pub async fn enter_code(visit: Visit, form: Posted) -> Result<HttpResponse, PageError> {
    let (next, is_recovery) = (form.text("next"), form.text("with") == "recovery");
    if form.is_stale {
        return Ok(to(asked_again(next)));
    }
    let device = visit.facts.device();
    match services::sessions::finish_sign_in(&visit.app, visit.cookie_before(), form.text("code"), device).await {
        Ok(signed_in) => entered(&visit, &signed_in, next).await,
        // It waited too long, or for too many codes.
        Err(AppError::NotFound(_)) => {
            let errors = FormErrors::at_large(t("Too many codes, or too long ago. Begin again with your password."));
            Ok(visit.page(StatusCode::BAD_REQUEST, &page(&visit, errors, "", next)))
        }
        Err(err @ (AppError::Invalid(_) | AppError::TooManyAttempts { .. })) => {
            let errors = FormErrors::refused(&err);
            let mut response = visit.page(status(&err), &CodePage::new(&visit, errors, next, is_recovery));
            if let Some(wait) = err.retry_after() {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Ok(response)
        }
        Err(err) => Err(err.into()),
    }
}

async fn entered(visit: &Visit, signed_in: &services::sessions::SignedIn, next: &str) -> Result<HttpResponse, PageError> {
    // The session that this browser had before ends with its cookie.
    if let Some(before) = visit.session_cookie() {
        services::sessions::sign_out(&visit.app, before).await?;
    }
    signed_in_to(safe_next(next), visit, signed_in).await
}

fn code_page(next: &str, recovery: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(Some(("next", safe_next(next))).filter(|(_, next)| *next != "/"));
    query.extend_pairs(recovery.then_some(("with", "recovery")));
    let query = query.finish();
    if query.is_empty() { "/sign-in/code".into() } else { format!("/sign-in/code?{query}") }
}

fn asked_again(next: &str) -> String {
    code_page(next, false).replacen("/sign-in/code", "/sign-in", 1)
}

impl CodePage {
    fn new(visit: &Visit, errors: FormErrors, next: &str, is_recovery: bool) -> Self {
        let title = if is_recovery { t("Use a recovery code") } else { t("Second factor") };
        Self {
            frame: Frame { bare: true, ..visit.frame(title, Place::Elsewhere).faulty(&errors) },
            errors,
            other: code_page(next, !is_recovery),
            next: Some(safe_next(next)).filter(|next| *next != "/").unwrap_or_default().into(),
            is_recovery,
        }
    }
}

pub async fn sign_out(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to("/"));
    }
    services::sessions::sign_out(&who.app, who.token()).await?;
    // Whoever wants to go on as somebody else does so at the same place.
    Ok(without_session(to(sign_in_path(safe_next(form.text("next")))), &who.facts))
}

fn page(visit: &Visit, errors: FormErrors, email: &str, next: &str) -> SignInPage {
    SignInPage {
        frame: Frame { bare: true, ..visit.frame(t("Sign in"), Place::Elsewhere).faulty(&errors) },
        errors,
        email: email.into(),
        next: Some(safe_next(next)).filter(|next| *next != "/").unwrap_or_default().into(),
    }
}
