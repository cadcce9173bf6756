//! OAuth clients: list, find, register, change, rotate and delete; and whether one is who it says it is.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::authorize::scopes_of_role;
use super::forms::{self, Formed};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::secret::Kind;
use crate::crypto::{Secret, SecretHash};
use crate::limits::BucketKey;
use crate::model::api_key::Overlap;
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::grant::Ended;
use crate::model::ids::ClientId;
use crate::model::oauth_client::{ClientChanges, ClientKind, NewClient, OauthClient};
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store::{self, Tx, oauth_clients};

/// `q` is the beginning of a name, or a whole id.
pub async fn list(
    app: &App,
    caller: &Caller,
    q: Option<String>,
    place: (Start<ClientId>, Order, Limit),
) -> Result<Page<OauthClient>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| oauth_clients::list(conn, q.as_deref(), place)).await
}

pub async fn find(app: &App, caller: &Caller, id: ClientId) -> Result<OauthClient> {
    caller.must_have(Scope::Admin)?;
    let found = app.store.read(move |conn| oauth_clients::find(conn, id)).await?;
    found.ok_or(AppError::NotFound("client"))
}

/// A new client and, unless it is public, its secret, which is told this once.
pub async fn create(app: &App, caller: &Caller, new: NewClient) -> Result<(OauthClient, Option<Secret>)> {
    caller.must_have(Scope::Admin)?;
    let (secret, by, now) = (secret_of(new.kind), caller.clone(), app.clock.now());
    let told = secret.as_ref().map(told);
    let made = move |tx: &Tx| insert(tx, &by, new, told, now);
    Ok((app.change(caller, made, |_| Concerns::Nobody).await?, secret))
}

/// The same for a form, whose nonce makes it answer once.
pub async fn create_by_form(
    app: &App,
    caller: &Caller,
    new: NewClient,
    nonce: &str,
) -> Result<Formed<OauthClient, Option<Secret>, ClientId>> {
    caller.must_have(Scope::Admin)?;
    let (secret, by, now) = (secret_of(new.kind), caller.clone(), app.clock.now());
    let (told, nonce) = (secret.as_ref().map(told), SecretHash::of(nonce));
    let made = move |tx: &Tx| forms::once(tx, nonce, now, || insert(tx, &by, new, told, now), |client| client.id);
    Ok(Formed::of(app.change(caller, made, |_| Concerns::Nobody).await?, secret, ClientId::parse))
}

fn secret_of(kind: ClientKind) -> Option<Secret> {
    (kind == ClientKind::Confidential).then(|| Kind::ClientSecret.generate())
}

/// What is stored of a secret.
fn told(secret: &Secret) -> (SecretHash, String) {
    (secret.hash(), secret.hint())
}

fn insert(tx: &Tx, caller: &Caller, new: NewClient, secret: Option<(SecretHash, String)>, now: Timestamp) -> Result<OauthClient> {
    let owner = match new.user_id.or(caller.user_id) {
        Some(id) => store::users::find(tx, id)?,
        None => store::users::first_admin(tx)?,
    };
    let owner = owner.ok_or(AppError::NotFound("user"))?;
    let most = scopes_of_role(owner.role);
    let scopes = new.scopes.within(most);
    if !most.lacks(scopes).is_empty() {
        let words = format!("{} is a member, and may not register a client for `{}`.", owner.name, most.lacks(scopes));
        return Err(AppError::invalid("scopes", "not_for_members", words));
    }
    let insert = oauth_clients::Insert {
        user_id: owner.id,
        name: new.name.as_str(),
        kind: new.kind,
        redirect_uris: &new.redirect_uris,
        scopes,
        secret: secret.as_ref().map(|(hash, hint)| (*hash, hint.as_str())),
    };
    let client = oauth_clients::insert(tx, &insert, now)?;
    note(tx, caller, now, "oauth.client.created", &client, facts(&client))?;
    Ok(client)
}

/// Changes the fields given. Narrower scopes hold at once for the tokens that are out.
pub async fn update(app: &App, caller: &Caller, id: ClientId, changes: ClientChanges) -> Result<OauthClient> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let update = move |tx: &Tx| {
        let before = oauth_clients::find(tx, id)?.ok_or(AppError::NotFound("client"))?;
        let wanted = OauthClient {
            name: changes.name.map_or_else(|| before.name.clone(), |name| name.as_str().to_owned()),
            redirect_uris: changes.redirect_uris.unwrap_or_else(|| before.redirect_uris.clone()),
            scopes: changes.scopes.map_or(before.scopes, |asked| asked.within(by.scopes)),
            ..before.clone()
        };
        let (old, new) = (facts(&before), facts(&wanted));
        if old == new {
            return Ok(before);
        }
        let client = oauth_clients::update(tx, &wanted, now)?;
        let diff = changed(["name", "redirect_uris", "scopes"].map(|field| (field, old[field].clone(), new[field].clone())));
        note(tx, &by, now, "oauth.client.updated", &client, diff)?;
        Ok(client)
    };
    // Its tokens are of users of every account.
    app.change(caller, update, |_| Concerns::Everyone).await
}

/// A new secret. The one before works until the overlap ends; what was older still ends now.
pub async fn rotate(app: &App, caller: &Caller, id: ClientId, overlap: Overlap) -> Result<(OauthClient, Secret)> {
    caller.must_have(Scope::Admin)?;
    let (secret, by, now) = (Kind::ClientSecret.generate(), caller.clone(), app.clock.now());
    let (hash, hint) = (secret.hash(), secret.hint());
    let rotated = move |tx: &Tx| renew(tx, &by, id, overlap, (hash, &hint), now);
    Ok((app.change(caller, rotated, |_| Concerns::Nobody).await?, secret))
}

/// The same for a form, whose nonce makes it answer once.
pub async fn rotate_by_form(
    app: &App,
    caller: &Caller,
    id: ClientId,
    overlap: Overlap,
    nonce: &str,
) -> Result<Formed<OauthClient, Secret, ClientId>> {
    caller.must_have(Scope::Admin)?;
    let (secret, by, now) = (Kind::ClientSecret.generate(), caller.clone(), app.clock.now());
    let (hash, hint, nonce) = (secret.hash(), secret.hint(), SecretHash::of(nonce));
    let rotated =
        move |tx: &Tx| forms::once(tx, nonce, now, || renew(tx, &by, id, overlap, (hash, &hint), now), |client| client.id);
    Ok(Formed::of(app.change(caller, rotated, |_| Concerns::Nobody).await?, secret, ClientId::parse))
}

fn renew(
    tx: &Tx,
    caller: &Caller,
    id: ClientId,
    overlap: Overlap,
    (hash, hint): (SecretHash, &str),
    now: Timestamp,
) -> Result<OauthClient> {
    let before = oauth_clients::find(tx, id)?.ok_or(AppError::NotFound("client"))?;
    if before.is_public() {
        return Err(AppError::invalid("client", "public", "A public client has no secret, so there is none to rotate."));
    }
    let end = now.saturating_add(overlap.get());
    let client = oauth_clients::rotate(tx, id, (hash, hint), (end > now).then_some(end), now)?;
    let diff = json!({ "old_hint": before.hint, "old_expires_at": client.old_secret.as_ref().map(|old| old.1), "hint": hint });
    note(tx, caller, now, "oauth.client.rotated", &client, diff)?;
    Ok(client)
}

/// The older secret of a rotation ends now.
pub async fn end_old_secret(app: &App, caller: &Caller, id: ClientId) -> Result<OauthClient> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let ended = move |tx: &Tx| {
        let before = oauth_clients::find(tx, id)?.ok_or(AppError::NotFound("client"))?;
        let Some((hint, _)) = before.old_secret_at(now) else { return Ok(before) };
        let diff = json!({ "old_hint": hint, "old_expires_at": now });
        let client = oauth_clients::end_old_secret(tx, id, now)?;
        note(tx, &by, now, "oauth.client.updated", &client, diff)?;
        Ok(client)
    };
    app.change(caller, ended, |_| Concerns::Nobody).await
}

/// Deletes a client with what users allowed it; its tokens stop at once.
pub async fn delete(app: &App, caller: &Caller, id: ClientId) -> Result<OauthClient> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let deleted = move |tx: &Tx| {
        let client = oauth_clients::find(tx, id)?.ok_or(AppError::NotFound("client"))?;
        for grant in store::grants::list_of_client(tx, id)? {
            super::grants::end(tx, &by, &grant, Ended::ClientDeleted, now)?;
        }
        oauth_clients::delete(tx, id)?;
        note(tx, &by, now, "oauth.client.deleted", &client, facts(&client))?;
        Ok(client)
    };
    app.change(caller, deleted, |_| Concerns::Everyone).await
}

/// The client that says it is this one: a public one by its name alone, any other by its secret. Who fails counts against
/// the address, so that guessing is slow.
pub async fn authenticate(app: &App, id: &str, secret: Option<&str>, ip: IpAddr) -> Result<OauthClient, OauthError> {
    let (id, now) = (ClientId::parse(id), app.clock.now());
    let hash = secret.map(|secret| Kind::ClientSecret.hash_of(secret));
    let found = app.store.read(move |conn| {
        let Some(client) = id.map(|id| oauth_clients::find(conn, id)).transpose()?.flatten() else { return Ok(None) };
        let is_it = match hash {
            None => client.is_public(),
            Some(None) => false,
            Some(Some(hash)) => oauth_clients::holder_of(conn, hash, now)? == Some(client.id),
        };
        Ok(is_it.then_some(client))
    });
    match found.await? {
        Some(client) => Ok(client),
        None => {
            count_failure(app, ip)?;
            Err(OauthCode::InvalidClient.because("There is no such client, or its secret is another."))
        }
    }
}

/// A try without a good credential: counts like one at the API.
pub fn count_failure(app: &App, ip: IpAddr) -> Result<()> {
    app.anonymous.take(BucketKey::of_address(ip), app.clock.tick()).check()
}

fn note(tx: &Tx, caller: &Caller, now: Timestamp, action: &'static str, client: &OauthClient, diff: Value) -> Result<()> {
    let account = client.user_id.map(|owner| store::users::find(tx, owner)).transpose()?.flatten().map(|owner| owner.account_id);
    let happening = Happening::new(action, "client", client.id, &client.name).with(diff);
    store::audit_events::append(tx, caller, now, account, &happening)
}

fn facts(client: &OauthClient) -> Value {
    json!({
        "name": client.name,
        "kind": client.kind.name(),
        "redirect_uris": client.redirect_uris.iter().map(|uri| uri.as_str()).collect::<Vec<_>>(),
        "scopes": client.scopes,
    })
}
