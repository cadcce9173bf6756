//! One's own security: the password, and where one is signed in.

pub mod device;
pub mod second_factor;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Path, Query};
use askama::Template;

use crate::crypto::common::is_common;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::Moment;
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to, with_session};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::ids::SessionId;
use crate::model::session::Session;
use crate::model::user::Password;
use crate::services;
use crate::services::sessions::Token;

const BASE: &str = "/settings/security";

#[derive(Template)]
#[template(path = "settings/security.html")]
pub struct SecurityPage {
    pub frame: Frame,
    pub errors: FormErrors,
    /// How many recovery codes are left; none: there is no second factor.
    pub codes_left: Option<u64>,
    pub is_required: bool,
    pub sessions: Vec<SessionRow>,
}

pub struct SessionRow {
    pub id: String,
    pub device: String,
    pub agent: String,
    pub ip: String,
    pub began: Moment,
    pub seen: Moment,
    pub is_this: bool,
}

pub async fn show(who: SignedIn, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let mut page = page(&who, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn change_password(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    match try_to_change(&who, &form).await {
        Ok(token) => Ok(with_session(to(format!("{BASE}?done=password")), &who.facts, token.expose())),
        Err(err @ (AppError::Invalid(_) | AppError::TooManyAttempts { .. })) => {
            let (code, wait) = (status(&err), err.retry_after());
            let errors = match err {
                AppError::Invalid(errors) => errors.into(),
                err => FormErrors::refused(&err),
            };
            let mut response = who.page(code, &page(&who, errors).await?);
            if let Some(wait) = wait {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            }
            Ok(response)
        }
        Err(err) => Err(err.into()),
    }
}

async fn try_to_change(who: &SignedIn, form: &Posted) -> Result<Token, AppError> {
    let mut errors = FieldErrors::default();
    if form.text("current_password").is_empty() {
        errors.add("current_password", "required", t("Enter your current password."));
    }
    let new = errors.note("new_password", Password::parse(form.text("new_password"), is_common));
    let Some(new) = new.filter(|_| errors.as_slice().is_empty()) else { return Err(AppError::Invalid(errors)) };
    let current = Password::typed(form.text("current_password"));
    services::passwords::change(&who.app, &who.caller, &who.user, who.token(), (current, new)).await
}

/// Signs one device out.
pub async fn end_session(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    let id = SessionId::parse(&id).ok_or(AppError::NotFound("session"))?;
    services::sessions::end(&who.app, &who.caller, &who.user, id).await?;
    Ok(to(format!("{BASE}?done=signed-out#sessions")))
}

/// Signs out everywhere else.
pub async fn end_other_sessions(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    services::sessions::end_others(&who.app, &who.caller, &who.user, Some(who.token())).await?;
    Ok(to(format!("{BASE}?done=signed-out#sessions")))
}

impl SessionRow {
    fn new(session: &Session, who: &SignedIn) -> Self {
        let now = who.now();
        Self {
            id: session.id.to_string(),
            device: device::words(&session.user_agent),
            agent: session.user_agent.clone(),
            ip: session.ip.map_or_else(|| t("Unknown").into(), |ip| ip.to_string()),
            began: now.moment(session.created_at),
            seen: now.moment(session.last_seen_at),
            is_this: session.id == who.session.id,
        }
    }
}

async fn page(who: &SignedIn, errors: FormErrors) -> Result<SecurityPage, PageError> {
    let sessions = services::sessions::list(&who.app, who.user.id).await?;
    Ok(SecurityPage {
        frame: who.frame(t("Security"), Place::Security).faulty(&errors),
        errors,
        codes_left: match who.user.has_second_factor {
            true => Some(services::second_factor::codes_left(&who.app, &who.user).await?),
            false => None,
        },
        is_required: services::second_factor::is_required_of(&who.app, &who.user),
        sessions: sessions.iter().map(|session| SessionRow::new(session, who)).collect(),
    })
}
