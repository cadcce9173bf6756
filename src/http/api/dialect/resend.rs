//! Resend: named errors that its published clients tell apart, a User-Agent on every request, paths at the root, and
//! `/api-keys` (handled in `http::api::resend_keys`).

use actix_web::http::StatusCode;

use super::deleting::DeleteAnswer;
use super::error::{ErrorShape, Told};
use super::listing::{Envelope, Listing, Paging};
use super::rate_headers::RateHeaders;
use super::{Dialect, native};
use crate::model::AppError;

pub const DIALECT: Dialect = Dialect {
    invalid_key: StatusCode::FORBIDDEN,
    error: ErrorShape::Named,
    told,
    rate_headers: RateHeaders { longest: None, limit: true, left: true, policy: true },
    list: Listing { envelope: Envelope::ObjectList, paging: Paging::Keyset },
    delete: DeleteAnswer::ObjectAndId,
    user_agent_required: true,
    at_root: true,
    serves_api_keys_path: true,
    version: None,
    ..native::DIALECT
};

/// The names as `resend.com/docs/api-reference/errors` lists them; what that list lacks keeps its native code.
fn told(error: &AppError) -> Told {
    let native = Told::natively(error);
    let (status, code) = match error {
        AppError::IpNotAllowed(_)
        | AppError::MissingScope(_)
        | AppError::ScopeBeyondCaller(_)
        | AppError::NotAnAdmin
        | AppError::UserRequired => (None, "invalid_permission"),
        AppError::Invalid(errors) => match errors.as_slice().first().map(|error| (error.field.as_str(), error.code)) {
            Some((_, "required")) => (Some(StatusCode::UNPROCESSABLE_ENTITY), "missing_required_field"),
            Some((_, "invalid_access")) => (Some(StatusCode::UNPROCESSABLE_ENTITY), "invalid_access"),
            Some(("Idempotency-Key", _)) => (None, "invalid_idempotency_key"),
            _ => (None, "validation_error"),
        },
        AppError::InvalidJson { .. } | AppError::BadRequest(_) => (None, "validation_error"),
        AppError::IdempotencyKeyReused => (Some(StatusCode::CONFLICT), "invalid_idempotent_request"),
        AppError::RequestInProgress => (None, "concurrent_idempotent_requests"),
        AppError::TooManyAttempts { .. } => (None, "rate_limit_exceeded"),
        AppError::Internal(_) => (None, "internal_server_error"),
        _ => (None, native.code),
    };
    Told { status, code, ..native }
}
