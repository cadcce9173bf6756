//! Answers: JSON bodies, ETags, and what the dialect shapes.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::dialect::Dialect;
use super::dialect::listing::Place;
use crate::app::App;
use crate::http::arrival::base_url;
use crate::model::page::{Page, Start};
use crate::model::revision::IfMatch;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    text(status, to_json(body))
}

/// JSON that is written already.
pub fn text(status: StatusCode, json: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, JSON)).body(json.into())
}

pub fn to_json(body: &impl Serialize) -> String {
    // Room for one thing, so that its text does not move while it is written.
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, body).expect("bodies are plain text, numbers and lists");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A header that the answer does not have yet: half the work of `insert`, which gives back what was there.
pub fn put(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    debug_assert!(!headers.contains_key(&name), "{name} is there already");
    headers.append(name, value);
}

/// A header whose value is made of our own ids and numbers.
pub fn insert(response: &mut HttpResponse, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids and numbers are visible characters");
    response.headers_mut().insert(name, value);
}

/// One thing with its ETag; 304 for who has it already (RFC 9110 §13.1.2).
pub fn tagged(req: &HttpRequest, body: &impl Serialize, etag: &str) -> HttpResponse {
    tagged_text(req, to_json(body).into(), etag.to_owned().into())
}

/// The same for JSON and a tag that are written already.
pub fn tagged_text(req: &HttpRequest, json: Bytes, etag: Bytes) -> HttpResponse {
    let etag = HeaderValue::from_maybe_shared(etag).expect("ids and numbers are visible characters");
    let known = req.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    if known.flat_map(|value| value.split(',')).any(|tag| matches_weakly(tag.trim(), &etag)) {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).finish();
    }
    let mut response = text(StatusCode::OK, json);
    response.headers_mut().insert(ETAG, etag);
    response
}

fn matches_weakly(tag: &str, etag: &HeaderValue) -> bool {
    tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
}

/// The revisions that `If-Match` names. A tag that is not ours names none, so that nothing matches it.
pub fn if_match(req: &HttpRequest) -> IfMatch {
    // A tag may have bytes that are no text; what cannot be read is no tag of ours.
    let sent: Vec<_> = req.headers().get_all(IF_MATCH).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    if sent.is_empty() {
        return IfMatch::ANY;
    }
    let tags: Vec<&str> = sent.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    if tags.contains(&"*") {
        return IfMatch::ANY;
    }
    IfMatch::one_of(tags.iter().filter_map(|tag| revision(tag)).collect())
}

/// `"7"`, or `"7-…"` where the tag also covers what changes without a revision, such as the last use.
fn revision(tag: &str) -> Option<i64> {
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    inner.split('-').next()?.parse().ok()
}

/// A page of a list, as the dialect has it.
pub fn page<'p, T, Id: Copy + std::fmt::Display, Body: Serialize>(
    req: &HttpRequest,
    app: &App,
    page: &'p Page<T>,
    start: Start<Id>,
    limit: u32,
    of_row: (impl Fn(&T) -> Id, impl Fn(&'p T) -> Body),
) -> HttpResponse {
    let place = Place { base_url: &base_url(req, app), path: req.path(), query: req.query_string() };
    Dialect::of_request(req).page(&place, page, start, limit, of_row)
}

/// That a thing is no more, as the dialect says it.
pub fn deleted(req: &HttpRequest, object: &'static str, id: impl Serialize) -> HttpResponse {
    Dialect::of_request(req).deleted(object, id)
}
