//! What one client, user or key may not do with what belongs to another.

use keyrack::model::AppError;
use keyrack::model::caller::Caller;
use keyrack::model::name::Name;
use keyrack::model::revision::IfMatch;
use keyrack::model::scope::Scope;
use keyrack::model::user::{Role, UserChanges};
use keyrack::services::{self, credentials};

use crate::support::TestServer;

#[tokio::test]
async fn grants_are_seen_and_ended_within_the_account_alone() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let key = server.key(&[Scope::KeysRead, Scope::KeysWrite]).await;
    let stranger = server.key(&[Scope::KeysRead, Scope::KeysWrite]).await;
    let tokens = server.tokens(&app, key.user(), "users:read").await;
    let grants = key.get("/oauth/grants").await.expect(200);
    let id = grants.ids().pop().expect("a grant");
    assert_eq!(grants.json()[0]["client_name"], "Reporting Tool");
    assert_eq!(stranger.get("/oauth/grants").await.expect(200).text, "[]");
    stranger.delete(&format!("/oauth/grants/{id}")).await.expect(404);
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    key.delete(&format!("/oauth/grants/{id}")).await.expect(204);
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    key.delete(&format!("/oauth/grants/{id}")).await.expect(404);
    assert_eq!(server.admin().await.get("/oauth/grants").await.expect(200).text, "[]");
}

#[tokio::test]
async fn nobody_ends_what_an_administrator_allowed_with_less_than_admin() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let member = server.key(&[Scope::KeysRead, Scope::KeysWrite]).await;
    let admin = server.user_in(member.user().account_id, Role::Admin).await;
    server.tokens(&app, &admin, "users:read").await;
    let id = member.get("/oauth/grants").await.expect(200).ids().pop().expect("a grant");
    assert_eq!(member.delete(&format!("/oauth/grants/{id}")).await.expect(403).error(), "insufficient_scope");
}

#[tokio::test]
async fn a_token_makes_no_key_that_may_do_more_than_it() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let token = server.bearing(&server.tokens(&app, &user, "keys:write").await);
    let body = serde_json::json!({ "name": "more", "scopes": ["users:write"] });
    assert_eq!(token.post("/v1/keys", body).await.expect(403).error(), "insufficient_scope");
}

#[tokio::test]
async fn no_other_secret_of_oauth_opens_the_api() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    let tokens = server.tokens(&app, &user, "users:read").await;
    for secret in [app.secret.as_deref().expect("a secret"), &code, tokens["refresh_token"].as_str().expect("a token")] {
        assert_eq!(server.with_secret(secret).get("/v1/users").await.expect(401).error(), "invalid_api_key");
    }
    let token = tokens["access_token"].as_str().expect("a token");
    server.anonymous().get(&format!("/v1/users?access_token={token}")).await.expect(401);
}

#[tokio::test]
async fn a_token_that_ends_while_its_change_waits_changes_nothing() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "write").await;
    let token = tokens["access_token"].as_str().expect("a token");
    // As admission let it in.
    let found = credentials::authenticate(&server.app, token, server.clock.both()).expect("works");
    let caller = credentials::caller(&found, [127, 0, 0, 1].into(), "req".into());
    let rename = async |caller: &Caller| {
        let changes = UserChanges { name: Name::parse("Eve").ok(), ..Default::default() };
        services::users::update(&server.app, caller, user.id, changes, IfMatch::ANY).await
    };
    rename(&caller).await.expect("it may");
    app.post("/oauth/revoke", &[("token", token)]).await.expect(200);
    assert!(matches!(rename(&caller).await, Err(AppError::InvalidApiKey)));
}
