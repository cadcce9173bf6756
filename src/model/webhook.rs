//! A webhook: an address that is told of events, and what became of telling it.

use super::clock::Timestamp;
use super::error::Problem;
use super::ids::{AccountId, AuditEventId, DeliveryId, WebhookId};
use super::language::msg;
use super::target::Target;

/// An event that is also an audit event has the same id.
pub type EventId = AuditEventId;

macro_rules! event_types {
    ($($variant:ident $name:literal $words:expr,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum EventType { $($variant,)* }

        impl EventType {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it happens, in words for people.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

event_types! {
    UserCreated "user.created" msg!("A user was added"),
    UserUpdated "user.updated" msg!("A user was changed"),
    UserDeleted "user.deleted" msg!("A user was deleted"),
    KeyCreated "key.created" msg!("An API key was made"),
    KeyRotated "key.rotated" msg!("An API key got a new secret"),
    KeyRevoked "key.revoked" msg!("An API key was ended for good"),
    KeyDisabled "key.disabled" msg!("An API key was disabled"),
    KeyExpiring "key.expiring" msg!("An API key ends within 7 days, and again within a day"),
    RateLimitExceeded "rate_limit.exceeded" msg!("An account met one of its limits, once for each window"),
    GrantCreated "oauth.grant.created" msg!("A user allowed an app"),
    GrantRevoked "oauth.grant.revoked" msg!("An app lost what it was allowed"),
}

impl EventType {
    /// What a test sends. Nobody subscribes to it.
    pub const TEST: &str = "webhook.test";

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// The events that a webhook is told of: one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTypes(u16);

impl EventTypes {
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut set = 0;
        for name in names {
            set |= EventType::parse(name).ok_or_else(|| unknown(name))?.bit();
        }
        if set == 0 {
            return Err(Problem::new("required", "Choose at least one event."));
        }
        Ok(Self(set))
    }

    pub const fn has(self, event: EventType) -> bool {
        self.0 & event.bit() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = EventType> {
        EventType::ALL.iter().copied().filter(move |event| self.has(*event))
    }

    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(EventType::name).collect()
    }
}

impl serde::Serialize for EventTypes {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter().map(EventType::name))
    }
}

fn unknown(name: &str) -> Problem {
    let names = EventType::ALL.iter().map(|event| event.name());
    let near = names.clone().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = near.filter(|near| strsim::jaro(near, name) > 0.8).map(|near| format!(" Did you mean `{near}`?"));
    let all = names.collect::<Vec<_>>().join(", ");
    let shown: String = name.chars().take(60).collect();
    Problem::new("unknown_event", format!("There is no event `{shown}`.{} The events are: {all}.", hint.unwrap_or_default()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookStatus {
    Active,
    /// By a person: what happens waits until it is active again.
    Paused,
    /// By failing for days, or by the receiver's 410: it is told of nothing that happens from then on.
    Disabled,
}

impl WebhookStatus {
    pub const ALL: &[Self] = &[Self::Active, Self::Paused, Self::Disabled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == name)
    }

    /// What a person may set it to.
    pub fn parse_wanted(name: &str) -> Result<Self, Problem> {
        let wanted = Self::parse(name).filter(|status| *status != Self::Disabled);
        wanted.ok_or_else(|| Problem::new("invalid_choice", "`status` must be `active` or `paused`."))
    }
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub id: WebhookId,
    /// Whose events it is told of. None: every account's, which only administrators may ask for.
    pub account_id: Option<AccountId>,
    pub url: String,
    pub events: EventTypes,
    pub status: WebhookStatus,
    pub disabled_reason: Option<String>,
    /// The first failure since it last took an event.
    pub failing_since: Option<Timestamp>,
    /// Until when its older secret signs too.
    pub old_secret_ends_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: i64,
}

pub struct NewWebhook {
    pub url: Target,
    pub events: EventTypes,
    /// None: the caller's own account, or every account for an administrator.
    pub account_id: Option<AccountId>,
}

/// The fields to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChanges {
    pub url: Option<Target>,
    pub events: Option<EventTypes>,
    pub status: Option<WebhookStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    Pending,
    Delivered,
    Failed,
}

impl DeliveryStatus {
    pub const ALL: &[Self] = &[Self::Pending, Self::Delivered, Self::Failed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn parse(name: &str) -> Result<Self, Problem> {
        let found = Self::ALL.iter().copied().find(|status| status.name() == name);
        found.ok_or_else(|| Problem::new("invalid_choice", "`status` must be one of pending, delivered and failed."))
    }
}

/// One event on its way to one webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event_type: String,
    pub status: DeliveryStatus,
    /// How often it was tried since it was stored or replayed.
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last: Option<Outcome>,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub at: Timestamp,
    /// None: there was no answer.
    pub response_code: Option<u16>,
    pub response_time_ms: u64,
    /// Why it failed; none when it did not.
    pub error: Option<String>,
}

impl Outcome {
    pub fn is_delivered(&self) -> bool {
        self.error.is_none()
    }
}

/// One attempt, as it is kept: the request's own lines, and what is kept of the answer.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1, over all replays.
    pub number: u32,
    pub url: String,
    /// The header `webhook-signature` as it was sent.
    pub signature: String,
    pub outcome: Outcome,
    pub content_type: Option<String>,
    /// The beginning of an answer that refused, without control characters.
    pub excerpt: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_event_gets_a_suggestion() {
        let problem = EventTypes::parse(["user.create"]).expect_err("unknown");
        assert!(problem.message.contains("Did you mean `user.created`?"), "{}", problem.message);
        assert_eq!(EventTypes::parse([]).expect_err("none").code, "required");
    }

    #[test]
    fn a_set_of_events_is_told_in_the_order_of_the_list() {
        let set = EventTypes::parse(["key.created", "user.deleted", "key.created"]).expect("events");
        assert_eq!(set.names(), ["user.deleted", "key.created"]);
        assert!(set.has(EventType::KeyCreated) && !set.has(EventType::UserCreated));
    }
}
