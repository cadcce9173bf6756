//! How requests are counted: by outcome and by how long they took, for whom, and over which spans of time.

use std::time::Duration;

use super::clock::Timestamp;
use super::ids::{AccountId, ApiKeyId};

/// How a request ended, as coarse as a chart shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Success,
    ClientError,
    RateLimited,
    ServerError,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Success, Self::ClientError, Self::RateLimited, Self::ServerError];

    pub const fn of(status: u16) -> Self {
        match status {
            429 => Self::RateLimited,
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
            _ => Self::Success,
        }
    }

    /// As filters and charts name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::ClientError => "4xx",
            Self::RateLimited => "429",
            Self::ServerError => "5xx",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == text)
    }
}

/// The upper ends of the steps of latency, in microseconds; what took longer is in one step more.
pub const STEPS: [u64; 19] = [
    100, 200, 350, 500, 1_000, 2_000, 3_500, 5_000, 10_000, 20_000, 35_000, 50_000, 100_000, 200_000, 350_000, 500_000,
    1_000_000, 2_000_000, 5_000_000,
];
/// How many steps there are.
pub const LATENCY_STEPS: usize = STEPS.len() + 1;

/// Requests, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// In the order of [`Outcome::ALL`].
    pub outcomes: [u64; 4],
    /// Of the requests that were let in: how many took how long.
    pub latency: [u64; LATENCY_STEPS],
    /// How long all of these took together, in microseconds. Known of what was counted since the start, and not kept.
    pub took_us: u64,
}

impl Tally {
    /// `took` is none for a request that was refused: how fast we refuse says nothing of how fast we answer.
    pub fn count(&mut self, outcome: Outcome, took: Option<Duration>) {
        self.outcomes[outcome as usize] += 1;
        if let Some(took) = took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let step = STEPS.iter().position(|&end| us <= end).unwrap_or(STEPS.len());
            self.latency[step] += 1;
            self.took_us = self.took_us.saturating_add(us);
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.latency.iter_mut().zip(other.latency) {
            *mine += theirs;
        }
        self.took_us = self.took_us.saturating_add(other.took_us);
    }

    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    pub fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// The share of requests that were answered as asked, from 0 to 1; none where there was no request.
    pub fn success(&self) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| self.of(Outcome::Success) as f64 / total as f64)
    }

    /// The time within which this share of the requests was answered, estimated within its step.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.latency.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = share * total as f64;
        let mut before = 0.0;
        for (step, &count) in self.latency.iter().enumerate() {
            let upto = before + count as f64;
            if count > 0 && upto >= wanted {
                let low = if step == 0 { 0 } else { STEPS[step - 1] };
                let high = STEPS.get(step).copied().unwrap_or(low * 2);
                let within = ((wanted - before) / count as f64).clamp(0.0, 1.0);
                return Some(Duration::from_micros(low + ((high - low) as f64 * within) as u64));
            }
            before = upto;
        }
        None
    }
}

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Everyone,
    /// Those who showed no valid key.
    NoKey,
    Account(AccountId),
    Key(ApiKeyId),
}

/// A span that requests are counted in. Each begins at a multiple of its length, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    Minute,
    Hour,
    Day,
}

impl Span {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    pub const fn millis(self) -> i64 {
        self.seconds() * 1_000
    }

    /// The beginning of the span that a moment is in.
    pub const fn start_of(self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis().div_euclid(self.millis()) * self.millis())
    }

    /// How long counts of this span are kept: 48 hours of minutes, 60 days of hours, two years of days.
    pub const fn kept(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 48 * 3_600,
            Self::Hour => 60 * 86_400,
            Self::Day => 731 * 86_400,
        })
    }

    /// The same for the minutes of one account or one key, of which there may be very many.
    pub const MINUTES_OF_ONE_KEPT: Duration = Duration::from_secs(3 * 3_600);
}

/// What a chart shows: how far back it goes, and in which steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl Range {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// As addresses have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.name() == text)
    }

    /// The counts that it is made of, how many of them are one bar, and how many bars there are.
    pub const fn bars(self) -> (Span, i64, usize) {
        match self {
            Self::Hour => (Span::Minute, 1, 60),
            Self::Day => (Span::Hour, 1, 24),
            Self::Week => (Span::Hour, 4, 42),
            Self::Month => (Span::Day, 1, 30),
        }
    }

    /// Where its first bar begins, when its last one holds `now`.
    pub const fn start(self, now: Timestamp) -> Timestamp {
        let (span, each, bars) = self.bars();
        let step = span.millis() * each;
        Timestamp::from_millis((now.millis().div_euclid(step) + 1 - bars as i64) * step)
    }
}

/// The counts of one subject in one span; of one route, or of all where the route is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    pub subject: Subject,
    pub span: Span,
    pub start: Timestamp,
    pub route: String,
    pub tally: Tally,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_the_limit_is_no_other_client_error() {
        for (status, name) in [(200, "2xx"), (304, "2xx"), (401, "4xx"), (404, "4xx"), (429, "429"), (500, "5xx"), (503, "5xx")] {
            assert_eq!(Outcome::of(status).name(), name);
            assert_eq!(Outcome::parse(name), Some(Outcome::of(status)));
        }
    }

    #[test]
    fn the_time_of_a_share_is_found_within_a_step() {
        let mut tally = Tally::default();
        assert_eq!(tally.quantile(0.95), None);
        for ms in 1..=100 {
            tally.count(Outcome::Success, Some(Duration::from_millis(ms)));
        }
        let p95 = tally.quantile(0.95).expect("a time").as_millis();
        assert!((90..=100).contains(&p95), "{p95}");
        let median = tally.quantile(0.5).expect("a time").as_millis();
        assert!((45..=55).contains(&median), "{median}");
        tally.count(Outcome::RateLimited, None);
        assert_eq!((tally.total(), tally.latency.iter().sum()), (101, 100));
        tally.count(Outcome::ServerError, Some(Duration::from_secs(60)));
        assert!(tally.quantile(1.0).expect("a time") >= Duration::from_secs(5));
    }

    #[test]
    fn the_last_bar_of_a_range_holds_the_moment() {
        let now = Timestamp::parse("2026-11-22T10:17:30Z").expect("a time");
        for range in Range::ALL {
            let (span, each, bars) = range.bars();
            let end = range.start(now).millis() + span.millis() * each * bars as i64;
            assert!(range.start(now) < now && end > now.millis() && end - now.millis() <= span.millis() * each);
        }
        assert_eq!(Range::Day.start(now).to_string(), "2026-11-21T11:00:00Z");
    }
}
