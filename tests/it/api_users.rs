//! Contract 5: the users API.

use keyrack::model::scope::Scope::{UsersRead, UsersWrite};
use serde_json::json;

use crate::support::TestServer;

#[tokio::test]
async fn a_user_is_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite]).await;

    let body = json!({ "name": "Charlie Chaplin", "email": "charlie@example.com", "password": "securepassword123" });
    let created = key.post("/v1/users", body).await.expect(201);
    let user = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/v1/users/{}", user["id"].as_str().expect("an id")));
    assert_eq!(user["role"], "member");
    assert!(!created.text.contains("securepassword123") && !created.text.contains("argon2"));

    assert_eq!(key.get(&path).await.expect(200).json(), user);
    let changed = key.put(&path, json!({ "name": "Charles Chaplin", "email": "charlie.c@example.com" })).await.expect(200);
    assert_eq!(changed.json()["name"], "Charles Chaplin");
    let deleted = key.delete(&path).await.expect(204);
    assert_eq!(deleted.text, "");
    key.get(&path).await.expect(404);
}
