//! What a restart, graceful or not, keeps and does not keep.

use keyrack::model::api_key::Expiry;
use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead};
use keyrack::services;
use serde_json::json;

use crate::support::{Client, HOUR, MINUTE, SECOND, TestServer, until};

async fn left(key: &Client) -> i64 {
    key.get("/v1/key").await.number("x-ratelimit-remaining")
}

#[tokio::test]
async fn a_graceful_restart_keeps_windows_exactly() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(5, 60), (10, 3600)]).await;
    for _ in 0..4 {
        key.get("/v1/key").await.expect(200);
    }
    server.advance(20 * SECOND);
    let server = server.restart().await;
    let key = key.at(&server);
    let after = key.get("/v1/key").await.expect(200);
    assert_eq!((after.number("x-ratelimit-remaining"), after.number("ratelimit-remaining")), (5, 0));
    assert_eq!(after.number("ratelimit-reset"), 40, "the window is as old as it was");
    assert_eq!(key.get("/v1/key").await.expect(429).header("retry-after"), "40");
    server.advance(40 * SECOND);
    assert_eq!(left(&key).await, 4);
}

#[tokio::test]
async fn the_windows_of_a_key_are_kept_beside_its_accounts() {
    let server = TestServer::start().await;
    let key = server.key_with(&[UsersRead], |new| new.windows = crate::support::windows_of(&[(3, 60)])).await;
    for _ in 0..3 {
        key.get("/v1/key").await.expect(200);
    }
    let server = server.restart().await;
    key.at(&server).get("/v1/key").await.expect(429);
}

#[tokio::test]
async fn a_restart_that_takes_longer_than_a_window_begins_a_new_one() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(2, 60)]).await;
    for _ in 0..2 {
        key.get("/v1/key").await.expect(200);
    }
    let server = server.restart().await;
    server.advance(MINUTE);
    assert_eq!(left(&key.at(&server)).await, 1);
}

#[tokio::test]
async fn restarting_again_and_again_is_no_refill() {
    let mut server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(6, 3600)]).await;
    for used in 1..=6 {
        assert_eq!(left(&key.at(&server)).await, 6 - used);
        server = server.restart().await;
    }
    key.at(&server).get("/v1/key").await.expect(429);
}

#[tokio::test]
async fn a_crash_keeps_windows_as_of_the_last_flush() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(10, 3600)]).await;
    for _ in 0..4 {
        key.get("/v1/key").await.expect(200);
    }
    server.flush().await;
    for _ in 0..3 {
        key.get("/v1/key").await.expect(200);
    }
    let server = server.crash().await;
    assert_eq!(left(&key.at(&server)).await, 5, "four of before, and this one");
}

#[tokio::test]
async fn what_could_not_be_flushed_is_flushed_the_next_time() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(10, 3600)]).await;
    for _ in 0..4 {
        key.get("/v1/key").await.expect(200);
    }
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE rate_windows RENAME TO away").expect("renames");
    assert!(services::maintenance::flush(&server.app).await.is_err());
    file.execute_batch("ALTER TABLE away RENAME TO rate_windows").expect("renames");
    server.flush().await;
    let server = server.crash().await;
    assert_eq!(left(&key.at(&server)).await, 5);
}

#[tokio::test]
async fn an_acknowledged_change_survives_a_crash() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (revoked, expiring) =
        (server.key(&[KeysRead]).await, server.key_with(&[KeysRead], |new| new.expiry = Expiry::In(HOUR)).await);
    admin.delete(&format!("/v1/keys/{}", revoked.key_id())).await.expect(204);
    let created = admin.post("/v1/keys", json!({ "name": "CI" })).await.expect(201).json();
    let server = server.crash().await;
    revoked.at(&server).get("/v1/key").await.expect(401);
    server.with_secret(created["secret"].as_str().expect("a secret")).get("/v1/key").await.expect(200);
    server.advance(HOUR);
    assert_eq!(expiring.at(&server).get("/v1/key").await.expect(401).error(), "expired_api_key");
}

#[tokio::test]
async fn the_last_use_survives_a_graceful_restart() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysRead]).await;
    server.advance(MINUTE);
    key.get("/v1/key").await.expect(200);
    let server = server.restart().await;
    assert_eq!(key.at(&server).get("/v1/key").await.json()["last_used_at"], "2026-11-22T10:01:00Z");
}

#[tokio::test]
async fn a_request_that_is_worked_on_is_finished_before_the_stop() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysWrite]).await;
    let held = server.hold_writer();
    let asked = tokio::spawn({
        let key = key.clone();
        async move { key.post("/v1/keys", json!({ "name": "CI", "scopes": [] })).await }
    });
    until("it is worked on", || server.app.in_flight.running() == 1).await;
    let addr = server.addr;
    let stopping = tokio::spawn(server.restart());
    let nobody_listens = || std::net::TcpStream::connect_timeout(&addr, SECOND).is_err();
    until("nobody new is let in", nobody_listens).await;
    drop(held);
    asked.await.expect("an answer").expect(201);
    stopping.await.expect("starts again");
}
