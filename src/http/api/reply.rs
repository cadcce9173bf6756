//! Answers: JSON bodies, ETags and the links of a list.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::dialect::Dialect;
use crate::app::App;
use crate::http::api::query::Query;
use crate::http::arrival::base_url;
use crate::model::page::{Page, Start};
use crate::model::revision::IfMatch;

const X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
const JSON: &str = "application/json";

pub fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, JSON)).body(to_json(body))
}

pub fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("bodies are plain text, numbers and lists")
}

/// A header whose value is made of our own ids and numbers.
pub fn insert(response: &mut HttpResponse, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids and numbers are visible characters");
    response.headers_mut().insert(name, value);
}

/// One thing with its ETag; 304 for who has it already (RFC 9110 §13.1.2).
pub fn tagged(req: &HttpRequest, body: &impl Serialize, etag: &str) -> HttpResponse {
    let known = req.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    if known.flat_map(|value| value.split(',')).any(|tag| matches_weakly(tag.trim(), etag)) {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).finish();
    }
    let mut response = json(StatusCode::OK, body);
    insert(&mut response, ETAG, etag);
    response
}

fn matches_weakly(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
}

/// The revisions that `If-Match` names. A tag that is not ours names none, so that nothing matches it.
pub fn if_match(req: &HttpRequest) -> IfMatch {
    let mut values = req.headers().get_all(IF_MATCH).filter_map(|value| value.to_str().ok()).peekable();
    if values.peek().is_none() {
        return IfMatch::ANY;
    }
    let tags: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
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

/// A page of a list, with links to its neighbours and its total where that is known.
pub fn page<'a, T, Id: Copy + std::fmt::Display, Body: Serialize>(
    req: &HttpRequest,
    app: &App,
    page: &'a Page<T>,
    start: Start<Id>,
    limit: u32,
    (id, body): (impl Fn(&T) -> Id, impl Fn(&'a T) -> Body),
) -> HttpResponse {
    let bodies: Vec<Body> = page.rows.iter().map(body).collect();
    let rows = Dialect::of(app.config.api.dialect).list.wrap(&bodies);
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, JSON));
    if let Some(total) = page.total {
        response.insert_header((X_TOTAL_COUNT, total));
    }
    let (first, last) = (page.rows.first().map(&id), page.rows.last().map(&id));
    let mut links = vec![("first", String::new())];
    if page.has_prev {
        let to = match (start, first) {
            (Start::Offset(offset), _) => Some(format!("offset={}", offset.saturating_sub(u64::from(limit)))),
            (_, Some(first)) => Some(format!("before={first}")),
            _ => None,
        };
        links.extend(to.map(|to| ("prev", to)));
    }
    if page.has_next {
        let to = match (start, last) {
            (Start::Offset(offset), _) => Some(format!("offset={}", offset + u64::from(limit))),
            (_, Some(last)) => Some(format!("after={last}")),
            _ => None,
        };
        links.extend(to.map(|to| ("next", to)));
    }
    let (base, kept) = (base_url(req, &app.config), Query::repeated(req.query_string()));
    let link = |(rel, to): &(&str, String)| {
        let query = [kept.as_str(), to].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("<{base}{}{mark}{query}>; rel=\"{rel}\"", req.path())
    };
    response.insert_header((LINK, links.iter().map(link).collect::<Vec<_>>().join(", ")));
    response.body(rows)
}
