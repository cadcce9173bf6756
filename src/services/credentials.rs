//! A secret is presented: whose is it, and is it good? Memory first, else one joined look-up.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::authorize::scopes_of_role;
use crate::app::App;
use crate::app::callers::{AccountFacts, Bearer, BearerKey, BearerToken, Credential, Found, State, same};
use crate::crypto::secret::{Kind, SecretHash, has_checksum};
use crate::model::caller::{Actor, Caller, Reach};
use crate::model::clock::{Tick, Timestamp};
use crate::model::scope::{Scope, ScopeSet, ScopesAsked};
use crate::model::service::ServiceName;
use crate::model::{AppError, Result};
use crate::store::api_keys::Presented;
use crate::store::holders::Holder;
use crate::store::{self, oauth_tokens};

/// The longest secret of another system that is looked up.
const MAX_IMPORTED: usize = 1_024;

/// The credential behind a secret that works, or why it is refused.
pub fn authenticate(app: &App, secret: &str, (now, tick): (Timestamp, Tick)) -> Result<Arc<Credential>> {
    let credential = find(app, secret, tick)?.ok_or(AppError::InvalidApiKey)?;
    match credential.state(now) {
        State::Good => Ok(credential),
        State::Expired => Err(AppError::ExpiredApiKey),
        State::TokenExpired => Err(AppError::TokenExpired),
        _ => Err(AppError::InvalidApiKey),
    }
}

/// The credential behind a secret, in whatever state it is.
pub fn find(app: &App, secret: &str, now: Tick) -> Result<Option<Arc<Credential>>> {
    let ours = has_checksum(secret);
    if ours && secret.starts_with(Kind::AccessToken.prefix()) {
        return find_token(app, SecretHash::of(secret), now);
    }
    if ours && let Some(found) = remembered(app, SecretHash::of(secret), "", now) {
        return Ok(Some(found));
    }
    // One of ours that was mistyped is refused before anything is looked up.
    if !ours && (secret.len() > MAX_IMPORTED || app.has_own_form(secret)) {
        return Ok(None);
    }
    let prefixes = strip_prefixes(app, now)?;
    // Without our checksum it can only be an imported key's, if there are any.
    if !ours && prefixes.is_empty() {
        return Ok(None);
    }
    let behind = |prefix: &'_ String| secret.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty());
    let mut tries: SmallVec<[(SecretHash, &str); 2]> =
        (prefixes.iter().rev()).filter_map(|prefix| behind(prefix).map(|rest| (SecretHash::of(rest), prefix.as_str()))).collect();
    if ours {
        tries.insert(0, (SecretHash::of(secret), ""));
    }
    // All of memory before any of the database, which one of several forms would else be looked up in each time.
    if let Some(found) = tries.iter().find_map(|&(hash, prefix)| remembered(app, hash, prefix, now)) {
        return Ok(Some(found));
    }
    for (hash, prefix) in tries {
        app.metrics.credential_misses.add();
        let began = app.callers.look_up(now);
        let found = app.store.look_up(|conn| store::api_keys::find_presented(conn, hash))?;
        if let Some(presented) = found.filter(|found| found.strip_prefix == prefix) {
            return Ok(Some(app.callers.remember(began, with_counters(app, presented))));
        }
    }
    Ok(None)
}

fn find_token(app: &App, hash: SecretHash, now: Tick) -> Result<Option<Arc<Credential>>> {
    if let Some(found) = remembered(app, hash, "", now) {
        return Ok(Some(found));
    }
    let began = app.callers.look_up(now);
    let found = app.store.look_up(|conn| store::oauth_tokens::find_presented(conn, hash))?;
    Ok(found.map(|presented| app.callers.remember(began, of_token(app, presented))))
}

/// By the part of a secret that is hashed, and what was taken away before it: the hashed part alone, or behind another
/// prefix, is another text than the one that was given out.
fn remembered(app: &App, hash: SecretHash, prefix: &str, now: Tick) -> Option<Arc<Credential>> {
    let found = app.callers.get(&hash, now).filter(|found| same(found.strip_prefix(), prefix));
    if found.is_some() {
        app.metrics.credential_hits.add();
    }
    found
}

/// What may stand before the hashed part of imported keys, in the order of the alphabet: of two that begin alike the
/// longer comes later. Read once, and again after a change that concerns everyone.
fn strip_prefixes(app: &App, now: Tick) -> Result<Arc<[String]>> {
    if let Some(known) = app.callers.strip_prefixes() {
        return Ok(known);
    }
    let began = app.callers.look_up(now);
    let found = app.store.look_up(store::api_keys::strip_prefixes)?;
    Ok(app.callers.remember_strip_prefixes(began, found.into()))
}

/// Who calls, by this credential and from this address.
pub fn caller(credential: &Credential, ip: IpAddr, request_id: Arc<str>) -> Caller {
    let is_admin = credential.scopes.has(Scope::Admin);
    Caller {
        actor: match &credential.bearer {
            Bearer::Key(bearer) => Actor::Key(bearer.key.id),
            Bearer::Token(token) => Actor::Token(token.grant_id, *credential.secret.as_bytes()),
        },
        user_id: credential.acts_for().map(|user| user.id),
        reach: if is_admin { Reach::Everything } else { Reach::Account(credential.user.account_id) },
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
    let Presented { secret, strip_prefix, secret_expires_at, key, holder } = presented;
    let counters = (!key.windows.is_empty()).then(|| app.rates.counters_of_key(key.id));
    let scopes = key.scopes.both(scopes_of_role(holder.user.role));
    let service = ServiceName::of_metadata(&key.metadata);
    let bearer = Bearer::Key(Box::new(BearerKey { key, strip_prefix, secret_expires_at, counters, service }));
    found(app, secret, bearer, scopes, holder)
}

fn of_token(app: &App, presented: oauth_tokens::Presented) -> Found {
    let oauth_tokens::Presented { secret, grant_id, client_id, client_name, user_id, created_at, expires_at, holder, .. } =
        presented;
    // What was allowed then, and what the client and the user still may.
    let scopes = presented.scopes.both(presented.client_scopes).both(scopes_of_role(holder.user.role));
    let is_own = user_id.is_none();
    let token = BearerToken { grant_id, client_id, client_name, is_own, created_at, expires_at };
    found(app, secret, Bearer::Token(token), scopes, holder)
}

fn found(app: &App, secret: SecretHash, bearer: Bearer, scopes: ScopeSet, holder: Holder) -> Found {
    let Holder { user, account, account_windows } = holder;
    Found {
        secret,
        bearer,
        scopes,
        account_windows: account_windows.unwrap_or_else(|| app.dialect().default_windows()),
        account_counters: app.rates.counters_of_account(user.account_id),
        account: AccountFacts { name: account.name, tier: account.tier, status: account.status, metadata: account.metadata },
        user,
    }
}
