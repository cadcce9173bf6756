//! API keys on pages: one's own under the settings, everyone's for administrators. The two share every handler and template.

use askama::Template;

use super::view::{KeyRow, Pages};
use crate::http::page::{FormErrors, Frame};
use crate::http::samples::Sample;

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
}

#[derive(Template)]
#[template(path = "admin/api_keys/list.html")]
pub struct KeysPage {
    pub frame: Frame,
    pub realm: Realm,
    pub summary: String,
    pub filter: Filter,
    pub keys: Vec<KeyRow>,
    pub pages: Pages,
    pub base_url: String,
}

#[derive(Default)]
pub struct Filter {
    pub q: String,
    pub can_search: bool,
    pub statuses: Vec<Choice>,
    /// The filter in words, where nothing matches it.
    pub words: String,
}

impl Filter {
    pub fn is_active(&self) -> bool {
        !self.words.is_empty()
    }
}

/// One option of a form.
pub struct Choice {
    pub value: &'static str,
    pub words: String,
    pub hint: String,
    pub current: bool,
}

#[derive(Template)]
#[template(path = "admin/api_keys/new.html")]
pub struct NewKeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub typed: TypedKey,
    pub nonce: String,
    pub presets: Vec<Choice>,
    pub scope_rows: Vec<ScopeRow>,
    /// Scopes that the one who generates the key may not give, with the reason.
    pub withheld: String,
    pub expiries: Vec<Choice>,
    pub your_address: String,
    pub limits: String,
}

#[derive(Clone, Default)]
pub struct TypedKey {
    pub name: String,
    pub owner: String,
    pub preset: String,
    pub expires: String,
    pub expires_on: String,
    pub ip_allow: String,
}

pub struct ScopeRow {
    pub resource: &'static str,
    pub cells: Vec<ScopeCell>,
}

pub struct ScopeCell {
    /// Empty: there is no such scope.
    pub scope: &'static str,
    pub checked: bool,
}

#[derive(Template)]
#[template(path = "admin/api_keys/secret.html")]
pub struct SecretPage {
    pub frame: Frame,
    pub realm: Realm,
    pub id: String,
    pub name: String,
    pub headline: String,
    pub told: String,
    pub secret: String,
    pub samples: Vec<Sample>,
    pub result: Option<TestResult>,
}

/// What a test of a key came to.
pub struct TestResult {
    pub tone: &'static str,
    pub words: String,
}

#[derive(Template)]
#[template(path = "admin/api_keys/again.html")]
pub struct AgainPage {
    pub frame: Frame,
    pub realm: Realm,
    pub id: String,
    pub name: String,
}

#[derive(Template)]
#[template(path = "admin/api_keys/show.html")]
pub struct KeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub row: KeyRow,
    pub summary: String,
    pub limits: String,
    pub base_url: String,
}

#[derive(Template)]
#[template(path = "admin/api_keys/rotate.html")]
pub struct RotatePage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub row: KeyRow,
    pub nonce: String,
    pub typed: TypedRotation,
    pub overlaps: Vec<Choice>,
}

#[derive(Clone, Default)]
pub struct TypedRotation {
    pub overlap: String,
    pub hours: String,
}
