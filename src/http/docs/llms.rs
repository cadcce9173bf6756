//! The documentation as a list of links for language models (<https://llmstxt.org>).

use super::article;
use super::oauth_errors::OAUTH_ERRORS;
use super::{Reader, errors, guides, operations};
use crate::http::api::reference::{self, Group};

pub fn text(reader: &Reader) -> String {
    let base = reader.base_url;
    let mut text = format!(
        "# Keyrack API\n\n> Users, API keys and rate limits at {base}. Every request carries `Authorization: Bearer YOUR_API_KEY`; \
         every answer carries the limits of the account. Paths begin with `/v1`.\n\n\
         - [OpenAPI 3.1]({base}/openapi.json): every operation, parameter, answer and error\n\
         - [Start]({base}/docs/index.md): the first request, all operations, all errors\n",
    );
    text += "\n## Guides\n\n";
    text.extend(guides::list().map(|(path, title, words)| format!("- [{title}]({base}{}.md): {words}\n", article::href(path))));
    for &group in Group::ALL {
        text += &format!("\n## {}\n\n", group.title());
        for reference in reference::all().iter().filter(|reference| reference.group == group) {
            let href = article::href(&operations::path_of(reference.operation.id));
            text += &format!("- [{}]({base}{href}.md): {}\n", operations::request_line(reference), reference.operation.words);
        }
    }
    text += "\n## Errors\n\n";
    for row in errors::rows(reader) {
        text += &format!("- [{}]({base}/docs/errors/{}.md): {}\n", row.code, row.code, row.what);
    }
    for error in OAUTH_ERRORS {
        text += &format!("- [{}]({base}/docs/errors/{}.md): {}\n", error.code, error.code, error.what);
    }
    text += &format!("\n## Optional\n\n- [Change log]({base}/docs/changelog.md): what changed\n");
    text
}
