//! What a gateway asks before it lets a request through: nginx `auth_request`, Caddy `forward_auth`, Traefik
//! `ForwardAuth`. Admission has counted the client's request; what is left is the scope, and who the client is.

use actix_web::dev::ResponseHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::Result;
use super::allowed::{Allowed, AnyScope};
use super::reply::put;
use crate::app::callers::Found;
use crate::model::error::Problem;
use crate::model::scope::ScopesAsked;
use crate::model::service::ServiceName;
use crate::model::{self, AppError};
use crate::services::credentials;

const USER_ID: HeaderName = HeaderName::from_static("x-keyrack-user-id");
const USER_EMAIL: HeaderName = HeaderName::from_static("x-keyrack-user-email");
const ACCOUNT_ID: HeaderName = HeaderName::from_static("x-keyrack-account-id");
const KEY_ID: HeaderName = HeaderName::from_static("x-keyrack-key-id");
const SCOPES: HeaderName = HeaderName::from_static("x-keyrack-scopes");
const TIER: HeaderName = HeaderName::from_static("x-keyrack-tier");
const STATUS: HeaderName = HeaderName::from_static("x-keyrack-status");

/// The body is not asked for, so it is never read.
pub async fn answer(who: Allowed<AnyScope>, req: HttpRequest) -> Result {
    let found = &who.credential;
    if let Err(problem) = service(&req) {
        return Err(problem.of("service").into());
    }
    if parameter(&req, "status").is_some_and(|status| status != "nginx") {
        return Err(AppError::invalid("status", "unknown", "`status` is `nginx`, or is not sent.").into());
    }
    let lacking = asked(&req)?.map(|asked| credentials::lacks(found, asked)).unwrap_or_default();
    if let Some(scope) = lacking.iter().next() {
        return Err(AppError::MissingScope(scope).into());
    }
    let mut response = HttpResponse::Ok().finish();
    let headers = response.headers_mut();
    // All of them always, the empty ones too: a gateway that copies what is there would else leave in place what its
    // client wrote.
    for (name, value) in IDENTITY.into_iter().zip(found.written.identity.get_or_init(|| identity(found))) {
        put(headers, name, HeaderValue::from_maybe_shared(value.clone()).unwrap_or(HeaderValue::from_static("")));
    }
    Ok(response)
}

const IDENTITY: [HeaderName; 6] = [USER_ID, USER_EMAIL, ACCOUNT_ID, KEY_ID, SCOPES, TIER];

/// The values, in the order of the names.
fn identity(found: &Found) -> Vec<Bytes> {
    // A client's own token acts for nobody.
    let user = found.acts_for();
    let values = [
        user.map(|user| user.id.to_string()).unwrap_or_default(),
        user.map(|user| user.email.as_str().to_owned()).unwrap_or_default(),
        found.user.account_id.to_string(),
        found.key().map(|key| key.id.to_string()).unwrap_or_default(),
        found.scopes.to_string(),
        found.account.tier.clone().unwrap_or_default(),
    ];
    values.into_iter().map(Bytes::from).collect()
}

/// What `?scope=` names, separated by spaces or commas.
fn asked(req: &HttpRequest) -> Result<Option<ScopesAsked>> {
    let Some(scopes) = parameter(req, "scope") else { return Ok(None) };
    let names = scopes.split([' ', ',']).filter(|name| !name.is_empty());
    let asked = ScopesAsked::parse(names).map_err(|problem| problem.of("scope"))?;
    Ok(Some(asked))
}

/// What the gateway calls the service behind it, `?service=`: what its questions are counted under.
pub fn service(req: &HttpRequest) -> model::Result<ServiceName, Problem> {
    parameter(req, "service").map_or(Ok(ServiceName::NONE), |label| ServiceName::parse(&label))
}

/// nginx makes a 500 of every answer to `auth_request` but 2xx, 401 and 403.
pub fn is_for_nginx(req: &HttpRequest) -> bool {
    parameter(req, "status").is_some_and(|status| status == "nginx")
}

/// A 429 as nginx can take it. Its recipe makes a 429 of it again.
pub fn put_for_nginx(head: &mut ResponseHead) {
    let told = std::mem::replace(&mut head.status, StatusCode::FORBIDDEN);
    head.headers_mut().insert(STATUS, HeaderValue::from(told.as_u16()));
}

fn parameter<'r>(req: &'r HttpRequest, name: &str) -> Option<std::borrow::Cow<'r, str>> {
    let query = req.query_string();
    if query.is_empty() {
        return None;
    }
    url::form_urlencoded::parse(query.as_bytes()).find(|(given, _)| given == name).map(|(_, value)| value)
}
