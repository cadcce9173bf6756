//! What is said of the API for webhooks.

use serde_json::{Value, json};

use super::schemas::{duration, events, id, one_of, said, sent, text, time, url};
use super::{Answer, Group, Reference, listing, query};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Webhooks, answer);
    let one = || Answer::One("Webhook", example());
    let secret = || {
        let mut shown = example();
        shown["secret"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        Answer::One("WebhookWithSecret", shown)
    };
    let nothing = || sent(&[], &[]);
    let mut filters = listing();
    filters.push(query("status", one_of(&["pending", "delivered", "failed"]), "Deliveries in this state."));
    let own = said(text(), "`whsec_` and the base64 of 24 to 64 bytes. Without it one is made.");
    let whose = said(
        id("acct"),
        "Only this account's events. Needs the scope `admin`, whose webhooks are told of every account without it.",
    );
    let new = [("url", url()), ("events", events()), ("secret", own), ("account_id", whose)];
    let changes = [
        ("url", url()),
        ("events", events()),
        ("status", said(one_of(&["active", "paused"]), "What happens while it is paused waits.")),
    ];
    let overlap = said(duration(), "How long the old secret signs too: 24 h without it, `0s` for not at all, 30 d at most.");
    vec![
        of("list_webhooks", Answer::List("Webhook", example())).params(listing()),
        of("create_webhook", secret())
            .status(201)
            .body(sent(&["url", "events"], &new), json!({ "url": "https://example.com/hooks/keyrack", "events": ["user.created", "key.revoked"] }))
            .more(
                "Keep the `secret` of the answer: it verifies each message, as [Standard Webhooks](https://www.standardwebhooks.com) has it, and \
                 cannot be shown again. Private, loopback and link-local targets are refused, now and at every attempt.",
            ),
        of("show_webhook", one()),
        of("update_webhook", one())
            .body(sent(&[], &changes), json!({ "status": "paused" }))
            .more("`status: active` also revives a webhook that was disabled for failing. What had failed by then is sent again when you replay it."),
        of("delete_webhook", Answer::Deleted { object: "webhook", id_prefix: "wh" }),
        of("test_webhook", Answer::One("Tested", tested()))
            .body_if_any(nothing(), json!({}))
            .more("Waits for the answer, ten seconds at most. A test is sent once, with the type `webhook.test`, to a paused or disabled webhook too."),
        of("rotate_webhook_secret", secret())
            .body_if_any(sent(&[], &[("overlap", overlap)]), json!({ "overlap": "24h" }))
            .more("Until the overlap ends each message carries two signatures, so that a receiver with either secret takes it."),
        of("list_deliveries", Answer::List("Delivery", delivery())).params(filters).more("Kept for 30 days."),
        of("replay_failed_deliveries", Answer::One("Replayed", json!({ "replayed": 12 })))
            .status(202)
            .body(sent(&["since"], &[("since", time())]), json!({ "since": "2023-10-27T10:00:00Z" })),
        of("show_delivery", Answer::One("DeliveryWithAttempts", in_full())),
        of("replay_delivery", Answer::One("Delivery", delivery()))
            .status(202)
            .body_if_any(nothing(), json!({}))
            .more("It keeps its `webhook-id`, so that a receiver which has it already can tell. Answered when it waits to be sent."),
    ]
}

fn example() -> Value {
    json!({
        "id": "wh_01h455vb4pex5vsknk084sn02q",
        "account_id": "acct_01h455vb4pex5vsknk084sn02r",
        "url": "https://example.com/hooks/keyrack",
        "events": ["user.created", "key.revoked"],
        "status": "active",
        "disabled_reason": null,
        "created_at": "2023-10-27T10:00:00Z",
        "updated_at": "2023-10-27T10:00:00Z",
    })
}

fn delivery() -> Value {
    json!({
        "id": "del_01h455vb4pex5vsknk084sn02s",
        "webhook_id": "wh_01h455vb4pex5vsknk084sn02q",
        "event_id": "evt_01h455vb4pex5vsknk084sn02t",
        "event_type": "user.created",
        "status": "pending",
        "attempts": 1,
        "next_attempt_at": "2023-10-27T10:00:05Z",
        "last_attempt_at": "2023-10-27T10:00:00Z",
        "response_code": 500,
        "response_time_ms": 84,
        "error": "Answered 500.",
        "created_at": "2023-10-27T10:00:00Z",
    })
}

fn in_full() -> Value {
    let mut full = delivery();
    full["body"] = "{\"id\":\"evt_01h455vb4pex5vsknk084sn02t\",\"type\":\"user.created\",…}".into();
    full["log"] = json!([{
        "number": 1,
        "at": "2023-10-27T10:00:00Z",
        "request": {
            "url": "https://example.com/hooks/keyrack",
            "headers": { "webhook-id": "evt_01h455vb4pex5vsknk084sn02t", "webhook-timestamp": "1698400800", "webhook-signature": "v1,g0hM9SsE…" },
        },
        "response": { "code": 500, "content_type": "text/plain", "excerpt": "out of order" },
        "response_time_ms": 84,
        "error": "Answered 500.",
    }]);
    full
}

fn tested() -> Value {
    json!({
        "id": "del_01h455vb4pex5vsknk084sn02s",
        "status": "delivered",
        "response_code": 204,
        "response_time_ms": 84,
        "error": null,
    })
}
