//! A grant: what a user allowed a client, or the access that a client has on its own behalf.

use std::net::IpAddr;

use super::clock::Timestamp;
use super::error::Problem;
use super::ids::{AccountId, ClientId, GrantId, UserId};
use super::scope::{ScopeSet, ScopesAsked};

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub client_id: ClientId,
    pub client_name: String,
    /// None: the client's own.
    pub user_id: Option<UserId>,
    pub account_id: AccountId,
    pub scopes: ScopeSet,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub last_used_ip: Option<IpAddr>,
}

/// Scopes in the words that they were asked for in, and what these words meant then: the words never come to mean
/// more later on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub words: String,
    pub scopes: ScopeSet,
}

impl Granted {
    /// Of what is asked, as much as `allowed` has. None: nothing of it.
    pub fn within(asked: &str, allowed: ScopeSet) -> Result<Option<Self>, Problem> {
        let (mut words, mut scopes): (Vec<&str>, _) = (Vec::new(), ScopeSet::EMPTY);
        for word in asked.split(' ').filter(|word| !word.is_empty()) {
            let meant = ScopesAsked::parse([word])?.within(allowed);
            if !meant.is_empty() && allowed.lacks(meant).is_empty() && !words.contains(&word) {
                words.push(word);
                scopes = scopes.union(meant);
            }
        }
        Ok((!words.is_empty()).then(|| Self { words: words.join(" "), scopes }))
    }

    /// All of these scopes, by their names.
    pub fn all(scopes: ScopeSet) -> Self {
        Self { words: scopes.to_string(), scopes }
    }
}

/// Why a grant ended; what the event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The user, or someone who may act for them, revoked it.
    Revoked,
    /// A refresh token was used again that had been replaced: somebody has a copy.
    Reuse,
    PasswordChanged,
    ClientDeleted,
    UserDeleted,
}

impl Ended {
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Reuse => "reuse",
            Self::PasswordChanged => "password_changed",
            Self::ClientDeleted => "client_deleted",
            Self::UserDeleted => "user_deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_with_what_they_meant() {
        let member = ScopeSet::for_members();
        let granted = |asked| Granted::within(asked, member).expect("scopes");
        let both = granted("read write").expect("some");
        assert_eq!(both.words, "read write");
        assert!(member.lacks(both.scopes).is_empty() && !both.scopes.is_empty());
        assert_eq!(granted("users:read admin  users:read").expect("some"), Granted::all(ScopeSet::default_for_keys()));
        assert_eq!((granted("admin"), granted("")), (None, None));
        assert!(Granted::within("user:read", member).is_err());
    }
}
