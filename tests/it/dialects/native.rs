//! Seed 4: Authentication. Its sentences on OAuth are checked with OAuth.

use keyrack::model::dialect::DialectName::Native;
use serde_json::json;

use super::{KEYS, READ, behind_a_proxy, has_user_fields, over, server};

/// > Include your API key in the request header.
/// > Expected: 200 OK with user data.
#[tokio::test]
async fn with_a_valid_key_one_sees_oneself() {
    let server = server(Native).await;
    let key = server.key(READ).await;
    let me =
        server.anonymous().header("Authorization", &format!("Bearer {}", key.secret())).get("/v1/users/me").await.expect(200);
    assert!(has_user_fields(&me.json()));
}

/// > Invalid API Key: 401 Unauthorized. The API key provided is invalid.
/// > Expected: 401 Unauthorized.
#[tokio::test]
async fn an_invalid_key_is_401() {
    let server = server(Native).await;
    let refused = server.with_secret("INVALID_KEY").get("/v1/users/me").await.expect(401);
    assert_eq!((refused.error().as_str(), refused.message().as_str()), ("invalid_api_key", "The API key provided is invalid."));
}

/// > Missing API Key: 401 Unauthorized. No API key provided in the Authorization header.
#[tokio::test]
async fn a_missing_key_is_401() {
    let server = server(Native).await;
    let refused = server.anonymous().get("/v1/users/me").await.expect(401);
    assert_eq!(refused.error(), "missing_api_key");
    assert_eq!(refused.message(), "No API key provided in the Authorization header.");
}

/// > Free: 1,000 requests per hour, burst limit 50.
/// > Pro: 10,000 requests per hour, burst limit 200.
/// > Enterprise: unlimited requests per hour, burst limit 1,000.
#[tokio::test]
async fn each_tier_has_its_quota_and_its_burst() {
    let server = server(Native).await;
    for (tier, policy, quota) in
        [("Free", "50;w=1, 1000;w=3600", 1_000), ("Pro", "200;w=1, 10000;w=3600", 10_000), ("Enterprise", "1000;w=1", 1_000)]
    {
        let key = server.key(READ).await;
        server.set_tier(&key, tier).await;
        let reply = key.get("/v1/users/me").await.expect(200);
        assert_eq!((reply.header("ratelimit-policy"), reply.number("x-ratelimit-limit")), (policy, quota), "{tier}");
    }
}

/// > Every response includes rate limit information.
#[tokio::test]
async fn the_first_answer_says_1000_and_999() {
    let server = server(Native).await;
    let reply = server.key(READ).await.get("/v1/users").await.expect(200);
    assert_eq!((reply.header("x-ratelimit-limit"), reply.header("x-ratelimit-remaining")), ("1000", "999"));
    assert!(reply.number("x-ratelimit-reset") > 1_640_000_000, "Unix time");
}

/// > When you exceed the rate limit, you'll receive a 429 Too Many Requests response.
/// > Rate limit exceeded. Try again in 3600 seconds.
/// > Implement exponential backoff when you receive a 429 response.
#[tokio::test]
async fn past_the_limit_the_answer_says_when_to_come_again() {
    let server = server(Native).await;
    let key = server.key_within(READ, &[(1, 3_600)]).await;
    key.get("/v1/users").await.expect(200);
    let refused = key.get("/v1/users").await.expect(429);
    assert_eq!((refused.error().as_str(), refused.number("retry-after")), ("rate_limit_exceeded", 3_600));
    assert_eq!(refused.message(), "Rate limit exceeded. Try again in 3600 seconds.");
}

/// > Use HTTPS for all API requests.
#[tokio::test]
async fn plain_http_is_refused() {
    let server = behind_a_proxy(Native).await;
    let key = server.key(READ).await;
    assert_eq!(over("http", &key, "/v1/users").await.expect(403).error(), "https_required");
    over("https", &key, "/v1/users").await.expect(200);
}

/// > Rotate API keys regularly.
#[tokio::test]
async fn a_key_is_rotated_while_both_secrets_work() {
    let server = server(Native).await;
    let key = server.key(KEYS).await;
    let rotated = key.post(&format!("/v1/keys/{}/rotate", key.key_id()), json!({})).await.expect(200).json();
    let fresh = server.with_secret(rotated["secret"].as_str().expect("a secret"));
    key.get("/v1/key").await.expect(200);
    fresh.get("/v1/key").await.expect(200);
}

/// > Use least privilege access (minimal scopes).
#[tokio::test]
async fn a_key_may_do_no_more_than_its_scopes() {
    let server = server(Native).await;
    let key = server.key(READ).await;
    key.get("/v1/keys").await.expect(403);
    key.get("/v1/users").await.expect(200);
}
