//! An audit event: who did what to what, kept for good.

use serde_json::Value;

use super::clock::Timestamp;

/// What happened, before it has an author, a time and a place in the chain.
#[derive(Clone, Debug)]
pub struct Happening {
    /// `user.created`, `key.rotated`, …
    pub action: &'static str,
    pub target: Target,
    /// What changed, by field; never a secret.
    pub diff: Value,
}

/// What happened, as it is read again.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub seq: i64,
    pub at: Timestamp,
    /// `user`, `key`, `command_line` or `system`.
    pub actor_kind: String,
    pub actor_id: String,
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub target_name: String,
    pub diff: Value,
    pub ip: String,
}

#[derive(Clone, Debug)]
pub struct Target {
    pub kind: &'static str,
    pub id: String,
    /// The name it had then: the event stays readable when the thing is gone.
    pub name: String,
}

impl Happening {
    pub fn new(action: &'static str, kind: &'static str, id: impl ToString, name: impl Into<String>) -> Self {
        Self { action, target: Target { kind, id: id.to_string(), name: name.into() }, diff: Value::Null }
    }

    /// Notes what changed: a JSON object of fields, each with what it became.
    pub fn with(mut self, diff: Value) -> Self {
        self.diff = diff;
        self
    }
}
