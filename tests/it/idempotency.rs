//! Contract 5: a POST that is sent again under its `Idempotency-Key` gets the first answer, and does nothing twice.

use keyrack::model::scope::Scope::{self, KeysRead, KeysWrite, UsersRead, UsersWrite};
use serde_json::{Value, json};

use crate::support::{Client, DAY, Raw, Reply, SECOND, TestServer, until};

const MANAGES: &[Scope] = &[UsersRead, UsersWrite, KeysRead, KeysWrite];

fn charlie() -> Value {
    json!({ "name": "Charlie Chaplin", "email": "charlie@example.com", "password": "securepassword123" })
}

fn once(client: &Client, key: &str) -> Client {
    client.header("Idempotency-Key", key)
}

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == "true"
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_has_no_second_effect() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let first = once(&key, "order-1").post("/v1/users", charlie()).await.expect(201);
    assert!(!is_replay(&first) && first.headers.get("idempotent-replayed").is_none());
    let again = once(&key, "order-1").post("/v1/users", charlie()).await.expect(201);
    assert!(is_replay(&again));
    assert_eq!(again.text, first.text);
    for name in ["location", "etag", "content-type"] {
        assert!(!first.header(name).is_empty(), "{name}");
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(key.get("/v1/users").await.header("x-total-count"), "2");
    assert_eq!(again.number("x-ratelimit-remaining"), first.number("x-ratelimit-remaining") - 1, "it counts");
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    once(&key, "order-1").post("/v1/users", charlie()).await.expect(201);
    let mut other = charlie();
    other["email"] = json!("other@example.com");
    let refused = once(&key, "order-1").post("/v1/users", other.clone()).await;
    assert_eq!((refused.status, refused.error().as_str()), (422, "idempotency_key_reused"));
    once(&key, "order-2").post("/v1/users", other).await.expect(201);
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let body = json!({ "name": "CI" });
    let first = once(&key, "order-1").post("/v1/keys", body.clone()).await.expect(201).json();
    server.advance(DAY - SECOND);
    let again = once(&key, "order-1").post("/v1/keys", body.clone()).await.expect(201);
    assert_eq!((is_replay(&again), &again.json()["id"]), (true, &first["id"]));
    server.advance(SECOND);
    let anew = once(&key, "order-1").post("/v1/keys", body).await.expect(201);
    assert!(!is_replay(&anew) && anew.json()["id"] != first["id"]);
    assert!(anew.json()["secret"].is_string());
}

#[tokio::test]
async fn it_is_remembered_over_a_restart() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let first = once(&key, "order-1").post("/v1/users", charlie()).await.expect(201);
    let server = server.crash().await;
    let again = once(&key.at(&server), "order-1").post("/v1/users", charlie()).await.expect(201);
    assert!(is_replay(&again));
    assert_eq!(again.text, first.text);
}

#[tokio::test]
async fn a_replay_never_shows_a_secret() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let first = once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(201).json();
    let mut expected = first.clone();
    expected["secret"] = Value::Null;
    let again = once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
    assert_eq!(again.json(), expected);

    let rotate = format!("/v1/keys/{}/rotate", first["id"].as_str().expect("an id"));
    let rotated = once(&key, "order-2").post(&rotate, json!({})).await.expect(200).json();
    let again = once(&key, "order-2").post(&rotate, json!({})).await.expect(200);
    assert_eq!((is_replay(&again), &again.json()["secret"], &again.json()["hint"]), (true, &Value::Null, &rotated["hint"]));
    // What was rotated once works, and the one before it too: nothing was rotated a second time.
    for made in [&first, &rotated] {
        server.with_secret(made["secret"].as_str().expect("a secret")).get("/v1/key").await.expect(200);
    }
    let replaced = key.post(&rotate, json!({})).await.expect(200).json();
    assert!(replaced["secret"].is_string(), "rotating replaces a secret that was lost");
}

#[tokio::test]
async fn it_belongs_to_its_owner_and_its_route() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let same_owner = server.key_of(key.user(), MANAGES).await;
    let colleague = server.key_of(&server.colleague_of(key.user()).await, MANAGES).await;
    let body = json!({ "name": "CI" });
    let first = once(&key, "order-1").post("/v1/keys", body.clone()).await.expect(201).json();
    let again = once(&same_owner, "order-1").post("/v1/keys", body.clone()).await.expect(201);
    assert!(is_replay(&again), "another key of the same owner");
    let theirs = once(&colleague, "order-1").post("/v1/keys", body).await.expect(201);
    assert!(!is_replay(&theirs) && theirs.json()["id"] != first["id"]);
    let rotate = |id: &str| format!("/v1/keys/{id}/rotate");
    let rotated = once(&key, "order-1").post(&rotate(first["id"].as_str().expect("an id")), json!({})).await.expect(200);
    assert!(!is_replay(&rotated), "another route");
    let other = once(&key, "order-1").post(&rotate(same_owner.key_id()), json!({})).await.expect(200);
    assert!(!is_replay(&other), "another thing");
}

#[tokio::test]
async fn a_weaker_key_of_the_same_owner_does_not_get_what_its_scopes_refuse() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let reader = server.key_of(key.user(), &[UsersRead]).await;
    once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
    once(&reader, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(403);
}

#[tokio::test]
async fn while_the_first_is_worked_on_the_second_is_told_so() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let held = server.hold_writer();
    let first = tokio::spawn({
        let key = once(&key, "order-1");
        async move { key.post("/v1/keys", json!({ "name": "CI" })).await }
    });
    until("the first is worked on", || !server.app.in_progress.lock().is_empty()).await;
    let second = once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await;
    assert_eq!((second.status, second.error().as_str()), (409, "request_in_progress"));
    assert_eq!(second.header("retry-after"), "1");
    drop(held);
    let first = first.await.expect("an answer").expect(201);
    assert!(is_replay(&once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(201)));
    assert_eq!(key.get(first.header("location")).await.status, 200);
    assert!(server.app.in_progress.lock().is_empty());
}

#[tokio::test]
async fn of_many_at_once_one_has_an_effect() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let client = once(&key, "order-1");
    let all = futures_util::future::join_all((0..12).map(|_| client.post("/v1/keys", json!({ "name": "CI" })))).await;
    for reply in &all {
        assert!([201, 409].contains(&reply.status), "{}", reply.text);
    }
    let secrets = all.iter().filter(|reply| reply.status == 201 && reply.json()["secret"].is_string()).count();
    assert_eq!(secrets, 1);
    assert_eq!(key.get("/v1/keys").await.header("x-total-count"), "2");
}

#[tokio::test]
async fn a_client_that_goes_away_can_ask_again() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let body = json!({ "name": "CI" }).to_string();
    let request = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nIdempotency-Key: order-1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        key.secret(),
        body.len()
    );
    let held = server.hold_writer();
    let gone = Raw::sent(server.addr, request).await;
    until("it is worked on", || !server.app.in_progress.lock().is_empty()).await;
    drop(gone);
    until("its place is free", || server.app.in_progress.lock().is_empty()).await;
    drop(held);
    // What it asked for was on its way, and is done once, whoever waits for the answer.
    let again = once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await;
    assert!([201, 409].contains(&again.status), "{}", again.text);
    until("it is committed", || server.app.in_progress.lock().is_empty()).await;
    once(&key, "order-1").post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
    assert_eq!(key.get("/v1/keys").await.header("x-total-count"), "2");
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let other = key.post("/v1/users", charlie()).await.expect(201).header("location").to_owned();
    for _ in 0..2 {
        let refused = once(&key, "order-1").post("/v1/users", charlie()).await.expect(400);
        assert!(!is_replay(&refused));
    }
    key.delete(&other).await.expect(204);
    assert!(!is_replay(&once(&key, "order-1").post("/v1/users", charlie()).await.expect(201)));
}

#[tokio::test]
async fn a_key_has_one_to_256_characters_and_may_be_quoted() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let body = json!({ "name": "CI" });
    for wrong in ["", " ", "\"\"", &"x".repeat(257)] {
        let refused = once(&key, wrong).post("/v1/keys", body.clone()).await.expect(400);
        assert_eq!(refused.problems(), [("Idempotency-Key".into(), "invalid".into())], "{wrong:?}");
    }
    let twice = once(&once(&key, "a"), "b").post("/v1/keys", body.clone()).await.expect(400);
    assert_eq!(twice.error(), "validation_error");
    once(&key, &"x".repeat(256)).post("/v1/keys", body.clone()).await.expect(201);
    once(&key, "\"order-1\"").post("/v1/keys", body.clone()).await.expect(201);
    assert!(is_replay(&once(&key, "order-1").post("/v1/keys", body).await.expect(201)));
    assert_eq!(key.get("/v1/keys").await.header("x-total-count"), "3");
}

#[tokio::test]
async fn a_path_written_otherwise_is_the_same_route() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = key.post("/v1/keys", json!({ "name": "CI" })).await.expect(201).json();
    let id = made["id"].as_str().expect("an id");
    once(&key, "order-1").post(&format!("/v1/keys/{id}/rotate"), json!({})).await.expect(200);
    let again = once(&key, "order-1").post(&format!("/v1/%6beys/{id}/r%6ftate"), json!({})).await.expect(200);
    assert!(is_replay(&again));
}
