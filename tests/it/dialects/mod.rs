//! Contract 9: a Keyrack set to a dialect does what that seed's document says. Each sentence that a client can check is
//! in the table below, and stands above the test that checks it, behind `/// >`.

mod mitwirken;
mod native;
mod page;
mod plain;
mod resend;
mod switching;
mod usertour;

use keyrack::http::api::dialect::preview;
use keyrack::model::dialect::DialectName;
use keyrack::model::scope::Scope;
use keyrack::model::tier::Window;
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestServer};

/// The tests of each document, and its sentences as they stand there.
const SENTENCES: &[(&str, &[&str])] = &[
    (
        include_str!("usertour.rs"),
        &[
            "We enforce HTTPS in every request to improve data security, integrity, and privacy.",
            "The API does not support HTTP.",
            "To authenticate you need to add an Authorization header with the contents of the header being Bearer ak_123456789.",
            "In general, 2xx HTTP codes correspond to success.",
            "4xx codes are for user-related failures.",
            "5xx codes are for infrastructure issues.",
            "200: Successful request.",
            "400: Check that the parameters were correct.",
            "401: The API key used was missing.",
            "403: The API key used was invalid.",
            "404: The resource was not found.",
            "429: The rate limit was exceeded.",
            "5xx: Indicates an error with Usertour servers.",
            "Check Error Codes for a comprehensive breakdown of all possible API errors.",
            "Enforces per-account request limits per minute.",
            "Rate limits vary based on your subscription plan.",
            "Exceeding the limit returns HTTP 429 (Too Many Requests).",
            "Controls simultaneous active requests.",
            "Implements request queuing when at high capacity.",
            "Queue timeout: 15 seconds.",
            "Returns HTTP 503 (Service Unavailable) if queued too long.",
            "Consider implementing retry logic with exponential backoff when receiving these status codes.",
        ],
    ),
    (
        include_str!("resend.rs"),
        &[
            "We enforce HTTPS in every request to improve data security, integrity, and privacy.",
            "The API does not support HTTP.",
            "To authenticate you need to add an Authorization header with the contents of the header being Bearer re_xxxxxxxxx.",
            "All API requests must include a User-Agent header.",
            "Requests without this header will be rejected with a 403 status code.",
            "If you're making direct HTTP requests, make sure to set it.",
            "If you're getting a 403 error with error code 1010 despite having a valid API key, a missing User-Agent header is likely the cause.",
            "In general, 2xx HTTP codes correspond to success.",
            "4xx codes are for user-related failures.",
            "5xx codes are for infrastructure issues.",
            "200: Successful request.",
            "400: Check that the parameters were correct.",
            "401: The API key used was missing.",
            "403: The API key used was invalid.",
            "404: The resource was not found.",
            "429: The rate limit was exceeded.",
            "5xx: Indicates an error with Resend servers.",
            "Check Error Codes for a comprehensive breakdown of all possible API errors.",
            "The default maximum rate limit is 5 requests per second per team.",
            "This limit applies across all API keys associated with your team.",
            "This number can be increased for trusted senders by request.",
            "After that, you'll hit the rate limit and receive a 429 response error code.",
            "Some endpoints support cursor-based pagination to help you browse through large datasets efficiently.",
            "Currently, there's no versioning system in place.",
        ],
    ),
    (
        include_str!("mitwirken.rs"),
        &[
            "We enforce HTTPS in every request to improve data security, integrity, and privacy.",
            "The API does not support HTTP.",
            "To authenticate you need to add an Authorization header with the contents of the header being Bearer mit_123456789.",
            "In general, 2xx HTTP codes correspond to success.",
            "4xx codes are for user-related failures.",
            "5xx codes are for infrastructure issues.",
            "200: Successful request.",
            "400: Check that the parameters were correct.",
            "401: The API key used was missing.",
            "403: The API key used was invalid.",
            "404: The resource was not found.",
            "429: The rate limit was exceeded.",
            "5xx: Indicates an error with Mitwirken servers.",
            "Check Error Codes for a comprehensive breakdown of all possible API errors.",
            "The response headers describe your current rate limit following every request in conformance with the IETF standard.",
            "ratelimit-limit: Maximum number of requests allowed within a window.",
            "ratelimit-remaining: How many requests you have left within the current window.",
            "ratelimit-reset: How many seconds until the limits are reset.",
            "retry-after: How many seconds you should wait before making a follow-up request.",
            "The default maximum rate limit is 2 requests per second.",
            "This number can be increased for trusted senders by request.",
            "After that, you’ll hit the rate limit and receive a 429 response error code.",
            "We do not support pagination yet.",
            "We do not support API versioning yet.",
        ],
    ),
    (
        include_str!("plain.rs"),
        &[
            "All API requests must be authenticated.",
            "Include your API key in the Authorization header as a Bearer token.",
            "All API endpoints are relative to the following base URL: https://api.example.com/v1",
            "Retrieves a list of all users.",
            "limit: Maximum number of users to return.",
            "offset: Number of users to skip.",
            "Creates a new user.",
            "name (required): The name of the user.",
            "email (required): The email address of the user. Must be unique.",
            "password (required): The user's password. Must be at least 8 characters long.",
            "Email address is already in use.",
            "Updates an existing user.",
            "Deletes a user.",
            "No response body is returned on successful deletion.",
            "Our API uses standard HTTP status codes to indicate the success or failure of a request.",
            "400 Bad Request: The request was malformed or contained invalid parameters.",
            "401 Unauthorized: Authentication credentials were missing or invalid.",
            "403 Forbidden: The authenticated user does not have permission to perform the requested action.",
            "404 Not Found: The requested resource could not be found.",
            "429 Too Many Requests: The user has exceeded the rate limit.",
            "500 Internal Server Error: An unexpected error occurred on the server.",
            "Error responses will typically include a JSON object with an error key providing more details.",
            "Invalid API key provided.",
            "Exceeding these limits will result in a 429 Too Many Requests response.",
            "Requests per minute: 100",
            "Requests per hour: 5000",
            "The RateLimit-Remaining and RateLimit-Reset headers in the response indicate your current status.",
        ],
    ),
    (
        include_str!("native.rs"),
        &[
            "Include your API key in the request header.",
            "Free: 1,000 requests per hour, burst limit 50.",
            "Pro: 10,000 requests per hour, burst limit 200.",
            "Enterprise: unlimited requests per hour, burst limit 1,000.",
            "Every response includes rate limit information.",
            "When you exceed the rate limit, you'll receive a 429 Too Many Requests response.",
            "Rate limit exceeded. Try again in 3600 seconds.",
            "Implement exponential backoff when you receive a 429 response.",
            "Invalid API Key: 401 Unauthorized. The API key provided is invalid.",
            "Missing API Key: 401 Unauthorized. No API key provided in the Authorization header.",
            "Use HTTPS for all API requests.",
            "Rotate API keys regularly.",
            "Use least privilege access (minimal scopes).",
            "Expected: 200 OK with user data.",
            "Expected: 401 Unauthorized.",
        ],
    ),
];

#[test]
fn every_sentence_of_every_seed_has_its_test() {
    for (source, sentences) in SENTENCES {
        let tested = tested_sentences(source);
        for sentence in *sentences {
            assert!(tested.contains(sentence), "no test says that it checks: {sentence}");
        }
        for sentence in tested {
            assert!(sentences.contains(&sentence), "not in the table: {sentence}");
        }
    }
}

/// What stands behind `/// >` directly above a test.
fn tested_sentences(source: &str) -> Vec<&str> {
    let (mut tested, mut above) = (Vec::new(), Vec::new());
    for line in source.lines() {
        match line.strip_prefix("/// > ") {
            Some(sentence) => above.push(sentence),
            None if line == "#[tokio::test]" => tested.append(&mut above),
            None => above.clear(),
        }
    }
    tested
}

const READ: &[Scope] = &[Scope::UsersRead];
const WRITE: &[Scope] = &[Scope::UsersRead, Scope::UsersWrite];
const KEYS: &[Scope] = &[Scope::KeysRead, Scope::KeysWrite];

async fn server(dialect: DialectName) -> TestServer {
    TestServer::with(|config| config.api.dialect = dialect).await
}

/// A server behind a proxy that it trusts, on this machine.
async fn behind_a_proxy(dialect: DialectName) -> TestServer {
    TestServer::with(|config| {
        config.api.dialect = dialect;
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await
}

/// What a client far away gets that came to the proxy over `scheme`.
async fn over(scheme: &str, client: &Client, path: &str) -> Reply {
    client.header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", scheme).get(path).await
}

/// A client that says what it is, as most do by themselves.
fn named(client: &Client) -> Client {
    client.header("User-Agent", "my-app/1.0")
}

/// Makes every look at the users fail: a fault of the server's own.
fn break_the_users_table(server: &TestServer) {
    let conn = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    conn.execute_batch("ALTER TABLE users RENAME TO users_elsewhere").expect("renames");
}

fn has_user_fields(user: &Value) -> bool {
    ["id", "name", "email", "created_at"].iter().all(|field| user[field].is_string())
}

/// The names of fields, without their values; of a list, those of its first row.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(name, value)| (name.clone(), shape(value))).collect()),
        Value::Array(rows) => rows.first().map(shape).into_iter().collect(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn the_preview_of_every_dialect_is_what_its_clients_get() {
    for &dialect in DialectName::ALL {
        let server = server(dialect).await;
        let base = format!("http://{}", server.addr);
        let samples = preview::samples(dialect, &base, Window::new(100, 60), &server.clock);
        // A client for each: the small windows are not to be used up before the last sample.
        let key = async || named(&server.key(READ).await);
        let stranger = named(&server.anonymous());
        let team = key().await;
        server.colleague_of(team.user()).await;
        server.colleague_of(team.user()).await;
        let busy = key().await;
        let real = [
            key().await.get("/v1/users/me").await,
            team.get("/v1/users?limit=2").await,
            stranger.get("/v1/users").await,
            named(&server.with_secret("wrong")).get("/v1/users").await,
            key().await.post("/v1/users", json!({})).await,
            key().await.get("/v1/users/123").await,
            loop {
                let reply = busy.get("/v1/users/me").await;
                if reply.status == 429 {
                    break reply;
                }
            },
        ];
        assert_eq!(samples.len(), real.len());
        for (sample, real) in samples.iter().zip(real) {
            let what = format!("{} of {}", sample.title, dialect.as_str());
            assert!(sample.status.starts_with(&real.status.to_string()), "{what}: {} {}", sample.status, real.text);
            let body: Value = serde_json::from_str(&sample.body).expect("JSON");
            assert_eq!(shape(&body), shape(&real.json()), "{what}");
            for (name, value) in &sample.headers {
                assert!(!real.header(name).is_empty(), "{what}: {name}");
                // What is left depends on the requests before.
                if name.contains("ratelimit") && !name.ends_with("remaining") || name == "retry-after" {
                    assert_eq!(real.header(name), value, "{what}: {name}");
                }
            }
        }
    }
}
