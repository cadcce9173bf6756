//! Times as people read them: in their own zone, precise for what will happen, relative for what did.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::words::{count, in_words, msg, t};
use crate::model::clock::Timestamp;

const DAY: &str = msg!("%-d %b %Y");

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

    /// A moment at which something ends. At midnight that is a day's end, and people call it by that day: what may be
    /// used through 1 May does not end "on 2 May".
    pub fn end(&self, at: Timestamp) -> Moment {
        let moment = self.moment(at);
        let zoned = at.to_jiff().to_zoned(self.zone.clone());
        if !zoned.start_of_day().is_ok_and(|midnight| midnight == zoned) {
            return moment;
        }
        let last = at.saturating_sub(Duration::from_millis(1)).to_jiff().to_zoned(self.zone.clone());
        Moment { day: in_words(&last, DAY), full: in_words(&last, msg!("%a %-d %b %Y 24:00 %Z")), ..moment }
    }

    pub fn moment(&self, at: Timestamp) -> Moment {
        let zoned = at.to_jiff().to_zoned(self.zone.clone());
        Moment {
            iso: at.to_string(),
            day: in_words(&zoned, DAY),
            full: in_words(&zoned, msg!("%a %-d %b %Y %H:%M %Z")),
            relative: relative(at.seconds() - self.at.seconds(), || in_words(&zoned, DAY)),
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
pub fn span_in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let is_whole = |size: u64| seconds > 0 && seconds.is_multiple_of(size);
    let words = match seconds {
        _ if is_whole(86_400) => count(seconds / 86_400, "{n} day", "{n} days"),
        _ if is_whole(3_600) => count(seconds / 3_600, "{n} hour", "{n} hours"),
        _ if is_whole(60) => count(seconds / 60, "{n} minute", "{n} minutes"),
        _ => count(seconds, "{n} second", "{n} seconds"),
    };
    words.into()
}

fn relative(seconds: i64, day: impl FnOnce() -> String) -> String {
    // What is over is told in whole units that have passed; what will come is rounded, so that a day ahead is no "23 h".
    let away = seconds.unsigned_abs();
    let away = match seconds {
        3570.. => away + if away < 172_800 { 1800 } else { 43_200 },
        60.. => away + 30,
        _ => away,
    };
    let will_be = seconds > 0;
    let words = match away {
        0 => t("now"),
        1..60 if will_be => t("in {n} s").with("n", away),
        1..60 => t("{n} s ago").with("n", away),
        60..3600 if will_be => t("in {n} min").with("n", away / 60),
        60..3600 => t("{n} min ago").with("n", away / 60),
        3600..172_800 if will_be => t("in {n} h").with("n", away / 3600),
        3600..172_800 => t("{n} h ago").with("n", away / 3600),
        _ if will_be => t("in {n} days").with("n", away / 86_400),
        172_800..2_592_000 => t("{n} days ago").with("n", away / 86_400),
        _ => return day(),
    };
    words.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = |seconds| span_in_words(Duration::from_secs(seconds));
        assert_eq!([told(30 * 86_400), told(3_600), told(90), told(0)], ["30 days", "1 hour", "90 seconds", "0 seconds"]);
    }

    #[test]
    fn what_ends_with_a_day_is_called_by_that_day() {
        let now = Now { at: Timestamp::from_millis(0), zone: TimeZone::get("Europe/Berlin").expect("a zone") };
        let told = |at: &str| {
            let end = now.end(Timestamp::from_millis(at.parse::<jiff::Timestamp>().expect("a time").as_millisecond()));
            [end.day, end.full]
        };
        assert_eq!(told("2027-05-01T22:00:00Z"), ["1 May 2027", "Sat 1 May 2027 24:00 CEST"]);
        assert_eq!(told("2027-05-01T22:00:01Z"), ["2 May 2027", "Sun 2 May 2027 00:00 CEST"]);
        assert_eq!(told("2027-05-02T00:00:00Z"), ["2 May 2027", "Sun 2 May 2027 02:00 CEST"]);
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
