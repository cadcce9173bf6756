//! How a deletion is answered.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::json;

use super::Dialect;

#[derive(Clone, Copy, Debug)]
pub enum DeleteAnswer {
    /// 204 and nothing else.
    Empty,
    /// 200 `{"id","object","deleted"}`
    IdAndObject,
    /// 200 `{"object","id","deleted"}`
    ObjectAndId,
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
