//! What is kept of each request to the API: it is counted, and some go into the request log.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::BodySize;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, USER_AGENT};

use super::operations::{API_KEYS_PATH, OPERATIONS, Operation};
use crate::app::App;
use crate::app::callers::Credential;
use crate::app::usage::RouteName;
use crate::http::arrival::{Arrival, Whose, path_of};
use crate::http::shown_path::shown_path;
use crate::limits::Decision;
use crate::model::clock::{Tick, Timestamp};
use crate::model::request::{LimitState, LoggedRequest};
use crate::model::usage::Outcome;

/// The pattern of a route, where its requests find it without matching the path again.
pub struct Pattern {
    whole: &'static str,
    /// Those of its operations that will go away.
    deprecated: Vec<&'static Operation>,
}

impl Pattern {
    fn of(whole: &'static str, operations: impl Iterator<Item = &'static Operation>) -> Self {
        let deprecated = operations.filter(|operation| operation.path == whole && operation.deprecated.is_some()).collect();
        Self { whole, deprecated }
    }
}

/// The operation that a request is for, if it will go away.
pub fn deprecated(req: &HttpRequest) -> Option<&'static Operation> {
    let operations = &req.app_data::<Pattern>()?.deprecated;
    operations.iter().find(|operation| operation.verbs().any(|verb| verb == req.method().as_str())).copied()
}

/// The whole pattern of a path of the route table.
pub fn pattern_of(path: &'static str) -> Pattern {
    let of_v1 = OPERATIONS.iter().map(|operation| (operation.path, "/v1"));
    let in_short = API_KEYS_PATH.iter().map(|operation| (operation.path, "/api-keys"));
    let whole = of_v1.chain(in_short).find(|(whole, scope)| whole.strip_prefix(scope) == Some(path));
    Pattern::of(whole.map_or(path, |(whole, _)| whole), OPERATIONS.iter().chain(API_KEYS_PATH))
}

/// How a request ended.
pub struct Ended<'a> {
    pub status: StatusCode,
    pub error: Option<&'static str>,
    pub credential: Option<&'a Credential>,
    pub left: &'a Decision,
    pub began: Tick,
    /// It was worked on, rather than refused before that.
    pub was_admitted: bool,
    pub at: Timestamp,
    pub response_size: BodySize,
}

pub fn note(app: &App, req: &HttpRequest, arrival: &Arrival, ended: &Ended) {
    let route =
        RouteName { method: verb(req.method().as_str()), pattern: req.app_data::<Pattern>().map_or("", |pattern| pattern.whole) };
    if let Some(credential) = ended.credential {
        let (key_id, user_id) = (credential.key().map(|key| key.id), credential.acts_for().map(|user| user.id));
        Whose { key_id, user_id }.note(req);
    }
    let outcome = Outcome::of(ended.status.as_u16());
    let took = app.clock.tick().since(ended.began);
    let who = ended.credential.map(|credential| (credential.user.account_id, credential.key().map(|key| key.id)));
    app.usage.count(who, route, outcome, ended.was_admitted.then_some(took), ended.at);
    if app.request_log.wants(outcome, ended.at) {
        app.request_log.add(logged(req, arrival, ended, route, took));
    }
}

fn logged(req: &HttpRequest, arrival: &Arrival, ended: &Ended, route: RouteName, took: Duration) -> LoggedRequest {
    let header = |name: HeaderName| req.headers().get(name).and_then(|value| value.to_str().ok());
    let window = ended.left.refused_by().or_else(|| ended.left.longest());
    LoggedRequest {
        seq: 0,
        at: ended.at,
        request_id: arrival.request_id.to_string(),
        method: req.method().as_str().chars().take(20).collect(),
        path: shown_path(path_of(req)).chars().take(200).collect(),
        route: route.pattern.into(),
        status: ended.status.as_u16(),
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        error: ended.error.map(str::to_owned),
        key_id: ended.credential.and_then(|credential| credential.key()).map(|key| key.id),
        account_id: ended.credential.map(|credential| credential.user.account_id),
        ip: arrival.client.ip,
        user_agent: header(USER_AGENT).unwrap_or_default().chars().take(200).collect(),
        request_bytes: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        response_bytes: match ended.response_size {
            BodySize::None => Some(0),
            BodySize::Sized(bytes) => Some(bytes),
            BodySize::Stream => None,
        },
        limit: window.map(|window| LimitState { limit: window.limit, remaining: window.remaining, seconds: window.seconds }),
    }
}

// The verbs that a route answers; what else was sent is another to all counts.
fn verb(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_its_whole_pattern() {
        assert_eq!(pattern_of("/users/{id}").whole, "/v1/users/{id}");
        assert_eq!((pattern_of("").whole, pattern_of("/{id}").whole), ("/api-keys", "/api-keys/{id}"));
    }

    #[actix_web::test]
    async fn only_the_verb_of_the_path_that_goes_away_is_said_to() {
        use crate::http::api::deprecation::tests::OLD;
        use actix_web::http::Method;
        use actix_web::test::TestRequest;
        let found = |method: Method, path| {
            let request = TestRequest::default().method(method).app_data(Pattern::of(path, [&OLD].into_iter()));
            deprecated(&request.to_http_request()).is_some()
        };
        assert!(found(Method::GET, OLD.path) && found(Method::HEAD, OLD.path));
        assert!(!found(Method::DELETE, OLD.path) && !found(Method::GET, "/v1/users"));
    }
}
