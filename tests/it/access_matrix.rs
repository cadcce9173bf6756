//! Who may do what to whose: every operation with an id or a body, for every kind of caller and owner. Generated from the
//! table of operations, so that a new one is tried without being named here.

use keyrack::http::api::operations::{API_KEYS_PATH, Access, OPERATIONS, Operation};
use keyrack::model::account::{AccountChanges, AccountStatus};
use keyrack::model::dialect::DialectName;
use keyrack::model::scope::Scope;
use keyrack::model::user::{Role, User, UserStatus};
use serde_json::{Value, json};

use crate::access::{all_of_a_member, body_of, call};
use crate::support::{Client, TestServer};

/// Something of a user that an id in a path can name.
async fn id_of(server: &TestServer, owner: &User, operation: &Operation) -> String {
    match operation.path {
        path if path.starts_with("/v1/users") => owner.id.to_string(),
        path if path.starts_with("/oauth/grants") => server.grant_of(owner).await,
        path if path.starts_with("/v1/webhooks/deliveries") => server.webhook_of(owner).await.1.to_string(),
        path if path.starts_with("/v1/webhooks") => server.webhook_of(owner).await.0.to_string(),
        _ => server.key_of(owner, &[]).await.key_id().to_owned(),
    }
}

/// Who asks, with what, and how they are answered.
async fn callers(server: &TestServer, owner: &User) -> Vec<(&'static str, Client, u16)> {
    let scopes = all_of_a_member();
    let colleague = server.colleague_of(owner).await;
    let disabled = server.key_of(&server.colleague_of(owner).await, &scopes).await;
    server.set_status(disabled.user(), UserStatus::Disabled).await;
    let suspended = server.key(&scopes).await;
    let status = Some(AccountStatus::Suspended);
    server.change_account(&suspended, AccountChanges { status, ..Default::default() }).await;
    let stranger = server.member().await;
    let app = server.oauth_app().await;
    let token = server.bearing(&server.tokens(&app, &stranger, "read write").await);
    let operator = server.user_in(server.account("Operators").await, Role::Admin).await;
    vec![
        ("nobody", server.anonymous(), 401),
        ("a disabled colleague", disabled, 401),
        ("a member of a suspended account", suspended, 401),
        ("a member of another account", server.key_of(&stranger, &scopes).await, 404),
        ("a client that acts for a member of another account", token, 404),
        ("an administrator's key without the scope admin", server.key_of(&operator, &scopes).await, 404),
        // The last, since it may end what is there.
        ("a colleague", server.key_of(&colleague, &scopes).await, 200),
    ]
}

#[tokio::test]
async fn every_operation_on_something_answers_each_caller_by_whose_it_is() {
    for operation in OPERATIONS.iter().filter(|operation| operation.path.contains("{id}")) {
        let server = TestServer::start().await;
        let owner = server.member().await;
        let path = operation.path.replace("{id}", &id_of(&server, &owner, operation).await);
        for (who, caller, expected) in callers(&server, &owner).await {
            let answer = call(&caller, operation, &path).await;
            let class = if answer.status < 300 { 200 } else { answer.status };
            assert_eq!(class, expected, "{} by {who}: {}", operation.id, answer.text);
        }
    }
}

#[tokio::test]
async fn the_short_paths_of_a_dialect_know_whose_a_key_is_too() {
    let server = TestServer::with(|config| config.api.dialect = DialectName::Resend).await;
    let (mine, theirs) = (server.key(&all_of_a_member()).await, server.key(&all_of_a_member()).await);
    let mine = mine.header("User-Agent", "test");
    for operation in API_KEYS_PATH.iter().filter(|operation| operation.path.contains("{id}")) {
        server.advance(crate::support::SECOND);
        let answer = call(&mine, operation, &operation.path.replace("{id}", theirs.key_id())).await;
        assert_eq!(answer.status, 404, "{}: {}", operation.id, answer.text);
    }
    theirs.header("User-Agent", "test").get("/v1/key").await.expect(200);
}

/// What no caller sets, whatever the operation.
fn not_theirs() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("user_01h455vb4pex5vsknk084sn02q")),
        ("account_id", json!("acct_01h455vb4pex5vsknk084sn02q")),
        ("role", json!("admin")),
        ("tier", json!("Enterprise")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("updated_at", json!("2020-01-01T00:00:00Z")),
        ("revision", json!(1)),
        ("hash", json!("00")),
        ("disabled_reason", json!("none")),
        ("failing_since", json!(null)),
        ("attempts", json!(0)),
        ("__proto__", json!({ "role": "admin" })),
    ]
}

#[tokio::test]
async fn no_operation_takes_a_field_that_is_not_its_callers_to_set() {
    let server = TestServer::start().await;
    let key = server.key(&all_of_a_member()).await;
    server.set_windows(&key, &[(1_000_000, 3_600)]).await;
    let (webhook, _) = server.webhook_of(key.user()).await;
    let state = async || {
        let mut all = Vec::new();
        for path in ["/v1/users", "/v1/keys", "/v1/webhooks"] {
            let mut rows = key.get(path).await.expect(200).json();
            for row in rows.as_array_mut().expect("rows") {
                row.as_object_mut().expect("a row").remove("last_used_at");
            }
            all.push(rows);
        }
        all
    };
    let before = state().await;
    let takes_fields =
        |operation: &&Operation| operation.access != Access::Anyone && body_of(operation).is_some_and(|body| body.is_object());
    for operation in OPERATIONS.iter().filter(takes_fields) {
        let id = match operation.path {
            path if path.starts_with("/v1/users") => key.user().id.to_string(),
            path if path.starts_with("/v1/webhooks/deliveries") => server.webhook_of(key.user()).await.1.to_string(),
            path if path.starts_with("/v1/webhooks") => webhook.to_string(),
            _ => key.key_id().to_owned(),
        };
        // A delivery of its own comes with a webhook and a user, which are no part of what is tried.
        let before = if operation.id == "replay_delivery" { state().await } else { before.clone() };
        for (field, value) in not_theirs() {
            let mut body = body_of(operation).expect("a body");
            body[field] = value;
            let method = operation.method.parse().expect("a method");
            let refused = key.send(method, &operation.path.replace("{id}", &id), Some(body.to_string())).await;
            assert!([400, 403].contains(&refused.status), "{} with {field}: {} {}", operation.id, refused.status, refused.text);
            assert!(refused.text.contains(field) || refused.status == 403, "{} with {field}: {}", operation.id, refused.text);
        }
        assert_eq!(state().await, before, "{}", operation.id);
    }
}

#[test]
fn every_operation_that_changes_something_is_tried_with_such_fields() {
    for operation in OPERATIONS.iter().filter(|operation| ["POST", "PUT", "PATCH"].contains(&operation.method)) {
        assert!(body_of(operation).is_some(), "{}", operation.id);
        assert!(operation.access != Access::Scope(Scope::Admin), "{}", operation.id);
    }
}
