//! The webhooks themselves: made, changed, listed, and seen by those they belong to alone.

use serde_json::json;

use super::receiver::Receiver;
use super::{a_user, an_event, deliveries, member, path_of, server, webhook};
use crate::support::TestServer;

#[actix_web::test]
async fn a_new_webhook_shows_its_secret_once() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    assert_eq!((made["status"].as_str(), made["url"].as_str()), (Some("active"), Some(receiver.url().as_str())));
    let again = key.get(&path_of(&made)).await.expect(200);
    assert!(again.json().get("secret").is_none(), "{}", again.text);
    assert_eq!(again.json()["events"], made["events"]);
    assert_eq!(key.get("/v1/webhooks").await.json().as_array().expect("a list").len(), 1);
}

#[actix_web::test]
async fn a_secret_of_ones_own_is_taken() {
    let server = server().await;
    let key = member(&server).await;
    let body = |secret: &str| json!({ "url": "https://example.com/", "events": ["user.created"], "secret": secret });
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(key.post("/v1/webhooks", body(own)).await.expect(201).json()["secret"], own);
    let short = key.post("/v1/webhooks", body("whsec_AAAA")).await.expect(400);
    assert_eq!(short.json()["errors"][0]["field"], "secret");
}

#[actix_web::test]
async fn the_database_does_not_hold_a_secret_in_the_clear() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let secret = made["secret"].as_str().expect("a secret").trim_start_matches("whsec_").to_owned();
    let bytes = data_encoding::BASE64.decode(secret.as_bytes()).expect("base64");
    for file in std::fs::read_dir(server.data()).expect("the data").flatten() {
        let text = std::fs::read(file.path()).expect("a file");
        let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(secret.as_bytes()) && !holds(&bytes), "{}", file.path().display());
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_new_webhook_is_told_field_by_field() {
    let server = server().await;
    let key = member(&server).await;
    let refused = key.post("/v1/webhooks", json!({ "url": "nonsense", "events": ["user.create"], "x": 1 })).await.expect(400);
    let fields: Vec<String> = refused.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["field"].as_str().expect("a field").to_owned())
        .collect();
    assert_eq!(fields, ["url", "events", "x"]);
    let missing = key.post("/v1/webhooks", json!({})).await.expect(400).json();
    assert_eq!((&missing["errors"][0]["code"], &missing["errors"][1]["code"]), (&json!("required"), &json!("required")));
    let none = key.post("/v1/webhooks", json!({ "url": "https://example.com", "events": [] })).await.expect(400).json();
    assert_eq!(none["message"], "Choose at least one event.");
}

#[actix_web::test]
async fn a_creation_that_is_repeated_makes_no_second_one_and_tells_no_secret() {
    let server = server().await;
    let key = member(&server).await.header("Idempotency-Key", "once");
    let body = json!({ "url": "https://example.com/", "events": ["user.created"] });
    let first = key.post("/v1/webhooks", body.clone()).await.expect(201);
    let again = key.post("/v1/webhooks", body).await.expect(201);
    assert_eq!((again.json()["id"].as_str(), again.header("idempotent-replayed")), (first.json()["id"].as_str(), "true"));
    assert!(again.json()["secret"].is_null());
}

#[actix_web::test]
async fn a_change_meant_for_another_state_is_refused() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let tag = key.get(&path_of(&made)).await.header("etag").to_owned();
    let changed = key.header("If-Match", &tag).patch(&path_of(&made), json!({ "events": ["key.created"] })).await.expect(200);
    assert_eq!(changed.json()["events"], json!(["key.created"]));
    let late = key.header("If-Match", &tag).patch(&path_of(&made), json!({ "status": "paused" })).await;
    assert_eq!(late.status, 412);
    key.header("If-None-Match", changed.header("etag")).get(&path_of(&made)).await.expect(304);
}

#[actix_web::test]
async fn a_deleted_webhook_is_told_of_nothing() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    key.delete(&path_of(&made)).await.expect(204);
    server.deliver().await;
    assert_eq!(receiver.count(), 0);
    key.get(&path_of(&made)).await.expect(404);
}

#[actix_web::test]
async fn an_account_is_told_of_its_own_events_and_an_administrator_of_all() {
    let server = server().await;
    let (mine, theirs, all) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let (me, them, admin) = (member(&server).await, member(&server).await, server.admin().await);
    webhook(&me, &mine).await;
    webhook(&them, &theirs).await;
    let of_all = webhook(&admin, &all).await;
    assert!(of_all["account_id"].is_null());
    let user = a_user(&me, "Grace").await;
    server.deliver().await;
    let told = mine.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].json()["data"], user);
    assert_eq!(theirs.count(), 0);
    assert_eq!(all.take()[0].id(), told[0].id(), "one event, told to both");
    me.get(&path_of(&of_all)).await.expect(404);
}

#[actix_web::test]
async fn an_administrator_may_listen_to_one_account_and_a_member_to_no_other() {
    let server = server().await;
    let (admin, key, receiver) = (server.admin().await, member(&server).await, Receiver::start().await);
    let account = key.user().account_id.to_string();
    let body = json!({ "url": receiver.url(), "events": ["user.created"], "account_id": account });
    let made = admin.post("/v1/webhooks", body.clone()).await.expect(201).json();
    assert_eq!(made["account_id"], account);
    assert_eq!(member(&server).await.post("/v1/webhooks", body).await.expect(403).error(), "insufficient_scope");
    an_event(&server, &admin).await;
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!(receiver.count(), 1);
    key.get(&path_of(&made)).await.expect(200);
}

#[actix_web::test]
async fn nothing_is_stored_where_nobody_listens() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    key.post("/v1/webhooks", json!({ "url": receiver.url(), "events": ["key.rotated"] })).await.expect(201);
    an_event(&server, &key).await;
    let db = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let stored: i64 = db.query_row("SELECT count(*) FROM webhook_events", [], |row| row.get(0)).expect("a count");
    assert_eq!(stored, 0);
}

#[actix_web::test]
async fn a_paused_webhook_is_told_when_it_goes_on() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    key.patch(&path_of(&made), json!({ "status": "paused" })).await.expect(200);
    an_event(&server, &key).await;
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!(receiver.count(), 0);
    key.patch(&path_of(&made), json!({ "status": "active" })).await.expect(200);
    server.deliver().await;
    assert_eq!(receiver.count(), 2);
    assert_eq!(key.patch(&path_of(&made), json!({ "status": "disabled" })).await.status, 400);
}

#[actix_web::test]
async fn an_account_has_a_bounded_number_of_them() {
    let server = TestServer::start().await;
    let key = member(&server).await;
    server.set_windows(&key, &[(1000, 60)]).await;
    let body = json!({ "url": "https://hooks.example.com/", "events": ["user.created"] });
    for _ in 0..50 {
        key.post("/v1/webhooks", body.clone()).await.expect(201);
    }
    assert_eq!(key.post("/v1/webhooks", body).await.expect(400).json()["errors"][0]["code"], "too_many");
}

#[actix_web::test]
async fn deliveries_are_listed_by_how_they_ended() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    server.deliver().await;
    receiver.fails();
    an_event(&server, &key).await;
    server.deliver().await;
    let all = deliveries(&key, &made).await;
    assert_eq!((all[0]["status"].as_str(), all[1]["status"].as_str()), (Some("delivered"), Some("pending")));
    assert_eq!((all[1]["response_code"].as_u64(), all[1]["attempts"].as_u64()), (Some(500), Some(1)));
    let pending = key.get(&format!("{}/deliveries?status=pending", path_of(&made))).await.expect(200).json();
    assert_eq!(pending.as_array().expect("a list").len(), 1);
    let one = key.get(&format!("/v1/webhooks/deliveries/{}", all[1]["id"].as_str().expect("an id"))).await.expect(200).json();
    assert_eq!(one["log"][0]["response"]["excerpt"], "broken");
    assert_eq!(one["log"][0]["request"]["headers"]["webhook-id"], all[1]["event_id"]);
    assert_eq!(one["body"].as_str().map(|body| body.contains("user.created")), Some(true));
}
