//! What is said of the API for API keys.

use serde_json::{Value, json};

use super::schemas::{duration, id, ip_allow, metadata, name, nullable, one_of, said, scopes_asked, sent, text, time, windows};
use super::{Answer, Group, Reference, listing, query};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::ApiKeys, answer);
    let one = || Answer::One("ApiKey", example());
    let secret = || Answer::One("ApiKeyWithSecret", with(example(), "secret", "kr_0Qx8yKq3…".into()));
    let mut filters = listing();
    filters.extend([
        query("status", one_of(&["active", "rotating", "disabled", "expired", "revoked"]), "Keys in this state."),
        query("user_id", id("user"), "Keys of this user."),
        query("q", text(), "The start of the name, or a whole id."),
    ]);
    let mut new = vec![("name", name())];
    new.extend(settable());
    new.push(("user_id", said(text(), "Whose key it shall be. Without it: yours.")));
    let mut changes = vec![
        ("name", name()),
        ("enabled", said(json!({ "type": "boolean" }), "`false` disables the key until it is enabled again.")),
    ];
    changes.extend(settable());
    let rate_limit = json!({
        "limit": 1000, "remaining": 999, "reset": 3600,
        "windows": [
            { "limit": 50, "seconds": 1, "remaining": 49, "reset": 1 },
            { "limit": 1000, "seconds": 3600, "remaining": 999, "reset": 3600 },
        ],
    });
    vec![
        of("show_own_key", Answer::One("OwnApiKey", with(example(), "rate_limit", rate_limit)))
            .more("The request itself is counted, like every other. An access token is told of its grant and client instead.")
            .errors(&["user_required"]),
        of("list_api_keys", Answer::List("ApiKey", example())).params(filters).more("Revoked keys stay listed."),
        of("create_api_key", secret())
            .status(201)
            .body(sent(&["name"], &new), json!({ "name": "billing-worker", "scopes": ["users:read"], "expires_in": "90d" }))
            .errors(&["not_found"])
            .more(
                "Keep the `secret` of the answer: it is stored as a hash and cannot be shown again. Without `scopes` the key may \
                 read users; without an expiry it has none. A key cannot be given more than the one who makes it may do.",
            ),
        of("show_api_key", one()),
        of("update_api_key", one()).body(sent(&[], &changes), json!({ "name": "billing-worker-2" })).errors(&["key_revoked"]),
        of("revoke_api_key", Answer::Deleted { object: "api_key", id_prefix: "key" })
            .more("The key stops with the answer and cannot be brought back. To stop it for a while, disable it: `PATCH` with `enabled: false`."),
        of("rotate_api_key", secret())
            .body_if_any(
                sent(&[], &[("overlap", said(duration(), "How long the old secret works on: 24 h without it, `0s` for not at all, 30 d at most."))]),
                json!({ "overlap": "24h" }),
            )
            .errors(&["key_revoked", "key_expired"])
            .more("The key keeps its id, scopes, limits and expiry. The old secret never outlives that expiry; a second rotation ends the oldest at once."),
        of("report_api_key", Answer::Empty)
            .status(204)
            .body(sent(&["key"], &[("key", said(text(), "The secret that leaked."))]), json!({ "key": "LEAKED_KEY" }))
            .more("Needs no credential: whoever holds a secret may end it. The answer is the same whether or not there was such a key."),
    ]
}

/// What may be said of a key when it is made, and later.
fn settable() -> Vec<(&'static str, Value)> {
    vec![
        ("scopes", scopes_asked()),
        ("expires_in", said(nullable(duration()), "From now. Send this or `expires_at`.")),
        ("expires_at", said(nullable(time()), "`null`: never.")),
        ("ip_allow", ip_allow()),
        ("windows", windows()),
        ("metadata", metadata()),
    ]
}

fn with(mut value: Value, field: &str, more: Value) -> Value {
    value[field] = more;
    value
}

pub(super) fn example() -> Value {
    json!({
        "id": "key_01h455vb4pex5vsknk084sn02q",
        "name": "billing-worker",
        "user_id": "user_01h455vb4pex5vsknk084sn02q",
        "account_id": "acct_01h455vb4pex5vsknk084sn02r",
        "scopes": ["users:read"],
        "enabled": true,
        "status": "active",
        "hint": "kr_…9f2c",
        "created_at": "2023-10-27T10:00:00Z",
        "expires_at": "2024-01-25T10:00:00Z",
        "last_used_at": null,
        "ip_allow": [],
        "windows": [],
        "metadata": {},
        "rotation": null,
    })
}
