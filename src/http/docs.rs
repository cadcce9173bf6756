//! The plain API reference at `/docs`, and a page for each error code that the API may answer with.

use askama::Template;

use super::page::Frame;
use super::samples::Sample;

#[derive(Template)]
#[template(path = "docs/index.html")]
pub struct DocsPage {
    pub frame: Frame,
    pub samples: Vec<Sample>,
    pub operations: Vec<OperationRow>,
    pub errors: &'static [ErrorDoc],
}

pub struct OperationRow {
    pub request: String,
    pub words: String,
    pub scope: String,
}

#[derive(Template)]
#[template(path = "docs/error.html")]
pub struct ErrorDocPage {
    pub frame: Frame,
    pub error: &'static ErrorDoc,
    pub body: String,
    pub related: &'static [&'static str],
}

/// What the page of an error code says.
pub struct ErrorDoc {
    pub code: &'static str,
    pub status: u16,
    pub what: &'static str,
    pub fix: &'static str,
    pub mistakes: &'static [&'static str],
    pub related: &'static [&'static str],
}

const fn doc(code: &'static str, status: u16, what: &'static str, fix: &'static str) -> ErrorDoc {
    ErrorDoc { code, status, what, fix, mistakes: &[], related: &[] }
}

pub const ERRORS: &[ErrorDoc] = &[
    ErrorDoc {
        mistakes: &["The header is called Authorization, and the word Bearer comes before the key.", "A client that follows a redirect to another host drops the header."],
        related: &["invalid_api_key", "expired_api_key"],
        ..doc("missing_api_key", 401, "The request carried no API key.", "Send the header Authorization: Bearer YOUR_API_KEY. A key in the address or in a cookie is not read.")
    },
    ErrorDoc {
        mistakes: &["A line break or a quote was copied with the key.", "The key belongs to another server.", "The key was rotated, and the time of its old secret is over."],
        related: &["missing_api_key", "expired_api_key"],
        ..doc("invalid_api_key", 401, "The key is unknown, revoked or disabled, or its owner may no longer use the API.", "Look the key up under Settings > API Keys by its last four characters. If it is not there, or revoked, generate a new one.")
    },
    doc("expired_api_key", 401, "The key was valid until its expiry, which has passed.", "Generate a new key. Rotate before the expiry next time: the key's page shows it."),
];
