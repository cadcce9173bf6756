//! Webhooks: who is told of what, how it is signed, and what becomes of a message that is not taken.

mod endpoints;
mod pages;
mod receiver;
mod retries;
mod targets;
mod told;

use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use serde_json::{Value, json};

use crate::support::{Client, TestServer};
use receiver::Receiver;

/// A server whose webhooks may go to receivers of the tests.
async fn server() -> TestServer {
    TestServer::changed(
        |config| config.webhooks.allow_private_targets = true,
        |app| app.outbound.timeout = std::time::Duration::from_millis(300),
    )
    .await
}

/// A key of a member that may do all that a member may.
async fn member(server: &TestServer) -> Client {
    let scopes: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| !scope.is_for_admins()).collect();
    server.key(&scopes).await
}

const ALL_EVENTS: [&str; 11] = [
    "user.created",
    "user.updated",
    "user.deleted",
    "key.created",
    "key.rotated",
    "key.revoked",
    "key.disabled",
    "key.expiring",
    "rate_limit.exceeded",
    "oauth.grant.created",
    "oauth.grant.revoked",
];

/// A new webhook that is told of all events; as it was answered, with its secret.
async fn webhook(client: &Client, receiver: &Receiver) -> Value {
    client.post("/v1/webhooks", json!({ "url": receiver.url(), "events": ALL_EVENTS })).await.expect(201).json()
}

fn path_of(webhook: &Value) -> String {
    format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"))
}

async fn deliveries(client: &Client, webhook: &Value) -> Vec<Value> {
    let listed = client.get(&format!("{}/deliveries?limit=100", path_of(webhook))).await.expect(200).json();
    listed.as_array().expect("a list").clone()
}

async fn a_user(client: &Client, name: &str) -> Value {
    let email = format!("{}@example.com", keyrack::model::ids::UserId::new());
    let body = json!({ "name": name, "email": email, "password": "securepassword123" });
    client.post("/v1/users", body).await.expect(201).json()
}

/// Makes an event without the work of a password.
async fn an_event(server: &TestServer, client: &Client) {
    server.user_in(client.user().account_id, Role::Member).await;
}
