//! Seed 3: REST API Integrations.

use keyrack::model::dialect::DialectName::Plain;
use reqwest::Method;
use serde_json::{Value, json};

use super::{READ, WRITE, behind_a_proxy, break_the_users_table, has_user_fields, over, server};
use crate::support::{HOUR, MINUTE, Reply};

/// The words of an error, which are all that its body has.
#[track_caller]
fn words(reply: Reply, status: u16) -> String {
    let body = reply.expect(status).json();
    assert_eq!(body.as_object().map(|body| body.keys().collect::<Vec<_>>()), Some(vec![&"error".to_owned()]), "{body}");
    body["error"].as_str().expect("a text").to_owned()
}

fn charlie() -> Value {
    json!({ "name": "Charlie Chaplin", "email": "charlie@example.com", "password": "securepassword123" })
}

/// > All API requests must be authenticated.
/// > Include your API key in the Authorization header as a Bearer token.
/// > All API endpoints are relative to the following base URL: https://api.example.com/v1
#[tokio::test]
async fn requests_carry_the_key_behind_bearer() {
    let server = server(Plain).await;
    let key = server.key(READ).await;
    assert!(key.secret().starts_with("kr_"));
    server.anonymous().get("/v1/users").await.expect(401);
    server.anonymous().header("Authorization", &format!("Bearer {}", key.secret())).get("/v1/users").await.expect(200);
    key.get("/users").await.expect(404);
}

/// > Retrieves a list of all users.
/// > limit: Maximum number of users to return.
/// > offset: Number of users to skip.
#[tokio::test]
async fn the_list_is_a_bare_array_cut_by_limit_and_offset() {
    let server = server(Plain).await;
    let key = server.key(READ).await.header("Accept", "application/json");
    for _ in 0..3 {
        server.colleague_of(key.user()).await;
    }
    let all = key.get("/v1/users").await.expect(200);
    assert!(all.json().as_array().expect("a bare array").iter().all(has_user_fields));
    assert_eq!(all.ids().len(), 4);
    assert_eq!(key.get("/v1/users?limit=2&offset=0").await.expect(200).ids(), all.ids()[..2]);
    assert_eq!(key.get("/v1/users?limit=2&offset=3").await.expect(200).ids(), all.ids()[3..]);
}

/// > Creates a new user.
/// > name (required): The name of the user.
/// > email (required): The email address of the user. Must be unique.
/// > password (required): The user's password. Must be at least 8 characters long.
/// > Email address is already in use.
#[tokio::test]
async fn a_user_is_created_as_the_document_says() {
    let server = server(Plain).await;
    let key = server.key(WRITE).await;
    assert!(has_user_fields(&key.post("/v1/users", charlie()).await.expect(201).json()));
    assert_eq!(words(key.post("/v1/users", charlie()).await, 400), "Email address is already in use.");
    for field in ["name", "email", "password"] {
        let mut incomplete = charlie();
        incomplete.as_object_mut().expect("an object").remove(field);
        assert!(words(key.post("/v1/users", incomplete).await, 400).contains(field));
    }
    let mut short = charlie();
    short["password"] = json!("seven77");
    assert!(words(key.post("/v1/users", short).await, 400).contains('8'));
}

/// > Updates an existing user.
#[tokio::test]
async fn a_user_is_changed_by_put() {
    let server = server(Plain).await;
    let key = server.key(WRITE).await;
    let user = server.colleague_of(key.user()).await;
    let changes = json!({ "name": "Charles Chaplin", "email": "charlie.c@example.com" });
    let changed = key.put(&format!("/v1/users/{}", user.id), changes.clone()).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["email"]), (&changes["name"], &changes["email"]));
    assert!(changed["updated_at"].is_string());
}

/// > Deletes a user.
/// > No response body is returned on successful deletion.
#[tokio::test]
async fn a_deletion_answers_204_without_a_body() {
    let server = server(Plain).await;
    let key = server.key(WRITE).await;
    let user = server.colleague_of(key.user()).await;
    assert_eq!(key.delete(&format!("/v1/users/{}", user.id)).await.expect(204).text, "");
}

/// > Our API uses standard HTTP status codes to indicate the success or failure of a request.
/// > Error responses will typically include a JSON object with an error key providing more details.
/// > 400 Bad Request: The request was malformed or contained invalid parameters.
#[tokio::test]
async fn what_the_framework_refuses_has_the_same_body() {
    let server = server(Plain).await;
    let key = server.key(WRITE).await;
    assert!(words(key.send(Method::POST, "/v1/users", Some("{".into())).await, 400).contains("not valid JSON"));
    assert!(words(key.get("/v1/users?limit=0").await, 400).contains("`limit`"));
    words(key.delete("/v1/users").await, 405);
    words(key.post("/v1/users", json!({ "name": "x".repeat(70_000) })).await, 413);
    words(key.header("Content-Type", "text/plain").send(Method::POST, "/v1/users", Some("x".into())).await, 415);
    words(key.header("Accept", "application/problem+json").get("/v1/nowhere").await, 404);
    let far = behind_a_proxy(Plain).await;
    assert!(words(over("http", &far.anonymous(), "/v1/users").await, 403).contains("HTTPS"));
}

/// > 401 Unauthorized: Authentication credentials were missing or invalid.
/// > Invalid API key provided.
#[tokio::test]
async fn missing_and_invalid_keys_are_401() {
    let server = server(Plain).await;
    words(server.anonymous().get("/v1/users").await, 401);
    assert_eq!(words(server.with_secret("YOUR_API_KEY").get("/v1/users").await, 401), "Invalid API key provided.");
}

/// > 403 Forbidden: The authenticated user does not have permission to perform the requested action.
/// > 404 Not Found: The requested resource could not be found.
#[tokio::test]
async fn no_permission_is_403_and_nothing_there_404() {
    let server = server(Plain).await;
    let key = server.key(READ).await;
    words(key.post("/v1/users", charlie()).await, 403);
    words(key.get("/v1/users/user_abc123").await, 404);
}

/// > Requests per minute: 100
/// > Exceeding these limits will result in a 429 Too Many Requests response.
/// > 429 Too Many Requests: The user has exceeded the rate limit.
/// > The RateLimit-Remaining and RateLimit-Reset headers in the response indicate your current status.
#[tokio::test]
async fn there_are_a_hundred_requests_a_minute() {
    let server = server(Plain).await;
    let key = server.key(READ).await;
    for left in (0..100).rev() {
        let reply = key.get("/v1/users/me").await.expect(200);
        assert_eq!((reply.number("ratelimit-remaining"), reply.number("ratelimit-reset")), (left, 60));
        let others = ["ratelimit-limit", "ratelimit-policy", "x-ratelimit-limit"].map(|name| reply.header(name).to_owned());
        assert_eq!(others, ["", "", ""], "headers of other dialects");
    }
    let refused = key.get("/v1/users/me").await;
    assert_eq!((refused.number("ratelimit-remaining"), refused.number("ratelimit-reset")), (0, 60));
    words(refused, 429);
}

/// > Requests per hour: 5000
#[tokio::test]
async fn there_are_five_thousand_requests_an_hour() {
    let server = server(Plain).await;
    let key = server.key(READ).await;
    for _ in 0..50 {
        for _ in 0..100 {
            key.get("/v1/users/me").await.expect(200);
        }
        server.advance(MINUTE);
    }
    let refused = key.get("/v1/users/me").await.expect(429);
    assert_eq!(refused.number("ratelimit-reset"), 600);
    server.advance(HOUR);
    key.get("/v1/users/me").await.expect(200);
}

/// > 500 Internal Server Error: An unexpected error occurred on the server.
#[tokio::test]
async fn a_fault_of_the_server_is_500() {
    let server = server(Plain).await;
    let key = server.key(READ).await;
    key.get("/v1/users/me").await.expect(200);
    break_the_users_table(&server);
    words(key.get("/v1/users").await, 500);
}
