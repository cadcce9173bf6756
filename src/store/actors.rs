//! Whether the one who acts still may, seen from inside the transaction of a change: between a request's arrival and its
//! turn at the writer its key may have been revoked, or its user disabled.

use rusqlite::Transaction;

use super::{api_keys, oauth_clients, oauth_tokens, users};
use crate::crypto::SecretHash;
use crate::model::account::AccountStatus;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::scope::Scope;
use crate::model::user::{Role, UserStatus};
use crate::model::{AppError, Result};

pub fn must_still_act(tx: &Transaction, caller: &Caller, now: Timestamp) -> Result<()> {
    match caller.actor {
        Actor::CommandLine | Actor::System => Ok(()),
        Actor::Key(id) => {
            let key = api_keys::find(tx, id)?.ok_or(AppError::InvalidApiKey)?;
            if key.revoked_at.is_some() || !key.enabled {
                return Err(AppError::InvalidApiKey);
            }
            if key.expires_at.is_some_and(|end| end <= now) {
                return Err(AppError::ExpiredApiKey);
            }
            let (role, good) = standing(tx, key.user_id)?.ok_or(AppError::InvalidApiKey)?;
            let lacks = key.scopes.lacks(caller.scopes);
            let demoted = role != Role::Admin && caller.scopes.iter().any(Scope::is_for_admins);
            if !good || demoted || !lacks.is_empty() { Err(AppError::InvalidApiKey) } else { Ok(()) }
        }
        Actor::Token(_, hash) => {
            let token = oauth_tokens::find_presented(tx, SecretHash::from_bytes(hash))?.ok_or(AppError::InvalidApiKey)?;
            if token.expires_at <= now {
                return Err(AppError::TokenExpired);
            }
            let (role, good) = standing(tx, token.holder.user.id)?.ok_or(AppError::InvalidApiKey)?;
            let lacks = token.scopes.both(token.client_scopes).lacks(caller.scopes);
            let demoted = role != Role::Admin && caller.scopes.iter().any(Scope::is_for_admins);
            if !good || demoted || !lacks.is_empty() { Err(AppError::InvalidApiKey) } else { Ok(()) }
        }
        Actor::Client(id) => oauth_clients::find(tx, id)?.map(|_| ()).ok_or(AppError::NotFound("client")),
        Actor::User(id) => {
            let standing = standing(tx, id)?;
            let may = standing.is_some_and(|(role, good)| good && (role == Role::Admin || !caller.scopes.has(Scope::Admin)));
            if may { Ok(()) } else { Err(AppError::NotAnAdmin) }
        }
    }
}

/// The user's role, and whether user and account are in good standing. An admin of a suspended account may still sign
/// in, to resume it; no key of the account works.
fn standing(tx: &Transaction, id: crate::model::ids::UserId) -> Result<Option<(Role, bool)>> {
    let Some(user) = users::find(tx, id)? else { return Ok(None) };
    let account = super::accounts::find(tx, user.account_id)?;
    let account_works = account.is_some_and(|account| account.status == AccountStatus::Active);
    Ok(Some((user.role, user.status == UserStatus::Active && (account_works || user.role == Role::Admin))))
}
