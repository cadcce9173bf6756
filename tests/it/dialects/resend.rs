//! Seed 1: Resend, its conventions and its `/api-keys`.

use keyrack::model::dialect::DialectName::{Native, Resend};
use reqwest::Method;
use serde_json::{Value, json};

use super::{KEYS, READ, WRITE, behind_a_proxy, break_the_users_table, has_user_fields, named, over, server};
use crate::support::{Reply, SECOND, TestServer};

#[track_caller]
fn name(reply: Reply, status: u16) -> String {
    let reply = reply.expect(status);
    let body = reply.json();
    assert_eq!(body["statusCode"], status);
    assert_eq!(body.as_object().expect("an object").keys().collect::<Vec<_>>(), ["statusCode", "name", "message"]);
    body["name"].as_str().expect("a name").to_owned()
}

/// > We enforce HTTPS in every request to improve data security, integrity, and privacy.
/// > The API does not support HTTP.
#[tokio::test]
async fn plain_http_is_refused_and_https_served() {
    let server = behind_a_proxy(Resend).await;
    let key = named(&server.key(KEYS).await);
    for path in ["/api-keys", "/v1/users/me", "/users/me", "/nowhere"] {
        assert_eq!(name(over("http", &key, path).await, 403), "https_required", "{path}");
    }
    over("https", &key, "/api-keys").await.expect(200);
}

/// > To authenticate you need to add an Authorization header with the contents of the header being Bearer re_xxxxxxxxx.
#[tokio::test]
async fn keys_begin_with_re_and_go_behind_bearer() {
    let server = server(Resend).await;
    let key = server.key(READ).await;
    assert!(key.secret().starts_with("re_"));
    let by_hand = named(&server.anonymous()).header("Authorization", &format!("Bearer {}", key.secret()));
    by_hand.get("/v1/users/me").await.expect(200);
}

/// > All API requests must include a User-Agent header.
/// > Requests without this header will be rejected with a 403 status code.
/// > If you're getting a 403 error with error code 1010 despite having a valid API key, a missing User-Agent header is likely the cause.
#[tokio::test]
async fn without_a_user_agent_the_answer_is_403_with_code_1010() {
    let server = server(Resend).await;
    let key = server.key(KEYS).await;
    for client in [key.clone(), key.header("User-Agent", " "), server.anonymous()] {
        for path in ["/api-keys", "/v1/users/me", "/users/me"] {
            let refused = client.get(path).await;
            assert!(refused.text.contains("User-Agent") && refused.text.contains("(error code: 1010)"), "{}", refused.text);
            assert_eq!(name(refused, 403), "1010");
        }
    }
    assert_eq!(named(&key).get("/v1/users/me").await.expect(200).number("ratelimit-remaining"), 4, "those before were free");
}

/// > If you're making direct HTTP requests, make sure to set it.
/// > In general, 2xx HTTP codes correspond to success.
/// > 200: Successful request.
#[tokio::test]
async fn with_a_user_agent_a_good_request_is_200() {
    let server = server(Resend).await;
    let me = server.key(READ).await.header("User-Agent", "my-app/1.0").get("/users/me").await.expect(200);
    assert!(has_user_fields(&me.json()));
}

/// > 4xx codes are for user-related failures.
/// > 400: Check that the parameters were correct.
#[tokio::test]
async fn wrong_parameters_are_told_by_name() {
    let server = server(Resend).await;
    let key = named(&server.key_within(&[KEYS, WRITE].concat(), &[(1_000, 1)]).await);
    assert_eq!(name(key.get("/users?limit=0").await, 400), "validation_error");
    assert_eq!(name(key.get("/api-keys?after=x").await, 400), "validation_error");
    assert_eq!(name(key.send(Method::POST, "/api-keys", Some("{".into())).await, 400), "validation_error");
    assert_eq!(name(key.post("/api-keys", json!({ "name": 1 })).await, 400), "validation_error");
    assert_eq!(name(key.post("/api-keys", json!({})).await, 422), "missing_required_field");
    let some = json!({ "name": "x", "permission": "some_access" });
    assert_eq!(name(key.post("/api-keys", some).await, 422), "invalid_access");
    let text = key.header("Content-Type", "text/plain").send(Method::POST, "/api-keys", Some("x".into())).await;
    assert_eq!(name(text, 415), "unsupported_media_type");
    assert_eq!(name(key.post("/api-keys", json!({ "name": "x".repeat(70_000) })).await, 413), "body_too_large");
    let refused = key.put("/api-keys", json!({})).await;
    assert_eq!(refused.header("allow"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(name(refused, 405), "method_not_allowed");
    assert_eq!(name(key.post("/users/me", json!({})).await, 405), "method_not_allowed");
    let empty_key = key.header("Idempotency-Key", "").post("/api-keys", json!({ "name": "x" })).await;
    assert_eq!(name(empty_key, 400), "invalid_idempotency_key");
}

/// > 401: The API key used was missing.
#[tokio::test]
async fn a_missing_key_is_401() {
    let server = server(Resend).await;
    assert_eq!(name(named(&server.anonymous()).get("/api-keys").await, 401), "missing_api_key");
}

/// > 403: The API key used was invalid.
#[tokio::test]
async fn an_invalid_key_is_403() {
    let server = server(Resend).await;
    assert_eq!(name(named(&server.with_secret("re_xxxxxxxxx")).get("/api-keys").await, 403), "invalid_api_key");
    let reader = named(&server.key(READ).await);
    assert_eq!(name(reader.post("/users", json!({})).await, 403), "invalid_permission");
}

/// > 404: The resource was not found.
#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = server(Resend).await;
    let key = named(&server.key(&[KEYS, READ].concat()).await);
    for path in ["/nowhere", "/users/123", "/api-keys/x/y", "/v1/api-keys"] {
        assert_eq!(name(key.get(path).await, 404), "not_found", "{path}");
    }
    assert_eq!(name(key.delete("/api-keys/123").await, 404), "not_found");
    assert_eq!(name(key.patch("/api-keys/123", json!({ "name": "x" })).await, 404), "not_found");
}

/// > 429: The rate limit was exceeded.
/// > The default maximum rate limit is 5 requests per second per team.
/// > This limit applies across all API keys associated with your team.
/// > After that, you'll hit the rate limit and receive a 429 response error code.
#[tokio::test]
async fn a_team_has_five_requests_a_second_over_all_its_keys() {
    let server = server(Resend).await;
    let key = named(&server.key(READ).await);
    let colleague = server.colleague_of(key.user()).await;
    let other = named(&server.key_of(&colleague, READ).await);
    for left in (0..5).rev() {
        let client = if left % 2 == 0 { &key } else { &other };
        let reply = client.get("/users/me").await.expect(200);
        assert_eq!((reply.number("ratelimit-limit"), reply.number("ratelimit-remaining")), (5, left));
        assert_eq!(reply.number("ratelimit-reset"), 1);
        assert_eq!(reply.header("ratelimit-policy"), "5;w=1");
        assert_eq!(reply.header("x-ratelimit-limit"), "", "a header of another dialect");
    }
    let refused = other.get("/users/me").await;
    assert_eq!(refused.number("retry-after"), 1);
    assert_eq!(name(refused, 429), "rate_limit_exceeded");
    server.advance(SECOND);
    key.get("/users/me").await.expect(200);
}

/// > This number can be increased for trusted senders by request.
#[tokio::test]
async fn a_trusted_team_gets_windows_of_its_own() {
    let server = server(Resend).await;
    let key = named(&server.key_within(READ, &[(50, 1)]).await);
    assert_eq!(key.get("/users/me").await.expect(200).number("ratelimit-limit"), 50);
}

/// > 5xx codes are for infrastructure issues.
/// > 5xx: Indicates an error with Resend servers.
#[tokio::test]
async fn a_fault_of_the_server_is_500() {
    let server = server(Resend).await;
    let key = named(&server.key(READ).await);
    key.get("/users/me").await.expect(200);
    break_the_users_table(&server);
    assert_eq!(name(key.get("/users").await, 500), "internal_server_error");
}

/// > Check Error Codes for a comprehensive breakdown of all possible API errors.
#[tokio::test]
async fn reused_idempotency_keys_have_the_names_of_the_list() {
    let server = server(Resend).await;
    let key = named(&server.key(KEYS).await).header("Idempotency-Key", "create/1");
    let made = key.post("/api-keys", json!({ "name": "Once" })).await.expect(201).json();
    let again = key.post("/api-keys", json!({ "name": "Once" })).await.expect(201).json();
    assert_eq!((&again["id"], &again["token"]), (&made["id"], &Value::Null));
    assert_eq!(name(key.post("/api-keys", json!({ "name": "Other" })).await, 409), "invalid_idempotent_request");
}

/// > Some endpoints support cursor-based pagination to help you browse through large datasets efficiently.
#[tokio::test]
async fn lists_are_paged_by_the_ids_at_their_ends() {
    let server = server(Resend).await;
    let key = named(&server.key_within(&[KEYS, READ].concat(), &[(1_000, 1)]).await);
    for _ in 0..4 {
        server.colleague_of(key.user()).await;
    }
    let all = key.get("/users").await.expect(200).json();
    assert_eq!(all.as_object().expect("an object").keys().collect::<Vec<_>>(), ["object", "has_more", "data"]);
    assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
    let id = |n: usize| all["data"][n]["id"].as_str().expect("an id");
    let page = key.get(&format!("/users?limit=2&after={}", id(1))).await.expect(200).json();
    assert_eq!((page["has_more"].clone(), page["data"][0]["id"].clone()), (json!(true), json!(id(2))));
    let page = key.get(&format!("/users?limit=2&after={}", id(2))).await.expect(200).json();
    assert_eq!(page["has_more"], json!(false));
    let page = key.get(&format!("/users?limit=2&before={}", id(3))).await.expect(200).json();
    assert_eq!((page["has_more"].clone(), page["data"][1]["id"].clone()), (json!(true), json!(id(2))));
    let page = key.get(&format!("/users?limit=2&before={}", id(2))).await.expect(200).json();
    assert_eq!(page["has_more"], json!(false));
}

/// > Currently, there's no versioning system in place.
#[tokio::test]
async fn paths_answer_without_a_version() {
    let server = server(Resend).await;
    let key = named(&server.key_within(&[KEYS, READ].concat(), &[(1_000, 1)]).await);
    for path in ["/users", "/users/me", "/key", "/keys", &format!("/users/{}", key.user().id), "/users?limit=1"] {
        let (bare, versioned) = (key.get(path).await.expect(200), key.get(&format!("/v1{path}")).await.expect(200));
        assert_eq!(super::shape(&bare.json()), super::shape(&versioned.json()), "{path}");
    }
}

#[tokio::test]
async fn other_dialects_have_neither_the_root_nor_api_keys() {
    let server = server(Native).await;
    let key = server.key(&[KEYS, READ].concat()).await;
    for path in ["/users", "/users/me", "/api-keys"] {
        key.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn a_key_made_at_api_keys_may_do_what_its_maker_may() {
    let server = server(Resend).await;
    let maker = named(&server.key_within(&[KEYS, WRITE].concat(), &[(1_000, 1)]).await);
    let made = maker.post("/api-keys", json!({ "name": "Production" })).await.expect(201).json();
    let full = named(&server.with_secret(made["token"].as_str().expect("a token")));
    let own = full.get("/v1/key").await.expect(200).json();
    assert_eq!(own["scopes"], json!(["users:read", "users:write", "keys:read", "keys:write"]));

    let sender = json!({ "name": "Sender", "permission": "sending_access", "domain_id": "d-1" });
    let sender = maker.post("/api-keys", sender).await.expect(201).json();
    let sender = named(&server.with_secret(sender["token"].as_str().expect("a token")));
    let own = sender.get("/v1/key").await.expect(200).json();
    assert_eq!((&own["scopes"], &own["metadata"]["domain_id"]), (&json!([]), &json!("d-1")));
    for (method, path) in [(Method::GET, "/api-keys"), (Method::POST, "/api-keys"), (Method::DELETE, "/api-keys/123")] {
        let body = (method == Method::POST).then(|| r#"{"name":"x"}"#.to_owned());
        assert_eq!(name(sender.send(method, path, body).await, 401), "restricted_api_key");
    }
    assert_eq!(name(sender.get("/users").await, 403), "invalid_permission");
}

#[tokio::test]
async fn a_removed_key_is_neither_listed_nor_renamed() {
    let server = server(Resend).await;
    let key = named(&server.key_within(KEYS, &[(1_000, 1)]).await);
    let made = key.post("/api-keys", json!({ "name": "Old" })).await.expect(201).json();
    let path = format!("/api-keys/{}", made["id"].as_str().expect("an id"));
    assert_eq!(
        key.patch(&path, json!({ "name": "New" })).await.expect(200).json(),
        json!({ "object": "api_key", "id": made["id"] })
    );
    let removed = key.delete(&path).await.expect(200);
    assert_eq!(removed.text, format!(r#"{{"object":"api_key","id":{},"deleted":true}}"#, made["id"]));
    let listed = key.get("/api-keys").await.expect(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(name(key.patch(&path, json!({ "name": "Newer" })).await, 404), "not_found");
}

#[tokio::test]
async fn without_a_limit_api_keys_come_all_at_once() {
    let server = TestServer::with(|config| config.api.dialect = Resend).await;
    let key = named(&server.key(KEYS).await);
    for _ in 0..25 {
        server.key_of(key.user(), READ).await;
    }
    let all = key.get("/api-keys").await.expect(200).json();
    assert_eq!((all["data"].as_array().map(Vec::len), &all["has_more"]), (Some(26), &json!(false)));
    let some = key.get("/api-keys?limit=5").await.expect(200).json();
    assert_eq!((some["data"].as_array().map(Vec::len), &some["has_more"]), (Some(5), &json!(true)));
}
