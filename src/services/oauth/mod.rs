//! The authorization server: what a user allows a client, the tokens it gets for that, and their end.

mod allow;
mod exchange;
mod introspect;

use std::time::Duration;

use serde_json::json;

pub use allow::{Request, Wanted, allow, wanted};
pub use exchange::{Issued, TokenRequest, token};
pub use introspect::{Introspected, introspect};

use super::authorize::scopes_of_role;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::secret::Kind;
use crate::model::Result;
use crate::model::account::AccountStatus;
use crate::model::audit_event::Happening;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::grant::Granted;
use crate::model::ids::{ClientId, UserId};
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::model::user::UserStatus;
use crate::store::{self, Conn, Tx, oauth_tokens};

/// A code that comes again within this time tells that somebody has a copy of it.
const CODES_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever presents an ended token within this time is told that it has expired.
const TOKENS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The client with this id, as a person's browser names it.
pub async fn find_client(app: &App, id: ClientId) -> Result<Option<OauthClient>> {
    app.store.read(move |conn| store::oauth_clients::find(conn, id)).await
}

/// A client that asks for itself.
pub fn caller(client: ClientId, from: &Caller) -> Caller {
    Caller { actor: Actor::Client(client), ..from.clone() }
}

/// What of the scopes asked for is given: all that the client may ask for and these rights have. A word that nobody
/// knows or that the client is not registered for is an error; what the user does not have is left out.
fn grantable(asked: Option<&str>, client: &OauthClient, rights: ScopeSet) -> Result<Granted, OauthError> {
    let most = client.scopes.both(rights);
    let nothing = || OauthCode::InvalidScope.because("None of these scopes can be given here.");
    let Some(asked) = asked else {
        let usual = most.both(ScopeSet::default_for_keys());
        let all = if usual.is_empty() { most } else { usual };
        return if all.is_empty() { Err(nothing()) } else { Ok(Granted::all(all)) };
    };
    let words = asked.split(' ').filter(|word| !word.is_empty());
    let meant = ScopesAsked::parse(words).map_err(|problem| OauthCode::InvalidScope.because(problem.message))?;
    let beyond = client.scopes.lacks(meant.within(client.scopes));
    if !beyond.is_empty() {
        return Err(OauthCode::InvalidScope.because(format!("This client is not registered for {beyond}.")));
    }
    let granted = Granted::within(asked, most).map_err(|problem| OauthCode::InvalidScope.because(problem.message))?;
    granted.ok_or_else(nothing)
}

/// Whether whoever stands behind a grant is still in good standing; what they may do.
fn rights_of(conn: &Conn, user: UserId) -> Result<Option<ScopeSet>> {
    let Some(user) = store::users::find(conn, user)? else { return Ok(None) };
    let account = store::accounts::find(conn, user.account_id)?;
    let runs = account.is_some_and(|account| account.status == AccountStatus::Active);
    let is_active = user.status == UserStatus::Active;
    Ok((runs && is_active).then(|| scopes_of_role(user.role)))
}

/// A client gives a token back (RFC 7009): of an access token that one ends, of a refresh token all that began with it.
/// What is no token of this client is nothing to it.
pub async fn revoke(app: &App, caller: &Caller, client: ClientId, token: &str) -> Result<()> {
    let hash = Kind::AccessToken.hash_of(token).or_else(|| Kind::RefreshToken.hash_of(token));
    let Some(hash) = hash else { return Ok(()) };
    end_token(app, caller, client, hash, "given back").await
}

/// A leaked access token ends for whoever holds it.
pub async fn report(app: &App, caller: &Caller, client: ClientId, hash: SecretHash) -> Result<()> {
    end_token(app, caller, client, hash, "reported as leaked").await
}

async fn end_token(app: &App, caller: &Caller, client: ClientId, hash: SecretHash, reason: &'static str) -> Result<()> {
    let is_its = move |token: &oauth_tokens::Token| token.client_id == client;
    // Most of what is given back has ended already: that costs no write.
    if app.store.read(move |conn| oauth_tokens::find(conn, hash)).await?.filter(is_its).is_none() {
        return Ok(());
    }
    let (by, now) = (caller.clone(), app.clock.now());
    let ended = move |tx: &Tx| {
        let Some(token) = oauth_tokens::find(tx, hash)?.filter(is_its) else { return Ok(Concerns::Nobody) };
        match token.kind {
            oauth_tokens::Kind::Access => oauth_tokens::delete(tx, hash)?,
            oauth_tokens::Kind::Refresh => oauth_tokens::delete_family(tx, token.family)?,
        };
        let Some(grant) = store::grants::find(tx, token.grant_id)? else { return Ok(Concerns::Nobody) };
        let diff = json!({ "reason": reason, "client": client, "user": grant.user_id });
        let happening = Happening::new("oauth.token.revoked", "grant", grant.id, &grant.client_name).with(diff);
        store::audit_events::append(tx, &by, now, Some(grant.account_id), &happening)?;
        Ok(Concerns::Account(grant.account_id))
    };
    app.change(caller, ended, |concerns| *concerns).await?;
    Ok(())
}

pub(super) fn sweep(tx: &Tx, now: Timestamp) -> Result<()> {
    store::oauth_codes::sweep(tx, now.saturating_sub(CODES_KEPT))?;
    oauth_tokens::sweep(tx, now.saturating_sub(TOKENS_KEPT))?;
    store::oauth_clients::sweep(tx, now)
}
