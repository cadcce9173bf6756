//! What an event changed, field by field, before and after.

use serde_json::Value;

use super::words::field_words;
use crate::http::words::t;
use crate::model::audit_event::AuditEvent;
use crate::model::clock::Timestamp;

pub struct Change {
    pub field: String,
    /// None: the event does not tell.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// `time` says a moment as its reader wants it.
pub fn changes(event: &AuditEvent, time: impl Fn(Timestamp) -> String) -> Vec<Change> {
    let Value::Object(fields) = &event.diff else { return Vec::new() };
    let change = |(name, value): (&String, &Value)| {
        let words = |value: &Value| words(value, &time);
        let (before, after) = match value {
            Value::Object(sides) if sides.contains_key("from") && sides.contains_key("to") => {
                (Some(words(&sides["from"])), Some(words(&sides["to"])))
            }
            value => (None, Some(words(value))),
        };
        Change { field: field_words(name), before, after }
    };
    fields.iter().map(change).collect()
}

fn words(value: &Value, time: &impl Fn(Timestamp) -> String) -> String {
    match value {
        Value::Null => t("none").into(),
        Value::Bool(yes) => if *yes { t("yes") } else { t("no") }.into(),
        Value::String(text) if text.is_empty() => t("empty").into(),
        Value::String(text) => match Timestamp::parse(text) {
            Some(at) if text.len() == "2026-11-22T10:00:00Z".len() => time(at),
            _ => text.clone(),
        },
        Value::Array(items) if items.is_empty() => t("none").into(),
        Value::Array(items) => items.iter().map(|item| words(item, time)).collect::<Vec<_>>().join(", "),
        Value::Object(window) if window.len() == 2 && window.contains_key("limit") && window.contains_key("seconds") => {
            t("{n} in {seconds} s").with("n", &window["limit"]).with("seconds", &window["seconds"]).into()
        }
        other => other.to_string(),
    }
}
