//! Contract 1 and 6: API keys, their secrets, scopes and life.

use keyrack::crypto::Prefix;
use keyrack::model::api_key::Expiry;
use keyrack::model::scope::Scope::{self, KeysRead, KeysVerify, KeysWrite, UsersRead, UsersWrite};
use serde_json::{Value, json};

use crate::support::{Client, DAY, HOUR, MINUTE, TestServer};

const MANAGES: &[Scope] = &[UsersRead, UsersWrite, KeysRead, KeysWrite];

async fn create(key: &Client, body: Value) -> Value {
    key.post("/v1/keys", body).await.expect(201).json()
}

fn path_of(key: &Value) -> String {
    format!("/v1/keys/{}", key["id"].as_str().expect("an id"))
}

fn secret_of(key: &Value) -> &str {
    key["secret"].as_str().expect("a secret")
}

// Secrets.

/// CRC-32 (IEEE) as its definition has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

#[tokio::test]
async fn a_secret_is_prefix_random_part_and_checksum() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of the catalogue");
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    for _ in 0..20 {
        let made = create(&key, json!({ "name": "CI" })).await;
        let secret = secret_of(&made);
        assert_eq!(secret.len(), 3 + 43 + 6);
        assert!(secret.starts_with("kr_") && secret[3..].bytes().all(|b| ALPHABET.contains(&b)), "{secret}");
        let (body, check) = secret.split_at(46);
        let mut rest = crc32(body.as_bytes());
        let mut digits = [0; 6];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[rest as usize % 62];
            rest /= 62;
        }
        assert_eq!(check.as_bytes(), digits, "{secret}");
        assert_eq!(made["hint"], format!("kr_…{}", &secret[48..]));
    }
}

#[tokio::test]
async fn a_secret_begins_with_the_prefix_that_is_configured_and_older_ones_stay_good() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let server = server.restart_with(|config| config.api.key_prefix = Some(Prefix::parse("acme_").expect("a prefix"))).await;
    let made = create(&key.at(&server), json!({ "name": "CI" })).await;
    assert!(secret_of(&made).starts_with("acme_"), "{made}");
    assert!(made["hint"].as_str().expect("a hint").starts_with("acme_…"));
    server.with_secret(secret_of(&made)).get("/v1/key").await.expect(200);
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let path = path_of(&made);
    let later = [key.get(&path).await, key.get("/v1/keys").await, key.patch(&path, json!({ "name": "Build" })).await];
    for reply in later {
        assert_eq!(reply.status, 200);
        assert!(!reply.text.contains(secret_of(&made)) && !reply.text.contains("\"secret\""), "{}", reply.text);
    }
    let own = server.with_secret(secret_of(&made)).get("/v1/key").await.expect(200);
    assert!(!own.text.contains(secret_of(&made)), "{}", own.text);
}

// Creating.

#[tokio::test]
async fn a_new_key_has_exactly_the_fields_of_the_contract_and_the_least_scopes() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let reply = key.post("/v1/keys", json!({ "name": " CI " })).await.expect(201);
    let made = reply.json();
    assert_eq!(reply.header("location"), path_of(&made));
    let expected = json!({
        "id": made["id"], "name": "CI", "user_id": key.user().id.to_string(), "account_id": key.user().account_id.to_string(),
        "scopes": ["users:read"], "enabled": true, "status": "active", "hint": made["hint"],
        "created_at": "2026-11-22T10:00:00Z", "expires_at": null, "last_used_at": null, "ip_allow": [], "windows": [],
        "metadata": {}, "rotation": null, "secret": made["secret"],
    });
    assert_eq!(made, expected);
}

#[tokio::test]
async fn a_key_keeps_all_that_was_said_of_it() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let said = json!({
        "name": "CI", "scopes": ["keys:read", "users:read"], "expires_at": "2027-01-01T00:00:00Z",
        "ip_allow": ["127.0.0.1", "203.0.113.9/24", "2001:db8::/32"],
        "windows": [{ "limit": 100, "seconds": 60 }, { "limit": 5, "seconds": 1 }],
        "metadata": { "team": "build", "nested": { "n": [1, null] } },
    });
    let made = create(&key, said).await;
    let shown = key.get(&path_of(&made)).await.expect(200).json();
    assert_eq!(shown["scopes"], json!(["users:read", "keys:read"]));
    assert_eq!(shown["expires_at"], "2027-01-01T00:00:00Z");
    assert_eq!(shown["ip_allow"], json!(["127.0.0.1", "203.0.113.0/24", "2001:db8::/32"]));
    assert_eq!(shown["windows"], json!([{ "limit": 5, "seconds": 1 }, { "limit": 100, "seconds": 60 }]));
    assert_eq!(shown["metadata"], json!({ "team": "build", "nested": { "n": [1, null] } }));
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_by_field() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let nine: Vec<Value> = (1..10).map(|n| json!({ "limit": 1, "seconds": n })).collect();
    for (field, value, code) in [
        ("name", json!(""), "required"),
        ("name", json!("x".repeat(101)), "too_long"),
        ("name", json!("a\tb"), "invalid_characters"),
        ("scopes", json!("users:read"), "wrong_type"),
        ("scopes", json!(["user:read"]), "unknown_scope"),
        ("scopes", json!([7]), "wrong_type"),
        ("expires_in", json!("90"), "invalid_duration"),
        ("expires_in", json!(90), "wrong_type"),
        ("expires_in", json!("0s"), "in_the_past"),
        ("expires_in", json!("100000d"), "invalid_duration"),
        ("expires_at", json!("2026-11-22T10:00:00Z"), "in_the_past"),
        ("expires_at", json!("tomorrow"), "invalid_time"),
        ("expires_at", json!("2201-01-01T00:00:00Z"), "out_of_range"),
        ("expires_at", json!("9999-12-31T23:59:59Z"), "out_of_range"),
        ("expires_at", json!("9999-12-31T23:59:59-12:00"), "out_of_range"),
        ("expires_at", json!("9999-12-32T23:59:59Z"), "invalid_time"),
        ("ip_allow", json!(["300.1.1.1"]), "invalid_cidr"),
        ("ip_allow", json!(["10.0.0.0/33"]), "invalid_cidr"),
        ("ip_allow", json!("10.0.0.1"), "wrong_type"),
        ("ip_allow", json!(vec!["10.0.0.1"; 101]), "too_many"),
        ("windows", json!([{ "limit": 0, "seconds": 1 }]), "invalid_window"),
        ("windows", json!([{ "limit": -1, "seconds": 1 }]), "invalid_window"),
        ("windows", json!([{ "limit": 1, "seconds": 0 }]), "invalid_window"),
        ("windows", json!([{ "limit": 1, "seconds": 1, "burst": 2 }]), "invalid_window"),
        ("windows", json!([{ "limit": 1, "seconds": 1 }, { "limit": 2, "seconds": 1 }]), "invalid_window"),
        ("windows", json!([{ "limit": 1, "seconds": 99_999_999 }]), "invalid_window"),
        ("windows", json!([{ "limit": 2_000_000_000_000_u64, "seconds": 1 }]), "invalid_window"),
        ("windows", json!(nine), "invalid_window"),
        ("windows", json!("100/1s"), "invalid_window"),
        ("metadata", json!([]), "wrong_type"),
        ("metadata", json!({ "x": "y".repeat(4_096) }), "too_long"),
        ("user_id", json!(7), "wrong_type"),
    ] {
        let mut body = json!({ "name": "CI" });
        body[field] = value;
        let refused = key.post("/v1/keys", body.clone()).await.expect(400);
        let problems = refused.problems();
        let of_expiry = field.starts_with("expires") && problems[0].0.starts_with("expires");
        assert!(problems[0].0 == field || of_expiry, "{body}: {problems:?}");
        assert_eq!(problems[0].1, code, "{body}: {}", refused.text);
    }
    assert_eq!(key.get("/v1/keys").await.ids(), [key.key_id()], "nothing was made");
}

#[tokio::test]
async fn a_key_ends_when_it_was_told_to() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let within = create(&key, json!({ "name": "CI", "expires_in": "90d" })).await;
    assert_eq!(within["expires_at"], "2027-02-20T10:00:00Z");
    let at = create(&key, json!({ "name": "CI", "expires_at": "2026-11-22T13:00:00+02:00" })).await;
    assert_eq!(at["expires_at"], "2026-11-22T11:00:00Z");
    assert_eq!(create(&key, json!({ "name": "CI", "expires_at": null })).await["expires_at"], Value::Null);
    let both = key.post("/v1/keys", json!({ "name": "CI", "expires_in": "1d", "expires_at": "2027-01-01T00:00:00Z" })).await;
    assert_eq!(both.expect(400).problems(), [("expires_in".into(), "conflict".into())]);
    server.advance(HOUR);
    assert_eq!(server.with_secret(secret_of(&at)).get("/v1/key").await.expect(401).error(), "expired_api_key");
    server.with_secret(secret_of(&within)).get("/v1/key").await.expect(200);
}

#[tokio::test]
async fn read_and_write_stand_for_what_the_caller_may_have_of_them() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysWrite, KeysRead, UsersRead]).await;
    assert_eq!(create(&key, json!({ "name": "CI", "scopes": ["read"] })).await["scopes"], json!(["users:read", "keys:read"]));
    let written = create(&key, json!({ "name": "CI", "scopes": ["write"] })).await;
    assert_eq!(written["scopes"], json!(["users:read", "keys:read", "keys:write"]));
    let admin = server.admin().await;
    let read = create(&admin, json!({ "name": "CI", "scopes": ["read"] })).await;
    assert_eq!(read["scopes"], json!(["users:read", "keys:read", "webhooks:read", "audit:read"]));
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_do_more_than_they() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysWrite]).await;
    for (scopes, lacking) in [
        (json!(["users:read"]), "users:read"),
        (json!(["keys:write", "users:write", "keys:read"]), "users:write keys:read"),
        (json!(["admin"]), "admin"),
        (json!(["audit:read"]), "audit:read"),
    ] {
        let refused = key.post("/v1/keys", json!({ "name": "CI", "scopes": scopes })).await.expect(403);
        assert_eq!((refused.error().as_str(), &refused.json()["required_scope"]), ("insufficient_scope", &json!(lacking)));
        assert!(refused.header("www-authenticate").contains(&format!("scope=\"{lacking}\"")));
    }
    // The default is no way around it.
    key.post("/v1/keys", json!({ "name": "CI" })).await.expect(403);
    create(&key, json!({ "name": "CI", "scopes": ["keys:write"] })).await;
}

#[tokio::test]
async fn a_members_key_holds_no_admins_scope_whoever_makes_it() {
    let server = TestServer::start().await;
    let (admin, member) = (server.admin().await, server.member().await);
    for scope in ["admin", "audit:read"] {
        let body = json!({ "name": "CI", "scopes": [scope], "user_id": member.id.to_string() });
        let refused = admin.post("/v1/keys", body).await.expect(400);
        assert_eq!(refused.problems(), [("scopes".into(), "not_for_members".into())]);
    }
}

#[tokio::test]
async fn a_key_is_made_for_a_colleague_and_never_for_a_stranger() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let (colleague, stranger) = (server.colleague_of(key.user()).await, server.member().await);
    let made = create(&key, json!({ "name": "CI", "user_id": colleague.id.to_string() })).await;
    assert_eq!(made["user_id"], colleague.id.to_string());
    for id in [stranger.id.to_string(), "user_01h455vb4pex5vsknk084sn02q".into(), "123".into(), "user_abc123".into()] {
        let refused = key.post("/v1/keys", json!({ "name": "CI", "user_id": id })).await.expect(404);
        assert_eq!(refused.message(), "No user with this id.", "{id}");
    }
    let admin = server.admin().await;
    let made = create(&admin, json!({ "name": "CI", "user_id": stranger.id.to_string() })).await;
    assert_eq!(made["account_id"], stranger.account_id.to_string());
}

// Changing and ending.

#[tokio::test]
async fn a_change_of_a_key_reaches_its_next_request() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let other = server.with_secret(secret_of(&made));
    other.get("/v1/users").await.expect(200);
    let changed = key.patch(&path_of(&made), json!({ "name": "Build", "scopes": ["keys:read"], "metadata": { "a": 1 } })).await;
    let changed = changed.expect(200).json();
    assert_eq!((&changed["name"], &changed["metadata"]), (&json!("Build"), &json!({ "a": 1 })));
    other.get("/v1/users").await.expect(403);
    other.get("/v1/keys").await.expect(200);
    key.patch(&path_of(&made), json!({ "ip_allow": ["203.0.113.7"] })).await.expect(200);
    assert_eq!(other.get("/v1/keys").await.expect(403).error(), "ip_not_allowed");
    key.patch(&path_of(&made), json!({ "ip_allow": [], "expires_in": "1h" })).await.expect(200);
    server.advance(HOUR);
    other.get("/v1/keys").await.expect(401);
    key.patch(&path_of(&made), json!({ "expires_at": null })).await.expect(200);
    other.get("/v1/keys").await.expect(200);
}

#[tokio::test]
async fn a_key_that_may_do_more_is_not_changed_by_one_that_may_less() {
    let server = TestServer::start().await;
    let strong = server.key(MANAGES).await;
    let weak = server.key_of(strong.user(), &[KeysRead, KeysWrite]).await;
    let path = format!("/v1/keys/{}", strong.key_id());
    for body in [json!({ "expires_in": "9d" }), json!({ "scopes": ["keys:read"] }), json!({ "ip_allow": ["203.0.113.7"] })] {
        assert_eq!(weak.patch(&path, body).await.expect(403).error(), "insufficient_scope");
    }
    let own = format!("/v1/keys/{}", weak.key_id());
    weak.patch(&own, json!({ "scopes": ["keys:write", "users:write"] })).await.expect(403);
    assert_eq!(weak.get(&own).await.expect(200).json()["scopes"], json!(["keys:read", "keys:write"]));
}

#[tokio::test]
async fn a_revoked_key_stays_listed_and_changes_no_more() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let path = path_of(&made);
    assert_eq!(key.delete(&path).await.expect(204).text, "");
    assert_eq!(key.get(&path).await.expect(200).json()["status"], "revoked");
    assert!(key.get("/v1/keys").await.ids().contains(&made["id"].as_str().expect("an id").to_owned()));
    for refused in [
        key.patch(&path, json!({ "enabled": true })).await,
        key.patch(&path, json!({ "expires_in": "1d" })).await,
        key.post(&format!("{path}/rotate"), json!({})).await,
    ] {
        assert_eq!((refused.status, refused.error().as_str()), (409, "key_revoked"), "{}", refused.text);
    }
    key.delete(&path).await.expect(204);
    server.with_secret(secret_of(&made)).get("/v1/key").await.expect(401);
}

#[tokio::test]
async fn a_key_can_revoke_itself() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    key.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
    key.get("/v1/key").await.expect(401);
}

#[tokio::test]
async fn keys_are_listed_by_status_owner_and_name() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let colleague = server.colleague_of(key.user()).await;
    let made = async |name: &str| create(&key, json!({ "name": name })).await;
    let (active, disabled, revoked, rotating) = (made("a").await, made("d").await, made("r").await, made("o").await);
    let expired = create(&key, json!({ "name": "e", "expires_in": "1m", "user_id": colleague.id.to_string() })).await;
    key.patch(&path_of(&disabled), json!({ "enabled": false })).await.expect(200);
    key.delete(&path_of(&revoked)).await.expect(204);
    key.post(&format!("{}/rotate", path_of(&rotating)), json!({})).await.expect(200);
    server.advance(MINUTE);

    let list = async |query: &str| key.get(&format!("/v1/keys?{query}")).await.expect(200).ids();
    let id = |key: &Value| key["id"].as_str().expect("an id").to_owned();
    assert_eq!(list("status=active").await, [key.key_id().to_owned(), id(&active)]);
    assert_eq!(list("status=disabled").await, [id(&disabled)]);
    assert_eq!(list("status=revoked").await, [id(&revoked)]);
    assert_eq!(list("status=rotating").await, [id(&rotating)]);
    assert_eq!(list("status=expired").await, [id(&expired)]);
    assert_eq!(list(&format!("user_id={}", colleague.id)).await, [id(&expired)]);
    assert_eq!(list("q=R").await, [id(&revoked)]);
    assert_eq!(list(&format!("q={}", id(&active))).await, [id(&active)]);
    assert_eq!(list("limit=2&sort=-created_at").await, [id(&expired), id(&rotating)]);
    assert_eq!(key.get("/v1/keys").await.header("x-total-count"), "6");
    for wrong in ["status=gone", "user_id=123", "limit=0", "after=user_01h455vb4pex5vsknk084sn02q"] {
        key.get(&format!("/v1/keys?{wrong}")).await.expect(400);
    }
}

#[tokio::test]
async fn every_key_shows_its_status() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI", "expires_in": "2d" })).await;
    let path = path_of(&made);
    let status = async || key.get(&path).await.expect(200).json()["status"].clone();
    assert_eq!(status().await, "active");
    key.post(&format!("{path}/rotate"), json!({ "overlap": "1h" })).await.expect(200);
    assert_eq!(status().await, "rotating");
    server.advance(HOUR);
    assert_eq!(status().await, "active");
    key.patch(&path, json!({ "enabled": false })).await.expect(200);
    assert_eq!(status().await, "disabled");
    server.advance(2 * DAY);
    assert_eq!(status().await, "expired");
    key.delete(&path).await.expect(204);
    assert_eq!(status().await, "revoked");
}

#[tokio::test]
async fn an_etag_of_a_key_tells_of_time_and_use_and_guards_changes() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = key.post("/v1/keys", json!({ "name": "CI", "expires_in": "1h" })).await.expect(201);
    let (path, etag) = (made.header("location").to_owned(), made.header("etag").to_owned());
    key.header("If-None-Match", &etag).get(&path).await.expect(304);
    server.with_secret(secret_of(&made.json())).get("/v1/key").await.expect(200);
    server.flush().await;
    let used = key.header("If-None-Match", &etag).get(&path).await.expect(200).header("etag").to_owned();
    server.advance(HOUR);
    key.header("If-None-Match", &used).get(&path).await.expect(200);
    // A use is no change that somebody could overwrite.
    key.header("If-Match", &etag).patch(&path, json!({ "name": "Build", "expires_at": null })).await.expect(200);
    key.header("If-Match", &etag).patch(&path, json!({ "name": "Ship" })).await.expect(412);
    key.header("If-Match", &etag).delete(&path).await.expect(412);
    key.header("If-Match", &etag).post(&format!("{path}/rotate"), json!({})).await.expect(412);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told_after_the_next_flush() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let other = server.with_secret(secret_of(&made));
    server.advance(MINUTE);
    other.get("/v1/users").await.expect(200);
    server.flush().await;
    assert_eq!(key.get(&path_of(&made)).await.json()["last_used_at"], "2026-11-22T10:01:00Z");
    server.advance(MINUTE);
    other.get("/v1/users").await.expect(200);
    server.flush().await;
    assert_eq!(key.get(&path_of(&made)).await.json()["last_used_at"], "2026-11-22T10:02:00Z");
}

// One's own.

#[tokio::test]
async fn a_key_sees_itself_and_what_is_left_of_its_limits() {
    let server = TestServer::start().await;
    let key = server.key_with(&[KeysVerify], |new| new.expiry = Expiry::In(DAY)).await;
    key.get("/v1/key").await.expect(200);
    let own = key.get("/v1/key").await.expect(200).json();
    assert_eq!((&own["id"], &own["scopes"]), (&json!(key.key_id()), &json!(["keys:verify"])));
    assert_eq!(own["expires_at"], "2026-11-23T10:00:00Z");
    let windows = json!([
        { "limit": 50, "seconds": 1, "remaining": 48, "reset": 1 },
        { "limit": 1000, "seconds": 3600, "remaining": 998, "reset": 3600 },
    ]);
    assert_eq!(own["rate_limit"], json!({ "limit": 1000, "remaining": 998, "reset": 3600, "windows": windows }));
}

// Leaked secrets.

#[tokio::test]
async fn whoever_holds_a_leaked_secret_may_end_its_key() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let leaked = server.with_secret(secret_of(&made));
    leaked.get("/v1/key").await.expect(200);
    let done = server.anonymous().post("/v1/keys/report", json!({ "key": secret_of(&made) })).await.expect(204);
    assert_eq!(done.text, "");
    leaked.get("/v1/key").await.expect(401);
    assert_eq!(key.get(&path_of(&made)).await.json()["status"], "revoked");
    key.get("/v1/keys").await.expect(200);
}

#[tokio::test]
async fn the_older_secret_of_a_rotation_ends_its_key_too() {
    let server = TestServer::start().await;
    let key = server.key(MANAGES).await;
    let made = create(&key, json!({ "name": "CI" })).await;
    let rotated = key.post(&format!("{}/rotate", path_of(&made)), json!({})).await.expect(200).json();
    server.anonymous().post("/v1/keys/report", json!({ "key": secret_of(&made) })).await.expect(204);
    server.with_secret(secret_of(&rotated)).get("/v1/key").await.expect(401);
}

#[tokio::test]
async fn a_report_does_not_tell_whether_there_was_such_a_key() {
    let server = TestServer::start().await;
    let other = TestServer::start().await.key(&[UsersRead]).await;
    for secret in [other.secret(), "kr_nonsense", "", "é", &"x".repeat(10_000)] {
        let told = server.anonymous().post("/v1/keys/report", json!({ "key": secret })).await.expect(204);
        assert_eq!(told.text, "", "{secret}");
    }
    server.anonymous().post("/v1/keys/report", json!({})).await.expect(400);
    assert_eq!(server.anonymous().get("/v1/keys/report").await.expect(405).header("allow"), "POST, OPTIONS");
}

#[tokio::test]
async fn reports_count_against_the_address() {
    let server = TestServer::with(|config| config.limits.anonymous_per_minute = 2).await;
    let report = async || server.anonymous().post("/v1/keys/report", json!({ "key": "kr_nonsense" })).await;
    assert_eq!(report().await.expect(204).number("x-ratelimit-remaining"), 1);
    report().await.expect(204);
    assert_eq!(report().await.expect(429).error(), "rate_limit_exceeded");
}
