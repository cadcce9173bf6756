//! What happened, in a sentence: "Ada rotated key *billing-worker*, old key ends 22 Nov 18:40 UTC".

use serde_json::Value;

use crate::model::audit_event::{AuditEvent, EventActor};
use crate::model::clock::Timestamp;

/// Every action with what a filter calls it. One that is not here is told by its own name.
pub const KNOWN: &[(&str, &str)] = &[
    ("session.created", "Signed in"),
    ("session.elevated", "Confirmed who they are"),
    ("session.ended", "Signed a device out"),
    ("second_factor.added", "Set a second factor up"),
    ("second_factor.replaced", "Replaced a second factor"),
    ("second_factor.removed", "Removed a second factor"),
    ("recovery_codes.renewed", "Renewed recovery codes"),
    ("recovery_code.used", "Used a recovery code"),
    ("user.created", "Added a user"),
    ("user.updated", "Changed a user"),
    ("user.deleted", "Deleted a user"),
    ("key.created", "Generated a key"),
    ("key.updated", "Changed a key"),
    ("key.rotated", "Rotated a key"),
    ("key.disabled", "Disabled a key"),
    ("key.enabled", "Enabled a key"),
    ("key.revoked", "Revoked a key"),
    ("key.expiring", "Told that a key is about to end"),
    ("webhook.created", "Added a webhook"),
    ("webhook.updated", "Changed a webhook"),
    ("webhook.deleted", "Deleted a webhook"),
    ("webhook.secret_rotated", "Gave a webhook a new secret"),
    ("webhook.replayed", "Replayed deliveries"),
    ("webhook.disabled", "Disabled a webhook"),
    ("account.created", "Added an account"),
    ("account.updated", "Changed an account"),
    ("account.suspended", "Suspended an account"),
    ("account.resumed", "Resumed an account"),
    ("tier.set", "Set a tier"),
    ("tier.deleted", "Deleted a tier"),
    ("backup.created", "Made a backup"),
    ("backup.downloaded", "Downloaded a backup"),
    ("backup.restored", "Restored a backup"),
    ("setting.changed", "Changed a setting"),
    ("keyrack.set_up", "Set Keyrack up"),
    ("tier.reassigned", "Gave accounts another tier"),
    ("user.invited", "Invited a user"),
    ("user.link_withdrawn", "Withdrew a link of a user"),
    ("user.reset_link_given", "Gave a user a link to a new password"),
    ("users.exported", "Exported users"),
    ("oauth.client.created", "Registered an OAuth client"),
    ("oauth.client.updated", "Changed an OAuth client"),
    ("oauth.client.rotated", "Rotated the secret of an OAuth client"),
    ("oauth.client.deleted", "Deleted an OAuth client"),
    ("oauth.grant.created", "Allowed an OAuth client"),
    ("oauth.grant.updated", "Allowed an OAuth client more"),
    ("oauth.grant.revoked", "Ended what an OAuth client was allowed"),
    ("oauth.token.revoked", "Ended tokens of an OAuth client"),
    ("oauth.token.retried", "Gave tokens once more"),
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
            "session.ended" if !own => sentence.text(" signed ").name(target).text(" out"),
            "session.ended" => match event.diff["sessions"].as_u64() {
                Some(n) => {
                    sentence.text(format!(" signed out everywhere else ({n} {})", if n == 1 { "device" } else { "devices" }))
                }
                None => sentence.text(" signed one of their devices out"),
            },
            "second_factor.added" => sentence.text(" set a second factor up"),
            "second_factor.replaced" => sentence.text(" set their second factor up on another device"),
            "second_factor.removed" if own => sentence.text(" removed their second factor"),
            "second_factor.removed" => sentence.text(" removed the second factor of ").name(target),
            "recovery_codes.renewed" => sentence.text(" renewed their recovery codes"),
            "recovery_code.used" => {
                sentence.text(format!(" used a recovery code, {} left", event.diff["codes_left"].as_u64().unwrap_or_default()))
            }
            "user.created" => sentence.text(" added user ").name(target),
            "user.reset_link_given" => sentence.text(" gave ").name(target).text(" a link to set a new password"),
            "user.link_withdrawn" => sentence.text(" withdrew the link of ").name(target),
            "users.exported" => sentence.text(" exported users"),
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
            "key.expiring" => sentence.text(" told that key ").name(target).text(" is about to end"),
            "webhook.created" => sentence.text(" added webhook ").name(target),
            "webhook.secret_rotated" => sentence.text(" gave a new secret to webhook ").name(target),
            "webhook.replayed" => sentence.text(" sent again what had gone to ").name(target),
            "webhook.disabled" => match event.diff["reason"].as_str() {
                Some(reason) => sentence.text(" disabled webhook ").name(target).text(format!(": {reason}")),
                None => sentence.text(" disabled webhook ").name(target),
            },
            "setting.changed" => match (&event.diff["value"]["from"], &event.diff["value"]["to"]) {
                (_, Value::String(to)) if target == "security.second_factor" => match to.as_str() {
                    "admins" => sentence.text(" required a second factor of administrators"),
                    _ => sentence.text(" left a second factor to the choice of administrators"),
                },
                (from, Value::String(to)) if target == "api.dialect" => {
                    let from = from.as_str().map(|from| format!(" from {from}")).unwrap_or_default();
                    sentence.text(format!(" switched the API conventions{from} to {to}"))
                }
                _ if target == "overview.start_dismissed" => sentence.text(" dismissed the first steps"),
                _ => sentence.text(" changed the setting ").name(target),
            },
            "key.anomaly.new_network" => {
                sentence.text(" noticed key ").name(target).text(" in a network that is new to it: ").name(detail)
            }
            "key.anomaly.dormant" => sentence.text(" noticed key ").name(target).text(" in use again after a long time"),
            "requests.anomaly.refused" => sentence.text(" noticed unusually many refused requests"),
            "requests.anomaly.rate_limited" => sentence.text(" noticed unusually many limited requests"),
            "oauth.client.created" => sentence.text(" registered OAuth client ").name(target),
            "oauth.client.updated" => sentence.text(" changed OAuth client ").name(target),
            "oauth.client.rotated" => sentence.text(" rotated the secret of OAuth client ").name(target),
            "oauth.client.deleted" => sentence.text(" deleted OAuth client ").name(target),
            "oauth.grant.created" if event.diff["user"].is_null() => sentence.text(" got access of its own"),
            "oauth.grant.created" => sentence.text(" allowed ").name(target).text(" to act for them"),
            "oauth.grant.updated" => sentence.text(" allowed ").name(target).text(" more than before"),
            "oauth.grant.revoked" => {
                let why = match event.diff["reason"].as_str() {
                    Some("reuse") => ", since a refresh token was used twice",
                    Some("password_changed") => ", with the password",
                    Some("client_deleted") => ", with the client",
                    Some("user_deleted") => ", with the user",
                    _ => "",
                };
                sentence.text(" ended what ").name(target).text(format!(" was allowed{why}"))
            }
            "oauth.token.revoked" => sentence.text(" ended tokens of ").name(target),
            "oauth.token.retried" => sentence.text(" asked once more for tokens of ").name(target),
            "notice.dismissed" => sentence.text(" dismissed a notice about ").name(target),
            action => {
                let (noun, verb) = action.rsplit_once('.').unwrap_or(("", action));
                let verb = if verb == "updated" { "changed" } else { verb };
                sentence.text(format!(" {} {} ", verb.replace('_', " "), noun.replace(['_', '.'], " "))).name(target)
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
        ("client", name) if !name.is_empty() => format!("Client {name}"),
        ("grant", name) if !name.is_empty() => format!("{name}, for a user"),
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
