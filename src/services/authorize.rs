//! May this caller do this to that? What a caller does not see does not exist for it: 404, never 403.

use crate::model::api_key::ApiKey;
use crate::model::caller::{Caller, Reach};
use crate::model::ids::{AccountId, UserId};
use crate::model::scope::{Scope, ScopeSet, ScopesAsked};
use crate::model::user::{Role, User};
use crate::model::webhook::Webhook;
use crate::model::{AppError, Result};

/// Whether the caller sees what belongs to this account and user.
pub fn sees(caller: &Caller, account: AccountId, user: UserId) -> bool {
    match caller.reach {
        Reach::Everything => true,
        Reach::Account(own) => own == account,
        Reach::User(_, own) => own == user,
    }
}

/// The user, if there is one that the caller sees.
pub fn seen_user(caller: &Caller, found: Option<User>) -> Result<User> {
    found.filter(|user| sees(caller, user.account_id, user.id)).ok_or(AppError::NotFound("user"))
}

/// The key, if there is one that the caller sees.
pub fn seen_key(caller: &Caller, found: Option<ApiKey>) -> Result<ApiKey> {
    found.filter(|key| sees(caller, key.account_id, key.user_id)).ok_or(AppError::NotFound("key"))
}

/// The webhook, if there is one that the caller sees. One that is told of every account is for whoever sees every account.
pub fn seen_webhook(caller: &Caller, found: Option<Webhook>) -> Result<Webhook> {
    let sees = |webhook: &Webhook| match caller.reach {
        Reach::Everything => true,
        Reach::Account(own) => webhook.account_id == Some(own),
        Reach::User(..) => false,
    };
    found.filter(sees).ok_or(AppError::NotFound("webhook"))
}

/// Changing an administrator, whose password opens the whole dashboard, takes more than `users:write`.
pub fn may_change_user(caller: &Caller, user: &User) -> Result<()> {
    if user.role == Role::Admin { caller.must_have(Scope::Admin) } else { Ok(()) }
}

/// A new secret of a key is as good as the key: nobody gets one for a key that may do more than they.
pub fn may_wield(caller: &Caller, key: &ApiKey) -> Result<()> {
    caller.scopes.must_cover(key.scopes)
}

/// Whoever holds a key of a user is that user to every service that asks who is calling: nobody makes or handles keys of
/// an administrator but they themselves and other administrators.
pub fn may_act_for(caller: &Caller, owner: &User) -> Result<()> {
    if owner.role == Role::Admin && caller.user_id != Some(owner.id) { caller.must_have(Scope::Admin) } else { Ok(()) }
}

/// What a user's credentials may do at most.
pub fn scopes_of_role(role: Role) -> ScopeSet {
    match role {
        Role::Admin => ScopeSet::of(Scope::ALL),
        Role::Member => ScopeSet::for_members(),
    }
}

/// The scopes that a key of this owner is to have, if the one who asks may give them and the owner hold them.
pub fn grantable(caller: &Caller, owner: &User, asked: ScopesAsked) -> Result<ScopeSet> {
    let allowed = scopes_of_role(owner.role);
    let scopes = asked.within(caller.scopes.both(allowed));
    caller.scopes.must_cover(scopes)?;
    let beyond = allowed.lacks(scopes);
    if !beyond.is_empty() {
        let words = format!("{} is a member, and a member's key cannot have `{beyond}`.", owner.name);
        return Err(AppError::invalid("scopes", "not_for_members", words));
    }
    Ok(scopes)
}
