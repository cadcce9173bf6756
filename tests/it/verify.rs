//! Contract 6: checking a key for another service.

use keyrack::model::account::{AccountChanges, AccountStatus};
use keyrack::model::api_key::{Expiry, IpAllow, Metadata};
use keyrack::model::ids::ApiKeyId;
use keyrack::model::scope::Scope::{Admin, KeysRead, KeysVerify, UsersRead};
use keyrack::model::user::{Role, UserStatus};
use serde_json::{Value, json};

use crate::support::{Client, HOUR, MINUTE, Raw, Reply, TestServer, windows_of};

/// A service that may check every account's keys.
async fn service(server: &TestServer) -> Client {
    let user = server.user_in(server.account("Operators").await, Role::Admin).await;
    server.key_of(&user, &[Admin]).await
}

async fn asked(service: &Client, key: &Client, more: Value) -> Reply {
    let mut body = json!({ "key": key.secret() });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    service.post("/v1/keys/verify", body).await.expect(200)
}

async fn code(service: &Client, key: &Client, more: Value) -> String {
    let verdict = asked(service, key, more).await.json();
    let code = verdict["code"].as_str().expect("a code").to_owned();
    assert_eq!(verdict["valid"], code == "valid", "{verdict}");
    code
}

#[tokio::test]
async fn a_good_key_is_told_with_its_user_its_account_and_what_is_left() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = server
        .key_with(&[UsersRead], |new| {
            new.metadata = Metadata::new(json!({ "plan": "gold" }).as_object().cloned().expect("an object")).expect("metadata");
        })
        .await;
    server.set_tier(&key, "Pro").await;
    let noted = Metadata::new(json!({ "crm": 7 }).as_object().cloned().expect("an object")).expect("metadata");
    server.change_account(&key, AccountChanges { metadata: Some(noted), ..Default::default() }).await;
    let verdict = asked(&service, &key, json!({ "scopes": ["users:read"], "ip": "203.0.113.7" })).await.json();
    assert_eq!((&verdict["valid"], &verdict["code"]), (&json!(true), &json!("valid")));
    assert_eq!(verdict["key"]["id"], key.key_id());
    assert_eq!(verdict["key"]["metadata"], json!({ "plan": "gold" }));
    assert_eq!(verdict["user"]["email"], key.user().email);
    assert_eq!(verdict["account"]["id"], key.user().account_id.to_string());
    assert_eq!((&verdict["account"]["tier"], &verdict["account"]["metadata"]), (&json!("Pro"), &json!({ "crm": 7 })));
    assert!(verdict["account"]["name"].as_str().is_some_and(|name| name.starts_with("Team")));
    assert_eq!(
        verdict["rate_limit"],
        json!({ "limit": 10000, "remaining": 9999, "reset": 3600, "windows": [
            { "limit": 200, "seconds": 1, "remaining": 199, "reset": 1 },
            { "limit": 10000, "seconds": 3600, "remaining": 9999, "reset": 3600 },
        ] })
    );
    assert!(!verdict.to_string().contains(key.secret()), "the secret is not told back");
    let shown = service.get(&format!("/v1/keys/{}", key.key_id())).await.expect(200).json();
    assert_eq!(verdict["key"], shown, "the same fields as everywhere");
}

#[tokio::test]
async fn whatever_stands_in_names_and_metadata_the_answer_is_json() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let hostile = "\"},\"valid\":false,\\ \u{1} \u{2028} </script> Zoë";
    let noted = || Metadata::new(json!({ hostile: hostile }).as_object().cloned().expect("an object")).expect("metadata");
    let key = server.key_with(&[UsersRead], |new| new.metadata = noted()).await;
    server.change_account(&key, AccountChanges { metadata: Some(noted()), ..Default::default() }).await;
    for (scope, code) in [("users:read", "valid"), ("users:write", "insufficient_scope"), ("users:read", "valid")] {
        let verdict = asked(&service, &key, json!({ "scopes": [scope] })).await.json();
        assert_eq!((verdict["valid"].as_bool(), verdict["code"].as_str()), (Some(code == "valid"), Some(code)));
        assert_eq!(verdict["key"]["metadata"], json!({ hostile: hostile }));
        assert_eq!(verdict["account"]["metadata"], json!({ hostile: hostile }));
        assert_eq!(verdict["user"]["email"], key.user().email);
    }
    let unknown = service.post("/v1/keys/verify", json!({ "key": "kr_no_such_key" })).await.expect(200);
    assert_eq!(
        unknown.json(),
        json!({ "valid": false, "code": "not_found", "key": null, "user": null, "account": null, "rate_limit": null })
    );
}

#[tokio::test]
async fn the_checked_keys_account_pays_and_the_service_pays_for_its_own_request() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    server.set_windows(&service, &[(100, 3600)]).await;
    let key = server.key_within(&[UsersRead], &[(10, 3600)]).await;
    let first = asked(&service, &key, json!({ "cost": 4 })).await;
    assert_eq!(first.json()["rate_limit"]["remaining"], 6);
    assert_eq!(first.number("x-ratelimit-remaining"), 99);
    assert_eq!(key.get("/v1/key").await.number("x-ratelimit-remaining"), 5, "one quota, wherever it is used");
    assert_eq!(code(&service, &key, json!({ "cost": 6 })).await, "rate_limited");
    assert_eq!(asked(&service, &key, json!({ "cost": 5 })).await.json()["rate_limit"]["remaining"], 0, "a refusal is free");
    let refused = asked(&service, &key, json!({})).await.json();
    assert_eq!(
        (&refused["code"], &refused["rate_limit"]["remaining"], &refused["rate_limit"]["reset"]),
        (&json!("rate_limited"), &json!(0), &json!(3600))
    );
    assert_eq!(code(&service, &key, json!({ "cost": 0 })).await, "valid");
    server.advance(HOUR);
    assert_eq!(code(&service, &key, json!({})).await, "valid");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_charges_nothing() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = server.key_within(&[UsersRead], &[(2, 3600)]).await;
    for _ in 0..3 {
        let verdict = asked(&service, &key, json!({ "dry_run": true })).await.json();
        assert_eq!((&verdict["code"], &verdict["rate_limit"]["remaining"]), (&json!("valid"), &json!(2)));
    }
    assert_eq!(code(&service, &key, json!({ "dry_run": true, "cost": 3 })).await, "rate_limited");
    server.flush().await;
    let shown = service.get(&format!("/v1/keys/{}", key.key_id())).await.json();
    assert_eq!(shown["last_used_at"], Value::Null);
}

#[tokio::test]
async fn a_check_counts_as_a_use_of_the_key() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = server.key(&[]).await;
    asked(&service, &key, json!({ "ip": "203.0.113.7" })).await;
    server.flush().await;
    let shown = service.get(&format!("/v1/keys/{}", key.key_id())).await.json();
    assert_eq!(shown["last_used_at"], "2026-11-22T10:00:00Z");
}

#[tokio::test]
async fn the_windows_of_the_key_are_decided_in_the_same_step() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = server.key_with(&[UsersRead], |new| new.windows = windows_of(&[(2, 60)])).await;
    assert_eq!(code(&service, &key, json!({ "cost": 2 })).await, "valid");
    let refused = asked(&service, &key, json!({})).await.json();
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["rate_limit"]["windows"][2]["remaining"], 998, "{refused}");
}

#[tokio::test]
async fn each_reason_to_refuse_a_key_has_its_code() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = |more: fn(&mut keyrack::model::api_key::NewApiKey)| server.key_with(&[UsersRead, KeysRead], more);
    assert_eq!(code(&service, &server.with_secret("kr_nonsense"), json!({})).await, "not_found");
    let unknown = keyrack::crypto::Secret::generate(&keyrack::crypto::Prefix::parse("kr_").expect("a prefix"));
    let verdict = asked(&service, &server.with_secret(unknown.expose()), json!({})).await.json();
    assert_eq!(
        verdict,
        json!({ "valid": false, "code": "not_found", "key": null, "user": null, "account": null, "rate_limit": null })
    );

    let expiring = key(|new| new.expiry = Expiry::In(MINUTE)).await;
    assert_eq!(code(&service, &expiring, json!({})).await, "valid");
    server.advance(MINUTE);
    assert_eq!(code(&service, &expiring, json!({})).await, "expired");

    let switched = key(|_| {}).await;
    let path = format!("/v1/keys/{}", switched.key_id());
    service.patch(&path, json!({ "enabled": false })).await.expect(200);
    let disabled = asked(&service, &switched, json!({})).await.json();
    assert_eq!((&disabled["code"], &disabled["key"]["status"]), (&json!("disabled"), &json!("disabled")));
    service.patch(&path, json!({ "enabled": true })).await.expect(200);
    assert_eq!(code(&service, &switched, json!({})).await, "valid");
    server.set_status(switched.user(), UserStatus::Disabled).await;
    assert_eq!(code(&service, &switched, json!({})).await, "disabled");
    server.set_status(switched.user(), UserStatus::Active).await;
    let suspended = AccountChanges { status: Some(AccountStatus::Suspended), ..Default::default() };
    server.change_account(&switched, suspended).await;
    assert_eq!(code(&service, &switched, json!({})).await, "disabled");

    let revoked = key(|_| {}).await;
    service.delete(&format!("/v1/keys/{}", revoked.key_id())).await.expect(204);
    assert_eq!(code(&service, &revoked, json!({})).await, "revoked");

    let scoped = key(|_| {}).await;
    for (scopes, wanted) in [
        (json!([]), "valid"),
        (json!(["users:read", "keys:read"]), "valid"),
        (json!(["users:read", "users:write"]), "insufficient_scope"),
        (json!(["read"]), "insufficient_scope"),
        (json!(["admin"]), "insufficient_scope"),
    ] {
        assert_eq!(code(&service, &scoped, json!({ "scopes": scopes })).await, wanted, "{scopes}");
    }

    let fenced = key(|new| new.ip_allow = IpAllow::parse(["203.0.113.0/24"]).expect("a network")).await;
    for (ip, wanted) in
        [("203.0.113.7", "valid"), ("::ffff:203.0.113.7", "valid"), ("198.51.100.1", "ip_not_allowed"), ("::1", "ip_not_allowed")]
    {
        assert_eq!(code(&service, &fenced, json!({ "ip": ip })).await, wanted, "{ip}");
    }
    assert_eq!(code(&service, &fenced, json!({})).await, "ip_not_allowed", "from nowhere known");
    let left = asked(&service, &fenced, json!({})).await.json()["rate_limit"]["remaining"].clone();
    assert_eq!(left, 998, "what is refused for its address is not counted");
}

#[tokio::test]
async fn the_older_secret_of_a_rotation_is_good_until_its_end() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let old = server.key(&[]).await;
    let path = format!("/v1/keys/{}/rotate", old.key_id());
    let rotated = service.post(&path, json!({ "overlap": "1h" })).await.expect(200).json();
    let new = server.with_secret(rotated["secret"].as_str().expect("a secret"));
    let both = asked(&service, &old, json!({})).await.json();
    assert_eq!((&both["code"], &both["key"]["status"]), (&json!("valid"), &json!("rotating")));
    assert_eq!(code(&service, &new, json!({})).await, "valid");
    server.advance(HOUR);
    let ended = asked(&service, &old, json!({})).await.json();
    assert_eq!((&ended["code"], &ended["key"]), (&json!("not_found"), &Value::Null));
    assert_eq!(code(&service, &new, json!({})).await, "valid");
}

#[tokio::test]
async fn only_an_admins_key_sees_the_keys_of_other_accounts() {
    let server = TestServer::start().await;
    let service = server.key(&[KeysVerify]).await;
    let colleague = server.key_of(&server.colleague_of(service.user()).await, &[]).await;
    let stranger = server.key_within(&[], &[(5, 3600)]).await;
    assert_eq!(code(&service, &colleague, json!({})).await, "valid");
    let verdict = asked(&service, &stranger, json!({})).await;
    let unknown = asked(&service, &server.with_secret("kr_nonsense"), json!({})).await;
    assert_eq!(verdict.text, unknown.text, "nothing tells it from a key that does not exist");
    assert_eq!(stranger.get("/v1/key").await.number("x-ratelimit-remaining"), 4, "and nothing was charged");
    assert_eq!(code(&self::service(&server).await, &stranger, json!({})).await, "valid");
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_refused_field_by_field() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let refused = |body: Value| {
        let service = service.clone();
        async move { service.post("/v1/keys/verify", body).await.expect(400).problems() }
    };
    let problem = |field: &str, code: &str| vec![(field.to_owned(), code.to_owned())];
    assert_eq!(refused(json!({})).await, problem("key", "required"));
    assert_eq!(refused(json!({ "key": "x", "cost": -1 })).await, problem("cost", "out_of_range"));
    assert_eq!(refused(json!({ "key": "x", "cost": 1.5 })).await, problem("cost", "out_of_range"));
    assert_eq!(refused(json!({ "key": "x", "ip": "localhost" })).await, problem("ip", "invalid_ip"));
    assert_eq!(refused(json!({ "key": "x", "scopes": ["user:read"] })).await, problem("scopes", "unknown_scope"));
    assert_eq!(refused(json!({ "key": "x", "dryrun": true })).await, problem("dryrun", "unknown_field"));
    server.key(&[KeysRead]).await.post("/v1/keys/verify", json!({ "key": "x" })).await.expect(403);
}

#[tokio::test]
async fn a_key_that_was_checked_before_costs_no_look_at_the_database() {
    let server = TestServer::start().await;
    let service = service(&server).await;
    let key = server.key(&[]).await;
    asked(&service, &key, json!({})).await;
    // With the table gone, whoever looked would fail.
    let gone = |tx: &keyrack::store::Tx| Ok(tx.execute_batch("ALTER TABLE key_secrets RENAME TO gone")?);
    server.app.store.write(gone).await.expect("renames");
    assert_eq!(code(&service, &key, json!({})).await, "valid");
}

#[tokio::test]
async fn the_keys_page_says_in_words_what_a_request_would_meet() {
    let server = TestServer::start().await;
    let key = server.key_within(&[], &[(50, 1), (1000, 3600)]).await;
    let id = ApiKeyId::parse(key.key_id()).expect("an id");
    let browser = server.browser(server.admin().await.user()).await;
    let words = || async {
        let page = browser.get(&format!("/admin/keys/{id}")).await.expect(200).text;
        let told = page.split("Would a request pass now?</dt><dd>").nth(1).and_then(|rest| rest.split("</dd>").next());
        told.expect("words").to_owned()
    };
    assert_eq!(words().await, "It would pass: of the window 1,000/hour, 1,000 are left.");
    server.set_windows(&key, &[(1, 3600)]).await;
    key.get("/v1/key").await.expect(200);
    server.advance(48 * MINUTE);
    assert_eq!(words().await, "It would be refused: the window 1/hour is used up, 12 minutes left.");
    assert_eq!(key.get("/v1/key").await.expect(429).header("retry-after"), "720", "and asking changed nothing");
    let service = service(&server).await;
    service.patch(&format!("/v1/keys/{id}"), json!({ "enabled": false })).await.expect(200);
    assert_eq!(words().await, "It would be refused: the key is disabled.");
    service.delete(&format!("/v1/keys/{id}")).await.expect(204);
    assert_eq!(words().await, "It would be refused: the key is revoked.");
}

// Open connections.

/// Sends on a connection that stays open; the status and body of the answer.
async fn on(raw: &mut Raw, request: String) -> Reply {
    raw.send(request).await;
    raw.reply().await.expect("an answer on the open connection")
}

fn get(path: &str, secret: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n")
}

fn check(service: &Client, key: &Client) -> String {
    let (secret, body) = (service.secret(), json!({ "key": key.secret() }).to_string());
    let length = body.len();
    format!(
        "POST /v1/keys/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_the_next_request_of_every_connection_that_is_open() {
    let server = TestServer::with(|config| config.server.workers = 2).await;
    let (service, admin, key) = (service(&server).await, server.admin().await, server.key(&[UsersRead]).await);
    let mut api = [Raw::connect(server.addr).await, Raw::connect(server.addr).await];
    let mut gateways = [Raw::connect(server.addr).await, Raw::connect(server.addr).await];
    let mut services = [Raw::connect(server.addr).await, Raw::connect(server.addr).await];
    for n in 0..2 {
        assert_eq!(on(&mut api[n], get("/v1/users/me", key.secret())).await.status, 200);
        assert_eq!(on(&mut gateways[n], get("/v1/forward-auth", key.secret())).await.status, 200);
        assert_eq!(on(&mut services[n], check(&service, &key)).await.json()["code"], "valid");
    }
    admin.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
    for n in 0..2 {
        assert_eq!(on(&mut api[n], get("/v1/users/me", key.secret())).await.status, 401);
        assert_eq!(on(&mut gateways[n], get("/v1/forward-auth", key.secret())).await.status, 401);
        assert_eq!(on(&mut services[n], check(&service, &key)).await.json()["code"], "revoked");
    }
}

#[tokio::test]
async fn a_reported_key_is_refused_on_open_connections_too() {
    let server = TestServer::start().await;
    let (service, key) = (service(&server).await, server.key(&[]).await);
    let mut open = Raw::connect(server.addr).await;
    assert_eq!(on(&mut open, check(&service, &key)).await.json()["code"], "valid");
    server.anonymous().post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    assert_eq!(on(&mut open, check(&service, &key)).await.json()["code"], "revoked");
    assert_eq!(on(&mut open, get("/v1/forward-auth", key.secret())).await.status, 401);
}

// Sent again.

#[tokio::test]
async fn a_check_that_is_sent_again_is_answered_as_the_first_time_and_counted_once() {
    let server = TestServer::start().await;
    let (service, key) = (service(&server).await, server.key_within(&[UsersRead], &[(10, 3600)]).await);
    let once = service.header("Idempotency-Key", "check-1");
    let first = asked(&once, &key, json!({ "cost": 3 })).await;
    let again = asked(&once, &key, json!({ "cost": 3 })).await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(key.get("/v1/key").await.number("x-ratelimit-remaining"), 6, "3 for the check, 1 for this");
    let other = once.post("/v1/keys/verify", json!({ "key": key.secret(), "cost": 4 })).await.expect(422);
    assert_eq!(other.error(), "idempotency_key_reused");
    assert!(!first.text.contains(key.secret()));
}

#[tokio::test]
async fn what_was_answered_survives_a_restart_and_no_secret_is_kept_with_it() {
    let server = TestServer::start().await;
    let (service, key) = (service(&server).await, server.key(&[]).await);
    let once = service.header("Idempotency-Key", "check-1");
    let first = asked(&once, &key, json!({})).await;
    let server = server.restart().await;
    let again = asked(&once.at(&server), &key, json!({})).await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let kept: String = file.query_row("SELECT body FROM idempotency_keys", [], |row| row.get(0)).expect("an answer");
    assert!(!kept.contains(key.secret()));
}
