//! How an error looks on the wire.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::json;

use super::Dialect;
use crate::http::api::reply::{JSON, to_json};
use crate::http::faults::status;
use crate::model::AppError;
use crate::model::error::{FieldError, in_full};

/// What an error's body is made of.
#[derive(Clone, Copy, Debug)]
pub enum ErrorShape {
    /// `error`, `message`, `status`, `request_id`, `doc_url`; RFC 9457 for who asks for it.
    Native,
    /// `{"error":"…"}`, a text for people.
    Text,
    /// `{"error":{"code","message","doc_url"}}`
    Coded,
    /// `{"statusCode","name","message"}`
    Named,
}

/// What a dialect says of an error.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// None: the native one.
    pub status: Option<StatusCode>,
    pub code: &'static str,
    /// None: the error's own words.
    pub message: Option<&'static str>,
}

impl Told {
    pub fn natively(error: &AppError) -> Self {
        Self { status: None, code: error.code(), message: None }
    }
}

/// What the answer to a request needs besides the error.
pub struct Context<'a> {
    pub request_id: &'a str,
    /// Where the documentation is: scheme and host.
    pub base_url: &'a str,
    /// The client prefers `application/problem+json`.
    pub problem_json: bool,
}

impl Context<'_> {
    fn doc_url(&self, code: &str) -> String {
        [self.base_url, "/docs/errors/", code].concat()
    }
}

impl Dialect {
    pub fn status(&self, error: &AppError) -> StatusCode {
        match error {
            AppError::MissingApiKey => self.missing_key,
            AppError::InvalidApiKey => self.invalid_key,
            other => (self.told)(other).status.unwrap_or_else(|| status(other)),
        }
    }

    /// The name under which clients know the error, and under which its page in the documentation is found.
    pub fn code(&self, error: &AppError) -> &'static str {
        (self.told)(error).code
    }

    /// The answer that tells of an error. A fault of ours is logged here, once, and not told.
    pub fn refuse(&self, error: &AppError, context: &Context) -> HttpResponse {
        if let AppError::Internal(source) = error {
            tracing::error!(request_id = context.request_id, error = in_full(source.as_ref()), "a request failed");
        }
        self.tell(error, context)
    }

    pub(super) fn tell(&self, error: &AppError, context: &Context) -> HttpResponse {
        let status = self.status(error);
        let mut response = HttpResponse::build(status);
        let words = error.to_string();
        headers(&mut response, status, error, &words);
        let told = (self.told)(error);
        let message = told.message.unwrap_or(&words);
        let body = match self.error {
            ErrorShape::Native => return native(response, status, error, &words, context),
            ErrorShape::Text => json!({ "error": message }),
            ErrorShape::Coded => {
                json!({ "error": { "code": told.code, "message": message, "doc_url": context.doc_url(told.code) } })
            }
            ErrorShape::Named => json!({ "statusCode": status.as_u16(), "name": told.code, "message": message }),
        };
        response.insert_header((CONTENT_TYPE, JSON)).body(body.to_string())
    }
}

/// The headers that an error's status obliges to, whatever its body.
fn headers(response: &mut HttpResponseBuilder, status: StatusCode, error: &AppError, words: &str) {
    if let Some(wait) = error.retry_after() {
        response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
    }
    if let AppError::MethodNotAllowed { allowed, .. } = error {
        response.insert_header((ALLOW, allowed.as_str()));
    }
    if matches!(error, AppError::RequestTimeout { .. }) {
        // The rest of the body may still come; it must not be read as the next request.
        response.force_close();
    }
    let challenge = match error {
        AppError::MissingScope(scope) => Some((Some("insufficient_scope"), Some(scope.to_string()))),
        AppError::ScopeBeyondCaller(scopes) => Some((Some("insufficient_scope"), Some(scopes.to_string()))),
        // RFC 6750 §3.1: no error code where no credential was sent.
        AppError::MissingApiKey => Some((None, None)),
        _ if status == StatusCode::UNAUTHORIZED => Some((Some("invalid_token"), None)),
        _ => None,
    };
    if let Some((code, scope)) = challenge {
        let mut value = String::with_capacity(192);
        value += "Bearer realm=\"keyrack\"";
        if let Some(code) = code {
            value.extend([", error=\"", code, "\", error_description=\"", &plain(words), "\""]);
        }
        if let Some(scope) = scope {
            value.extend([", scope=\"", &scope, "\""]);
        }
        response.insert_header((WWW_AUTHENTICATE, value));
    }
}

#[derive(Serialize)]
struct Native<'a> {
    error: &'static str,
    message: &'a str,
    status: u16,
    request_id: &'a str,
    doc_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// RFC 9457, with the native facts as extensions.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'static str,
    detail: &'a str,
    instance: String,
    #[serde(flatten)]
    native: &'a Native<'a>,
}

fn native(
    mut response: HttpResponseBuilder,
    status: StatusCode,
    error: &AppError,
    words: &str,
    context: &Context,
) -> HttpResponse {
    let facts = Native {
        error: error.code(),
        message: words,
        status: status.as_u16(),
        request_id: context.request_id,
        doc_url: context.doc_url(error.code()),
        required_scope: match error {
            AppError::MissingScope(scope) => Some(scope.to_string()),
            AppError::ScopeBeyondCaller(scopes) => Some(scopes.to_string()),
            _ => None,
        },
        errors: match error {
            AppError::Invalid(errors) => errors.as_slice(),
            _ => &[],
        },
    };
    if !context.problem_json {
        return response.insert_header((CONTENT_TYPE, JSON)).body(to_json(&facts));
    }
    let problem = Problem {
        r#type: &facts.doc_url,
        title: status.canonical_reason().unwrap_or_default(),
        detail: words,
        instance: format!("urn:keyrack:request:{}", context.request_id),
        native: &facts,
    };
    response.insert_header((CONTENT_TYPE, "application/problem+json")).body(to_json(&problem))
}

/// What may stand in a quoted `error_description` (RFC 6750 §3).
fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = |c| matches!(c, ' '..='~') && c != '"' && c != '\\';
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_plain(c) { c } else { '\'' }).collect()
}
