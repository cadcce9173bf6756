//! Seed 2: Mitwirken, its headers and whole lists.

use keyrack::model::dialect::DialectName::Mitwirken;
use serde_json::json;

use super::{READ, WRITE, behind_a_proxy, break_the_users_table, has_user_fields, over, server};
use crate::support::{SECOND, TestServer};

/// > We enforce HTTPS in every request to improve data security, integrity, and privacy.
/// > The API does not support HTTP.
#[tokio::test]
async fn plain_http_is_refused_and_https_served() {
    let server = behind_a_proxy(Mitwirken).await;
    let key = server.key(READ).await;
    assert_eq!(over("http", &key, "/users/me").await.expect(403).error(), "https_required");
    over("https", &key, "/users/me").await.expect(200);
}

/// > To authenticate you need to add an Authorization header with the contents of the header being Bearer mit_123456789.
/// > In general, 2xx HTTP codes correspond to success.
/// > 200: Successful request.
#[tokio::test]
async fn keys_begin_with_mit_and_go_behind_bearer() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    assert!(key.secret().starts_with("mit_"));
    let by_hand = server.anonymous().header("Authorization", &format!("Bearer {}", key.secret()));
    assert!(has_user_fields(&by_hand.get("/users/me").await.expect(200).json()));
}

/// > 4xx codes are for user-related failures.
/// > 400: Check that the parameters were correct.
#[tokio::test]
async fn wrong_parameters_are_400() {
    let server = server(Mitwirken).await;
    let key = server.key(WRITE).await;
    let refused = key.post("/users", json!({ "email": "x" })).await.expect(400);
    assert_eq!(refused.error(), "validation_error");
    assert!(!refused.problems().is_empty());
}

/// > 401: The API key used was missing.
#[tokio::test]
async fn a_missing_key_is_401() {
    let server = server(Mitwirken).await;
    assert_eq!(server.anonymous().get("/users").await.expect(401).error(), "missing_api_key");
}

/// > 403: The API key used was invalid.
#[tokio::test]
async fn an_invalid_key_is_403() {
    let server = server(Mitwirken).await;
    let refused = server.with_secret("mit_123456789").get("/users").await.expect(403);
    assert_eq!((refused.error().as_str(), &refused.json()["status"]), ("invalid_api_key", &json!(403)));
}

/// > 404: The resource was not found.
#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    assert_eq!(key.get("/users/123").await.expect(404).error(), "not_found");
    assert_eq!(key.get("/nowhere").await.expect(404).error(), "not_found");
    assert_eq!(key.get("/api-keys").await.expect(404).error(), "not_found", "a path of another dialect");
}

/// > 429: The rate limit was exceeded.
/// > The default maximum rate limit is 2 requests per second.
/// > After that, you’ll hit the rate limit and receive a 429 response error code.
/// > retry-after: How many seconds you should wait before making a follow-up request.
#[tokio::test]
async fn there_are_two_requests_a_second() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    for _ in 0..2 {
        assert_eq!(key.get("/users/me").await.expect(200).header("retry-after"), "");
    }
    let refused = key.get("/users/me").await.expect(429);
    assert_eq!((refused.error().as_str(), refused.number("retry-after")), ("rate_limit_exceeded", 1));
    server.advance(SECOND);
    key.get("/users/me").await.expect(200);
}

/// > The response headers describe your current rate limit following every request in conformance with the IETF standard.
/// > ratelimit-limit: Maximum number of requests allowed within a window.
/// > ratelimit-remaining: How many requests you have left within the current window.
/// > ratelimit-reset: How many seconds until the limits are reset.
#[tokio::test]
async fn every_answer_tells_of_the_limit() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    let figures = |reply: &crate::support::Reply| {
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| reply.number(name))
    };
    assert_eq!(figures(&key.get("/users/me").await.expect(200)), [2, 1, 1]);
    assert_eq!(figures(&key.get("/users/123").await.expect(404)), [2, 0, 1]);
    let refused = key.get("/users/me").await.expect(429);
    assert_eq!(figures(&refused), [2, 0, 1]);
    assert_eq!((refused.header("ratelimit-policy"), refused.header("x-ratelimit-limit")), ("", ""), "of another dialect");
    assert_eq!(figures(&server.anonymous().get("/users").await.expect(401)), [100, 99, 60]);
    assert_eq!(figures(&server.anonymous().get("/nowhere").await.expect(404)), [100, 99, 60]);
}

/// > This number can be increased for trusted senders by request.
#[tokio::test]
async fn a_trusted_account_gets_windows_of_its_own() {
    let server = server(Mitwirken).await;
    let key = server.key_within(READ, &[(20, 1)]).await;
    assert_eq!(key.get("/users/me").await.expect(200).number("ratelimit-limit"), 20);
}

/// > 5xx codes are for infrastructure issues.
/// > 5xx: Indicates an error with Mitwirken servers.
#[tokio::test]
async fn a_fault_of_the_server_is_500_and_a_full_queue_503() {
    let server = TestServer::with(|config| {
        config.api.dialect = Mitwirken;
        config.limits.max_concurrent = 1;
        config.limits.max_queued = 0;
    })
    .await;
    let key = server.key(READ).await;
    let turn = server.app.in_flight.enter().await.expect("the only turn");
    assert!(key.get("/users/me").await.expect(503).number("retry-after") >= 1);
    drop(turn);
    break_the_users_table(&server);
    assert_eq!(key.get("/users").await.expect(500).error(), "internal_error");
}

/// > Check Error Codes for a comprehensive breakdown of all possible API errors.
#[tokio::test]
async fn every_error_links_to_the_page_of_its_code() {
    let server = server(Mitwirken).await;
    let error = server.anonymous().get("/users").await.expect(401).json();
    assert_eq!(error["doc_url"], format!("http://{}/docs/errors/missing_api_key", server.addr));
}

/// > We do not support pagination yet.
#[tokio::test]
async fn a_list_comes_whole() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    for _ in 0..24 {
        server.colleague_of(key.user()).await;
    }
    let all = key.get("/users").await.expect(200);
    assert_eq!((all.ids().len(), all.header("link")), (25, ""));
    assert_eq!(key.get("/users?limit=2&offset=3").await.expect(200).ids(), all.ids());
}

/// > We do not support API versioning yet.
#[tokio::test]
async fn paths_answer_without_a_version() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    assert_eq!(key.get("/users/me").await.expect(200).json(), key.get("/v1/users/me").await.expect(200).json());
}
