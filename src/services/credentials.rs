//! A secret is presented: whose is it, and is it good? Memory first, else one joined look-up.

use std::net::IpAddr;
use std::sync::Arc;

use super::authorize::scopes_of_role;
use crate::app::App;
use crate::app::callers::{AccountFacts, Credential, Found, State};
use crate::crypto::secret::{SecretHash, has_checksum};
use crate::model::caller::{Actor, Caller, Reach};
use crate::model::clock::Timestamp;
use crate::model::scope::{Scope, ScopeSet, ScopesAsked};
use crate::model::{AppError, Result};
use crate::store;
use crate::store::api_keys::Presented;

/// The credential behind a secret that works, or why it is refused.
pub fn authenticate(app: &App, secret: &str, now: Timestamp) -> Result<Arc<Credential>> {
    let credential = find(app, secret)?.ok_or(AppError::InvalidApiKey)?;
    match credential.state(now) {
        State::Good => Ok(credential),
        State::Expired => Err(AppError::ExpiredApiKey),
        _ => Err(AppError::InvalidApiKey),
    }
}

/// The credential behind a secret, in whatever state it is.
pub fn find(app: &App, secret: &str) -> Result<Option<Arc<Credential>>> {
    if !has_checksum(secret) {
        return Ok(None);
    }
    let hash = SecretHash::of(secret);
    if let Some(credential) = app.callers.get(&hash) {
        return Ok(Some(credential));
    }
    let began = app.callers.look_up();
    let found = app.store.look_up(|conn| store::api_keys::find_presented(conn, hash))?;
    Ok(found.map(|presented| app.callers.remember(began, with_counters(app, presented))))
}

/// Who calls, by this credential and from this address.
pub fn caller(credential: &Credential, ip: IpAddr, request_id: String) -> Caller {
    let user = &credential.user;
    let is_admin = credential.scopes.has(Scope::Admin);
    Caller {
        actor: Actor::Key(credential.key.id),
        user_id: Some(user.id),
        reach: if is_admin { Reach::Everything } else { Reach::Account(user.account_id) },
        scopes: credential.scopes,
        ip: Some(ip),
        request_id: Some(request_id),
    }
}

/// What of the scopes asked for the credential does not have.
pub fn lacks(found: &Found, asked: ScopesAsked) -> ScopeSet {
    found.scopes.lacks(asked.within(scopes_of_role(found.user.role)))
}

/// What was found in the database, with the counters of its account and key.
pub(super) fn with_counters(app: &App, presented: Presented) -> Found {
    let Presented { secret, secret_expires_at, key, user, account, account_windows } = presented;
    Found {
        secret,
        strip_prefix: String::new(),
        secret_expires_at,
        scopes: key.scopes.both(scopes_of_role(user.role)),
        account_windows: account_windows.unwrap_or_else(|| app.dialect().default_windows()),
        account_counters: app.rates.counters_of_account(user.account_id),
        key_counters: (!key.windows.is_empty()).then(|| app.rates.counters_of_key(key.id)),
        account: AccountFacts { name: account.name, tier: account.tier, status: account.status },
        key,
        user,
    }
}
