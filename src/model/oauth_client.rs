//! An OAuth client: a program that acts for users who allow it to, or on its own behalf.

use super::clock::Timestamp;
use super::error::{AppError, FieldErrors, Problem, Result};
use super::ids::{ClientId, UserId};
use super::name::Name;
use super::redirect_uri::RedirectUri;
use super::scope::{ScopeSet, ScopesAsked};

#[derive(Clone, Debug)]
pub struct OauthClient {
    pub id: ClientId,
    /// Who registered it. Without them it has no access of its own, only what users allow it.
    pub user_id: Option<UserId>,
    pub name: String,
    pub kind: ClientKind,
    pub redirect_uris: Vec<RedirectUri>,
    /// The most it may ask for.
    pub scopes: ScopeSet,
    /// Of the active secret; empty: it has none.
    pub hint: String,
    /// The older secret and when it ends, while it may still work.
    pub old_secret: Option<(String, Timestamp)>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientKind {
    /// Runs on a server and keeps a secret.
    #[default]
    Confidential,
    /// Runs where everyone can look into it: an app, a page, a command.
    Public,
}

impl ClientKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Problem> {
        [Self::Confidential, Self::Public]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| Problem::new("invalid_choice", "Choose where the client runs."))
    }
}

impl OauthClient {
    pub const MAX_URIS: usize = 20;

    pub fn is_public(&self) -> bool {
        self.kind == ClientKind::Public
    }

    /// The older secret, if it still works at `now`.
    pub fn old_secret_at(&self, now: Timestamp) -> Option<&(String, Timestamp)> {
        self.old_secret.as_ref().filter(|(_, end)| *end > now)
    }
}

/// What a new client shall be.
#[derive(Clone, Debug)]
pub struct NewClient {
    pub name: Name,
    pub kind: ClientKind,
    pub redirect_uris: Vec<RedirectUri>,
    pub scopes: ScopesAsked,
    /// None: whoever registers it.
    pub user_id: Option<UserId>,
}

/// The fields of a client that change; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ClientChanges {
    pub name: Option<Name>,
    pub redirect_uris: Option<Vec<RedirectUri>>,
    pub scopes: Option<ScopesAsked>,
}

/// The addresses of a client, each once. A public one without any could do nothing.
pub fn parse_redirect_uris<'a>(texts: impl IntoIterator<Item = &'a str>, kind: ClientKind) -> Result<Vec<RedirectUri>> {
    let (mut uris, mut errors): (Vec<RedirectUri>, _) = (Vec::new(), FieldErrors::default());
    for text in texts.into_iter().map(str::trim).filter(|text| !text.is_empty()) {
        match RedirectUri::parse(text) {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(problem) => errors.add("redirect_uris", problem.code, problem.message),
        }
    }
    if uris.len() > OauthClient::MAX_URIS {
        errors.add("redirect_uris", "too_many", format!("A client has at most {} redirect URIs.", OauthClient::MAX_URIS));
    }
    if uris.is_empty() && kind == ClientKind::Public && errors.as_slice().is_empty() {
        errors.add("redirect_uris", "required", "Enter at least one redirect URI: a public client works through nothing else.");
    }
    if errors.as_slice().is_empty() { Ok(uris) } else { Err(AppError::Invalid(errors)) }
}
