//! A secret is presented: whose is it, and is it good? Memory first, else one joined look-up.

use std::net::IpAddr;
use std::sync::Arc;

use super::authorize::scopes_of_role;
use crate::app::App;
use crate::app::callers::{Credential, Found};
use crate::crypto::secret::{SecretHash, has_checksum};
use crate::model::account::AccountStatus;
use crate::model::caller::{Actor, Caller, Reach};
use crate::model::clock::Timestamp;
use crate::model::scope::Scope;
use crate::model::user::UserStatus;
use crate::model::{AppError, Result};
use crate::store;

/// The credential behind a secret, or why it is refused.
pub fn authenticate(app: &App, secret: &str, now: Timestamp) -> Result<Arc<Credential>> {
    if !has_checksum(secret) {
        return Err(AppError::InvalidApiKey);
    }
    let hash = SecretHash::of(secret);
    let credential = match app.callers.get(&hash) {
        Some(credential) => credential,
        None => look_up(app, hash)?,
    };
    // Time goes on while an entry is kept.
    if credential.expires_at.is_some_and(|end| end <= now) {
        return Err(AppError::ExpiredApiKey);
    }
    if credential.secret_expires_at.is_some_and(|end| end <= now) {
        return Err(AppError::InvalidApiKey);
    }
    Ok(credential)
}

/// Who calls, by this credential and from this address.
pub fn caller(credential: &Credential, ip: IpAddr, request_id: Arc<str>) -> Caller {
    let user = &credential.user;
    let is_admin = credential.scopes.has(Scope::Admin);
    Caller {
        actor: Actor::Key(credential.key_id),
        user_id: Some(user.id),
        reach: if is_admin { Reach::Everything } else { Reach::Account(user.account_id) },
        scopes: credential.scopes,
        ip: Some(ip),
        request_id: Some(request_id),
    }
}

fn look_up(app: &App, hash: SecretHash) -> Result<Arc<Credential>> {
    let began = app.callers.look_up();
    let found = app.store.look_up(|conn| store::api_keys::find_presented(conn, hash))?;
    let found = found.ok_or(AppError::InvalidApiKey)?;
    let user_works = found.user.status == UserStatus::Active && found.account_status == AccountStatus::Active;
    if found.revoked || !found.enabled || !user_works {
        return Err(AppError::InvalidApiKey);
    }
    let role = scopes_of_role(found.user.role);
    Ok(app.callers.remember(
        began,
        Found {
            secret: hash,
            key_id: found.key_id,
            scopes: found.scopes.both(role),
            ip_allow: found.ip_allow,
            expires_at: found.expires_at,
            secret_expires_at: found.secret_expires_at,
            account_windows: found.account_windows.unwrap_or_else(|| app.dialect().default_windows()),
            account_counters: app.rates.counters_of_account(found.user.account_id),
            key_counters: (!found.windows.is_empty()).then(|| app.rates.counters_of_key(found.key_id)),
            key_windows: found.windows,
            user: found.user,
        },
    ))
}
