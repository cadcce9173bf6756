//! A page for each code below `/oauth/`, which are those of RFC 6749 in every dialect.

use super::article::Article;
use super::errors::{ErrorDoc, doc};
use crate::http::oauth_refusal::examples::{self, Example};

/// All but `rate_limit_exceeded`, which means the same as at the API.
pub const OAUTH_ERRORS: &[ErrorDoc] = &[
    ErrorDoc {
        mistakes: &["The same parameter was sent twice.", "The client named itself by HTTP Basic and in the body."],
        ..doc(
            "invalid_request",
            "A parameter is missing, is there twice or cannot be read; or the request itself cannot be taken.",
            "The description names the parameter. Send the parameters as a form or as JSON, over HTTPS.",
        )
    },
    ErrorDoc {
        mistakes: &["The secret was rotated, and the overlap is over.", "HTTP Basic without percent-encoding of the two parts."],
        related: &["unauthorized_client"],
        ..doc(
            "invalid_client",
            "There is no such client, or its secret is another.",
            "Compare the id with the client's page in the dashboard. A lost secret is replaced there: Rotate secret.",
        )
    },
    ErrorDoc {
        mistakes: &[
            "The code was exchanged twice: the second time ends all that the first gave.",
            "redirect_uri is not, letter by letter, the one that the code was asked for with.",
            "code_verifier is not the one whose SHA-256 was sent as code_challenge.",
            "An old refresh token was used: each works once, and the answer has the next one.",
        ],
        ..doc(
            "invalid_grant",
            "The code or the refresh token is unknown, used, over, or was given to another client.",
            "Ask the user again: begin at /oauth/authorize.",
        )
    },
    doc(
        "unauthorized_client",
        "The client may not get a token in this way.",
        "A public client acts for users only. Another one acts on its own behalf as long as whoever registered it is there.",
    ),
    doc(
        "unsupported_grant_type",
        "The server does not know this grant_type.",
        "Use authorization_code, refresh_token or client_credentials.",
    ),
    doc("unsupported_response_type", "The server does not know this response_type.", "Send response_type=code."),
    ErrorDoc {
        mistakes: &["Scopes are separated by spaces, not by commas."],
        ..doc(
            "invalid_scope",
            "A scope does not exist, or neither the client nor the user may have it.",
            "Ask for scopes that the client is registered for. A refresh may ask for less than before, never for more.",
        )
    },
    doc(
        "access_denied",
        "The user did not allow it.",
        "Go on without. Ask again only when the user does something that needs it.",
    ),
    ErrorDoc {
        related: &["temporarily_unavailable"],
        ..doc(
            "server_error",
            "Something went wrong on the server's side, or its disk is full.",
            "Try again. If it happens twice, send the X-Request-Id of the answer to whoever runs the server.",
        )
    },
    ErrorDoc {
        related: &["server_error"],
        ..doc(
            "temporarily_unavailable",
            "More is to be done than the server can do now.",
            "Wait as many seconds as Retry-After says, then try again.",
        )
    },
];

pub fn table() -> String {
    let mut text =
        String::from("Below `/oauth/`, in the shape of RFC 6749.\n\n| Code | Status | What happened |\n|---|---|---|\n");
    for error in OAUTH_ERRORS {
        let statuses = statuses(&behind(error.code));
        text += &format!("| [`{0}`](/docs/errors/{0}) | {statuses} | {1} |\n", error.code, error.what);
    }
    text
}

pub fn page(code: &str) -> Option<Article> {
    let error = OAUTH_ERRORS.iter().find(|error| error.code == code)?;
    let behind = behind(code);
    let first = behind.first()?;
    let mut text = format!("Status {}\n\n## What happened\n\n{}\n\n", statuses(&behind), error.what);
    text += &format!("## How to fix it\n\n{}\n\n", error.fix);
    if !error.mistakes.is_empty() {
        text += "## Common mistakes\n\n";
        text.extend(error.mistakes.iter().map(|line| format!("- {line}\n")));
        text += "\n";
    }
    text += "## The answer\n\n";
    text += &match first.is_sent_on() {
        true => {
            format!("```http\nLocation: https://app.example.com/callback?error={code}&error_description=…&state=…&iss=…\n```\n")
        }
        false => format!("```json\n{}\n```\n", first.answer().1),
    };
    if !error.related.is_empty() {
        let links: Vec<String> = error.related.iter().map(|code| format!("[{code}](/docs/errors/{code})")).collect();
        text += &format!("\nRelated: {}\n", links.join(", "));
    }
    text += "\nMore: [OAuth 2.0](/docs/oauth).\n";
    Some(Article::new(format!("errors/{code}"), code, error.what, text))
}

fn behind(code: &str) -> Vec<Example> {
    let mut behind = examples::each();
    behind.retain(|example| example.code() == code);
    behind
}

fn statuses(behind: &[Example]) -> String {
    let mut all: Vec<String> =
        behind.iter().map(|it| if it.is_sent_on() { "302".to_owned() } else { it.status().to_string() }).collect();
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::errors::ERRORS;
    use super::*;

    #[test]
    fn every_code_of_oauth_is_explained_once() {
        for example in examples::each() {
            let explained = OAUTH_ERRORS.iter().chain(ERRORS).filter(|error| error.code == example.code()).count();
            assert_eq!(explained, 1, "{}", example.code());
        }
        for error in OAUTH_ERRORS {
            assert!(page(error.code).is_some(), "{} is answered by nothing", error.code);
        }
    }
}
