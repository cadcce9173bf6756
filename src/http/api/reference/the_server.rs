//! What is said of the operations that tell of the server itself.

use serde_json::json;

use super::{Answer, Group, Reference};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, answer| Reference::of(id, Group::Server, answer);
    let ready = json!({ "status": "ready", "checks": { "database": "ok", "disk": "ok", "draining": false } });
    vec![
        of("health", Answer::One("Health", json!({ "status": "ok" }))).more("For whoever restarts a process that hangs."),
        of("readiness", Answer::One("Readiness", ready))
            .more("503 while the server stops, and when changes cannot be committed. For load balancers."),
        of("metrics", Answer::Text("# TYPE keyrack_requests_in_flight gauge\nkeyrack_requests_in_flight 3\n"))
            .more("In Prometheus' text format. What came through a proxy is not from this machine."),
    ]
}
