//! What is said of the operations that tell of the server itself.

use serde_json::json;

use super::{Answer, Group, Reference};

pub(super) fn all() -> Vec<Reference> {
    let of = |id, status: &str| Reference::of(id, Group::Server, Answer::One("Health", json!({ "status": status })));
    vec![
        of("health", "ok").more("For whoever restarts a process that hangs."),
        of("readiness", "ready").more("503 while the server stops, and when changes cannot be committed. For load balancers."),
    ]
}
