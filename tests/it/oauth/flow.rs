//! The flow as the documents show it.

use keyrack::model::scope::Scope;
use serde_json::json;

use crate::support::{HOUR, TestServer, form, query_of};

#[tokio::test]
async fn the_documents_flow_works_word_for_word() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    // 1. Get Authorization Code
    let fields =
        [("client_id", app.id.as_str()), ("redirect_uri", &app.redirect_uri), ("response_type", "code"), ("scope", "read write")];
    let allowed = server.answer(&user, &fields, "allow").await.expect(303);
    let query = query_of(&allowed);
    assert!(allowed.header("location").starts_with("https://app.example.com/callback?code=krc_"), "{query:?}");
    // 2. Exchange Code for Token
    let issued = server.anonymous().post("/oauth/token", app.json(&query[0].1)).await.expect(200);
    let tokens = issued.json();
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_u64()), (Some("Bearer"), Some(3600)));
    assert_eq!(tokens["scope"], "read write");
    assert!(tokens["access_token"].as_str().is_some_and(|token| token.starts_with("kro_")));
    assert!(tokens["refresh_token"].as_str().is_some_and(|token| token.starts_with("krr_")));
    // 3. Use Access Token
    let token = server.bearing(&tokens);
    let users = token.get("/v1/users").await.expect(200);
    assert_eq!(users.ids(), [user.id.to_string()]);
    assert_eq!(token.get("/v1/users/me").await.expect(200).json()["email"], user.email);
    token.post("/v1/users", json!({ "name": "B", "email": "b@example.com", "password": "securepassword123" })).await.expect(201);
}

#[tokio::test]
async fn an_access_token_shares_the_windows_of_its_users_account() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let key = server.key_within(&[Scope::UsersRead], &[(3, 3600)]).await;
    let token = server.bearing(&server.tokens(&app, key.user(), "users:read").await);
    key.get("/v1/users").await.expect(200);
    assert_eq!(token.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 1);
    key.get("/v1/users").await.expect(200);
    assert_eq!(token.get("/v1/users").await.expect(429).error(), "rate_limit_exceeded");
}

#[tokio::test]
async fn an_expired_access_token_is_told_so() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let token = server.bearing(&server.tokens(&app, &user, "users:read").await);
    token.get("/v1/users/me").await.expect(200);
    server.advance(HOUR);
    let refused = token.get("/v1/users/me").await.expect(401);
    assert_eq!((refused.error(), refused.message()), ("token_expired".into(), "The access token has expired.".into()));
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn a_remembered_grant_is_not_asked_for_again() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    server.tokens(&app, &user, "users:read").await;
    let again = app.request(&[]);
    let again: Vec<(&str, &str)> = again.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = server.authorize(&user, &again).await.expect(302);
    let query = query_of(&sent);
    assert_eq!(query.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["code", "state", "iss"]);
    app.redeem(&query[0].1, &[]).await.expect(200);
    let wider = app.request(&[("scope", "users:read users:write")]);
    let wider: Vec<(&str, &str)> = wider.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let asked = server.authorize(&user, &wider).await.expect(200);
    assert!(asked.text.contains("create, change and delete users") && asked.text.contains(">New<"), "{}", asked.text);
}

#[tokio::test]
async fn a_public_client_is_asked_for_every_time() {
    let server = TestServer::start().await;
    let (app, user) = (server.public_app().await, server.member().await);
    for _ in 0..2 {
        let tokens = server.tokens(&app, &user, "users:read").await;
        server.bearing(&tokens).get("/v1/users").await.expect(200);
        let asked = app.request(&[("code_challenge", &"a".repeat(43)), ("code_challenge_method", "S256")]);
        let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.authorize(&user, &asked).await.expect(200);
    }
}

#[tokio::test]
async fn a_client_without_a_user_acts_for_nobody() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let issued = app.post("/oauth/token", &[("grant_type", "client_credentials"), ("scope", "read write")]).await.expect(200);
    let tokens = issued.json();
    assert!(tokens.get("refresh_token").is_none(), "{tokens}");
    let own = server.bearing(&tokens);
    own.get("/v1/users").await.expect(200);
    assert_eq!(own.get("/v1/users/me").await.expect(403).error(), "user_required");
    assert_eq!(own.post("/v1/keys", json!({ "name": "x" })).await.expect(403).error(), "user_required");
}

#[tokio::test]
async fn whoever_is_not_signed_in_comes_back_after_signing_in() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let fields = app.request(&[]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = format!("/oauth/authorize?{}", form(&fields));
    let sent = server.anonymous().header("Accept", "text/html").get(&path).await.expect(303);
    assert_eq!(sent.header("location"), format!("/sign-in?{}", form(&[("next", &path)])));
}

#[tokio::test]
async fn a_gateway_is_told_who_an_access_token_acts_for() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let passed = server.bearing(&server.tokens(&app, &user, "users:read").await).get("/v1/forward-auth").await.expect(200);
    assert_eq!(passed.header("x-keyrack-user-id"), user.id.to_string());
    assert_eq!(passed.header("x-keyrack-user-email"), user.email);
    assert_eq!((passed.header("x-keyrack-scopes"), passed.header("x-keyrack-key-id")), ("users:read", ""));
}

#[tokio::test]
async fn a_token_is_told_about_itself_like_a_key() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let own = server.bearing(&server.tokens(&app, &user, "users:read").await).get("/v1/key").await.expect(200).json();
    assert_eq!((own["name"].as_str(), own["client_id"].as_str()), (Some("Reporting Tool"), Some(app.id.as_str())));
    assert_eq!(own["scopes"], json!(["users:read"]));
    assert_eq!(own["rate_limit"]["limit"], 1000);
}
