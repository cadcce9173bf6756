//! Signing in and out, and where one begins.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place, sign_in_path};
use crate::http::signed_in::{SignedIn, Visit, safe_next, to, with_session, without_session};
use crate::model::AppError;
use crate::model::user::{Password, Role};
use crate::services;

#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub email: String,
    /// The page to go to afterwards: a path of ours.
    pub next: String,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
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

pub async fn show(visit: Visit, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    if visit.who.is_some() {
        return Ok(to(safe_next(&asked.next)));
    }
    if !services::setup::is_done(&visit.app).await? {
        return Ok(to("/setup"));
    }
    Ok(visit.ok(&page(&visit, FormErrors::default(), "", &asked.next)))
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
        Ok((_, signed_in)) => {
            // The session that this browser had before ends with its cookie.
            if let Some(before) = visit.session_cookie() {
                services::sessions::sign_out(&visit.app, before).await?;
            }
            Ok(with_session(to(safe_next(next)), &visit.facts, signed_in.token.expose()))
        }
        Err(err @ (AppError::Invalid(_) | AppError::TooManyAttempts { .. })) => {
            let errors = FormErrors::at_large(err.to_string());
            let mut response = visit.page(status(&err), &page(&visit, errors, email, next));
            if let Some(wait) = err.retry_after() {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Ok(response)
        }
        Err(err) => Err(err.into()),
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
        frame: Frame { bare: true, ..visit.frame("Sign in", Place::Elsewhere).faulty(&errors) },
        errors,
        email: email.into(),
        next: Some(safe_next(next)).filter(|next| *next != "/").unwrap_or_default().into(),
    }
}
