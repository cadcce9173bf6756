//! The words of `static/js/keyrack.js`, which a page that is not in English brings along.

use std::collections::BTreeMap;

use super::{Language, msg, spoken, t};

const WORDS: &[&str] = &[
    msg!("1 result"),
    msg!("Asking…"),
    msg!("Close"),
    msg!("Copied"),
    msg!("Create"),
    msg!("Go on"),
    msg!("Go to"),
    msg!("Go to anything"),
    msg!("Hide"),
    msg!("Keyboard"),
    msg!("Live"),
    msg!("Live."),
    msg!("Next row, previous row"),
    msg!("No answer. Look whether the server runs and this machine reaches it."),
    msg!("None"),
    msg!("Open it"),
    msg!("Open the search"),
    msg!("Pause"),
    msg!("Paused."),
    msg!("Search"),
    msg!("Search pages, keys, users and ids"),
    msg!("Show"),
    msg!("The browser did not copy. The text is selected: press {keys}."),
    msg!("The live tail ended. Load the page again to see whether you are still signed in."),
    msg!("The text is selected. Press {keys}."),
    msg!("This list"),
    msg!("in {span}"),
    msg!("{left} of {limit} requests left."),
    msg!("{n} d"),
    msg!("{n} h"),
    msg!("{n} hidden."),
    msg!("{n} min"),
    msg!("{n} missed: more came than could be shown."),
    msg!("{n} new since it began."),
    msg!("{n} results"),
    msg!("{n} s"),
    msg!("{status} OK. The key works, as {email}."),
];

/// As JSON, the English first; empty for English.
pub fn for_script() -> String {
    if spoken() == Language::En {
        return String::new();
    }
    let words: BTreeMap<&str, String> = WORDS.iter().map(|text| (*text, t(text).into())).collect();
    serde_json::to_string(&words).unwrap_or_default()
}
