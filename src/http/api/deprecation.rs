//! What will go away, told before it does: on every answer of the operation (RFC 9745, RFC 8594), on its page and in
//! `openapi.json`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, LINK};

use crate::model::clock::Timestamp;

pub const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// For a row of the table of operations. Times as RFC 3339 has them.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    pub since: &'static str,
    /// From when on it may be gone, where that is known.
    pub sunset: Option<&'static str>,
    /// The id of the operation that does the same.
    pub instead: &'static str,
}

impl Deprecated {
    /// The page of the operation says what to use instead.
    pub fn tell(&self, id: &str, headers: &mut HeaderMap) {
        let mut add = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        };
        if let Some(since) = Timestamp::parse(self.since) {
            add(DEPRECATION, format!("@{}", since.seconds()));
        }
        if let Some(sunset) = self.sunset.and_then(Timestamp::parse) {
            add(SUNSET, sunset.to_jiff().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
            add(LINK, format!("</docs/api/{id}>; rel=\"sunset\"; type=\"text/html\""));
        }
        add(LINK, format!("</docs/api/{id}>; rel=\"deprecation\"; type=\"text/html\""));
    }

    /// A line for those who read.
    pub fn words(&self) -> String {
        let day = |at: &str| at.get(..10).unwrap_or(at).to_owned();
        let end = self.sunset.map(|at| format!(", and may be gone from {} on", day(at))).unwrap_or_default();
        format!(
            "Deprecated since {}{end}. Use [`{instead}`](/docs/api/{instead}) instead.",
            day(self.since),
            instead = self.instead
        )
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::http::api::operations::{API_KEYS_PATH, Access, OAUTH, OPERATIONS, Operation};

    /// What a row that goes away looks like.
    pub static OLD: Operation = Operation {
        id: "show_user",
        method: "GET",
        path: "/v1/users/{id}",
        access: Access::AnyKey,
        words: "One user.",
        deprecated: Some(Deprecated {
            since: "2026-11-22T00:00:00Z",
            sunset: Some("2027-11-22T00:00:00Z"),
            instead: "list_users",
        }),
    };

    #[test]
    fn both_headers_and_a_link_to_what_to_use_instead_are_on_the_answer() {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static("</v1/users>; rel=\"next\""));
        OLD.deprecated.expect("it is old").tell(OLD.id, &mut headers);
        assert_eq!(headers.get(DEPRECATION).expect("since when"), "@1795305600");
        assert_eq!(headers.get(SUNSET).expect("until when"), "Mon, 22 Nov 2027 00:00:00 GMT");
        let links: Vec<_> = headers.get_all(LINK).filter_map(|link| link.to_str().ok()).collect();
        assert_eq!(links.len(), 3, "{links:?}");
        assert!(links.contains(&"</docs/api/show_user>; rel=\"deprecation\"; type=\"text/html\""), "{links:?}");
    }

    #[test]
    fn what_is_deprecated_has_times_that_can_be_read_and_something_to_use_instead() {
        let all = || OPERATIONS.iter().chain(API_KEYS_PATH).chain(OAUTH).chain([&OLD]);
        for deprecated in all().filter_map(|operation| operation.deprecated) {
            assert!(Timestamp::parse(deprecated.since).is_some(), "{deprecated:?}");
            assert!(
                deprecated.sunset.is_none_or(|at| Timestamp::parse(at) > Timestamp::parse(deprecated.since)),
                "{deprecated:?}"
            );
            assert!(all().any(|operation| operation.id == deprecated.instead), "{deprecated:?}");
        }
    }
}
