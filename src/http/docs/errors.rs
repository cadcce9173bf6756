//! A page for each error code that the API may answer with, in the words of the dialect that is on.

use super::Reader;
use super::article::Article;
use super::oauth_errors::{self, OAUTH_ERRORS};
use crate::http::api::dialect::examples;

/// What the page of an error code says.
pub struct ErrorDoc {
    pub code: &'static str,
    pub what: &'static str,
    pub fix: &'static str,
    pub mistakes: &'static [&'static str],
    pub related: &'static [&'static str],
}

/// A code of the dialect that is on.
pub struct ErrorRow {
    pub code: &'static str,
    pub status: u16,
    pub what: &'static str,
}

/// What is said of a native code, or of one of OAuth's.
pub fn known(code: &str) -> Option<&'static ErrorDoc> {
    ERRORS.iter().chain(OAUTH_ERRORS).find(|known| known.code == code)
}

/// A row for each code that the dialect tells, with the first error that stands behind it.
pub fn rows(reader: &Reader) -> Vec<ErrorRow> {
    let mut rows: Vec<ErrorRow> = Vec::new();
    for error in examples::each() {
        let code = examples::code(reader.dialect, &error);
        let Some(known) = ERRORS.iter().find(|known| known.code == error.code()) else { continue };
        if !rows.iter().any(|row| row.code == code) {
            let (status, _) = examples::answer(reader.dialect, &error, "");
            rows.push(ErrorRow { code, status, what: known.what });
        }
    }
    rows
}

/// The codes as a table, each with a link to its page.
pub fn table(reader: &Reader) -> String {
    let mut text = String::from("| Code | Status | What happened |\n|---|---|---|\n");
    for row in rows(reader) {
        text += &format!("| [`{0}`](/docs/errors/{0}) | {1} | {2} |\n", row.code, row.status, row.what);
    }
    text
}

pub fn all(reader: &Reader) -> Article {
    let text = format!(
        "An error has a stable code, words for people, and the id of its request.\n\n{}\n## OAuth\n\n{}",
        table(reader),
        oauth_errors::table(),
    );
    Article::new("errors", "Errors", "Every code that the API may answer with.", text)
}

/// The page of a code; in some dialects several errors stand behind it.
pub fn page(reader: &Reader, code: &str) -> Option<Article> {
    let behind = examples::under(reader.dialect, code);
    let Some(first) = behind.first() else { return oauth_errors::page(code) };
    let (status, body) = examples::answer(reader.dialect, first, reader.base_url);
    let mut errors: Vec<&ErrorDoc> = Vec::new();
    for error in &behind {
        let known = ERRORS.iter().find(|known| known.code == error.code());
        errors.extend(known.filter(|known| !errors.iter().any(|there| there.code == known.code)));
    }
    let one = errors.len() == 1;
    let told = |words: fn(&ErrorDoc) -> &'static str| match errors.as_slice() {
        [error] => format!("{}\n", words(error)),
        several => several.iter().map(|error| format!("- {}\n", words(error))).collect(),
    };
    let mut text = format!("Status {status}\n\n## What happened\n\n");
    if !one {
        text += "One of these; the message of the answer says which.\n\n";
    }
    text += &format!("{}\n## How to fix it\n\n{}\n", told(|error| error.what), told(|error| error.fix));
    let mistakes: Vec<&str> = errors.iter().filter(|_| one).flat_map(|error| error.mistakes).copied().collect();
    if !mistakes.is_empty() {
        text += "## Common mistakes\n\n";
        text.extend(mistakes.iter().map(|line| format!("- {line}\n")));
        text += "\n";
    }
    text += &format!("## The answer\n\n```json\n{body}\n```\n");
    // Named as the dialect names them, where those pages are.
    let named = |native: &'static str| {
        examples::under(reader.dialect, native).first().map_or(native, |error| examples::code(reader.dialect, error))
    };
    let mut related: Vec<&str> = errors.iter().flat_map(|error| error.related).map(|&native| named(native)).collect();
    related.retain(|other| *other != code);
    related.sort_unstable();
    related.dedup();
    if !related.is_empty() {
        let links: Vec<String> = related.iter().map(|code| format!("[{code}](/docs/errors/{code})")).collect();
        text += &format!("\nRelated: {}\n", links.join(", "));
    }
    let summary = errors.first().map_or("", |error| error.what);
    Some(Article::new(format!("errors/{code}"), code, summary, text))
}

pub(super) const fn doc(code: &'static str, what: &'static str, fix: &'static str) -> ErrorDoc {
    ErrorDoc { code, what, fix, mistakes: &[], related: &[] }
}

/// The native codes.
pub const ERRORS: &[ErrorDoc] = &[
    ErrorDoc {
        mistakes: &[
            "The header is called Authorization, and the word Bearer comes before the key.",
            "A client that follows a redirect to another host drops the header.",
        ],
        related: &["invalid_api_key", "expired_api_key"],
        ..doc(
            "missing_api_key",
            "The request carried no API key.",
            "Send the header Authorization: Bearer YOUR_API_KEY. A key in the address or in a cookie is not read.",
        )
    },
    ErrorDoc {
        mistakes: &[
            "A line break or a quote was copied with the key.",
            "The key belongs to another server.",
            "The key was rotated, and the time of its old secret is over.",
        ],
        related: &["missing_api_key", "expired_api_key"],
        ..doc(
            "invalid_api_key",
            "The key is unknown, revoked or disabled, or its owner may no longer use the API.",
            "Look the key up under Settings > API Keys, which shows the last four characters of each. If it is not there, or revoked, generate a new one.",
        )
    },
    ErrorDoc {
        related: &["invalid_api_key", "key_expired"],
        ..doc(
            "expired_api_key",
            "The key was valid until its expiry, which has passed.",
            "Generate a new key. The page of a key shows its expiry, so that it can be replaced in time.",
        )
    },
    doc(
        "token_expired",
        "The access token was valid until its expiry, which has passed.",
        "Exchange the refresh token for a new access token, then repeat the request.",
    ),
    doc(
        "ip_not_allowed",
        "The key has a list of allowed addresses, and the request came from another one.",
        "Add the address to the key's list, or send the request from an address that is on it. The message names the address that was seen.",
    ),
    ErrorDoc {
        mistakes: &["GET needs a scope that ends in :read, every other verb one that ends in :write."],
        related: &["admin_required"],
        ..doc(
            "insufficient_scope",
            "The key is valid, but may not do this. The field required_scope names what is missing.",
            "Use a key that has the scope, or ask an administrator to give it to this one.",
        )
    },
    ErrorDoc {
        related: &["insufficient_scope"],
        ..doc("admin_required", "Only an administrator may do this.", "Ask an administrator, or use a key with the scope admin.")
    },
    ErrorDoc {
        related: &["insufficient_scope"],
        ..doc(
            "restricted_api_key",
            "The key is valid, but a restricted one: it may not manage API keys.",
            "Use a key with full access to create, list, rename or remove keys.",
        )
    },
    doc(
        "user_required",
        "The request needs a user, and the token was given to a client on its own behalf.",
        "Use an API key, or a token that a user granted.",
    ),
    ErrorDoc {
        related: &["invalid_json", "bad_request"],
        ..doc(
            "validation_error",
            "One or more fields cannot be accepted.",
            "Read the list errors: it has one entry for each problem, with the field, a code and words for people.",
        )
    },
    ErrorDoc {
        mistakes: &["An id of another account is not found either: nobody learns what others have."],
        related: &["method_not_allowed"],
        ..doc(
            "not_found",
            "There is nothing at this path, or nothing with this id that the key may see.",
            "Check the path and the id.",
        )
    },
    doc("last_admin", "The change would leave the server without an administrator.", "Make another user an administrator first."),
    doc("key_revoked", "The key is revoked, and a revoked key cannot be changed.", "Create a new key."),
    doc("key_expired", "The key has expired and cannot be rotated.", "Give it a later expiry first, or create a new key."),
    doc(
        "precondition_failed",
        "The resource has changed since it was read: its ETag is no longer the one in If-Match.",
        "Read it again, and repeat the change with the new ETag.",
    ),
    ErrorDoc {
        related: &["request_in_progress"],
        ..doc(
            "idempotency_key_reused",
            "This Idempotency-Key was used before, with another body.",
            "Use a new key for a new request. The same key with the same body gets the first answer again, for 24 hours.",
        )
    },
    ErrorDoc {
        related: &["idempotency_key_reused"],
        ..doc(
            "request_in_progress",
            "A request with this Idempotency-Key is still being worked on.",
            "Wait a second, then repeat the request with the same key.",
        )
    },
    ErrorDoc {
        mistakes: &[
            "All keys of an account count together: a second key brings no second quota.",
            "Trying again at once changes nothing. Wait as long as Retry-After says, and longer after each further 429.",
        ],
        related: &["service_unavailable", "too_many_attempts"],
        ..doc(
            "rate_limit_exceeded",
            "The account has used up one of its windows. A refused request is not counted.",
            "Wait as many seconds as Retry-After says. The headers X-RateLimit-Remaining and RateLimit-Policy tell in advance.",
        )
    },
    ErrorDoc {
        related: &["rate_limit_exceeded"],
        ..doc(
            "service_unavailable",
            "More requests came at once than the server works on, and this one waited for its turn too long.",
            "Wait as many seconds as Retry-After says, then try again.",
        )
    },
    ErrorDoc {
        related: &["rate_limit_exceeded"],
        ..doc("too_many_attempts", "Too many attempts failed from this address.", "Wait as many seconds as Retry-After says.")
    },
    doc(
        "storage_full",
        "The server's disk is full. Nothing was changed, and reading still works.",
        "Whoever runs the server has to make room. It recovers without a restart.",
    ),
    doc(
        "internal_error",
        "Something went wrong on the server's side.",
        "Try again. If it happens twice, send the request_id to whoever runs the server: the log has the details under it.",
    ),
    doc(
        "https_required",
        "The request came over plain HTTP, so the key may have been read on its way.",
        "Revoke the key, generate another, and use https:// from now on.",
    ),
    doc(
        "1010",
        "The request had no User-Agent header, which this server asks for.",
        "Name your program in the header, for example User-Agent: my-app/1.0.",
    ),
    ErrorDoc {
        related: &["validation_error", "unsupported_media_type"],
        ..doc(
            "invalid_json",
            "The body is not JSON. The message names the line and the column.",
            "Send the body through a JSON library rather than putting it together by hand.",
        )
    },
    ErrorDoc {
        related: &["invalid_json"],
        ..doc(
            "unsupported_media_type",
            "The body is of another type than this path reads.",
            "Send the header Content-Type: application/json.",
        )
    },
    doc("body_too_large", "The body is larger than this path reads.", "Send less at a time. The message names the limit."),
    doc(
        "request_timeout",
        "The body did not arrive in full within the time for it.",
        "Send the request again, over a better connection or with a smaller body.",
    ),
    ErrorDoc {
        related: &["not_found"],
        ..doc(
            "method_not_allowed",
            "The path exists, but does not answer this verb.",
            "Use one of the verbs that the header Allow names.",
        )
    },
    ErrorDoc {
        related: &["validation_error"],
        ..doc("bad_request", "The request cannot be read.", "The message says what to change.")
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_once() {
        for (n, error) in ERRORS.iter().enumerate() {
            assert!(ERRORS[..n].iter().all(|other| other.code != error.code), "{}", error.code);
        }
    }

    #[test]
    fn related_codes_have_pages_too() {
        for error in ERRORS {
            for code in error.related {
                assert!(ERRORS.iter().any(|known| known.code == *code), "{} names {code}", error.code);
            }
        }
    }
}
