//! An API key: a stable identity whose secrets come and go.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

use super::clock::Timestamp;
use super::duration;
use super::error::{AppError, Problem, Result};
use super::ids::{AccountId, ApiKeyId, UserId};
use super::name::Name;
use super::scope::{ScopeSet, ScopesAsked};
use super::tier::Windows;

#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub user_id: UserId,
    pub account_id: AccountId,
    pub name: String,
    pub scopes: ScopeSet,
    pub enabled: bool,
    pub revoked_at: Option<Timestamp>,
    /// Prefix, `…` and the last four characters of the active secret.
    pub hint: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used: Option<LastUse>,
    pub ip_allow: IpAllow,
    /// Windows counted for this key alone, besides its account's.
    pub windows: Windows,
    pub metadata: Metadata,
    /// The older secret, while it still works.
    pub rotation: Option<Rotation>,
    pub revision: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When the key got its new secret.
    pub started_at: Timestamp,
    pub old_hint: String,
    pub old_expires_at: Timestamp,
    pub old_last_used: Option<LastUse>,
    /// Since the rotation, by the old secret and by the new one.
    pub old_requests: u64,
    pub new_requests: u64,
}

/// When a secret was last presented, from where and by what program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    pub at: Timestamp,
    pub ip: Option<IpAddr>,
    pub user_agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    Active,
    Rotating,
    Disabled,
    Expired,
    Revoked,
}

impl KeyStatus {
    pub const ALL: &[Self] = &[Self::Active, Self::Rotating, Self::Disabled, Self::Expired, Self::Revoked];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Problem> {
        Self::ALL.iter().copied().find(|status| status.name() == text).ok_or_else(|| {
            Problem::new("invalid_choice", "`status` must be one of active, rotating, disabled, expired and revoked.")
        })
    }
}

impl ApiKey {
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyStatus::Expired
        } else if !self.enabled {
            KeyStatus::Disabled
        } else if self.rotation_at(now).is_some() {
            KeyStatus::Rotating
        } else {
            KeyStatus::Active
        }
    }

    /// The older secret, if it still works at `now`.
    pub fn rotation_at(&self, now: Timestamp) -> Option<&Rotation> {
        self.rotation.as_ref().filter(|rotation| rotation.old_expires_at > now && self.revoked_at.is_none())
    }

    pub fn must_be_changeable(&self) -> Result<()> {
        if self.revoked_at.is_some() { Err(AppError::KeyRevoked) } else { Ok(()) }
    }
}

/// The addresses that may use a key; empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpAllow(Vec<IpNet>);

impl IpAllow {
    pub const MAX: usize = 100;

    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Problem> {
        let mut nets = Vec::new();
        for (n, text) in entries.into_iter().enumerate() {
            let net = network(text).ok_or_else(|| {
                let shown: String = text.chars().take(60).collect();
                Problem::new(
                    "invalid_cidr",
                    format!(
                        "Entry {}, `{shown}`, is no address or network. Write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32.",
                        n + 1
                    ),
                )
            })?;
            nets.push(canonical(net.trunc()));
        }
        if nets.len() > Self::MAX {
            return Err(Problem::new("too_many", format!("An allow-list has at most {} entries.", Self::MAX)));
        }
        Ok(Self(nets))
    }

    pub fn allows(&self, addr: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&addr))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of the addresses, where there is a list.
    pub fn an_address(&self) -> Option<IpAddr> {
        self.0.first().map(IpNet::addr)
    }

    pub fn entries(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|net| if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() })
    }
}

/// An address or a network. `ipnet` by itself takes `010.0.0.0/8`, too, which other programs read as octal.
fn network(text: &str) -> Option<IpNet> {
    let addr: IpAddr = text.split('/').next()?.parse().ok()?;
    if text.contains('/') { text.parse().ok() } else { Some(addr.into()) }
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`: a client's address comes as the latter, however it was written.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(addr, len)| Ipv4Net::new(addr, len).ok()).map_or(net, IpNet::V4)
}

impl serde::Serialize for IpAllow {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.entries())
    }
}

/// What a team notes on its key: a JSON object of at most 4 KB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    pub const MAX_BYTES: usize = 4096;

    pub fn new(map: Map<String, Value>) -> Result<Self, Problem> {
        let metadata = Self(map);
        if metadata.to_json().len() > Self::MAX_BYTES {
            return Err(Problem::new("too_long", format!("Metadata has at most {} bytes of JSON.", Self::MAX_BYTES)));
        }
        Ok(metadata)
    }

    /// As people write it into a form; nothing is an empty object.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let wrong = |why: String| {
            Problem::new("invalid_json", format!("Write a JSON object, for example {{\"team\": \"billing\"}}.{why}"))
        };
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Self::new(map),
            Ok(_) => Err(wrong(String::new())),
            Err(err) => Err(wrong(format!(" This stops being JSON at line {}, column {}.", err.line(), err.column()))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// When a new key ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    #[default]
    Never,
    At(Timestamp),
    In(Duration),
}

impl Expiry {
    /// The moment, which must lie ahead.
    pub fn resolve(self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let at = match self {
            Self::Never => return Ok(None),
            Self::At(at) => at,
            Self::In(span) => now.saturating_add(span),
        };
        if at <= now {
            return Err(Problem::new("in_the_past", "The expiry must lie in the future."));
        }
        if at.seconds() > MAX_EXPIRY_SECONDS {
            return Err(Problem::new(
                "out_of_range",
                "The expiry must lie before the year 2200. Leave it out for a key that never expires.",
            ));
        }
        // Shown with seconds, so it ends on one.
        Ok(Some(Timestamp::from_millis(at.seconds() * 1000)))
    }
}

/// 2200-01-01
const MAX_EXPIRY_SECONDS: i64 = 7_258_118_400;

/// How long the older secret keeps working after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap(Duration);

impl Overlap {
    pub const MAX: Duration = Duration::from_secs(30 * 86_400);

    pub fn new(span: Duration) -> Result<Self, Problem> {
        if span > Self::MAX {
            return Err(Problem::new("out_of_range", "The overlap is at most 30d."));
        }
        Ok(Self(span))
    }

    /// `24h`, `30m`, `0s`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let span = duration::parse(text).map_err(|words| Problem::new("invalid_duration", format!("{words}.")))?;
        Self::new(span)
    }

    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self(Duration::from_secs(86_400))
    }
}

/// What is needed to create a key.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub name: Name,
    /// None: the caller.
    pub user_id: Option<UserId>,
    pub scopes: ScopesAsked,
    pub expiry: Expiry,
    pub ip_allow: IpAllow,
    pub windows: Windows,
    pub metadata: Metadata,
}

/// The fields to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyChanges {
    pub name: Option<Name>,
    pub scopes: Option<ScopesAsked>,
    pub enabled: Option<bool>,
    pub expiry: Option<Expiry>,
    pub ip_allow: Option<IpAllow>,
    pub windows: Option<Windows>,
    pub metadata: Option<Metadata>,
}

impl ApiKeyChanges {
    /// Whether the key could do more after the change than before: a new name, a note or a disabling gives it nothing.
    pub fn widen(&self) -> bool {
        let kept = self.scopes.is_none() && self.expiry.is_none() && self.ip_allow.is_none() && self.windows.is_none();
        !kept || self.enabled == Some(true)
    }
}
