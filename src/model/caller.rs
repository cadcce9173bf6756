//! Who asks, and what they may.

use std::net::IpAddr;
use std::sync::Arc;

use super::error::{AppError, Result};
use super::ids::{AccountId, ApiKeyId, ClientId, GrantId, UserId};
use super::scope::{Scope, ScopeSet};

/// The one on whose behalf a service works. Made from a credential, a session, or the command line.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    /// The user behind the credential; none on the command line.
    pub user_id: Option<UserId>,
    /// Whose things it sees and changes.
    pub reach: Reach,
    /// What the credential may do and its owner still may.
    pub scopes: ScopeSet,
    pub ip: Option<IpAddr>,
    pub request_id: Option<Arc<str>>,
}

/// By what means the caller acts; what the audit log names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Key(ApiKeyId),
    User(UserId),
    /// By an access token of this grant, which is named by its hash.
    Token(GrantId, [u8; 32]),
    /// A client that asks for tokens, or gives one back.
    Client(ClientId),
    /// Someone with a shell on this machine.
    CommandLine,
    /// The program itself: first set-up, a sweep.
    System,
}

/// How far a caller sees. What lies beyond does not exist for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Everything,
    Account(AccountId),
    /// A member in the dashboard: their own things.
    User(AccountId, UserId),
}

impl Caller {
    pub fn command_line() -> Self {
        Self {
            actor: Actor::CommandLine,
            user_id: None,
            reach: Reach::Everything,
            scopes: ScopeSet::of(&[Scope::Admin]),
            ip: None,
            request_id: None,
        }
    }

    pub fn system() -> Self {
        Self { actor: Actor::System, ..Self::command_line() }
    }

    pub fn must_have(&self, scope: Scope) -> Result<()> {
        if self.scopes.allows(scope) { Ok(()) } else { Err(AppError::MissingScope(scope)) }
    }

    /// The account that a list is narrowed to; none: all of them.
    pub fn account(&self) -> Option<AccountId> {
        match self.reach {
            Reach::Everything => None,
            Reach::Account(account) | Reach::User(account, _) => Some(account),
        }
    }

    /// The user that a list is narrowed to; none: all of them.
    pub fn only_user(&self) -> Option<UserId> {
        match self.reach {
            Reach::User(_, user) => Some(user),
            _ => None,
        }
    }
}
