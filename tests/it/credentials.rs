//! Contract 1 and 2.3: what is accepted behind `Bearer`, and how each thing that is not is refused.

use std::sync::Arc;

use keyrack::model::account::{AccountChanges, AccountStatus};
use keyrack::model::api_key::{Expiry, IpAllow};
use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead};
use keyrack::model::user::UserStatus;
use keyrack::services::credentials::authenticate;
use serde_json::json;

use crate::support::{Client, MINUTE, Raw, SECOND, TestServer};

fn authorized(server: &TestServer, authorization: &str) -> Client {
    server.anonymous().header("Authorization", authorization)
}

#[track_caller]
fn refused(reply: &crate::support::Reply, code: &str) {
    assert_eq!((reply.status, reply.error().as_str()), (401, code), "{}", reply.text);
    let challenge = reply.header("www-authenticate");
    if code == "missing_api_key" {
        // RFC 6750 §3.1: no error code where no credential was sent.
        assert_eq!(challenge, "Bearer realm=\"keyrack\"");
    } else {
        assert!(challenge.starts_with("Bearer realm=\"keyrack\", error=\"invalid_token\", error_description=\""), "{challenge}");
    }
}

#[tokio::test]
async fn no_credential_is_told_apart_from_a_bad_one() {
    let server = TestServer::start().await;
    let missing = server.anonymous().get("/v1/users").await;
    refused(&missing, "missing_api_key");
    assert_eq!(missing.message(), "No API key provided in the Authorization header.");
    for authorization in ["Bearer", "Bearer ", "Bearer    ", "Basic a3I6c2VjcmV0", "Token abc", "", "kr_abc", "Bearerkr_abc"] {
        refused(&authorized(&server, authorization).get("/v1/users").await, "missing_api_key");
    }
    for authorization in ["Bearer x", "Bearer kr_", "bearer null", "Bearer a b", "Bearer kr_abc, Bearer kr_abc"] {
        let invalid = authorized(&server, authorization).get("/v1/users").await;
        refused(&invalid, "invalid_api_key");
        assert_eq!(invalid.message(), "The API key provided is invalid.");
    }
}

#[tokio::test]
async fn the_scheme_is_read_without_regard_to_case() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        authorized(&server, &format!("{scheme} {}", key.secret())).get("/v1/users").await.expect(200);
    }
}

#[tokio::test]
async fn a_key_works_from_no_other_place_than_the_header() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let secret = key.secret();
    for query in ["api_key", "apikey", "access_token", "key", "token", "Authorization"] {
        refused(&server.anonymous().get(&format!("/v1/users?{query}={secret}")).await, "missing_api_key");
    }
    for (name, value) in [
        ("X-Api-Key", secret.to_owned()),
        ("Cookie", format!("api_key={secret}")),
        ("Proxy-Authorization", format!("Bearer {secret}")),
    ] {
        refused(&server.anonymous().header(name, &value).get("/v1/users").await, "missing_api_key");
    }
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let line = format!("Authorization: Bearer {}\r\n", key.secret());
    let mut raw = Raw::sent(server.addr, format!("GET /v1/users HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n")).await;
    refused(&raw.reply().await.expect("an answer"), "invalid_api_key");
}

#[tokio::test]
async fn a_secret_with_one_character_changed_is_refused_wherever_it_is() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    for at in [0, 2, 3, 20, 45, 46, 51] {
        let mut changed = key.secret().to_owned().into_bytes();
        changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
        let changed = String::from_utf8(changed).expect("ASCII");
        refused(&server.with_secret(&changed).get("/v1/users").await, "invalid_api_key");
    }
    for other in [format!("{}0", key.secret()), key.secret()[..51].to_owned(), key.secret().to_uppercase()] {
        refused(&server.with_secret(&other).get("/v1/users").await, "invalid_api_key");
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_before_any_look_up() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    // Whatever is looked up fails from here on.
    break_reading(&server);
    let mut wrong = key.secret().to_owned();
    wrong.replace_range(51..52, if wrong.ends_with('0') { "1" } else { "0" });
    refused(&server.with_secret(&wrong).get("/v1/users").await, "invalid_api_key");
    server.with_secret(key.secret()).get("/v1/users").await.expect(500);
}

fn break_reading(server: &TestServer) {
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE key_secrets RENAME TO gone").expect("renames");
}

#[tokio::test]
async fn an_unknown_secret_of_the_right_form_is_invalid() {
    let (server, other) = (TestServer::start().await, TestServer::start().await);
    let foreign = other.key(&[UsersRead]).await;
    refused(&server.with_secret(foreign.secret()).get("/v1/users").await, "invalid_api_key");
}

#[tokio::test]
async fn revoking_and_disabling_a_key_work_at_once() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let manager = server.key_of(key.user(), &[UsersRead, KeysRead, KeysWrite]).await;
    let path = format!("/v1/keys/{}", key.key_id());
    key.get("/v1/users").await.expect(200);

    manager.patch(&path, json!({ "enabled": false })).await.expect(200);
    refused(&key.get("/v1/users").await, "invalid_api_key");
    manager.patch(&path, json!({ "enabled": true })).await.expect(200);
    key.get("/v1/users").await.expect(200);
    manager.delete(&path).await.expect(204);
    refused(&key.get("/v1/users").await, "invalid_api_key");
}

#[tokio::test]
async fn a_key_that_expires_while_it_is_in_use_says_so() {
    let server = TestServer::start().await;
    let key = server.key_with(&[UsersRead], |new| new.expiry = Expiry::In(MINUTE)).await;
    server.advance(59 * SECOND);
    key.get("/v1/users").await.expect(200);
    server.advance(SECOND);
    let expired = key.get("/v1/users").await;
    refused(&expired, "expired_api_key");
    assert_eq!(expired.message(), "The API key has expired.");
}

#[tokio::test]
async fn an_expired_key_that_was_revoked_too_is_invalid() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let key = server.key_with(&[UsersRead], |new| new.expiry = Expiry::In(MINUTE)).await;
    admin.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
    server.advance(MINUTE);
    refused(&key.get("/v1/users").await, "invalid_api_key");
}

#[tokio::test]
async fn a_suspended_account_takes_all_its_keys_along_and_gives_them_back() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let second = server.key_of(&server.colleague_of(key.user()).await, &[UsersRead]).await;
    let unconcerned = server.key(&[UsersRead]).await;
    for each in [&key, &second, &unconcerned] {
        each.get("/v1/users").await.expect(200);
    }
    let become_ = |status| AccountChanges { status: Some(status), ..Default::default() };
    server.change_account(&key, become_(AccountStatus::Suspended)).await;
    refused(&key.get("/v1/users").await, "invalid_api_key");
    refused(&second.get("/v1/users").await, "invalid_api_key");
    unconcerned.get("/v1/users").await.expect(200);
    server.change_account(&key, become_(AccountStatus::Active)).await;
    key.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_disabled_users_keys_are_invalid_and_not_those_of_colleagues() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let colleague = server.key_of(&server.colleague_of(key.user()).await, &[UsersRead]).await;
    key.get("/v1/users").await.expect(200);
    server.set_status(key.user(), UserStatus::Disabled).await;
    refused(&key.get("/v1/users").await, "invalid_api_key");
    colleague.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn an_address_off_the_allow_list_is_refused_and_uses_no_quota() {
    let server = TestServer::start().await;
    let only = |entry: &str| IpAllow::parse([entry]).expect("an address");
    let elsewhere = server.key_with(&[UsersRead], |new| new.ip_allow = only("203.0.113.0/24")).await;
    let here = server.key_of_with(elsewhere.user(), &[UsersRead], |new| new.ip_allow = only("127.0.0.0/8")).await;
    for _ in 0..3 {
        let refused = elsewhere.get("/v1/users").await.expect(403);
        assert_eq!(refused.error(), "ip_not_allowed");
        assert!(refused.message().contains("127.0.0.1"), "{}", refused.message());
        assert_eq!(refused.number("x-ratelimit-remaining"), 100, "nor of the address's bucket");
    }
    assert_eq!(here.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 999);
}

#[tokio::test]
async fn an_ipv4_address_written_as_ipv6_allows_the_same_clients() {
    let server = TestServer::start().await;
    for (entry, shown) in [("::ffff:127.0.0.1", "127.0.0.1"), ("::ffff:127.1.2.3/104", "127.0.0.0/8")] {
        let list = IpAllow::parse([entry]).expect("an entry");
        assert_eq!(list.entries().collect::<Vec<_>>(), [shown]);
        let key = server.key_with(&[UsersRead], |new| new.ip_allow = list).await;
        key.get("/v1/users").await.expect(200);
    }
    let all_of_ipv6 = IpAllow::parse(["::/0"]).expect("an entry");
    server.key_with(&[UsersRead], |new| new.ip_allow = all_of_ipv6).await.get("/v1/users").await.expect(403);
}

#[tokio::test]
async fn all_refusals_of_a_bad_credential_look_the_same() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let revoked = server.key(&[UsersRead]).await;
    server.admin().await.delete(&format!("/v1/keys/{}", revoked.key_id())).await.expect(204);
    server.set_status(key.user(), UserStatus::Disabled).await;
    let mut bodies = Vec::new();
    for client in [key, revoked, server.with_secret("kr_nonsense")] {
        let mut body = client.header("X-Request-Id", "same").get("/v1/users").await.json();
        body["doc_url"].take();
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_while_it_is_in_heavy_use_passes_no_more_once_that_is_answered() {
    let server = TestServer::with(|config| config.server.workers = 2).await;
    let admin = server.admin().await;
    for _ in 0..10 {
        let key = server.key_within(&[UsersRead], &[(1_000_000, 1)]).await;
        let revoked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let users: Vec<_> = (0..4)
            .map(|_| {
                let (key, revoked) = (key.clone(), revoked.clone());
                tokio::spawn(async move {
                    loop {
                        let was_revoked = revoked.load(std::sync::atomic::Ordering::SeqCst);
                        let status = key.get("/v1/users/me").await.status;
                        assert!(status == 401 || status == 200 && !was_revoked, "{status} after the answer");
                        if status == 401 {
                            return;
                        }
                    }
                })
            })
            .collect();
        admin.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
        revoked.store(true, std::sync::atomic::Ordering::SeqCst);
        for user in users {
            user.await.expect("no request passed");
        }
        server.advance(SECOND);
    }
}

#[tokio::test]
async fn a_credential_that_nobody_uses_leaves_the_memory() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let look = || authenticate(&server.app, key.secret(), server.clock.both()).expect("works");
    let first = Arc::downgrade(&look());
    server.clock.advance(SECOND * 4);
    assert!(std::ptr::eq(first.as_ptr(), Arc::as_ptr(&look())), "it is trusted for five seconds");
    server.clock.advance(SECOND * 2);
    let second = Arc::downgrade(&look());
    assert!(!std::ptr::eq(first.as_ptr(), second.as_ptr()) && first.upgrade().is_none(), "looked up anew, in its place");
    server.clock.advance(SECOND * 59);
    server.app.callers.sweep(server.clock.tick());
    assert!(second.upgrade().is_some());
    server.clock.advance(SECOND);
    server.app.callers.sweep(server.clock.tick());
    assert!(second.upgrade().is_none());
}
