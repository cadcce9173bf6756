//! The parameters behind `?`: each once at most, problems noted by name.

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::ApiError;
use super::dialect::listing::Paging;
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::page::{Limit, Order, Start};
use crate::model::{AppError, FieldErrors, Result};

pub struct Query {
    given: HashMap<String, String>,
    paging: Paging,
    errors: FieldErrors,
}

impl FromRequest for Query {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::parse(req.query_string(), Paging::of_request(req))))
    }
}

impl Query {
    fn parse(text: &str, paging: Paging) -> Self {
        let mut query = Self { given: HashMap::new(), paging, errors: FieldErrors::default() };
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if query.given.insert(name.to_string(), value.to_string()).is_some() {
                query.errors.add(name.to_string(), "duplicate", format!("Send `{name}` once."));
            }
        }
        query
    }

    /// A parameter, if given, as what it means. An empty one is refused like any other that means nothing: a client that
    /// has forgotten what to look for must not get everything.
    pub fn text<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        let value = self.given.get(name)?;
        self.errors.note(name, parse(value))
    }

    /// Whether a parameter was given, and not empty.
    pub fn has(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|value| !value.is_empty())
    }

    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let example = || Problem::new("invalid_time", format!("`{name}` must be a time such as 2023-10-27T10:00:00Z."));
        self.text(name, |text| Timestamp::parse(text).ok_or_else(example))
    }

    /// Which page, in the dialect's parameters, and `sort`.
    pub fn place<Id>(&mut self, id: impl Fn(&str) -> Option<Id>) -> (Start<Id>, Order, Limit) {
        let order = self.text("sort", Order::parse).unwrap_or_default();
        let given = |name: &str| self.given.get(name).map(String::as_str);
        let (start, limit) = self.paging.read(given, id, &mut self.errors);
        (start, order, limit)
    }

    pub fn finish(self) -> Result<(), AppError> {
        self.errors.check()
    }

    /// The same parameters but for paging, to be repeated in links.
    pub fn repeated(text: &str) -> String {
        let mut kept = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if !["offset", "after", "before", "cursor"].contains(&name.as_ref()) {
                kept.append_pair(&name, &value);
            }
        }
        kept.finish()
    }
}
