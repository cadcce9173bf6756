//! The shapes of bodies, as JSON Schema (2020-12, which OpenAPI 3.1 uses).

use serde_json::{Map, Value, json};

use crate::model::scope::Scope;
use crate::model::webhook::EventType;

/// The named shapes, in the order of the documentation.
pub fn named() -> Vec<(&'static str, Value)> {
    vec![
        ("User", user()),
        ("ApiKey", api_key(&[])),
        ("ApiKeyWithSecret", api_key(&[("secret", secret())])),
        ("OwnApiKey", json!({ "anyOf": [api_key(&[("rate_limit", reference("RateLimit"))]), own_token()] })),
        ("Token", token()),
        ("Introspection", introspection()),
        ("AuthorizationServer", authorization_server()),
        ("ProtectedResource", protected_resource()),
        ("OauthError", oauth_error()),
        ("Grant", grant()),
        ("Window", window()),
        ("RateLimit", rate_limit()),
        ("Verdict", verdict()),
        ("Imported", imported()),
        ("Health", closed(&[("status", one_of(&["ok"]))])),
        ("Readiness", readiness()),
        ("Webhook", webhook(&[])),
        ("WebhookWithSecret", webhook(&[("secret", secret())])),
        ("Delivery", delivery(&[])),
        ("DeliveryWithAttempts", delivery(&[("body", said(text(), "What is sent, as it is sent.")), ("log", attempts())])),
        ("Tested", tested()),
        ("Replayed", closed(&[("replayed", said(whole(), "How many wait to be sent again."))])),
    ]
}

pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with exactly these fields, all of them always there.
pub fn closed(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties(fields), "required": names, "additionalProperties": false })
}

/// A body that is sent: what must be there, and what may.
pub fn sent(required: &[&str], fields: &[(&str, Value)]) -> Value {
    json!({ "type": "object", "properties": properties(fields), "required": required, "additionalProperties": false })
}

fn properties(fields: &[(&str, Value)]) -> Map<String, Value> {
    fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect()
}

/// The same schema, with words.
pub fn said(mut schema: Value, words: &str) -> Value {
    schema["description"] = words.into();
    schema
}

pub fn text() -> Value {
    json!({ "type": "string" })
}

pub fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$" })
}

pub fn id(prefix: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}_[0-9a-z]{{26}}$") })
}

pub fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub fn whole() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub fn name() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 100 })
}

pub fn email() -> Value {
    json!({ "type": "string", "format": "idn-email", "maxLength": 254 })
}

pub fn password() -> Value {
    let schema = json!({ "type": "string", "format": "password", "minLength": 8, "maxLength": 256, "writeOnly": true });
    said(schema, "8 to 256 characters, and none of those that everyone uses.")
}

pub fn one_of(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

pub fn duration() -> Value {
    json!({ "type": "string", "examples": ["90d", "24h", "30m", "0s"] })
}

/// The scopes that a request may name.
pub fn scopes_asked() -> Value {
    let shorthands = ["read", "write"].into_iter();
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).chain(shorthands).collect();
    let words = "`read` and `write` stand for all that end so, `write` for the `:read` ones, too.";
    said(json!({ "type": "array", "items": { "type": "string", "enum": names } }), words)
}

fn scopes() -> Value {
    let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
    json!({ "type": "array", "items": { "type": "string", "enum": names } })
}

pub fn ip_allow() -> Value {
    let schema = json!({ "type": "array", "items": { "type": "string" } });
    said(schema, "Addresses and networks (CIDR) from which the key may be used; empty: from everywhere.")
}

pub fn windows() -> Value {
    let schema = json!({ "type": "array", "items": reference("Window") });
    said(schema, "Limits of this key alone, besides its account's.")
}

pub fn metadata() -> Value {
    said(json!({ "type": "object" }), "Your own notes: a JSON object of at most 4 KB.")
}

fn window() -> Value {
    let limit = said(json!({ "type": "integer", "minimum": 0 }), "Requests in one window.");
    let seconds = said(json!({ "type": "integer", "minimum": 1 }), "How long a window lasts, from its first request.");
    closed(&[("limit", limit), ("seconds", seconds)])
}

fn user() -> Value {
    closed(&[
        ("id", id("user")),
        ("name", name()),
        ("email", email()),
        ("account_id", id("acct")),
        ("role", one_of(&["admin", "member"])),
        ("status", one_of(&["active", "disabled"])),
        ("created_at", time()),
        ("updated_at", time()),
    ])
}

fn api_key(more: &[(&str, Value)]) -> Value {
    let rotation = closed(&[
        ("old_hint", said(text(), "What the older secret is recognised by.")),
        ("old_expires_at", said(time(), "When the older secret stops working.")),
        ("old_last_used_at", nullable(time())),
    ]);
    let mut fields = vec![
        ("id", id("key")),
        ("name", name()),
        ("user_id", id("user")),
        ("account_id", id("acct")),
        ("scopes", scopes()),
        ("enabled", json!({ "type": "boolean" })),
        ("status", one_of(&["active", "rotating", "disabled", "expired", "revoked"])),
        ("hint", said(text(), "What people recognise the key by: its prefix and last four characters.")),
        ("created_at", time()),
        ("expires_at", nullable(time())),
        ("last_used_at", said(nullable(time()), "Exact to within ten seconds.")),
        ("ip_allow", ip_allow()),
        ("windows", windows()),
        ("metadata", metadata()),
        ("rotation", said(nullable(rotation), "While an older secret still works.")),
    ];
    fields.extend_from_slice(more);
    closed(&fields)
}

/// What an access token is told of itself.
fn own_token() -> Value {
    closed(&[
        ("id", id("grant")),
        ("client_id", id("client")),
        ("name", text()),
        ("user_id", said(nullable(id("user")), "`null`: the client's own.")),
        ("account_id", id("acct")),
        ("scopes", scopes()),
        ("status", one_of(&["active"])),
        ("created_at", time()),
        ("expires_at", time()),
        ("rate_limit", reference("RateLimit")),
    ])
}

fn grant() -> Value {
    closed(&[
        ("id", id("grant")),
        ("client_id", id("client")),
        ("client_name", text()),
        ("user_id", said(nullable(id("user")), "`null`: the client's own.")),
        ("account_id", id("acct")),
        ("scopes", scopes()),
        ("created_at", time()),
        ("updated_at", time()),
        ("last_used_at", nullable(time())),
    ])
}

fn strings() -> Value {
    json!({ "type": "array", "items": text() })
}

fn address() -> Value {
    json!({ "type": "string", "format": "uri" })
}

/// RFC 6749 §5.1
fn token() -> Value {
    let mut schema = closed(&[
        ("access_token", text()),
        ("token_type", one_of(&["Bearer"])),
        ("expires_in", said(whole(), "Seconds.")),
        ("refresh_token", said(text(), "For the next access token. Not there for `client_credentials`.")),
        ("scope", said(text(), "What was given, separated by spaces.")),
    ]);
    schema["required"] = json!(["access_token", "token_type", "expires_in", "scope"]);
    schema
}

/// RFC 7662 §2.2
fn introspection() -> Value {
    let mut schema = closed(&[
        ("active", said(json!({ "type": "boolean" }), "`false`: nothing else is told.")),
        ("scope", text()),
        ("client_id", id("client")),
        ("sub", said(text(), "The user, or the client where it acts for itself.")),
        ("username", said(text(), "The user's address.")),
        ("iss", address()),
        ("iat", said(whole(), "Unix time.")),
        ("exp", said(whole(), "Unix time.")),
        ("token_type", said(one_of(&["Bearer"]), "Not there for a refresh token.")),
    ]);
    schema["required"] = json!(["active"]);
    schema
}

/// RFC 8414 §2
fn authorization_server() -> Value {
    closed(&[
        ("issuer", address()),
        ("authorization_endpoint", address()),
        ("token_endpoint", address()),
        ("revocation_endpoint", address()),
        ("introspection_endpoint", address()),
        ("scopes_supported", strings()),
        ("response_types_supported", strings()),
        ("response_modes_supported", strings()),
        ("grant_types_supported", strings()),
        ("token_endpoint_auth_methods_supported", strings()),
        ("revocation_endpoint_auth_methods_supported", strings()),
        ("introspection_endpoint_auth_methods_supported", strings()),
        ("code_challenge_methods_supported", strings()),
        ("authorization_response_iss_parameter_supported", json!({ "type": "boolean" })),
        ("service_documentation", address()),
    ])
}

/// RFC 9728 §2
fn protected_resource() -> Value {
    closed(&[
        ("resource", address()),
        ("authorization_servers", strings()),
        ("scopes_supported", strings()),
        ("bearer_methods_supported", strings()),
        ("resource_documentation", address()),
    ])
}

/// RFC 6749 §5.2
fn oauth_error() -> Value {
    closed(&[("error", said(text(), "The stable code.")), ("error_description", said(text(), "For people."))])
}

fn secret() -> Value {
    said(nullable(text()), "The secret, this once. `null` where the answer of before is repeated.")
}

fn rate_limit() -> Value {
    let words = "None: the account has no such window.";
    let left = closed(&[
        ("limit", whole()),
        ("seconds", json!({ "type": "integer", "minimum": 1 })),
        ("remaining", whole()),
        ("reset", said(whole(), "Seconds until the window starts anew.")),
    ]);
    closed(&[
        ("limit", said(nullable(whole()), words)),
        ("remaining", nullable(whole())),
        ("reset", said(nullable(whole()), "Seconds until the longest window starts anew.")),
        ("windows", json!({ "type": "array", "items": left })),
    ])
}

fn verdict() -> Value {
    let codes = ["valid", "not_found", "expired", "disabled", "revoked", "insufficient_scope", "ip_not_allowed", "rate_limited"];
    let account = json!({
        "type": "object",
        "properties": properties(&[("id", id("acct")), ("name", name()), ("tier", nullable(text())), ("metadata", metadata())]),
        "required": ["id", "name", "tier"],
        "additionalProperties": false,
    });
    closed(&[
        ("valid", json!({ "type": "boolean" })),
        ("code", one_of(&codes)),
        ("key", nullable(reference("ApiKey"))),
        ("user", nullable(reference("User"))),
        ("account", nullable(account)),
        ("rate_limit", nullable(reference("RateLimit"))),
    ])
}

fn readiness() -> Value {
    let checks = closed(&[
        ("database", one_of(&["ok", "not writable"])),
        ("disk", one_of(&["ok", "nearly full"])),
        ("draining", said(json!({ "type": "boolean" }), "The server is stopping.")),
    ]);
    closed(&[("status", one_of(&["ready", "unavailable"])), ("checks", checks)])
}

fn imported() -> Value {
    let line = closed(&[("line", json!({ "type": "integer", "minimum": 1 })), ("field", text()), ("message", text())]);
    closed(&[("imported", whole()), ("errors", json!({ "type": "array", "items": line }))])
}

/// The native error (the problem details of RFC 9457 carry the same fields, and more).
pub fn error() -> Value {
    let field = closed(&[("field", text()), ("code", text()), ("message", text())]);
    let mut schema = error_with(json!({ "type": "array", "items": field }), "One entry for each problem.");
    schema["required"] = json!(["error", "message", "status", "request_id", "doc_url"]);
    schema
}

/// What is wrong in a file of keys, by line.
pub fn import_error() -> Value {
    let line = closed(&[("line", json!({ "type": "integer", "minimum": 1 })), ("field", text()), ("message", text())]);
    let mut schema = error_with(json!({ "type": "array", "items": line }), "One entry for each problem, with its line.");
    schema["properties"]["imported"] = json!({ "const": 0 });
    schema["required"] = json!(["error", "message", "status", "request_id", "doc_url", "imported", "errors"]);
    schema
}

fn error_with(errors: Value, words: &str) -> Value {
    closed(&[
        ("error", said(text(), "The stable code.")),
        ("message", said(text(), "For people.")),
        ("status", json!({ "type": "integer" })),
        ("request_id", text()),
        ("doc_url", json!({ "type": "string", "format": "uri" })),
        ("required_scope", said(text(), "What a 403 misses.")),
        ("errors", said(errors, words)),
    ])
}

/// The events that a webhook may be told of.
pub fn events() -> Value {
    let names: Vec<&str> = EventType::ALL.iter().map(|event| event.name()).collect();
    json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": names } })
}

pub fn url() -> Value {
    said(
        json!({ "type": "string", "format": "uri", "maxLength": 2048 }),
        "It is called with POST, and leads to a public address.",
    )
}

fn webhook(more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        ("id", id("wh")),
        ("account_id", said(nullable(id("acct")), "Whose events it is told of. `null`: of every account's.")),
        ("url", url()),
        ("events", events()),
        ("status", one_of(&["active", "paused", "disabled"])),
        ("disabled_reason", said(nullable(text()), "Why nothing is sent to it any more.")),
        ("created_at", time()),
        ("updated_at", time()),
    ];
    fields.extend_from_slice(more);
    closed(&fields)
}

fn delivery(more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        ("id", id("del")),
        ("webhook_id", id("wh")),
        ("event_id", said(id("evt"), "What `webhook-id` says, at every attempt.")),
        ("event_type", text()),
        ("status", one_of(&["pending", "delivered", "failed"])),
        ("attempts", said(whole(), "Since it was stored or replayed; eight at most.")),
        ("next_attempt_at", nullable(time())),
        ("last_attempt_at", nullable(time())),
        ("response_code", nullable(whole())),
        ("response_time_ms", nullable(whole())),
        ("error", said(nullable(text()), "Why the last attempt failed, for people.")),
        ("created_at", time()),
    ];
    fields.extend_from_slice(more);
    closed(&fields)
}

fn attempts() -> Value {
    let request = closed(&[("url", text()), ("headers", json!({ "type": "object" }))]);
    let excerpt = said(nullable(text()), "The beginning of an answer that refused.");
    let response = closed(&[("code", whole()), ("content_type", nullable(text())), ("excerpt", excerpt)]);
    let attempt = closed(&[
        ("number", whole()),
        ("at", time()),
        ("request", request),
        ("response", nullable(response)),
        ("response_time_ms", whole()),
        ("error", nullable(text())),
    ]);
    json!({ "type": "array", "items": attempt })
}

fn tested() -> Value {
    closed(&[
        ("id", id("del")),
        ("status", one_of(&["delivered", "failed"])),
        ("response_code", nullable(whole())),
        ("response_time_ms", nullable(whole())),
        ("error", nullable(text())),
    ])
}
