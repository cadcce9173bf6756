//! What is left of the limits, in a body: the outer figures are those of the longest window.

use serde_json::value::RawValue;

use crate::limits::{Decision, WindowState};

/// Written without serde, since every check has it.
pub fn write(text: &mut String, left: &Decision) {
    match left.longest() {
        Some(longest) => {
            number(text, r#"{"limit":"#, longest.limit);
            number(text, r#","remaining":"#, longest.remaining);
            number(text, r#","reset":"#, longest.reset_seconds());
        }
        None => text.push_str(r#"{"limit":null,"remaining":null,"reset":null"#),
    }
    text.push_str(r#","windows":["#);
    for (n, window) in left.windows().iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        one(text, window);
    }
    text.push_str("]}");
}

/// The same, for a body that serde writes.
pub fn raw(left: &Decision) -> Box<RawValue> {
    let mut text = String::new();
    write(&mut text, left);
    RawValue::from_string(text).expect("names and numbers are JSON")
}

fn one(text: &mut String, window: &WindowState) {
    number(text, r#"{"limit":"#, window.limit);
    number(text, r#","seconds":"#, window.seconds.into());
    number(text, r#","remaining":"#, window.remaining);
    number(text, r#","reset":"#, window.reset_seconds());
    text.push('}');
}

fn number(text: &mut String, before: &str, number: u64) {
    text.push_str(before);
    text.push_str(itoa::Buffer::new().format(number));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::limits::rate::{RateLimits, peek};
    use crate::model::clock::{Clock, Timestamp};
    use crate::model::ids::AccountId;
    use crate::model::tier::Window;

    fn told(windows: &[Window]) -> Value {
        let counters = RateLimits::new().counters_of_account(AccountId::new());
        let left = peek(&counters, windows, None, 1, Clock::set_to(Timestamp::from_millis(0)).tick());
        serde_json::from_str(raw(&left).get()).expect("JSON")
    }

    #[test]
    fn the_longest_window_is_told_first_and_then_each() {
        assert_eq!(
            told(&[Window::new(50, 1), Window::new(1_000, 3_600)]),
            json!({ "limit": 1_000, "remaining": 1_000, "reset": 3_600, "windows": [
                { "limit": 50, "seconds": 1, "remaining": 50, "reset": 1 },
                { "limit": 1_000, "seconds": 3_600, "remaining": 1_000, "reset": 3_600 },
            ] })
        );
    }

    #[test]
    fn where_nothing_is_limited_there_is_nothing_to_tell() {
        assert_eq!(told(&[]), json!({ "limit": null, "remaining": null, "reset": null, "windows": [] }));
    }
}
