//! Who asks, and what they may.

use std::net::IpAddr;

use super::error::{AppError, Result};
use super::ids::{AccountId, ApiKeyId, UserId};
use super::scope::{Scope, ScopeSet};

/// The one on whose behalf a service works. Made from a credential, a session, or the command line.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    /// The user behind the credential; none on the command line.
    pub user_id: Option<UserId>,
    /// None: the command line, which belongs to no account.
    pub account_id: Option<AccountId>,
    /// What the credential may do and its owner still may.
    pub scopes: ScopeSet,
    pub ip: Option<IpAddr>,
    pub request_id: Option<String>,
}

/// By what means the caller acts; what the audit log names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Key(ApiKeyId),
    User(UserId),
    /// Someone with a shell on this machine.
    CommandLine,
    /// The program itself: first set-up, a sweep.
    System,
}

impl Caller {
    pub fn command_line() -> Self {
        Self {
            actor: Actor::CommandLine,
            user_id: None,
            account_id: None,
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

    pub fn is_admin(&self) -> bool {
        self.scopes.has(Scope::Admin)
    }

    /// The account whose things this caller sees; none: all of them.
    pub fn sees(&self) -> Option<AccountId> {
        if self.is_admin() { None } else { self.account_id }
    }
}
