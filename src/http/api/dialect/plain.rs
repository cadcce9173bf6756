//! "REST API Integrations": an error is one text for people, and two headers tell of the limits.

use super::error::{ErrorShape, Told};
use super::rate_headers::RateHeaders;
use super::{Dialect, native};
use crate::model::AppError;

pub const DIALECT: Dialect = Dialect {
    error: ErrorShape::Text,
    told,
    rate_headers: RateHeaders { longest: None, limit: false, left: true, policy: false },
    version: None,
    ..native::DIALECT
};

fn told(error: &AppError) -> Told {
    let message = matches!(error, AppError::InvalidApiKey).then_some("Invalid API key provided.");
    Told { message, ..Told::natively(error) }
}
