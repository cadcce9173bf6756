//! Contract 6: keys that another system made, brought in by their hashes.

use keyrack::model::dialect::DialectName;
use keyrack::model::scope::Scope::{Admin, KeysRead, KeysVerify, KeysWrite, UsersRead};
use keyrack::model::user::{Role, User};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Client, Raw, Reply, TestServer};

const PATH: &str = "/v1/keys/import";

fn hex(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(secret: &str, owner: &User) -> Value {
    json!({ "hash": hex(secret), "hash_format": "sha256-hex", "name": "Old", "user_email": owner.email })
}

fn with(mut record: Value, more: Value) -> Value {
    record.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    record
}

async fn import(client: &Client, query: &str, records: &[Value]) -> Reply {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let client = client.header("Content-Type", "application/x-ndjson");
    client.send(reqwest::Method::POST, &format!("{PATH}{query}"), Some(lines.join("\n"))).await
}

/// The lines and fields that were refused.
fn refused(reply: Reply) -> Vec<(u64, String)> {
    let body = reply.expect(400).json();
    assert_eq!((&body["error"], &body["imported"]), (&json!("validation_error"), &json!(0)));
    let errors = body["errors"].as_array().cloned().expect("errors");
    let field = |error: &Value| error["field"].as_str().expect("a field").to_owned();
    errors.iter().map(|error| (error["line"].as_u64().expect("a line"), field(error))).collect()
}

#[tokio::test]
async fn customers_keep_their_keys() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.member().await;
    let whole = "sk_test_4eC39HqLyjWDarjtT1zdp7dc";
    assert_eq!(server.with_secret(whole).get("/v1/key").await.expect(401).error(), "invalid_api_key");
    let base64 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="; // hello
    let records = [
        with(
            record(whole, &owner),
            json!({ "scopes": ["users:read"], "hint": "sk_…p7dc", "metadata": { "plan": 7 }, "expires_at": "2027-01-01T00:00:00Z" }),
        ),
        with(
            record("x", &owner),
            json!({ "hash": base64, "hash_format": "sha256-base64", "strip_prefix": "live_", "user_email": null, "user_id": owner.id.to_string() }),
        ),
        with(record("rest", &owner), json!({ "strip_prefix": "live_eu_" })),
    ];
    let dry = import(&admin, "?dry_run=true", &records).await.expect(200);
    assert_eq!(dry.json(), json!({ "imported": 3, "errors": [] }));
    server.with_secret(whole).get("/v1/key").await.expect(401);
    assert_eq!(import(&admin, "", &records).await.expect(200).json(), json!({ "imported": 3, "errors": [] }));

    let own = server.with_secret(whole).get("/v1/key").await.expect(200).json();
    assert_eq!((&own["hint"], &own["metadata"], &own["user_id"]), (&json!("sk_…p7dc"), &json!({ "plan": 7 }), &json!(owner.id)));
    assert_eq!((&own["scopes"], &own["expires_at"]), (&json!(["users:read"]), &json!("2027-01-01T00:00:00Z")));
    assert_eq!(server.with_secret("live_hello").get("/v1/key").await.expect(200).json()["hint"], "live_…");
    server.with_secret("live_eu_rest").get("/v1/key").await.expect(200);
    server.with_secret("live_eu_rest").get("/v1/forward-auth").await.expect(200);
    let verdict = admin.post("/v1/keys/verify", json!({ "key": "live_hello" })).await.expect(200).json();
    assert_eq!(verdict["valid"], true);
    // What was hashed is no secret by itself, and neither is anything near it.
    for wrong in
        ["hello", "rest", "eu_rest", "live_rest", "live_eu_hello", "live_live_hello", "live_", "sk_test_4eC39HqLyjWDarjtT1zdp7dx"]
    {
        assert_eq!(server.with_secret(wrong).get("/v1/key").await.expect(401).error(), "invalid_api_key", "{wrong}");
    }
    let listed = admin.get("/v1/keys").await.expect(200);
    assert!(!listed.text.contains(&hex(whole)), "hashes are not shown");
}

#[tokio::test]
async fn an_imported_key_is_rotated_reported_and_revoked_like_any_other() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.member().await;
    import(&admin, "", &[with(record("abc", &owner), json!({ "strip_prefix": "old-" })), record("def", &owner)])
        .await
        .expect(200);
    let old = server.with_secret("old-abc");
    let id = old.get("/v1/key").await.expect(200).json()["id"].as_str().expect("an id").to_owned();
    let rotated = admin.post(&format!("/v1/keys/{id}/rotate"), json!({ "overlap": "1h" })).await.expect(200).json();
    old.get("/v1/key").await.expect(200);
    let new = server.with_secret(rotated["secret"].as_str().expect("a secret"));
    assert_eq!(new.get("/v1/key").await.expect(200).json()["id"], id);
    admin.delete(&format!("/v1/keys/{id}")).await.expect(204);
    old.get("/v1/key").await.expect(401);
    server.with_secret("def").get("/v1/key").await.expect(200);
    server.anonymous().post("/v1/keys/report", json!({ "key": "def" })).await.expect(204);
    server.with_secret("def").get("/v1/key").await.expect(401);
}

#[tokio::test]
async fn one_wrong_line_keeps_all_of_them_out_and_every_wrong_line_is_told() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.member().await;
    let taken = server.key(&[]).await;
    let good = record("good", &owner);
    let records = [
        good.clone(),
        json!({}),
        with(good.clone(), json!({ "hash": "12" })),
        with(record("a", &owner), json!({ "user_email": "nobody@example.com" })),
        with(record("b", &owner), json!({ "scopes": ["admin"] })),
        with(record("c", &owner), json!({ "expires_at": "2020-01-01T00:00:00Z" })),
        good.clone(),
        record(taken.secret(), &owner),
        with(record("d", &owner), json!({ "hash_format": "bcrypt" })),
        with(record("e", &owner), json!({ "secret": "e" })),
        with(record("f", &owner), json!({ "user_id": owner.id.to_string() })),
    ];
    let wanted = [
        (2, "hash"),
        (2, "hash_format"),
        (2, "name"),
        (2, "user_id"),
        (3, "hash"),
        (4, "user_email"),
        (5, "scopes"),
        (6, "expires_at"),
        (7, "hash"),
        (8, "hash"),
        (9, "hash_format"),
        (10, "secret"),
        (11, "user_id"),
    ];
    let wanted: Vec<_> = wanted.into_iter().map(|(line, field)| (line, field.to_owned())).collect();
    for query in ["", "?dry_run=true"] {
        assert_eq!(refused(import(&admin, query, &records).await), wanted, "{query}");
    }
    // Wrong in the database alone, so found in the transaction of the change.
    assert_eq!(refused(import(&admin, "", &[good.clone(), record(taken.secret(), &owner)]).await), [(2, "hash".to_owned())]);
    server.with_secret("good").get("/v1/key").await.expect(401);
    import(&admin, "", &[good]).await.expect(200);
    server.with_secret("good").get("/v1/key").await.expect(200);
}

#[tokio::test]
async fn nobody_imports_for_others_or_more_than_they_may_do() {
    let server = TestServer::start().await;
    let mine = server.key(&[KeysWrite, KeysRead]).await;
    let stranger = server.member().await;
    assert_eq!(refused(import(&mine, "", &[record("a", &stranger)]).await), [(1, "user_email".to_owned())]);
    let own = with(record("a", mine.user()), json!({ "scopes": ["users:read"] }));
    assert_eq!(refused(import(&mine, "", &[own]).await), [(1, "scopes".to_owned())]);
    import(&mine, "", &[with(record("a", mine.user()), json!({ "scopes": ["keys:read"] }))]).await.expect(200);
    server.with_secret("a").get("/v1/keys").await.expect(200);
    import(&server.key(&[KeysVerify, KeysRead, UsersRead]).await, "", &[]).await.expect(403);
}

#[tokio::test]
async fn an_array_may_be_sent_and_other_types_may_not() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.member().await;
    let array = json!([record("a", &owner), record("b", &owner)]);
    assert_eq!(admin.post(PATH, array).await.expect(200).json()["imported"], 2);
    assert_eq!(refused(admin.post(PATH, json!({ "keys": [] })).await)[0].0, 1);
    let broken = admin.header("Content-Type", "application/json").send(reqwest::Method::POST, PATH, Some("[{},\n".into())).await;
    assert_eq!(refused(broken).last(), Some(&(2, String::new())));
    let csv = admin.header("Content-Type", "text/csv").send(reqwest::Method::POST, PATH, Some("a,b".into())).await;
    assert_eq!(csv.expect(415).error(), "unsupported_media_type");
    assert_eq!(admin.post(&format!("{PATH}?dry_run=perhaps"), json!([])).await.expect(400).problems()[0].0, "dry_run");
}

#[tokio::test]
async fn more_than_32_mib_is_refused_while_it_comes() {
    let server = TestServer::start().await;
    let key = server.key_of(&server.user_in(server.account("Operators").await, Role::Admin).await, &[Admin]).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        key.secret(),
        64 << 20
    );
    let mut raw = Raw::sent(server.addr, head).await;
    for _ in 0..33 {
        raw.send(vec![b'\n'; 1 << 20]).await;
    }
    assert_eq!(raw.reply().await.expect("an answer").expect(413).error(), "body_too_large");
}

#[tokio::test]
async fn a_file_sent_twice_under_one_idempotency_key_is_imported_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await.header("Idempotency-Key", "move-1");
    let records = [record("a", &server.member().await)];
    import(&admin, "", &records).await.expect(200);
    let again = import(&admin, "", &records).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.json()["imported"]), ("true", &json!(1)));
}

#[tokio::test]
async fn texts_that_are_not_ours_are_looked_up_only_while_there_are_imported_keys() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let owner = server.member().await;
    server.with_secret("some-text").get("/v1/key").await.expect(401);
    let rename = |from: &'static str, to: &'static str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        server.app.store.write(move |tx: &keyrack::store::Tx| Ok(tx.execute_batch(&sql)?))
    };
    rename("key_secrets", "gone").await.expect("renames");
    server.with_secret("some-text").get("/v1/key").await.expect(401);
    rename("gone", "key_secrets").await.expect("renames");
    import(&admin, "", &[record("a", &owner)]).await.expect(200);
    server.with_secret("a").get("/v1/key").await.expect(200);
    rename("key_secrets", "gone").await.expect("renames");
    server.with_secret("some-text").get("/v1/key").await.expect(500);
    // A mistyped secret of ours is refused before any look-up.
    server.with_secret(&format!("kr_{}", "0".repeat(49))).get("/v1/key").await.expect(401);
    server.with_secret("a").get("/v1/forward-auth").await.expect(200);
}

#[tokio::test]
async fn a_file_that_is_refused_is_told_in_the_dialect_that_is_on() {
    for (dialect, words) in [
        (DialectName::Plain, json!({ "error": "Line 2: There is no such user." })),
        (
            DialectName::Resend,
            json!({ "statusCode": 400, "name": "validation_error", "message": "Line 2: There is no such user." }),
        ),
    ] {
        let server = TestServer::with(|config| config.api.dialect = dialect).await;
        let (admin, owner) = (server.admin().await.header("User-Agent", "test"), server.member().await);
        let wrong = with(record("b", &owner), json!({ "user_email": "nobody@example.com" }));
        let told = import(&admin, "", &[record("a", &owner), wrong]).await.expect(400).json();
        let errors = json!([{ "line": 2, "field": "user_email", "message": "There is no such user." }]);
        assert_eq!(told, with(words, json!({ "imported": 0, "errors": errors })), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_file_in_small_pieces_is_the_same_file() {
    let server = TestServer::start().await;
    let (admin, owner) = (server.admin().await, server.member().await);
    let file = format!("[{},\n {}]", record("a", &owner), with(record("b", &owner), json!({ "name": "é ] , [" })));
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        admin.secret(),
        file.len()
    );
    let mut raw = Raw::sent(server.addr, head).await;
    for piece in file.as_bytes().chunks(7) {
        raw.send(piece).await;
    }
    assert_eq!(raw.reply().await.expect("an answer").expect(200).json()["imported"], 2);
}

#[tokio::test]
async fn files_that_come_together_share_a_bounded_memory() {
    let server = TestServer::start().await;
    let (admin, owner) = (server.admin().await, server.member().await);
    let mut others = keyrack::limits::Share::default();
    assert!(server.app.imports.add(&mut others, 64 << 20));
    let refused = import(&admin, "", &[record("a", &owner)]).await.expect(503);
    assert_eq!((refused.error().as_str(), refused.header("retry-after")), ("service_unavailable", "30"));
    drop(others);
    import(&admin, "", &[record("a", &owner)]).await.expect(200);
}

#[tokio::test]
async fn a_file_on_a_slow_line_takes_no_turn() {
    let server = TestServer::with(|config| (config.limits.max_concurrent, config.limits.max_queued) = (1, 0)).await;
    let admin = server.admin().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[",
        admin.secret()
    );
    let _slow = Raw::sent(server.addr, head).await;
    for _ in 0..5 {
        admin.get("/v1/key").await.expect(200);
    }
}
