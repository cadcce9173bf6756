//! What other services' checks of keys are counted under, and where that is shown.

use keyrack::model::api_key::Metadata;
use keyrack::model::caller::Caller;
use keyrack::model::ids::ApiKeyId;
use keyrack::model::scope::Scope::{self, Admin, KeysRead, KeysVerify, UsersRead};
use keyrack::model::service::Checks;
use keyrack::model::usage::Range;
use keyrack::model::user::{Role, User};
use keyrack::services;
use serde_json::{Value, json};

use crate::support::{Client, DAY, HOUR, TestServer};

/// A key that checks every account's keys, with this metadata.
async fn verifier(server: &TestServer, metadata: Value) -> Client {
    let user = server.user_in(server.account("Operators").await, Role::Admin).await;
    verifier_of(server, &user, &[Admin], metadata).await
}

async fn verifier_of(server: &TestServer, user: &User, scopes: &[Scope], metadata: Value) -> Client {
    let metadata = metadata.as_object().cloned().expect("an object");
    server.key_of_with(user, scopes, |new| new.metadata = Metadata::new(metadata).expect("metadata")).await
}

async fn verify(service: &Client, key: &Client, more: Value) {
    let mut body = json!({ "key": key.secret() });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    service.post("/v1/keys/verify", body).await.expect(200);
}

async fn services_of(server: &TestServer, key: &Client) -> Vec<(String, Checks)> {
    let caller = Caller::command_line();
    let id = ApiKeyId::parse(key.key_id()).expect("an id");
    let key = services::api_keys::find(&server.app, &caller, id).await.expect("a key");
    services::usage::of_key(&server.app, &caller, &key, Range::Day).await.expect("usage").services
}

fn checks(accepted: u64, refused: u64, rate_limited: u64) -> Checks {
    Checks { accepted, refused, rate_limited }
}

#[tokio::test]
async fn checks_are_counted_for_the_checked_key_under_the_label_of_the_one_that_checks() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(3, 3600)]).await;
    let billing = verifier(&server, json!({ "service": "billing-api" })).await;
    let nameless = verifier(&server, json!({ "plan": "gold" })).await;
    verify(&billing, &key, json!({})).await;
    verify(&billing, &key, json!({ "scopes": ["users:write"] })).await;
    verify(&billing, &key, json!({ "dry_run": true })).await;
    verify(&nameless, &key, json!({})).await;
    verify(&nameless, &key, json!({ "cost": 3 })).await;
    server.flush().await;
    let billed = ("billing-api".to_owned(), checks(1, 1, 0));
    assert_eq!(services_of(&server, &key).await, [(String::new(), checks(1, 0, 1)), billed.clone()]);
    assert_eq!(services_of(&server, &billing).await, [], "asking is no use of the one that asks");
    let everyone = services::usage::overview(&server.app, &Caller::command_line(), Range::Hour, 5).await.expect("an overview");
    assert!(everyone.used.services.contains(&billed), "{:?}", everyone.used.services);
}

#[tokio::test]
async fn a_key_that_the_service_may_not_see_is_counted_nowhere() {
    let server = TestServer::start().await;
    let (key, stranger) = (server.key(&[]).await, server.key(&[KeysRead]).await);
    let billing = verifier_of(&server, stranger.user(), &[KeysVerify], json!({ "service": "billing-api" })).await;
    verify(&billing, &key, json!({})).await;
    server.flush().await;
    assert_eq!(services_of(&server, &key).await, []);
}

#[tokio::test]
async fn a_gateway_names_its_service_in_the_address() {
    let server = TestServer::start().await;
    let key = server.key_within(&[UsersRead], &[(3, 3600)]).await;
    key.get("/v1/forward-auth?service=shop").await.expect(200);
    key.get("/v1/forward-auth?service=shop&scope=users:write").await.expect(403);
    key.get("/v1/forward-auth").await.expect(200);
    key.get("/v1/forward-auth?status=nginx&service=shop").await.expect(403);
    server.flush().await;
    assert_eq!(services_of(&server, &key).await, [("shop".to_owned(), checks(1, 1, 1)), (String::new(), checks(1, 0, 0))]);
    let told = services::usage::overview(&server.app, &Caller::command_line(), Range::Day, 5).await.expect("an overview");
    assert_eq!(told.used.routes[0].0, "GET /v1/forward-auth", "a gateway's questions have their route, too");
}

#[tokio::test]
async fn a_label_that_is_none_is_refused_by_its_parameter() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    let refused = key.get(&format!("/v1/forward-auth?service={}", "x".repeat(65))).await.expect(400);
    assert_eq!(refused.problems(), [("service".to_owned(), "invalid_service".to_owned())]);
    key.get("/v1/forward-auth?service=").await.expect(400);
}

#[tokio::test]
async fn a_check_waits_for_no_write_and_one_that_could_not_be_written_is_counted_once() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    key.get("/v1/forward-auth?service=shop").await.expect(200);
    let held = server.hold_writer();
    key.get("/v1/forward-auth?service=shop").await.expect(200);
    drop(held);
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE service_counts RENAME TO away").expect("renames");
    assert!(services::maintenance::flush(&server.app).await.is_err());
    file.execute_batch("ALTER TABLE away RENAME TO service_counts").expect("renames");
    key.get("/v1/forward-auth?service=shop").await.expect(200);
    server.flush().await;
    assert_eq!(services_of(&server, &key).await, [("shop".to_owned(), checks(3, 0, 0))]);
}

#[tokio::test]
async fn a_day_later_its_checks_are_not_todays_and_in_the_end_they_are_forgotten() {
    let server = TestServer::start().await;
    let key = server.key(&[]).await;
    key.get("/v1/forward-auth?service=shop").await.expect(200);
    server.flush().await;
    server.advance(DAY + HOUR);
    assert_eq!(services_of(&server, &key).await, []);
    server.advance(731 * DAY);
    services::maintenance::sweep(&server.app).await.expect("sweeps");
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    let rows: i64 = file.query_row("SELECT count(*) FROM service_counts", [], |row| row.get(0)).expect("a count");
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn the_pages_show_each_service_with_what_came_of_its_checks() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let key = server.key(&[]).await;
    key.get("/v1/forward-auth?service=%3Cb%3Eshop").await.expect(200);
    server.flush().await;
    let browser = server.browser(admin.user()).await;
    for page in ["/admin".to_owned(), format!("/admin/keys/{}", key.key_id())] {
        let text = browser.get(&page).await.expect(200).text;
        assert!(text.contains("Checked for other services"), "{page}");
        assert!(text.contains("&#60;b&#62;shop") && !text.contains("<b>shop"), "{page}");
    }
}
