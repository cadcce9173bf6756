//! Tokens for a code, for a refresh token, or for a client itself. What may happen once is one statement that also
//! looks whether it has; a refusal that takes something with it is committed like a success.

use std::time::Duration;

use serde_json::json;

use super::{grantable, rights_of};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::secret::Kind;
use crate::crypto::{Secret, SecretHash};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::grant::{Ended, Grant, Granted};
use crate::model::ids::{GrantId, UserId};
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::model::{AppError, Result};
use crate::services::grants::{end, note};
use crate::store::oauth_codes::Code;
use crate::store::oauth_tokens::{self, Kind as TokenKind, Token};
use crate::store::{self, Tx, oauth_codes};

/// An answer may be lost on its way: for so long a refresh token gives a second pair, once.
const GRACE: Duration = Duration::from_secs(10);
/// A family of tokens ends after so many times the life of an idle one.
const LIVES: u32 = 3;

/// What a client asks the token endpoint for.
pub enum TokenRequest {
    Code { code: String, redirect_uri: Option<String>, verifier: Option<String> },
    Refresh { token: String, scope: Option<String> },
    OwnBehalf { scope: Option<String> },
}

pub struct Issued {
    pub access: Secret,
    pub expires_in: Duration,
    pub refresh: Option<Secret>,
    pub granted: Granted,
}

pub async fn token(app: &App, caller: &Caller, client: &OauthClient, request: TokenRequest) -> Result<Issued, OauthError> {
    let draft = Draft::new(app, caller, client);
    match request {
        TokenRequest::Code { code, redirect_uri, verifier } => {
            let hash = Kind::AuthorizationCode.hash_of(&code).ok_or_else(unknown_code)?;
            // What was never a code costs no write.
            if !app.store.read(move |conn| oauth_codes::exists(conn, hash)).await? {
                return Err(unknown_code());
            }
            draft.run(app, move |tx, draft| by_code(tx, draft, hash, redirect_uri.as_deref(), verifier.as_deref())).await
        }
        TokenRequest::Refresh { token, scope } => {
            let hash = Kind::RefreshToken.hash_of(&token).ok_or_else(unknown_token)?;
            if app.store.read(move |conn| oauth_tokens::find(conn, hash)).await?.is_none() {
                return Err(unknown_token());
            }
            draft.run(app, move |tx, draft| by_refresh(tx, draft, hash, scope.as_deref())).await
        }
        TokenRequest::OwnBehalf { scope } => draft.run(app, move |tx, draft| on_own_behalf(tx, draft, scope.as_deref())).await,
    }
}

/// What an attempt came to. A refusal is an outcome, not an error: what it used up or ended stays so.
struct Outcome {
    given: Result<Given, OauthError>,
    concerns: Concerns,
}

struct Given {
    granted: Granted,
    with_refresh: bool,
}

impl From<OauthError> for Outcome {
    fn from(refused: OauthError) -> Self {
        Self { given: Err(refused), concerns: Concerns::Nobody }
    }
}

/// The tokens that will be given if all is well, made before the writer's turn.
struct Draft {
    client: OauthClient,
    by: Caller,
    access: SecretHash,
    refresh: SecretHash,
    now: Timestamp,
    access_ttl: Duration,
    refresh_ttl: Duration,
    secrets: (Secret, Secret),
}

impl Draft {
    fn new(app: &App, caller: &Caller, client: &OauthClient) -> Self {
        let secrets = (Kind::AccessToken.generate(), Kind::RefreshToken.generate());
        Self {
            client: client.clone(),
            by: caller.clone(),
            access: secrets.0.hash(),
            refresh: secrets.1.hash(),
            now: app.clock.now(),
            access_ttl: app.config.oauth.access_token_ttl,
            refresh_ttl: app.config.oauth.refresh_token_ttl,
            secrets,
        }
    }

    async fn run(
        self,
        app: &App,
        attempt: impl FnOnce(&Tx, &Draft) -> Result<Outcome> + Send + 'static,
    ) -> Result<Issued, OauthError> {
        let (caller, expires_in, (access, refresh)) = (self.by.clone(), self.access_ttl, self.secrets.clone());
        let outcome = app.change(&caller, move |tx| attempt(tx, &self), |outcome| outcome.concerns).await?;
        let given = outcome.given?;
        let refresh = given.with_refresh.then_some(refresh);
        Ok(Issued { access, expires_in, refresh, granted: given.granted })
    }

    /// Puts the tokens down.
    fn give(&self, tx: &Tx, grant: GrantId, from: Basis<'_>) -> Result<Outcome> {
        let insert = oauth_tokens::Insert {
            hash: self.access,
            kind: TokenKind::Access,
            grant_id: grant,
            family: from.family.unwrap_or(self.access),
            parent: from.parent,
            granted: &from.granted,
            began_at: from.began_at,
            expires_at: self.now.saturating_add(self.access_ttl),
        };
        oauth_tokens::insert(tx, &insert, self.now)?;
        if let Some(granted) = from.refreshable {
            let end = from.began_at.saturating_add(self.refresh_ttl * LIVES);
            let refresh = oauth_tokens::Insert {
                hash: self.refresh,
                kind: TokenKind::Refresh,
                granted,
                expires_at: end.min(self.now.saturating_add(self.refresh_ttl)),
                ..insert
            };
            oauth_tokens::insert(tx, &refresh, self.now)?;
        }
        let with_refresh = from.refreshable.is_some();
        Ok(Outcome { given: Ok(Given { granted: from.granted, with_refresh }), concerns: Concerns::Nobody })
    }
}

/// What tokens are given for.
struct Basis<'a> {
    /// None: they begin one of their own.
    family: Option<SecretHash>,
    parent: Option<SecretHash>,
    began_at: Timestamp,
    granted: Granted,
    /// What a refresh token may be refreshed to; none: there is no refresh token.
    refreshable: Option<&'a Granted>,
}

fn by_code(tx: &Tx, draft: &Draft, hash: SecretHash, redirect_uri: Option<&str>, verifier: Option<&str>) -> Result<Outcome> {
    let (client, now) = (draft.client.id, draft.now);
    let Some(code) = oauth_codes::redeem(tx, hash, client, now)? else {
        return replayed(tx, draft, hash, redirect_uri, verifier);
    };
    // The code is used up, whatever is wrong with the rest.
    if let Some(wrong) = mismatch(&code, redirect_uri, verifier) {
        return Ok(OauthCode::InvalidGrant.because(wrong).into());
    }
    let Some(grant) = standing(tx, code.grant_id)? else { return Ok(unknown_code().into()) };
    let from = Basis {
        family: Some(hash),
        parent: None,
        began_at: now,
        granted: code.granted.clone(),
        refreshable: Some(&code.granted),
    };
    draft.give(tx, grant.id, from)
}

/// A code comes again. If it is its own client that sends it, somebody has a copy of it: what it gave ends. A try that
/// would have failed the first time ends nothing, so that nobody can cut off a client who knows but its code.
fn replayed(tx: &Tx, draft: &Draft, hash: SecretHash, redirect_uri: Option<&str>, verifier: Option<&str>) -> Result<Outcome> {
    let refused = unknown_code();
    let Some(code) = oauth_codes::find_used(tx, hash, draft.client.id)? else { return Ok(refused.into()) };
    if mismatch(&code, redirect_uri, verifier).is_some() || !oauth_tokens::delete_family(tx, hash)? {
        return Ok(refused.into());
    }
    let Some(grant) = store::grants::find(tx, code.grant_id)? else { return Ok(refused.into()) };
    note(tx, &draft.by, draft.now, "oauth.token.revoked", &grant, json!({ "reason": "code used twice" }))?;
    tracing::warn!(client = %draft.client.id, grant = %grant.id, "an authorization code was used twice; what it gave is revoked");
    Ok(Outcome { given: Err(refused), concerns: Concerns::Account(grant.account_id) })
}

/// Why this is not the one that asked for the code.
fn mismatch(code: &Code, redirect_uri: Option<&str>, verifier: Option<&str>) -> Option<&'static str> {
    match redirect_uri {
        Some(sent) if sent != code.redirect_uri => return Some("redirect_uri is not the one that the code was sent to."),
        // With PKCE the code is bound already, and it may be left out (OAuth 2.1 §4.1.3).
        None if code.redirect_sent && code.challenge.is_none() => {
            return Some("redirect_uri is missing; repeat the one of the authorization request.");
        }
        _ => {}
    }
    match (&code.challenge, verifier) {
        (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => None,
        (None, None) => None,
        (Some(_), Some(_)) => Some("code_verifier does not fit the code_challenge."),
        (Some(_), None) => Some("code_verifier is missing; the code was asked for with a code_challenge."),
        (None, Some(_)) => Some("code_verifier was sent for a code that was asked for without a code_challenge."),
    }
}

fn by_refresh(tx: &Tx, draft: &Draft, hash: SecretHash, scope: Option<&str>) -> Result<Outcome> {
    let is_its = |token: &Token| token.kind == TokenKind::Refresh && token.client_id == draft.client.id;
    let Some(token) = oauth_tokens::find(tx, hash)?.filter(is_its) else { return Ok(unknown_token().into()) };
    let now = draft.now;
    let since = now.saturating_sub(GRACE);
    let is_late = token.used_at.is_some_and(|used_at| used_at <= since);
    let Some(grant) = standing(tx, token.grant_id)? else { return Ok(unknown_token().into()) };
    // Looked at before the token is used up by a request that asks for too much.
    let narrowed = match scope.map(|asked| narrowed(asked, &token.granted)).transpose() {
        Err(refused) if !is_late => return Ok(refused.into()),
        narrowed => narrowed.ok().flatten(),
    };
    if token.used_at.is_none() && !oauth_tokens::rotate(tx, hash, now)? {
        return Ok(OauthCode::InvalidGrant.because("The refresh token has expired. Ask the user again.").into());
    }
    if token.used_at.is_some() {
        if !oauth_tokens::retry(tx, hash, since, now)? {
            return reused(tx, draft, &grant);
        }
        note(tx, &draft.by, now, "oauth.token.retried", &grant, json!({}))?;
    }
    let from = Basis {
        family: Some(token.family),
        parent: Some(hash),
        began_at: token.began_at,
        granted: narrowed.unwrap_or_else(|| token.granted.clone()),
        refreshable: Some(&token.granted),
    };
    draft.give(tx, grant.id, from)
}

/// A refresh token comes again that was replaced: its client or somebody else has a copy, and nobody can tell which.
fn reused(tx: &Tx, draft: &Draft, grant: &Grant) -> Result<Outcome> {
    end(tx, &draft.by, grant, Ended::Reuse, draft.now)?;
    tracing::warn!(client = %draft.client.id, grant = %grant.id, "a refresh token was used twice; its grant is revoked");
    let refused = OauthCode::InvalidGrant.because("The refresh token was used before. Everything that it gave is revoked.");
    Ok(Outcome { given: Err(refused), concerns: Concerns::Account(grant.account_id) })
}

/// Less than a refresh token may give (RFC 6749 §6).
fn narrowed(asked: &str, most: &Granted) -> Result<Granted, OauthError> {
    let words = asked.split(' ').filter(|word| !word.is_empty());
    let meant = ScopesAsked::parse(words).map_err(|problem| OauthCode::InvalidScope.because(problem.message))?;
    let beyond = most.scopes.lacks(meant.within(most.scopes));
    let refused = |words: String| OauthCode::InvalidScope.because(words);
    if !beyond.is_empty() {
        return Err(refused(format!("The user did not allow {beyond}.")));
    }
    let granted = Granted::within(asked, most.scopes).ok().flatten();
    granted.ok_or_else(|| refused("None of these scopes was allowed by the user.".into()))
}

fn on_own_behalf(tx: &Tx, draft: &Draft, scope: Option<&str>) -> Result<Outcome> {
    let (client, now) = (&draft.client, draft.now);
    if client.is_public() {
        return Ok(OauthCode::UnauthorizedClient
            .because("A public client has no access of its own: it cannot keep a secret.")
            .into());
    }
    let owner = client.user_id.map(|owner| Ok::<_, AppError>((owner, rights_of(tx, owner)?))).transpose()?;
    let Some((owner, Some(rights))) = owner else {
        let words = "Whoever registered this client is gone or disabled, so it has no access of its own.";
        return Ok(OauthCode::UnauthorizedClient.because(words).into());
    };
    let granted = match grantable(scope, client, rights) {
        Ok(granted) => granted,
        Err(refused) => return Ok(refused.into()),
    };
    let grant = match store::grants::find_own(tx, client.id)? {
        Some(grant) => {
            let scopes = grant.scopes.union(granted.scopes);
            if scopes != grant.scopes {
                store::grants::set_scopes(tx, grant.id, scopes, now)?;
            }
            grant.id
        }
        None => own_grant(tx, draft, owner, granted.scopes)?,
    };
    let from = Basis { family: None, parent: None, began_at: now, granted, refreshable: None };
    draft.give(tx, grant, from)
}

fn own_grant(tx: &Tx, draft: &Draft, owner: UserId, scopes: ScopeSet) -> Result<GrantId> {
    let account_id = store::users::find(tx, owner)?.ok_or(AppError::NotFound("user"))?.account_id;
    let insert = store::grants::Insert { client_id: draft.client.id, user_id: None, account_id, scopes };
    let id = store::grants::insert(tx, &insert, draft.now)?;
    let grant = store::grants::find(tx, id)?.ok_or(AppError::NotFound("grant"))?;
    note(tx, &draft.by, draft.now, "oauth.grant.created", &grant, json!({}))?;
    Ok(id)
}

/// The grant, while the user who gave it is in good standing.
fn standing(tx: &Tx, id: GrantId) -> Result<Option<Grant>> {
    let Some(grant) = store::grants::find(tx, id)? else { return Ok(None) };
    let Some(user) = grant.user_id else { return Ok(None) };
    Ok(rights_of(tx, user)?.map(|_| grant))
}

fn unknown_code() -> OauthError {
    OauthCode::InvalidGrant.because("The code is unknown, was used before, has expired, or was given to another client.")
}

fn unknown_token() -> OauthError {
    OauthCode::InvalidGrant.because("The refresh token is unknown, was revoked, or was given to another client.")
}
