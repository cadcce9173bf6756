//! Contract 6: a key's secrets come and go while the key stays.

use keyrack::model::scope::Scope::{self, KeysRead, KeysWrite, UsersRead, UsersWrite};
use serde_json::{Value, json};

use crate::support::{Client, DAY, HOUR, MINUTE, SECOND, TestServer};

const MANAGES: &[Scope] = &[UsersRead, KeysRead, KeysWrite];

/// A key under management: who manages it, where it is, and the client that uses it.
struct Managed {
    server: TestServer,
    manager: Client,
    path: String,
    user: Client,
}

impl Managed {
    async fn key(body: Value) -> Self {
        let server = TestServer::start().await;
        let manager = server.key(MANAGES).await;
        let mut named = json!({ "name": "CI" });
        named.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        let made = manager.post("/v1/keys", named).await.expect(201);
        let user = server.with_secret(made.json()["secret"].as_str().expect("a secret"));
        Self { path: made.header("location").to_owned(), server, manager, user }
    }

    async fn rotate(&self, body: Value) -> (Value, Client) {
        let rotated = self.manager.post(&format!("{}/rotate", self.path), body).await.expect(200).json();
        let client = self.server.with_secret(rotated["secret"].as_str().expect("a secret"));
        (rotated, client)
    }

    async fn refused(&self, body: Value) -> crate::support::Reply {
        self.manager.post(&format!("{}/rotate", self.path), body).await
    }

    async fn shown(&self) -> Value {
        self.manager.get(&self.path).await.expect(200).json()
    }
}

#[tokio::test]
async fn both_secrets_work_for_a_day_unless_said_otherwise() {
    let key = Managed::key(json!({})).await;
    let before = key.shown().await;
    let (rotated, new) = key.rotate(json!({})).await;
    assert_eq!(rotated["status"], "rotating");
    assert_eq!(
        rotated["rotation"],
        json!({ "old_hint": before["hint"], "old_expires_at": "2026-11-23T10:00:00Z", "old_last_used_at": null })
    );
    key.server.advance(DAY - SECOND);
    for client in [&key.user, &new] {
        client.get("/v1/users").await.expect(200);
    }
    key.server.advance(SECOND);
    assert_eq!(key.user.get("/v1/users").await.expect(401).error(), "invalid_api_key");
    new.get("/v1/users").await.expect(200);
    assert_eq!(key.shown().await["rotation"], Value::Null);
}

#[tokio::test]
async fn a_key_stays_what_it_was_but_for_its_secret() {
    let key = Managed::key(json!({
        "scopes": ["users:read", "keys:read"], "expires_in": "90d", "ip_allow": ["127.0.0.1"],
        "windows": [{ "limit": 10, "seconds": 60 }], "metadata": { "team": "build" },
    }))
    .await;
    key.user.get("/v1/users").await.expect(200);
    key.server.flush().await;
    let before = key.shown().await;
    let (mut rotated, new) = key.rotate(json!({ "overlap": "1h" })).await;
    assert_eq!(new.get("/v1/users").await.expect(200).number("ratelimit-remaining"), 8, "the windows go on");
    assert_ne!(rotated["hint"], before["hint"]);
    for changed in ["hint", "rotation", "status"] {
        rotated[changed] = before[changed].clone();
    }
    rotated.as_object_mut().expect("an object").remove("secret");
    assert_eq!(rotated, before);
}

#[tokio::test]
async fn without_an_overlap_the_old_secret_ends_at_once() {
    let key = Managed::key(json!({})).await;
    key.user.get("/v1/users").await.expect(200);
    let (rotated, new) = key.rotate(json!({ "overlap": "0s" })).await;
    assert_eq!((&rotated["status"], &rotated["rotation"]), (&json!("active"), &Value::Null));
    key.user.get("/v1/users").await.expect(401);
    new.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn the_old_secret_never_outlives_the_key() {
    let key = Managed::key(json!({ "expires_in": "1h" })).await;
    let (rotated, new) = key.rotate(json!({ "overlap": "24h" })).await;
    assert_eq!(rotated["rotation"]["old_expires_at"], rotated["expires_at"]);
    key.server.advance(HOUR);
    for client in [&key.user, &new] {
        assert_eq!(client.get("/v1/users").await.expect(401).error(), "expired_api_key");
    }
}

#[tokio::test]
async fn shortening_the_keys_life_shortens_the_overlap_and_lengthening_it_does_not() {
    let key = Managed::key(json!({ "expires_in": "10d" })).await;
    key.rotate(json!({ "overlap": "5d" })).await;
    key.manager.patch(&key.path, json!({ "expires_in": "1d" })).await.expect(200);
    assert_eq!(key.shown().await["rotation"]["old_expires_at"], "2026-11-23T10:00:00Z");
    key.manager.patch(&key.path, json!({ "expires_at": null })).await.expect(200);
    assert_eq!(key.shown().await["rotation"]["old_expires_at"], "2026-11-23T10:00:00Z");
    key.server.advance(DAY);
    key.user.get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn a_second_rotation_ends_the_oldest_at_once() {
    let key = Managed::key(json!({})).await;
    let (_, second) = key.rotate(json!({})).await;
    let (_, third) = key.rotate(json!({})).await;
    key.user.get("/v1/users").await.expect(401);
    second.get("/v1/users").await.expect(200);
    third.get("/v1/users").await.expect(200);
    let (_, fourth) = key.rotate(json!({ "overlap": "0s" })).await;
    for ended in [&key.user, &second, &third] {
        ended.get("/v1/users").await.expect(401);
    }
    fourth.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn an_overlap_is_a_duration_of_thirty_days_at_most() {
    let key = Managed::key(json!({})).await;
    for (overlap, code) in [
        (json!("31d"), "out_of_range"),
        (json!("721h"), "out_of_range"),
        (json!("1w"), "invalid_duration"),
        (json!("-1h"), "invalid_duration"),
        (json!(24), "wrong_type"),
        (json!(null), "wrong_type"),
    ] {
        let refused = key.refused(json!({ "overlap": overlap })).await.expect(400);
        assert_eq!(refused.problems(), [("overlap".into(), code.into())], "{overlap}");
    }
    assert_eq!(key.shown().await["rotation"], Value::Null, "nothing was rotated");
    key.rotate(json!({ "overlap": "30d" })).await;
}

#[tokio::test]
async fn an_expired_key_is_not_rotated_until_it_lives_again() {
    let key = Managed::key(json!({ "expires_in": "1m" })).await;
    key.server.advance(MINUTE);
    let refused = key.refused(json!({})).await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "key_expired"));
    key.manager.patch(&key.path, json!({ "expires_in": "1d" })).await.expect(200);
    key.rotate(json!({})).await.1.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn revoking_and_disabling_end_both_secrets() {
    let key = Managed::key(json!({})).await;
    let (_, new) = key.rotate(json!({})).await;
    let both = async |status: u16| {
        key.user.get("/v1/users").await.expect(status);
        new.get("/v1/users").await.expect(status);
    };
    both(200).await;
    key.manager.patch(&key.path, json!({ "enabled": false })).await.expect(200);
    both(401).await;
    key.manager.patch(&key.path, json!({ "enabled": true })).await.expect(200);
    both(200).await;
    key.manager.delete(&key.path).await.expect(204);
    both(401).await;
    assert_eq!(key.shown().await["rotation"], Value::Null);
}

#[tokio::test]
async fn nobody_gets_a_new_secret_of_a_key_that_may_do_more_than_theirs() {
    let server = TestServer::start().await;
    let strong = server.key(&[UsersRead, UsersWrite, KeysWrite]).await;
    let weak = server.key_of(strong.user(), &[KeysRead, KeysWrite]).await;
    let refused = weak.post(&format!("/v1/keys/{}/rotate", strong.key_id()), json!({})).await.expect(403);
    assert_eq!(
        (refused.error().as_str(), &refused.json()["required_scope"]),
        ("insufficient_scope", &json!("users:read users:write"))
    );
    strong.get("/v1/users").await.expect(200);
    assert!(weak.get(&format!("/v1/keys/{}", strong.key_id())).await.json()["rotation"].is_null());
}

#[tokio::test]
async fn a_key_can_rotate_itself() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let rotated = key.post(&format!("/v1/keys/{}/rotate", key.key_id()), json!({ "overlap": "0s" })).await.expect(200).json();
    key.get("/v1/key").await.expect(401);
    server.with_secret(rotated["secret"].as_str().expect("a secret")).get("/v1/key").await.expect(200);
}

#[tokio::test]
async fn uses_of_the_old_secret_are_told_apart() {
    let key = Managed::key(json!({})).await;
    let (_, new) = key.rotate(json!({})).await;
    key.server.advance(MINUTE);
    key.user.get("/v1/users").await.expect(200);
    key.server.flush().await;
    key.server.advance(MINUTE);
    new.get("/v1/users").await.expect(200);
    key.server.flush().await;
    let shown = key.shown().await;
    assert_eq!(shown["rotation"]["old_last_used_at"], "2026-11-22T10:01:00Z");
    assert_eq!(shown["last_used_at"], "2026-11-22T10:02:00Z");
}

#[tokio::test]
async fn of_two_rotations_at_once_one_secret_is_active_and_the_other_the_older_one() {
    let key = Managed::key(json!({})).await;
    let ((_, one), (_, other)) = futures_util::future::join(key.rotate(json!({})), key.rotate(json!({}))).await;
    one.get("/v1/users").await.expect(200);
    other.get("/v1/users").await.expect(200);
    key.user.get("/v1/users").await.expect(401);
}

#[actix_web::test]
async fn the_page_counts_the_requests_of_each_secret_since_the_rotation() {
    let key = Managed::key(json!({})).await;
    key.user.get("/v1/users").await.expect(200);
    key.server.flush().await;
    key.server.advance(MINUTE);
    let (_, new) = key.rotate(json!({})).await;
    let admin = key.server.admin().await;
    let browser = key.server.browser(admin.user()).await;
    let page = key.path.replace("/v1/keys", "/admin/keys");
    assert!(browser.get(&page).await.expect(200).text.contains("Not used since the rotation"));
    key.server.advance(MINUTE);
    for client in [&key.user, &key.user, &new] {
        client.get("/v1/users").await.expect(200);
    }
    key.server.flush().await;
    let text = browser.get(&page).await.expect(200).text;
    assert!(text.contains("2 requests since the rotation") && text.contains("1 request since. Last used"), "{text}");
}
