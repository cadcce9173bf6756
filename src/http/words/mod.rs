//! What the pages say, in the reader's language. English stands in code and templates, and is the name of a message;
//! the other languages are the files beside this one (`de.po`). docs/CONTRIBUTING.md tells how to add to them.

mod catalogue;
pub mod filters;
mod message;
mod script;
mod times;

use std::cell::Cell;
use std::future::Future;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header, Preference, Quality};

use super::arrival::path_of;
pub use crate::model::language::Language;
pub(crate) use crate::model::language::msg;
use crate::model::tier::grouped;
pub use catalogue::{Entry, entries};
pub use message::{Message, Rich};
pub use script::for_script;
pub use times::in_words;

tokio::task_local! {
    // The answer that is being made is in this language. It is found out with the session, and then changes.
    static SPOKEN: Cell<Language>;
}

/// Makes an answer in the language, until [`speak`] says another. A piece of a stream is made by a task of its own.
pub async fn answering<A: Future>(language: Language, answer: A) -> A::Output {
    SPOKEN.scope(Cell::new(language), answer).await
}

/// The same for words that are made at once.
#[cfg(test)]
pub fn within<T>(language: Language, make: impl FnOnce() -> T) -> T {
    SPOKEN.sync_scope(Cell::new(language), make)
}

/// The answer goes on in this language.
pub fn speak(language: Language) {
    // Outside of an answer there is nobody to speak to.
    let _ = SPOKEN.try_with(|spoken| spoken.set(language));
}

/// The language of the answer that is being made.
pub fn spoken() -> Language {
    SPOKEN.try_with(Cell::get).unwrap_or_default()
}

/// The language for whoever asks: as they chose, else as their browser says. The documentation is in English alone.
pub fn language_for(req: &HttpRequest, chosen: Option<Language>) -> Language {
    let path = path_of(req);
    if path == "/docs" || path.starts_with("/docs/") {
        return Language::En;
    }
    chosen.or_else(|| accepted(req)).unwrap_or_default()
}

fn accepted(req: &HttpRequest) -> Option<Language> {
    let AcceptLanguage(mut asked) = AcceptLanguage::parse(req).ok()?;
    asked.retain(|one| one.quality > Quality::ZERO);
    asked.sort_by_key(|one| std::cmp::Reverse(one.quality));
    asked.iter().find_map(|one| match &one.item {
        Preference::Any => Some(Language::default()),
        Preference::Specific(tag) => Language::parse(tag.as_str()),
    })
}

/// A message. `{name}` in it is a place for a value: [`Message::with`].
pub fn t(text: &str) -> Message {
    Message::new(catalogue::translated(spoken(), text))
}

/// One of two messages, by a number, which stands at `{n}`.
pub fn count(n: u64, one: &str, many: &str) -> Message {
    Message::new(catalogue::counted(spoken(), n, one, many)).with("n", number(n))
}

/// What a service said when it refused, whose words are the API's too: a sentence with its values filled in already.
pub fn t_refusal(text: &str) -> String {
    catalogue::refusal(spoken(), text)
}

/// `1,204`
pub fn number(n: u64) -> String {
    let digits = grouped(n);
    match spoken() {
        Language::De => digits.replace(',', "."),
        _ => digits,
    }
}

/// `12.3`
pub fn decimal(number: f64) -> String {
    let text = format!("{number:.1}");
    match spoken() {
        Language::De => text.replace('.', ","),
        _ => text,
    }
}

/// A label as it stands within a sentence.
pub fn in_sentence(label: &str) -> String {
    match spoken() {
        Language::En => label.to_lowercase(),
        _ => label.to_owned(),
    }
}

pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn asked(header: &str) -> Language {
        language_for(&TestRequest::get().uri("/settings").insert_header(("Accept-Language", header)).to_http_request(), None)
    }

    #[test]
    fn a_browser_is_answered_in_the_language_it_likes_most_of_those_there_are() {
        assert_eq!(asked("de"), Language::De);
        assert_eq!(asked("fr, de-CH;q=0.7, en;q=0.8"), Language::En);
        assert_eq!(asked("fr;q=1, de-CH;q=0.7, en;q=0.3"), Language::De);
        assert_eq!([asked("de;q=0, fr"), asked("*, de;q=0.5"), asked("de;;q=x"), asked("")], [Language::En; 4]);
    }

    #[test]
    fn a_choice_wins_and_the_documentation_stays_english() {
        let req = |path: &str| TestRequest::get().uri(path).insert_header(("Accept-Language", "de")).to_http_request();
        assert_eq!(language_for(&req("/settings"), Some(Language::En)), Language::En);
        assert_eq!(language_for(&req("/docs/errors"), Some(Language::De)), Language::En);
        assert_eq!(language_for(&req("/documents"), None), Language::De);
    }

    #[test]
    fn numbers_are_written_as_the_language_does() {
        assert_eq!((number(1_234_567), decimal(12.34)), ("1,234,567".into(), "12.3".into()));
        assert_eq!(within(Language::De, || (number(1_234_567), decimal(12.34))), ("1.234.567".into(), "12,3".into()));
    }
}
