//! Whatever bytes come, on whatever operation: an answer, and none that tells of a fault of ours.

use std::fmt::Write;

use keyrack::http::api::operations::OPERATIONS;
use keyrack::model::ids::AccountId;
use keyrack::model::scope::Scope;
use keyrack::model::user::Role;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::support::{Client, Raw, TestServer};

#[derive(Clone, Debug)]
struct Request {
    operation: usize,
    /// The id in the path: one that exists, or anything.
    id: Option<Vec<u8>>,
    query: Vec<(String, Vec<u8>)>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    chunked: bool,
}

const PARAMETERS: &[&str] =
    &["limit", "offset", "after", "before", "sort", "email", "q", "created_after", "created_before", "status", "user_id", "x"];
const HEADERS: &[&str] = &[
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "X-Request-Id",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "User-Agent",
    "Range",
    "Cookie",
    "Origin",
    "Referer",
    "If-Modified-Since",
    "X-Any",
];
const FIELDS: &[&str] = &[
    "name",
    "email",
    "password",
    "role",
    "status",
    "account_id",
    "user_id",
    "scopes",
    "enabled",
    "expires_in",
    "expires_at",
    "ip_allow",
    "windows",
    "metadata",
    "overlap",
    "key",
    "x",
];
/// Values that mean something somewhere.
const WORDS: &[&str] = &[
    "Ada",
    "ada@example.com",
    "securepassword123",
    "admin",
    "member",
    "active",
    "disabled",
    "users:read",
    "read",
    "write",
    "90d",
    "0s",
    "2027-01-01T00:00:00Z",
    "-9999-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "10.0.0.0/8",
    "::/0",
    "created_at",
    "-created_at",
    "1",
    "100",
    "1000000",
    "18446744073709551615",
    "*",
    "W/\"1\"",
    "\"1-0-0-active\"",
    "application/json",
    "application/problem+json",
    "user_01h455vb4pex5vsknk084sn02q",
    "key_01h455vb4pex5vsknk084sn02q",
    "36525d",
    "9223372036854775807d",
];

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![one_of(WORDS).prop_map(String::into_bytes), any::<String>().prop_map(String::into_bytes), any::<Vec<u8>>()]
}

fn value() -> impl Strategy<Value = Value> {
    let number =
        prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        one_of(WORDS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (any::<u64>(), any::<u32>()).prop_map(|(limit, seconds)| json!([{ "limit": limit, "seconds": seconds }])),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let fields = proptest::collection::vec((one_of(FIELDS), value()), 0..6);
    let object = fields.prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>()).to_string().into_bytes());
    let good =
        Just(json!({ "name": "Ada", "email": "new@example.com", "password": "securepassword123" }).to_string().into_bytes());
    prop_oneof![4 => object, 1 => any::<Vec<u8>>(), 1 => value().prop_map(|value| value.to_string().into_bytes()), 1 => good]
}

fn requests() -> impl Strategy<Value = Request> {
    let query = proptest::collection::vec((one_of(PARAMETERS), bytes()), 0..4);
    let headers = proptest::collection::vec((one_of(HEADERS), bytes()), 0..4);
    (0..OPERATIONS.len(), proptest::option::of(bytes()), query, headers, body(), any::<bool>())
        .prop_map(|(operation, id, query, headers, body, chunked)| Request { operation, id, query, headers, body, chunked })
}

/// As a path or a query carries bytes.
fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' => text.push(char::from(*byte)),
            _ => write!(text, "%{byte:02X}").expect("writes"),
        }
        text
    })
}

impl Request {
    fn to_bytes(&self, key: &Client, user_id: &str, key_id: &str) -> Vec<u8> {
        let operation = &OPERATIONS[self.operation];
        let existing = if operation.path.starts_with("/v1/users") { user_id } else { key_id };
        let id = self.id.as_deref().map_or_else(|| existing.to_owned(), percent);
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let mut bytes = format!(
            "{} {}?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
            operation.method,
            operation.path.replace("{id}", &id),
            query.join("&"),
            key.secret()
        )
        .into_bytes();
        let mut has_type = false;
        for (name, value) in &self.headers {
            has_type |= name == "Content-Type";
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            // What would end the header's line, or is refused by every server.
            bytes.extend(value.iter().filter(|byte| **byte >= b' ' && **byte != 0x7f));
            bytes.extend_from_slice(b"\r\n");
        }
        if !has_type {
            bytes.extend_from_slice(b"Content-Type: application/json\r\n");
        }
        if self.chunked && !self.body.is_empty() {
            bytes.extend_from_slice(format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", self.body.len()).as_bytes());
            bytes.extend_from_slice(&self.body);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        } else {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// A user and a key of theirs, for the requests to be about.
async fn fresh(server: &TestServer, team: AccountId) -> (String, String) {
    let user = server.user_in(team, Role::Member).await;
    let key = server.key_of(&user, &[]).await;
    (user.id.to_string(), key.key_id().to_owned())
}

#[test]
fn whatever_is_sent_is_answered_and_no_answer_is_a_fault_of_ours() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (server, team, keys) = runtime.block_on(async {
        let server = TestServer::with(|config| config.limits.anonymous_per_minute = 1_000_000_000).await;
        let account = server.account("Team").await;
        let all_of_a_member: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| !scope.is_for_admins()).collect();
        let member = server.key_of(&server.user_in(account, Role::Member).await, &all_of_a_member).await;
        let admin = server.admin().await;
        for key in [&member, &admin] {
            server.set_windows(key, &[(1_000_000_000, 1)]).await;
        }
        (server, account, [member, admin])
    });
    let target = tokio::sync::Mutex::new(runtime.block_on(fresh(&server, team)));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(requests(), any::<bool>()), |(request, as_admin)| {
        let reply = runtime.block_on(async {
            let mut target = target.lock().await;
            let bytes = request.to_bytes(&keys[usize::from(as_admin)], &target.0, &target.1);
            let reply = Raw::sent(server.addr, bytes).await.reply().await;
            if OPERATIONS[request.operation].method == "DELETE" {
                *target = fresh(&server, team).await;
            }
            reply
        });
        let reply = reply.ok_or_else(|| TestCaseError::fail("the connection was dropped"))?;
        prop_assert!((200..500).contains(&reply.status), "{}: {}", reply.status, reply.text);
        prop_assert!(![401, 429].contains(&reply.status), "the credential is good: {}", reply.text);
        // Metrics are for another program, in its own format.
        if reply.status >= 400 && OPERATIONS[request.operation].id != "metrics" {
            let body = reply.json();
            prop_assert!(
                body["error"].is_string() && body["message"].is_string() && body["request_id"].is_string(),
                "{}",
                reply.text
            );
            prop_assert_eq!(body["status"].as_u64(), Some(u64::from(reply.status)));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}
