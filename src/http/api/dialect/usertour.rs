//! Usertour: E-codes with a link to their page, limits told in seconds, lists with `next` and `previous`.

use actix_web::http::StatusCode;

use super::deleting::DeleteAnswer;
use super::error::{ErrorShape, Told};
use super::listing::{Envelope, Listing, Paging};
use super::rate_headers::{RateHeaders, ResetAs};
use super::{Dialect, native};
use crate::model::AppError;

pub const DIALECT: Dialect = Dialect {
    invalid_key: StatusCode::FORBIDDEN,
    error: ErrorShape::Coded,
    told,
    rate_headers: RateHeaders { longest: Some(ResetAs::Seconds), limit: false, left: false, policy: false },
    list: Listing { envelope: Envelope::Results, paging: Paging::Cursor },
    delete: DeleteAnswer::IdAndObject,
    version: None,
    ..native::DIALECT
};

fn told(error: &AppError) -> Told {
    let code = match error {
        AppError::MissingApiKey => "E1010",
        AppError::InvalidApiKey => "E1000",
        AppError::ExpiredApiKey | AppError::TokenExpired => "E1020",
        AppError::IpNotAllowed(_)
        | AppError::MissingScope(_)
        | AppError::ScopeBeyondCaller(_)
        | AppError::RestrictedApiKey
        | AppError::NotAnAdmin
        | AppError::UserRequired => "E1012",
        AppError::NotFound("user") => "E1001",
        AppError::NotFound(_) | AppError::NoRoute => "E1033",
        AppError::Invalid(errors) => match errors.as_slice().first().map(|error| error.field.as_str()) {
            Some("limit") => "E1006",
            Some("cursor") => "E1007",
            _ => "E1017",
        },
        AppError::RateLimited { .. } | AppError::TooManyAttempts { .. } => "E1013",
        AppError::Busy { .. } => "E1014",
        AppError::StorageFull | AppError::Internal(_) => "E0000",
        AppError::LastAdmin
        | AppError::KeyRevoked
        | AppError::KeyExpired
        | AppError::PreconditionFailed
        | AppError::IdempotencyKeyReused
        | AppError::RequestInProgress
        | AppError::HttpsRequired
        | AppError::UserAgentRequired
        | AppError::InvalidJson { .. }
        | AppError::UnsupportedMediaType { .. }
        | AppError::BodyTooLarge { .. }
        | AppError::RequestTimeout { .. }
        | AppError::MethodNotAllowed { .. }
        | AppError::BadRequest(_) => "E1009",
    };
    Told { code, ..Told::natively(error) }
}
