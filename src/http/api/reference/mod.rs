//! What those who call an operation are told of it: parameters, body, answer, errors. `openapi.json` and the pages below
//! `/docs` are made from this and the table of operations; the tests hold both against real answers.

mod api_keys;
mod grants;
mod oauth;
pub mod openapi;
pub mod problems;
pub mod schemas;
mod services;
mod the_server;
mod users;
mod webhooks;

use serde_json::{Value, json};

use super::operations::{Access, OAUTH, OAUTH_PAGES, OPERATIONS, Operation};
use crate::model::scope::Scope;

const JSON: &[&str] = &["application/json"];

/// An operation, with what is said of it.
pub struct Reference {
    pub operation: &'static Operation,
    pub group: Group,
    /// Markdown: what matters besides the line of the table.
    pub more: &'static str,
    /// Behind `?`, and headers of its own.
    pub params: Vec<Param>,
    pub body: Option<Body>,
    pub status: u16,
    pub answer: Answer,
    /// Codes of errors that the kind of operation does not tell by itself.
    pub errors: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Users,
    ApiKeys,
    Services,
    Webhooks,
    Oauth,
    Grants,
    Server,
}

impl Group {
    pub const ALL: &[Self] =
        &[Self::Users, Self::ApiKeys, Self::Services, Self::Webhooks, Self::Oauth, Self::Grants, Self::Server];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::ApiKeys => "API keys",
            Self::Services => "Keys for other services",
            Self::Webhooks => "Webhooks",
            Self::Oauth => "OAuth 2.0",
            Self::Grants => "OAuth grants",
            Self::Server => "The server",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Users => "People and programs that belong to an account.",
            Self::ApiKeys => "Credentials: made, rotated and revoked.",
            Self::Services => "Checking keys for an API of your own, and bringing in those that you have.",
            Self::Webhooks => "Your systems are told what happened, signed and until they take it.",
            Self::Oauth => "How programs get tokens, of users who allow it or on their own behalf.",
            Self::Grants => "What users allowed to OAuth clients.",
            Self::Server => "Whether it is up.",
        }
    }

    /// Whether it is counted: its answers tell of the account's limits, and its errors are the dialect's.
    pub const fn is_limited(self) -> bool {
        !matches!(self, Self::Oauth | Self::Server)
    }
}

#[derive(Clone)]
pub struct Param {
    pub name: &'static str,
    /// `query`, `header` or `path`.
    pub place: &'static str,
    pub required: bool,
    pub schema: Value,
    pub words: &'static str,
}

pub struct Body {
    /// The one of the example first.
    pub content_types: &'static [&'static str],
    pub schema: Value,
    pub example: Value,
    /// Every field may be left out, and so may the body.
    pub optional: bool,
}

/// What comes back when all went well.
pub enum Answer {
    /// One thing of this schema, and an example of it.
    One(&'static str, Value),
    /// A list, as the dialect wraps it.
    List(&'static str, Value),
    /// That a thing is no more, as the dialect says it.
    Deleted { object: &'static str, id_prefix: &'static str },
    /// Text for another program.
    Text(&'static str),
    /// A page for a person.
    Page,
    /// Nothing but headers.
    Empty,
}

/// Every operation, in the order of the documentation.
pub fn all() -> Vec<Reference> {
    [users::all(), api_keys::all(), services::all(), webhooks::all(), oauth::all(), grants::all(), the_server::all()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is documented for everyone.
fn tables() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(OAUTH).chain(OAUTH_PAGES)
}

pub fn find(id: &str) -> Option<Reference> {
    all().into_iter().find(|reference| reference.operation.id == id)
}

impl Reference {
    /// What the operation with this name answers with 200.
    fn of(id: &str, group: Group, answer: Answer) -> Self {
        let operation = tables().find(|operation| operation.id == id);
        let operation = operation.unwrap_or_else(|| panic!("{id} is no row of the table of operations"));
        Self { operation, group, more: "", params: Vec::new(), body: None, status: 200, answer, errors: &[] }
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    fn params(self, params: Vec<Param>) -> Self {
        Self { params, ..self }
    }

    fn body(self, schema: Value, example: Value) -> Self {
        let body = Body { content_types: JSON, schema, example, optional: false };
        Self { body: Some(body), ..self }
    }

    /// A body in which nothing has to be.
    fn body_if_any(self, schema: Value, example: Value) -> Self {
        let body = Body { content_types: JSON, schema, example, optional: true };
        Self { body: Some(body), ..self }
    }

    fn errors(self, errors: &'static [&'static str]) -> Self {
        Self { errors, ..self }
    }

    pub fn scope(&self) -> Option<Scope> {
        match self.operation.access {
            Access::Scope(scope) => Some(scope),
            Access::Anyone | Access::AnyKey | Access::Client => None,
        }
    }

    pub fn needs_key(&self) -> bool {
        matches!(self.operation.access, Access::AnyKey | Access::Scope(_))
    }

    pub fn has_id(&self) -> bool {
        self.operation.path.contains("{id}")
    }

    /// One thing that has an ETag. A grant is made and ended, and never edited.
    fn has_revisions(&self) -> bool {
        self.has_id() && self.group != Group::Grants
    }

    fn is_write(&self) -> bool {
        !["GET", "ANY"].contains(&self.operation.method)
    }

    /// Whether an `Idempotency-Key` is honoured.
    pub fn is_idempotent_by_key(&self) -> bool {
        self.operation.method == "POST" && self.needs_key()
    }

    /// The codes of all errors that it may answer with, in the order of their statuses.
    pub fn all_errors(&self) -> Vec<&'static str> {
        let mut codes = Vec::new();
        let has_input = self.body.is_some() || !self.params.is_empty();
        let is_api = self.group.is_limited();
        let mut add = |when: bool, more: &[&'static str]| codes.extend(more.iter().filter(|_| when));
        add(self.body.is_some(), &["invalid_json"]);
        // The version that a client names, for one.
        let is_read = is_api && self.operation.method != "ANY";
        add(has_input || is_read, &["validation_error"]);
        add(self.needs_key(), &["missing_api_key", "invalid_api_key", "expired_api_key", "token_expired"]);
        add(self.scope().is_some() || self.operation.method == "ANY", &["insufficient_scope"]);
        add(self.needs_key(), &["ip_not_allowed"]);
        add(is_api, &["https_required", "1010"]);
        add(self.has_id(), &["not_found"]);
        add(self.body.is_some(), &["request_timeout"]);
        add(self.is_idempotent_by_key(), &["request_in_progress"]);
        add(true, self.errors);
        add(self.has_revisions() && self.is_write(), &["precondition_failed"]);
        add(self.body.is_some(), &["body_too_large", "unsupported_media_type"]);
        add(self.is_idempotent_by_key(), &["idempotency_key_reused"]);
        add(is_api, &["rate_limit_exceeded", "internal_error", "service_unavailable"]);
        add(is_api && self.is_write(), &["storage_full"]);
        codes
    }

    /// What may be sent besides the body: path, query and the headers that every operation of its kind reads.
    pub fn all_params(&self) -> Vec<Param> {
        let mut all = Vec::new();
        if self.has_id() {
            let words = "The id. One that cannot exist is answered with 404, like one that does not.";
            all.push(Param { name: "id", place: "path", required: true, schema: json!({ "type": "string" }), words });
        }
        let header = |name, words, schema| Param { name, place: "header", required: false, schema, words };
        if self.has_revisions() && self.operation.method == "GET" {
            all.push(header("If-None-Match", "An ETag that you have: 304 while it is still right.", json!({ "type": "string" })));
        }
        if self.has_revisions() && self.is_write() {
            let words = "The ETag that you read: 412 when the resource has changed since.";
            all.push(header("If-Match", words, json!({ "type": "string" })));
        }
        if self.is_idempotent_by_key() {
            let words = "1 to 256 visible characters. The same key with the same body gets the same answer for 24 hours.";
            all.push(header("Idempotency-Key", words, json!({ "type": "string", "minLength": 1, "maxLength": 256 })));
        }
        all
    }
}

fn query(name: &'static str, schema: Value, words: &'static str) -> Param {
    Param { name, place: "query", required: false, schema, words }
}

/// The parameters of the native lists.
fn listing() -> Vec<Param> {
    let id = || json!({ "type": "string" });
    vec![
        query("limit", json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }), "Rows of a page."),
        query(
            "offset",
            json!({ "type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 0 }),
            "Rows to skip. For deep lists use `after`, which costs the same at any depth.",
        ),
        query("after", id(), "The id after which the page begins, in the order of the list."),
        query("before", id(), "The id before which the page ends, in the order of the list."),
        query(
            "sort",
            json!({ "type": "string", "enum": ["created_at", "-created_at"], "default": "created_at" }),
            "Oldest or newest first.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_once() {
        let all = all();
        for operation in tables() {
            let described = all.iter().filter(|reference| reference.operation.id == operation.id).count();
            assert_eq!(described, 1, "{}", operation.id);
        }
        assert_eq!(all.len(), tables().count());
    }

    #[test]
    fn every_error_that_an_operation_names_has_a_page() {
        let known = crate::http::api::dialect::examples::each();
        for reference in all() {
            for code in reference.all_errors() {
                assert!(known.iter().any(|error| error.code() == code), "{} names {code}", reference.operation.id);
            }
        }
    }
}
