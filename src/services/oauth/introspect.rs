//! What a token is worth, for the client that it was given to (RFC 7662).

use super::rights_of;
use crate::app::App;
use crate::app::callers::{Bearer, State};
use crate::crypto::SecretHash;
use crate::crypto::secret::Kind;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::{ClientId, UserId};
use crate::model::scope::ScopeSet;
use crate::services::credentials;
use crate::store::{self, oauth_tokens};

pub struct Introspected {
    pub is_access: bool,
    pub scopes: ScopeSet,
    /// None: the client's own.
    pub user: Option<(UserId, String)>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// None: it is no token, not a working one, or none of this client.
pub async fn introspect(app: &App, client: ClientId, token: &str) -> Result<Option<Introspected>> {
    let (now, tick) = app.clock.both();
    if let Some(hash) = Kind::RefreshToken.hash_of(token) {
        return app.store.read(move |conn| refresh(conn, client, hash, now)).await;
    }
    if Kind::AccessToken.hash_of(token).is_none() {
        return Ok(None);
    }
    let Some(found) = credentials::find(app, token, tick)?.filter(|found| found.state(now) == State::Good) else {
        return Ok(None);
    };
    let Bearer::Token(bearer) = &found.bearer else { return Ok(None) };
    Ok((bearer.client_id == client).then(|| Introspected {
        is_access: true,
        scopes: found.scopes,
        user: found.acts_for().map(|user| (user.id, user.email.clone())),
        created_at: bearer.created_at,
        expires_at: bearer.expires_at,
    }))
}

fn refresh(conn: &store::Conn, client: ClientId, hash: SecretHash, now: Timestamp) -> Result<Option<Introspected>> {
    let works = |token: &oauth_tokens::Token| token.client_id == client && token.used_at.is_none() && token.expires_at > now;
    let Some(token) = oauth_tokens::find(conn, hash)?.filter(works) else { return Ok(None) };
    let Some(user) = token.user_id else { return Ok(None) };
    let (Some(rights), Some(user)) = (rights_of(conn, user)?, store::users::find(conn, user)?) else { return Ok(None) };
    Ok(Some(Introspected {
        is_access: false,
        scopes: token.granted.scopes.both(rights),
        user: Some((user.id, user.email)),
        created_at: token.created_at,
        expires_at: token.expires_at,
    }))
}
