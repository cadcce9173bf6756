//! Authority is what it is when a change is made, not when its request began; and nobody's keys make them somebody else.

use keyrack::model::scope::Scope::{Admin, KeysRead, KeysWrite, UsersRead, UsersWrite};
use keyrack::model::user::Role;
use serde_json::json;

use crate::support::{Raw, TestServer, until};

/// The head of a request, and a body that is still to come.
async fn begun(server: &TestServer, secret: &str, path: &str, body: &str) -> Raw {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    let raw = Raw::sent(server.addr, head).await;
    until("its body is awaited", || server.app.in_flight.arriving_count() == 1).await;
    raw
}

#[tokio::test]
async fn a_key_revoked_while_its_request_is_under_way_changes_nothing_more() {
    let server = TestServer::start().await;
    let (admin, key) = (server.admin().await, server.key(&[KeysWrite, UsersRead]).await);
    let body = json!({ "name": "late", "scopes": ["users:read"] }).to_string();
    let mut late = begun(&server, key.secret(), "/v1/keys", &body).await;
    admin.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
    late.send(body).await;
    assert_eq!(late.reply().await.expect("an answer").status, 401);
    let keys = admin.get("/v1/keys?q=late").await.expect(200).json();
    assert_eq!(keys, json!([]));
}

#[tokio::test]
async fn a_member_gets_no_key_of_an_administrator_and_handles_none() {
    let server = TestServer::start().await;
    let account = server.account("Team").await;
    let (admin, member) = (server.user_in(account, Role::Admin).await, server.user_in(account, Role::Member).await);
    let of_admin = server.key_of(&admin, &[UsersRead]).await;
    let key = server.key_of(&member, &[KeysRead, KeysWrite, UsersRead]).await;
    let path = format!("/v1/keys/{}", of_admin.key_id());

    let made = key.post("/v1/keys", json!({ "name": "Made", "user_id": admin.id.to_string() })).await.expect(403);
    assert_eq!((made.error().as_str(), &made.json()["required_scope"]), ("insufficient_scope", &json!("admin")));
    key.post(&format!("{path}/rotate"), json!({ "overlap": "0s" })).await.expect(403);
    key.patch(&path, json!({ "enabled": false })).await.expect(403);
    key.delete(&path).await.expect(403);
    of_admin.get("/v1/users/me").await.expect(200);
    // An administrator's own key, of whatever scopes, handles that administrator's keys.
    let own = server.key_of(&admin, &[KeysWrite, UsersRead]).await;
    own.post(&format!("{path}/rotate"), json!({ "overlap": "0s" })).await.expect(200);
}

#[tokio::test]
async fn a_change_that_gives_a_key_nothing_needs_none_of_its_scopes() {
    let server = TestServer::start().await;
    let account = server.account("Team").await;
    let member = server.user_in(account, Role::Member).await;
    let (key, other) = (server.key_of(&member, &[KeysWrite]).await, server.key_of(&member, &[UsersRead]).await);
    let path = format!("/v1/keys/{}", other.key_id());
    key.patch(&path, json!({ "name": "Renamed", "enabled": false })).await.expect(200);
    key.patch(&path, json!({ "enabled": true })).await.expect(403);
}

#[tokio::test]
async fn a_secret_that_has_ended_ends_nothing() {
    let server = TestServer::start().await;
    let (admin, key) = (server.admin().await, server.key(&[UsersRead]).await);
    let rotated = admin.post(&format!("/v1/keys/{}/rotate", key.key_id()), json!({ "overlap": "1h" })).await.expect(200).json();
    server.advance(crate::support::HOUR);
    key.get("/v1/users/me").await.expect(401);
    server.anonymous().post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    server.with_secret(rotated["secret"].as_str().expect("a secret")).get("/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn a_change_that_changes_nothing_leaves_the_etag() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite, KeysRead, KeysWrite]).await;
    for path in [format!("/v1/users/{}", key.user().id), format!("/v1/keys/{}", key.key_id())] {
        let before = key.get(&path).await.expect(200).json();
        let same = key.patch(&path, json!({ "name": before["name"] })).await.expect(200);
        key.patch(&path, json!({})).await.expect(200);
        assert_eq!(same.header("etag").split('-').next(), key.get(&path).await.header("etag").split('-').next(), "{path}");
        assert_eq!(key.get(&path).await.json()["updated_at"], before["updated_at"], "{path}");
    }
}

#[tokio::test]
async fn no_key_is_made_that_could_not_work() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let member = server.user_in(server.account("Team").await, Role::Member).await;
    admin.patch(&format!("/v1/users/{}", member.id), json!({ "status": "disabled" })).await.expect(200);
    let refused = admin.post("/v1/keys", json!({ "name": "Made", "user_id": member.id.to_string() })).await.expect(400);
    assert_eq!(refused.json()["errors"][0]["field"], "user_id");
}

#[tokio::test]
async fn the_role_is_not_for_members_to_name_even_when_it_is_their_own() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersWrite]).await;
    let body = json!({ "name": "Ada", "email": "ada@example.com", "password": "securepassword123", "role": "member" });
    assert_eq!(key.post("/v1/users", body.clone()).await.expect(403).json()["required_scope"], Admin.name());
    server.admin().await.post("/v1/users", body).await.expect(201);
}
