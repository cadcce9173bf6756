//! The wire conventions in which the API answers, as data: a value in each of `native`, `plain`, `usertour`, `resend` and
//! `mitwirken`. What the fields mean on the wire is in `error`, `rate_headers`, `listing` and `deleting`. Read in this
//! folder and where requests are admitted: no handler, service or query asks which dialect is on.

pub mod deleting;
pub mod error;
pub mod examples;
pub mod listing;
mod mitwirken;
mod native;
mod plain;
pub mod preview;
pub mod rate_headers;
mod resend;
mod usertour;

use std::rc::Rc;

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest};

use crate::http::arrival::Arrival;
use crate::model::AppError;
use crate::model::dialect::DialectName;
use deleting::DeleteAnswer;
use error::{ErrorShape, Told};
use listing::Listing;
use rate_headers::RateHeaders;

/// One set of conventions. A further dialect is a further value, not a branch.
#[derive(Debug)]
pub struct Dialect {
    pub missing_key: StatusCode,
    pub invalid_key: StatusCode,
    pub error: ErrorShape,
    /// What it says of an error, where that differs from the native words.
    pub told: fn(&AppError) -> Told,
    pub rate_headers: RateHeaders,
    pub list: Listing,
    pub delete: DeleteAnswer,
    pub user_agent_required: bool,
    /// What `Keyrack-Version` may say; none: the header means nothing.
    pub version: Option<&'static str>,
    /// The paths below `/v1` answer at the root, too.
    pub at_root: bool,
    /// `/api-keys` answers, as Resend's clients know it.
    pub serves_api_keys_path: bool,
}

impl Dialect {
    pub const fn of(name: DialectName) -> &'static Self {
        match name {
            DialectName::Native => &native::DIALECT,
            DialectName::Plain => &plain::DIALECT,
            DialectName::Usertour => &usertour::DIALECT,
            DialectName::Resend => &resend::DIALECT,
            DialectName::Mitwirken => &mitwirken::DIALECT,
        }
    }

    /// The one that was on when the request arrived; it stays the same until the request is answered.
    pub fn of_request(req: &HttpRequest) -> &'static Self {
        Self::of(req.extensions().get::<Rc<Arrival>>().map(|arrival| arrival.dialect).unwrap_or_default())
    }
}
