//! Windows and tiers: how many requests an account may make, and in what time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::duration;
use super::error::Problem;

/// At most `limit` requests in `seconds` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub limit: u64,
    pub seconds: u32,
}

impl Window {
    /// The longest window: 366 days.
    pub const MAX_SECONDS: u32 = 366 * 86_400;
    /// The largest number of requests a window can name.
    pub const MAX_LIMIT: u64 = 1_000_000_000_000;

    pub const fn new(limit: u64, seconds: u32) -> Self {
        Self { limit, seconds }
    }

    /// The command line's form: `1000/1h`, `50/1s`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let example = "write a number and a time, for example 1000/1h or 50/1s";
        let (limit, span) = text.split_once('/').ok_or_else(|| format!("`{text}`: {example}"))?;
        let limit = limit.trim().replace(['_', ','], "").parse().map_err(|_| format!("`{text}`: {example}"))?;
        let seconds = duration::parse(span.trim()).map_err(|_| format!("`{text}`: {example}"))?.as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self::new(limit, seconds).checked()
    }

    /// The window itself when its numbers make sense.
    pub fn checked(self) -> Result<Self, String> {
        if self.limit == 0 || self.limit > Self::MAX_LIMIT {
            return Err(format!("a window's limit must be from 1 to {}", Self::MAX_LIMIT));
        }
        if self.seconds == 0 || self.seconds > Self::MAX_SECONDS {
            return Err(format!("a window must last from 1 to {} seconds", Self::MAX_SECONDS));
        }
        Ok(self)
    }
}

/// `at most 8 windows` → `At most 8 windows.`
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).chain(['.']).collect()).unwrap_or_default()
}

/// `1,204`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 user`, `1,204 users`
pub fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1000/1h`
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.limit, duration::show(std::time::Duration::from_secs(self.seconds.into())))
    }
}

/// The windows of a tier, an account or a key: shortest first, no two of the same length, eight at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Windows(Vec<Window>);

impl Windows {
    pub const MAX: usize = 8;

    pub fn new(mut windows: Vec<Window>) -> Result<Self, String> {
        if windows.len() > Self::MAX {
            return Err(format!("at most {} windows", Self::MAX));
        }
        for window in &windows {
            window.checked()?;
        }
        windows.sort_by_key(|window| window.seconds);
        if windows.windows(2).any(|pair| pair[0].seconds == pair[1].seconds) {
            return Err("two windows have the same length".into());
        }
        Ok(Self(windows))
    }

    /// As people write them into a form: one a line, `1000/1h`.
    pub fn parse_lines(text: &str) -> Result<Self, Problem> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let windows = lines.map(|(n, line)| {
            let shown: String = line.chars().take(60).collect();
            Window::parse(&shown).map_err(|words| Problem::new("invalid_window", format!("Line {}: {words}.", n + 1)))
        });
        Self::new(windows.collect::<Result<_, _>>()?).map_err(|words| Problem::new("invalid_window", sentence(&words)))
    }

    /// What is written for no limit at all, where nothing would be a slip.
    pub const UNLIMITED: &str = "unlimited";

    /// The limits of a tier: lines as above, or the word for none.
    pub fn parse_limits(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        if text.eq_ignore_ascii_case(Self::UNLIMITED) {
            return Ok(Self::default());
        }
        if text.is_empty() {
            let words = "Write at least one limit, for example 1000/1h, or the word unlimited for none.";
            return Err(Problem::new("required", words));
        }
        Self::parse_lines(text)
    }

    /// Whether these let less in than others do: a limit that none of the others is as strict as.
    pub fn lower(&self, others: &Self) -> bool {
        let is_within =
            |window: &Window| others.0.iter().any(|other| other.seconds >= window.seconds && other.limit <= window.limit);
        !self.0.iter().all(is_within)
    }

    /// The same form, one a line, the longest first.
    pub fn to_lines(&self) -> String {
        self.0.iter().rev().map(Window::to_string).collect::<Vec<_>>().join("\n")
    }

    pub fn as_slice(&self) -> &[Window] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, window) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{window}")?;
        }
        Ok(())
    }
}

/// A named set of windows that accounts may be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    pub name: String,
    pub windows: Windows,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        assert_eq!(Window::parse("1000/1h"), Ok(Window::new(1000, 3600)));
        assert_eq!(Window::parse("1,000 / 60s"), Ok(Window::new(1000, 60)));
        assert!(Window::parse("1000").is_err());
        assert!(Window::parse("0/1s").is_err());
        assert!(Window::parse("5/0s").is_err());
    }

    #[test]
    fn lines_of_a_form_are_windows_and_a_wrong_one_is_named() {
        let windows = Windows::parse_lines("1000/1h\r\n\n 50/1s ").expect("windows");
        assert_eq!((windows.to_string().as_str(), windows.to_lines().as_str()), ("50/1s, 1000/1h", "1000/1h\n50/1s"));
        assert_eq!(Windows::parse_lines("").expect("none"), Windows::default());
        assert!(Windows::parse_lines("1000/1h\nmany").expect_err("a word").message.starts_with("Line 2: `many`"));
        assert_eq!(Windows::parse_limits(" Unlimited").expect("none"), Windows::default());
        assert_eq!(Windows::parse_limits(" ").expect_err("a slip").code, "required");
        assert!(Windows::parse_limits("0/1h").is_err(), "to let nobody in is no limit");
        assert_eq!(Windows::parse_lines("1/1s\n2/1s").expect_err("twice").message, "Two windows have the same length.");
    }

    #[test]
    fn what_lets_less_in_is_told() {
        let lower = |new: &str, old: &str| {
            let read = |text: &str| Windows::parse_limits(text).expect("limits");
            read(new).lower(&read(old))
        };
        assert!(lower("900/1h", "1000/1h") && lower("1000/1h\n5/1s", "1000/1h") && lower("1000/1h", "unlimited"));
        assert!(!lower("1000/1h", "1000/1h") && !lower("2000/1h", "1000/1h") && !lower("unlimited", "1000/1h"));
        assert!(!lower("1000/1m", "1000/1h"), "whoever has 1,000 an hour never has more a minute");
        assert!(lower("1000/1d", "1000/1h"));
    }

    #[test]
    fn windows_sort_shortest_first_and_refuse_two_of_one_length() {
        let both = Windows::new(vec![Window::new(1000, 3600), Window::new(50, 1)]).expect("windows");
        assert_eq!(both.to_string(), "50/1s, 1000/1h");
        assert!(Windows::new(vec![Window::new(1, 60), Window::new(2, 60)]).is_err());
    }
}
