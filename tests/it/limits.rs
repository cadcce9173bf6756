//! Contract 4: windows, and the headers that tell of them.

use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead};
use keyrack::services;
use serde_json::json;

use crate::support::{Client, HOUR, MINUTE, Raw, Reply, SECOND, TestServer, windows_of};

/// 2026-11-22T10:00:00Z
const NOW: i64 = 1_795_341_600;

#[track_caller]
fn told(reply: &Reply, quota: [i64; 3], tightest: [i64; 3]) {
    let numbers = |names: [&str; 3]| names.map(|name| reply.number(name));
    assert_eq!(numbers(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]), quota, "X-RateLimit-*");
    assert_eq!(numbers(["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]), tightest, "RateLimit-*");
}

async fn passes(key: &Client, times: usize) {
    for n in 0..times {
        assert_eq!(key.get("/v1/key").await.status, 200, "request {n}");
    }
}

#[tokio::test]
async fn a_first_request_on_free_has_999_left_of_1000() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let first = key.get("/v1/users").await.expect(200);
    told(&first, [1000, 999, NOW + 3600], [50, 49, 1]);
    assert_eq!(first.header("ratelimit-policy"), "50;w=1, 1000;w=3600");
    assert!(first.headers.get("ratelimit").is_none(), "the structured form is opt-in");
    assert!(first.headers.get("retry-after").is_none());
}

#[tokio::test]
async fn the_tightest_window_is_told_beside_the_longest() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(10, 1), (12, 60), (1000, 3600)]).await;
    passes(&key, 4).await;
    told(&key.get("/v1/key").await, [1000, 995, NOW + 3600], [10, 5, 1]);
    server.advance(SECOND);
    told(&key.get("/v1/key").await, [1000, 994, NOW + 3600], [12, 6, 59]);
    assert_eq!(key.get("/v1/key").await.header("ratelimit-policy"), "10;w=1, 12;w=60, 1000;w=3600");
}

#[tokio::test]
async fn a_401_tells_of_the_addresss_bucket_and_a_403_and_404_of_the_accounts_windows() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let missing = server.anonymous().get("/v1/users").await.expect(401);
    told(&missing, [100, 99, NOW + 60], [100, 99, 60]);
    assert_eq!(missing.header("ratelimit-policy"), "100;w=60");
    told(&server.with_secret("kr_wrong").get("/v1/users").await.expect(401), [100, 98, NOW + 60], [100, 98, 60]);
    told(&key.get("/v1/keys").await.expect(403), [1000, 999, NOW + 3600], [50, 49, 1]);
    told(&key.get("/v1/users/123").await.expect(404), [1000, 998, NOW + 3600], [50, 48, 1]);
    told(&key.post("/v1/users", json!({})).await.expect(403), [1000, 997, NOW + 3600], [50, 47, 1]);
}

#[tokio::test]
async fn past_the_limit_a_request_is_told_when_it_would_pass() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(2, 3600)]).await;
    passes(&key, 2).await;
    let refused = key.get("/v1/users").await.expect(429);
    told(&refused, [2, 0, NOW + 3600], [2, 0, 3600]);
    assert_eq!(refused.header("retry-after"), "3600");
    assert_eq!(
        (refused.error().as_str(), refused.message().as_str()),
        ("rate_limit_exceeded", "Rate limit exceeded. Try again in 3600 seconds.")
    );

    server.advance(3599 * SECOND + SECOND / 2);
    let refused = key.get("/v1/users").await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-reset")), ("1", "1"), "rounded up, never 0");
    server.advance(SECOND / 2);
    key.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn waiting_as_long_as_told_is_enough() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(1, 7), (3, 60)]).await;
    for _ in 0..6 {
        let mut reply = key.get("/v1/key").await;
        if reply.status == 429 {
            server.advance(SECOND * u32::try_from(reply.number("retry-after")).expect("seconds"));
            reply = key.get("/v1/key").await;
        }
        reply.expect(200);
    }
}

#[tokio::test]
async fn a_429_describes_the_window_that_refused_the_one_that_opens_last() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(2, 1), (2, 60), (1000, 3600)]).await;
    passes(&key, 2).await;
    let refused = key.get("/v1/users").await.expect(429);
    told(&refused, [2, 0, NOW + 60], [2, 0, 60]);
    assert_eq!(refused.header("ratelimit-policy"), "2;w=1, 2;w=60, 1000;w=3600");
}

#[tokio::test]
async fn a_refused_request_is_charged_to_no_window() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(2, 1), (100, 3600)]).await;
    passes(&key, 2).await;
    for _ in 0..20 {
        key.get("/v1/key").await.expect(429);
    }
    server.advance(SECOND);
    assert_eq!(key.get("/v1/key").await.expect(200).number("x-ratelimit-remaining"), 97);
}

#[tokio::test]
async fn a_window_starts_with_its_first_request_and_then_anew() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(2, 60)]).await;
    server.advance(45 * SECOND);
    passes(&key, 1).await;
    server.advance(59 * SECOND);
    passes(&key, 1).await;
    key.get("/v1/key").await.expect(429);
    server.advance(SECOND);
    server.advance(30 * SECOND);
    told(&key.get("/v1/key").await.expect(200), [2, 1, NOW + 45 + 60 + 30 + 60], [2, 1, 60]);
}

#[tokio::test]
async fn everything_past_the_credential_counts_and_nothing_before_it() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    key.get("/v1/users?limit=0").await.expect(400);
    key.get("/v1/users/123").await.expect(404);
    key.post("/v1/users", json!({})).await.expect(403);
    key.get("/v1/nothing").await.expect(404);
    key.delete("/v1/users").await.expect(405);
    assert_eq!(key.get("/v1/users").await.number("x-ratelimit-remaining"), 996);
}

// Accounts, keys and tiers.

#[tokio::test]
async fn the_keys_of_one_account_share_its_windows() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(4, 3600)]).await;
    let same_owner = server.key_of(key.user(), &[UsersRead]).await;
    let colleague = server.key_of(&server.colleague_of(key.user()).await, &[UsersRead]).await;
    let stranger = server.key_within(&[UsersRead], &[(4, 3600)]).await;
    passes(&key, 2).await;
    passes(&same_owner, 1).await;
    assert_eq!(colleague.get("/v1/key").await.expect(200).number("x-ratelimit-remaining"), 0);
    for each in [&key, &same_owner, &colleague] {
        each.get("/v1/key").await.expect(429);
    }
    passes(&stranger, 4).await;
}

#[tokio::test]
async fn a_key_of_a_new_secret_or_a_new_key_is_no_refill() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead, KeysRead, KeysWrite], &[(3, 3600)]).await;
    let rotated = key.post(&format!("/v1/keys/{}/rotate", key.key_id()), json!({})).await.expect(200).json();
    let made = key.post("/v1/keys", json!({ "name": "CI" })).await.expect(201).json();
    key.delete(&format!("/v1/keys/{}", key.key_id())).await.expect(204);
    server.with_secret(made["secret"].as_str().expect("a secret")).get("/v1/key").await.expect(429);
    server.with_secret(rotated["secret"].as_str().expect("a secret")).get("/v1/key").await.expect(401);
}

#[tokio::test]
async fn a_keys_own_windows_are_decided_with_its_accounts() {
    let server = TestServer::start().await;
    let key = server.key_with(&[UsersRead], |new| new.windows = windows_of(&[(2, 60), (100, 1)])).await;
    server.set_windows(&key, &[(5, 3600)]).await;
    let other = server.key_of(key.user(), &[UsersRead]).await;
    let first = key.get("/v1/key").await.expect(200);
    told(&first, [5, 4, NOW + 3600], [2, 1, 60]);
    assert_eq!(first.header("ratelimit-policy"), "100;w=1, 2;w=60, 5;w=3600");
    passes(&key, 1).await;
    for _ in 0..3 {
        told(&key.get("/v1/key").await.expect(429), [2, 0, NOW + 60], [2, 0, 60]);
    }
    // What the key's window refused was not charged to the account.
    assert_eq!(other.get("/v1/key").await.expect(200).number("x-ratelimit-remaining"), 2);
    passes(&other, 2).await;
    server.advance(MINUTE);
    told(&key.get("/v1/key").await.expect(429), [5, 0, NOW + 3600], [5, 0, 3540]);
}

#[tokio::test]
async fn tiers_decide_and_an_accounts_own_windows_win_over_them() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Pro").await;
    let pro = key.get("/v1/key").await.expect(200);
    assert_eq!((pro.number("x-ratelimit-limit"), pro.header("ratelimit-policy")), (10_000, "200;w=1, 10000;w=3600"));
    server.set_tier(&key, "Enterprise").await;
    let enterprise = key.get("/v1/key").await.expect(200);
    assert_eq!((enterprise.number("x-ratelimit-limit"), enterprise.header("ratelimit-policy")), (1_000, "1000;w=1"));
    server.set_windows(&key, &[(7, 60)]).await;
    assert_eq!(key.get("/v1/key").await.expect(200).header("ratelimit-policy"), "7;w=60");
}

#[tokio::test]
async fn a_changed_tier_reaches_its_accounts_at_once() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    server.set_tier(&key, "Pro").await;
    passes(&key, 1).await;
    let (operator, name) =
        (keyrack::model::caller::Caller::command_line(), keyrack::model::name::Name::parse("pro").expect("a name"));
    services::tiers::set(&server.app, &operator, name, windows_of(&[(3, 3600)])).await.expect("set");
    assert_eq!(key.get("/v1/key").await.expect(200).number("x-ratelimit-remaining"), 1, "what was used stays used");
    assert!(services::tiers::delete(&server.app, &operator, "Pro").await.is_err(), "an account still has it");
    passes(&key, 1).await;
    key.get("/v1/key").await.expect(429);
}

#[tokio::test]
async fn changing_the_tier_there_and_back_is_no_refill() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    passes(&key, 40).await;
    server.set_tier(&key, "Enterprise").await;
    assert_eq!(key.get("/v1/key").await.number("x-ratelimit-remaining"), 959, "of the window of a second, which goes on");
    server.set_tier(&key, "Pro").await;
    assert_eq!(key.get("/v1/key").await.number("x-ratelimit-remaining"), 9_959);
    server.set_tier(&key, "Free").await;
    let free = key.get("/v1/key").await.expect(200);
    assert_eq!((free.number("x-ratelimit-remaining"), free.number("ratelimit-remaining")), (958, 7));
}

#[tokio::test]
async fn a_limit_made_smaller_than_what_was_used_refuses_and_tells_no_negative_number() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(10, 3600)]).await;
    passes(&key, 5).await;
    server.set_windows(&key, &[(3, 3600)]).await;
    told(&key.get("/v1/key").await.expect(429), [3, 0, NOW + 3600], [3, 0, 3600]);
}

// Races.

/// Sends this many requests but for their last byte, then the last bytes at once. Gives how many had each status.
async fn all_at_once(server: &TestServer, secrets: &[&str], requests: usize) -> Vec<(u16, usize)> {
    let head = |n: usize| {
        format!(
            "GET /v1/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            secrets[n % secrets.len()]
        )
    };
    let mut waiting = Vec::with_capacity(requests);
    for n in 0..requests {
        let head = head(n);
        waiting.push(Raw::sent(server.addr, &head[..head.len() - 1]).await);
    }
    for raw in &mut waiting {
        raw.send("\n").await;
    }
    let mut counts = std::collections::BTreeMap::new();
    for raw in &mut waiting {
        *counts.entry(raw.reply().await.expect("an answer").status).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_hundred_requests_at_the_same_instant_against_a_window_of_fifty_fifty_pass() {
    let server = TestServer::with(|config| config.server.workers = 4).await;
    let key = server.key_within(&[UsersRead], &[(50, 3600)]).await;
    let second = server.key_of(key.user(), &[UsersRead]).await;
    let counts = all_at_once(&server, &[key.secret(), second.secret()], 500).await;
    assert_eq!(counts, [(200, 50), (429, 450)]);
    key.get("/v1/key").await.expect(429);
    server.advance(HOUR);
    assert_eq!(key.get("/v1/key").await.expect(200).number("x-ratelimit-remaining"), 49);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_guesses_at_the_same_instant_as_many_are_looked_at_as_the_bucket_holds() {
    let server = TestServer::with(|config| config.server.workers = 4).await;
    let counts = all_at_once(&server, &["kr_wrong", "kr_wronger"], 300).await;
    assert_eq!(counts, [(401, 100), (429, 200)]);
}
