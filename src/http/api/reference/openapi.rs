//! The API as an OpenAPI 3.1 document, in the conventions of the dialect that is on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Answer, Group, Param, Reference, all, problems, schemas};
use crate::http::api::dialect::Dialect;
use crate::http::api::dialect::error::ErrorShape;
use crate::http::api::dialect::examples;
use crate::http::api::dialect::listing::{Envelope, Paging};
use crate::http::api::dialect::preview;
use crate::http::api::operations::Access;
use crate::model::clock::Clock;
use crate::model::dialect::DialectName;
use crate::model::scope::Scope;

const VERBS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// The whole document; `base_url` without a slash at its end.
pub fn document(name: DialectName, base_url: &str, clock: &Clock) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut order = Vec::new();
    for reference in all() {
        let path = reference.operation.path;
        if !paths.contains_key(path) {
            order.push(path);
        }
        let verbs = paths.entry(path.into()).or_default();
        let method = reference.operation.method;
        if method == "ANY" {
            for verb in VERBS {
                let id = format!("{}_by_{verb}", reference.operation.id);
                verbs.insert((*verb).into(), operation(&reference, name, base_url, &id));
            }
        } else {
            verbs.insert(method.to_ascii_lowercase(), operation(&reference, name, base_url, reference.operation.id));
        }
    }
    let paths: Map<String, Value> =
        order.into_iter().filter_map(|path| Some((path.to_owned(), Value::Object(paths.remove(path)?)))).collect();
    let tags: Vec<Value> =
        Group::ALL.iter().map(|group| json!({ "name": group.title(), "description": group.words() })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyrack API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Users, API keys and rate limits.",
            "description": "Requests count per account, over all its keys; every answer says what is left. Each error has a stable code with a page of its own.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": base_url }],
        "externalDocs": { "url": format!("{base_url}/docs") },
        "tags": tags,
        "paths": paths,
        "components": components(name, base_url, clock),
    })
}

fn operation(reference: &Reference, name: DialectName, base_url: &str, id: &str) -> Value {
    let row = reference.operation;
    let mut operation = Map::new();
    operation.insert("operationId".into(), id.into());
    operation.insert("tags".into(), json!([reference.group.title()]));
    operation.insert("summary".into(), row.words.trim_end_matches('.').into());
    if !reference.more.is_empty() {
        operation.insert("description".into(), reference.more.into());
    }
    operation.insert("security".into(), security(reference));
    let parameters = parameters(reference, name);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.iter().map(parameter).collect());
    }
    if let Some(body) = &reference.body {
        let one = |kind: &&str| ((*kind).to_owned(), json!({ "schema": body.schema, "example": body.example }));
        let content: Map<String, Value> = body.content_types.iter().map(one).collect();
        operation.insert("requestBody".into(), json!({ "required": !body.optional, "content": content }));
    }
    operation.insert("responses".into(), Value::Object(responses(reference, name, base_url)));
    if let Some(deprecated) = &row.deprecated {
        operation.insert("deprecated".into(), true.into());
        let more = format!("{} {}", deprecated.words(), reference.more);
        operation.insert("description".into(), more.trim_end().into());
    }
    Value::Object(operation)
}

/// A key or a token with the scope, or a client by its secret (which may stand in the body instead).
fn security(reference: &Reference) -> Value {
    let scopes: Vec<&str> = reference.scope().iter().map(|scope| scope.name()).collect();
    match reference.operation.access {
        Access::Anyone => json!([]),
        Access::AnyKey | Access::Scope(_) => json!([{ "bearer": scopes }, { "oauth": scopes }]),
        Access::Client => json!([{ "client": [] }, {}]),
    }
}

/// The parameters, where the dialect reads them.
pub fn parameters(reference: &Reference, name: DialectName) -> Vec<Param> {
    const PAGING: &[&str] = &["limit", "offset", "after", "before"];
    let paging = Dialect::of(name).list.paging;
    let mut all = reference.all_params();
    all.extend(reference.params.iter().cloned());
    let version = Dialect::of(name).version.filter(|_| reference.group.is_limited() && reference.operation.method != "ANY");
    all.extend(version.map(|version| {
        let words = "The version that your program was written for. There is one so far.";
        Param { name: "Keyrack-Version", place: "header", required: false, schema: schemas::one_of(&[version]), words }
    }));
    all.retain(|param| !PAGING.contains(&param.name) || paging.reads(param.name));
    if matches!(reference.answer, Answer::List(..)) && matches!(paging, Paging::Cursor) {
        all.push(super::query("cursor", schemas::text(), "As a list's `next` or `previous` gave it."));
    }
    all
}

fn parameter(param: &Param) -> Value {
    json!({ "name": param.name, "in": param.place, "required": param.required, "description": param.words, "schema": param.schema })
}

/// By status; the errors as the dialect tells them.
fn responses(reference: &Reference, name: DialectName, base_url: &str) -> Map<String, Value> {
    let dialect = Dialect::of(name);
    let mut responses = Map::new();
    let (status, schema, example) = success(reference, name);
    let mut ok = json!({ "description": "Done.", "headers": headers(reference, dialect) });
    if let Some(schema) = schema {
        ok["content"] = json!({ "application/json": { "schema": schema, "example": example } });
    }
    let text = |example: &str| json!({ "text/plain": { "schema": { "type": "string" }, "example": example } });
    if let Answer::Text(example) = reference.answer {
        ok["content"] = text(example);
        responses.insert("403".into(), json!({ "description": "Not for you.", "content": text("") }));
        responses.insert("503".into(), json!({ "description": "It cannot be told.", "content": text("") }));
    }
    if matches!(reference.answer, Answer::Page) {
        let page = json!({ "text/html": { "schema": { "type": "string" } } });
        let sent_on = json!({ "Location": { "$ref": "#/components/headers/Location" } });
        ok["content"] = page.clone();
        responses.insert("302".into(), json!({ "description": "To the client, with a code or an error.", "headers": sent_on }));
        responses.insert("303".into(), json!({ "description": "To sign in first.", "headers": sent_on }));
        responses.insert("400".into(), json!({ "description": "It is not known who asks, or where to go.", "content": page }));
        responses.insert("403".into(), json!({ "description": "It came over plain HTTP.", "content": page }));
    }
    responses.insert(status.to_string(), ok);
    if reference.has_id() && reference.operation.method == "GET" || reference.operation.id == "show_own_user" {
        responses.insert("304".into(), json!({ "description": "What you have is still right." }));
    }
    let mut by_status: BTreeMap<u16, Vec<(&'static str, Value)>> = BTreeMap::new();
    for problem in problems::of(reference, name, base_url) {
        let body: Value = serde_json::from_str(&problem.body).unwrap_or_default();
        by_status.entry(problem.status).or_default().push((problem.native, body));
    }
    if reference.operation.id == "forward_auth" {
        by_status.retain(|status, _| [400, 401, 403, 429, 500, 503].contains(status));
    }
    for (status, errors) in by_status {
        let words: Vec<&str> = errors.iter().map(|(code, _)| *code).collect();
        let shown: Map<String, Value> =
            errors.iter().map(|(code, body)| ((*code).to_owned(), json!({ "value": body }))).collect();
        let mut answer = json!({
            "description": format!("One of: {}.", words.join(", ")),
            "content": { "application/json": { "schema": error_schema(reference, status), "examples": shown } },
        });
        if [429, 503, 507].contains(&status) {
            answer["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/Retry-After" } });
        }
        if status == 401 {
            answer["headers"] = json!({ "WWW-Authenticate": { "$ref": "#/components/headers/WWW-Authenticate" } });
        }
        responses.insert(status.to_string(), answer);
    }
    if reference.operation.id == "readiness" {
        let schema = schemas::reference("Readiness");
        responses.insert(
            "503".into(),
            json!({ "description": "It cannot do its work.", "content": { "application/json": { "schema": schema } } }),
        );
    }
    responses
}

/// An import tells what is wrong by line.
fn error_schema(reference: &Reference, status: u16) -> Value {
    if reference.group == Group::Oauth {
        return schemas::reference("OauthError");
    }
    match (reference.operation.id, status) {
        ("import_api_keys", 400) => json!({ "anyOf": [schemas::reference("Error"), schemas::reference("ImportError")] }),
        _ => schemas::reference("Error"),
    }
}

/// The status, the schema and an example of the answer when all went well.
pub fn success(reference: &Reference, name: DialectName) -> (u16, Option<Value>, Value) {
    let dialect = Dialect::of(name);
    match &reference.answer {
        Answer::One(schema, example) => (reference.status, Some(schemas::reference(schema)), example.clone()),
        Answer::List(schema, example) => {
            let list = dialect.list.envelope.schema(schemas::reference(schema));
            let rows = json!([example]);
            let example = match dialect.list.envelope {
                Envelope::Bare => rows,
                Envelope::Results => {
                    json!({ "results": rows, "next": null, "previous": null })
                }
                Envelope::ObjectList => {
                    json!({ "object": "list", "has_more": false, "data": rows })
                }
            };
            (200, Some(list), example)
        }
        Answer::Deleted { object, id_prefix } => match dialect.delete.schema(object) {
            None => (204, None, Value::Null),
            schema => {
                let id = format!("{id_prefix}_01h455vb4pex5vsknk084sn02q");
                (200, schema, json!({ "id": id, "object": object, "deleted": true }))
            }
        },
        Answer::Text(_) | Answer::Page | Answer::Empty => (reference.status, None, Value::Null),
    }
}

/// What the answer carries besides its body.
fn headers(reference: &Reference, dialect: &Dialect) -> Value {
    let mut names = vec!["X-Request-Id"];
    let limits = dialect.rate_headers;
    if reference.group.is_limited() {
        let mut add = |when: bool, more: &[&'static str]| names.extend(more.iter().filter(|_| when));
        add(limits.longest.is_some(), &["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]);
        add(limits.limit, &["RateLimit-Limit"]);
        add(limits.left, &["RateLimit-Remaining", "RateLimit-Reset"]);
        add(limits.policy, &["RateLimit-Policy"]);
    }
    match reference.answer {
        Answer::List(..) if !matches!(dialect.list.paging, Paging::Whole) => names.extend(["Link", "X-Total-Count"]),
        Answer::One("User" | "ApiKey" | "ApiKeyWithSecret", _) => names.push("ETag"),
        _ => {}
    }
    if reference.status == 201 {
        names.push("Location");
    }
    if let Some(deprecated) = &reference.operation.deprecated {
        names.push("Deprecation");
        names.extend(deprecated.sunset.map(|_| "Sunset"));
    }
    let refer = |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    Value::Object(names.iter().map(refer).collect())
}

fn components(name: DialectName, base_url: &str, clock: &Clock) -> Value {
    let mut shapes: Map<String, Value> = schemas::named().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    shapes.insert("Error".into(), error(name, base_url));
    shapes.insert("ImportError".into(), schemas::import_error());
    let limits = preview::limit_headers(name, clock);
    let shown =
        |header: &str| limits.iter().find(|(there, _)| there.eq_ignore_ascii_case(header)).map(|(_, value)| value.clone());
    let header = |name: &'static str, words: &str, number: bool| {
        let schema = if number { json!({ "type": "integer" }) } else { json!({ "type": "string" }) };
        let mut header = json!({ "description": words, "schema": schema });
        if let Some(example) = shown(name) {
            header["example"] = example.parse::<u64>().map_or_else(|_| example.clone().into(), Value::from);
        }
        (name.to_owned(), header)
    };
    let longest = "of the longest window, the quota";
    let tightest = "of the window with the fewest requests left";
    let mut headers: Map<String, Value> = [
        header("X-Request-Id", "The id of the request, for the log. One that you send is kept.", false),
        header("X-RateLimit-Limit", &format!("Requests {longest}."), true),
        header("X-RateLimit-Remaining", &format!("Requests left {longest}."), true),
        header("X-RateLimit-Reset", &format!("When it starts anew, {longest}."), true),
        header("RateLimit-Limit", &format!("Requests {tightest}."), true),
        header("RateLimit-Remaining", &format!("Requests left {tightest}."), true),
        header("RateLimit-Reset", &format!("Seconds until it starts anew, {tightest}."), true),
        header("RateLimit-Policy", "Every window, the shortest first: requests, and seconds.", false),
        header("Retry-After", "Seconds until the request would pass.", true),
        header("WWW-Authenticate", "RFC 6750, section 3.", false),
        header("ETag", "For If-Match and If-None-Match.", false),
        header("Location", "The path of what was made, or where to go.", false),
        header("Deprecation", "RFC 9745: since when there is something better.", false),
        header("Sunset", "RFC 8594: from when on it may be gone.", false),
        header("Link", "RFC 8288: first, prev, next.", false),
        header("X-Total-Count", "How many there are in all, when nothing is filtered.", true),
    ]
    .into_iter()
    .collect();
    if !all().iter().any(|reference| reference.operation.deprecated.is_some()) {
        headers.remove("Deprecation");
        headers.remove("Sunset");
    }
    let scopes: Vec<String> = Scope::ALL.iter().map(|scope| format!("`{}`: {}", scope.name(), scope.words())).collect();
    json!({
        "schemas": shapes,
        "headers": headers,
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": format!("An API key or an access token. Scopes: {}.", scopes.join("; ")),
            },
            "oauth": { "type": "oauth2", "description": "How a program gets an access token.", "flows": flows(base_url) },
            "client": { "type": "http", "scheme": "basic", "description": "The id and the secret of an OAuth client." },
        },
    })
}

fn flows(base_url: &str) -> Value {
    let scopes: Map<String, Value> = Scope::ALL.iter().map(|scope| (scope.name().to_owned(), scope.words().into())).collect();
    let token = format!("{base_url}/oauth/token");
    json!({
        "authorizationCode": {
            "authorizationUrl": format!("{base_url}/oauth/authorize"), "tokenUrl": token, "refreshUrl": token, "scopes": scopes,
        },
        "clientCredentials": { "tokenUrl": token, "scopes": scopes },
    })
}

/// The body of an error. The other dialects' are told by their example: each field as it is there.
fn error(name: DialectName, base_url: &str) -> Value {
    match Dialect::of(name).error {
        ErrorShape::Native => schemas::error(),
        ErrorShape::Text | ErrorShape::Coded | ErrorShape::Named => {
            let example = examples::each().into_iter().next().map(|error| examples::answer(name, &error, base_url).1);
            example.and_then(|text| serde_json::from_str(&text).ok()).map_or(json!({}), |example: Value| like(&example))
        }
    }
}

fn like(example: &Value) -> Value {
    match example {
        Value::Object(map) => {
            let fields: Vec<(&str, Value)> = map.iter().map(|(name, value)| (name.as_str(), like(value))).collect();
            schemas::closed(&fields)
        }
        Value::Number(_) => json!({ "type": "integer" }),
        _ => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::deprecation::tests::OLD;

    #[test]
    fn what_goes_away_is_marked_and_its_headers_are_told() {
        let reference = Reference { operation: &OLD, ..super::super::find("show_user").expect("a reference") };
        let told = operation(&reference, DialectName::Native, "https://keys.example.com", "show_user");
        assert_eq!(told["deprecated"], true);
        assert!(told["description"].as_str().is_some_and(|words| words.starts_with("Deprecated since 2026-11-22")), "{told}");
        for name in ["Deprecation", "Sunset"] {
            assert!(told["responses"]["200"]["headers"][name].is_object(), "{name}: {told}");
        }
    }
}
