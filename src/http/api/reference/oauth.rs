//! What is said of the endpoints of OAuth.

use serde_json::{Value, json};

use super::schemas::{one_of, said, text};
use super::{Answer, Body, Group, Param, Reference};

/// Either is read; clients of RFC 6749 send forms.
const FORM_OR_JSON: &[&str] = &["application/json", "application/x-www-form-urlencoded"];

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Oauth, answer);
    let token = json!({
        "access_token": "kro_4ZVbKf8nTq2…",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "users:read",
    });
    let introspected = json!({
        "active": true,
        "scope": "users:read",
        "client_id": "client_01h455vb4pex5vsknk084sn02q",
        "sub": "user_01h455vb4pex5vsknk084sn02q",
        "username": "alice@example.com",
        "iss": "https://keys.example.com",
        "iat": 1_698_400_800,
        "exp": 1_698_404_400,
        "token_type": "Bearer",
    });
    let of_token = || {
        let hint = said(text(), "Not needed: the token tells by itself what it is.");
        (&["token"], vec![("token", said(text(), "An access token or a refresh token.")), ("token_type_hint", hint)])
    };
    let (must, fields) = of_token();
    let token_body = asked(must, &fields, json!({ "token": "ACCESS_TOKEN" }));
    let (must, fields) = of_token();
    let revoked_body = asked(must, &fields, json!({ "token": "REFRESH_TOKEN" }));
    vec![
        of("authorize", Answer::Page).params(question()).more(
            "To be opened in the user's browser, who signs in and allows what is asked for, or does not. Then the browser is sent to \
             `redirect_uri` with `code`, `state` and `iss`, or with `error` and `error_description`. A wrong `client_id` or \
             `redirect_uri` is told to the user, and nobody is sent anywhere. The whole way: [OAuth](/docs/oauth).",
        ),
        Reference { body: Some(grant()), ..of("issue_token", Answer::One("Token", token)) }.more(
            "As a form (RFC 6749) or as JSON. The client shows who it is by HTTP Basic or with `client_id` and `client_secret`; a public \
             one sends `client_id` alone. There is no refresh token for `client_credentials`.",
        ),
        Reference { body: Some(revoked_body), ..of("revoke_token", Answer::Empty) }.more(
            "RFC 7009. An access token ends by itself, a refresh token with all that came from the same permission. A token that is \
             unknown, or another client's, is answered with 200, too.",
        ),
        Reference { body: Some(token_body), ..of("introspect_token", Answer::One("Introspection", introspected)) }
            .more("RFC 7662. Of a token that is over, unknown or another client's the answer is `{\"active\":false}` and nothing else."),
        of("show_authorization_server", Answer::One("AuthorizationServer", authorization_server())).more("RFC 8414."),
        of("show_protected_resource", Answer::One("ProtectedResource", protected_resource())).more("RFC 9728."),
    ]
}

/// With what names the client, and whatever else a client sends: unknown parameters are ignored.
fn asked(required: &[&str], fields: &[(&str, Value)], mut example: Value) -> Body {
    let mut all = fields.to_vec();
    all.extend([
        ("client_id", said(text(), "Where the client is not named by HTTP Basic.")),
        ("client_secret", said(text(), "The same. A public client has none.")),
    ]);
    let properties: serde_json::Map<String, Value> = all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    example["client_id"] = "CLIENT_ID".into();
    example["client_secret"] = "CLIENT_SECRET".into();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    Body { content_types: FORM_OR_JSON, schema, example, optional: false }
}

fn grant() -> Body {
    let kinds = one_of(&["authorization_code", "refresh_token", "client_credentials"]);
    asked(
        &["grant_type"],
        &[
            ("grant_type", kinds),
            ("code", said(text(), "For `authorization_code`: once, within 60 seconds.")),
            ("redirect_uri", said(text(), "The same as the code was asked for with.")),
            ("code_verifier", said(text(), "PKCE: what `code_challenge` is the SHA-256 of.")),
            ("refresh_token", said(text(), "For `refresh_token`: once. The answer has the next one.")),
            ("scope", said(text(), "Less than was allowed, separated by spaces.")),
        ],
        json!({ "grant_type": "client_credentials", "scope": "users:read" }),
    )
}

fn question() -> Vec<Param> {
    let param = |name, required, schema, words| Param { name, place: "query", required, schema, words };
    vec![
        param("response_type", true, one_of(&["code"]), "Always `code`."),
        param("client_id", true, text(), "The client that asks."),
        param(
            "redirect_uri",
            false,
            text(),
            "Where the answer goes: exactly as registered, but for the port of a loopback address.",
        ),
        param(
            "scope",
            false,
            text(),
            "What is asked for, separated by spaces. Without it: `users:read`, or all that the client may ask for where it may \
             not ask for that.",
        ),
        param("state", false, text(), "Comes back as it was sent. Compare it: another one is not the answer to your question."),
        param(
            "code_challenge",
            false,
            text(),
            "PKCE: the SHA-256 of `code_verifier` in base64url. A public client has to send it.",
        ),
        param("code_challenge_method", false, one_of(&["S256"]), "With `code_challenge`, always `S256`."),
    ]
}

fn authorization_server() -> Value {
    json!({
        "issuer": "https://keys.example.com",
        "authorization_endpoint": "https://keys.example.com/oauth/authorize",
        "token_endpoint": "https://keys.example.com/oauth/token",
        "revocation_endpoint": "https://keys.example.com/oauth/revoke",
        "introspection_endpoint": "https://keys.example.com/oauth/introspect",
        "scopes_supported": ["users:read"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": "https://keys.example.com/docs",
    })
}

fn protected_resource() -> Value {
    json!({
        "resource": "https://keys.example.com",
        "authorization_servers": ["https://keys.example.com"],
        "scopes_supported": ["users:read"],
        "bearer_methods_supported": ["header"],
        "resource_documentation": "https://keys.example.com/docs",
    })
}
