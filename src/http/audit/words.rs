//! What happened, in a sentence: "Ada rotated key *billing-worker*, old key ends 22 Nov 18:40 UTC".

use serde_json::Value;

use crate::http::words::{Message, count, msg, t, t_refusal};
use crate::model::audit_event::{AuditEvent, EventActor};
use crate::model::clock::Timestamp;

/// Every action with what a filter calls it. One that is not here is told by its own name.
pub const KNOWN: &[(&str, &str)] = &[
    ("session.created", msg!("Signed in")),
    ("session.elevated", msg!("Confirmed who they are")),
    ("session.ended", msg!("Signed a device out")),
    ("second_factor.added", msg!("Set a second factor up")),
    ("second_factor.replaced", msg!("Replaced a second factor")),
    ("second_factor.removed", msg!("Removed a second factor")),
    ("recovery_codes.renewed", msg!("Renewed recovery codes")),
    ("recovery_code.used", msg!("Used a recovery code")),
    ("user.created", msg!("Added a user")),
    ("user.updated", msg!("Changed a user")),
    ("user.deleted", msg!("Deleted a user")),
    ("key.created", msg!("Generated a key")),
    ("key.updated", msg!("Changed a key")),
    ("key.rotated", msg!("Rotated a key")),
    ("key.disabled", msg!("Disabled a key")),
    ("key.enabled", msg!("Enabled a key")),
    ("key.revoked", msg!("Revoked a key")),
    ("key.expiring", msg!("Told that a key is about to end")),
    ("webhook.created", msg!("Added a webhook")),
    ("webhook.updated", msg!("Changed a webhook")),
    ("webhook.deleted", msg!("Deleted a webhook")),
    ("webhook.secret_rotated", msg!("Gave a webhook a new secret")),
    ("webhook.replayed", msg!("Replayed deliveries")),
    ("webhook.disabled", msg!("Disabled a webhook")),
    ("account.created", msg!("Added an account")),
    ("account.updated", msg!("Changed an account")),
    ("account.suspended", msg!("Suspended an account")),
    ("account.resumed", msg!("Resumed an account")),
    ("account.deleted", msg!("Deleted an account")),
    ("tier.set", msg!("Set a tier")),
    ("tier.deleted", msg!("Deleted a tier")),
    ("backup.created", msg!("Made a backup")),
    ("backup.downloaded", msg!("Downloaded a backup")),
    ("backup.restored", msg!("Restored a backup")),
    ("setting.changed", msg!("Changed a setting")),
    ("keyrack.set_up", msg!("Set Keyrack up")),
    ("tier.reassigned", msg!("Gave accounts another tier")),
    ("user.invited", msg!("Invited a user")),
    ("user.link_withdrawn", msg!("Withdrew a link of a user")),
    ("user.reset_link_given", msg!("Gave a user a link to a new password")),
    ("users.exported", msg!("Exported users")),
    ("oauth.client.created", msg!("Registered an OAuth client")),
    ("oauth.client.updated", msg!("Changed an OAuth client")),
    ("oauth.client.rotated", msg!("Rotated the secret of an OAuth client")),
    ("oauth.client.deleted", msg!("Deleted an OAuth client")),
    ("oauth.grant.created", msg!("Allowed an OAuth client")),
    ("oauth.grant.updated", msg!("Allowed an OAuth client more")),
    ("oauth.grant.revoked", msg!("Ended what an OAuth client was allowed")),
    ("oauth.token.revoked", msg!("Ended tokens of an OAuth client")),
    ("oauth.token.retried", msg!("Gave tokens once more")),
    ("notice.dismissed", msg!("Dismissed a notice")),
    ("key.anomaly.new_network", msg!("Noticed a key in a new network")),
    ("key.anomaly.dormant", msg!("Noticed a key that woke up")),
    ("requests.anomaly.refused", msg!("Noticed many refused requests")),
    ("requests.anomaly.rate_limited", msg!("Noticed many limited requests")),
];

/// The fields of things that events tell of, as sentences and lists of changes call them.
const FIELDS: &[&str] = &[
    msg!("name"),
    msg!("email"),
    msg!("role"),
    msg!("status"),
    msg!("password"),
    msg!("time zone"),
    msg!("tier"),
    msg!("windows"),
    msg!("reason"),
    msg!("metadata"),
    msg!("scopes"),
    msg!("enabled"),
    msg!("expires at"),
    msg!("ip allow"),
    msg!("hint"),
    msg!("old hint"),
    msg!("old expires at"),
    msg!("old secret ends at"),
    msg!("url"),
    msg!("events"),
    msg!("owner"),
    msg!("session"),
    msg!("sessions"),
    msg!("second factor"),
    msg!("codes left"),
    msg!("client"),
    msg!("user"),
    msg!("account"),
    msg!("accounts"),
    msg!("kind"),
    msg!("detail"),
    msg!("count"),
    msg!("bytes"),
    msg!("format"),
    msg!("users"),
    msg!("delivery"),
    msg!("event"),
    msg!("failed since"),
    msg!("deliveries"),
    msg!("imported"),
    msg!("value"),
    msg!("to"),
    msg!("redirect uris"),
    msg!("audit seq"),
];

/// What happened, in a sentence, in which the names that anyone may have chosen are set apart. `time` says a moment as
/// its reader wants it.
pub fn sentence(event: &AuditEvent, time: impl Fn(Timestamp) -> String) -> Message {
    let own = event.target.id == event.actor.id && !event.actor.id.is_empty();
    let said = said(event, own, time);
    said.with("actor", actor_words(&event.actor)).with_name("target", &event.target.name)
}

fn said(event: &AuditEvent, own: bool, time: impl Fn(Timestamp) -> String) -> Message {
    let at = |value: &Value| value.as_str().and_then(Timestamp::parse).map(&time);
    let diff = &event.diff;
    let reason = diff["reason"].as_str();
    match event.action.as_str() {
        "keyrack.set_up" => t("Keyrack was set up"),
        "session.created" => t("{actor} signed in"),
        "session.elevated" => t("{actor} confirmed who they are"),
        "session.ended" if !own => t("{actor} signed {target} out"),
        "session.ended" => match diff["sessions"].as_u64() {
            Some(n) => {
                count(n, "{actor} signed out everywhere else ({n} device)", "{actor} signed out everywhere else ({n} devices)")
            }
            None => t("{actor} signed one of their devices out"),
        },
        "second_factor.added" => t("{actor} set a second factor up"),
        "second_factor.replaced" => t("{actor} set their second factor up on another device"),
        "second_factor.removed" if own => t("{actor} removed their second factor"),
        "second_factor.removed" => t("{actor} removed the second factor of {target}"),
        "recovery_codes.renewed" => t("{actor} renewed their recovery codes"),
        "recovery_code.used" => {
            t("{actor} used a recovery code, {n} left").with("n", diff["codes_left"].as_u64().unwrap_or_default())
        }
        "user.created" if own => t("{actor} set Keyrack up, as its first administrator"),
        "user.created" => t("{actor} added user {target}"),
        "user.updated" => user_updated(diff, own),
        "user.invited" => t("{actor} invited user {target}"),
        "user.reset_link_given" => t("{actor} gave {target} a link to set a new password"),
        "user.link_withdrawn" => t("{actor} withdrew the link of {target}"),
        "user.deleted" => t("{actor} deleted user {target}"),
        "users.exported" => t("{actor} exported users"),
        "key.created" => t("{actor} generated key {target}"),
        "key.rotated" => match at(&diff["old_expires_at"]) {
            Some(end) => t("{actor} rotated key {target}, old key ends {when}").with("when", end),
            None => t("{actor} rotated key {target}, old key ended at once"),
        },
        "key.updated" if !diff["old_expires_at"].is_null() => match at(&diff["old_expires_at"]["to"]) {
            Some(end) => t("{actor} moved the end of the old key of {target} to {when}").with("when", end),
            None => t("{actor} ended the old key of {target}"),
        },
        "key.updated" => t("{actor} changed key {target}"),
        "key.disabled" => t("{actor} disabled key {target}"),
        "key.enabled" => t("{actor} enabled key {target}"),
        "key.revoked" => match reason {
            Some(reason) => t("{actor} revoked key {target}, {reason}").with("reason", t_refusal(reason)),
            None => t("{actor} revoked key {target}"),
        },
        "key.expiring" => t("{actor} told that key {target} is about to end"),
        "webhook.created" => t("{actor} added webhook {target}"),
        "webhook.updated" => t("{actor} changed webhook {target}"),
        "webhook.deleted" => t("{actor} deleted webhook {target}"),
        "webhook.secret_rotated" => t("{actor} gave a new secret to webhook {target}"),
        "webhook.replayed" => t("{actor} sent again what had gone to {target}"),
        "webhook.disabled" => match reason {
            Some(reason) => t("{actor} disabled webhook {target}: {reason}").with("reason", t_refusal(reason)),
            None => t("{actor} disabled webhook {target}"),
        },
        "account.created" => t("{actor} created account {target}"),
        "account.updated" => t("{actor} changed account {target}"),
        "account.suspended" => t("{actor} suspended account {target}"),
        "account.resumed" => t("{actor} resumed account {target}"),
        "account.deleted" => t("{actor} deleted account {target}"),
        "tier.set" => t("{actor} set tier {target}"),
        "tier.deleted" => t("{actor} deleted tier {target}"),
        "tier.reassigned" => t("{actor} reassigned tier {target}"),
        "backup.created" => t("{actor} created backup {target}"),
        "backup.downloaded" => t("{actor} downloaded backup {target}"),
        "backup.restored" => t("{actor} restored backup {target}"),
        "setting.changed" => setting_changed(&event.target.name, &diff["value"]),
        "key.anomaly.new_network" => t("{actor} noticed key {target} in a network that is new to it: {network}")
            .with_name("network", diff["detail"].as_str().unwrap_or_default()),
        "key.anomaly.dormant" => t("{actor} noticed key {target} in use again after a long time"),
        "requests.anomaly.refused" => t("{actor} noticed unusually many refused requests"),
        "requests.anomaly.rate_limited" => t("{actor} noticed unusually many limited requests"),
        "oauth.client.created" => t("{actor} registered OAuth client {target}"),
        "oauth.client.updated" => t("{actor} changed OAuth client {target}"),
        "oauth.client.rotated" => t("{actor} rotated the secret of OAuth client {target}"),
        "oauth.client.deleted" => t("{actor} deleted OAuth client {target}"),
        "oauth.grant.created" if diff["user"].is_null() => t("{actor} got access of its own"),
        "oauth.grant.created" => t("{actor} allowed {target} to act for them"),
        "oauth.grant.updated" => t("{actor} allowed {target} more than before"),
        "oauth.grant.revoked" => match reason {
            Some("reuse") => t("{actor} ended what {target} was allowed, since a refresh token was used twice"),
            Some("password_changed") => t("{actor} ended what {target} was allowed, with the password"),
            Some("client_deleted") => t("{actor} ended what {target} was allowed, with the client"),
            Some("user_deleted") => t("{actor} ended what {target} was allowed, with the user"),
            _ => t("{actor} ended what {target} was allowed"),
        },
        "oauth.token.revoked" => t("{actor} ended tokens of {target}"),
        "oauth.token.retried" => t("{actor} asked once more for tokens of {target}"),
        "notice.dismissed" => t("{actor} dismissed a notice about {target}"),
        action => {
            let (noun, verb) = action.rsplit_once('.').unwrap_or(("", action));
            let verb = if verb == "updated" { "changed" } else { verb };
            t("{actor} {verb} {thing} {target}").with("verb", verb.replace('_', " ")).with("thing", noun.replace(['_', '.'], " "))
        }
    }
}

fn user_updated(diff: &Value, own: bool) -> Message {
    let to = |field: &str| diff[field]["to"].as_str();
    match (only_field(diff), to("status"), to("role")) {
        (Some(field), ..) if own => t("{actor} changed their own {field}").with("field", field),
        _ if own => t("{actor} changed their own profile"),
        (_, Some("disabled"), _) => t("{actor} disabled user {target}"),
        (_, Some("active"), _) => t("{actor} enabled user {target}"),
        (_, _, Some("admin")) => t("{actor} made {target} an admin"),
        (_, _, Some(_)) => t("{actor} made {target} a member"),
        (Some(field), ..) => t("{actor} changed the {field} of {target}").with("field", field),
        _ => t("{actor} changed user {target}"),
    }
}

fn setting_changed(name: &str, value: &Value) -> Message {
    match (name, value["from"].as_str(), value["to"].as_str()) {
        ("security.second_factor", _, Some("admins")) => t("{actor} required a second factor of administrators"),
        ("security.second_factor", _, Some(_)) => t("{actor} left a second factor to the choice of administrators"),
        ("api.dialect", Some(from), Some(to)) => {
            t("{actor} switched the API conventions from {from} to {to}").with("from", from).with("to", to)
        }
        ("api.dialect", None, Some(to)) => t("{actor} switched the API conventions to {to}").with("to", to),
        ("overview.start_dismissed", ..) => t("{actor} dismissed the first steps"),
        _ => t("{actor} changed the setting {target}"),
    }
}

/// Who did it.
pub fn actor_words(actor: &EventActor) -> String {
    match (actor.kind.as_str(), actor.name.as_str()) {
        ("command_line", _) => t("The command line").into(),
        ("system", _) => "Keyrack".into(),
        ("key", "") => t("Key {name}").with("name", &actor.id).into(),
        ("key", name) => t("Key {name}").with("name", name).into(),
        ("client", name) if !name.is_empty() => t("Client {name}").with("name", name).into(),
        ("grant", name) if !name.is_empty() => t("{name}, for a user").with("name", name).into(),
        (_, "") => actor.id.clone(),
        (_, name) => name.into(),
    }
}

/// The one field that was changed, in words.
fn only_field(diff: &Value) -> Option<String> {
    let fields = diff.as_object()?;
    fields.keys().next().filter(|_| fields.len() == 1).map(|field| field_words(field))
}

/// A field of an event as people read it.
pub fn field_words(field: &str) -> String {
    let words = field.replace('_', " ");
    if FIELDS.contains(&words.as_str()) { t(&words).into() } else { words }
}
