//! Keyrack's own conventions. The others are told by what they do differently.

use actix_web::http::StatusCode;

use super::Dialect;
use super::deleting::DeleteAnswer;
use super::error::{ErrorShape, Told};
use super::listing::{Envelope, Listing, Paging};
use super::rate_headers::{RateHeaders, ResetAs};

pub const DIALECT: Dialect = Dialect {
    missing_key: StatusCode::UNAUTHORIZED,
    invalid_key: StatusCode::UNAUTHORIZED,
    error: ErrorShape::Native,
    told: Told::natively,
    rate_headers: RateHeaders { longest: Some(ResetAs::UnixTime), limit: true, left: true, policy: true },
    list: Listing { envelope: Envelope::Bare, paging: Paging::Anywhere },
    delete: DeleteAnswer::Empty,
    user_agent_required: false,
    version: Some("2026-11-22"),
    at_root: false,
    serves_api_keys_path: false,
};
