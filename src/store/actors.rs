//! Whether the one who acts still may, seen from inside the transaction of a change: between a request's arrival and its
//! turn at the writer its key may have been revoked, or its user disabled.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::{at_opt, damaged, oauth_clients, oauth_tokens, scopes};
use crate::crypto::SecretHash;
use crate::model::account::AccountStatus;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::ids::{ApiKeyId, UserId};
use crate::model::scope::{Scope, ScopeSet};
use crate::model::user::{Role, UserStatus};
use crate::model::{AppError, Result};

pub fn must_still_act(tx: &Transaction, caller: &Caller, now: Timestamp) -> Result<()> {
    match caller.actor {
        Actor::CommandLine | Actor::System => Ok(()),
        Actor::Key(id) => {
            let Key { scopes, expires_at, works, holder: (role, good) } = key(tx, id)?.ok_or(AppError::InvalidApiKey)?;
            if !works {
                return Err(AppError::InvalidApiKey);
            }
            if expires_at.is_some_and(|end| end <= now) {
                return Err(AppError::ExpiredApiKey);
            }
            let lacks = scopes.lacks(caller.scopes);
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

/// What of a key decides whether it may act. Every change that a program makes asks this: it is read by itself.
struct Key {
    scopes: ScopeSet,
    expires_at: Option<Timestamp>,
    /// It is neither revoked nor disabled.
    works: bool,
    holder: (Role, bool),
}

fn key(tx: &Transaction, id: ApiKeyId) -> Result<Option<Key>> {
    let mut one = tx.prepare_cached(
        "SELECT k.scopes, k.expires_at, k.enabled, k.revoked_at, u.role, u.status, a.status AS account_status
         FROM api_keys k JOIN users u ON u.id = k.user_id JOIN accounts a ON a.id = u.account_id WHERE k.id = $1",
    )?;
    let read = |row: &Row| {
        Ok(Key {
            scopes: scopes(row, "scopes")?,
            expires_at: at_opt(row, "expires_at")?,
            works: row.get("enabled")? && at_opt(row, "revoked_at")?.is_none(),
            holder: of_holder(row)?,
        })
    };
    Ok(one.query_row([id], read).optional()?)
}

/// The user's role, and whether user and account are in good standing. An admin of a suspended account may still sign
/// in, to resume it; no key of the account works.
fn standing(tx: &Transaction, id: UserId) -> Result<Option<(Role, bool)>> {
    let mut one = tx.prepare_cached(
        "SELECT u.role, u.status, a.status AS account_status FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.id = $1",
    )?;
    Ok(one.query_row([id], of_holder).optional()?)
}

fn of_holder(row: &Row) -> rusqlite::Result<(Role, bool)> {
    let text = |column: &str| row.get::<_, String>(column);
    let role = Role::parse(&text("role")?).map_err(|problem| damaged(problem.message))?;
    let is_active = UserStatus::parse(&text("status")?).map_err(|problem| damaged(problem.message))? == UserStatus::Active;
    let account = AccountStatus::parse(&text("account_status")?).map_err(|problem| damaged(problem.message))?;
    Ok((role, is_active && (account == AccountStatus::Active || role == Role::Admin)))
}
