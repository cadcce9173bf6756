//! One refusal of each kind, and how clients are told of it: what the documentation is made from.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::{HttpResponse, ResponseError};
use serde_json::Value;

use super::Refusal;
use crate::model::AppError;
use crate::model::oauth_error::{OauthCode, OauthError};

pub struct Example {
    /// The operations that may answer with it; none: it goes with the user to the client's address.
    pub at: &'static [&'static str],
    refusal: Refusal,
}

impl Example {
    /// The status and the body, indented.
    pub fn answer(&self) -> (u16, String) {
        let response: HttpResponse = self.refusal.told();
        let status = response.status().as_u16();
        let bytes = response.into_body().try_into_bytes().unwrap_or_default();
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        (status, serde_json::to_string_pretty(&json).unwrap_or_default())
    }

    pub fn code(&self) -> &'static str {
        self.refusal.code()
    }

    /// Whether it comes as parameters of a redirect, rather than in an answer.
    pub fn is_sent_on(&self) -> bool {
        self.at.is_empty()
    }

    pub fn status(&self) -> u16 {
        self.refusal.status_code().as_u16()
    }
}

pub fn each() -> Vec<Example> {
    const POSTED: &[&str] = &["issue_token", "revoke_token", "introspect_token"];
    const ALL: &[&str] =
        &["issue_token", "revoke_token", "introspect_token", "show_authorization_server", "show_protected_resource"];
    const TOKEN: &[&str] = &["issue_token"];
    let refused = |at, code: OauthCode, words: &str| Example { at, refusal: Refusal(code.because(words)) };
    let failed = |at, error: AppError| Example { at, refusal: Refusal(OauthError::App(error)) };
    vec![
        refused(POSTED, OauthCode::InvalidRequest, "token is missing."),
        refused(POSTED, OauthCode::InvalidClient, "There is no such client, or its secret is another."),
        refused(
            TOKEN,
            OauthCode::InvalidGrant,
            "The code is unknown, was used before, has expired, or was given to another client.",
        ),
        refused(TOKEN, OauthCode::UnauthorizedClient, "A public client has no secret, so it cannot act on its own behalf."),
        refused(
            TOKEN,
            OauthCode::UnsupportedGrantType,
            "grant_type is one of authorization_code, refresh_token and client_credentials.",
        ),
        refused(TOKEN, OauthCode::InvalidScope, "This client is not registered for users:write."),
        refused(&[], OauthCode::UnsupportedResponseType, "response_type is always code."),
        refused(&[], OauthCode::AccessDenied, "The user did not allow it."),
        failed(ALL, AppError::HttpsRequired),
        failed(POSTED, AppError::RequestTimeout { limit: Duration::from_secs(10) }),
        failed(POSTED, AppError::BodyTooLarge { limit: 65_536 }),
        failed(POSTED, AppError::RateLimited { retry_after: Duration::from_secs(60) }),
        failed(POSTED, AppError::internal("an example")),
        failed(POSTED, AppError::Busy { retry_after: Duration::from_secs(5) }),
        failed(POSTED, AppError::StorageFull),
    ]
}
