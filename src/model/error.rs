//! What can go wrong, in the caller's terms. Each surface shows these in its own way; the codes are the API's promise.

use std::net::IpAddr;
use std::time::Duration;

use super::scope::{Scope, ScopeSet};

/// What is told of a fault of ours.
const OUR_FAULT: &str = "Something went wrong on our side. The server's log has the details under this request id.";

pub type Result<T, E = AppError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("No API key provided in the Authorization header.")]
    MissingApiKey,
    #[error("The API key provided is invalid.")]
    InvalidApiKey,
    #[error("The API key has expired.")]
    ExpiredApiKey,
    #[error("The access token has expired.")]
    TokenExpired,
    #[error("This key may not be used from {0}. Add the address to the key's allow-list, or call from one that is on it.")]
    IpNotAllowed(IpAddr),
    #[error("This key lacks the scope `{0}`.")]
    MissingScope(Scope),
    #[error("A key cannot be given more than the one who makes it may do: `{0}` is missing.")]
    ScopeBeyondCaller(ScopeSet),
    /// What `/api-keys` says, where a key is either for everything or restricted.
    #[error("This API key is restricted and may not manage API keys. Use one with full access.")]
    RestrictedApiKey,
    #[error("Sign in as an administrator to do this.")]
    NotAnAdmin,
    #[error("This needs a user, and the token was given to a client on its own behalf.")]
    UserRequired,

    #[error("{}", .0.first_message())]
    Invalid(FieldErrors),
    #[error("No {0} with this id.")]
    NotFound(&'static str),
    #[error("This is the last administrator. Make another user an administrator first.")]
    LastAdmin,
    #[error("This key is revoked, and a revoked key cannot be changed. Create a new one.")]
    KeyRevoked,
    #[error("This key has expired and cannot be rotated. Give it a later expiry first, or create a new one.")]
    KeyExpired,
    #[error("The resource has changed since it was read. Read it again, then repeat the change with its new ETag.")]
    PreconditionFailed,
    #[error("This Idempotency-Key was used before with another request. Use a new key for a new request.")]
    IdempotencyKeyReused,
    #[error("A request with this Idempotency-Key is still being worked on. Try again in a moment.")]
    RequestInProgress,

    #[error("Rate limit exceeded. Try again in {} seconds.", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error("The server is busy. Try again in {} seconds.", .retry_after.as_secs())]
    Busy { retry_after: Duration },
    #[error("Too many attempts. Try again in {} seconds.", .retry_after.as_secs())]
    TooManyAttempts { retry_after: Duration },
    #[error("The disk is full. Nothing was changed; reading still works.")]
    StorageFull,
    #[error("{OUR_FAULT}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),

    #[error("This API is served over HTTPS only. Revoke the key you sent, since others may have read it, and use https://.")]
    HttpsRequired,
    #[error("Send a User-Agent header, for example `User-Agent: my-app/1.0` (error code: 1010).")]
    UserAgentRequired,
    #[error("The body is not valid JSON: {problem} at line {line}, column {column}.")]
    InvalidJson { problem: String, line: usize, column: usize },
    #[error("Send the body as `Content-Type: {expected}`.")]
    UnsupportedMediaType { expected: &'static str },
    #[error("The body is larger than {limit} bytes.")]
    BodyTooLarge { limit: usize },
    #[error("The request did not arrive in full within {} seconds.", .limit.as_secs())]
    RequestTimeout { limit: Duration },
    #[error("There is nothing at this path.")]
    NoRoute,
    #[error("This path does not answer {method}. It answers {allowed}.")]
    MethodNotAllowed { method: String, allowed: String },
    #[error("{0}")]
    BadRequest(String),
}

impl AppError {
    /// The stable name of the error, as clients see it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingApiKey => "missing_api_key",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ExpiredApiKey => "expired_api_key",
            Self::TokenExpired => "token_expired",
            Self::IpNotAllowed(_) => "ip_not_allowed",
            Self::MissingScope(_) | Self::ScopeBeyondCaller(_) => "insufficient_scope",
            Self::RestrictedApiKey => "restricted_api_key",
            Self::NotAnAdmin => "admin_required",
            Self::UserRequired => "user_required",
            Self::Invalid(_) => "validation_error",
            Self::NotFound(_) | Self::NoRoute => "not_found",
            Self::LastAdmin => "last_admin",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::PreconditionFailed => "precondition_failed",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::RequestInProgress => "request_in_progress",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::Busy { .. } => "service_unavailable",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::StorageFull => "storage_full",
            Self::Internal(_) => "internal_error",
            Self::HttpsRequired => "https_required",
            Self::UserAgentRequired => "1010",
            Self::InvalidJson { .. } => "invalid_json",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::RequestTimeout { .. } => "request_timeout",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadRequest(_) => "bad_request",
        }
    }

    /// One field that is wrong.
    pub fn invalid(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        let mut errors = FieldErrors::default();
        errors.add(field, code, message);
        Self::Invalid(errors)
    }

    /// A fault of ours: logged with its chain, shown as `internal_error`.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// How long the caller is asked to wait, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Busy { retry_after } | Self::TooManyAttempts { retry_after } => {
                Some(*retry_after)
            }
            Self::RequestInProgress => Some(Duration::from_secs(1)),
            Self::StorageFull => Some(Duration::from_secs(60)),
            _ => None,
        }
    }
}

/// An error and what lies behind it, for a log or a shell. What clients are told of a fault of ours would say nothing there.
pub fn in_full(err: &(dyn std::error::Error + 'static)) -> String {
    let links = std::iter::successors(Some(err), |err| err.source()).map(ToString::to_string);
    links.filter(|words| words != OUR_FAULT).fold(String::new(), |text, words| match text.as_str() {
        "" => words,
        // Some errors tell of their cause themselves.
        told if told.contains(&words) => text,
        told => format!("{told}: {words}"),
    })
}

/// Everything that is wrong with what was sent, one entry for each problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    pub field: String,
    pub code: &'static str,
    pub message: String,
}

impl FieldErrors {
    pub fn add(&mut self, field: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), code, message: message.into() });
    }

    /// Keeps a value that parsed, notes the error of one that did not.
    pub fn note<T>(&mut self, field: &str, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.add(field, problem.code, problem.message)).ok()
    }

    pub fn as_slice(&self) -> &[FieldError] {
        &self.0
    }

    /// The words for one field of a form.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// `Ok` when nothing was noted.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(AppError::Invalid(self)) }
    }

    fn first_message(&self) -> &str {
        self.0.first().map_or("The request is not valid.", |error| error.message.as_str())
    }
}

/// Why a value was refused: what a parser of the model says; the edge adds which field it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub message: String,
}

impl Problem {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn of(self, field: impl Into<String>) -> AppError {
        AppError::invalid(field, self.code, self.message)
    }
}
