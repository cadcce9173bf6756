//! Asking again who one is, before what matters. The form that was sent is kept on the page that asks, and goes on to
//! where it was sent when the password is right; so this works without a script and loses nothing that was filled in.

use actix_web::http::StatusCode;
use askama::Template;

use super::csrf::Posted;
use super::faults::status;
use super::page::{FormErrors, Frame, PageError};
use super::signed_in::{SignedIn, safe_next};
use super::words::{filters, t, t_refusal};
use crate::model::AppError;
use crate::model::user::Password;
use crate::services;

/// The fields of the page that asks; everything else belongs to the form that is kept.
const PASSWORD: &str = "again_password";
const BACK: &str = "again_back";
const LOST: &str = "again_lost";

/// The page that asks.
#[derive(Template)]
#[template(path = "elevation.html")]
pub struct ElevationPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub kept: Kept,
    pub email: String,
}

/// A form that waits until it is known who sends it.
#[derive(Clone, Debug)]
pub struct Kept {
    action: String,
    fields: Vec<(String, String)>,
    /// The page that it was sent from.
    back: String,
    refused: Option<String>,
    pub status: StatusCode,
    pub retry_after: Option<u64>,
}

impl SignedIn {
    /// Goes on for someone who proved lately who they are, or does so with this form; else gives the page that asks.
    /// Stands after the check of a stale form and before anything is changed.
    pub async fn must_be_elevated(&self, form: &Posted) -> Result<(), PageError> {
        if self.session.is_elevated(self.app.clock.now()) {
            return Ok(());
        }
        if !form.has(PASSWORD) {
            return Err(self.ask(form, None));
        }
        let password = Password::typed(form.text(PASSWORD));
        match services::passwords::elevate(&self.app, &self.caller, &self.user, self.token(), password).await {
            Err(err @ (AppError::Invalid(_) | AppError::TooManyAttempts { .. })) => Err(self.ask(form, Some(err))),
            other => Ok(other?),
        }
    }

    fn ask(&self, form: &Posted, refused: Option<AppError>) -> PageError {
        let is_password = |name: &str| name.contains("password");
        let own = |name: &str| name == "csrf" || name == PASSWORD || name == BACK;
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form.fields().filter(|(name, _)| !own(name)) {
            match is_password(name) {
                false => fields.push((name.into(), value.into())),
                true if value.is_empty() => {}
                true => fields.push((LOST.into(), name.into())),
            }
        }
        let back = if form.has(BACK) { form.text(BACK) } else { self.facts.referer.as_str() };
        PageError::Elevation(Box::new(Kept {
            action: self.path().into(),
            fields,
            back: safe_next(back).into(),
            status: refused.as_ref().map_or(StatusCode::OK, status),
            retry_after: refused.as_ref().and_then(AppError::retry_after).map(|wait| wait.as_secs().max(1)),
            refused: refused.map(|err| err.to_string()),
        }))
    }
}

impl Posted {
    /// Whether a password was typed into this field that was not kept while its owner proved who they are.
    pub fn lost(&self, field: &str) -> bool {
        self.all(LOST).any(|lost| lost == field)
    }
}

impl ElevationPage {
    pub fn new(frame: Frame, kept: &Kept) -> Self {
        let errors = kept.refused.clone().map_or_else(FormErrors::default, |words| FormErrors::at_large(t_refusal(&words)));
        let email = frame.who.as_ref().map(|who| who.email.clone()).unwrap_or_default();
        Self { frame: frame.titled(t("Confirm that it is you")).faulty(&errors), errors, kept: kept.clone(), email }
    }
}
