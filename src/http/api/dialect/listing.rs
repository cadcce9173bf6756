//! How a list looks on the wire, and how a client asks for its pages.

use std::fmt::Display;

use actix_web::http::header::{CONTENT_TYPE, HeaderName, LINK};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};

use super::Dialect;
use crate::http::api::query::Query;
use crate::http::api::reference::schemas::closed;
use crate::model::FieldErrors;
use crate::model::page::{Limit, Page, Start};

const X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

#[derive(Clone, Copy, Debug)]
pub struct Listing {
    pub envelope: Envelope,
    pub paging: Paging,
}

/// What the rows are wrapped in.
#[derive(Clone, Copy, Debug)]
pub enum Envelope {
    Bare,
    /// `{"results","next","previous"}`, the neighbours as relative URLs or null.
    Results,
    /// `{"object":"list","has_more","data"}`
    ObjectList,
}

/// The parameters that name a page.
#[derive(Clone, Copy, Debug)]
pub enum Paging {
    /// `limit`, `offset`, `after`, `before`.
    Anywhere,
    /// `limit`, and the `cursor` that an answer gave.
    Cursor,
    /// `limit`, `after`, `before`.
    Keyset,
    /// None of them: a list comes whole, up to [`Limit::WHOLE`].
    Whole,
}

impl Envelope {
    /// The wrapped rows as JSON Schema, for rows of this one.
    pub fn schema(self, row: Value) -> Value {
        let rows = json!({ "type": "array", "items": row });
        let neighbour = || json!({ "type": ["string", "null"] });
        match self {
            Self::Bare => rows,
            Self::Results => closed(&[("results", rows), ("next", neighbour()), ("previous", neighbour())]),
            Self::ObjectList => {
                closed(&[("object", json!({ "const": "list" })), ("has_more", json!({ "type": "boolean" })), ("data", rows)])
            }
        }
    }
}

/// Marks a cursor that leads backwards. No id begins so.
const BACKWARDS: &str = "before_";

impl Paging {
    /// Whether a client may send this parameter.
    pub fn reads(self, name: &str) -> bool {
        match self {
            Self::Anywhere => ["limit", "offset", "after", "before"].contains(&name),
            Self::Cursor => ["limit", "cursor"].contains(&name),
            Self::Keyset => ["limit", "after", "before"].contains(&name),
            Self::Whole => false,
        }
    }

    pub fn of_request(req: &HttpRequest) -> Self {
        Dialect::of_request(req).list.paging
    }

    /// Where a page begins and how many rows it has.
    pub fn read<'q, Id>(
        self,
        given: impl Fn(&str) -> Option<&'q str>,
        id: impl Fn(&str) -> Option<Id>,
        errors: &mut FieldErrors,
    ) -> (Start<Id>, Limit) {
        if let Self::Whole = self {
            return (Start::Offset(0), Limit::WHOLE);
        }
        // An empty limit is no number, and refused as one.
        let limit = given("limit").and_then(|text| errors.note("limit", Limit::parse(text)));
        let start = match self {
            Self::Anywhere => Start::parse(given("offset"), given("after"), given("before"), id, errors),
            Self::Keyset | Self::Whole => Start::parse(None, given("after"), given("before"), id, errors),
            Self::Cursor => match given("cursor").filter(|cursor| !cursor.is_empty()) {
                None => Start::Offset(0),
                Some(cursor) => {
                    let place = match cursor.strip_prefix(BACKWARDS) {
                        Some(before) => id(before).map(Start::Before),
                        None => id(cursor).map(Start::After),
                    };
                    place.unwrap_or_else(|| {
                        errors.add("cursor", "invalid_cursor", "`cursor` must be one that a list's `next` or `previous` gave.");
                        Start::Offset(0)
                    })
                }
            },
        };
        (start, limit.unwrap_or(Limit::DEFAULT))
    }

    /// The parameter that names the page before this one, and the one after.
    fn neighbours<T, Id: Display>(
        self,
        page: &Page<T>,
        start: Start<impl Copy>,
        limit: u32,
        id: impl Fn(&T) -> Id,
    ) -> [Option<String>; 2] {
        let (first, last) = (page.rows.first().map(&id), page.rows.last().map(&id));
        let step = u64::from(limit);
        let (prev, next) = match (self, start) {
            (Self::Whole, _) => (None, None),
            (Self::Anywhere, Start::Offset(at)) => {
                (Some(format!("offset={}", at.saturating_sub(step))), Some(format!("offset={}", at + step)))
            }
            (Self::Anywhere | Self::Keyset, _) => {
                (first.map(|first| format!("before={first}")), last.map(|last| format!("after={last}")))
            }
            (Self::Cursor, _) => {
                (first.map(|first| format!("cursor={BACKWARDS}{first}")), last.map(|last| format!("cursor={last}")))
            }
        };
        [prev.filter(|_| page.has_prev), next.filter(|_| page.has_next)]
    }
}

/// What a list's links are made of.
pub struct Place<'a> {
    /// Scheme and host.
    pub base_url: &'a str,
    pub path: &'a str,
    pub query: &'a str,
}

#[derive(Serialize)]
struct Results<'a, Body> {
    results: &'a [Body],
    next: Option<String>,
    previous: Option<String>,
}

#[derive(Serialize)]
struct ObjectList<'a, Body> {
    object: &'static str,
    has_more: bool,
    data: &'a [Body],
}

impl Dialect {
    /// A page of a list, with the ways to its neighbours, and its total where that is known.
    pub fn page<'p, T, Id: Display, Body: Serialize>(
        &self,
        place: &Place,
        page: &'p Page<T>,
        start: Start<impl Copy>,
        limit: u32,
        (id, body): (impl Fn(&T) -> Id, impl Fn(&'p T) -> Body),
    ) -> HttpResponse {
        let Listing { envelope, paging } = self.list;
        let bodies: Vec<Body> = page.rows.iter().map(body).collect();
        let kept = Query::repeated(place.query);
        let url = |to: &str| {
            let query = [kept.as_str(), to].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("&");
            let mark = if query.is_empty() { "" } else { "?" };
            format!("{}{mark}{query}", place.path)
        };
        let [prev, next] = paging.neighbours(page, start, limit, id).map(|to| to.map(|to| url(&to)));

        let mut response = HttpResponse::Ok();
        response.insert_header((CONTENT_TYPE, "application/json"));
        if let Some(total) = page.total {
            response.insert_header((X_TOTAL_COUNT, total));
        }
        if !matches!(paging, Paging::Whole) {
            let first = Some(url(""));
            let links = [("first", &first), ("prev", &prev), ("next", &next)].into_iter().filter_map(|(rel, url)| {
                let url = url.as_ref()?;
                Some(format!("<{}{url}>; rel=\"{rel}\"", place.base_url))
            });
            response.insert_header((LINK, links.collect::<Vec<_>>().join(", ")));
        }
        let text = match envelope {
            Envelope::Bare => serde_json::to_string(&bodies),
            Envelope::Results => serde_json::to_string(&Results { results: &bodies, next, previous: prev }),
            Envelope::ObjectList => {
                // More in the direction in which the client goes.
                let has_more = if matches!(start, Start::Before(_)) { page.has_prev } else { page.has_next };
                serde_json::to_string(&ObjectList { object: "list", has_more, data: &bodies })
            }
        };
        response.body(text.expect("rows are plain text and numbers"))
    }
}
