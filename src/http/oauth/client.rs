//! What every endpoint for clients passes: HTTPS, and which client it is.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, PRAGMA,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;

use crate::app::App;
use crate::http::arrival::{Arrived, path_of};
use crate::http::oauth_refusal::Refusal;
use crate::http::params::Params;
use crate::http::signed_in::app_of;
use crate::http::{authorization, body};
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::oauth_client::OauthClient;
use crate::model::oauth_error::{OauthCode, OauthError};
use crate::services;

/// Refuses what others could read on the way, and makes an answer that nobody keeps.
pub async fn in_private(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = if req.request().arrival().is_private(&app_of(req.request()).config) {
        next.call(req).await?.map_into_left_body()
    } else {
        let refused = Refusal::from(AppError::HttpsRequired).error_response();
        req.into_response(refused).map_into_right_body()
    };
    finish(response.headers_mut());
    Ok(response)
}

fn finish(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

pub async fn wrong_method(req: HttpRequest) -> HttpResponse {
    let allowed = if path_of(&req).starts_with("/.well-known/") { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" };
    let mut response = if req.method() == Method::OPTIONS {
        HttpResponse::NoContent().finish()
    } else {
        Refusal::from(AppError::MethodNotAllowed { method: req.method().to_string(), allowed: allowed.into() }).error_response()
    };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    finish(response.headers_mut());
    response
}

/// A client that has shown who it is, and what it sent.
pub struct Authenticated {
    pub app: Data<App>,
    pub client: OauthClient,
    pub params: Params,
    pub caller: Caller,
    pub ip: IpAddr,
}

impl FromRequest for Authenticated {
    type Error = Refusal;
    type Future = LocalBoxFuture<'static, Result<Self, Refusal>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let app = app_of(&req);
            let params = read(&req, &app, &mut payload).await?;
            let arrival = req.arrival();
            let ip = arrival.client.ip;
            let (id, secret) = match presented(&req, &params) {
                // What names no client cannot be a good credential: it counts like a wrong one.
                Err(err) if err.code() == Some(OauthCode::InvalidClient) => {
                    services::oauth_clients::count_failure(&app, ip).map_err(OauthError::from)?;
                    return Err(err.into());
                }
                presented => presented?,
            };
            let client = services::oauth_clients::authenticate(&app, &id, secret.as_deref(), ip).await?;
            let from = Caller { ip: Some(ip), request_id: Some(arrival.request_id.clone()), ..Caller::system() };
            let caller = services::oauth::caller(client.id, &from);
            Ok(Self { app, client, params, caller, ip })
        })
    }
}

impl Authenticated {
    /// Without a secret whoever fails is but someone who guesses.
    pub fn count_failure<T>(&self, done: Result<T, OauthError>) -> Result<T, OauthError> {
        if self.client.is_public() && done.as_ref().is_err_and(|err| err.code() == Some(OauthCode::InvalidGrant)) {
            services::oauth_clients::count_failure(&self.app, self.ip)?;
        }
        done
    }
}

async fn read(req: &HttpRequest, app: &App, payload: &mut Payload) -> Result<Params, OauthError> {
    let kind = req.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json";
    if !is_json && kind != "application/x-www-form-urlencoded" {
        let words = "Send the parameters as application/x-www-form-urlencoded or as application/json.";
        return Err(OauthCode::InvalidRequest.because(words));
    }
    let server = &app.config.server;
    let body = body::read(payload, server.max_body_bytes, server.body_timeout).await?;
    let params = if is_json { Params::of_json(&body)? } else { Params::of_form(&body) };
    params.check()?;
    Ok(params)
}

/// Id and secret, from the header or the body (RFC 6749 §2.3.1); never from both.
fn presented(req: &HttpRequest, params: &Params) -> Result<(String, Option<String>), OauthError> {
    let (id, secret) = (params.text("client_id")?, params.text("client_secret")?);
    let mut headers = req.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else {
        let id = id.ok_or_else(|| OauthCode::InvalidClient.because("client_id is missing, and no client is named by Basic."))?;
        return Ok((id.into(), secret.map(str::to_owned)));
    };
    if headers.next().is_some() {
        return Err(OauthCode::InvalidRequest.because("Authorization was sent more than once."));
    }
    let wrong = || OauthCode::InvalidClient.because("Authorization is not Basic with an id and a secret.");
    let (by_header, its_secret) = header.to_str().ok().and_then(authorization::basic).ok_or_else(wrong)?;
    if secret.is_some() {
        return Err(OauthCode::InvalidRequest.because("The client's secret was sent twice: by Basic and in the body."));
    }
    if id.is_some_and(|id| id != by_header) {
        return Err(OauthCode::InvalidRequest.because("Basic and client_id name different clients."));
    }
    Ok((by_header, Some(its_secret).filter(|secret| !secret.is_empty())))
}

/// An answer in JSON.
pub fn answer(body: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::build(StatusCode::OK).json(body)
}
