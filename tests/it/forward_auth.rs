//! Contract 6: what a gateway asks before it lets a request through.

use keyrack::config::HeaderName;
use keyrack::model::api_key::IpAllow;
use keyrack::model::scope::Scope::{Admin, KeysVerify, UsersRead};
use keyrack::model::user::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Client, HOUR, Raw, Reply, TestServer};

const PATH: &str = "/v1/forward-auth";
const IDENTITY: [&str; 6] = [
    "x-keyrack-user-id",
    "x-keyrack-user-email",
    "x-keyrack-account-id",
    "x-keyrack-key-id",
    "x-keyrack-scopes",
    "x-keyrack-tier",
];

fn tells_nobody(reply: &Reply) {
    for name in IDENTITY {
        assert!(reply.headers.get(name).is_none(), "{name}: {:?}", reply.headers);
    }
}

#[tokio::test]
async fn a_good_key_passes_with_its_identity_and_its_limits() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, KeysVerify]).await;
    server.set_tier(&key, "Pro").await;
    let passed = key.get(PATH).await.expect(200);
    assert_eq!(passed.text, "");
    let user = key.user();
    assert_eq!(
        IDENTITY.map(|name| passed.header(name).to_owned()),
        [
            user.id.to_string(),
            user.email.clone(),
            user.account_id.to_string(),
            key.key_id().to_owned(),
            "users:read keys:verify".to_owned(),
            "Pro".to_owned(),
        ]
    );
    assert_eq!(passed.number("x-ratelimit-remaining"), 9_999);
    assert_eq!(passed.header("cache-control"), "no-store");
    assert_eq!(key.get("/v1/key").await.number("x-ratelimit-remaining"), 9_998, "one quota, wherever it is used");
}

#[tokio::test]
async fn every_identity_header_is_there_even_when_it_has_nothing_to_tell() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    let passed = key.get(PATH).await.expect(200);
    for name in IDENTITY {
        assert_eq!(passed.headers.get_all(name).iter().count(), 1, "{name}");
    }
    assert_eq!((passed.header("x-keyrack-scopes"), passed.header("x-keyrack-tier")), ("", ""));
}

#[tokio::test]
async fn every_verb_is_answered() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    for verb in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "ANY"] {
        let method: Method = verb.parse().expect("a method");
        key.send(method.clone(), PATH, None).await.expect(200);
        let refused = server.anonymous().send(method, PATH, None).await.expect(401);
        tells_nobody(&refused);
    }
}

#[tokio::test]
async fn the_body_is_not_waited_for() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000000000\r\n\r\n",
        key.secret()
    );
    let mut raw = Raw::sent(server.addr, head).await;
    raw.reply().await.expect("an answer before any of the body").expect(200);
}

#[tokio::test]
async fn refusals_are_those_of_the_api_and_name_nobody() {
    let server = TestServer::start().await;
    let missing = server.anonymous().get(PATH).await.expect(401);
    assert_eq!((missing.error().as_str(), missing.header("www-authenticate")), ("missing_api_key", "Bearer realm=\"keyrack\""));
    assert_eq!(missing.number("x-ratelimit-limit"), 100, "the address's bucket");
    let invalid = server.with_secret("kr_nonsense").get(PATH).await.expect(401);
    assert_eq!(invalid.error(), "invalid_api_key");
    let fenced = server.key_with(&[], |new| new.ip_allow = IpAllow::parse(["203.0.113.0/24"]).expect("a network")).await;
    let elsewhere = fenced.get(PATH).await.expect(403);
    assert_eq!(elsewhere.error(), "ip_not_allowed");
    let key = server.key_within(&[], &[(1, 3600)]).await;
    key.get(PATH).await.expect(200);
    let limited = key.get(PATH).await.expect(429);
    assert_eq!((limited.error().as_str(), limited.header("retry-after")), ("rate_limit_exceeded", "3600"));
    for refused in [&missing, &invalid, &elsewhere, &limited] {
        tells_nobody(refused);
        assert!(refused.headers.get("x-keyrack-status").is_none());
    }
}

#[tokio::test]
async fn the_scope_that_is_asked_for_is_needed() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    key.get(&format!("{PATH}?scope=users:read")).await.expect(200);
    key.get(&format!("{PATH}?scope=")).await.expect(200);
    for scopes in ["users:write", "users:read+users:write", "users:read,users:write", "write", "admin"] {
        let refused = key.get(&format!("{PATH}?scope={scopes}")).await.expect(403);
        assert_eq!(refused.error(), "insufficient_scope", "{scopes}");
        tells_nobody(&refused);
    }
    let unknown = key.get(&format!("{PATH}?scope=user:read")).await.expect(400);
    assert_eq!(unknown.problems(), [("scope".to_owned(), "unknown_scope".to_owned())]);
    let admin = server.admin().await;
    admin.get(&format!("{PATH}?scope=audit:read+users:write")).await.expect(200);
}

#[tokio::test]
async fn for_nginx_a_429_comes_as_a_403_that_says_so() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(1, 3600)]).await;
    let path = format!("{PATH}?status=nginx&scope=users:read");
    key.get(&path).await.expect(200);
    let limited = key.get(&path).await.expect(403);
    assert_eq!((limited.header("x-keyrack-status"), limited.header("retry-after")), ("429", "3600"));
    assert_eq!(limited.number("x-ratelimit-remaining"), 0);
    let other = server.key(&[]).await.get(&path).await.expect(403);
    assert!(other.headers.get("x-keyrack-status").is_none());
    server.anonymous().get(&path).await.expect(401);
}

#[tokio::test]
async fn a_status_that_no_gateway_has_is_refused() {
    let server = TestServer::start().await;
    let refused = server.key(&[]).await.get(&format!("{PATH}?status=ngnix")).await.expect(400);
    assert_eq!(refused.problems(), [("status".to_owned(), "unknown".to_owned())]);
}

#[tokio::test]
async fn another_header_is_read_when_it_is_configured() {
    let header = HeaderName::parse("X-Api-Key").ok();
    let server = TestServer::with(|config| config.api.forward_auth_header = header).await;
    let key = server.key(&[]).await;
    let with = |value: &str| server.anonymous().header("X-Api-Key", value);
    with(key.secret()).get(PATH).await.expect(200);
    with(&format!("Bearer {}", key.secret())).get(PATH).await.expect(200);
    assert_eq!(with("").get(PATH).await.expect(401).error(), "missing_api_key");
    assert_eq!(with("kr_nonsense").get(PATH).await.expect(401).error(), "invalid_api_key");
    assert_eq!(key.get(PATH).await.expect(401).error(), "missing_api_key", "Authorization is the application's own then");
    assert_eq!(with(key.secret()).header("X-Api-Key", "x").get(PATH).await.expect(401).error(), "invalid_api_key");
    assert_eq!(with(key.secret()).get("/v1/key").await.expect(401).error(), "missing_api_key", "the API reads no other");
    key.get("/v1/key").await.expect(200);
}

#[tokio::test]
async fn a_trusted_gateway_may_ask_for_a_client_that_came_over_plain_http() {
    let server =
        TestServer::with(|config| config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let key = server.key_with(&[], |new| new.ip_allow = IpAllow::parse(["203.0.113.7"]).expect("an address")).await;
    let from = |ip: &str, proto: &str| key.header("X-Forwarded-For", ip).header("X-Forwarded-Proto", proto);
    from("203.0.113.7", "http").get(PATH).await.expect(200);
    from("203.0.113.7", "https").get(PATH).await.expect(200);
    assert_eq!(from("198.51.100.1", "http").get(PATH).await.expect(403).error(), "ip_not_allowed", "whoever the client is");
    assert_eq!(from("203.0.113.7", "http").get("/v1/key").await.expect(403).error(), "https_required");
}

/// An answer on a connection that stays open.
async fn on(connection: &mut Raw, key: &Client, request: &str, body: &str) -> Reply {
    let length = body.len();
    let secret = key.secret();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    connection.send(head).await;
    connection.reply().await.expect("an answer")
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_the_next_request_on_every_open_connection() {
    let server = TestServer::start().await;
    let operator = server.user_in(server.account("Operators").await, Role::Admin).await;
    let service = server.key_of(&operator, &[Admin]).await;
    let key = server.key(&[]).await;
    let question = json!({ "key": key.secret() }).to_string();
    let (mut api, mut gateway, mut checks) =
        (Raw::connect(server.addr).await, Raw::connect(server.addr).await, Raw::connect(server.addr).await);
    for (status, valid) in [(200, true), (401, false)] {
        on(&mut api, &key, "GET /v1/key", "").await.expect(status);
        on(&mut gateway, &key, &format!("GET {PATH}"), "").await.expect(status);
        let verdict = on(&mut checks, &service, "POST /v1/keys/verify", &question).await.expect(200).json();
        assert_eq!(verdict["valid"], valid, "{verdict}");
        if valid {
            service.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
        } else {
            assert_eq!(verdict["code"], "revoked");
        }
    }
    server.advance(HOUR);
    on(&mut gateway, &key, &format!("GET {PATH}"), "").await.expect(401);
}
