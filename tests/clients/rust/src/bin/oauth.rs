//! The `oauth2` crate, unchanged, against a Keyrack: code with PKCE, refresh, introspection, revocation; a client with a
//! secret, by header and by body, and a public one.

use std::env::var;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IntrospectionUrl,
    PkceCodeChallenge, RedirectUrl, RefreshToken, RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse,
    TokenResponse, TokenUrl,
};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let (id, secret) = (var("CLIENT_ID")?, var("CLIENT_SECRET")?);
    for how in [AuthType::BasicAuth, AuthType::RequestBody] {
        run(&id, Some(&secret), how)?;
    }
    run(&var("PUBLIC_ID")?, None, AuthType::RequestBody)
}

fn run(id: &str, secret: Option<&str>, how: AuthType) -> Result<(), Error> {
    let base = var("BASE_URL")?;
    // The crate revokes over HTTPS alone, even on this machine; `send` knows better.
    let revocation = format!("{}/oauth/revoke", base.replace("http://", "https://"));
    let mut client = BasicClient::new(ClientId::new(id.into()))
        .set_auth_type(how)
        .set_auth_uri(AuthUrl::new(format!("{base}/oauth/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{base}/oauth/token"))?)
        .set_introspection_url(IntrospectionUrl::new(format!("{base}/oauth/introspect"))?)
        .set_revocation_url(RevocationUrl::new(revocation)?)
        .set_redirect_uri(RedirectUrl::new(var("REDIRECT_URI")?)?);
    if let Some(secret) = secret {
        client = client.set_client_secret(ClientSecret::new(secret.into()));
    }
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let asked = client.authorize_url(CsrfToken::new_random).add_scope(Scope::new("read".into()));
    let (link, state) = asked.add_scope(Scope::new("write".into())).set_pkce_challenge(challenge).url();
    let back = allow(link.as_str())?;
    let sent = |name: &str| back.query_pairs().find(|(there, _)| there == name).map(|(_, value)| value.into_owned());
    assert_eq!(sent("state").as_ref(), Some(state.secret()), "{back}");
    assert_eq!(sent("iss"), Some(base), "{back}");

    let code = AuthorizationCode::new(sent("code").ok_or("no code came back")?);
    let tokens = client.exchange_code(code).set_pkce_verifier(verifier).request(&send)?;
    assert_eq!(who_am_i(&tokens)?, "reader@example.com");
    let scopes: Vec<String> = tokens.scopes().into_iter().flatten().map(|scope| scope.to_string()).collect();
    assert_eq!(scopes, ["read", "write"]);

    let again = client.exchange_refresh_token(&refresh(&tokens)).request(&send)?;
    assert_ne!(refresh(&again).secret(), refresh(&tokens).secret());
    if secret.is_some() {
        let told = client.introspect(again.access_token()).request(&send)?;
        assert!(told.active());
        assert_eq!(told.username(), Some("reader@example.com"));
    }
    client.revoke_token(StandardRevocableToken::from(refresh(&again)))?.request(&send)?;
    assert_eq!(who_am_i(&again)?, "401 Unauthorized");
    assert!(client.exchange_refresh_token(&refresh(&again)).request(&send).is_err());
    Ok(())
}

fn refresh(tokens: &BasicTokenResponse) -> RefreshToken {
    tokens.refresh_token().expect("a refresh token").clone()
}

/// What a person's browser does with a link: signs in, allows, and is sent back.
fn allow(link: &str) -> Result<reqwest::Url, Error> {
    let agent = reqwest::Url::parse_with_params(&var("USER_AGENT_URL")?, [("link", link)])?;
    Ok(reqwest::blocking::get(agent)?.text()?.parse()?)
}

fn who_am_i(tokens: &BasicTokenResponse) -> Result<String, Error> {
    let url = format!("{}/v1/users/me", var("BASE_URL")?);
    let answer = reqwest::blocking::Client::new().get(url).bearer_auth(tokens.access_token().secret()).send()?;
    if !answer.status().is_success() {
        return Ok(answer.status().to_string());
    }
    let user: serde_json::Value = answer.json()?;
    Ok(user["email"].as_str().unwrap_or_default().to_owned())
}

fn send(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string().replace("https://", "http://");
    let client = reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let answer = client.request(parts.method, url).headers(parts.headers).body(body).send()?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = HttpResponse::new(answer.bytes()?.to_vec());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
