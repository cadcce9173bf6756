//! Days and times in words: the catalogue says the order, and the names of months and weekdays.

use jiff::Zoned;

use super::{msg, spoken, t};

const MONTHS: [&str; 12] = [
    msg!("Jan"),
    msg!("Feb"),
    msg!("Mar"),
    msg!("Apr"),
    msg!("May"),
    msg!("Jun"),
    msg!("Jul"),
    msg!("Aug"),
    msg!("Sep"),
    msg!("Oct"),
    msg!("Nov"),
    msg!("Dec"),
];
const DAYS: [&str; 7] = [msg!("Mon"), msg!("Tue"), msg!("Wed"), msg!("Thu"), msg!("Fri"), msg!("Sat"), msg!("Sun")];

/// A moment by a pattern of `strftime`, which is a message itself: mark it with `msg!`.
pub fn in_words(at: &Zoned, pattern: &str) -> String {
    let pattern = if spoken().is_made_up() { pattern.to_owned() } else { t(pattern).into() };
    let month = t(MONTHS[usize::from(at.month().unsigned_abs() - 1)]);
    let day = t(DAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())]);
    at.strftime(&pattern.replace("%b", &month.to_string()).replace("%a", &day.to_string())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::words::{Language, within};

    #[test]
    fn a_day_is_told_in_the_readers_words_and_order() {
        let at: Zoned = "2026-10-05T09:30[Europe/Berlin]".parse().expect("a time");
        let told = |language| within(language, || in_words(&at, "%a %-d %b %Y %H:%M %Z"));
        assert_eq!(told(Language::En), "Mon 5 Oct 2026 09:30 CEST");
        assert_eq!(told(Language::De), "Mo. 5. Okt. 2026, 09:30 CEST");
    }
}
