//! What happened, in a sentence: "Ada rotated key *billing-worker*, old key ends 22 Nov 18:40 UTC".

use serde_json::Value;

use crate::model::audit_event::{AuditEvent, EventActor};
use crate::model::clock::Timestamp;

/// Every action with what a filter calls it. One that is not here is told by its own name.
pub const KNOWN: &[(&str, &str)] = &[
    ("session.created", "Signed in"),
    ("session.elevated", "Confirmed who they are"),
    ("session.ended", "Signed a device out"),
    ("user.created", "Added a user"),
    ("user.updated", "Changed a user"),
    ("user.deleted", "Deleted a user"),
    ("key.created", "Generated a key"),
    ("key.updated", "Changed a key"),
    ("key.rotated", "Rotated a key"),
    ("key.disabled", "Disabled a key"),
    ("key.enabled", "Enabled a key"),
    ("key.revoked", "Revoked a key"),
    ("account.created", "Added an account"),
    ("account.updated", "Changed an account"),
    ("account.suspended", "Suspended an account"),
    ("account.resumed", "Resumed an account"),
    ("tier.set", "Set a tier"),
    ("tier.deleted", "Deleted a tier"),
    ("setting.changed", "Changed a setting"),
    ("keyrack.set_up", "Set Keyrack up"),
    ("notice.dismissed", "Dismissed a notice"),
    ("key.anomaly.new_network", "Noticed a key in a new network"),
    ("key.anomaly.dormant", "Noticed a key that woke up"),
    ("requests.anomaly.refused", "Noticed many refused requests"),
    ("requests.anomaly.rate_limited", "Noticed many limited requests"),
];

/// A piece of a sentence; names are set apart, since anyone may have chosen them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Name(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence(pub Vec<Part>);

impl Sentence {
    /// `time` says a moment as its reader wants it.
    pub fn of(event: &AuditEvent, time: impl Fn(Timestamp) -> String) -> Self {
        let mut sentence = Self(Vec::new());
        if event.action == "keyrack.set_up" {
            return sentence.text("Keyrack was set up");
        }
        sentence = sentence.text(actor_words(&event.actor));
        let own = event.target.id == event.actor.id && !event.actor.id.is_empty();
        let at = |value: &Value| value.as_str().and_then(Timestamp::parse).map(&time);
        let (target, detail) = (event.target.name.as_str(), event.diff["detail"].as_str().unwrap_or_default());
        match event.action.as_str() {
            "session.created" => sentence.text(" signed in"),
            "session.elevated" => sentence.text(" confirmed who they are"),
            "session.ended" => match event.diff["sessions"].as_u64() {
                Some(n) => {
                    sentence.text(format!(" signed out everywhere else ({n} {})", if n == 1 { "device" } else { "devices" }))
                }
                None => sentence.text(" signed one of their devices out"),
            },
            "user.created" => sentence.text(" added user ").name(target),
            "user.deleted" => sentence.text(" deleted user ").name(target),
            "user.updated" => {
                let to = |field: &str| event.diff[field]["to"].as_str();
                match (only_field(&event.diff), to("status"), to("role")) {
                    (Some(field), ..) if own => sentence.text(format!(" changed their own {field}")),
                    _ if own => sentence.text(" changed their own profile"),
                    (_, Some("disabled"), _) => sentence.text(" disabled user ").name(target),
                    (_, Some("active"), _) => sentence.text(" enabled user ").name(target),
                    (_, _, Some(role)) => sentence.text(" made ").name(target).text(format!(" {}", with_article(role))),
                    (Some(field), ..) => sentence.text(format!(" changed the {field} of ")).name(target),
                    _ => sentence.text(" changed user ").name(target),
                }
            }
            "key.created" => sentence.text(" generated key ").name(target),
            "key.rotated" => {
                let end = at(&event.diff["old_expires_at"])
                    .map_or(", old key ended at once".into(), |end| format!(", old key ends {end}"));
                sentence.text(" rotated key ").name(target).text(end)
            }
            "key.updated" if !event.diff["old_expires_at"].is_null() => match at(&event.diff["old_expires_at"]["to"]) {
                Some(end) => sentence.text(" moved the end of the old key of ").name(target).text(format!(" to {end}")),
                None => sentence.text(" ended the old key of ").name(target),
            },
            "key.revoked" => match event.diff["reason"].as_str() {
                Some(reason) => sentence.text(" revoked key ").name(target).text(format!(", {reason}")),
                None => sentence.text(" revoked key ").name(target),
            },
            "setting.changed" => match (&event.diff["value"]["from"], &event.diff["value"]["to"]) {
                (from, Value::String(to)) if target == "api.dialect" => {
                    let from = from.as_str().map(|from| format!(" from {from}")).unwrap_or_default();
                    sentence.text(format!(" switched the API conventions{from} to {to}"))
                }
                _ => sentence.text(" changed the setting ").name(target),
            },
            "key.anomaly.new_network" => {
                sentence.text(" noticed key ").name(target).text(" in a network that is new to it: ").name(detail)
            }
            "key.anomaly.dormant" => sentence.text(" noticed key ").name(target).text(" in use again after a long time"),
            "requests.anomaly.refused" => sentence.text(" noticed unusually many refused requests"),
            "requests.anomaly.rate_limited" => sentence.text(" noticed unusually many limited requests"),
            "notice.dismissed" => sentence.text(" dismissed a notice about ").name(target),
            action => {
                let (noun, verb) = action.split_once('.').unwrap_or(("", action));
                let verb = if verb == "updated" { "changed" } else { verb };
                sentence.text(format!(" {} {} ", verb.replace('_', " "), noun.replace('_', " "))).name(target)
            }
        }
    }

    fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    fn name(mut self, name: &str) -> Self {
        self.0.push(Part::Name(name.into()));
        self
    }

    pub fn plain(&self) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) | Part::Name(text) => text.as_str(),
            })
            .collect()
    }
}

/// Who did it.
pub fn actor_words(actor: &EventActor) -> String {
    match (actor.kind.as_str(), actor.name.as_str()) {
        ("command_line", _) => "The command line".into(),
        ("system", _) => "Keyrack".into(),
        ("key", "") => format!("Key {}", actor.id),
        ("key", name) => format!("Key {name}"),
        (_, "") => actor.id.clone(),
        (_, name) => name.into(),
    }
}

/// The one field that was changed, in words.
fn only_field(diff: &Value) -> Option<String> {
    let fields = diff.as_object()?;
    fields.keys().next().filter(|_| fields.len() == 1).map(|field| field.replace('_', " "))
}

fn with_article(role: &str) -> String {
    if role.starts_with('a') { format!("an {role}") } else { format!("a {role}") }
}
