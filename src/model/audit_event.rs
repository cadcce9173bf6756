//! An audit event: who did what to what, kept for good.

use std::fmt;

use serde_json::{Map, Value, json};

use super::clock::Timestamp;
use super::ids::{AccountId, AuditEventId};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: String,
    pub id: String,
    /// The name it had then: the event stays readable when the thing is gone.
    pub name: String,
}

impl Happening {
    pub fn new(action: &'static str, kind: &'static str, id: impl ToString, name: impl Into<String>) -> Self {
        Self {
            action,
            target: Target { kind: kind.into(), id: id.to_string(), name: name.into() },
            diff: Value::Null,
            body: None,
        }
    }

    /// Notes what changed: a JSON object of fields, each with what it became, or with `from` and `to`.
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

/// Which of these fields are other than they were: each with what it was and what it is.
pub fn changed<const N: usize>(fields: [(&str, Value, Value); N]) -> Value {
    let changed = fields.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(field, from, to)| (field.to_owned(), json!({ "from": from, "to": to }))).collect::<Map<_, _>>().into()
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// Its place in the chain, from 1, without a gap.
    pub seq: i64,
    pub id: AuditEventId,
    pub at: Timestamp,
    pub actor: EventActor,
    /// The account that the target belongs to.
    pub account_id: Option<AccountId>,
    pub action: String,
    pub target: Target,
    pub diff: Value,
    /// Empty: it came from no address, as on the command line.
    pub ip: String,
    pub request_id: String,
    pub prev_hash: ChainHash,
    pub hash: ChainHash,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventActor {
    /// `user`, `key`, `grant` (by its token), `client`, `command_line`, `system`.
    pub kind: String,
    /// Of the user, key, grant or client; else empty.
    pub id: String,
    /// The name it had then; empty where none is known.
    pub name: String,
}

/// What the log is narrowed to; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub account: Option<AccountId>,
    pub actor: Option<ActorFilter>,
    pub action: Option<String>,
    /// The id of what it was done to.
    pub target: Option<String>,
    pub since: Option<Timestamp>,
    pub before: Option<Timestamp>,
    pub id: Option<AuditEventId>,
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    /// A user or a key.
    Id(String),
    CommandLine,
    System,
}

/// SHA-256 over an event and the hash of the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// A place in the chain: whoever knows it can tell later whether anything up to there was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: ChainHash,
}

impl Head {
    /// Before the first event.
    pub const START: Self = Self { seq: 0, hash: ChainHash([0; 32]) };

    /// `1204:9f86d0…`, as it is printed.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(':')?;
        let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
        Some(Self { seq: seq.parse().ok().filter(|&seq| seq > 0)?, hash: ChainHash(hash.as_slice().try_into().ok()?) })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// The first event that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: i64,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Changed,
    Missing,
    /// It does not follow the event before it: one of the two was written anew.
    Unlinked,
    /// It is sound, but another one than the head that was kept elsewhere.
    Rewritten,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.how {
            How::Changed => write!(f, "Event {seq} was changed after it was written."),
            How::Missing => write!(f, "Event {seq} is missing."),
            How::Unlinked => write!(f, "Event {seq} does not follow the event before it: one of the two was written anew."),
            How::Rewritten => write!(f, "Event {seq} is not the one whose hash was kept: the log was written anew."),
        }
    }
}

/// How far the chain was found sound, and when that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub head: Head,
    pub at: Timestamp,
    pub broken: Option<Broken>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let head = Head { seq: 1204, hash: ChainHash([0xab; 32]) };
        assert_eq!(Head::parse(&head.to_string()), Some(head));
        for wrong in ["", "1204", "0:ab", "x:ab", "1:zz", &format!("-1:{}", "ab".repeat(32))] {
            assert_eq!(Head::parse(wrong), None, "{wrong}");
        }
    }
}
