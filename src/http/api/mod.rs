//! The API for programs: JSON, bearer credentials, limits on every answer.

pub mod admission;
pub mod allowed;
mod api_keys;
pub mod deprecation;
pub mod dialect;
mod fields;
mod forward_auth;
mod grants;
mod idempotent;
mod import;
mod limits_body;
pub mod operations;
mod query;
mod record;
pub mod reference;
mod reply;
mod resend_keys;
mod users;
mod verify;
mod webhooks;

// The command line answers with the same fields.
pub use api_keys::{KeyBody, KeyWithSecret};
pub use users::UserBody;
pub use webhooks::{DeliveryBody, TestBody, WebhookBody, WebhookWithSecret};

use std::rc::Rc;

use actix_web::dev::ServiceRequest;
use actix_web::guard::fn_guard;
use actix_web::http::header::{ACCEPT, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, Uri};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, Path, ServiceConfig, delete, get, patch, post, put, resource, route, scope, to};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route};

use super::arrival::{Arrival, Arrived, base_url, base_url_of};
use crate::app::App;
use crate::model::AppError;
use crate::model::dialect::DialectName;
use admission::{admit, admit_anyone, admit_forwarded, admit_streaming};
use dialect::Dialect;
use dialect::error::Context;
use operations::{API_KEYS_PATH, OPERATIONS, Operation};

/// The route table. Each path is an exact one, with its verbs; the access matrix is generated from it.
pub fn routes(cfg: &mut ServiceConfig) {
    // What programs call most, outside the scope of the others, which would be one layer more.
    cfg.service(at("/v1/users/me").route(keyed(get().to(users::me))));
    cfg.service(at("/v1/keys/verify").route(keyed(post().to(verify::verify))));
    // A gateway asks with its client's verb.
    cfg.service(
        resource("/v1/forward-auth")
            .app_data(record::pattern_of("/v1/forward-auth"))
            .route(route().to(forward_auth::answer).wrap(from_fn(admit_forwarded))),
    );
    cfg.service(
        scope("/v1")
            .service(at("/users").route(keyed(get().to(users::list))).route(keyed(post().to(users::create))))
            .service(
                at("/users/{id}")
                    .route(keyed(get().to(users::show)))
                    .route(keyed(patch().to(users::update)))
                    .route(keyed(put().to(users::update)))
                    .route(keyed(delete().to(users::delete))),
            )
            .service(at("/key").route(keyed(get().to(api_keys::own))))
            .service(at("/keys").route(keyed(get().to(api_keys::list))).route(keyed(post().to(api_keys::create))))
            .service(at("/keys/import").route(streamed(post().to(import::import))))
            .service(at("/keys/report").route(open(post().to(api_keys::report))))
            .service(
                at("/keys/{id}")
                    .route(keyed(get().to(api_keys::show)))
                    .route(keyed(patch().to(api_keys::update)))
                    .route(keyed(delete().to(api_keys::revoke))),
            )
            .service(at("/keys/{id}/rotate").route(keyed(post().to(api_keys::rotate))))
            .service(at("/webhooks").route(keyed(get().to(webhooks::list))).route(keyed(post().to(webhooks::create))))
            .service(
                at("/webhooks/{id}")
                    .route(keyed(get().to(webhooks::show)))
                    .route(keyed(patch().to(webhooks::update)))
                    .route(keyed(delete().to(webhooks::delete))),
            )
            .service(at("/webhooks/{id}/test").route(keyed(post().to(webhooks::test))))
            .service(at("/webhooks/{id}/rotate-secret").route(keyed(post().to(webhooks::rotate_secret))))
            .service(at("/webhooks/{id}/deliveries").route(keyed(get().to(webhooks::list_deliveries))))
            .service(at("/webhooks/{id}/replay").route(keyed(post().to(webhooks::replay_failed))))
            .service(at("/webhooks/deliveries/{id}").route(keyed(get().to(webhooks::show_delivery))))
            .service(at("/webhooks/deliveries/{id}/replay").route(keyed(post().to(webhooks::replay))))
            .default_service(to(no_route)),
    )
    .service(at("/oauth/grants").route(keyed(get().to(grants::list))))
    .service(at("/oauth/grants/{id}").route(keyed(delete().to(grants::revoke))))
    .service(
        scope("/api-keys")
            .guard(fn_guard(|ctx| {
                ctx.req_data().get::<Rc<Arrival>>().is_some_and(|arrival| Dialect::of(arrival.dialect).serves_api_keys_path)
            }))
            .service(at("").route(keyed(get().to(resend_keys::list))).route(keyed(post().to(resend_keys::create))))
            .service(at("/{id}").route(keyed(patch().to(resend_keys::rename))).route(keyed(delete().to(resend_keys::remove))))
            .default_service(to(no_route)),
    );
}

/// Where the dialect has the API at the root, too, `/users` is read as `/v1/users`. Done before routing: there is one
/// route table, and requests below `/v1` pay nothing for the other paths.
pub fn at_root(req: &mut ServiceRequest, dialect: DialectName) {
    let path = req.match_info().as_str();
    if !Dialect::of(dialect).at_root || path.starts_with("/v1/") || !is_noun(path) {
        return;
    }
    let mut parts = req.uri().clone().into_parts();
    let below_v1 = parts.path_and_query.as_ref().and_then(|path| PathAndQuery::try_from(format!("/v1{path}")).ok());
    parts.path_and_query = below_v1.or(parts.path_and_query);
    if let Ok(uri) = Uri::from_parts(parts) {
        req.match_info_mut().get_mut().update(&uri);
        req.head_mut().uri = uri;
    }
}

/// Whether a path begins as one does below `/v1`.
fn is_noun(path: &str) -> bool {
    fn first(path: &str) -> Option<&str> {
        path.split('/').next()
    }
    let noun = path.strip_prefix('/').and_then(first);
    OPERATIONS.iter().filter_map(|op| op.path.strip_prefix("/v1/")).any(|path| first(path) == noun)
}

fn at(path: &'static str) -> Resource {
    resource(path).app_data(record::pattern_of(path)).default_service(to(wrong_method))
}

/// For whoever has a credential.
fn keyed(route: Route) -> Route {
    route.wrap(from_fn(admit))
}

/// The same with a long body, which is read as it comes.
fn streamed(route: Route) -> Route {
    route.wrap(from_fn(admit_streaming))
}

/// For anyone.
fn open(route: Route) -> Route {
    route.wrap(from_fn(admit_anyone))
}

/// Carries what went wrong from a handler to admission, which shows it in the dialect that is on.
#[derive(Debug)]
pub struct ApiError(pub AppError);

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for ApiError {}

type Result<T = HttpResponse> = std::result::Result<T, ApiError>;

/// The answer that tells of an error, in the dialect that is on.
pub fn refuse(req: &HttpRequest, app: &App, error: &AppError) -> HttpResponse {
    let arrival = req.arrival();
    Dialect::of(arrival.dialect).refuse(
        error,
        &Context { request_id: &arrival.request_id, base_url: &base_url(req, app), problem_json: wants_problem_json(req) },
    )
}

/// Whether `Accept` names the type, and not with a weight of nothing (RFC 9110 §12.5.1).
fn wants_problem_json(req: &HttpRequest) -> bool {
    let accept = req.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    accept.flat_map(|types| types.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/problem+json"));
        let mut weights = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("q"));
        is_named && !weights.any(|(_, weight)| weight.parse() == Ok(0.0))
    })
}

/// The same for a fault of ours, after which there is no request left to look at.
pub fn fault(app: &App, arrival: &Arrival, host: Option<&HeaderValue>, error: &AppError) -> HttpResponse {
    let base_url = base_url_of(host, arrival.client.https, app);
    let context = Context { request_id: &arrival.request_id, base_url: &base_url, problem_json: false };
    let dialect = Dialect::of(arrival.dialect);
    let mut response = dialect.refuse(error, &context);
    // The handler may have worked for long before it failed.
    let (now, tick) = app.clock.both();
    admission::finish(response.headers_mut(), dialect, &admission::peek(app, arrival, tick), now);
    if let Ok(id) = HeaderValue::from_str(&arrival.request_id) {
        response.headers_mut().insert(super::X_REQUEST_ID, id);
    }
    response
}

/// A path that does not exist: answered before any credential, and charged to nobody.
async fn no_route(req: HttpRequest, app: Data<App>) -> HttpResponse {
    let response = nowhere(req.clone(), app.clone()).await;
    note_uncharged(&req, &app, &response, AppError::NoRoute.code());
    response
}

/// The same for a path outside the API.
pub async fn nowhere(req: HttpRequest, app: Data<App>) -> HttpResponse {
    uncharged(&req, &app, refuse(&req, &app, &AppError::NoRoute))
}

/// A verb that the path does not answer. OPTIONS needs no key.
pub async fn wrong_method(req: HttpRequest, app: Data<App>) -> HttpResponse {
    let pattern = req.match_pattern().unwrap_or_default();
    let mut verbs: Vec<&str> =
        OPERATIONS.iter().chain(API_KEYS_PATH).filter(|op| op.path == pattern).flat_map(Operation::verbs).collect();
    verbs.push("OPTIONS");
    let allowed = verbs.join(", ");
    if req.method() == Method::OPTIONS {
        let response = HttpResponse::NoContent().insert_header((actix_web::http::header::ALLOW, allowed)).finish();
        return uncharged(&req, &app, response);
    }
    let error = AppError::MethodNotAllowed { method: req.method().to_string(), allowed };
    let response = uncharged(&req, &app, refuse(&req, &app, &error));
    note_uncharged(&req, &app, &response, error.code());
    response
}

/// Counts a request that no route took.
fn note_uncharged(req: &HttpRequest, app: &App, response: &HttpResponse, error: &'static str) {
    use actix_web::body::MessageBody;
    let arrival = req.arrival();
    let (at, began) = arrival.at;
    record::note(
        app,
        req,
        &arrival,
        &record::Ended {
            status: response.status(),
            error: Some(error),
            credential: None,
            left: &admission::peek(app, &arrival, began),
            began,
            was_admitted: false,
            at,
            response_size: response.body().size(),
        },
    );
}

/// Tells of the address's bucket, like every answer of the API, and takes nothing from it.
fn uncharged(req: &HttpRequest, app: &App, mut response: HttpResponse) -> HttpResponse {
    let arrival = req.arrival();
    if !arrival.is_private(&app.config) {
        // A key that came along has been read on the way, wherever it was going.
        response = refuse(req, app, &AppError::HttpsRequired);
    }
    let (now, tick) = arrival.at;
    let left = admission::peek(app, &arrival, tick);
    admission::finish(response.headers_mut(), Dialect::of(arrival.dialect), &left, now);
    response
}

/// An id from the path. What can be no id names nothing, and that is 404.
fn id_from<Id>(path: Path<String>, parse: impl Fn(&str) -> Option<Id>, noun: &'static str) -> Result<Id> {
    parse(&path).ok_or(ApiError(AppError::NotFound(noun)))
}
