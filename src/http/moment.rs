//! Times as people read them: in their own zone, precise for what will happen, relative for what did.

use jiff::tz::TimeZone;

use crate::model::clock::Timestamp;
use crate::model::tier::counted;

/// What times are shown against.
#[derive(Clone)]
pub struct Now {
    pub at: Timestamp,
    pub zone: TimeZone,
}

impl Now {
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    /// The time of the day.
    pub fn time(&self, at: Timestamp) -> String {
        at.to_jiff().to_zoned(self.zone.clone()).strftime("%H:%M").to_string()
    }

    pub fn moment(&self, at: Timestamp) -> Moment {
        let zoned = at.to_jiff().to_zoned(self.zone.clone());
        Moment {
            iso: at.to_string(),
            day: zoned.strftime("%-d %b %Y").to_string(),
            full: zoned.strftime("%a %-d %b %Y %H:%M %Z").to_string(),
            relative: relative(at.seconds() - self.at.seconds(), || zoned.strftime("%-d %b %Y").to_string()),
        }
    }
}

/// One moment, in each way that a page may say it.
#[derive(Clone)]
pub struct Moment {
    pub iso: String,
    pub day: String,
    pub full: String,
    pub relative: String,
}

/// `30 days`, in the largest unit that has no rest.
pub fn span_in_words(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    counted(count, unit)
}

fn relative(seconds: i64, day: impl FnOnce() -> String) -> String {
    // What is over is told in whole units that have passed; what will come is rounded, so that a day ahead is no "23 h".
    let away = seconds.unsigned_abs();
    let away = match seconds {
        3570.. => away + if away < 172_800 { 1800 } else { 43_200 },
        60.. => away + 30,
        _ => away,
    };
    let span = match away {
        0..60 => format!("{away} s"),
        60..3600 => format!("{} min", away / 60),
        3600..172_800 => format!("{} h", away / 3600),
        172_800..2_592_000 => format!("{} days", away / 86_400),
        _ if seconds < 0 => return day(),
        _ => format!("{} days", away / 86_400),
    };
    match seconds {
        0 => "now".into(),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = |seconds| span_in_words(std::time::Duration::from_secs(seconds));
        assert_eq!([told(30 * 86_400), told(3_600), told(90), told(0)], ["30 days", "1 hour", "90 seconds", "0 seconds"]);
    }

    #[test]
    fn last_uses_are_relative_until_they_are_a_month_old() {
        let day = || "1 Jan 2026".to_owned();
        for (seconds, words) in [
            (0, "now"),
            (-4, "4 s ago"),
            (-180, "3 min ago"),
            (-7200, "2 h ago"),
            (-86_400 * 3, "3 days ago"),
            (-86_400 * 40, "1 Jan 2026"),
            (86_399, "in 24 h"),
            (86_400 * 90, "in 90 days"),
        ] {
            assert_eq!(relative(seconds, day), words);
        }
    }
}
