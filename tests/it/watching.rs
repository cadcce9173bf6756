//! Health, metrics and the status page: what those see who watch the server, and who may.

use std::collections::BTreeSet;

use keyrack::config::SecretText;
use keyrack::model::scope::Scope::UsersRead;
use keyrack::services::metrics::{FAMILIES, Kind};

use crate::support::{DAY, Reply, SECOND, TestServer};

const TOKEN: &str = "0123456789abcdef";

fn value(reply: &Reply, sample: &str) -> Option<f64> {
    reply.text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn every_documented_metric_is_there_and_no_other() {
    let server = TestServer::start().await;
    server.key(&[UsersRead]).await.get("/v1/users").await.expect(200);
    let operator = keyrack::model::caller::Caller::command_line();
    keyrack::services::backups::create(&server.app, &operator, None, None, keyrack::services::backups::quietly())
        .await
        .expect("a backup");
    let metrics = server.anonymous().get("/metrics").await.expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let told: Vec<&str> = metrics.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let kind = |kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let of_tls = "keyrack_certificate_end_time_seconds";
    let expected = FAMILIES.iter().filter(|family| family.name != of_tls);
    assert_eq!(told, expected.map(|family| format!("{} {}", family.name, kind(family.kind))).collect::<Vec<_>>());
    let documented = include_str!("../../docs/OPERATIONS.md");
    for family in FAMILIES {
        let row = format!("| `{}` | {} | {} |\n", family.name, kind(family.kind), family.help);
        assert!(documented.contains(&row), "docs/OPERATIONS.md lacks: {row}");
    }
    let is_ours = |name: &&str| name.starts_with("keyrack_");
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).filter(is_ours);
    assert_eq!(rows.count(), FAMILIES.iter().map(|family| family.name).filter(is_ours).count(), "and no others");
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../packaging/grafana/keyrack.json")).expect("json");
    let text = dashboard.to_string();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let asked = words.iter().filter(|word| word.starts_with("keyrack_") || word.starts_with("process_"));
    for name in asked {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(FAMILIES.iter().any(|family| family.name == base), "{name}");
    }
    for family in FAMILIES.iter().filter(|family| family.name != "process_start_time_seconds") {
        assert!(text.contains(family.name), "{} is on no panel", family.name);
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_outcome_and_never_fall() {
    let server = TestServer::start().await;
    server.admin().await;
    let key = server.key_within(&[UsersRead], &[(2, 60)]).await;
    for status in [200, 200, 429] {
        key.get("/v1/users").await.expect(status);
    }
    server.anonymous().get("/v1/users").await.expect(401);
    server.anonymous().header("Accept", "text/html").get("/sign-in").await;
    for round in 0..2 {
        let metrics = server.anonymous().get("/metrics").await.expect(200);
        let requests = |status: &str| {
            value(
                &metrics,
                &format!(r#"keyrack_requests_total{{surface="api",method="GET",route="/v1/users",status="{status}"}}"#),
            )
        };
        assert_eq!((requests("2xx"), requests("429"), requests("4xx")), (Some(2.0), Some(1.0), Some(1.0)), "round {round}");
        assert_eq!(value(&metrics, r#"keyrack_rate_limited_total{of="account"}"#), Some(1.0));
        assert_eq!(value(&metrics, r#"keyrack_request_duration_seconds_count{surface="api"}"#), Some(2.0));
        assert_eq!(value(&metrics, r#"keyrack_requests_total{surface="pages",method="GET",route="",status="2xx"}"#), Some(1.0));
        assert_eq!(value(&metrics, "keyrack_credential_cache_misses_total"), Some(1.0));
        assert_eq!(value(&metrics, "keyrack_credential_cache_hits_total"), Some(2.0));
        server.flush().await;
    }
    let metrics = server.anonymous().get("/metrics").await.expect(200);
    assert!(value(&metrics, "keyrack_commit_changes_count").is_some_and(|commits| commits > 0.0));
    let on_disk = ["keyrack_database_bytes", "keyrack_wal_bytes"].map(|name| value(&metrics, name).expect("a size"));
    assert!(on_disk.iter().sum::<f64>() > 50_000.0, "{on_disk:?}");
    assert!(value(&metrics, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
}

#[tokio::test]
async fn the_addresses_and_names_of_clients_make_no_new_series() {
    let server = TestServer::start().await;
    let series = async || server.anonymous().get("/metrics").await.expect(200).text.lines().count();
    let ask = async |n: usize| {
        server.anonymous().get(&format!("/v1/users/user_{n}")).await;
        server.anonymous().get(&format!("/v1/nothing-{n}")).await;
        server.anonymous().send(format!("VERB{n}").parse().expect("a verb"), "/v1/users", None).await;
    };
    ask(0).await;
    let before = series().await;
    for n in 1..20 {
        ask(n).await;
    }
    assert_eq!(series().await, before);
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_for_the_token_and_a_proxy_is_no_door() {
    let server = TestServer::with(|config| {
        config.metrics.token = Some(SecretText::new(TOKEN));
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    let here = server.anonymous();
    here.get("/metrics").await.expect(200);
    let through = here.header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "https");
    through.get("/metrics").await.expect(403);
    // What claims to come from here came through a proxy.
    here.header("X-Forwarded-Proto", "https").get("/metrics").await.expect(403);
    here.header("X-Forwarded-For", "127.0.0.1").header("X-Forwarded-Proto", "https").get("/metrics").await.expect(403);
    through.header("Authorization", &format!("Bearer {TOKEN}")).get("/metrics").await.expect(200);
    for wrong in ["Bearer 0123456789abcdee", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef"] {
        through.header("Authorization", wrong).get("/metrics").await.expect(403);
    }
    let in_the_clear = here.header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "http");
    in_the_clear.header("Authorization", &format!("Bearer {TOKEN}")).get("/metrics").await.expect(403);
    assert_eq!(here.send(reqwest::Method::POST, "/metrics", None).await.status, 405);

    let untrusting = TestServer::start().await;
    untrusting.anonymous().get("/metrics").await.expect(200);
    untrusting.anonymous().header("X-Forwarded-For", "127.0.0.1").get("/metrics").await.expect(403);
}

#[tokio::test]
async fn readiness_says_what_is_wrong_and_soon() {
    let server = TestServer::start().await;
    assert_eq!(server.anonymous().get("/readyz").await.expect(200).json()["checks"]["database"], "ok");
    let held = server.hold_writer();
    assert_eq!(server.anonymous().get("/readyz").await.expect(200).json()["status"], "ready", "as a moment ago");
    server.advance(SECOND);
    let began = std::time::Instant::now();
    let unready = server.anonymous().get("/readyz").await.expect(503).json();
    assert_eq!((&unready["status"], &unready["checks"]["database"]), (&"unavailable".into(), &"not writable".into()));
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
    drop(held);
    server.advance(SECOND);
    server.anonymous().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn asking_for_readiness_again_and_again_asks_the_database_once_a_second() {
    let server = TestServer::start().await;
    let writes = || server.app.store.commits().changes.read().counts.iter().sum::<u64>();
    server.anonymous().get("/readyz").await.expect(200);
    let before = writes();
    futures_util::future::join_all((0..50).map(|_| async { server.anonymous().get("/readyz").await.expect(200) })).await;
    assert_eq!(writes(), before);
    server.advance(SECOND);
    server.anonymous().get("/readyz").await.expect(200);
    assert_eq!(writes(), before + 1);
}

#[tokio::test]
async fn what_webhooks_still_wait_for_is_a_metric_and_stands_on_the_status_page() {
    let server = TestServer::start().await;
    let user = server.member().await;
    assert_eq!(value(&server.anonymous().get("/metrics").await, "keyrack_webhook_deliveries_waiting"), Some(0.0));
    server.webhook_of(&user).await;
    let metrics = server.anonymous().get("/metrics").await.expect(200);
    assert_eq!(value(&metrics, "keyrack_webhook_deliveries_waiting"), Some(1.0));
    assert_eq!(value(&metrics, "keyrack_webhooks_failing"), Some(0.0));
    assert_eq!(server.anonymous().get("/status").await.expect(200).json()["webhooks_waiting"], 1);
    let page = server.anonymous().header("Accept", "text/html").get("/status").await.expect(200).text;
    assert!(page.contains("<dt>Webhook deliveries waiting</dt><dd>1</dd>"), "{page}");
}

#[tokio::test]
async fn the_status_page_is_for_everybody_and_answers_while_the_database_is_locked() {
    let server = TestServer::start().await;
    server.key(&[UsersRead]).await.get("/v1/users").await.expect(200);
    server.flush().await;
    let told = server.anonymous().get("/status").await.expect(200).json();
    assert_eq!((&told["status"], &told["components"]["backups"]), (&"operational".into(), &"none".into()));
    assert_eq!((&told["up_since"], &told["error_rate_24h"]), (&"2026-11-22T10:00:00Z".into(), &0.0.into()));
    let browser = server.anonymous().header("Accept", "text/html");
    assert!(browser.get("/status").await.expect(200).text.contains("Everything works."));
    server.advance(DAY);
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("BEGIN EXCLUSIVE").expect("locks");
    let page = browser.get("/status").await.expect(200);
    assert!(page.text.contains("Not everything works.") && page.text.contains("Not writable"), "{}", page.text);
    assert_eq!(server.anonymous().get("/status").await.expect(200).json()["status"], "degraded");
}
