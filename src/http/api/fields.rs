//! A JSON body, field by field: each problem is noted with its field, and unknown fields are refused by name.

use std::collections::HashSet;
use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use smallvec::SmallVec;

use super::ApiError;
use super::admission::Handed;
use crate::model::error::Problem;
use crate::model::{AppError, FieldErrors, Result};

/// The fields of a body, to be taken one by one.
pub struct Fields {
    /// As it was sent.
    pub bytes: Bytes,
    sent: Sent,
    known: SmallVec<[&'static str; 8]>,
    errors: FieldErrors,
}

/// What was sent under which name, in its order: a body has few fields, and a list of them is quicker than a map.
struct Sent(Vec<(String, Value)>);

impl FromRequest for Fields {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(collected(req).map_err(ApiError))
    }
}

fn collected(req: &HttpRequest) -> Result<Fields> {
    let kind = req.headers().get(CONTENT_TYPE);
    let wrong_type = || AppError::UnsupportedMediaType { expected: "application/json" };
    if kind.is_some_and(|kind| !is_json(kind)) {
        return Err(wrong_type());
    }
    let bytes = req.extensions_mut().get_mut::<Handed>().and_then(|handed| handed.body.take());
    let bytes = bytes.ok_or_else(|| AppError::internal("the body was not collected"))??;
    match kind {
        Some(_) => Fields::parse(bytes),
        // No body at all, as `curl -X POST` sends it, leaves every field out.
        None if bytes.is_empty() => Fields::parse(Bytes::from_static(b"{}")),
        None => Err(wrong_type()),
    }
}

impl Fields {
    fn parse(bytes: Bytes) -> Result<Self> {
        let sent = match serde_json::from_slice(&bytes) {
            Ok(sent) => sent,
            Err(err) if err.is_data() => {
                // No object. Where it is no JSON either, that is said.
                serde_json::from_slice::<Value>(&bytes).map_err(|err| no_json(&err))?;
                let words = "The body must be a JSON object, for example {\"name\":\"Ada\"}.";
                return Err(AppError::invalid("", "not_an_object", words));
            }
            Err(err) => return Err(no_json(&err)),
        };
        Ok(Self { bytes, sent, known: SmallVec::new(), errors: FieldErrors::default() })
    }

    /// The value as it came; `null` too.
    pub fn value(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.sent.take(field)
    }

    /// A text, if given, as what it means.
    pub fn text<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        match self.value(field)? {
            Value::String(text) => self.errors.note(field, parse(&text)),
            _ => self.wrong_type(field, "a string"),
        }
    }

    /// A text that must be given.
    pub fn required<T>(&mut self, field: &'static str, parse: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        if self.lacks(field) { None } else { self.text(field, parse) }
    }

    /// A list of texts that must be given.
    pub fn required_texts<T>(&mut self, field: &'static str, parse: impl FnOnce(&[&str]) -> Result<T, Problem>) -> Option<T> {
        if self.lacks(field) { None } else { self.texts(field, parse) }
    }

    fn lacks(&mut self, field: &'static str) -> bool {
        let lacks = self.sent.get(field).is_none_or(Value::is_null);
        if lacks {
            self.sent.take(field);
            self.known.push(field);
            self.error(field, "required", format!("`{field}` is required."));
        }
        lacks
    }

    /// A whole number within the range, if given.
    pub fn number(&mut self, field: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(field)?;
        let Some(number) = value.as_u64().filter(|number| range.contains(number)) else {
            let (min, max) = range.into_inner();
            self.error(field, "out_of_range", format!("`{field}` must be a whole number from {min} to {max}."));
            return None;
        };
        Some(number)
    }

    pub fn boolean(&mut self, field: &'static str) -> Option<bool> {
        match self.value(field)? {
            Value::Bool(value) => Some(value),
            _ => self.wrong_type(field, "true or false"),
        }
    }

    /// A list of texts, if given, as what it means.
    pub fn texts<T>(&mut self, field: &'static str, parse: impl FnOnce(&[&str]) -> Result<T, Problem>) -> Option<T> {
        let value = self.value(field)?;
        let texts: Option<Vec<&str>> = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        match texts {
            Some(texts) => self.errors.note(field, parse(&texts)),
            None => self.wrong_type(field, "a list of strings"),
        }
    }

    /// Any JSON, if given, as what it means.
    pub fn json<T>(&mut self, field: &'static str, parse: impl FnOnce(Value) -> Result<T, Problem>) -> Option<T> {
        let value = self.value(field)?;
        self.errors.note(field, parse(value))
    }

    pub fn error(&mut self, field: &'static str, code: &'static str, message: impl Into<String>) {
        self.errors.add(field, code, message);
    }

    /// `Err` with all that was wrong. What was not asked for by now is unknown.
    pub fn finish(&mut self) -> Result<()> {
        for field in self.sent.names() {
            let shown: String = field.chars().take(60).collect();
            let near = self.known.iter().max_by(|a, b| strsim::jaro(a, field).total_cmp(&strsim::jaro(b, field)));
            let message = match near.filter(|near| strsim::jaro(near, field) > 0.75) {
                Some(near) => format!("There is no field `{shown}`. Did you mean `{near}`?"),
                None => format!("There is no field `{shown}`. The fields are: {}.", self.known.join(", ")),
            };
            self.errors.add(shown, "unknown_field", message);
        }
        std::mem::take(&mut self.errors).check()
    }

    /// Finishes, and gives what was required: where that is missing, the finish has failed already.
    pub fn all_of<T, const N: usize>(&mut self, required: [Option<T>; N]) -> Result<[T; N]> {
        self.finish()?;
        let missing = || AppError::internal("a required field is missing, and nobody noted it");
        let given: Option<Vec<T>> = required.into_iter().collect();
        given.and_then(|given| given.try_into().ok()).ok_or_else(missing)
    }

    fn wrong_type<T>(&mut self, field: &'static str, expected: &str) -> Option<T> {
        self.error(field, "wrong_type", format!("`{field}` must be {expected}."));
        None
    }
}

impl Sent {
    /// Of a field that was sent twice the last one counts, as most readers of JSON have it (RFC 8259 §4).
    fn get(&self, field: &str) -> Option<&Value> {
        self.0.iter().rfind(|(name, _)| name == field).map(|(_, value)| value)
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        let at = self.0.iter().rposition(|(name, _)| name == field)?;
        let (_, value) = self.0.swap_remove(at);
        self.0.retain(|(name, _)| name != field);
        Some(value)
    }

    /// Each once.
    fn names(&self) -> impl Iterator<Item = &str> {
        let mut told = HashSet::new();
        self.0.iter().map(|(name, _)| name.as_str()).filter(move |name| told.insert(*name))
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Sent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Sent, M::Error> {
                let mut sent = Vec::with_capacity(4);
                while let Some(field) = map.next_entry()? {
                    sent.push(field);
                }
                Ok(Sent(sent))
            }
        }
        from.deserialize_map(Object)
    }
}

fn no_json(err: &serde_json::Error) -> AppError {
    let text = err.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned();
    AppError::InvalidJson { problem, line: err.line(), column: err.column() }
}

fn is_json(kind: &HeaderValue) -> bool {
    if kind == "application/json" {
        return true;
    }
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.to_str().map(essence).is_ok_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}
