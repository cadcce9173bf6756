//! API keys: list, find, create, change, rotate and revoke. Checking a presented secret is in `credentials`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use super::authorize::{grantable, may_act_for, may_wield, seen_key, seen_user};
use super::credentials;
use super::forms::{self, Formed};
use super::idempotency::Keep;
use crate::app::App;
use crate::app::callers::{Bearer, Concerns};
use crate::crypto::secret::{has_checksum, hint_of};
use crate::crypto::{Secret, SecretHash};
use crate::model::api_key::{ApiKey, ApiKeyChanges, NewApiKey, Overlap};
use crate::model::audit_event::{Happening, changed};
use crate::model::body::KeyBody;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::ids::ApiKeyId;
use crate::model::key_view::{KeySort, KeySought, KeyView};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::revision::IfMatch;
use crate::model::scope::Scope;
use crate::model::user::{User, UserStatus};
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

pub use crate::store::api_keys::Filter;
pub use crate::store::key_views::Whose;

pub async fn list(
    app: &App,
    caller: &Caller,
    mut filter: Filter,
    place: (Start<ApiKeyId>, Order, Limit),
) -> Result<Page<ApiKey>> {
    filter.account = caller.account().or(filter.account);
    filter.user = caller.only_user().or(filter.user);
    let now = app.clock.now();
    app.store.read(move |conn| store::api_keys::list(conn, &filter, place, now)).await
}

/// One page of a view that the dashboard offers: of somebody's keys, or for administrators of everyone's.
pub async fn view(
    app: &App,
    caller: &Caller,
    whose: Option<Whose>,
    shown: (KeyView, KeySort),
    place: (Start<ApiKeyId>, Limit),
) -> Result<Page<ApiKey>> {
    let (whose, now) = (seen_by(caller, whose)?, app.clock.now());
    app.store.read(move |conn| store::key_views::list(conn, whose, shown, place, now)).await
}

/// One page of the keys that somebody looks for.
pub async fn search(
    app: &App,
    caller: &Caller,
    whose: Option<Whose>,
    sought: KeySought,
    place: (Start<ApiKeyId>, Limit),
) -> Result<Page<ApiKey>> {
    let whose = seen_by(caller, whose)?;
    app.store.read(move |conn| store::key_views::search(conn, whose, &sought, place)).await
}

fn seen_by(caller: &Caller, whose: Option<Whose>) -> Result<Option<Whose>> {
    if let Some(own) = caller.only_user() {
        return Ok(Some(Whose::User(own)));
    }
    caller.must_have(Scope::Admin)?;
    Ok(whose)
}

/// What a text that was typed into a search is, where it is a whole secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    Words,
    /// The secret of this key, in whatever state the key is.
    SecretOf(ApiKeyId),
    /// Something like a secret, told by its hint.
    LikeSecret(String),
}

/// Whether somebody has put a secret where words belong. Keys that the caller does not see are none.
pub fn recognize(app: &App, caller: &Caller, text: &str) -> Result<Typed> {
    let is_ours = has_checksum(text) || app.has_own_form(text);
    let found = if text.contains(char::is_whitespace) { None } else { credentials::find(app, text, app.clock.tick())? };
    let found = found.and_then(|found| seen_key(caller, found.key().cloned()).ok());
    Ok(match found {
        Some(key) => Typed::SecretOf(key.id),
        None if is_ours => Typed::LikeSecret(hint_of(text)),
        None => Typed::Words,
    })
}

pub async fn find(app: &App, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
    let found = app.store.read(move |conn| store::api_keys::find(conn, id)).await?;
    seen_key(caller, found)
}

/// Those of these keys that the caller sees, in one look.
pub async fn find_all(app: &App, caller: &Caller, ids: HashSet<ApiKeyId>) -> Result<HashMap<ApiKeyId, ApiKey>> {
    let caller = caller.clone();
    let find = move |conn: &store::Conn| {
        let mut found = HashMap::new();
        for id in ids {
            found.extend(seen_key(&caller, store::api_keys::find(conn, id)?).ok().map(|key| (id, key)));
        }
        Ok(found)
    };
    app.store.read(find).await
}

/// Working keys that end within this time, and working keys that nobody used for as long as that; so many of each.
pub async fn in_need(app: &App, caller: &Caller, ends_in: Duration, unused_for: Duration, limit: u32) -> Result<InNeed> {
    caller.must_have(Scope::Admin)?;
    let now = app.clock.now();
    app.store
        .read(move |conn| {
            Ok(InNeed {
                expiring: store::api_keys::list_expiring(conn, now, now.saturating_add(ends_in), limit)?,
                unused: store::api_keys::list_unused(conn, now.saturating_sub(unused_for), now, limit)?,
            })
        })
        .await
}

/// Keys that somebody should look at.
pub struct InNeed {
    pub expiring: Vec<ApiKey>,
    pub unused: Vec<ApiKey>,
}

/// How many keys of all accounts were used since then; for administrators.
pub async fn count_used_since(app: &App, caller: &Caller, since: Timestamp) -> Result<u64> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::api_keys::count_used_since(conn, since)).await
}

/// A new key and its secret, which is told this once.
pub async fn create(app: &App, caller: &Caller, new: NewApiKey, keep: Keep<ApiKey>) -> Result<(ApiKey, Secret)> {
    let (secret, by, now) = (Secret::generate(&app.key_prefix()), caller.clone(), app.clock.now());
    let (hash, hint) = (secret.hash(), secret.hint());
    let made = move |tx: &Tx| {
        let key = insert(tx, &by, new, (hash, &hint), now)?;
        keep.store(tx, &key, now)?;
        Ok(key)
    };
    Ok((app.change(caller, made, |_| Concerns::Nobody).await?, secret))
}

/// The same for a form, whose nonce makes it answer once: sent again, it tells which key it made.
pub async fn create_by_form(app: &App, caller: &Caller, new: NewApiKey, nonce: &str) -> Result<Formed<ApiKey, Secret, ApiKeyId>> {
    let (secret, by, now) = (Secret::generate(&app.key_prefix()), caller.clone(), app.clock.now());
    let (hash, hint, nonce) = (secret.hash(), secret.hint(), SecretHash::of(nonce));
    let made = move |tx: &Tx| forms::once(tx, nonce, now, || insert(tx, &by, new, (hash, &hint), now), |key| key.id);
    Ok(Formed::of(app.change(caller, made, |_| Concerns::Nobody).await?, secret, ApiKeyId::parse))
}

fn insert(tx: &Tx, caller: &Caller, new: NewApiKey, (hash, hint): (SecretHash, &str), now: Timestamp) -> Result<ApiKey> {
    let owner = new.user_id.or(caller.user_id);
    let owner = match owner {
        Some(id) => seen_user(caller, store::users::find(tx, id)?)?,
        // A client on its own behalf has to say whose the key shall be.
        None if matches!(caller.actor, Actor::Token(..)) => return Err(AppError::UserRequired),
        None => store::users::first_admin(tx)?.ok_or(AppError::NotFound("user"))?,
    };
    may_act_for(caller, &owner)?;
    if owner.status == UserStatus::Disabled {
        return Err(AppError::invalid("user_id", "disabled", format!("{} is disabled, and so would be the key.", owner.name)));
    }
    let scopes = grantable(caller, &owner, new.scopes)?;
    let insert = store::api_keys::Insert {
        user_id: owner.id,
        account_id: owner.account_id,
        name: &new.name,
        scopes,
        expires_at: new.expiry.resolve(now).map_err(|problem| problem.of("expires_at"))?,
        ip_allow: &new.ip_allow,
        windows: &new.windows,
        metadata: &new.metadata,
        hash,
        hint,
        strip_prefix: None,
    };
    let key = store::api_keys::insert(tx, &insert, now)?;
    let diff = json!({ "owner": owner.email, "scopes": key.scopes, "expires_at": key.expires_at, "hint": key.hint });
    note(tx, caller, now, "key.created", &key, diff)?;
    Ok(key)
}

/// Changes the fields given.
pub async fn update(app: &App, caller: &Caller, id: ApiKeyId, changes: ApiKeyChanges, expected: IfMatch) -> Result<ApiKey> {
    let (by, now) = (caller.clone(), app.clock.now());
    let changed = move |tx: &Tx| {
        let before = changeable(tx, &by, id, &expected)?;
        let owner = owner_of(tx, &before)?;
        may_act_for(&by, &owner)?;
        if changes.widen() {
            may_wield(&by, &before)?;
        }
        let scopes = match changes.scopes {
            Some(asked) => grantable(&by, &owner, asked)?,
            None => before.scopes,
        };
        let expires_at = match changes.expiry {
            Some(expiry) => expiry.resolve(now).map_err(|problem| problem.of("expires_at"))?,
            None => before.expires_at,
        };
        let wanted = ApiKey {
            name: changes.name.map_or_else(|| before.name.clone(), |name| name.as_str().to_owned()),
            scopes,
            enabled: changes.enabled.unwrap_or(before.enabled),
            expires_at,
            ip_allow: changes.ip_allow.unwrap_or_else(|| before.ip_allow.clone()),
            windows: changes.windows.unwrap_or_else(|| before.windows.clone()),
            metadata: changes.metadata.unwrap_or_else(|| before.metadata.clone()),
            ..before.clone()
        };
        if diff(&before, &wanted) == json!({}) {
            return Ok(before);
        }
        let mut key = store::api_keys::update(tx, &wanted, now)?;
        // The older secret never outlives the key.
        if let (Some(rotation), Some(end)) = (&key.rotation, key.expires_at)
            && rotation.old_expires_at > end
        {
            key = store::api_keys::end_old_secret(tx, id, Some(end), now)?;
        }
        let action = match (before.enabled, key.enabled) {
            (true, false) => "key.disabled",
            (false, true) => "key.enabled",
            _ => "key.updated",
        };
        note(tx, &by, now, action, &key, diff(&before, &key))?;
        Ok(key)
    };
    app.change(caller, changed, concerned).await
}

/// A new secret for the key. The one before works until the overlap ends, never past the key's own expiry; what was
/// older still ends now.
pub async fn rotate(
    app: &App,
    caller: &Caller,
    id: ApiKeyId,
    overlap: Overlap,
    expected: IfMatch,
    keep: Keep<ApiKey>,
) -> Result<(ApiKey, Secret)> {
    let (secret, by, now) = (Secret::generate(&app.key_prefix()), caller.clone(), app.clock.now());
    let (hash, hint) = (secret.hash(), secret.hint());
    let rotated = move |tx: &Tx| {
        let key = renew(tx, &by, id, overlap, &expected, (hash, &hint), now)?;
        keep.store(tx, &key, now)?;
        Ok(key)
    };
    Ok((app.change(caller, rotated, concerned).await?, secret))
}

/// The same for a form, whose nonce makes it answer once.
pub async fn rotate_by_form(
    app: &App,
    caller: &Caller,
    id: ApiKeyId,
    overlap: Overlap,
    nonce: &str,
) -> Result<Formed<ApiKey, Secret, ApiKeyId>> {
    let (secret, by, now) = (Secret::generate(&app.key_prefix()), caller.clone(), app.clock.now());
    let (hash, hint, nonce) = (secret.hash(), secret.hint(), SecretHash::of(nonce));
    let rotated = move |tx: &Tx| {
        forms::once(tx, nonce, now, || renew(tx, &by, id, overlap, &IfMatch::ANY, (hash, &hint), now), |key| key.id)
    };
    let rotated = app.change(caller, rotated, |key| key.as_ref().map_or(Concerns::Nobody, concerned)).await?;
    Ok(Formed::of(rotated, secret, ApiKeyId::parse))
}

fn renew(
    tx: &Tx,
    caller: &Caller,
    id: ApiKeyId,
    overlap: Overlap,
    expected: &IfMatch,
    secret: (SecretHash, &str),
    now: Timestamp,
) -> Result<ApiKey> {
    let before = changeable(tx, caller, id, expected)?;
    may_act_for(caller, &owner_of(tx, &before)?)?;
    may_wield(caller, &before)?;
    if before.expires_at.is_some_and(|end| end <= now) {
        return Err(AppError::KeyExpired);
    }
    let end = now.saturating_add(overlap.get());
    let end = before.expires_at.map_or(end, |expiry| expiry.min(end));
    let old_ends = (end > now).then_some(end);
    let key = store::api_keys::rotate(tx, &before, secret, old_ends, now)?;
    let diff = json!({ "hint": { "from": before.hint, "to": key.hint }, "old_expires_at": old_ends });
    note(tx, caller, now, "key.rotated", &key, diff)?;
    Ok(key)
}

/// Moves the end of the older secret, by at most 30 days from now; zero: it ends now.
pub async fn end_rotation(app: &App, caller: &Caller, id: ApiKeyId, in_: Overlap) -> Result<ApiKey> {
    let (by, now) = (caller.clone(), app.clock.now());
    let moved = move |tx: &Tx| {
        let before = changeable(tx, &by, id, &IfMatch::ANY)?;
        may_act_for(&by, &owner_of(tx, &before)?)?;
        may_wield(&by, &before)?;
        let Some(old_end) = before.rotation_at(now).map(|rotation| rotation.old_expires_at) else { return Ok(before) };
        let end = now.saturating_add(in_.get());
        let end = before.expires_at.map_or(end, |expiry| expiry.min(end));
        let key = store::api_keys::end_old_secret(tx, id, (end > now).then_some(end), now)?;
        let diff = changed([("old_expires_at", json!(old_end), json!((end > now).then_some(end)))]);
        note(tx, &by, now, "key.updated", &key, diff)?;
        Ok(key)
    };
    app.change(caller, moved, concerned).await
}

/// Ends the key for good.
pub async fn revoke(app: &App, caller: &Caller, id: ApiKeyId, expected: IfMatch) -> Result<ApiKey> {
    let (by, now) = (caller.clone(), app.clock.now());
    let revoked = move |tx: &Tx| {
        let key = seen_key(&by, store::api_keys::find(tx, id)?)?;
        expected.check(key.revision)?;
        may_act_for(&by, &owner_of(tx, &key)?)?;
        // Revoked already: what was asked for is so.
        if key.revoked_at.is_some() { Ok(key) } else { end(tx, &by, key, now, json!({})) }
    };
    app.change(caller, revoked, concerned).await
}

/// Revokes the key of a leaked secret, for whoever holds it. Tells nobody whether there was one.
pub async fn report(app: &App, secret: &str, caller: &Caller) -> Result<()> {
    let (now, tick) = app.clock.both();
    let Some(found) = credentials::find(app, secret, tick)? else { return Ok(()) };
    let id = match &found.bearer {
        // A secret that has ended opens nothing, and its holder ends nothing with it.
        Bearer::Key(bearer) if bearer.secret_expires_at.is_some_and(|end| end <= now) => return Ok(()),
        Bearer::Key(bearer) => bearer.key.id,
        Bearer::Token(token) => return super::oauth::report(app, caller, token.client_id, found.secret).await,
    };
    let by = caller.clone();
    let reported = move |tx: &Tx| {
        let Some(key) = store::api_keys::find(tx, id)?.filter(|key| key.revoked_at.is_none()) else { return Ok(None) };
        let holder = Caller { actor: Actor::Key(key.id), ..by };
        let key = end(tx, &holder, key, now, json!({ "reason": "reported as leaked" }))?;
        super::notices::note_report(tx, &holder, &key, now)?;
        Ok(Some(key))
    };
    let reported = app.change(caller, reported, |key| key.as_ref().map_or(Concerns::Nobody, concerned)).await?;
    if let Some(key) = reported {
        tracing::warn!(key = %key.id, "a key was reported as leaked, and is revoked");
    }
    Ok(())
}

fn owner_of(tx: &Tx, key: &ApiKey) -> Result<User> {
    store::users::find(tx, key.user_id)?.ok_or(AppError::NotFound("user"))
}

fn concerned(key: &ApiKey) -> Concerns {
    Concerns::Account(key.account_id)
}

fn end(tx: &Tx, caller: &Caller, key: ApiKey, now: Timestamp, diff: serde_json::Value) -> Result<ApiKey> {
    let revoked = store::api_keys::update(tx, &ApiKey { revoked_at: Some(now), ..key }, now)?;
    note(tx, caller, now, "key.revoked", &revoked, diff)?;
    Ok(revoked)
}

fn changeable(tx: &Tx, caller: &Caller, id: ApiKeyId, expected: &IfMatch) -> Result<ApiKey> {
    let key = seen_key(caller, store::api_keys::find(tx, id)?)?;
    key.must_be_changeable()?;
    expected.check(key.revision)?;
    Ok(key)
}

pub(super) fn note(
    tx: &Tx,
    caller: &Caller,
    now: Timestamp,
    action: &'static str,
    key: &ApiKey,
    diff: serde_json::Value,
) -> Result<()> {
    let happening = Happening::new(action, "key", key.id, &key.name).with(diff).showing(&KeyBody::new(key, now));
    store::audit_events::append(tx, caller, now, Some(key.account_id), &happening)
}

fn diff(before: &ApiKey, after: &ApiKey) -> serde_json::Value {
    changed([
        ("name", json!(before.name), json!(after.name)),
        ("scopes", json!(before.scopes), json!(after.scopes)),
        ("enabled", json!(before.enabled), json!(after.enabled)),
        ("expires_at", json!(before.expires_at), json!(after.expires_at)),
        ("ip_allow", json!(before.ip_allow), json!(after.ip_allow)),
        ("windows", json!(before.windows), json!(after.windows)),
        ("metadata", json!(before.metadata.as_map()), json!(after.metadata.as_map())),
    ])
}
