//! Mitwirken: native errors, an invalid key is 403, lists come whole, and nothing is versioned.

use actix_web::http::StatusCode;

use super::listing::{Envelope, Listing, Paging};
use super::rate_headers::RateHeaders;
use super::{Dialect, native};

pub const DIALECT: Dialect = Dialect {
    invalid_key: StatusCode::FORBIDDEN,
    rate_headers: RateHeaders { longest: None, limit: true, left: true, policy: false },
    list: Listing { envelope: Envelope::Bare, paging: Paging::Whole },
    at_root: true,
    version: None,
    ..native::DIALECT
};
