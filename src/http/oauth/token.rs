//! The endpoints that take and tell tokens: token (RFC 6749), revoke (RFC 7009), introspect (RFC 7662).

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::client::{Authenticated, answer};
use crate::http::arrival::base_url;
use crate::http::oauth_refusal::Refusal;
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::services::oauth::{self, TokenRequest};

type Result<T = HttpResponse, E = Refusal> = std::result::Result<T, E>;

/// RFC 6749 §5.1
#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

pub async fn issue(who: Authenticated) -> Result {
    let request = asked(&who)?;
    let issued = oauth::token(&who.app, &who.caller, &who.client, request).await;
    let issued = who.count_failure(issued)?;
    Ok(answer(&TokenBody {
        access_token: issued.access.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in.as_secs(),
        refresh_token: issued.refresh.as_ref().map(|refresh| refresh.expose()),
        scope: &issued.granted.words,
    }))
}

fn asked(who: &Authenticated) -> Result<TokenRequest, OauthError> {
    let (params, own) = (&who.params, |text: Option<&str>| text.map(str::to_owned));
    Ok(match params.required("grant_type")? {
        "authorization_code" => TokenRequest::Code {
            code: params.required("code")?.into(),
            redirect_uri: own(params.text("redirect_uri")?),
            verifier: own(params.text("code_verifier")?),
        },
        "refresh_token" => {
            TokenRequest::Refresh { token: params.required("refresh_token")?.into(), scope: own(params.text("scope")?) }
        }
        "client_credentials" => TokenRequest::OwnBehalf { scope: own(params.text("scope")?) },
        _ => {
            let words = "grant_type is one of authorization_code, refresh_token and client_credentials.";
            return Err(OauthCode::UnsupportedGrantType.because(words));
        }
    })
}

pub async fn revoke(who: Authenticated) -> Result {
    let token = who.params.required("token")?;
    oauth::revoke(&who.app, &who.caller, who.client.id, token).await?;
    Ok(HttpResponse::Ok().finish())
}

pub async fn introspect(who: Authenticated, req: HttpRequest) -> Result {
    if who.client.is_public() {
        // Anyone can say to be it, and would learn what a found token is worth.
        return Err(OauthCode::InvalidClient.because("A public client cannot ask what tokens are worth.").into());
    }
    let token = who.params.required("token")?;
    let Some(found) = oauth::introspect(&who.app, who.client.id, token).await? else {
        return Ok(answer(&json!({ "active": false })));
    };
    let client = who.client.id.to_string();
    let (subject, username) = found.user.map_or((client.clone(), None), |(id, email)| (id.to_string(), Some(email)));
    let mut body = json!({
        "active": true,
        "scope": found.scopes.to_string(),
        "client_id": client,
        "sub": subject,
        "iss": base_url(&req, &who.app),
        "iat": found.created_at.seconds(),
        "exp": found.expires_at.seconds(),
    });
    if let Some(username) = username {
        body["username"] = json!(username);
    }
    if found.is_access {
        body["token_type"] = json!("Bearer");
    }
    Ok(answer(&body))
}
