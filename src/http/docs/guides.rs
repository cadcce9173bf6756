//! The guides: what concerns several operations at once. Their text is Markdown, filled in with this server's own facts.

use super::Reader;
use super::article::Article;
use super::operations::sample_of;
use crate::http::api::dialect::listing::{Envelope, Paging};
use crate::http::api::dialect::{Dialect, preview};
use crate::http::api::reference;
use crate::http::samples::{self, Request, YOUR_KEY};
use crate::model::scope::Scope;

struct Guide {
    path: &'static str,
    title: &'static str,
    words: &'static str,
    text: &'static str,
}

macro_rules! guide {
    ($path:literal, $title:literal, $words:literal) => {
        Guide {
            path: $path,
            title: $title,
            words: $words,
            text: include_str!(concat!("../../../templates/docs/guides/", $path, ".md")),
        }
    };
}

const GUIDES: &[Guide] = &[
    guide!("authentication", "Authentication", "One header, scopes, and what to do with a key that leaked."),
    guide!("rate-limits", "Rate limits", "Windows, the headers on every answer, and what a 429 says."),
    guide!("pagination", "Pagination", "How lists are read page by page."),
    guide!("idempotency", "Repeating requests safely", "Idempotency keys and ETags."),
    guide!("rotation", "Rotating a key", "A new secret without an interruption."),
    guide!("checking-keys", "Checking keys for your own API", "Ask whether a key is good, and count its use."),
    Guide {
        path: "gateways",
        title: "Gateways",
        words: "nginx, Caddy and Traefik ask before they let a request through.",
        text: include_str!("../../../docs/GATEWAYS.md"),
    },
    guide!("oauth", "OAuth 2.0", "Tokens for programs that act for users, or on their own behalf."),
    Guide {
        path: "webhooks",
        title: "Receiving webhooks",
        words: "What is sent, how it is verified, and what happens when it is not taken.",
        text: include_str!("../../../docs/WEBHOOKS.md"),
    },
    guide!("migration", "Moving in from another system", "Users and keys come along; customers notice nothing."),
    guide!("versioning", "Versions and deprecation", "What may change, and how it is told before."),
];

pub fn all(reader: &Reader) -> Vec<Article> {
    GUIDES.iter().map(|guide| guide.article(reader)).collect()
}

pub fn find(reader: &Reader, path: &str) -> Option<Article> {
    GUIDES.iter().find(|guide| guide.path == path).map(|guide| guide.article(reader))
}

/// Path, title and what each is about, in the order of the contents.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    GUIDES.iter().map(|guide| (guide.path, guide.title, guide.words))
}

impl Guide {
    fn article(&self, reader: &Reader) -> Article {
        // The title stands above the text already.
        let text = match self.text.strip_prefix("# ") {
            Some(rest) => rest.split_once('\n').map_or("", |(_, rest)| rest),
            None => self.text,
        };
        // What the files of the project call it.
        let text = text.replace("https://api.example.com/v1", &format!("{}/v1", reader.base_url));
        Article::new(self.path, self.title, self.words, filled(&text, reader))
    }
}

/// The text with this server's facts in the places for them.
fn filled(text: &str, reader: &Reader) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let name: String = after[1..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        match after[1 + name.len()..].strip_prefix('}').and_then(|more| Some((fact(&name, reader)?, more))) {
            Some((fact, more)) => {
                out.push_str(fact.trim_end());
                rest = more;
            }
            None => {
                out.push('{');
                rest = &after[1..];
            }
        }
    }
    out + rest
}

fn fact(name: &str, reader: &Reader) -> Option<String> {
    Some(match name {
        "first_request" => fenced(samples::first_request(reader.base_url, YOUR_KEY)),
        "rotate_example" => example(reader, "rotate_api_key"),
        "verify_example" => example(reader, "verify_api_key"),
        "import_example" => example(reader, "import_api_keys"),
        "token_example" => example(reader, "issue_token"),
        "base" => reader.base_url.to_owned(),
        "version_words" => Dialect::of(reader.dialect).version.map_or_else(String::new, |version| {
            format!(
                "A program may say which version it was written for: `Keyrack-Version: {version}`. There is one so far; any other is \
                 refused, so that no program gets answers of a kind that it does not know."
            )
        }),
        "list_example" => {
            let size = if matches!(paging(reader), Paging::Whole) { "" } else { "?limit=100" };
            let url = format!("{}/v1/users{size}", reader.base_url);
            fenced(samples::request(&Request { method: "GET", url, key: Some(YOUR_KEY), body: None, answers_json: true }))
        }
        "scopes" => {
            let rows: Vec<String> =
                Scope::ALL.iter().map(|scope| format!("| `{}` | {} |", scope.name(), scope.words())).collect();
            format!("| Scope | What it allows |\n|---|---|\n{}", rows.join("\n"))
        }
        "pattern" => reader.key_pattern.clone(),
        "limit_headers" => {
            let headers = preview::limit_headers(reader.dialect, reader.clock);
            headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
        }
        "limit_words" => limit_words(reader),
        "anonymous" => reader.anonymous_per_minute.to_string(),
        "queue_seconds" => reader.queue_seconds.to_string(),
        "listing" => listing(reader),
        _ => return None,
    })
}

fn example(reader: &Reader, id: &str) -> String {
    reference::find(id).map(|reference| fenced(samples::request(&sample_of(reader, &reference)))).unwrap_or_default()
}

fn fenced(samples: Vec<samples::Sample>) -> String {
    samples.iter().map(|sample| format!("```{}\n{}\n```\n\n", sample.lang, sample.code)).collect()
}

/// What the headers mean, of those that the dialect sends.
fn limit_words(reader: &Reader) -> String {
    let has = |name: &str| preview::limit_headers(reader.dialect, reader.clock).iter().any(|(there, _)| there == name);
    let lines = [
        (
            "x-ratelimit-limit",
            "`X-RateLimit-*` tell of the longest window, the quota of the account: its size, what is left, and when it starts anew.",
        ),
        ("ratelimit-remaining", "`RateLimit-*` tell of the window with the fewest requests left; the reset is in seconds."),
        ("ratelimit-policy", "`RateLimit-Policy` names every window, the shortest first: requests, and seconds."),
        ("retry-after", "`Retry-After` is there when a request was refused, in seconds."),
    ];
    lines.iter().filter(|(name, _)| has(name)).map(|(_, words)| format!("- {words}\n")).collect()
}

fn paging(reader: &Reader) -> Paging {
    Dialect::of(reader.dialect).list.paging
}

fn listing(reader: &Reader) -> String {
    let list = Dialect::of(reader.dialect).list;
    let shape = match list.envelope {
        Envelope::Bare => "A list is a bare JSON array, oldest first.",
        Envelope::Results => {
            "A list is an object: `results` has the rows, `next` and `previous` lead to the neighbouring pages or are `null`."
        }
        Envelope::ObjectList => "A list is an object: `data` has the rows, and `has_more` says whether more follow.",
    };
    let ways = match list.paging {
        Paging::Anywhere => {
            "`limit` says how many rows a page has (1 to 100, 20 without it). A page begins after as many rows as `offset` says, or after \
             the row with the id `after`, or ends before the row with the id `before`. The header `Link` (RFC 8288) leads to the first, \
             the previous and the next page; `X-Total-Count` says how many rows there are, when nothing is filtered. \
             `sort=-created_at` turns the order."
        }
        Paging::Cursor => {
            "`limit` says how many rows a page has (1 to 100, 20 without it), `cursor` where it begins: take it from `next` or `previous`."
        }
        Paging::Keyset => {
            "`limit` says how many rows a page has (1 to 100, 20 without it). A page begins after the row with the id `after`, or ends before the row with the id `before`."
        }
        Paging::Whole => "A list comes whole, in one answer.",
    };
    format!("{shape} {ways}")
}
