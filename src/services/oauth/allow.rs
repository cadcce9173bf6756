//! A user is asked whether a client may act for them, and says yes.

use serde_json::json;

use super::{grantable, rights_of};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::Secret;
use crate::crypto::secret::Kind;
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::grant::{Grant, Granted};
use crate::model::ids::UserId;
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::OauthError;
use crate::model::pkce::Challenge;
use crate::model::redirect_uri::Destination;
use crate::services::accounts;
use crate::services::grants::note;
use crate::store::oauth_codes::Code;
use crate::store::{self, Tx};

/// What a client asks a user for.
#[derive(Clone, Debug)]
pub struct Request {
    pub client: OauthClient,
    pub destination: Destination,
    /// The client named its address, though it may have but one.
    pub redirect_sent: bool,
    pub challenge: Option<Challenge>,
    pub scope: Option<String>,
}

/// What the user would give, and gave before.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub granted: Granted,
    pub before: Option<Grant>,
    /// The client may have it without being asked for again. Never so for a public client: anyone can say to be it.
    pub is_remembered: bool,
    /// The account of whoever registered the client.
    pub made_by: Option<String>,
}

pub async fn wanted(app: &App, user: UserId, request: &Request) -> Result<Wanted, OauthError> {
    let (client, owner) = (request.client.id, request.client.user_id);
    let found = app.store.read(move |conn| {
        let owner = owner.map(|owner| store::users::find(conn, owner)).transpose()?.flatten();
        let account = owner.map(|owner| store::accounts::find(conn, owner.account_id)).transpose()?.flatten();
        // The account that everyone is in who is in none says nothing.
        let made_by = account.map(|account| account.name).filter(|name| name != accounts::DEFAULT);
        Ok((rights_of(conn, user)?, store::grants::find_of(conn, client, user)?, made_by))
    });
    let (rights, before, made_by) = found.await?;
    let granted = grantable(request.scope.as_deref(), &request.client, rights.unwrap_or_default())?;
    let is_covered = before.as_ref().is_some_and(|grant| grant.scopes.lacks(granted.scopes).is_empty());
    Ok(Wanted { granted, is_remembered: is_covered && !request.client.is_public(), before, made_by })
}

/// The user allows it: the grant is made or grows, and the client gets a code.
pub async fn allow(app: &App, caller: &Caller, request: &Request, granted: Granted) -> Result<Secret, OauthError> {
    let user = caller.user_id.ok_or(AppError::UserRequired)?;
    let code = Kind::AuthorizationCode.generate();
    let (hash, by, now, request) = (code.hash(), caller.clone(), app.clock.now(), request.clone());
    let ends = now.saturating_add(app.config.oauth.code_ttl);
    let allowed = move |tx: &Tx| {
        let client = store::oauth_clients::find(tx, request.client.id)?.ok_or(AppError::NotFound("client"))?;
        let account_id = store::users::find(tx, user)?.ok_or(AppError::NotFound("user"))?.account_id;
        let before = store::grants::find_of(tx, client.id, user)?;
        let scopes = before.as_ref().map_or(granted.scopes, |before| before.scopes.union(granted.scopes));
        let (id, action) = match &before {
            Some(before) if before.scopes == scopes => (before.id, None),
            Some(before) => {
                store::grants::set_scopes(tx, before.id, scopes, now)?;
                (before.id, Some("oauth.grant.updated"))
            }
            None => {
                let insert = store::grants::Insert { client_id: client.id, user_id: Some(user), account_id, scopes };
                (store::grants::insert(tx, &insert, now)?, Some("oauth.grant.created"))
            }
        };
        if let Some(action) = action {
            let grant = store::grants::find(tx, id)?.ok_or(AppError::NotFound("grant"))?;
            note(tx, &by, now, action, &grant, json!({}))?;
        }
        let code = Code {
            grant_id: id,
            redirect_uri: request.destination.as_str().to_owned(),
            redirect_sent: request.redirect_sent,
            challenge: request.challenge,
            granted,
        };
        store::oauth_codes::insert(tx, hash, client.id, &code, now, ends)
    };
    app.change(caller, allowed, |_| Concerns::Nobody).await?;
    Ok(code)
}
