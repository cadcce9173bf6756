//! What is counted of requests and kept of them, and that neither a secret nor a write is on their path.

use std::time::Duration;

use keyrack::model::AppError;
use keyrack::model::caller::Caller;
use keyrack::model::ids::ApiKeyId;
use keyrack::model::page::{Limit, Page, Start};
use keyrack::model::request::{LoggedRequest, RequestFilter};
use keyrack::model::scope::Scope::{KeysRead, UsersRead};
use keyrack::model::usage::{Outcome, Range};
use keyrack::services;
use keyrack::services::usage::{Overview, Used};
use rusqlite::Connection;

use crate::support::{Client, DAY, HOUR, MINUTE, SECOND, TestServer};

async fn overview(server: &TestServer, range: Range) -> Overview {
    services::usage::overview(&server.app, &Caller::command_line(), range, 5).await.expect("an overview")
}

async fn of_key(server: &TestServer, key: &Client, range: Range) -> Used {
    let caller = Caller::command_line();
    let key = services::api_keys::find(&server.app, &caller, id_of(key)).await.expect("a key");
    services::usage::of_key(&server.app, &caller, &key, range).await.expect("usage")
}

async fn log(server: &TestServer, filter: RequestFilter) -> Vec<LoggedRequest> {
    page_of(server, filter, Start::Offset(0), Limit::of(100)).await.rows
}

async fn page_of(server: &TestServer, filter: RequestFilter, start: Start<i64>, limit: Limit) -> Page<LoggedRequest> {
    services::requests::list(&server.app, &Caller::command_line(), filter, start, limit).await.expect("a page")
}

fn id_of(key: &Client) -> ApiKeyId {
    ApiKeyId::parse(key.key_id()).expect("an id")
}

#[tokio::test]
async fn requests_are_counted_by_how_they_ended_for_everyone_and_for_their_key() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(3, 60)]).await;
    let other = server.key(&[]).await;
    key.get("/v1/users/me").await.expect(200);
    key.get("/v1/users/123").await.expect(404);
    key.get("/v1/keys").await.expect(403);
    key.get("/v1/users/me").await.expect(429);
    other.get("/v1/key").await.expect(200);
    server.anonymous().get("/v1/users").await.expect(401);
    server.with_secret("kr_nonsense").get("/v1/users").await.expect(401);
    server.anonymous().get("/v1/no-such-path").await.expect(404);
    server.flush().await;

    let told = overview(&server, Range::Hour).await;
    assert_eq!(told.used.total.outcomes, [2, 5, 1, 0]);
    assert_eq!((told.active_users, told.has_begun), (2, true));
    assert_eq!(told.most.iter().map(|key| key.requests).collect::<Vec<_>>(), [4, 1]);
    assert_eq!(told.most_limited.iter().map(|key| key.key_id).collect::<Vec<_>>(), [id_of(&key)]);
    let used = of_key(&server, &key, Range::Day).await;
    assert_eq!(used.total.outcomes, [1, 2, 1, 0]);
    let routes: Vec<(&str, u64)> = used.routes.iter().map(|(route, tally)| (route.as_str(), tally.total())).collect();
    assert_eq!(routes, [("GET /v1/users/me", 2), ("GET /v1/keys", 1), ("GET /v1/users/{id}", 1)]);
    // A refusal tells nothing of how fast we answer.
    assert_eq!(used.total.latency.iter().sum::<u64>(), 3);
}

#[tokio::test]
async fn counts_stand_in_the_minute_of_the_request_and_add_up_over_hours_and_days() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    for wait in [HOUR, MINUTE, 5 * HOUR, DAY] {
        key.get("/v1/key").await.expect(200);
        // The batch comes later than the request.
        server.advance(wait);
        server.flush().await;
    }
    for (range, count) in [(Range::Hour, 0), (Range::Day, 0), (Range::Week, 4), (Range::Month, 4)] {
        let used = of_key(&server, &key, range).await;
        assert_eq!(used.total.total(), count, "{range:?}");
        assert_eq!(used.bars.iter().map(|(_, tally)| tally.total()).sum::<u64>(), count);
    }
    let days = of_key(&server, &key, Range::Month).await;
    let of_days: Vec<(String, u64)> = days
        .bars
        .iter()
        .filter(|(_, tally)| tally.total() > 0)
        .map(|(start, tally)| (start.to_string(), tally.total()))
        .collect();
    assert_eq!(of_days, [("2026-11-22T00:00:00Z".to_owned(), 4)]);
}

#[tokio::test]
async fn a_request_waits_for_no_write() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    key.get("/v1/key").await.expect(200);
    let held = server.hold_writer();
    for _ in 0..20 {
        key.get("/v1/key").await.expect(200);
    }
    server.anonymous().get("/v1/key").await.expect(401);
    drop(held);
    server.flush().await;
    assert_eq!(of_key(&server, &key, Range::Hour).await.total.total(), 21);
}

#[tokio::test]
async fn what_could_not_be_written_is_counted_once_the_next_time() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    key.get("/v1/key").await.expect(200);
    let file = Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE usage_counts RENAME TO away; ALTER TABLE logged_requests RENAME TO gone").expect("renames");
    assert!(services::maintenance::flush(&server.app).await.is_err());
    key.get("/v1/key").await.expect(200);
    file.execute_batch("ALTER TABLE away RENAME TO usage_counts; ALTER TABLE gone RENAME TO logged_requests").expect("renames");
    server.flush().await;
    server.flush().await;
    assert_eq!(of_key(&server, &key, Range::Hour).await.total.total(), 2);
    assert_eq!(log(&server, RequestFilter::default()).await.len(), 2);
}

#[tokio::test]
async fn counts_are_forgotten_when_they_are_older_than_they_are_kept() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    key.get("/v1/key").await.expect(200);
    server.flush().await;
    let rows = |what: &str| {
        let file = Connection::open(server.data().join("keyrack.db")).expect("opens");
        let sql = format!("SELECT count(*) FROM usage_counts WHERE {what}");
        file.query_row(&sql, [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    assert!(rows("span = 60 AND kind = 'key'") > 0 && rows("span = 60 AND kind = 'everyone'") > 0);
    for (wait, gone, kept) in [
        (4 * HOUR, "span = 60 AND kind = 'key'", "span = 60 AND kind = 'everyone'"),
        (2 * DAY, "span = 60", "span = 3600"),
        (60 * DAY, "span = 3600", "span = 86400"),
        (700 * DAY, "1", "0"),
    ] {
        server.advance(wait);
        services::maintenance::sweep(&server.app).await.expect("sweeps");
        assert_eq!(rows(gone), 0, "{gone}");
        assert!(kept == "0" || rows(kept) > 0, "{kept}");
    }
}

#[tokio::test]
async fn the_log_keeps_a_request_without_its_secrets() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, KeysRead]).await.header("User-Agent", "curl/8").header("X-Request-Id", "mine-1");
    let secret = key.secret().to_owned();
    key.get(&format!("/v1/users?q={secret}")).await.expect(200);
    key.get(&format!("/v1/keys/{secret}")).await.expect(404);
    server.flush().await;
    let rows = log(&server, RequestFilter::default()).await;
    let [missing, listed] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((listed.method.as_str(), listed.path.as_str(), listed.status), ("GET", "/v1/users", 200));
    assert_eq!((listed.request_id.as_str(), listed.user_agent.as_str()), ("mine-1", "curl/8"));
    assert_eq!((listed.key_id, listed.route.as_str()), (Some(id_of(&key)), "/v1/users"));
    assert_eq!(listed.limit.map(|limit| (limit.limit, limit.remaining)), Some((1000, 999)));
    assert_eq!((missing.path.as_str(), missing.error.as_deref()), ("/v1/keys/[hidden]", Some("not_found")));
    for file in ["keyrack.db", "keyrack.db-wal"] {
        let bytes = std::fs::read(server.data().join(file)).expect("a file");
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{file} has the secret");
    }
}

#[tokio::test]
async fn the_log_is_narrowed_and_paged_from_the_newest_on() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    for _ in 0..3 {
        key.get("/v1/users/me").await.expect(200);
    }
    key.get("/v1/users/123").await.expect(404);
    server.anonymous().header("X-Request-Id", "stray").get("/v1/key").await.expect(401);
    server.flush().await;
    let find = |filter: RequestFilter| log(&server, filter);
    let everything = find(RequestFilter::default()).await;
    assert_eq!(everything.len(), 5);
    assert_eq!(everything[0].request_id, "stray");
    let failed = RequestFilter { outcome: Some(Outcome::ClientError), ..Default::default() };
    assert_eq!(find(failed.clone()).await.len(), 2);
    assert_eq!(find(RequestFilter { key_id: Some(id_of(&key)), ..failed }).await.len(), 1);
    assert_eq!(find(RequestFilter { path: Some("/v1/users/me".into()), ..Default::default() }).await.len(), 3);
    assert_eq!(find(RequestFilter { request_id: Some("stray".into()), ..Default::default() }).await.len(), 1);

    let page = |start| page_of(&server, RequestFilter::default(), start, Limit::of(2));
    let second = page(Start::After(everything[1].seq)).await;
    assert_eq!(second.rows, everything[2..4]);
    assert!(second.has_prev && second.has_next);
    let newer = page(Start::Before(everything[2].seq)).await;
    assert_eq!(newer.rows, everything[..2]);
}

#[tokio::test]
async fn the_log_is_bounded_in_each_second_in_rows_and_in_days() {
    let server = TestServer::start().await;
    let key = server.key_within(&[], &[(1000, 1)]).await;
    for _ in 0..60 {
        key.get("/v1/key").await.expect(200);
    }
    server.anonymous().get("/v1/key").await.expect(401);
    server.flush().await;
    assert_eq!(log(&server, RequestFilter::default()).await.len(), 51, "failures have a budget of their own");
    server.advance(SECOND);
    key.get("/v1/key").await.expect(200);
    server.flush().await;
    assert_eq!(of_key(&server, &key, Range::Hour).await.total.total(), 61, "what is not logged is counted");
    server
        .app
        .store
        .write(|tx| keyrack::store::logged_requests::sweep(tx, 10, keyrack::model::clock::Timestamp::from_millis(0)))
        .await
        .expect("sweeps");
    assert_eq!(log(&server, RequestFilter::default()).await.len(), 10);
    server.advance(8 * DAY);
    key.get("/v1/key").await.expect(200);
    server.flush().await;
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    assert_eq!(log(&server, RequestFilter::default()).await.len(), 1);
}

#[tokio::test]
async fn a_share_of_none_keeps_no_log_and_counts_all_the_same() {
    let server = TestServer::with(|config| config.log.request_log_sample = 0.0).await;
    let key = server.key(&[]).await;
    key.get("/v1/key").await.expect(200);
    server.flush().await;
    assert!(log(&server, RequestFilter::default()).await.is_empty());
    assert_eq!(of_key(&server, &key, Range::Hour).await.total.total(), 1);
}

#[tokio::test]
async fn a_request_is_found_before_it_is_written_and_only_by_administrators() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await.header("X-Request-Id", "just-now");
    key.get("/v1/key").await.expect(200);
    let operator = Caller::command_line();
    let found = services::requests::find(&server.app, &operator, "just-now").await.expect("waits");
    server.flush().await;
    let written = services::requests::find(&server.app, &operator, "just-now").await.expect("is written");
    assert_eq!(LoggedRequest { seq: written.seq, ..found }, written);
    let member = services::sessions::caller(key.user(), [127, 0, 0, 1].into(), "req".into());
    let refused = services::requests::find(&server.app, &member, "just-now").await;
    assert!(matches!(refused, Err(AppError::MissingScope(_))), "{refused:?}");
    assert!(services::usage::overview(&server.app, &member, Range::Day, 5).await.is_err());
    assert!(services::requests::watch(&server.app, &member).is_err());
}

#[tokio::test]
async fn keys_that_end_soon_and_keys_that_nobody_uses_are_named() {
    let server = TestServer::start().await;
    let used = server.key(&[]).await;
    let forgotten = server.key(&[]).await;
    let never = server.key(&[]).await;
    forgotten.get("/v1/key").await.expect(200);
    server.flush().await;
    server.advance(40 * DAY);
    let ends = server.key_with(&[], |new| new.expiry = keyrack::model::api_key::Expiry::In(10 * DAY)).await;
    server.key_with(&[], |new| new.expiry = keyrack::model::api_key::Expiry::In(20 * DAY)).await;
    used.get("/v1/key").await.expect(200);
    server.flush().await;
    let in_need = services::api_keys::in_need(&server.app, &Caller::command_line(), 14 * DAY, 30 * DAY, 5).await.expect("keys");
    let ids = |keys: &[keyrack::model::api_key::ApiKey]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(ids(&in_need.expiring), [id_of(&ends)]);
    assert_eq!(ids(&in_need.unused), [id_of(&forgotten), id_of(&never)]);
}

#[tokio::test]
async fn whoever_looks_on_live_sees_a_request_at_once_and_misses_some_when_slow() {
    let server = TestServer::start().await;
    let key = server.key_within(&[], &[(10_000, 1)]).await;
    let mut seen = services::requests::watch(&server.app, &Caller::command_line()).expect("watches");
    key.header("X-Request-Id", "live-1").get("/v1/key").await.expect(200);
    let request = tokio::time::timeout(Duration::from_secs(5), seen.recv()).await.expect("in time").expect("a request");
    assert_eq!(request.request_id, "live-1");
    for _ in 0..12 {
        for _ in 0..30 {
            key.get("/v1/key").await.expect(200);
        }
        server.advance(SECOND);
    }
    let lagged = seen.recv().await;
    assert!(matches!(lagged, Err(tokio::sync::broadcast::error::RecvError::Lagged(_))), "{lagged:?}");
}

#[tokio::test]
async fn the_overview_waits_for_the_first_request_and_then_shows_it() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let waits = browser.get("/admin").await.expect(200).text;
    assert!(waits.contains("Waiting for your first request") && waits.contains("data-waiting"));
    assert!(waits.contains("<noscript><meta http-equiv=\"refresh\""));
    admin.get("/v1/users/me").await.expect(200);
    server.anonymous().get("/v1/users/me").await.expect(401);
    server.flush().await;
    for range in ["", "?range=1h", "?range=7d", "?range=30d", "?range=nonsense"] {
        let page = browser.get(&format!("/admin{range}")).await.expect(200).text;
        assert!(!page.contains("data-waiting") && !page.contains("http-equiv"), "{range}");
        assert!(page.contains("2 requests: 1 2xx, 1 4xx."), "{range}");
        assert!(page.contains("<rect class=\"c2\"") && page.contains("<dd>50.0%</dd>"), "{range}");
    }
}

#[tokio::test]
async fn the_page_of_requests_filters_by_its_address_and_lets_no_secret_stay_there() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let page = |path: &'static str| browser.get(path);
    assert!(page("/admin/requests").await.expect(200).text.contains("No request has come yet"));
    admin.get("/v1/users/me").await.expect(200);
    admin.header("X-Request-Id", "lost-one").get("/v1/users/123").await.expect(404);
    server.flush().await;
    let all = page("/admin/requests").await.expect(200).text;
    assert!(all.contains("GET /v1/users/me</a>") && all.contains("GET /v1/users/123</a>") && all.contains("?before=2"));
    let failed = page("/admin/requests?status=4xx&path=/v1/users").await.expect(200).text;
    assert!(!failed.contains("GET /v1/users/me</a>") && failed.contains("GET /v1/users/123</a>"));
    assert!(
        failed.contains("/admin/requests/live?status=4xx&amp;path=%2Fv1%2Fusers")
            || failed.contains("live?status=4xx&#38;path=%2Fv1%2Fusers"),
        "{failed}"
    );
    assert!(page("/admin/requests?before=2").await.expect(200).text.contains("Nothing newer yet"));
    assert!(page("/admin/requests?key=nonsense").await.expect(200).text.contains("No requests match"));
    let shown = page("/admin/requests/lost-one").await.expect(200).text;
    assert!(shown.contains("href=\"/docs/errors/not_found\"") && shown.contains("998 of 1,000 left"), "{shown}");
    assert!(shown.contains("<dd>404 <span class=\"badge warn\">Client error</span></dd>"), "{shown}");
    page("/admin/requests/none").await.expect(404);

    let pasted = browser.get(&format!("/admin/requests?key={}", admin.secret())).await.expect(303);
    assert_eq!(pasted.header("location"), format!("/admin/requests?key={}", admin.key_id()));
    let key = browser.get(&format!("/admin/keys/{}", admin.key_id())).await.expect(200).text;
    assert!(key.contains("Top paths") && key.contains(&format!("/admin/requests?key={}", admin.key_id())));
    assert!(browser.get("/admin/keys").await.expect(200).text.contains("<td data-label=\"Requests, 24 h\" class=\"num\">2</td>"));
}

#[tokio::test]
async fn the_live_tail_sends_what_matches_until_the_server_stops() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let mut tail = browser.begin(reqwest::Method::GET, "/admin/requests/live?status=4xx", None).await;
    assert_eq!(tail.status(), 200);
    let header = |name: &str| tail.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert!(header("content-security-policy").is_some());
    assert_eq!(tail.chunk().await.expect("a chunk").expect("open"), "retry: 3000\n\n");
    admin.get("/v1/users/me").await.expect(200);
    admin.get("/v1/users/123?q=hidden").await.expect(404);
    let event = tail.chunk().await.expect("a chunk").expect("open");
    let event = String::from_utf8(event.to_vec()).expect("text");
    assert!(event.starts_with("data: {") && event.ends_with("\n\n"), "{event}");
    assert!(
        event.contains("\"path\":\"/v1/users/123\"") && event.contains("\"key\":\"test\"") && !event.contains("hidden"),
        "{event}"
    );
    server.app.draining.store(true, std::sync::atomic::Ordering::Relaxed);
    let ended = tokio::time::timeout(Duration::from_secs(10), tail.chunk()).await.expect("in time");
    assert!(ended.expect("a clean end").is_none());
}

#[actix_web::test]
async fn the_list_of_first_steps_can_be_put_away() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    assert!(browser.get("/admin").await.expect(200).text.contains("Getting started"));
    browser.submit("/admin", "/admin/getting-started/dismiss", &[]).await.expect(303);
    assert!(!browser.get("/admin").await.expect(200).text.contains("Getting started"));
}
