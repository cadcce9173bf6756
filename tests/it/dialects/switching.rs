//! The dialect changes while the server runs: at once, for everyone, and without losing a request or a count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use keyrack::config::{Flag, Inputs, load};
use keyrack::model::caller::Caller;
use keyrack::model::dialect::DialectName::{self, Mitwirken, Native, Plain, Resend, Usertour};
use keyrack::services::settings;

use super::{READ, named, server};
use crate::support::{Client, MINUTE, TestServer};

async fn switch(server: &TestServer, to: DialectName) {
    settings::set_dialect(&server.app, &Caller::command_line(), to).await.expect("switches");
}

#[tokio::test]
async fn a_switch_holds_for_the_next_request_and_over_a_restart() {
    let server = TestServer::start().await;
    let wrong = named(&server.with_secret("wrong"));
    wrong.get("/v1/users").await.expect(401);
    switch(&server, Resend).await;
    assert_eq!(wrong.get("/users").await.expect(403).json()["name"], "invalid_api_key");
    let key = server.key(READ).await;
    assert!(key.secret().starts_with("re_"));

    let stored = settings::stored(&server.app.store).expect("reads").into_iter().collect();
    let loaded = load(&Inputs { stored, ..Default::default() }).expect("loads");
    assert_eq!(loaded.config.api.dialect, Resend);
    assert!(loaded.fixed().is_empty());
}

#[tokio::test]
async fn a_key_made_under_one_dialect_stays_valid_under_another() {
    let server = TestServer::start().await;
    let mut keys: Vec<Client> = Vec::new();
    for &dialect in DialectName::ALL {
        switch(&server, dialect).await;
        let key = named(&server.key(READ).await);
        assert!(key.secret().starts_with(dialect.key_prefix()));
        keys.push(key);
        for key in &keys {
            server.advance(MINUTE);
            key.get("/v1/users/me").await.expect(200);
        }
    }
}

#[tokio::test]
async fn accounts_without_a_tier_take_the_new_windows_at_once_and_equal_ones_keep_their_counts() {
    let server = TestServer::start().await;
    let key = named(&server.key(READ).await);
    let tiered = named(&server.key(READ).await);
    server.set_tier(&tiered, "Pro").await;
    for _ in 0..10 {
        key.get("/v1/users/me").await.expect(200);
        tiered.get("/v1/users/me").await.expect(200);
    }
    switch(&server, Plain).await;
    let reply = key.get("/v1/users/me").await.expect(200);
    assert_eq!(reply.number("ratelimit-remaining"), 99, "the minute is a new window");
    switch(&server, Native).await;
    let reply = key.get("/v1/users/me").await.expect(200);
    assert_eq!(reply.number("x-ratelimit-remaining"), 1_000 - 12, "the hour went on counting under both");
    assert_eq!(tiered.get("/v1/users/me").await.expect(200).number("x-ratelimit-remaining"), 10_000 - 11);
}

#[tokio::test]
async fn the_page_of_a_key_tells_the_windows_of_the_new_dialect() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    switch(&server, Plain).await;
    let page = browser.get(&format!("/admin/keys/{}", admin.key_id())).await.expect(200).text;
    assert!(page.contains("5,000 requests an hour, 100 a minute, counted over all keys"), "{page}");
}

#[tokio::test]
async fn the_tiers_of_a_dialect_come_with_it_and_one_deleted_stays_deleted() {
    let server = TestServer::start().await;
    let operator = Caller::command_line();
    let names = async || {
        let tiers = keyrack::services::tiers::list(&server.app).await.expect("lists");
        tiers.into_iter().map(|tier| tier.name).collect::<BTreeSet<_>>()
    };
    let ours = BTreeSet::from(["Enterprise", "Free", "Pro"].map(String::from));
    assert_eq!(names().await, ours);
    switch(&server, Usertour).await;
    let brought = BTreeSet::from(["Business", "Growth", "Hobby", "Starter"].map(String::from));
    assert_eq!(names().await, &ours | &brought);
    keyrack::services::tiers::delete(&server.app, &operator, "Hobby").await.expect("deletes");
    switch(&server, Native).await;
    switch(&server, Usertour).await;
    assert!(!names().await.contains("Hobby"));
}

#[tokio::test]
async fn what_is_given_outside_wins_over_the_dashboard() {
    let environment = [("KEYRACK_API_DIALECT".to_owned(), "mitwirken".to_owned())];
    let stored = [(settings::DIALECT.to_owned(), "resend".to_owned())].into_iter().collect();
    let inputs = Inputs { flags: Vec::<Flag>::new(), environment: &environment, stored, ..Inputs::default() };
    let loaded = load(&inputs).expect("loads");
    assert_eq!(loaded.config.api.dialect, Mitwirken);
    let fixed = loaded.fixed();
    assert_eq!(fixed.get(settings::DIALECT).map(String::as_str), Some("KEYRACK_API_DIALECT"));

    let dir = tempfile::tempdir().expect("a directory");
    let mut app = keyrack::app::App::open(dir.path(), loaded.config, keyrack::model::clock::Clock::real()).expect("opens");
    app.fixed = fixed;
    let refused = settings::set_dialect(&app, &Caller::command_line(), Native).await.expect_err("refused");
    assert!(refused.to_string().contains("KEYRACK_API_DIALECT"), "{refused}");
    assert_eq!(app.dialect(), Mitwirken);
}

#[tokio::test]
async fn only_an_administrator_switches_and_the_audit_log_tells_of_it() {
    let server = TestServer::start().await;
    let member = Caller { scopes: keyrack::model::scope::ScopeSet::for_members(), ..Caller::command_line() };
    settings::set_dialect(&server.app, &member, Plain).await.expect_err("refused");
    switch(&server, Plain).await;
    let conn = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let diffs: Vec<String> = conn
        .prepare("SELECT diff FROM audit_events WHERE action = 'setting.changed' AND target_id = 'api.dialect'")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .expect("reads");
    assert_eq!(diffs, [r#"{"value":{"from":"native","to":"plain"}}"#]);
}

#[tokio::test]
async fn another_process_that_switches_is_noticed() {
    let server = TestServer::start().await;
    let conn = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    conn.execute("INSERT INTO settings (name, value, updated_at) VALUES ('api.dialect', 'resend', 0)", []).expect("stores");
    settings::notice(&server.app).await.expect("looks");
    server.key(READ).await.get("/v1/users").await.expect(403);
}

#[tokio::test]
async fn a_head_and_an_options_at_the_root_answer_as_below_v1() {
    let server = server(Mitwirken).await;
    let key = server.key(READ).await;
    let head = key.send(reqwest::Method::HEAD, "/users/me", None).await.expect(200);
    assert_eq!(head.text, "");
    let options = server.anonymous().send(reqwest::Method::OPTIONS, "/users", None).await.expect(204);
    assert_eq!(options.header("allow"), "GET, HEAD, POST, OPTIONS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_under_load_changes_no_counter_and_drops_no_request() {
    let server = TestServer::with(|config| config.server.workers = 2).await;
    let quota = 1_000_000;
    // An account with windows of its own is counted alike in every dialect.
    let key = named(&server.key_within(READ, &[(quota, 3_600)]).await);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (key, stop, answered) = (key.clone(), stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    key.get("/v1/users/me").await.expect(200);
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for round in 0..40 {
        switch(&server, DialectName::ALL[round % DialectName::ALL.len()]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.await.expect("every request was answered with 200");
    }
    switch(&server, Native).await;
    let made = answered.load(SeqCst);
    assert!(made > 100, "there was load: {made}");
    let left = key.get("/v1/users/me").await.expect(200).number("x-ratelimit-remaining");
    assert_eq!(left.unsigned_abs(), quota - made - 1);
}
