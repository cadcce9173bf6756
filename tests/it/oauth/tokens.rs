//! The lives of codes and tokens: what is good once, and what ends what.

use keyrack::model::caller::Caller;
use keyrack::model::ids::ClientId;
use keyrack::model::revision::IfMatch;
use keyrack::model::scope::{Scope, ScopeSet};
use keyrack::model::user::{Password, Role, UserChanges, UserStatus};
use keyrack::services;

use serde_json::json;

use crate::support::{DAY, HOUR, OauthApp, SECOND, TestServer};

#[tokio::test]
async fn of_fifty_parallel_redemptions_of_a_code_one_succeeds() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    let tries = futures_util::future::join_all((0..50).map(|_| app.redeem(&code, &[]))).await;
    let mut statuses: Vec<u16> = tries.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses.iter().filter(|status| **status == 400).count()), (200, 49), "{statuses:?}");
}

#[tokio::test]
async fn of_fifty_parallel_uses_of_a_refresh_token_two_succeed_at_most() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let tries = futures_util::future::join_all((0..50).map(|_| app.refresh(&tokens))).await;
    assert_eq!(tries.iter().filter(|reply| reply.status == 200).count(), 2, "one, and one in the grace");
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_it_gave() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let other = server.tokens(&app, &user, "users:read").await;
    let code = server.code(&app, &user, &[]).await;
    let tokens = app.redeem(&code, &[]).await.expect(200).json();
    let refreshed = app.refresh(&tokens).await.expect(200).json();
    for tokens in [&tokens, &refreshed] {
        server.bearing(tokens).get("/v1/users").await.expect(200);
    }
    assert_eq!(app.redeem(&code, &[]).await.expect(400).error(), "invalid_grant");
    for tokens in [&tokens, &refreshed] {
        assert_eq!(server.bearing(tokens).get("/v1/users").await.expect(401).error(), "invalid_api_key");
        assert_eq!(app.refresh(tokens).await.expect(400).error(), "invalid_grant");
    }
    server.bearing(&other).get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_replay_that_would_have_failed_ends_nothing() {
    let server = TestServer::start().await;
    let (app, thief, user) = (server.oauth_app().await, server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    let tokens = app.redeem(&code, &[]).await.expect(200).json();
    thief.redeem(&code, &[]).await.expect(400);
    app.redeem(&code, &[("redirect_uri", "https://app.example.com/other")]).await.expect(400);
    app.redeem(&code, &[("code_verifier", &"x".repeat(43))]).await.expect(400);
    server.bearing(&tokens).get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_code_ends_after_a_minute() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    server.advance(60 * SECOND);
    assert_eq!(app.redeem(&code, &[]).await.expect(400).error(), "invalid_grant");
}

#[tokio::test]
async fn a_failed_try_uses_the_code_up() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    app.redeem(&code, &[("redirect_uri", "https://evil.example/")]).await.expect(400);
    app.redeem(&code, &[]).await.expect(400);
}

#[tokio::test]
async fn another_client_gets_nothing_for_a_code_and_takes_nothing_from_it() {
    let server = TestServer::start().await;
    let (app, thief, user) = (server.oauth_app().await, server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    assert_eq!(thief.redeem(&code, &[]).await.expect(400).error(), "invalid_grant");
    app.redeem(&code, &[]).await.expect(200);
}

#[tokio::test]
async fn an_answer_that_was_lost_may_be_asked_for_once_more() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let lost = app.refresh(&tokens).await.expect(200).json();
    server.advance(9 * SECOND);
    let again = app.refresh(&tokens).await.expect(200).json();
    for tokens in [&lost, &again] {
        server.bearing(tokens).get("/v1/users").await.expect(200);
    }
    app.refresh(&again).await.expect(200);
    app.refresh(&tokens).await.expect(400);
    server.bearing(&again).get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn an_answer_that_arrived_may_not_be_asked_for_again() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let second = app.refresh(&tokens).await.expect(200).json();
    let third = app.refresh(&second).await.expect(200).json();
    app.refresh(&tokens).await.expect(400);
    server.bearing(&third).get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_the_grant() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let key = server.key_of(&user, &[Scope::KeysRead]).await;
    let tokens = server.tokens(&app, &user, "users:read").await;
    let second = app.refresh(&tokens).await.expect(200).json();
    server.advance(10 * SECOND);
    assert_eq!(app.refresh(&tokens).await.expect(400).error(), "invalid_grant");
    server.bearing(&second).get("/v1/users").await.expect(401);
    app.refresh(&second).await.expect(400);
    assert_eq!(key.get("/oauth/grants").await.expect(200).text, "[]");
    assert_eq!(last_reason(&server).await, "reuse");
}

/// Of the latest grant that ended.
async fn last_reason(server: &TestServer) -> String {
    let conn = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let sql = "SELECT diff FROM audit_events WHERE action = 'oauth.grant.revoked' ORDER BY seq DESC LIMIT 1";
    let diff: String = conn.query_row(sql, [], |row| row.get(0)).expect("an event");
    let diff: serde_json::Value = serde_json::from_str(&diff).expect("json");
    diff["reason"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn an_idle_refresh_token_ends_and_a_used_one_does_too_in_the_end() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let idle = server.tokens(&app, &user, "users:read").await;
    let mut used = server.tokens(&app, &user, "users:read").await;
    for _ in 0..3 {
        server.advance(29 * DAY);
        used = app.refresh(&used).await.expect(200).json();
    }
    assert_eq!(app.refresh(&idle).await.expect(400).error(), "invalid_grant");
    server.advance(3 * DAY);
    assert_eq!(app.refresh(&used).await.expect(400).error(), "invalid_grant", "90 days are over");
}

#[tokio::test]
async fn disabling_a_user_stops_their_tokens_and_enabling_brings_them_back() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let code = server.code(&app, &user, &[]).await;
    let token = server.bearing(&tokens);
    token.get("/v1/users").await.expect(200);
    server.set_status(&user, UserStatus::Disabled).await;
    assert_eq!(token.get("/v1/users").await.expect(401).error(), "invalid_api_key");
    app.refresh(&tokens).await.expect(400);
    app.redeem(&code, &[]).await.expect(400);
    assert_eq!(app.introspect(&tokens["access_token"]).await["active"], false);
    assert_eq!(app.introspect(&tokens["refresh_token"]).await["active"], false);
    server.set_status(&user, UserStatus::Active).await;
    token.get("/v1/users").await.expect(200);
    app.refresh(&tokens).await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_what_the_user_allowed() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let code = server.code(&app, &user, &[]).await;
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    let changes = UserChanges { password: Some(Password::typed("another long password")), ..Default::default() };
    services::users::update(&server.app, &Caller::command_line(), user.id, changes, IfMatch::ANY).await.expect("changes");
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    app.refresh(&tokens).await.expect(400);
    app.redeem(&code, &[]).await.expect(400);
    assert_eq!(last_reason(&server).await, "password_changed");
}

#[tokio::test]
async fn deleting_a_user_ends_what_they_allowed() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    server.admin().await.delete(&format!("/v1/users/{}", user.id)).await.expect(204);
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    app.refresh(&tokens).await.expect(400);
    assert_eq!(last_reason(&server).await, "user_deleted");
}

fn id_of(app: &OauthApp) -> ClientId {
    ClientId::parse(&app.id).expect("an id")
}

#[tokio::test]
async fn deleting_a_client_ends_everything_at_once() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let own = app.post("/oauth/token", &[("grant_type", "client_credentials")]).await.expect(200).json();
    for tokens in [&tokens, &own] {
        server.bearing(tokens).get("/v1/users").await.expect(200);
    }
    services::oauth_clients::delete(&server.app, &Caller::command_line(), id_of(&app)).await.expect("deletes");
    for tokens in [&tokens, &own] {
        server.bearing(tokens).get("/v1/users").await.expect(401);
    }
    assert_eq!(app.refresh(&tokens).await.expect(401).error(), "invalid_client");
    assert_eq!(last_reason(&server).await, "client_deleted");
}

#[tokio::test]
async fn an_administrators_clients_own_access_is_ended_by_no_member() {
    let server = TestServer::start().await;
    let account = server.account("Shared").await;
    let (owner, member) = (server.user_in(account, Role::Admin).await, server.user_in(account, Role::Member).await);
    let app = server.oauth_app_with(|new| new.user_id = Some(owner.id)).await;
    let own = app.post("/oauth/token", &[("grant_type", "client_credentials")]).await.expect(200).json();
    let key = server.key_of(&member, &[Scope::KeysRead, Scope::KeysWrite]).await;
    let grant = key.get("/oauth/grants").await.expect(200).json()[0]["id"].as_str().expect("a grant").to_owned();
    key.delete(&format!("/oauth/grants/{grant}")).await.expect(403);
    server.bearing(&own).get("/v1/users").await.expect(200);
    server.key_of(&owner, &[Scope::Admin]).await.delete(&format!("/oauth/grants/{grant}")).await.expect(204);
    server.bearing(&own).get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn a_token_that_acts_for_nobody_says_where_a_new_user_belongs() {
    let server = TestServer::start().await;
    let app = server.oauth_app_with(|new| new.scopes = ScopeSet::of(&[Scope::Admin]).into()).await;
    let asked = [("grant_type", "client_credentials"), ("scope", "admin")];
    let token = server.bearing(&app.post("/oauth/token", &asked).await.expect(200).json());
    let mut new = json!({ "name": "Ada", "email": "ada@example.com", "password": "securepassword123" });
    let refused = token.post("/v1/users", new.clone()).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "account_id");
    let account = server.account("Team").await.to_string();
    new["account_id"] = json!(account);
    let made = token.post("/v1/users", new).await.expect(201).json();
    assert_eq!(made["account_id"], account);
}

#[tokio::test]
async fn narrower_scopes_of_a_client_or_user_hold_at_once() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let token = server.bearing(&server.tokens(&app, &user, "read write").await);
    token.get("/v1/keys").await.expect(200);
    let changes = keyrack::model::oauth_client::ClientChanges {
        scopes: Some(ScopeSet::of(&[Scope::UsersRead]).into()),
        ..Default::default()
    };
    services::oauth_clients::update(&server.app, &Caller::command_line(), id_of(&app), changes).await.expect("changes");
    assert_eq!(token.get("/v1/keys").await.expect(403).error(), "insufficient_scope");
    token.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_rotated_client_secret_works_until_its_overlap_ends() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let overlap = keyrack::model::api_key::Overlap::new(HOUR).expect("an overlap");
    let rotated = services::oauth_clients::rotate(&server.app, &Caller::command_line(), id_of(&app), overlap).await;
    let (_, secret) = rotated.expect("rotates");
    let new = OauthApp {
        secret: Some(secret.expose().to_owned()),
        id: app.id.clone(),
        redirect_uri: String::new(),
        http: server.anonymous(),
    };
    for app in [&app, &new] {
        app.post("/oauth/token", &[("grant_type", "client_credentials")]).await.expect(200);
    }
    server.advance(HOUR);
    assert_eq!(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await.expect(401).error(), "invalid_client");
    new.post("/oauth/token", &[("grant_type", "client_credentials")]).await.expect(200);
}

#[tokio::test]
async fn a_leaked_access_token_may_be_reported_by_whoever_finds_it() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let body = serde_json::json!({ "key": tokens["access_token"] });
    server.anonymous().post("/v1/keys/report", body).await.expect(204);
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    app.refresh(&tokens).await.expect(200);
}

#[tokio::test]
async fn what_has_ended_is_swept_away_after_a_while() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    server.advance(8 * DAY);
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    assert_eq!(server.bearing(&tokens).get("/v1/users").await.expect(401).error(), "invalid_api_key", "nobody knows it any more");
    app.refresh(&tokens).await.expect(200);
}

#[tokio::test]
async fn no_secret_of_oauth_is_in_the_database() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let code = server.code(&app, &user, &[]).await;
    let tokens = server.tokens(&app, &user, "users:read").await;
    for name in ["keyrack.db", "keyrack.db-wal"] {
        let bytes = std::fs::read(server.data().join(name)).expect("the file");
        for secret in [&code, app.secret.as_ref().expect("a secret"), tokens["access_token"].as_str().expect("a token")] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{name}");
        }
    }
}
