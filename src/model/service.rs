//! A service that has keys checked, by its label: what its checks are counted under.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::api_key::Metadata;
use super::clock::Timestamp;
use super::error::Problem;
use super::usage::{Outcome, Span, Subject};

/// The field of a verifying key's metadata that names its service.
pub const LABEL: &str = "service";
const MAX_CHARS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Option<Arc<str>>);

impl ServiceName {
    /// A check without a label.
    pub const NONE: Self = Self(None);

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let words = || format!("A service's label has 1 to {MAX_CHARS} characters, without control characters.");
        if text.is_empty() || text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
            return Err(Problem::new("invalid_service", words()));
        }
        Ok(Self(Some(text.into())))
    }

    /// The label of a key. One that cannot be a label is none: metadata is the team's own.
    pub fn of_metadata(metadata: &Metadata) -> Self {
        let label = metadata.as_map().get(LABEL).and_then(Value::as_str);
        label.and_then(|text| Self::parse(text).ok()).unwrap_or(Self::NONE)
    }

    /// What labels past the ones that are told apart are counted under.
    pub fn others() -> Self {
        Self(Some("others".into()))
    }

    /// Empty where there is no label.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Checks of keys, counted by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    pub accepted: u64,
    pub refused: u64,
    pub rate_limited: u64,
}

impl Checks {
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.accepted += 1,
            Outcome::RateLimited => self.rate_limited += 1,
            Outcome::ClientError | Outcome::ServerError => self.refused += 1,
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.rate_limited += other.rate_limited;
    }
}

/// The checks that one service asked for in one span, of one subject's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    pub subject: Subject,
    pub span: Span,
    pub start: Timestamp,
    pub service: ServiceName,
    pub checks: Checks,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_short_text_and_anything_else_in_metadata_is_none() {
        let of = |value: Value| {
            let map = serde_json::Map::from_iter([(LABEL.to_owned(), value)]);
            ServiceName::of_metadata(&Metadata::new(map).expect("metadata"))
        };
        assert_eq!(of("billing-api".into()).as_str(), "billing-api");
        assert_eq!(of(" billing ".into()).as_str(), "billing");
        for none in [Value::from(""), 7.into(), "a\nb".into(), "x".repeat(65).into()] {
            assert_eq!(of(none), ServiceName::NONE);
        }
    }
}
