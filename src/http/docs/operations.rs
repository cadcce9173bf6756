//! The page of an operation: what it needs, what comes back, and how it is called in five languages.

use serde_json::Value;

use super::Reader;
use super::article::Article;
use super::errors;
use crate::http::api::dialect::preview;
use crate::http::api::operations::Access;
use crate::http::api::reference::problems::{self, Problem};
use crate::http::api::reference::{self, Answer, Group, Reference, openapi, schemas};
use crate::http::samples::{self, Request, YOUR_KEY};

/// What stands in a sample where an id belongs: `USER_ID` in `/v1/users/{id}`.
fn id_placeholder(path: &str) -> String {
    let noun = path.split("/{id}").next().and_then(|before| before.rsplit('/').next()).unwrap_or_default();
    let one = noun.strip_suffix("ies").map_or_else(|| noun.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
    format!("{}_ID", one.to_ascii_uppercase())
}

/// The errors that are shown as they come.
const TELLING: &[&str] = &[
    "validation_error",
    "invalid_request",
    "invalid_api_key",
    "invalid_client",
    "insufficient_scope",
    "not_found",
    "rate_limit_exceeded",
];

pub fn path_of(id: &str) -> String {
    format!("api/{id}")
}

/// `List users` of `list_users`.
pub fn title(reference: &Reference) -> String {
    let words = reference.operation.id.replace('_', " ").replace("api key", "API key");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

pub fn request_line(reference: &Reference) -> String {
    let method = reference.operation.method;
    format!("{} {}", if method == "ANY" { "GET" } else { method }, reference.operation.path)
}

/// The operations of a group, a row each.
pub fn table(group: Group) -> String {
    let mut text = String::from("| Request | What it does | Scope |\n|---|---|---|\n");
    for reference in reference::all().iter().filter(|reference| reference.group == group) {
        let operation = reference.operation;
        let href = super::article::href(&path_of(operation.id));
        text += &format!("| [`{}`]({href}) | {} | {} |\n", request_line(reference), operation.words, needs(reference));
    }
    text
}

fn needs(reference: &Reference) -> String {
    match reference.operation.access {
        Access::Anyone => "No key".into(),
        Access::AnyKey => "Any key".into(),
        Access::Scope(scope) => format!("`{}`", scope.name()),
        Access::Client => "A client".into(),
    }
}

pub fn page(reader: &Reader, reference: &Reference) -> Article {
    let operation = reference.operation;
    let mut text = format!("`{}` · {}\n\n", request_line(reference), needs(reference));
    if let Some(deprecated) = &operation.deprecated {
        text += &format!("> **Deprecated.** {}\n\n", deprecated.words());
    }
    text += operation.words;
    if !reference.more.is_empty() {
        text += &format!("\n\n{}", reference.more);
    }
    text += "\n\n";
    if matches!(reference.answer, Answer::Page) {
        text += &format!("```text\n{}\n```\n\n", link_of(reader, reference));
    } else {
        for sample in samples::request(&sample_of(reader, reference)) {
            text += &format!("```{}\n{}\n```\n\n", sample.lang, sample.code);
        }
    }
    let params = openapi::parameters(reference, reader.dialect);
    if !params.is_empty() {
        text += "## Parameters\n\n| Name | In | Type | What |\n|---|---|---|---|\n";
        for param in &params {
            text += &format!("| `{}` | {} | {} | {} |\n", param.name, param.place, type_words(&param.schema), param.words);
        }
        text += "\n";
    }
    if let Some(body) = &reference.body {
        text += &fields("Body", &body.schema);
    }
    let (status, schema, _) = openapi::success(reference, reader.dialect);
    text += "## Answers\n\n";
    for (label, body) in answers(reader, reference) {
        text += &format!("```json {label}\n{body}\n```\n\n");
    }
    if matches!(reference.answer, Answer::Page) {
        text += "A page for the user (200), then the way back to the client (302 or 303). 303 leads to sign-in first, 400 is told to the user.\n\n";
    } else if schema.is_none() {
        text += &format!("Status {status} has no body.\n\n");
    }
    if reference.group.is_limited() {
        let names: Vec<String> =
            preview::limit_headers(reader.dialect, reader.clock).into_iter().map(|(name, _)| format!("`{name}`")).collect();
        text += &format!("Every answer has the headers {}: [Rate limits](/docs/rate-limits).\n\n", names.join(", "));
    }
    let mut problems = problems::of(reference, reader.dialect, "");
    problems.dedup_by_key(|problem| problem.code);
    if !problems.is_empty() {
        text += "## Errors\n\n| Status | Code | What happened |\n|---|---|---|\n";
    }
    for Problem { native, code, status, .. } in problems {
        let what = errors::known(native).map_or("", |known| known.what);
        text += &format!("| {status} | [`{code}`](/docs/errors/{code}) | {what} |\n");
    }
    Article::new(path_of(operation.id), title(reference), operation.words, text)
}

pub fn sample_of<'a>(reader: &Reader, reference: &'a Reference) -> Request<'a> {
    let path = reference.operation.path;
    let path = path.replace("{id}", &id_placeholder(path));
    let (_, schema, _) = openapi::success(reference, reader.dialect);
    Request {
        method: if reference.operation.method == "ANY" { "GET" } else { reference.operation.method },
        url: format!("{}{path}", reader.base_url),
        key: reference.needs_key().then_some(YOUR_KEY),
        body: reference.body.as_ref().map(|body| &body.example),
        answers_json: schema.is_some(),
    }
}

/// What a client leads its user to.
fn link_of(reader: &Reader, reference: &Reference) -> String {
    let values = [
        ("response_type", "code"),
        ("client_id", "CLIENT_ID"),
        ("redirect_uri", "https://app.example.com/callback"),
        ("scope", "users:read"),
        ("state", "STATE"),
        ("code_challenge", "CODE_CHALLENGE"),
        ("code_challenge_method", "S256"),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
    format!("{}{}?{query}", reader.base_url, reference.operation.path)
}

/// An answer for each status that clients meet, with its label.
fn answers(reader: &Reader, reference: &Reference) -> Vec<(String, String)> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (status, schema, example) = openapi::success(reference, reader.dialect);
    let mut answers = Vec::new();
    if schema.is_some() {
        answers.push((status.to_string(), pretty(&example)));
    }
    let problems = problems::of(reference, reader.dialect, reader.base_url);
    for telling in TELLING {
        let Some(Problem { status, body, .. }) = problems.iter().find(|problem| problem.native == *telling) else { continue };
        if !answers.iter().any(|(there, _)| *there == status.to_string()) {
            answers.push((status.to_string(), body.clone()));
        }
    }
    answers
}

/// The fields of a body as a table; of a list, those of its rows.
fn fields(heading: &str, schema: &Value) -> String {
    let schema = schema.get("items").filter(|_| schema["type"] == "array").unwrap_or(schema);
    let Some(properties) = schema["properties"].as_object() else { return String::new() };
    let mut text = format!("## {heading}\n\n| Field | Type | What |\n|---|---|---|\n");
    for (name, field) in properties {
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|there| there == name));
        let must = if required { "Required. " } else { "" };
        let words = field["description"].as_str().unwrap_or_default();
        text += &format!("| `{name}` | {} | {must}{words} |\n", type_words(field));
    }
    text + "\n"
}

/// A schema in a few words.
fn type_words(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        let named = schemas::named().into_iter().find(|(there, _)| *there == name);
        return named.map_or_else(|| name.to_owned(), |(_, schema)| type_words(&schema));
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(type_words).collect::<Vec<_>>().join(" or ");
    }
    if let Some(names) = schema["enum"].as_array() {
        let names: Vec<String> = names.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        return format!("one of {}", names.join(", "));
    }
    let range = |min: &str, max: &str, unit: &str| match (schema[min].as_i64(), schema[max].as_i64()) {
        (Some(min), Some(max)) => format!(", {min} to {max}{unit}"),
        (None, Some(max)) => format!(", up to {max}{unit}"),
        (Some(min), None) if min > 0 => format!(", from {min}{unit}"),
        _ => String::new(),
    };
    match schema["type"].as_str().unwrap_or_default() {
        "array" => format!("list of {}", type_words(&schema["items"]).replacen("one of", "any of", 1)),
        "integer" => format!("whole number{}", range("minimum", "maximum", "")),
        "string" if schema["format"] == "date-time" => "time, such as `2027-10-27T10:00:00Z`".into(),
        "string" if schema["examples"].is_array() => "duration, such as `90d`, `24h` or `30m`".into(),
        "string" => format!("text{}", range("minLength", "maxLength", " characters")),
        "boolean" => "`true` or `false`".into(),
        "null" => "`null`".into(),
        "object" => match schema["properties"].as_object() {
            Some(fields) => format!("object of {}", fields.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
            None => "object".into(),
        },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_called_after_what_it_is_of() {
        for (path, name) in [
            ("/v1/users/{id}", "USER_ID"),
            ("/v1/keys/{id}/rotate", "KEY_ID"),
            ("/v1/webhooks/{id}/deliveries", "WEBHOOK_ID"),
            ("/v1/webhooks/deliveries/{id}/replay", "DELIVERY_ID"),
            ("/oauth/grants/{id}", "GRANT_ID"),
        ] {
            assert_eq!(id_placeholder(path), name);
        }
    }

    #[test]
    fn the_page_of_what_goes_away_says_so_first() {
        use crate::http::api::deprecation::tests::OLD;
        use crate::model::clock::Clock;
        use crate::model::dialect::DialectName;
        let clock = Clock::real();
        let reader = Reader {
            dialect: DialectName::Native,
            base_url: "https://keys.example.com",
            clock: &clock,
            key_pattern: String::new(),
            anonymous_per_minute: 100,
            queue_seconds: 15,
        };
        let reference = Reference { operation: &OLD, ..reference::find("show_user").expect("a reference") };
        let text = page(&reader, &reference).markdown;
        let badge = "> **Deprecated.** Deprecated since 2026-11-22, and may be gone from 2027-11-22 on. Use [`list_users`]";
        assert!(text.contains(badge), "{text}");
    }
}
