//! What every surface says of an error alike: its status, and in the log its causes.

use std::any::Any;

use actix_web::http::StatusCode;

use crate::model::AppError;

/// The status of an error where no dialect differs.
pub fn status(error: &AppError) -> StatusCode {
    match error {
        AppError::MissingApiKey
        | AppError::InvalidApiKey
        | AppError::ExpiredApiKey
        | AppError::TokenExpired
        | AppError::RestrictedApiKey => StatusCode::UNAUTHORIZED,
        AppError::IpNotAllowed(_)
        | AppError::MissingScope(_)
        | AppError::ScopeBeyondCaller(_)
        | AppError::NotAnAdmin
        | AppError::UserRequired
        | AppError::HttpsRequired
        | AppError::UserAgentRequired => StatusCode::FORBIDDEN,
        AppError::Invalid(_) | AppError::InvalidJson { .. } | AppError::BadRequest(_) => StatusCode::BAD_REQUEST,
        AppError::NotFound(_) | AppError::NoRoute => StatusCode::NOT_FOUND,
        AppError::LastAdmin | AppError::KeyRevoked | AppError::KeyExpired | AppError::RequestInProgress => StatusCode::CONFLICT,
        AppError::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        AppError::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        AppError::RateLimited { .. } | AppError::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
        AppError::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        AppError::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        AppError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        AppError::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        AppError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        AppError::RequestTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
        AppError::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
    }
}

/// The words of a panic, for the log.
pub fn words_of(panic: &(dyn Any + Send)) -> &str {
    let formatted = panic.downcast_ref::<String>().map(String::as_str);
    formatted.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}
