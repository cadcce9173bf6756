//! Who may do what to whose: every operation with an id or a body, for every kind of caller and owner. Generated from the
//! table of operations, so that a new one is tried without being named here.

use data_encoding::BASE64;
use keyrack::http::api::operations::{API_KEYS_PATH, Access, OAUTH, OPERATIONS, Operation};
use keyrack::model::account::{AccountChanges, AccountStatus};
use keyrack::model::dialect::DialectName;
use keyrack::model::scope::Scope;
use keyrack::model::user::{Role, User, UserStatus};
use serde_json::{Value, json};

use crate::access::{all_of_a_member, body_of, call};
use crate::support::{Client, OauthApp, Reply, TestServer};

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

// What OAuth clients call.

/// What a client sends to an endpoint about the tokens that it, or another, got.
fn about(operation: &Operation, tokens: &Value) -> Vec<(String, String)> {
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    match operation.id {
        "issue_token" => {
            vec![("grant_type".into(), "refresh_token".into()), ("refresh_token".into(), text("refresh_token"))]
        }
        "revoke_token" | "introspect_token" => vec![("token".into(), text("access_token"))],
        other => panic!("say what a client sends to {other}"),
    }
}

/// How a client shows who it is.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Form,
    Json,
    Basic,
}

async fn as_client(
    server: &TestServer,
    who: (&str, Option<&str>),
    carrier: Carrier,
    path: &str,
    fields: &[(String, String)],
) -> Reply {
    let mut all = fields.to_vec();
    let http = match (carrier, who.1) {
        (Carrier::Basic, secret) => {
            let pair = BASE64.encode(format!("{}:{}", who.0, secret.unwrap_or_default()).as_bytes());
            server.anonymous().header("Authorization", &format!("Basic {pair}"))
        }
        (_, secret) => {
            all.push(("client_id".into(), who.0.into()));
            all.extend(secret.map(|secret| ("client_secret".into(), secret.into())));
            server.anonymous()
        }
    };
    if let Carrier::Json = carrier {
        let body: serde_json::Map<String, Value> = all.into_iter().map(|(name, value)| (name, value.into())).collect();
        return http.post(path, Value::from(body)).await;
    }
    let fields: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    http.post_form(path, &fields).await
}

fn of_clients() -> impl Iterator<Item = &'static Operation> {
    OAUTH.iter().filter(|operation| operation.access == Access::Client)
}

#[tokio::test]
async fn every_endpoint_for_clients_answers_each_by_who_it_is_and_whose_the_token_is() {
    let server = TestServer::with(|config| config.limits.anonymous_per_minute = 100_000).await;
    let key = server.key(&[]).await;
    server.set_windows(&key, &[(1_000_000, 1)]).await;
    let user = key.user().clone();
    let (own, foreign) = (server.oauth_app().await, server.oauth_app().await);
    let (public, public_foreign) = (server.public_app().await, server.public_app().await);
    let secret = |app: &OauthApp| app.secret.clone();
    let nobody = "client_01h455vb4pex5vsknk084sn02q".to_owned();
    // Whose tokens; who asks, with what; the answers of token, revoke and introspect; whether the tokens work on.
    let cases = [
        ("its own", &own, own.id.clone(), secret(&own), ["200", "200", "active"]),
        ("another's secret", &own, own.id.clone(), secret(&foreign), ["invalid_client"; 3]),
        ("a wrong secret", &own, own.id.clone(), Some("krs_wrong".into()), ["invalid_client"; 3]),
        ("no secret", &own, own.id.clone(), None, ["invalid_client"; 3]),
        ("a client that is not there", &own, nobody, secret(&own), ["invalid_client"; 3]),
        ("another client", &own, foreign.id.clone(), secret(&foreign), ["invalid_grant", "200", "inactive"]),
        ("another, public client", &own, public.id.clone(), None, ["invalid_grant", "200", "invalid_client"]),
        ("a public client, its own", &public, public.id.clone(), None, ["200", "200", "invalid_client"]),
        ("a public client with a secret", &public, public.id.clone(), secret(&own), ["invalid_client"; 3]),
        ("another public client", &public, public_foreign.id.clone(), None, ["invalid_grant", "200", "invalid_client"]),
        ("a confidential one of a public one's", &public, own.id.clone(), secret(&own), ["invalid_grant", "200", "inactive"]),
    ];
    for operation in of_clients() {
        for carrier in [Carrier::Form, Carrier::Json, Carrier::Basic] {
            for (what, whose, id, secret, answers) in &cases {
                let tokens = server.tokens(whose, &user, "users:read").await;
                let told = as_client(&server, (id, secret.as_deref()), carrier, operation.path, &about(operation, &tokens)).await;
                let at = of_clients().position(|other| other.id == operation.id).expect("one of them");
                let found = match (told.status, operation.id) {
                    (200, "introspect_token") if told.json()["active"] == json!(true) => "active".to_owned(),
                    (200, "introspect_token") => {
                        assert_eq!(told.json(), json!({ "active": false }), "{what}");
                        "inactive".to_owned()
                    }
                    (200, _) => "200".to_owned(),
                    _ => told.error(),
                };
                assert_eq!(found, answers[at], "{} by {what}, {carrier:?}: {} {}", operation.id, told.status, told.text);
                // Only its own client ends a token.
                let ends = operation.id == "revoke_token" && id == &whose.id && answers[at] == "200";
                let works = server.bearing(&tokens).get("/v1/users/me").await.status == 200;
                assert_eq!(works, !ends, "{} by {what}, {carrier:?}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn no_endpoint_for_clients_takes_a_parameter_that_is_not_the_clients_to_set() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let admin = server.admin().await;
    let (admin_id, account) = (admin.user().id.to_string(), admin.user().account_id.to_string());
    let theirs = [
        ("sub", admin_id.as_str()),
        ("user_id", &admin_id),
        ("username", &admin.user().email),
        ("account_id", &account),
        ("role", "admin"),
        ("scopes", "admin"),
        ("expires_in", "999999999"),
        ("exp", "9999999999"),
        ("kind", "public"),
        ("active", "true"),
        ("is_trusted", "true"),
        ("token_type", "mac"),
    ];
    for operation in of_clients() {
        for carrier in [Carrier::Form, Carrier::Json] {
            let mut tokens = server.tokens(&app, &user, "users:read").await;
            let mut fields = about(operation, &tokens);
            fields.extend(theirs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
            let told = as_client(&server, (&app.id, app.secret.as_deref()), carrier, operation.path, &fields).await.expect(200);
            if operation.id == "revoke_token" {
                continue;
            }
            if operation.id == "issue_token" {
                tokens = told.json();
                assert_eq!((&tokens["scope"], &tokens["expires_in"]), (&json!("users:read"), &json!(3_600)), "{carrier:?}");
            }
            let worth = app.introspect(&tokens["access_token"]).await;
            assert_eq!((&worth["sub"], &worth["scope"]), (&json!(user.id.to_string()), &json!("users:read")), "{worth}");
            let me = server.bearing(&tokens).get("/v1/users/me").await.expect(200).json();
            assert_eq!((&me["id"], &me["role"]), (&json!(user.id.to_string()), &json!("member")));
        }
    }
    // More than was allowed is refused, not left out.
    let tokens = server.tokens(&app, &user, "users:read").await;
    let mut fields = about(&OAUTH[0], &tokens);
    fields.push(("scope".into(), "users:read users:write".into()));
    let wider = as_client(&server, (&app.id, app.secret.as_deref()), Carrier::Form, "/oauth/token", &fields).await;
    assert_eq!(wider.expect(400).error(), "invalid_scope");
}
