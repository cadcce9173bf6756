//! What each request to the API passes, top to bottom: HTTPS, User-Agent, credential, rate limit, its turn. Its body is
//! awaited before its turn, so that a slow one keeps nobody waiting. The scope is in the handler's signature
//! ([`super::allowed`]). It answers a refusal with a response, never with an `Err`, which outer layers would not see.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage};

use super::allowed::Admitted;
use super::operations::Operation;
use super::record::{self, Ended};
use super::reply::put;
use super::{ApiError, forward_auth, refuse};
use crate::app::App;
use crate::app::callers::Credential;
use crate::http::api::dialect::Dialect;
use crate::http::arrival::{Arrival, Arrived};
use crate::http::{authorization, body};
use crate::limits::{BucketKey, Decision, Slot};
use crate::model::clock::{Tick, Timestamp};
use crate::model::service::ServiceName;
use crate::model::usage::Outcome;
use crate::model::{AppError, Result};
use crate::services::credentials;

const VERSION: HeaderName = HeaderName::from_static("keyrack-version");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOTHING_LOADS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What a request holds while it is worked on. Dropping it gives its turn to the next.
struct Pass<'a> {
    who: Who,
    body: Option<Result<Bytes>>,
    /// None for a gateway's question, which takes less to answer than to wait, and for an import, which waits by itself.
    _slot: Option<Slot<'a>>,
}

/// What the first arguments of a handler are made of (`allowed.rs`, `fields.rs`), each taken once.
pub struct Handed {
    pub admitted: Option<Rc<Admitted>>,
    /// The body of a verb that has one, or why it was cut.
    pub body: Option<Result<Bytes>>,
}

enum Who {
    Known(Rc<Admitted>),
    /// Whoever came without a credential to where none is asked for.
    Anyone(Decision),
}

impl Who {
    fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Known(admitted) => Some(&admitted.credential),
            Self::Anyone(_) => None,
        }
    }

    fn left(&self) -> &Decision {
        match self {
            Self::Known(admitted) => &admitted.left,
            Self::Anyone(left) => left,
        }
    }
}

/// Why a request goes no further, and the limits to tell it of.
struct Refusal {
    error: AppError,
    left: Decision,
    /// Who was refused, if that is known.
    credential: Option<Arc<Credential>>,
}

/// For whoever has a credential.
pub async fn admit<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = app_of(&req);
    let arrival = req.request().arrival();
    let passed = pass(&app, &mut req, &arrival).await;
    answer(&app, req, next, passed, &arrival).await
}

/// For whoever has a credential and sends a long body, which the handler reads as it comes.
pub async fn admit_streaming<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = app_of(&req);
    let arrival = req.request().arrival();
    let passed = pass_streaming(&app, &req, &arrival);
    answer(&app, req, next, passed, &arrival).await
}

/// For anyone: counts against the address.
pub async fn admit_anyone<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = app_of(&req);
    let arrival = req.request().arrival();
    let passed = pass_anyone(&app, &mut req, &arrival).await;
    answer(&app, req, next, passed, &arrival).await
}

/// For a gateway that asks whether to let its client in: the client's own credential, limits and scopes. It waits for
/// no turn, and what the client used to send its request is told to the gateway, not judged here.
pub async fn admit_forwarded<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = app_of(&req);
    let arrival = req.request().arrival();
    let (now, _) = arrival.at;
    let passed = pass_forwarded(&app, &req, &arrival);
    let whose = match &passed {
        Ok(pass) => pass.who.credential(),
        Err(refusal) => refusal.credential.as_deref(),
    };
    let whose = whose.map(|found| (found.user.account_id, found.key().map(|key| key.id)));
    let mut response = answer(&app, req, next, passed, &arrival).await?;
    if let Some(whose) = whose {
        let service = forward_auth::service(response.request()).unwrap_or(ServiceName::NONE);
        app.usage.count_check(whose, &service, Outcome::of(response.status().as_u16()), now);
    }
    if response.status() == StatusCode::TOO_MANY_REQUESTS && forward_auth::is_for_nginx(response.request()) {
        forward_auth::put_for_nginx(response.response_mut().head_mut());
    }
    Ok(response)
}

async fn pass<'a>(app: &'a App, req: &mut ServiceRequest, arrival: &Arrival) -> Result<Pass<'a>, Box<Refusal>> {
    before_credential(app, req, arrival)?;
    let admitted = count(app, req, arrival, bearer(req.headers()))?;
    let body = collect(app, req).await;
    match app.in_flight.enter().await {
        Ok(slot) => Ok(Pass { who: Who::Known(admitted), body, _slot: Some(slot) }),
        Err(error) => {
            let credential = Some(admitted.credential.clone());
            Err(Box::new(Refusal { error, left: admitted.left.clone(), credential }))
        }
    }
}

/// A long body on a slow line would hold a turn for minutes: its handler bounds what comes at once.
fn pass_streaming<'a>(app: &'a App, req: &ServiceRequest, arrival: &Arrival) -> Result<Pass<'a>, Box<Refusal>> {
    before_credential(app, req, arrival)?;
    let admitted = count(app, req, arrival, bearer(req.headers()))?;
    Ok(Pass { who: Who::Known(admitted), body: None, _slot: None })
}

fn pass_forwarded<'a>(app: &'a App, req: &ServiceRequest, arrival: &Arrival) -> Result<Pass<'a>, Box<Refusal>> {
    // What counts is how the key came to us: from this machine, or from a proxy that the operator trusts. Over what
    // the client came to the gateway is the gateway's to refuse.
    if !arrival.client.via_proxy && !arrival.is_private(&app.config) {
        return Err(unlimited(app, arrival, AppError::HttpsRequired));
    }
    let secret = match &app.config.api.forward_auth_header {
        Some(name) => bare(req.headers(), name.as_str()),
        None => bearer(req.headers()),
    };
    let admitted = count(app, req, arrival, secret)?;
    Ok(Pass { who: Who::Known(admitted), body: None, _slot: None })
}

/// The credential, its allow-list and its limits.
fn count(app: &App, req: &ServiceRequest, arrival: &Arrival, secret: Result<&str>) -> Result<Rc<Admitted>, Box<Refusal>> {
    let (now, began) = arrival.at;
    let credential = match secret.and_then(|secret| credentials::authenticate(app, secret, (now, began))) {
        Ok(credential) => credential,
        // A fault of ours is no guess.
        Err(error @ (AppError::Internal(_) | AppError::Busy { .. })) => return Err(unlimited(app, arrival, error)),
        Err(error) => return Err(guessed(app, arrival, error)),
    };
    if !credential.allows_from(arrival.client.ip) {
        let refusal = unlimited(app, arrival, AppError::IpNotAllowed(arrival.client.ip));
        return Err(Box::new(Refusal { credential: Some(credential), ..*refusal }));
    }
    let left = credential.take(1, began);
    let user_agent = req.headers().get(USER_AGENT).map_or("", |value| value.to_str().unwrap_or(""));
    app.callers.note_use(&credential, now, Some(arrival.client.ip), user_agent);
    match left.check() {
        Ok(()) => {
            let caller = credentials::caller(&credential, arrival.client.ip, arrival.request_id.clone());
            Ok(Rc::new(Admitted { caller, credential, left }))
        }
        Err(error) => {
            app.exceeded.note(credential.user.account_id, credential.key().map(|key| key.id), &left, now);
            Err(Box::new(Refusal { error, left, credential: Some(credential) }))
        }
    }
}

async fn pass_anyone<'a>(app: &'a App, req: &mut ServiceRequest, arrival: &Arrival) -> Result<Pass<'a>, Box<Refusal>> {
    before_credential(app, req, arrival)?;
    let left = app.anonymous.take(BucketKey::of_address(arrival.client.ip), arrival.at.1);
    if let Err(error) = left.check() {
        return Err(Box::new(Refusal { error, left, credential: None }));
    }
    let body = collect(app, req).await;
    match app.in_flight.enter().await {
        Ok(slot) => Ok(Pass { who: Who::Anyone(left), body, _slot: Some(slot) }),
        Err(error) => Err(Box::new(Refusal { error, left, credential: None })),
    }
}

/// Awaits the body. What is wrong with it is told when its turn has come, by the handler and after the scope.
async fn collect(app: &App, req: &mut ServiceRequest) -> Option<Result<Bytes>> {
    if !matches!(*req.method(), Method::POST | Method::PUT | Method::PATCH) {
        return None;
    }
    let mut payload = req.take_payload();
    let server = &app.config.server;
    let _arriving = app.in_flight.arriving();
    Some(body::read(&mut payload, server.max_body_bytes, server.body_timeout).await)
}

fn before_credential(app: &App, req: &ServiceRequest, arrival: &Arrival) -> Result<(), Box<Refusal>> {
    let dialect = Dialect::of(arrival.dialect);
    if !arrival.is_private(&app.config) {
        return Err(unlimited(app, arrival, AppError::HttpsRequired));
    }
    if (dialect.user_agent_required || app.config.api.require_user_agent) && !has_user_agent(req.headers()) {
        return Err(unlimited(app, arrival, AppError::UserAgentRequired));
    }
    if let Some(version) = dialect.version
        && req.headers().get_all(VERSION).any(|asked| asked != version)
    {
        let words = format!("There is no such version of the API: send `Keyrack-Version: {version}`, or leave it out.");
        return Err(unlimited(app, arrival, AppError::invalid("Keyrack-Version", "unknown_version", words)));
    }
    Ok(())
}

/// No valid credential: counts against the address, so that guessing is slow.
fn guessed(app: &App, arrival: &Arrival, error: AppError) -> Box<Refusal> {
    let left = app.anonymous.take(BucketKey::of_address(arrival.client.ip), arrival.at.1);
    let error = left.check().err().unwrap_or(error);
    Box::new(Refusal { error, left, credential: None })
}

/// Refused without being counted. Tells of the address's bucket: an account's is nobody's business here.
fn unlimited(app: &App, arrival: &Arrival, error: AppError) -> Box<Refusal> {
    Box::new(Refusal { error, left: peek(app, arrival, arrival.at.1), credential: None })
}

/// What requests without a credential have left from this address.
pub fn peek(app: &App, arrival: &Arrival, now: Tick) -> Decision {
    app.anonymous.peek(BucketKey::of_address(arrival.client.ip), now)
}

async fn answer<B: MessageBody + 'static>(
    app: &App,
    req: ServiceRequest,
    next: Next<B>,
    passed: Result<Pass<'_>, Box<Refusal>>,
    arrival: &Arrival,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let (dialect, (now, began)) = (Dialect::of(arrival.dialect), arrival.at);
    let Pass { who, body, _slot } = match passed {
        Ok(pass) => pass,
        Err(refusal) => {
            let Refusal { error, left, credential } = *refusal;
            let mut response = refuse(req.request(), app, &error);
            record::note(
                app,
                req.request(),
                arrival,
                &Ended {
                    status: response.status(),
                    error: Some(error.code()),
                    credential: credential.as_deref(),
                    left: &left,
                    began,
                    was_admitted: false,
                    at: now,
                    response_size: response.body().size(),
                },
            );
            finish(response.headers_mut(), dialect, &left, now);
            tell_deprecation(record::deprecated(req.request()), response.headers_mut());
            return Ok(req.into_response(response).map_into_right_body());
        }
    };
    let admitted = match &who {
        Who::Known(admitted) => Some(admitted.clone()),
        Who::Anyone(_) => None,
    };
    req.extensions_mut().insert(Handed { admitted, body });
    let response = next.call(req).await?;
    let refused = response.response().error().and_then(|err| err.as_error::<ApiError>());
    let code = refused.map(|ApiError(error)| error.code());
    let refused = refused.map(|ApiError(error)| refuse(response.request(), app, error));
    let mut response = match refused {
        Some(body) => response.into_response(body).map_into_right_body(),
        None => response.map_into_left_body(),
    };
    record::note(
        app,
        response.request(),
        arrival,
        &Ended {
            status: response.status(),
            error: code,
            credential: who.credential(),
            left: who.left(),
            began,
            was_admitted: true,
            at: now,
            response_size: response.response().body().size(),
        },
    );
    finish(response.headers_mut(), dialect, who.left(), now);
    tell_deprecation(record::deprecated(response.request()), response.headers_mut());
    Ok(response)
    // `_slot` ends here, and gives its turn back.
}

/// Warns whoever uses what will go away.
fn tell_deprecation(operation: Option<&Operation>, headers: &mut HeaderMap) {
    if let Some((operation, deprecated)) = operation.and_then(|operation| Some((operation, operation.deprecated?))) {
        deprecated.tell(operation.id, headers);
    }
}

/// The headers of every answer of the API.
pub fn finish(headers: &mut HeaderMap, dialect: &Dialect, left: &Decision, now: Timestamp) {
    dialect.rate_headers.write(headers, left, now);
    put(headers, CACHE_CONTROL, NO_STORE);
    put(headers, CONTENT_SECURITY_POLICY, NOTHING_LOADS);
}

/// What stands in a header of its own.
fn bare<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str> {
    authorization::bare(only(headers.get_all(name))?).ok_or(AppError::MissingApiKey)
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    authorization::bearer(only(headers.get_all(AUTHORIZATION))?).ok_or(AppError::MissingApiKey)
}

/// Two credentials are none: which of them would count?
fn only<'h>(mut values: impl Iterator<Item = &'h HeaderValue>) -> Result<&'h str> {
    let value = values.next().ok_or(AppError::MissingApiKey)?;
    if values.next().is_some() {
        return Err(AppError::InvalidApiKey);
    }
    // Quicker than `to_str`, which looks at each byte by itself.
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii()).ok_or(AppError::InvalidApiKey)
}

fn has_user_agent(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}

fn app_of(req: &ServiceRequest) -> Data<App> {
    req.app_data::<Data<App>>().cloned().expect("the app is put into every server")
}
