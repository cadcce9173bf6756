//! What every page passes on its way out: the headers that keep a browser safe, and an error made into a page.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError};
use futures_util::FutureExt;

use super::api;
use super::arrival::{Arrival, Arrived, https_address, path_of, tell_of_other_address};
use super::elevation::ElevationPage;
use super::faults::words_of;
use super::page::{ErrorPage, Frame, PageError, Place, render};
use super::shown_path::shown_path;
use super::signed_in::{Visit, app_of};
use super::{HTTPS_FOR_LONG, X_REQUEST_ID, words};
use crate::app::App;
use crate::model::AppError;
use crate::model::error::in_full;
use crate::model::usage::Outcome;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types keyrack";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const HEADERS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "accelerometer=(), camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// The answer, in the language of whoever asks.
pub async fn shell(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let language = words::language_for(req.request(), None);
    words::answering(language, answer(req, next)).await
}

async fn answer(req: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let arrival = req.request().arrival();
    let began = Instant::now();
    let (app, is_form) = (app_of(req.request()), req.method() == Method::POST);
    if !arrival.is_private(&app_of(req.request()).config) {
        if !wants_a_page(req.request()) {
            let app = app_of(req.request());
            let answer = api::nowhere(req.request().clone(), app).await;
            return Ok(req.into_response(answer).map_into_right_body());
        }
        let page = match https_address(req.request()).filter(|_| req.method() == Method::GET) {
            Some(address) => HttpResponse::PermanentRedirect().insert_header((LOCATION, address)).finish(),
            None => error_page(req.request(), &AppError::HttpsRequired.into()).await,
        };
        let mut response = req.into_response(page).map_into_right_body();
        add_headers(response.headers_mut(), true);
        return Ok(response);
    }
    tell_of_other_address(req.request(), &app);
    let path = path_of(req.request()).to_owned();
    // A client may have opened the consent in a window of its own, and waits there for the answer.
    let keeps_opener = path.starts_with("/oauth/");
    let response = match AssertUnwindSafe(next.call(req)).catch_unwind().await {
        Ok(answered) => answered?,
        Err(panic) => {
            tracing::error!(request_id = %arrival.request_id, path = %shown_path(&path), error = words_of(&*panic), "a page panicked");
            return Err(InternalError::from_response("a page panicked", fault_page(&arrival)).into());
        }
    };
    let mut response = match page_of_refusal(&response).await {
        Some(page) => response.into_response(page).map_into_right_body(),
        None => response.map_into_left_body(),
    };
    add_headers(response.headers_mut(), !keeps_opener);
    app.metrics.count_page(is_form, Outcome::of(response.status().as_u16()), began.elapsed());
    Ok(response)
}

/// The page of an error: a handler's, or one that the framework answered by itself.
async fn page_of_refusal<B>(response: &ServiceResponse<B>) -> Option<HttpResponse> {
    let req = response.request();
    if let Some(err) = response.response().error() {
        return match err.as_error::<PageError>() {
            Some(PageError::SignIn { .. } | PageError::NeedsFactor) => None,
            Some(err) => Some(error_page(req, err).await),
            None => {
                tracing::debug!(error = %err, "a page could not be asked for so");
                let words = "The address of this page has a part that cannot be read.";
                Some(error_page(req, &AppError::BadRequest(words.into()).into()).await)
            }
        };
    }
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return None;
    }
    let allow = response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    // Whoever may GET may ask with HEAD: the router sees no difference.
    let allowed = allow.replace("GET", "GET, HEAD");
    let value = HeaderValue::from_str(&allowed);
    let mut page = error_page(req, &AppError::MethodNotAllowed { method: req.method().to_string(), allowed }.into()).await;
    if let Ok(value) = value {
        page.headers_mut().insert(ALLOW, value);
    }
    Some(page)
}

async fn error_page(req: &HttpRequest, err: &PageError) -> HttpResponse {
    let request_id = &req.arrival().request_id;
    if let PageError::App(AppError::Internal(source)) = err {
        tracing::error!(request_id = &**request_id, error = in_full(source.as_ref()), "a page failed");
    }
    let error = |frame| render(err.status_code(), &ErrorPage::new(frame, err, request_id));
    // Where even the session cannot be read, the page is a stranger's.
    let frame = match Visit::of(req).await {
        Ok(visit) => visit.frame("", Place::Elsewhere),
        Err(_) => Frame::of_a_stranger(),
    };
    let (mut page, wait) = match err {
        PageError::Elevation(kept) => (render(kept.status, &ElevationPage::new(frame, kept)), kept.retry_after),
        PageError::App(err) => (error(frame), err.retry_after().map(|wait| wait.as_secs().max(1))),
        _ => (error(frame), None),
    };
    if let Some(wait) = wait {
        page.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    }
    page
}

/// A fault of ours after which there is no request left to look at: the page is a stranger's.
fn fault_page(arrival: &Arrival) -> HttpResponse {
    let err = AppError::internal("a page panicked").into();
    let mut page = render(StatusCode::INTERNAL_SERVER_ERROR, &ErrorPage::new(Frame::of_a_stranger(), &err, &arrival.request_id));
    add_headers(page.headers_mut(), true);
    if arrival.client.https {
        page.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HTTPS_FOR_LONG);
    }
    if let Ok(id) = HeaderValue::from_str(&arrival.request_id) {
        page.headers_mut().insert(X_REQUEST_ID, id);
    }
    page
}

/// Lets a page's form lead on to another place: a browser asks the policy about redirects, too.
pub fn allow_form_to(response: &mut HttpResponse, place: &str) {
    let policy = POLICY.replace("form-action 'self'", &format!("form-action 'self' {place}"));
    if let Ok(value) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, value);
    }
}

fn add_headers(headers: &mut HeaderMap, is_alone: bool) {
    headers.append(VARY, HeaderValue::from_static("accept-language"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_alone {
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Nothing is at this path: a page for a browser, the API's answer for a program.
pub async fn nothing_here(req: HttpRequest, app: Data<App>) -> Result<HttpResponse, PageError> {
    if wants_a_page(&req) { Err(AppError::NoRoute.into()) } else { Ok(api::nowhere(req, app).await) }
}

fn wants_a_page(req: &HttpRequest) -> bool {
    let accept = req.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("text/html")
}
