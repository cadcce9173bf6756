//! Who may call what: generated from the router itself, so that no route is forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyrack::app::App;
use keyrack::http::api::operations::{API_KEYS_PATH, Access, OAUTH, OPERATIONS, Operation};
use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestServer, routes};

/// What anyone may call. This list may only shrink.
const OPEN: &[&str] = &["report_api_key", "metrics", "health", "readiness"];

/// Where the API is; what the router has elsewhere are pages for people.
const API: &[&str] = &[
    "/v1/",
    "/api-keys",
    "/oauth/grants",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/.well-known/oauth-",
    "/healthz",
    "/metrics",
    "/readyz",
];

/// Every verb and path of the API that the router answers.
async fn routes_of_the_api(app: &Arc<App>) -> BTreeSet<(String, String)> {
    let mut api = routes(app).await;
    api.retain(|(_, path)| is_of_the_api(path));
    api
}

pub fn is_of_the_api(path: &str) -> bool {
    API.iter().any(|api| path.starts_with(api))
}

/// A body with which an operation does something, for the user or key whose id is in the path.
pub fn body_of(operation: &Operation) -> Option<Value> {
    Some(match operation.id {
        "create_user" => json!({ "name": "Ada", "email": "new@example.com", "password": "securepassword123" }),
        "update_user" | "replace_user" => json!({ "name": "Changed" }),
        "create_api_key" => json!({ "name": "Made", "scopes": [] }),
        "update_api_key" | "rename_key" => json!({ "name": "Changed" }),
        "rotate_api_key" => json!({}),
        "import_api_keys" => json!([]),
        "verify_api_key" => json!({ "key": "kr_nonsense" }),
        "report_api_key" => json!({ "key": "kr_nonsense" }),
        "create_webhook" => json!({ "url": "https://hooks.example.com/", "events": ["user.created"] }),
        "update_webhook" => json!({ "status": "paused" }),
        "test_webhook" | "rotate_webhook_secret" | "replay_delivery" => json!({}),
        "replay_failed_deliveries" => json!({ "since": "2026-11-22T10:00:00Z" }),
        _ if ["GET", "DELETE", "ANY"].contains(&operation.method) => return None,
        other => panic!("give a body for {other}"),
    })
}

/// The path of an operation with the one of these ids that it wants.
fn path_of(operation: &Operation, ids: &[String]) -> String {
    const NOUNS: [(&str, &str); 3] = [("/v1/users", "user_"), ("/v1/webhooks/deliveries", "del_"), ("/v1/webhooks", "wh_")];
    let noun = NOUNS.iter().find(|(path, _)| operation.path.starts_with(path)).map_or("key_", |(_, prefix)| *prefix);
    let id = ids.iter().find(|id| id.starts_with(noun)).unwrap_or_else(|| panic!("give an id for {}", operation.id));
    operation.path.replace("{id}", id)
}

/// A key, its user, and a webhook of its account with a delivery.
async fn ids_of(server: &TestServer, key: &Client) -> [String; 4] {
    let (webhook, delivery) = server.webhook_of(key.user()).await;
    [key.user().id.to_string(), key.key_id().to_owned(), webhook.to_string(), delivery.to_string()]
}

/// Well formed, and nobody's.
fn ids_of_nobody() -> [String; 4] {
    ["user", "key", "wh", "del"].map(|noun| format!("{noun}_01h455vb4pex5vsknk084sn02q"))
}

pub async fn call(client: &Client, operation: &Operation, path: &str) -> Reply {
    let method: Method = operation.method.parse().expect("a method");
    client.send(method, path, body_of(operation).map(|body| body.to_string())).await
}

fn with_credential() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.access != Access::Anyone)
}

#[actix_web::test]
async fn the_router_and_the_table_of_operations_agree() {
    let server = TestServer::start().await;
    let listed = OPERATIONS
        .iter()
        .chain(API_KEYS_PATH)
        .chain(OAUTH)
        .map(|operation| (operation.method.to_owned(), operation.path.to_owned()));
    assert_eq!(routes_of_the_api(&server.app).await, listed.collect());
}

#[test]
fn operations_have_names_of_their_own_and_words() {
    let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    for Operation { id, words, .. } in OPERATIONS {
        assert!(words.ends_with('.') && words.starts_with(char::is_uppercase), "{id}: {words}");
    }
}

#[test]
fn what_is_open_to_anyone_is_known() {
    let open: Vec<&str> = OPERATIONS.iter().filter(|operation| operation.access == Access::Anyone).map(|o| o.id).collect();
    assert_eq!(open, OPEN);
}

#[test]
fn reading_needs_a_read_scope_and_everything_else_a_write_scope() {
    for operation in OPERATIONS {
        if let Access::Scope(scope) = operation.access {
            let wanted = match operation.method {
                "GET" => ":read",
                // Checks keys for a service and can do nothing else.
                _ if operation.id == "verify_api_key" => ":verify",
                _ => ":write",
            };
            assert!(scope.name().ends_with(wanted), "{} needs {scope}", operation.id);
            // What a client was allowed opens as much as a key.
            let noun = operation.path.split('/').nth(2).expect("a noun").replace("grants", "keys");
            assert!(scope.name().starts_with(&noun), "{} needs {scope}", operation.id);
        }
    }
}

#[tokio::test]
async fn without_a_credential_every_operation_is_refused() {
    let server = TestServer::start().await;
    let ids = ids_of_nobody();
    for (n, operation) in with_credential().enumerate() {
        let path = path_of(operation, &ids);
        let refused = call(&server.anonymous(), operation, &path).await;
        assert_eq!((refused.status, refused.error().as_str()), (401, "missing_api_key"), "{}", operation.id);
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"keyrack\"", "{}", operation.id);
        let left = 99 - n as i64;
        assert_eq!(refused.number("x-ratelimit-limit"), 100, "{}", operation.id);
        assert_eq!((refused.number("x-ratelimit-remaining"), refused.number("ratelimit-remaining")), (left, left));
    }
}

#[tokio::test]
async fn every_single_wrong_scope_is_refused_with_the_name_of_the_right_one() {
    let server = TestServer::start().await;
    let user = server.user_in(server.account("Team").await, Role::Admin).await;
    let others = Scope::ALL.iter().copied().filter(|&scope| scope != Scope::Admin);
    for wrong in others {
        let key = server.key_of(&user, &[wrong]).await;
        let ids = ids_of(&server, &key).await;
        for operation in with_credential() {
            let Access::Scope(right) = operation.access else { continue };
            if right == wrong {
                continue;
            }
            server.advance(crate::support::SECOND);
            let path = path_of(operation, &ids);
            // Neither a broken body nor an unknown id is looked at before the scope.
            let method: Method = operation.method.parse().expect("a method");
            for (path, body) in
                [(&path, body_of(operation).map(|b| b.to_string())), (&path.replace(key.key_id(), "123"), Some("{".into()))]
            {
                let refused = key.send(method.clone(), path, body).await;
                assert_eq!(
                    (refused.status, refused.error().as_str()),
                    (403, "insufficient_scope"),
                    "{} with {wrong}",
                    operation.id
                );
                assert_eq!(refused.json()["required_scope"], right.name());
                let challenge = refused.header("www-authenticate");
                assert!(
                    challenge.contains("error=\"insufficient_scope\"") && challenge.ends_with(&format!("scope=\"{right}\"")),
                    "{challenge}"
                );
            }
        }
        let unchanged = server.key_of(&user, &[Scope::UsersRead, Scope::KeysRead]).await;
        assert_eq!(unchanged.get("/v1/users/me").await.json()["name"], user.name);
        assert_eq!(unchanged.get(&format!("/v1/keys/{}", key.key_id())).await.json()["name"], "test");
    }
}

#[tokio::test]
async fn the_right_scope_is_enough_and_so_is_admin() {
    for operation in with_credential() {
        let server = TestServer::start().await;
        let scopes: &[Scope] = match &operation.access {
            Access::Scope(scope) => &[*scope],
            _ => &[],
        };
        for scopes in [scopes, &[Scope::Admin]] {
            let (role, account) = if scopes == [Scope::Admin] { (Role::Admin, "Operators") } else { (Role::Member, "Team") };
            let key = server.key_of(&server.user_in(server.account(account).await, role).await, scopes).await;
            let colleague = server.colleague_of(key.user()).await;
            let target = server.key_of(&colleague, &[]).await;
            let path = match operation.id {
                "revoke_grant" => operation.path.replace("{id}", &server.grant_of(&colleague).await),
                _ => path_of(operation, &ids_of(&server, &target).await),
            };
            let answered = call(&key, operation, &path).await;
            let taken = answered.status == 400 && answered.text.contains("already in use");
            assert!((200..300).contains(&answered.status) || taken, "{} with {scopes:?}: {}", operation.id, answered.text);
        }
    }
}

/// All of the member's scopes: what is refused here is refused for whose it is, never for a scope.
pub fn all_of_a_member() -> Vec<Scope> {
    Scope::ALL.iter().copied().filter(|scope| !scope.is_for_admins()).collect()
}

#[tokio::test]
async fn what_belongs_to_another_account_does_not_exist() {
    let server = TestServer::start().await;
    let (mine, theirs) = (server.key(&all_of_a_member()).await, server.key(&all_of_a_member()).await);
    let ids = ids_of(&server, &theirs).await;
    let before = (theirs.get("/v1/users").await.json(), theirs.get("/v1/keys").await.json());
    let webhooks = theirs.get("/v1/webhooks").await.json();
    let no_ids = ids_of_nobody();
    let mine = mine.header("X-Request-Id", "same");
    for operation in with_credential().filter(|operation| operation.path.contains("{id}")) {
        server.advance(crate::support::SECOND);
        let foreign = call(&mine, operation, &path_of(operation, &ids)).await;
        let missing = call(&mine, operation, &path_of(operation, &no_ids)).await;
        assert_eq!((foreign.status, foreign.error().as_str()), (404, "not_found"), "{}", operation.id);
        assert_eq!(foreign.text, missing.text, "{}", operation.id);
    }
    let users = theirs.get("/v1/users").await.json();
    assert_eq!((users, theirs.get("/v1/keys").await.json()), before, "nothing was touched");
    assert_eq!(theirs.get("/v1/webhooks").await.json(), webhooks);
}

#[tokio::test]
async fn no_filter_or_cursor_shows_what_belongs_to_another_account() {
    let server = TestServer::start().await;
    let (mine, theirs) = (server.key(&all_of_a_member()).await, server.key(&all_of_a_member()).await);
    let (user, key) = (theirs.user(), theirs.key_id());
    let encoded: String = user.email.replace('@', "%40");
    for path in [
        format!("/v1/users?email={encoded}"),
        format!("/v1/users?q={encoded}"),
        format!("/v1/users?q={}", user.id),
        format!("/v1/users?before={}&account_id={}", user.id, user.account_id),
        format!("/v1/keys?user_id={}", user.id),
        format!("/v1/keys?q={key}"),
        format!("/v1/keys?after={key}"),
        format!("/v1/keys?before={key}"),
    ] {
        let listed = mine.get(&path).await.expect(200);
        assert!(!listed.text.contains(&user.id.to_string()) && !listed.text.contains(key), "{path}: {}", listed.text);
    }
}

#[tokio::test]
async fn fields_that_are_not_the_callers_to_set_are_refused_and_change_nothing() {
    let server = TestServer::start().await;
    let key = server.key(&all_of_a_member()).await;
    let (user, other) = (format!("/v1/users/{}", key.user().id), server.account("Other").await.to_string());
    let own = format!("/v1/keys/{}", key.key_id());
    let before = (key.get("/v1/users").await.json(), key.get(&own).await.json());
    for (field, value) in [
        ("role", json!("admin")),
        ("account_id", json!(other)),
        ("id", json!("user_01h455vb4pex5vsknk084sn02q")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("updated_at", json!("2020-01-01T00:00:00Z")),
        ("tier", json!("Enterprise")),
        ("status", json!("disabled")),
        ("email_verified", json!(true)),
        ("password_hash", json!("$argon2id$")),
        ("revision", json!(1)),
        ("time_zone", json!("UTC")),
        ("hint", json!("kr_…")),
        ("secret", json!("kr_mine")),
        ("hash", json!("00")),
        ("revoked_at", json!(null)),
        ("last_used_at", json!(null)),
        ("rotation", json!(null)),
        ("__proto__", json!({ "role": "admin" })),
    ] {
        server.advance(crate::support::SECOND);
        let and = |mut body: Value| {
            body[field] = value.clone();
            body
        };
        let new = and(json!({ "name": "New", "email": "new@example.com", "password": "securepassword123" }));
        for refused in [
            key.post("/v1/users", new).await,
            key.patch(&user, and(json!({ "name": "New" }))).await,
            key.put(&user, and(json!({ "name": "New" }))).await,
            key.post("/v1/keys", and(json!({ "name": "New" }))).await,
            key.patch(&own, and(json!({ "name": "New" }))).await,
            key.post(&format!("{own}/rotate"), and(json!({}))).await,
        ] {
            assert!([400, 403].contains(&refused.status), "{field}: {}", refused.text);
        }
    }
    let after = (key.get("/v1/users").await.json(), key.get(&own).await.json());
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_path_written_otherwise_is_no_way_around_a_scope() {
    let server = TestServer::start().await;
    let key = server.key(&[Scope::KeysRead]).await;
    for path in
        ["/v1/%75sers", "/v1//users", "/v1/users/", "/v1/./users", "//v1/users", "/V1/users", "/v1/users;x", "/v1/users%2f"]
    {
        let reply = key.get(path).await;
        assert!([403, 404].contains(&reply.status), "{path}: {} {}", reply.status, reply.text);
    }
}
