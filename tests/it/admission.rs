//! Contract 2: what every request passes, in its order: HTTPS, User-Agent, the address's bucket, a turn, a deadline.

use std::time::Duration;

use keyrack::config::Config;
use keyrack::limits::Slot;
use keyrack::model::scope::Scope::{UsersRead, UsersWrite};
use serde_json::json;

use crate::support::{Client, MINUTE, Raw, TestServer, until};

/// A server behind a proxy on this machine, which says for whom it asks and over what.
async fn behind_a_proxy(more: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        more(config);
    })
    .await
}

fn from(client: &Client, address: &str, proto: &str) -> Client {
    client.header("X-Forwarded-For", address).header("X-Forwarded-Proto", proto)
}

// HTTPS.

#[tokio::test]
async fn a_plain_request_from_beyond_this_machine_is_refused_and_not_redirected() {
    let server = behind_a_proxy(|_| {}).await;
    let key = server.key(&[UsersRead]).await;
    for client in [
        from(&key, "203.0.113.7", "http"),
        from(&server.anonymous(), "203.0.113.7", "http"),
        key.header("X-Forwarded-For", "203.0.113.7"),
    ] {
        let refused = client.get("/v1/users").await.expect(403);
        assert_eq!(refused.error(), "https_required");
        assert!(refused.headers.get("location").is_none());
        assert_eq!(refused.number("x-ratelimit-remaining"), 100, "nobody is charged");
    }
    from(&key, "203.0.113.7", "https").get("/v1/users").await.expect(200);
    from(&key, "127.0.0.1", "http").get("/v1/users").await.expect(200);
    assert_eq!(key.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 997);
}

#[tokio::test]
async fn an_operator_can_say_that_plain_http_is_meant() {
    let server = behind_a_proxy(|config| config.server.insecure_http = true).await;
    let key = server.key(&[UsersRead]).await;
    from(&key, "203.0.113.7", "http").get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn reporting_a_leaked_key_over_plain_http_is_refused_too() {
    let server = behind_a_proxy(|_| {}).await;
    let refused = from(&server.anonymous(), "203.0.113.7", "http").post("/v1/keys/report", json!({ "key": "kr_x" })).await;
    assert_eq!((refused.status, refused.error().as_str()), (403, "https_required"));
}

// User-Agent.

#[tokio::test]
async fn a_user_agent_is_asked_for_only_when_it_is_required() {
    let server = TestServer::start().await;
    server.key(&[UsersRead]).await.get("/v1/users").await.expect(200);
    let server = TestServer::with(|config| config.api.require_user_agent = true).await;
    let key = server.key(&[UsersRead]).await;
    for client in [key.clone(), server.anonymous(), key.header("User-Agent", ""), key.header("User-Agent", "  ")] {
        let refused = client.get("/v1/users").await.expect(403);
        assert_eq!(refused.error(), "1010");
        assert!(refused.message().contains("User-Agent") && refused.message().contains("(error code: 1010)"));
    }
    key.header("User-Agent", "my-app/1.0").get("/v1/users").await.expect(200);
    server.anonymous().get("/healthz").await.expect(200);
}

// The address's bucket.

#[tokio::test]
async fn an_address_makes_a_hundred_guesses_a_minute_and_its_good_keys_still_pass() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    for n in 0..100 {
        let client = if n % 2 == 0 { server.anonymous() } else { server.with_secret("kr_wrong") };
        assert_eq!(client.get("/v1/users").await.expect(401).number("x-ratelimit-remaining"), 99 - n);
    }
    for client in [server.anonymous(), server.with_secret("kr_wrong")] {
        let refused = client.get("/v1/users").await.expect(429);
        assert_eq!((refused.error().as_str(), refused.header("retry-after")), ("rate_limit_exceeded", "60"));
        assert_eq!((refused.number("x-ratelimit-limit"), refused.number("ratelimit-remaining")), (100, 0));
    }
    assert_eq!(key.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 999);
    server.advance(MINUTE);
    server.anonymous().get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn a_spoofed_address_is_no_way_out_of_the_bucket() {
    let server = TestServer::with(|config| config.limits.anonymous_per_minute = 3).await;
    for (n, header) in
        ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"].iter().enumerate()
    {
        let value = if *header == "Forwarded" { format!("for=198.51.100.{n}") } else { format!("198.51.100.{n}") };
        let reply = server.anonymous().header(header, &value).get("/v1/users").await;
        assert_eq!(reply.status, if n < 3 { 401 } else { 429 }, "{header}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_bucket() {
    let server = behind_a_proxy(|config| config.limits.anonymous_per_minute = 2).await;
    let ask = async |forwarded: &str| from(&server.anonymous(), forwarded, "https").get("/v1/users").await.status;
    assert_eq!((ask("203.0.113.7").await, ask("203.0.113.7").await, ask("203.0.113.7").await), (401, 401, 429));
    assert_eq!(ask("203.0.113.8").await, 401);
    // What the client wrote itself stands to the left, and is not believed.
    assert_eq!(ask("198.51.100.1, 203.0.113.7").await, 429);
    assert_eq!(ask("127.0.0.1, 203.0.113.7").await, 429);
    // One customer has a whole /64.
    assert_eq!((ask("2001:db8:1:2::1").await, ask("2001:db8:1:2:ffff::9").await, ask("2001:db8:1:2::3").await), (401, 401, 429));
    assert_eq!(ask("2001:db8:1:3::1").await, 401);
    assert_eq!(ask("::ffff:203.0.113.7").await, 429);
}

#[tokio::test]
async fn an_allow_list_looks_at_the_client_and_not_at_the_proxy() {
    let server = behind_a_proxy(|_| {}).await;
    let key = server
        .key_with(&[UsersRead], |new| {
            new.ip_allow = keyrack::model::api_key::IpAllow::parse(["203.0.113.0/24", "2001:db8::/32"]).expect("networks");
        })
        .await;
    for (address, status) in [
        ("203.0.113.7", 200),
        ("203.0.113.7:4711", 200),
        ("::ffff:203.0.113.7", 200),
        ("2001:db8::1", 200),
        ("198.51.100.1", 403),
        ("203.0.113.7, 198.51.100.1", 403),
        ("2001:db9::1", 403),
    ] {
        from(&key, address, "https").get("/v1/users").await.expect(status);
    }
    key.get("/v1/users").await.expect(403);
}

// A turn.

/// One request at a time, and one that waits.
async fn one_at_a_time(more: impl FnOnce(&mut Config)) -> (TestServer, Client) {
    let server = TestServer::with(|config| {
        (config.limits.max_concurrent, config.limits.max_queued) = (1, 1);
        more(config);
    })
    .await;
    let key = server.key(&[UsersRead, UsersWrite]).await;
    (server, key)
}

/// The head of a request whose body is still to come.
fn head(key: &Client, body: &str) -> String {
    let (secret, length) = (key.secret(), body.len());
    format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn body(email: &str) -> String {
    json!({ "name": "Ada", "email": email, "password": "securepassword123" }).to_string()
}

/// A request that is being worked on for as long as the writer is held.
async fn running(server: &TestServer, key: &Client, body: &str) -> Raw {
    let raw = Raw::sent(server.addr, head(key, body) + body).await;
    until("the request is worked on", || server.app.in_flight.running() == 1).await;
    raw
}

/// The only turn, taken by nobody in particular.
async fn taken(server: &TestServer) -> Slot<'_> {
    server.app.in_flight.enter().await.expect("the only turn")
}

#[tokio::test]
async fn a_request_past_the_last_turn_waits_and_then_passes() {
    let (server, key) = one_at_a_time(|_| {}).await;
    let held = server.hold_writer();
    let (first, second) = (body("one@example.com"), body("two@example.com"));
    let mut running = running(&server, &key, &first).await;
    let mut waiting = Raw::sent(server.addr, head(&key, &second) + &second).await;
    until("the second waits", || server.app.in_flight.queued() == 1).await;
    drop(held);
    assert_eq!(running.reply().await.expect("an answer").status, 201);
    assert_eq!(waiting.reply().await.expect("an answer").status, 201);
    assert_eq!((server.app.in_flight.running(), server.app.in_flight.queued()), (0, 0));
}

#[tokio::test]
async fn one_that_finds_the_queue_full_gets_503_at_once() {
    let (server, key) = one_at_a_time(|_| {}).await;
    let _turn = taken(&server).await;
    let first = body("one@example.com");
    let _waiting = Raw::sent(server.addr, head(&key, &first) + &first).await;
    until("it waits", || server.app.in_flight.queued() == 1).await;
    let refused = key.get("/v1/users").await.expect(503);
    assert_eq!(refused.error(), "service_unavailable");
    assert!((5..10).contains(&refused.number("retry-after")));
    assert_eq!(refused.message(), format!("The server is busy. Try again in {} seconds.", refused.number("retry-after")));
    assert_eq!(refused.number("x-ratelimit-remaining"), 998, "it had a credential, and counted");
    assert_eq!(server.app.in_flight.refused(), 1);
    server.anonymous().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn one_that_waited_its_time_gets_503() {
    let (server, key) = one_at_a_time(|config| config.limits.queue_timeout = Duration::from_millis(50)).await;
    let turn = taken(&server).await;
    let refused = key.get("/v1/users").await.expect(503);
    assert_eq!(refused.error(), "service_unavailable");
    assert!(!refused.header("retry-after").is_empty());
    drop(turn);
    key.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue() {
    let (server, key) = one_at_a_time(|_| {}).await;
    let turn = taken(&server).await;
    let first = body("one@example.com");
    let waiting = Raw::sent(server.addr, head(&key, &first) + &first).await;
    until("it waits", || server.app.in_flight.queued() == 1).await;
    drop(waiting);
    until("its place is free", || server.app.in_flight.queued() == 0).await;
    drop(turn);
    assert_eq!(key.get("/v1/users").await.expect(200).ids(), [key.user().id.to_string()], "it was not worked on");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_turn() {
    let (server, key) = one_at_a_time(|_| {}).await;
    let held = server.hold_writer();
    let running = running(&server, &key, &body("one@example.com")).await;
    drop(running);
    until("the turn is free", || server.app.in_flight.running() == 0).await;
    key.get("/v1/users").await.expect(200);
    drop(held);
}

#[tokio::test]
async fn a_refused_credential_takes_no_turn() {
    let (server, _) = one_at_a_time(|_| {}).await;
    let _turn = taken(&server).await;
    server.anonymous().get("/v1/users").await.expect(401);
    server.with_secret("kr_wrong").get("/v1/users").await.expect(401);
    server.anonymous().get("/v1/nothing").await.expect(404);
}

#[tokio::test]
async fn bodies_that_take_their_time_keep_nobody_from_their_turn() {
    let (server, key) = one_at_a_time(|_| {}).await;
    let late = body("late@example.com");
    let mut slow = Vec::new();
    for _ in 0..5 {
        slow.push(Raw::sent(server.addr, head(&key, &late) + "{").await);
    }
    until("all of them are awaited", || server.app.in_flight.arriving_count() == 5).await;
    assert_eq!((server.app.in_flight.running(), server.app.in_flight.queued()), (0, 0));
    let first = body("one@example.com");
    assert_eq!(key.post("/v1/users", serde_json::from_str(&first).expect("a body")).await.status, 201);
    slow[0].send(&late[1..]).await;
    assert_eq!(slow[0].reply().await.expect("an answer").status, 201);
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_so_whatever_its_body() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let large = head(&key, &" ".repeat(70_000)) + &" ".repeat(70_000);
    let refused = Raw::sent(server.addr, large).await.reply().await.expect("an answer");
    assert_eq!(refused.error(), "insufficient_scope");
}

// The deadline.

#[tokio::test]
async fn a_body_that_does_not_come_is_cut() {
    let (server, key) = one_at_a_time(|config| config.server.body_timeout = Duration::from_millis(100)).await;
    let mut late = Raw::sent(server.addr, head(&key, &body("one@example.com"))).await;
    let cut = late.reply().await.expect("an answer");
    assert_eq!((cut.status, cut.error().as_str()), (408, "request_timeout"));
    assert!(late.closes().await.is_some(), "what still comes of the body is no request");
    assert_eq!((server.app.in_flight.running(), server.app.in_flight.arriving_count()), (0, 0));
}

#[tokio::test]
async fn a_body_that_dribbles_in_is_cut_although_something_keeps_coming() {
    let server = TestServer::with(|config| config.server.body_timeout = Duration::from_millis(150)).await;
    let key = server.key(&[UsersWrite]).await;
    let mut raw = Raw::sent(server.addr, head(&key, &" ".repeat(60_000))).await;
    let dribble = async {
        loop {
            raw.send(" ").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_millis(400), dribble).await.expect_err("it never ends by itself");
    assert_eq!(raw.reply().await.expect("an answer").status, 408);
}

#[tokio::test]
async fn waiting_in_the_queue_takes_nothing_from_the_time_for_the_body() {
    let (server, key) = one_at_a_time(|config| config.server.body_timeout = Duration::from_millis(100)).await;
    let turn = taken(&server).await;
    let first = body("one@example.com");
    let mut waiting = Raw::sent(server.addr, head(&key, &first) + &first).await;
    until("it waits", || server.app.in_flight.queued() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(turn);
    assert_eq!(waiting.reply().await.expect("an answer").status, 201);
}

#[tokio::test]
async fn headers_that_do_not_come_are_cut_too() {
    let server = TestServer::with(|config| config.server.header_timeout = Duration::from_millis(100)).await;
    let mut raw = Raw::sent(server.addr, "GET /v1/users HTTP/1.1\r\nHost: x\r\n").await;
    assert!(raw.reply().await.is_none_or(|reply| reply.status == 408));
    assert!(raw.closes().await.is_some());
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let Config { server, api, limits, .. } = Config::default();
    assert_eq!((limits.max_concurrent, limits.max_queued, limits.anonymous_per_minute), (256, 1024, 100));
    assert_eq!(limits.queue_timeout, Duration::from_secs(15));
    assert_eq!((server.header_timeout, server.body_timeout), (Duration::from_secs(5), Duration::from_secs(10)));
    assert_eq!((server.drain_timeout, server.max_body_bytes), (Duration::from_secs(30), 65_536));
    assert!(server.trusted_proxies.is_empty() && !server.insecure_http && !api.require_user_agent);
    assert_eq!(server.listen.to_string(), "127.0.0.1:8080");
}

// The order.

#[tokio::test]
async fn what_comes_first_in_the_contract_is_told_first() {
    let server = behind_a_proxy(|config| {
        config.api.require_user_agent = true;
        config.limits.anonymous_per_minute = 1;
    })
    .await;
    let key = server.key(&[UsersRead]).await;
    let told = async |client: Client| client.post("/v1/users", json!("no object")).await.error();
    let plain = from(&server.with_secret("kr_wrong"), "203.0.113.7", "http");
    assert_eq!(told(plain).await, "https_required");
    let nameless = from(&server.with_secret("kr_wrong"), "203.0.113.7", "https");
    assert_eq!(told(nameless.clone()).await, "1010");
    let wrong = nameless.header("User-Agent", "test");
    assert_eq!(told(wrong.clone()).await, "invalid_api_key");
    assert_eq!(told(wrong).await, "rate_limit_exceeded");
    let unscoped = from(&key, "203.0.113.7", "https").header("User-Agent", "test");
    assert_eq!(told(unscoped.clone()).await, "insufficient_scope");
    server.set_windows(&key, &[(1, 60)]).await;
    assert_eq!(told(unscoped.clone()).await, "insufficient_scope");
    assert_eq!(told(unscoped).await, "rate_limit_exceeded", "before the scope");
}
