//! How a deletion is answered.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Value, json};

use super::Dialect;
use crate::http::api::reference::schemas::closed;

#[derive(Clone, Copy, Debug)]
pub enum DeleteAnswer {
    /// 204 and nothing else.
    Empty,
    /// 200 `{"id","object","deleted"}`
    IdAndObject,
    /// 200 `{"object","id","deleted"}`
    ObjectAndId,
}

impl DeleteAnswer {
    /// The answer as JSON Schema, or nothing where it is empty.
    pub fn schema(self, object: &str) -> Option<Value> {
        let text = || json!({ "type": "string" });
        let fields = [("id", text()), ("object", json!({ "const": object })), ("deleted", json!({ "const": true }))];
        match self {
            Self::Empty => None,
            Self::IdAndObject | Self::ObjectAndId => Some(closed(&fields)),
        }
    }
}

impl Dialect {
    /// The answer to the deletion of an `object` with this id.
    pub fn deleted(&self, object: &'static str, id: impl Serialize) -> HttpResponse {
        match self.delete {
            DeleteAnswer::Empty => HttpResponse::NoContent().finish(),
            DeleteAnswer::IdAndObject => HttpResponse::Ok().json(json!({ "id": id, "object": object, "deleted": true })),
            DeleteAnswer::ObjectAndId => HttpResponse::Ok().json(json!({ "object": object, "id": id, "deleted": true })),
        }
    }
}
