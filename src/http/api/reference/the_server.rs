//! What is said of the operations that tell of the server itself.

use serde_json::json;

use super::{Answer, Group, Reference};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Server, answer);
    let checks = json!({ "database": "ok", "disk": "ok", "draining": false });
    vec![
        of("health", Answer::One("Health", json!({ "status": "ok" }))).more("For whoever restarts a process that hangs."),
        of("readiness", Answer::One("Readiness", json!({ "status": "ready", "checks": checks })))
            .more("503 while the server stops, and when changes cannot be committed. For load balancers."),
        of("metrics", Answer::Text("keyrack_requests_in_flight 1\n")).more(
            "For connections from this machine, or with `Authorization: Bearer` and the token of the setting `metrics.token`; \
             403 for others, and 503 while the figures cannot be gathered.",
        ),
    ]
}
