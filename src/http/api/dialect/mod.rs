//! The wire conventions in which the API answers, as data. Read in this folder and by admission alone: no handler,
//! service or query asks which dialect is on.

pub mod error;
pub mod listing;
pub mod rate_headers;

use actix_web::http::StatusCode;

use crate::model::dialect::DialectName;
use error::ErrorShape;
use listing::ListShape;
use rate_headers::RateHeaders;

/// One set of conventions. A further dialect is a further value, not a branch.
#[derive(Debug)]
pub struct Dialect {
    pub missing_key: StatusCode,
    pub invalid_key: StatusCode,
    pub error: ErrorShape,
    pub rate_headers: RateHeaders,
    pub list: ListShape,
    pub user_agent_required: bool,
}

const NATIVE: Dialect = Dialect {
    missing_key: StatusCode::UNAUTHORIZED,
    invalid_key: StatusCode::UNAUTHORIZED,
    error: ErrorShape::Native,
    rate_headers: RateHeaders::All,
    list: ListShape::BareArray,
    user_agent_required: false,
};

impl Dialect {
    pub const fn of(name: DialectName) -> &'static Self {
        match name {
            DialectName::Native => &NATIVE,
        }
    }
}
