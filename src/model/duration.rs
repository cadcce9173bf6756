//! Durations as people write them in the API and on the command line: `90d`, `24h`, `30m`, `0s`.

use std::time::Duration;

/// Reads a whole number and one unit: `s`, `m`, `h` or `d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}`: use a number and a unit, for example 90d, 24h, 30m or 0s");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    // A century is longer than anything here lasts, and keeps every sum in range.
    let seconds = number.checked_mul(unit).filter(|&s| s <= 36_525 * 86_400).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// The shortest exact form: `1h`, not `3600s`.
pub fn show(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".into(),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_alike() {
        for text in ["90d", "24h", "30m", "0s", "7s"] {
            let span = parse(text).expect("a duration");
            assert_eq!(parse(&show(span)), Ok(span), "{text}");
        }
        assert_eq!(show(Duration::from_secs(3600)), "1h");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "h", "-1h", "1", "1w", "1.5h", "99999999999999999999s", "9999999d", "1h30m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
