//! API keys on pages: one's own under the settings, everyone's for administrators. The two share every handler and
//! template; the path tells which it is.

mod confirm;
mod edit;
mod fields;
mod generate;
mod list;
mod rotate;
mod show;

pub use confirm::{disable, enable, revoke, show_disable, show_enable, show_revoke};
pub use edit::{edit, update};
pub use generate::{create, download, new, test};
pub use list::list;
pub use rotate::{end_old, extend, rotate, show_end_old, show_rotate};
pub use show::show;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::http::arrival::path_of;
use crate::http::page::{PageError, Place};
use crate::http::signed_in::SignedIn;
use crate::model::AppError;
use crate::model::api_key::ApiKey;
use crate::model::ids::ApiKeyId;
use crate::services;

/// Whose keys a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    Own,
    All,
}

impl Realm {
    pub const fn base(self) -> &'static str {
        match self {
            Self::Own => "/settings/api-keys",
            Self::All => "/admin/keys",
        }
    }

    pub const fn is_own(self) -> bool {
        matches!(self, Self::Own)
    }

    const fn place(self) -> Place {
        match self {
            Self::Own => Place::OwnKeys,
            Self::All => Place::Keys,
        }
    }

    fn of(&self, key: &ApiKey) -> String {
        format!("{}/{}", self.base(), key.id)
    }

    /// The key of a page, if it belongs there.
    async fn find(self, who: &SignedIn, id: &str) -> Result<ApiKey, PageError> {
        let id = ApiKeyId::parse(id).ok_or(AppError::NotFound("key"))?;
        let key = services::api_keys::find(&who.app, &who.caller, id).await?;
        if self.is_own() && key.user_id != who.user.id {
            return Err(AppError::NotFound("key").into());
        }
        Ok(key)
    }
}

impl FromRequest for Realm {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(if path_of(req).starts_with(Self::All.base()) { Self::All } else { Self::Own }))
    }
}

/// One option of a form.
pub struct Choice {
    pub value: &'static str,
    pub words: String,
    pub hint: String,
}
