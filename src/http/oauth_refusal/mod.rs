//! A refusal as RFC 6749 §5.2 has it: `{"error","error_description"}`.

pub mod examples;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::http::faults::status;
use crate::model::AppError;
use crate::model::error::in_full;
use crate::model::oauth_error::{OauthCode, OauthError};

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refusal(#[from] pub OauthError);

impl From<AppError> for Refusal {
    fn from(err: AppError) -> Self {
        Self(err.into())
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match &self.0 {
            OauthError::Refused { code: OauthCode::InvalidClient, .. } => StatusCode::UNAUTHORIZED,
            OauthError::Refused { .. } => StatusCode::BAD_REQUEST,
            OauthError::App(err) => status(err),
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let OauthError::App(AppError::Internal(source)) = &self.0 {
            tracing::error!(error = in_full(source.as_ref()), "an OAuth request failed");
        }
        self.told()
    }
}

impl Refusal {
    pub fn code(&self) -> &'static str {
        let is_ours = self.status_code().is_server_error();
        match &self.0 {
            OauthError::Refused { code, .. } => code.name(),
            OauthError::App(err) if is_ours && err.retry_after().is_some() => "temporarily_unavailable",
            OauthError::App(_) if is_ours => "server_error",
            OauthError::App(err @ AppError::RateLimited { .. }) => err.code(),
            OauthError::App(_) => OauthCode::InvalidRequest.name(),
        }
    }

    /// What the client gets.
    pub fn told(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"keyrack\", charset=\"UTF-8\""));
        }
        if let Some(wait) = self.0.retry_after() {
            response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        if matches!(self.0, OauthError::App(AppError::RequestTimeout { .. })) {
            response.force_close();
        }
        response.json(json!({ "error": self.code(), "error_description": plain(&self.0.to_string()) }))
    }
}

/// The characters that a description may have (RFC 6749 §5.2).
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '\'' }).collect()
}
