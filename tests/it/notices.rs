//! What is noticed of keys and requests without anybody asking: leaks, new networks, long silence, many refusals.

use keyrack::model::caller::Caller;
use keyrack::model::notice::{Notice, NoticeKind};
use keyrack::model::scope::Scope::{KeysVerify, UsersRead};
use keyrack::services;
use serde_json::json;

use crate::support::{Client, DAY, HOUR, MINUTE, TestServer};

/// A server behind a proxy that says from where each request comes.
async fn start() -> TestServer {
    TestServer::with(|config| config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]).await
}

fn from(client: &Client, ip: &str) -> Client {
    client.header("X-Forwarded-For", ip).header("X-Forwarded-Proto", "https")
}

async fn standing(server: &TestServer) -> Vec<Notice> {
    services::notices::list(&server.app, &Caller::command_line()).await.expect("notices")
}

async fn kinds(server: &TestServer) -> Vec<(NoticeKind, String, u64)> {
    standing(server).await.into_iter().map(|notice| (notice.kind, notice.detail, notice.count)).collect()
}

fn audited(server: &TestServer, action: &str) -> i64 {
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.query_row("SELECT count(*) FROM audit_events WHERE action = $1", [action], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn a_key_used_from_a_new_network_is_noticed_once_and_its_first_network_is_not() {
    let server = start().await;
    let key = server.key(&[]).await;
    let used = async |ip: &str| {
        from(&key, ip).get("/v1/key").await.expect(200);
        server.flush().await;
    };
    used("203.0.113.7").await;
    used("203.0.113.200").await;
    assert_eq!(kinds(&server).await, []);
    used("198.51.100.1").await;
    used("198.51.100.9").await;
    used("203.0.113.7").await;
    assert_eq!(kinds(&server).await, [(NoticeKind::NewNetwork, "198.51.100.0/24".to_owned(), 1)]);
    used("2001:db8:1:2::3").await;
    used("2001:db8:1:ffff::3").await;
    assert_eq!(kinds(&server).await, [(NoticeKind::NewNetwork, "2001:db8:1::/48".to_owned(), 2)]);
    assert_eq!(audited(&server, "key.anomaly.new_network"), 1, "one for the notice, not one for each network");
}

#[tokio::test]
async fn a_network_between_two_requests_of_one_batch_is_seen_too() {
    let server = start().await;
    let key = server.key(&[]).await;
    from(&key, "203.0.113.7").get("/v1/key").await.expect(200);
    server.flush().await;
    for ip in ["203.0.113.7", "198.51.100.1", "203.0.113.7"] {
        from(&key, ip).get("/v1/key").await.expect(200);
    }
    server.flush().await;
    assert_eq!(kinds(&server).await, [(NoticeKind::NewNetwork, "198.51.100.0/24".to_owned(), 1)]);
}

#[tokio::test]
async fn a_check_for_a_service_counts_as_a_use_from_where_the_service_says() {
    let server = start().await;
    let key = server.key(&[]).await;
    let service = server.key_of(&server.colleague_of(key.user()).await, &[KeysVerify]).await;
    for ip in ["203.0.113.7", "198.51.100.1"] {
        let asked = json!({ "key": key.secret(), "ip": ip });
        from(&service, "192.0.2.1").post("/v1/keys/verify", asked).await.expect(200);
        server.flush().await;
    }
    assert_eq!(kinds(&server).await, [(NoticeKind::NewNetwork, "198.51.100.0/24".to_owned(), 1)]);
}

#[tokio::test]
async fn of_a_key_with_an_allow_list_every_network_was_expected() {
    let server = start().await;
    let key = server.key_with(&[], |new| new.ip_allow = allowing(&["203.0.113.0/24", "198.51.100.0/24"])).await;
    for ip in ["203.0.113.7", "198.51.100.1"] {
        from(&key, ip).get("/v1/key").await.expect(200);
        server.flush().await;
    }
    assert_eq!(kinds(&server).await, []);
}

fn allowing(entries: &[&str]) -> keyrack::model::api_key::IpAllow {
    keyrack::model::api_key::IpAllow::parse(entries.iter().copied()).expect("networks")
}

#[tokio::test]
async fn the_networks_of_a_key_are_bounded() {
    let server = start().await;
    let key = server.key(&[]).await;
    for n in 0..40 {
        from(&key, &format!("203.0.{n}.1")).get("/v1/key").await.expect(200);
        server.flush().await;
        server.advance(MINUTE);
    }
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let rows: i64 = file.query_row("SELECT count(*) FROM key_networks", [], |row| row.get(0)).expect("a count");
    assert_eq!(rows, 32);
    assert_eq!(kinds(&server).await, [(NoticeKind::NewNetwork, "203.0.39.0/24".to_owned(), 39)]);
}

#[tokio::test]
async fn a_key_that_wakes_after_thirty_days_is_noticed_with_when_it_was_used_before() {
    let server = start().await;
    let (key, never) = (server.key(&[]).await, server.key(&[]).await);
    let use_it = async |key: &Client| {
        from(key, "203.0.113.7").get("/v1/key").await.expect(200);
        server.flush().await;
    };
    use_it(&key).await;
    server.advance(29 * DAY);
    use_it(&key).await;
    assert_eq!(kinds(&server).await, []);
    server.advance(30 * DAY);
    use_it(&key).await;
    use_it(&key).await;
    assert_eq!(kinds(&server).await, [(NoticeKind::Woke, "2026-12-21T10:00:00Z".to_owned(), 1)]);
    use_it(&never).await;
    assert!(kinds(&server).await.contains(&(NoticeKind::Woke, String::new(), 1)));
    assert_eq!(audited(&server, "key.anomaly.dormant"), 2);
}

#[tokio::test]
async fn many_requests_without_a_valid_key_are_noticed_once_an_hour() {
    let server = start().await;
    let guess = async |count: usize| {
        for n in 0..count {
            from(&server.anonymous(), &format!("203.0.113.{}", n % 200)).get("/v1/users").await.expect(401);
        }
        server.flush().await;
    };
    guess(99).await;
    assert_eq!(kinds(&server).await, []);
    guess(1).await;
    assert_eq!(kinds(&server).await, [(NoticeKind::Refused, String::new(), 100)]);
    guess(50).await;
    assert_eq!(kinds(&server).await.len(), 1);
    server.advance(2 * HOUR);
    guess(100).await;
    assert_eq!(standing(&server).await[0].count, 200);
}

#[tokio::test]
async fn paths_that_do_not_exist_are_no_guesses() {
    let server = start().await;
    for n in 0..120 {
        from(&server.anonymous(), &format!("203.0.113.{n}")).get("/v1/wp-login").await.expect(404);
    }
    server.flush().await;
    assert_eq!(kinds(&server).await, []);
}

#[tokio::test]
async fn many_requests_that_meet_a_limit_are_noticed() {
    let server = start().await;
    let key = server.key_within(&[UsersRead], &[(1, 3600)]).await;
    for n in 0..101 {
        from(&key, "203.0.113.7").get("/v1/users/me").await.expect(if n == 0 { 200 } else { 429 });
    }
    server.flush().await;
    assert_eq!(kinds(&server).await, [(NoticeKind::RateLimited, String::new(), 100)]);
}

#[tokio::test]
async fn a_reported_key_is_revoked_and_its_owner_sees_since_when_and_from_where() {
    let server = start().await;
    let key = server.key(&[]).await;
    from(&server.anonymous(), "198.51.100.9").post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    from(&key, "203.0.113.7").get("/v1/key").await.expect(401);
    assert_eq!(kinds(&server).await, [(NoticeKind::Reported, "198.51.100.9".to_owned(), 1)]);
    let own = server.browser(key.user()).await;
    let text = own.get(&format!("/settings/api-keys/{}", key.key_id())).await.expect(200).text;
    assert!(text.contains("Reported as leaked") && text.contains("198.51.100.9"), "{text}");
    assert!(text.contains("Sun 22 Nov 2026 10:00 UTC"), "{text}");
    assert_eq!(audited(&server, "key.revoked"), 1);
    // Reported again, it is what it was.
    from(&server.anonymous(), "198.51.100.9").post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    assert_eq!(standing(&server).await[0].count, 1);
}

#[tokio::test]
async fn an_administrator_dismisses_a_notice_and_a_member_does_not() {
    let server = start().await;
    let (admin, key) = (server.admin().await, server.key(&[]).await);
    server.anonymous().post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    let browser = server.browser(admin.user()).await.header("Sec-Fetch-Site", "same-origin");
    let overview = browser.get("/admin").await.expect(200).text;
    let token =
        overview.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token").to_owned();
    let action =
        overview.split("action=\"/admin/notices/").nth(1).and_then(|rest| rest.split('"').next()).expect("a form").to_owned();
    let form = browser.header("Content-Type", "application/x-www-form-urlencoded");
    let url = format!("/admin/notices/{action}");
    let sent = form.send(reqwest::Method::POST, &url, Some(format!("csrf={token}"))).await.expect(303);
    assert_eq!(sent.header("location"), "/admin");
    assert_eq!(standing(&server).await, []);
    assert_eq!(audited(&server, "notice.dismissed"), 1);
    form.send(reqwest::Method::POST, &url, Some(format!("csrf={token}"))).await.expect(303);
    assert_eq!(audited(&server, "notice.dismissed"), 1, "once");
    let member =
        keyrack::model::caller::Caller { scopes: keyrack::model::scope::ScopeSet::of(&[UsersRead]), ..Caller::command_line() };
    assert!(services::notices::list(&server.app, &member).await.is_err());
}

#[tokio::test]
async fn old_notices_go_and_a_report_stays_with_its_key() {
    let server = start().await;
    let (key, other) = (server.key(&[]).await, server.key(&[]).await);
    server.anonymous().post("/v1/keys/report", json!({ "key": key.secret() })).await.expect(204);
    for ip in ["203.0.113.7", "198.51.100.1"] {
        from(&other, ip).get("/v1/key").await.expect(200);
        server.flush().await;
    }
    server.advance(91 * DAY);
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    assert_eq!(kinds(&server).await.iter().map(|notice| notice.0).collect::<Vec<_>>(), [NoticeKind::Reported]);
}

#[tokio::test]
async fn the_reference_tells_how_secret_scanners_find_keys() {
    let server = TestServer::start().await;
    let docs = server.anonymous().header("Accept", "text/html").get("/docs/authentication").await.expect(200).text;
    assert!(docs.contains("kr_[0-9A-Za-z]{49}"), "{docs}");
}
