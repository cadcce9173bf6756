//! An audit event: who did what to what, kept for good.

use serde_json::Value;

/// What happened, before it has an author, a time and a place in the chain.
#[derive(Clone, Debug)]
pub struct Happening {
    /// `user.created`, `key.rotated`, …
    pub action: &'static str,
    pub target: Target,
    /// What changed, by field; never a secret.
    pub diff: Value,
    /// The thing as the API answers it, for those who are told of the event.
    pub body: Option<Value>,
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
        Self { action, target: Target { kind, id: id.to_string(), name: name.into() }, diff: Value::Null, body: None }
    }

    /// Notes what changed: a JSON object of fields, each with what it became.
    pub fn with(mut self, diff: Value) -> Self {
        self.diff = diff;
        self
    }

    /// Notes the thing as the API answers it, which webhooks send.
    pub fn showing(mut self, body: &impl serde::Serialize) -> Self {
        self.body = serde_json::to_value(body).ok();
        self
    }

    /// What webhooks send of it: the thing itself, else its id, its name and what changed.
    pub fn data(&self) -> Value {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let mut data = serde_json::Map::new();
        data.insert("id".into(), self.target.id.clone().into());
        data.insert("name".into(), self.target.name.clone().into());
        if let Value::Object(diff) = &self.diff {
            data.extend(diff.clone());
        }
        data.into()
    }
}
