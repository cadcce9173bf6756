//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header) around a handler's effect.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::JSON;
use crate::app::App;
use crate::http::arrival::path_of;
use crate::model::caller::Caller;
use crate::model::{AppError, Result};
use crate::services::idempotency::{Begin, Keep, Replay, begin};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a request with a key becomes.
pub enum Once<T> {
    Done(T),
    /// The answer of the first time.
    Before(HttpResponse),
}

/// Whether the request is to have its effect once.
pub fn is_asked(req: &HttpRequest) -> bool {
    req.headers().contains_key(IDEMPOTENCY_KEY)
}

/// Runs the effect, unless this request was answered before. `answer` is what a replay will say.
pub async fn once<Kept, T, F: Future<Output = Result<T>>>(
    app: &Data<App>,
    caller: &Caller,
    req: &HttpRequest,
    body: &[u8],
    answer: impl FnOnce(&Kept) -> Replay + Send + 'static,
    effect: impl FnOnce(Keep<Kept>) -> F,
) -> Result<Once<T>> {
    let Some(key) = key(req)? else { return Ok(Once::Done(effect(Keep::nothing()).await?)) };
    let route = format!("{} {}", req.method(), path_of(req));
    match begin(&app.clone().into_inner(), caller, &route, &key, body).await? {
        Begin::Replay(replay) => Ok(Once::Before(replayed(replay))),
        Begin::New(ticket) => Ok(Once::Done(effect(ticket.keep(answer)).await?)),
    }
}

/// The key as it is, or as a quoted string of RFC 8941.
fn key(req: &HttpRequest) -> Result<Option<String>> {
    let wrong = || {
        AppError::invalid("Idempotency-Key", "invalid", "An Idempotency-Key has 1 to 256 visible characters, and is sent once.")
    };
    let mut values = req.headers().get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if values.next().is_some() || key.is_empty() || key.len() > 256 {
        return Err(wrong());
    }
    Ok(Some(key.to_owned()))
}

fn replayed(replay: Replay) -> HttpResponse {
    let status = StatusCode::from_u16(replay.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header((IDEMPOTENT_REPLAYED, "true")).insert_header((CONTENT_TYPE, JSON));
    if let Some(location) = replay.location {
        response.insert_header((LOCATION, location));
    }
    if let Some(etag) = replay.etag {
        response.insert_header((ETAG, etag));
    }
    response.body(replay.body)
}
