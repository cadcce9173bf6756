//! How an error looks on the wire.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::json;

use super::Dialect;
use crate::http::faults::{chain, status};
use crate::model::AppError;
use crate::model::error::FieldError;

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
            tracing::error!(request_id = context.request_id, error = %chain(source.as_ref()), "a request failed");
        }
        self.tell(error, context)
    }

    pub(super) fn tell(&self, error: &AppError, context: &Context) -> HttpResponse {
        let status = self.status(error);
        let mut response = HttpResponse::build(status);
        headers(&mut response, status, error);
        let told = (self.told)(error);
        let message = told.message.map_or_else(|| error.to_string(), str::to_owned);
        let body = match self.error {
            ErrorShape::Native => return native(response, status, error, context),
            ErrorShape::Text => json!({ "error": message }),
            ErrorShape::Coded => {
                let doc_url = format!("{}/docs/errors/{}", context.base_url, told.code);
                json!({ "error": { "code": told.code, "message": message, "doc_url": doc_url } })
            }
            ErrorShape::Named => json!({ "statusCode": status.as_u16(), "name": told.code, "message": message }),
        };
        response.insert_header((CONTENT_TYPE, "application/json")).body(body.to_string())
    }
}

/// The headers that an error's status obliges to, whatever its body.
fn headers(response: &mut HttpResponseBuilder, status: StatusCode, error: &AppError) {
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
        let mut value = String::from("Bearer realm=\"keyrack\"");
        if let Some(code) = code {
            value += &format!(", error=\"{code}\", error_description=\"{}\"", plain(&error.to_string()));
        }
        if let Some(scope) = scope {
            value += &format!(", scope=\"{scope}\"");
        }
        response.insert_header((WWW_AUTHENTICATE, value));
    }
}

#[derive(Serialize)]
struct Native<'a> {
    error: &'static str,
    message: String,
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

fn native(mut response: HttpResponseBuilder, status: StatusCode, error: &AppError, context: &Context) -> HttpResponse {
    let facts = Native {
        error: error.code(),
        message: error.to_string(),
        status: status.as_u16(),
        request_id: context.request_id,
        doc_url: format!("{}/docs/errors/{}", context.base_url, error.code()),
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
        return response.insert_header((CONTENT_TYPE, "application/json")).body(to_json(&facts));
    }
    let problem = Problem {
        r#type: &facts.doc_url,
        title: status.canonical_reason().unwrap_or_default(),
        detail: &facts.message,
        instance: format!("urn:keyrack:request:{}", context.request_id),
        native: &facts,
    };
    response.insert_header((CONTENT_TYPE, "application/problem+json")).body(to_json(&problem))
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("an error's body is plain text and numbers")
}

/// What may stand in a quoted `error_description` (RFC 6750 §3).
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '\'' }).collect()
}
