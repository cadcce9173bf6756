//! Seed 0: Usertour, its codes, plans and pages.

use std::time::Duration;

use keyrack::config::Limits;
use keyrack::model::dialect::DialectName::Usertour;
use serde_json::json;

use super::{READ, WRITE, behind_a_proxy, break_the_users_table, has_user_fields, over, server};
use crate::support::{MINUTE, Reply, TestServer};

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// > We enforce HTTPS in every request to improve data security, integrity, and privacy.
/// > The API does not support HTTP.
#[tokio::test]
async fn plain_http_is_refused_and_https_served() {
    let server = behind_a_proxy(Usertour).await;
    let key = server.key(READ).await;
    for path in ["/v1/users/me", "/v1/nowhere"] {
        let refused = over("http", &key, path).await.expect(403);
        assert!(refused.json()["error"]["message"].as_str().expect("words").contains("HTTPS"));
        assert_eq!(code(&refused), "E1009");
        assert_eq!(refused.header("location"), "");
    }
    over("https", &key, "/v1/users/me").await.expect(200);
}

/// > To authenticate you need to add an Authorization header with the contents of the header being Bearer ak_123456789.
#[tokio::test]
async fn keys_begin_with_ak_and_go_behind_bearer() {
    let server = server(Usertour).await;
    let key = server.key(READ).await;
    assert!(key.secret().starts_with("ak_"));
    let by_hand = server.anonymous().header("Authorization", &format!("Bearer {}", key.secret()));
    by_hand.get("/v1/users/me").await.expect(200);
}

/// > In general, 2xx HTTP codes correspond to success.
/// > 200: Successful request.
#[tokio::test]
async fn a_successful_request_is_200() {
    let server = server(Usertour).await;
    let me = server.key(READ).await.get("/v1/users/me").await.expect(200);
    assert!(has_user_fields(&me.json()));
}

/// > 4xx codes are for user-related failures.
/// > 400: Check that the parameters were correct.
#[tokio::test]
async fn wrong_parameters_are_400_each_with_its_code() {
    let server = server(Usertour).await;
    let key = server.key(WRITE).await;
    assert_eq!(code(&key.get("/v1/users?limit=101").await.expect(400)), "E1006");
    assert_eq!(code(&key.get("/v1/users?cursor=nonsense").await.expect(400)), "E1007");
    assert_eq!(code(&key.post("/v1/users", json!({ "email": "x" })).await.expect(400)), "E1017");
    let broken = key.send(reqwest::Method::POST, "/v1/users", Some("{".into())).await;
    assert_eq!(code(&broken.expect(400)), "E1009");
    let form = key.header("Content-Type", "text/plain").send(reqwest::Method::POST, "/v1/users", Some("x".into())).await;
    assert_eq!(code(&form.expect(415)), "E1009");
    let large = key.post("/v1/users", json!({ "name": "x".repeat(70_000) })).await;
    assert_eq!(code(&large.expect(413)), "E1009");
    assert_eq!(code(&key.delete("/v1/users").await.expect(405)), "E1009");
}

/// > 401: The API key used was missing.
#[tokio::test]
async fn a_missing_key_is_401() {
    let server = server(Usertour).await;
    assert_eq!(code(&server.anonymous().get("/v1/users").await.expect(401)), "E1010");
}

/// > 403: The API key used was invalid.
#[tokio::test]
async fn an_invalid_key_is_403() {
    let server = server(Usertour).await;
    assert_eq!(code(&server.with_secret("ak_123456789").get("/v1/users").await.expect(403)), "E1000");
    let reader = server.key(READ).await;
    assert_eq!(code(&reader.post("/v1/users", json!({})).await.expect(403)), "E1012", "no permission");
}

#[tokio::test]
async fn an_expired_key_is_401_with_a_code_of_its_own() {
    let server = server(Usertour).await;
    let expiry = keyrack::model::api_key::Expiry::In(MINUTE);
    let key = server.key_with(READ, |new| new.expiry = expiry).await;
    key.get("/v1/users").await.expect(200);
    server.advance(MINUTE);
    assert_eq!(code(&key.get("/v1/users").await.expect(401)), "E1020");
}

/// > 404: The resource was not found.
#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = server(Usertour).await;
    let key = server.key(READ).await;
    assert_eq!(code(&key.get("/v1/users/123").await.expect(404)), "E1001");
    assert_eq!(code(&key.get("/v1/nowhere").await.expect(404)), "E1033");
}

/// > 429: The rate limit was exceeded.
/// > Exceeding the limit returns HTTP 429 (Too Many Requests).
/// > Enforces per-account request limits per minute.
#[tokio::test]
async fn the_account_has_a_hundred_requests_a_minute_over_all_its_keys() {
    let server = server(Usertour).await;
    let key = server.key(READ).await;
    let other = server.key_of(key.user(), READ).await;
    for left in (0..100).rev() {
        let client = if left % 2 == 0 { &key } else { &other };
        let reply = client.get("/v1/users/me").await.expect(200);
        assert_eq!(reply.number("x-ratelimit-remaining"), left);
        assert_eq!(reply.number("x-ratelimit-reset"), 60, "in seconds");
        assert_eq!(reply.header("ratelimit-limit"), "", "a header of another dialect");
    }
    let refused = other.get("/v1/users/me").await.expect(429);
    assert_eq!(code(&refused), "E1013");
    assert_eq!((refused.number("x-ratelimit-limit"), refused.number("retry-after")), (100, 60));
    server.advance(MINUTE);
    other.get("/v1/users/me").await.expect(200);
}

/// > Rate limits vary based on your subscription plan.
#[tokio::test]
async fn each_plan_has_its_own_limit() {
    let server = server(Usertour).await;
    for (plan, limit) in [("Hobby", 100), ("Starter", 500), ("Growth", 1_000), ("Business", 3_000)] {
        let key = server.key(READ).await;
        server.set_tier(&key, plan).await;
        assert_eq!(key.get("/v1/users/me").await.expect(200).number("x-ratelimit-limit"), limit, "{plan}");
    }
}

/// > 5xx codes are for infrastructure issues.
/// > 5xx: Indicates an error with Usertour servers.
#[tokio::test]
async fn a_fault_of_the_server_is_500_and_tells_nothing_of_it() {
    let server = server(Usertour).await;
    let key = server.key(READ).await;
    key.get("/v1/users/me").await.expect(200);
    break_the_users_table(&server);
    let failed = key.get("/v1/users").await.expect(500);
    assert_eq!(code(&failed), "E0000");
    assert!(!failed.text.contains("users_elsewhere") && !failed.text.contains("SQL"), "{}", failed.text);
}

/// > Check Error Codes for a comprehensive breakdown of all possible API errors.
#[tokio::test]
async fn every_error_links_to_the_page_of_its_code() {
    let server = server(Usertour).await;
    let error = server.anonymous().get("/v1/users").await.expect(401).json()["error"].clone();
    assert_eq!(error["doc_url"], format!("http://{}/docs/errors/E1010", server.addr));
    assert_eq!(error.as_object().expect("an object").keys().collect::<Vec<_>>(), ["code", "message", "doc_url"]);
}

/// > Controls simultaneous active requests.
/// > Implements request queuing when at high capacity.
#[tokio::test]
async fn more_requests_than_the_capacity_wait_their_turn() {
    let server = TestServer::with(|config| {
        config.api.dialect = Usertour;
        config.limits.max_concurrent = 1;
    })
    .await;
    let key = server.key(READ).await;
    let turn = server.app.in_flight.enter().await.expect("the only turn");
    let waiting = tokio::spawn(async move { key.get("/v1/users/me").await });
    crate::support::until("it waits", || server.app.in_flight.queued() == 1).await;
    drop(turn);
    waiting.await.expect("an answer").expect(200);
}

/// > Queue timeout: 15 seconds.
/// > Returns HTTP 503 (Service Unavailable) if queued too long.
#[tokio::test]
async fn who_waited_too_long_gets_503() {
    assert_eq!(Limits::default().queue_timeout, Duration::from_secs(15));
    let server = TestServer::with(|config| {
        config.api.dialect = Usertour;
        config.limits.max_concurrent = 1;
        config.limits.queue_timeout = Duration::from_millis(50);
    })
    .await;
    let key = server.key(READ).await;
    let _turn = server.app.in_flight.enter().await.expect("the only turn");
    assert_eq!(code(&key.get("/v1/users/me").await.expect(503)), "E1014");
}

/// > Consider implementing retry logic with exponential backoff when receiving these status codes.
#[tokio::test]
async fn both_429_and_503_say_when_to_come_again() {
    let server = TestServer::with(|config| {
        config.api.dialect = Usertour;
        config.limits.max_concurrent = 1;
        config.limits.max_queued = 0;
    })
    .await;
    let key = server.key_within(READ, &[(1, 60)]).await;
    key.get("/v1/users/me").await.expect(200);
    assert_eq!(key.get("/v1/users/me").await.expect(429).number("retry-after"), 60);
    server.advance(MINUTE);
    let _turn = server.app.in_flight.enter().await.expect("the only turn");
    assert!(key.get("/v1/users/me").await.expect(503).number("retry-after") >= 1);
}

#[tokio::test]
async fn a_list_has_results_and_relative_urls_of_its_neighbours() {
    let server = server(Usertour).await;
    let key = server.key(READ).await;
    for _ in 0..4 {
        server.colleague_of(key.user()).await;
    }
    let mut seen = Vec::new();
    let mut path = Some("/v1/users?limit=2".to_owned());
    let mut back = Vec::new();
    while let Some(next) = path {
        assert!(next.starts_with("/v1/users?"), "{next}");
        let page = key.get(&next).await.expect(200).json();
        seen.extend(page["results"].as_array().expect("rows").iter().map(|row| row["id"].clone()));
        back.push(page["previous"].as_str().map(str::to_owned));
        path = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 5);
    assert!(back[0].is_none());
    let first = key.get(back[1].as_deref().expect("a way back")).await.expect(200).json();
    assert_eq!(first["results"][0]["id"], seen[0]);
    assert_eq!(first["previous"], json!(null));
}

#[tokio::test]
async fn a_deletion_tells_what_was_deleted() {
    let server = server(Usertour).await;
    let key = server.key(WRITE).await;
    let user = server.colleague_of(key.user()).await;
    let deleted = key.delete(&format!("/v1/users/{}", user.id)).await.expect(200);
    assert_eq!(deleted.text, format!(r#"{{"id":"{0}","object":"user","deleted":true}}"#, user.id));
}
