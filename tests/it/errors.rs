//! Contract 2 and 3: what a request that goes wrong is told, whatever it was.

use keyrack::config::PublicUrl;
use keyrack::model::scope::Scope::{KeysRead, KeysWrite, UsersRead, UsersWrite};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Raw, Reply, TestServer};

async fn editor(server: &TestServer) -> Client {
    server.key(&[UsersRead, UsersWrite, KeysRead, KeysWrite]).await
}

async fn post_text(client: &Client, body: &str) -> Reply {
    client.send(Method::POST, "/v1/users", Some(body.to_owned())).await
}

// The shape.

#[tokio::test]
async fn an_error_has_exactly_the_fields_of_the_contract() {
    let server = TestServer::start().await;
    let refused = server.anonymous().header("X-Request-Id", "my-id").get("/v1/users").await.expect(401);
    assert_eq!(refused.header("content-type"), "application/json");
    let expected = json!({
        "error": "missing_api_key", "message": "No API key provided in the Authorization header.", "status": 401,
        "request_id": "my-id", "doc_url": format!("http://{}/docs/errors/missing_api_key", server.addr),
    });
    assert_eq!(refused.json(), expected);
}

#[tokio::test]
async fn documentation_links_lead_to_the_public_url_where_there_is_one() {
    let server =
        TestServer::with(|config| config.server.public_url = Some(PublicUrl::parse("https://keys.example.com/").expect("a URL")))
            .await;
    let key = editor(&server).await;
    let url = |code: &str| json!(format!("https://keys.example.com/docs/errors/{code}"));
    let client = server.anonymous().header("Host", "evil.example").header("X-Forwarded-Host", "evil.example");
    assert_eq!(client.get("/v1/users").await.json()["doc_url"], url("missing_api_key"));
    let list = key.header("Host", "evil.example").get("/v1/users").await;
    assert!(list.header("link").starts_with("<https://keys.example.com/v1/users"), "{}", list.header("link"));
}

#[tokio::test]
async fn a_host_that_is_none_is_not_repeated() {
    let server = TestServer::start().await;
    let head = "GET /v1/users HTTP/1.1\r\nHost: evil\"><script>\r\n\r\n";
    let refused = Raw::sent(server.addr, head).await.reply().await.expect("an answer");
    assert!(!refused.text.contains("script"), "{}", refused.text);
}

#[tokio::test]
async fn who_asks_for_problem_json_gets_the_same_facts_by_rfc_9457() {
    let server = TestServer::start().await;
    let key = editor(&server).await.header("Accept", "application/problem+json").header("X-Request-Id", "my-id");
    let refused = key.post("/v1/users", json!({ "name": "Ada" })).await.expect(400);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let body = refused.json();
    let url = format!("http://{}/docs/errors/validation_error", server.addr);
    assert_eq!((&body["type"], &body["title"]), (&json!(url), &json!("Bad Request")));
    assert_eq!((&body["detail"], &body["instance"]), (&body["message"], &json!("urn:keyrack:request:my-id")));
    assert_eq!((&body["status"], &body["error"]), (&json!(400), &json!("validation_error")));
    assert_eq!(body["errors"].as_array().expect("errors").len(), 2);
}

#[tokio::test]
async fn problem_json_is_asked_for_in_any_case_and_refused_with_a_weight_of_nothing() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for (accept, kind) in [
        ("Application/Problem+JSON", "application/problem+json"),
        ("application/json, application/problem+json;q=0.5", "application/problem+json"),
        ("application/problem+json ; Q=1", "application/problem+json"),
        ("application/problem+json;q=0", "application/json"),
        ("application/problem+json; charset=utf-8; q=0.000, */*", "application/json"),
        ("application/problem+jsonx", "application/json"),
        ("*/*", "application/json"),
    ] {
        let refused = key.header("Accept", accept).get("/v1/users/123").await.expect(404);
        assert_eq!(refused.header("content-type"), kind, "{accept}");
    }
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name_with_a_suggestion() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let body = json!({ "name": "Ada", "email": "a@example.com", "passwort": "securepassword123" });
    let refused = key.post("/v1/users", body).await.expect(400);
    assert_eq!(refused.problems(), [("password".into(), "required".into()), ("passwort".into(), "unknown_field".into())]);
    assert_eq!(refused.json()["errors"][1]["message"], "There is no field `passwort`. Did you mean `password`?");
    let far = key.patch(&format!("/v1/users/{}", key.user().id), json!({ "zzz": 1 })).await.expect(400);
    assert_eq!(far.message(), "There is no field `zzz`. The fields are: name, email, password, role, status.");
    for (path, field, near) in
        [("/v1/keys", "scope", "scopes"), ("/v1/keys", "expire_in", "expires_in"), ("/v1/keys/report", "keys", "key")]
    {
        let refused = key.post(path, json!({ field: 1 })).await.expect(400);
        assert!(refused.text.contains(&format!("Did you mean `{near}`?")), "{field}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_very_long_field_name_is_not_repeated_whole() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let refused = key.post("/v1/users", json!({ "é".repeat(5_000): 1 })).await.expect(400);
    assert!(refused.text.len() < 2_000, "{} bytes", refused.text.len());
}

// Bodies.

#[tokio::test]
async fn broken_json_is_told_with_line_and_column() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for (body, place) in [
        ("{\n  \"name\": \"Ada\",\n  \"email\": }", "at line 3, column 12."),
        ("", "at line 1, column 0."),
        ("{", "at line 1, column 1."),
        ("{\"name\":\"Ada\"} {}", "at line 1, column 16."),
        ("{'name':'Ada'}", "at line 1, column 2."),
        ("{\"name\":\"\\ud800\"}", "at line 1"),
        ("nonsense", "at line 1, column 2."),
        ("{\"name\": 1e999}", "at line 1"),
    ] {
        let refused = post_text(&key, body).await.expect(400);
        assert_eq!(refused.error(), "invalid_json", "{body}");
        assert!(
            refused.message().starts_with("The body is not valid JSON: ") && refused.message().contains(place),
            "{}",
            refused.text
        );
    }
}

#[tokio::test]
async fn json_that_is_no_object_is_refused_as_such() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for body in ["[]", "null", "7", "\"text\"", "[{\"name\":\"Ada\"}]"] {
        let refused = post_text(&key, body).await.expect(400);
        assert_eq!(refused.error(), "validation_error", "{body}");
    }
}

#[tokio::test]
async fn json_nested_too_deeply_is_refused() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"metadata\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
        let refused = key.send(Method::POST, "/v1/keys", Some(deep)).await;
        assert!([400, 413].contains(&refused.status), "{}", refused.text);
    }
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(post_text(&key, &deep).await.expect(400).error(), "invalid_json");
}

#[tokio::test]
async fn a_field_given_twice_is_not_taken_half() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let body = "{\"name\":\"A\",\"name\":\"B\",\"email\":\"a@example.com\",\"password\":\"securepassword123\"}";
    let made = post_text(&key, body).await;
    assert!(made.status == 400 || made.json()["name"] == "B", "{}", made.text);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let types =
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", "", "json", "text/json"];
    for kind in types {
        let refused = key.header("Content-Type", kind).post("/v1/users", json!({})).await;
        assert_eq!((refused.status, refused.error().as_str()), (415, "unsupported_media_type"), "{kind}");
        assert!(refused.message().contains("application/json"));
    }
    for kind in
        ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8", "application/vnd.api+json"]
    {
        key.header("Content-Type", kind).post("/v1/users", json!({})).await.expect(400);
    }
}

#[tokio::test]
async fn no_body_at_all_leaves_every_field_out_and_one_of_no_type_is_refused() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let rotated = key.send(Method::POST, &format!("/v1/keys/{}/rotate", key.key_id()), None).await.expect(200).json();
    assert_eq!(rotated["rotation"]["old_expires_at"], "2026-11-23T10:00:00Z");
    let refused = key.send(Method::POST, "/v1/users", None).await.expect(400);
    assert_eq!(refused.problems()[0], ("name".into(), "required".into()));
    let head =
        format!("POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n\r\n{{}}", key.secret());
    assert_eq!(Raw::sent(server.addr, head).await.reply().await.expect("an answer").status, 415);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let server = TestServer::with(|config| config.server.max_body_bytes = 2_000).await;
    let key = editor(&server).await;
    let body = |bytes: usize| format!("{{\"name\":\"{}\"}}", "x".repeat(bytes - 11));
    assert_eq!(post_text(&key, &body(2_000)).await.expect(400).error(), "validation_error");
    let refused = post_text(&key, &body(2_001)).await;
    assert_eq!((refused.status, refused.error().as_str()), (413, "body_too_large"));
    assert_eq!(refused.message(), "The body is larger than 2000 bytes.");

    let head = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        key.secret()
    );
    let mut raw = Raw::sent(server.addr, head).await;
    raw.send(format!("7d1\r\n{}\r\n0\r\n\r\n", body(2_001))).await;
    assert_eq!(raw.reply().await.expect("an answer").status, 413);
}

#[tokio::test]
async fn the_default_limit_of_a_body_is_64_kib() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let body = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes - 8));
    post_text(&key, &body(65_536)).await.expect(400);
    post_text(&key, &body(65_537)).await.expect(413);
    // A server that closes before it has read everything must still get its answer through.
    for _ in 0..5 {
        post_text(&key, &body(3_000_000)).await.expect(413);
    }
    key.get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_body_sent_with_get_or_delete_is_tolerated() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let colleague = server.colleague_of(key.user()).await;
    let path = format!("/v1/users/{}", colleague.id);
    for body in ["{\"a\":1}", "nonsense"] {
        key.send(Method::GET, "/v1/users", Some(body.into())).await.expect(200);
        key.header("Content-Type", "text/plain").send(Method::GET, &path, Some(body.into())).await.expect(200);
    }
    key.send(Method::DELETE, &path, Some("{\"really\":true}".into())).await.expect(204);
}

#[tokio::test]
async fn a_large_body_with_get_does_not_spoil_the_next_request_of_its_connection() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let body = "x".repeat(200_000);
    let auth = format!("Host: x\r\nAuthorization: Bearer {}\r\n", key.secret());
    let mut raw = Raw::sent(server.addr, format!("GET /v1/key HTTP/1.1\r\n{auth}Content-Length: {}\r\n\r\n", body.len())).await;
    raw.send(body).await;
    raw.send(format!("GET /v1/users/me HTTP/1.1\r\n{auth}\r\n")).await;
    assert_eq!(raw.reply().await.expect("an answer").status, 200);
    if let Some(second) = raw.reply().await {
        assert_eq!(second.json()["id"], key.user().id.to_string());
    }
}

// Paths and verbs.

#[tokio::test]
async fn an_unknown_path_is_404_with_or_without_a_key_and_charges_nobody() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for client in [&key, &server.anonymous(), &server.with_secret("kr_wrong")] {
        for path in ["/v1", "/v1/", "/v1/nothing", "/v1/users/a/b", "/v2/users", "/v1/keys/x/rotated"] {
            let missing = client.get(path).await;
            assert_eq!((missing.status, missing.error().as_str()), (404, "not_found"), "{path}");
            assert_eq!(missing.message(), "There is nothing at this path.");
            assert_eq!((missing.number("x-ratelimit-limit"), missing.number("x-ratelimit-remaining")), (100, 100));
        }
    }
    assert_eq!(key.get("/v1/users").await.number("x-ratelimit-remaining"), 999);
    assert_eq!(server.anonymous().get("/v1/users").await.number("x-ratelimit-remaining"), 99);
}

#[tokio::test]
async fn a_verb_that_a_path_lacks_is_405_with_those_it_has_and_charges_nobody() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for (method, path, allowed) in [
        ("DELETE", "/v1/users", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/users/123", "GET, HEAD, PATCH, PUT, DELETE, OPTIONS"),
        ("PUT", "/v1/keys/123", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("GET", "/v1/keys/123/rotate", "POST, OPTIONS"),
        ("POST", "/v1/key", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/users/me", "GET, HEAD, OPTIONS"),
        ("TRACE", "/v1/users", "GET, HEAD, POST, OPTIONS"),
        ("FOO", "/v1/users", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ] {
        for client in [&key, &server.anonymous()] {
            let refused = client.send(method.parse().expect("a method"), path, None).await;
            assert_eq!((refused.status, refused.error().as_str()), (405, "method_not_allowed"), "{method} {path}");
            assert_eq!(refused.header("allow"), allowed, "{method} {path}");
            assert_eq!(refused.number("x-ratelimit-remaining"), 100);
        }
    }
    assert_eq!(key.get("/v1/users").await.number("x-ratelimit-remaining"), 999);
}

#[tokio::test]
async fn options_needs_no_key() {
    let server = TestServer::start().await;
    let told = server.anonymous().send(Method::OPTIONS, "/v1/users", None).await.expect(204);
    assert_eq!((told.header("allow"), told.text.as_str()), ("GET, HEAD, POST, OPTIONS", ""));
    assert!(told.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "CORS is off");
    assert_eq!(told.number("x-ratelimit-remaining"), 100, "limits are on every answer, and this one is not counted");
    assert!(!told.header("x-request-id").is_empty());
    server.anonymous().send(Method::OPTIONS, "/v1/nothing", None).await.expect(404);
}

#[tokio::test]
async fn cors_stays_off_for_foreign_origins() {
    let server = TestServer::start().await;
    let key = editor(&server).await.header("Origin", "https://evil.example");
    let listed = key.get("/v1/users").await.expect(200);
    assert!(listed.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn head_answers_as_get_does_but_for_the_body() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for path in ["/v1/users", "/v1/key", "/v1/nothing", "/healthz"] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", key.secret());
        let mut raw = Raw::sent(server.addr, head).await;
        let head = raw.reply_to_head().await.expect("an answer");
        let get = key.get(path).await;
        assert_eq!(head.status, get.status, "{path}");
        for name in ["content-type", "x-total-count", "etag", "x-ratelimit-limit", "ratelimit-policy"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        let closing = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        raw.send(closing).await;
        let rest = raw.closes().await.expect("closes");
        assert!(rest.ends_with(b"\r\n\r\n"), "no body: {}", String::from_utf8_lossy(&rest));
    }
    let head = key.send(Method::HEAD, "/v1/keys/report", None).await.expect(405);
    assert_eq!(head.header("allow"), "POST, OPTIONS");
    assert_eq!(key.send(Method::HEAD, "/v1/users", None).await.header("x-ratelimit-remaining"), "995", "HEAD counts as GET does");
}

// What is on every answer.

#[tokio::test]
async fn a_good_request_id_is_kept_and_any_other_replaced() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for id in ["abc", "A-b_c.9", &"x".repeat(128)] {
        for path in ["/v1/users", "/v1/nothing", "/healthz"] {
            assert_eq!(key.header("X-Request-Id", id).get(path).await.header("x-request-id"), id);
        }
    }
    for id in ["", "a b", "a\"b", "é", &"x".repeat(129), "a/b", "<script>"] {
        let reply = key.header("X-Request-Id", id).get("/v1/users/123").await;
        let made = reply.header("x-request-id").to_owned();
        assert!(made.starts_with("req_") && made.len() == 30, "{id}: {made}");
        assert_eq!(reply.json()["request_id"], made);
    }
    let (one, other) = (key.get("/v1/users").await, key.get("/v1/users").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn answers_are_neither_kept_nor_guessed_at_nor_framed() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let missing = key.get("/v1/users/123").await;
    for reply in [key.get("/v1/users").await, missing, server.anonymous().get("/v1/users").await, key.get("/v1/no").await] {
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert!(reply.headers.get("server").is_none() && reply.headers.get("x-powered-by").is_none());
    }
}

#[tokio::test]
async fn nothing_a_client_sends_makes_a_header_of_its_own() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for path in ["/v1/users?q=a%0d%0aX-Evil:%201&limit=1", "/v1/users/a%0d%0aX-Evil:%201", "/v1/%0d%0aX-Evil:%201"] {
        let reply = key.get(path).await;
        assert!(reply.status < 500 && reply.headers.get("x-evil").is_none(), "{path}");
    }
}

#[tokio::test]
async fn a_fault_of_ours_tells_its_request_id_and_nothing_else() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    key.get("/v1/users").await.expect(200);
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("ALTER TABLE users RENAME COLUMN time_zone TO zone").expect("renames");
    let failed = key.header("X-Request-Id", "find-me").get("/v1/users").await.expect(500);
    let mut body = failed.json();
    body["doc_url"].take();
    let expected = json!({
        "error": "internal_error", "status": 500, "request_id": "find-me", "doc_url": Value::Null,
        "message": "Something went wrong on our side. The server's log has the details under this request id.",
    });
    assert_eq!(body, expected);
    assert_eq!(failed.number("x-ratelimit-remaining"), 998);
}

#[tokio::test]
async fn the_health_pages_need_no_key_and_count_nowhere() {
    let server = TestServer::with(|config| config.limits.anonymous_per_minute = 1).await;
    for _ in 0..3 {
        assert_eq!(server.anonymous().get("/healthz").await.expect(200).json(), json!({ "status": "ok" }));
        assert_eq!(server.anonymous().get("/readyz").await.expect(200).json()["status"], "ready");
    }
    server.app.draining.store(true, std::sync::atomic::Ordering::SeqCst);
    server.anonymous().get("/healthz").await.expect(200);
    server.anonymous().get("/readyz").await.expect(503);
}

#[tokio::test]
async fn a_client_may_name_the_version_it_was_written_for_and_another_is_refused_without_being_counted() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    key.header("Keyrack-Version", "2026-11-22").get("/v1/users").await.expect(200);
    let refused = key.header("Keyrack-Version", "2025-01-01").get("/v1/users").await.expect(400);
    assert_eq!(refused.problems(), [("Keyrack-Version".to_owned(), "unknown_version".to_owned())]);
    assert_eq!(key.get("/v1/users").await.expect(200).number("x-ratelimit-remaining"), 998);
}
