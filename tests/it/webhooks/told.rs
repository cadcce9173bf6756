//! What is told: each event with the thing as the API answers it, signed so that the published library verifies it.

use keyrack::model::audit_event::Happening;
use keyrack::model::caller::Caller;
use keyrack::model::user::{NewUser, Password, Role};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::receiver::{Received, Receiver};
use super::{a_user, an_event, deliveries, member, path_of, server, webhook};
use crate::sessions::{Browser, PASSWORD};
use crate::support::{DAY, HOUR, SECOND};

/// Whether one of the signatures is the one that the published library makes. (Its `verify` looks at the real time; the
/// tests of published clients run that.)
fn accepts(secret: &Value, received: &Received, body: &str) -> bool {
    let library = Webhook::new(secret.as_str().expect("a secret")).expect("a secret of the standard");
    let at = received.header("webhook-timestamp").parse().expect("seconds");
    let expected = library.sign(received.id(), at, body.as_bytes()).expect("signs");
    received.header("webhook-signature").split(' ').any(|signature| signature == expected)
}

#[actix_web::test]
async fn the_published_library_accepts_a_message_and_refuses_a_changed_one() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    server.deliver().await;
    let told = receiver.take().remove(0);
    assert!(accepts(&made["secret"], &told, &told.body));
    assert!(!accepts(&made["secret"], &told, &told.body.replace("Ada", "Eve")));
    let mut later = told.clone();
    later.headers.insert("webhook-timestamp".into(), "1795341601".into());
    assert!(!accepts(&made["secret"], &later, &told.body));
    assert_eq!(told.header("webhook-timestamp"), server.clock.now().seconds().to_string());
    assert_eq!((told.path.as_str(), told.header("content-type")), ("/hook", "application/json"));
    assert_eq!(told.header("host"), format!("127.0.0.1:{}", receiver.port));
}

#[actix_web::test]
async fn every_change_is_told_with_the_thing_as_the_api_answers_it() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    let told = async |kind: &str, thing: &Value| {
        server.deliver().await;
        let told = receiver.take();
        assert_eq!(told.iter().map(Received::kind).collect::<Vec<_>>(), [kind]);
        let body = told[0].json();
        assert_eq!((&body["data"], body["id"].as_str()), (thing, Some(told[0].id())));
        let fields: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["id", "type", "created_at", "data"]);
        assert_eq!(body["created_at"], server.clock.now().to_string());
        assert!(!told[0].body.contains("secret") && !told[0].body.contains("password"), "{}", told[0].body);
    };
    let user = a_user(&key, "Grace").await;
    told("user.created", &user).await;
    let path = format!("/v1/users/{}", user["id"].as_str().expect("an id"));
    let user = key.patch(&path, json!({ "name": "Grace Hopper" })).await.expect(200).json();
    told("user.updated", &user).await;
    let without_secret = |mut key: Value| {
        key.as_object_mut().expect("a key").remove("secret");
        key
    };
    let made = without_secret(key.post("/v1/keys", json!({ "name": "CI", "user_id": user["id"] })).await.expect(201).json());
    told("key.created", &made).await;
    let of_key = format!("/v1/keys/{}", made["id"].as_str().expect("an id"));
    let rotated = without_secret(key.post(&format!("{of_key}/rotate"), json!({})).await.expect(200).json());
    told("key.rotated", &rotated).await;
    key.patch(&of_key, json!({ "name": "Renamed" })).await.expect(200);
    let disabled = key.patch(&of_key, json!({ "enabled": false })).await.expect(200).json();
    told("key.disabled", &disabled).await;
    key.delete(&of_key).await.expect(204);
    let revoked = key.get(&of_key).await.expect(200).json();
    told("key.revoked", &revoked).await;
    key.delete(&path).await.expect(204);
    told("user.deleted", &user).await;
}

#[actix_web::test]
async fn an_imported_key_and_a_password_changed_by_its_owner_are_told_like_any_other() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    server.admin().await;
    let with_password = |new: &mut NewUser| new.password = Some(Password::typed(PASSWORD));
    let user = server.user_with(key.user().account_id, Role::Member, with_password).await;
    let mut browser = Browser::new(&server);
    browser.sign_in(&user.email, PASSWORD).await.expect(303);
    webhook(&key, &receiver).await;
    let told = async || {
        server.deliver().await;
        receiver.take().iter().map(|told| (told.kind().to_owned(), told.json()["data"].clone())).collect::<Vec<_>>()
    };
    let record = json!({ "hash": "00".repeat(32), "hash_format": "sha256-hex", "name": "Old", "user_email": user.email });
    key.post("/v1/keys/import", json!([record])).await.expect(200);
    let imported = key.get("/v1/keys").await.expect(200).json();
    let imported = imported.as_array().and_then(|keys| keys.iter().find(|key| key["name"] == "Old")).expect("the key").clone();
    assert_eq!(told().await, [("key.created".to_owned(), imported)]);
    let page = browser.get("/settings/security").await.expect(200);
    let passwords = [("current_password", PASSWORD), ("new_password", "another-password-456")];
    browser.send_on(&page.text, &passwords).await.expect(303);
    let changed = key.get(&format!("/v1/users/{}", user.id)).await.expect(200).json();
    assert_eq!(told().await, [("user.updated".to_owned(), changed)]);
}

#[actix_web::test]
async fn an_event_has_the_id_of_its_audit_event_and_an_audited_grant_is_told_by_that_alone() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    let (account, now) = (key.user().account_id, server.clock.now());
    let revoked = Happening::new("oauth.grant.revoked", "grant", "grant_1", "Reporting Tool").with(json!({ "reason": "reuse" }));
    let append =
        move |tx: &keyrack::store::Tx| keyrack::store::audit_events::append(tx, &Caller::system(), now, Some(account), &revoked);
    server.app.store.write(append).await.expect("appends");
    server.deliver().await;
    let told = receiver.take().remove(0);
    assert_eq!(told.json()["data"], json!({ "id": "grant_1", "name": "Reporting Tool", "reason": "reuse" }));
    let db = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let id = "SELECT id FROM audit_events WHERE action = 'oauth.grant.revoked'";
    let id: [u8; 16] = db.query_row(id, [], |row| row.get(0)).expect("an event");
    assert_eq!(told.id(), keyrack::model::ids::AuditEventId::from_bytes(id).to_string());
}

#[actix_web::test]
async fn while_a_secret_rotates_both_sign() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let rotate = format!("{}/rotate-secret", path_of(&made));
    let rotated = key.post(&rotate, json!({ "overlap": "24h" })).await.expect(200).json();
    assert_ne!(rotated["secret"], made["secret"]);
    an_event(&server, &key).await;
    server.deliver().await;
    let told = receiver.take().remove(0);
    assert_eq!(told.header("webhook-signature").split(' ').count(), 2);
    assert!(accepts(&made["secret"], &told, &told.body) && accepts(&rotated["secret"], &told, &told.body));
    server.advance(DAY);
    an_event(&server, &key).await;
    server.deliver().await;
    let told = receiver.take().remove(0);
    assert!(!accepts(&made["secret"], &told, &told.body) && accepts(&rotated["secret"], &told, &told.body));
    let at_once = key.post(&rotate, json!({ "overlap": "0s" })).await.expect(200).json();
    an_event(&server, &key).await;
    server.deliver().await;
    let told = receiver.take().remove(0);
    assert!(!accepts(&rotated["secret"], &told, &told.body) && accepts(&at_once["secret"], &told, &told.body));
}

#[actix_web::test]
async fn a_test_is_sent_at_once_and_told_what_it_came_to() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let test = format!("{}/test", path_of(&made));
    let good = key.post(&test, json!({})).await.expect(200).json();
    assert_eq!((good["status"].as_str(), good["response_code"].as_u64()), (Some("delivered"), Some(204)));
    let told = receiver.take().remove(0);
    assert!(told.kind() == "webhook.test" && accepts(&made["secret"], &told, &told.body));
    receiver.fails();
    let bad = key.post(&test, json!({})).await.expect(200).json();
    assert_eq!((bad["status"].as_str(), bad["response_code"].as_u64()), (Some("failed"), Some(500)));
    server.advance(HOUR);
    server.deliver().await;
    let since = json!({ "since": "2026-11-22T00:00:00Z" });
    assert_eq!(key.post(&format!("{}/replay", path_of(&made)), since).await.expect(202).json()["replayed"], 0);
    server.deliver().await;
    assert_eq!(receiver.count(), 1, "a test is sent once");
    assert_eq!(deliveries(&key, &made).await[1]["id"], bad["id"]);
}

#[actix_web::test]
async fn a_key_that_is_about_to_end_is_told_of_a_week_and_a_day_before() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    let made = key.post("/v1/keys", json!({ "name": "CI", "expires_in": "30d" })).await.expect(201).json();
    let of_key = format!("/v1/keys/{}", made["id"].as_str().expect("an id"));
    let told = async || {
        for _ in 0..2 {
            keyrack::services::maintenance::sweep(&server.app).await.expect("sweeps");
        }
        server.deliver().await;
        let told = receiver.take();
        told.iter().filter(|told| told.kind() == "key.expiring").count()
    };
    assert_eq!(told().await, 0);
    server.advance(DAY * 23);
    assert_eq!(told().await, 1, "a week before");
    server.advance(DAY * 6);
    assert_eq!(told().await, 1, "a day before");
    server.advance(SECOND);
    assert_eq!(told().await, 0);
    key.patch(&of_key, json!({ "expires_in": "60d" })).await.expect(200);
    assert_eq!(told().await, 0);
    server.advance(DAY * 54);
    assert_eq!(told().await, 1, "of its new end");
}

#[actix_web::test]
async fn an_exceeded_limit_is_told_of_once_for_its_window_over_restarts() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    server.set_windows(&key, &[(2, 3600)]).await;
    for _ in 0..3 {
        key.get("/v1/key").await;
    }
    server.flush().await;
    let server = server.restart().await;
    let key = key.at(&server);
    key.get("/v1/key").await.expect(429);
    server.flush().await;
    server.deliver().await;
    let told = receiver.take();
    assert_eq!(told.iter().map(Received::kind).collect::<Vec<_>>(), ["rate_limit.exceeded"]);
    let data = told[0].json()["data"].clone();
    assert_eq!((data["limit"].as_u64(), data["seconds"].as_u64()), (Some(2), Some(3600)));
    assert_eq!(
        (data["account_id"].as_str(), data["key_id"].as_str()),
        (Some(key.user().account_id.to_string().as_str()), Some(key.key_id()))
    );
    server.advance(HOUR);
    for _ in 0..4 {
        key.get("/v1/key").await;
    }
    server.flush().await;
    server.deliver().await;
    assert_eq!(receiver.count(), 1, "the next window");
}
