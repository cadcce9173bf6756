//! The page of an operation: what it needs, what comes back, and how it is called in five languages.

use serde_json::Value;

use super::Reader;
use super::article::Article;
use super::errors::ERRORS;
use crate::http::api::dialect::{examples, preview};
use crate::http::api::operations::Access;
use crate::http::api::reference::{self, Group, Reference, openapi, schemas};
use crate::http::samples::{self, Request, YOUR_KEY};
use crate::model::dialect::DialectName;

/// What stands in a sample where an id belongs.
const fn id_placeholder(group: Group) -> &'static str {
    match group {
        Group::Users => "USER_ID",
        _ => "KEY_ID",
    }
}

pub fn page(reader: &Reader, id: &str) -> Option<Article> {
    let reference = reference::find(id)?;
    Some(article(reader, &reference))
}

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
    }
}

fn article(reader: &Reader, reference: &Reference) -> Article {
    let operation = reference.operation;
    let mut text = format!("`{}` · {}\n\n{}", request_line(reference), needs(reference), operation.words);
    if !reference.more.is_empty() {
        text += &format!("\n\n{}", reference.more);
    }
    text += "\n\n";
    for sample in samples::request(&sample_of(reader, reference)) {
        text += &format!("```{}\n{}\n```\n\n", sample.lang, sample.code);
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
    if schema.is_none() {
        text += &format!("Status {status} has no body.\n\n");
    }
    if reference.group != Group::Server {
        let names: Vec<String> =
            preview::limit_headers(reader.dialect, reader.clock).into_iter().map(|(name, _)| format!("`{name}`")).collect();
        text += &format!("Every answer has the headers {}: [Rate limits](/docs/rate-limits).\n\n", names.join(", "));
    }
    text += "## Errors\n\n| Status | Code | What happened |\n|---|---|---|\n";
    let mut told: Vec<(u16, &str, &str)> = Vec::new();
    for code in reference.all_errors() {
        let Some(error) = examples::under(DialectName::Native, code).into_iter().next() else { continue };
        let name = examples::code(reader.dialect, &error);
        let (status, _) = examples::answer(reader.dialect, &error, "");
        let what = ERRORS.iter().find(|known| known.code == code).map_or("", |known| known.what);
        told.push((status, name, what));
    }
    told.sort_by_key(|(status, ..)| *status);
    told.dedup_by_key(|(_, name, _)| *name);
    for (status, name, what) in told {
        text += &format!("| {status} | [`{name}`](/docs/errors/{name}) | {what} |\n");
    }
    Article::new(path_of(operation.id), title(reference), operation.words, text)
}

pub fn sample_of<'a>(reader: &Reader, reference: &'a Reference) -> Request<'a> {
    let path = reference.operation.path.replace("{id}", id_placeholder(reference.group));
    let (_, schema, _) = openapi::success(reference, reader.dialect);
    Request {
        method: if reference.operation.method == "ANY" { "GET" } else { reference.operation.method },
        url: format!("{}{path}", reader.base_url),
        key: reference.needs_key().then_some(YOUR_KEY),
        body: reference.body.as_ref().map(|body| &body.example),
        answers_json: schema.is_some(),
    }
}

/// An answer for each status that clients meet, with its label.
fn answers(reader: &Reader, reference: &Reference) -> Vec<(String, String)> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (status, schema, example) = openapi::success(reference, reader.dialect);
    let mut answers = Vec::new();
    if schema.is_some() {
        answers.push((status.to_string(), pretty(&example)));
    }
    let telling = ["validation_error", "invalid_api_key", "insufficient_scope", "not_found", "rate_limit_exceeded"];
    let codes = reference.all_errors();
    for code in telling.into_iter().filter(|code| codes.contains(code)) {
        let Some(error) = examples::under(DialectName::Native, code).into_iter().next() else { continue };
        let (status, body) = examples::answer(reader.dialect, &error, reader.base_url);
        if !answers.iter().any(|(there, _)| *there == status.to_string()) {
            answers.push((status.to_string(), body));
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
