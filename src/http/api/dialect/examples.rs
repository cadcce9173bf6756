//! One error of each kind, and how a dialect tells it: what the documentation of the codes is made from.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::body::MessageBody;

use super::Dialect;
use super::error::Context;
use crate::model::AppError;
use crate::model::dialect::DialectName;
use crate::model::scope::{Scope, ScopeSet};

/// The errors that a dialect tells under this code; of other dialects' codes, those of the native one.
pub fn under(dialect: DialectName, code: &str) -> Vec<AppError> {
    let mut under = each();
    under.retain(|error| Dialect::of(dialect).code(error) == code);
    if under.is_empty() {
        under = each();
        under.retain(|error| error.code() == code);
    }
    under
}

/// The code under which a dialect tells an error.
pub fn code(dialect: DialectName, error: &AppError) -> &'static str {
    Dialect::of(dialect).code(error)
}

/// The status and the body, indented, with which a dialect tells an error.
pub fn answer(dialect: DialectName, error: &AppError, base_url: &str) -> (u16, String) {
    let context = Context { request_id: "req_…", base_url, problem_json: false };
    let dialect = Dialect::of(dialect);
    let response = match error {
        // A fault is told without its cause; and this one did not happen.
        AppError::Internal(_) => dialect.tell(error, &context),
        error => dialect.refuse(error, &context),
    };
    let status = response.status().as_u16();
    let bytes = response.into_body().try_into_bytes().unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    (status, json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_default())
}

pub fn each() -> Vec<AppError> {
    let invalid = |field, code, message| AppError::invalid(field, code, message);
    vec![
        AppError::MissingApiKey,
        AppError::InvalidApiKey,
        AppError::ExpiredApiKey,
        AppError::TokenExpired,
        AppError::IpNotAllowed(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        AppError::MissingScope(Scope::UsersWrite),
        AppError::ScopeBeyondCaller(ScopeSet::of(&[Scope::UsersWrite])),
        AppError::RestrictedApiKey,
        AppError::NotAnAdmin,
        AppError::UserRequired,
        invalid("email", "taken", "Email address is already in use."),
        invalid("name", "required", "`name` is required."),
        invalid("limit", "out_of_range", "`limit` must be a whole number from 1 to 100."),
        invalid("cursor", "invalid_cursor", "`cursor` must be one that a list's `next` or `previous` gave."),
        invalid("permission", "invalid_access", "`permission` must be `full_access` or `sending_access`."),
        invalid("Idempotency-Key", "invalid", "An Idempotency-Key has 1 to 256 visible characters, and is sent once."),
        AppError::NotFound("user"),
        AppError::NoRoute,
        AppError::LastAdmin,
        AppError::KeyRevoked,
        AppError::KeyExpired,
        AppError::PreconditionFailed,
        AppError::IdempotencyKeyReused,
        AppError::RequestInProgress,
        AppError::RateLimited { retry_after: Duration::from_secs(3_600) },
        AppError::TooManyAttempts { retry_after: Duration::from_secs(60) },
        AppError::Busy { retry_after: Duration::from_secs(5) },
        AppError::StorageFull,
        AppError::internal("an example"),
        AppError::HttpsRequired,
        AppError::UserAgentRequired,
        AppError::InvalidJson { problem: "expected value".into(), line: 1, column: 2 },
        AppError::UnsupportedMediaType { expected: "application/json" },
        AppError::BodyTooLarge { limit: 65_536 },
        AppError::RequestTimeout { limit: Duration::from_secs(10) },
        AppError::MethodNotAllowed { method: "PUT".into(), allowed: "GET, HEAD, POST, OPTIONS".into() },
        AppError::BadRequest("The body could not be read.".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_native_code_has_its_example() {
        let source = include_str!("../../../model/error.rs");
        let codes = source.split_once("pub fn code(&self)").and_then(|(_, rest)| rest.split_once("\n    }\n"));
        let codes = codes.expect("the codes").0.lines().filter_map(|line| line.split("=> \"").nth(1)?.split('"').next());
        let examples = each();
        for code in codes {
            assert!(examples.iter().any(|error| error.code() == code), "{code}");
        }
    }
}
