//! What is said of the operations that serve other services: checking keys, and bringing them in.

use serde_json::json;

use super::schemas::{metadata, name, one_of, said, scopes_asked, sent, text, time};
use super::{Answer, Body, Group, Reference, api_keys, query, users};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Services, answer);
    let verdict = json!({
        "valid": true,
        "code": "valid",
        "key": api_keys::example(),
        "user": users::example(),
        "account": { "id": "acct_01h455vb4pex5vsknk084sn02r", "name": "Default", "tier": "Free", "metadata": {} },
        "rate_limit": {
            "limit": 1000, "remaining": 999, "reset": 3600,
            "windows": [{ "limit": 1000, "seconds": 3600, "remaining": 999, "reset": 3600 }],
        },
    });
    let question = sent(
        &["key"],
        &[
            ("key", said(text(), "The secret that your client sent.")),
            ("scopes", said(scopes_asked(), "What the client needs.")),
            ("ip", said(text(), "The client's address, for the key's allow-list.")),
            (
                "cost",
                said(
                    json!({ "type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 1 }),
                    "How many requests it counts for.",
                ),
            ),
            ("dry_run", said(json!({ "type": "boolean", "default": false }), "Say what would happen, and count nothing.")),
        ],
    );
    let record = sent(
        &["hash", "hash_format", "name"],
        &[
            ("hash", said(text(), "SHA-256 of the secret, or of what follows `strip_prefix`.")),
            ("hash_format", one_of(&["sha256-hex", "sha256-base64"])),
            ("strip_prefix", said(text(), "What stands before the hashed part of the secret.")),
            ("name", name()),
            ("user_id", said(text(), "The owner: this or `user_email`.")),
            ("user_email", text()),
            ("scopes", scopes_asked()),
            ("expires_at", time()),
            ("metadata", metadata()),
            ("hint", said(text(), "What people recognise the key by.")),
        ],
    );
    let example = json!([{
        "hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "hash_format": "sha256-hex",
        "name": "An old key",
        "user_email": "alice@example.com",
    }]);
    let records =
        Body { content_types: super::JSON, schema: json!({ "type": "array", "items": record }), example, optional: false };
    let import = of("import_api_keys", Answer::One("Imported", json!({ "imported": 1, "errors": [] })));
    vec![
        of("verify_api_key", Answer::One("Verdict", verdict)).body(question, json!({ "key": "KEY_TO_CHECK", "scopes": ["users:read"] })).more(
            "Always 200: `valid` says whether to let the client in, `code` why not. The request counts for the account of the \
             verified key, not for yours. A key of an administrator checks the keys of all accounts, another those of its own.",
        ),
        of("forward_auth", Answer::Empty)
            .params(vec![
                query("scope", text(), "The scopes that are needed, separated by spaces."),
                query("status", one_of(&["nginx"]), "`nginx` turns 429 into 403 with `X-Keyrack-Status: 429`."),
            ])
            .more(
                "For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`. Who the client is stands in the headers \
                 `X-Keyrack-User-Id`, `X-Keyrack-User-Email`, `X-Keyrack-Account-Id`, `X-Keyrack-Key-Id`, `X-Keyrack-Scopes` and \
                 `X-Keyrack-Tier`. Every verb is answered alike.",
            ),
        Reference { body: Some(records), ..import }
            .params(vec![query("dry_run", json!({ "type": "boolean", "default": false }), "Check everything, import nothing.")])
            .more(
                "All or nothing, up to 32 MiB. Send an array, or one record on each line as `application/x-ndjson`. What is wrong is \
                 told by line, with status 400.",
            ),
    ]
}
