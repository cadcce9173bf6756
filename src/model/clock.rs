//! Time, from one place, so that a test can set it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicI64, AtomicU64,
    Ordering::{Acquire, Release, SeqCst},
};
use std::time::{Duration, Instant, SystemTime};

use jiff::fmt::temporal::Pieces;

/// A moment of the wall clock: milliseconds since 1970 in UTC. Shown as RFC 3339 with seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// An RFC 3339 time with an offset, as clients send it. Beyond the last moment that can be shown, which is one of
    /// the year 9999, it is that moment.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().or_else(|err| nearest(text).ok_or(err)).ok()?;
        Some(Self(at.as_millisecond()))
    }

    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to here; zero when the clock was set back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// For people's time zones and formats.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }
}

/// For a time that is well formed but out of range.
fn nearest(text: &str) -> Option<jiff::Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let at = pieces.date().to_datetime(pieces.time()?);
    let in_range = pieces.to_numeric_offset()?.to_timestamp(at);
    Some(in_range.unwrap_or(if at.year() > 0 { jiff::Timestamp::MAX } else { jiff::Timestamp::MIN }))
}

impl Timestamp {
    /// `2023-10-27T10:00:00Z`, digit by digit: a list has dozens of times.
    fn in_digits(self) -> [u8; 20] {
        // What cannot be shown is shown as the beginning of time.
        let whole = jiff::Timestamp::from_second(self.seconds()).ok().filter(|at| at.as_second() >= YEAR_0);
        let at = jiff::tz::Offset::UTC.to_datetime(whole.unwrap_or_default());
        let mut text = *b"0000-00-00T00:00:00Z";
        let mut put = |from: usize, length: usize, mut number: u32| {
            for place in text[from..from + length].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, u32::try_from(at.year()).unwrap_or(0));
        for (from, number) in [(5, at.month()), (8, at.day()), (11, at.hour()), (14, at.minute()), (17, at.second())] {
            put(from, 2, u32::try_from(number).unwrap_or(0));
        }
        text
    }
}

/// The first second of the year 0.
const YEAR_0: i64 = -62_167_219_200;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.in_digits()).unwrap_or_default())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(std::str::from_utf8(&self.in_digits()).unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time")))
    }
}

/// A moment of the monotonic clock: nanoseconds since this process began. Windows count in it, so that setting the
/// wall clock neither opens nor closes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_nanos() as u64))
    }

    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Where the program reads the time. Cloned freely: clones share a test's setting.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real { started: Instant, wall: Arc<Wall> },
    Set(Arc<SetTime>),
}

/// How far the wall clock is ahead of the monotonic one, as of a moment ago: a request that needs both reads one.
#[derive(Debug)]
struct Wall {
    ahead_ns: AtomicI64,
    read_at: AtomicU64,
}

/// The longest that the wall clock is not looked at, so that setting it is noticed.
const LOOKED_AT: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct SetTime {
    start_ms: i64,
    passed_ns: AtomicU64,
}

impl Clock {
    pub fn real() -> Self {
        let wall = Wall { ahead_ns: AtomicI64::new(wall_ns()), read_at: AtomicU64::new(0) };
        Self(Source::Real { started: Instant::now(), wall: Arc::new(wall) })
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn set_to(start: Timestamp) -> Self {
        Self(Source::Set(Arc::new(SetTime { start_ms: start.0, passed_ns: AtomicU64::new(0) })))
    }

    /// Moves a set clock on.
    ///
    /// # Panics
    /// On the real clock, which nobody moves.
    pub fn advance(&self, span: Duration) {
        match &self.0 {
            Source::Real { .. } => panic!("the real clock cannot be moved"),
            Source::Set(time) => {
                time.passed_ns.fetch_add(span.as_nanos() as u64, SeqCst);
            }
        }
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Real { .. } => Timestamp(wall_ns().div_euclid(NS_PER_MS)),
            Source::Set(time) => Timestamp(time.start_ms + time.passed_ns.load(SeqCst) as i64 / NS_PER_MS),
        }
    }

    pub fn tick(&self) -> Tick {
        match &self.0 {
            Source::Real { started, .. } => Tick(started.elapsed().as_nanos() as u64),
            Source::Set(time) => Tick(time.passed_ns.load(SeqCst)),
        }
    }

    /// Both clocks at once.
    pub fn both(&self) -> (Timestamp, Tick) {
        let tick = self.tick();
        let now = match &self.0 {
            Source::Real { wall, .. } => wall.at(tick),
            Source::Set(_) => self.now(),
        };
        (now, tick)
    }
}

impl Wall {
    fn at(&self, tick: Tick) -> Timestamp {
        let on = i64::try_from(tick.0).unwrap_or(i64::MAX);
        if tick.since(Tick(self.read_at.load(Acquire))) >= LOOKED_AT {
            self.ahead_ns.store(wall_ns().saturating_sub(on), SeqCst);
            self.read_at.store(tick.0, Release);
        }
        Timestamp(on.saturating_add(self.ahead_ns.load(SeqCst)).div_euclid(NS_PER_MS))
    }
}

#[allow(clippy::disallowed_methods)] // the one place that reads the system's clock
fn wall_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

const NS_PER_MS: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_shown_with_seconds_in_utc() {
        assert_eq!(Timestamp::from_millis(1_698_400_800_999).to_string(), "2023-10-27T10:00:00Z");
    }

    #[test]
    fn an_offset_is_read_and_nonsense_is_not() {
        let at = Timestamp::parse("2023-10-27T12:00:00+02:00").expect("a time");
        assert_eq!(at.to_string(), "2023-10-27T10:00:00Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn both_clocks_at_once_tell_what_each_tells_alone() {
        let clock = Clock::real();
        for _ in 0..1_000 {
            let before = (clock.now(), clock.tick());
            let (now, tick) = clock.both();
            let after = (clock.now(), clock.tick());
            assert!(before.1 <= tick && tick <= after.1);
            // A wall clock that was set meanwhile would be seen a millisecond later.
            assert!(
                before.0.millis() - 2 <= now.millis() && now.millis() <= after.0.millis() + 2,
                "{before:?} {now:?} {after:?}"
            );
        }
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_span() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_000));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
