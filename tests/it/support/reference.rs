//! Every answer that a test gets from the native API is held against `openapi.json`: its status must be there, and its
//! body must have the shape that is promised.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use keyrack::http::api::reference::openapi;
use keyrack::http::docs;
use keyrack::model::clock::Clock;
use keyrack::model::dialect::DialectName;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Reply;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| openapi::document(DialectName::Native, "https://keys.example.com", &Clock::real()));
/// By operation and status; none where there is no body.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Option<&'static Validator>>>> = LazyLock::new(Mutex::default);

/// Panics when the answer is not as documented.
#[track_caller]
pub fn check(method: &Method, path: &str, reply: &Reply) {
    let path = path.split('?').next().unwrap_or_default();
    let verb = method.as_str().to_ascii_lowercase();
    let Some((template, operation)) = operation(&verb, path) else { return };
    let responses = &operation["responses"];
    let status = reply.status.to_string();
    let response = &responses[&status];
    assert!(
        response.is_object(),
        "{method} {template} answered {status}, which openapi.json does not tell: {}\n{}",
        reply.text,
        responses.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default(),
    );
    if ["text/plain", "text/html"].iter().any(|kind| response["content"][kind].is_object()) {
        return;
    }
    let Some(validator) = validator(&format!("{verb} {template} {status}"), response) else {
        assert!(
            reply.text.is_empty(),
            "{method} {template}: {status} has a body that openapi.json does not tell of: {}",
            reply.text
        );
        return;
    };
    let body = reply.json();
    let wrong: Vec<String> =
        validator.iter_errors(&body).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {template}: {status} is not as openapi.json says: {wrong:#?}\n{}", reply.text);
}

/// Panics when an error has a code that no page explains.
#[track_caller]
pub fn check_code(dialect: DialectName, reply: &Reply) {
    if !reply.header("content-type").contains("json") {
        return;
    }
    let Ok(body) = serde_json::from_str::<Value>(&reply.text) else { return };
    let code = match dialect {
        DialectName::Plain => return,
        DialectName::Usertour => body["error"].get("code").unwrap_or(&body["error"]),
        DialectName::Resend => body.get("name").unwrap_or(&body["error"]),
        DialectName::Native | DialectName::Mitwirken => &body["error"],
    };
    let Some(code) = code.as_str() else { return };
    assert!(docs::explains(dialect, code), "no page explains {code}: {}", reply.text);
}

/// The operation whose template fits the path best: `/v1/users/me` before `/v1/users/{id}`.
fn operation(verb: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object()?;
    let fits = |template: &str| {
        let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
    };
    let mut fitting: Vec<&String> = paths.keys().filter(|template| fits(template)).collect();
    fitting.sort_by_key(|template| template.matches('{').count());
    let template = fitting.first()?.as_str();
    Some((template, paths[template].get(verb)?))
}

fn validator(name: &str, response: &Value) -> Option<&'static Validator> {
    let mut known = VALIDATORS.lock().expect("no test panics while it holds this");
    if let Some(validator) = known.get(name) {
        return *validator;
    }
    let schema = &response["content"]["application/json"]["schema"];
    let made = schema.is_object().then(|| {
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&whole).expect("a schema");
        &*Box::leak(Box::new(validator))
    });
    known.insert(name.to_owned(), made);
    made
}
