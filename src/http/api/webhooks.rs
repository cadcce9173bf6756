//! Webhooks and their deliveries, for programs.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::allowed::{Allowed, WebhooksRead, WebhooksWrite};
use super::fields::Fields;
use super::idempotent::{Once, once};
use super::query::Query;
use super::reply::insert;
use super::{Result, id_from, reply};
use crate::app::App;
use crate::crypto::WebhookSecret;
use crate::model::api_key::Overlap;
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::ids::{AccountId, DeliveryId, WebhookId};
use crate::model::target::Target;
use crate::model::webhook::{
    Attempt, Delivery, DeliveryStatus, EventId, EventTypes, NewWebhook, Outcome, Webhook, WebhookChanges, WebhookStatus,
};
use crate::services::idempotency::Replay;
use crate::services::webhooks::{self, deliveries};

#[derive(Serialize)]
pub struct WebhookBody<'a> {
    id: WebhookId,
    /// Whose events; none: every account's.
    account_id: Option<AccountId>,
    url: &'a str,
    events: EventTypes,
    status: &'static str,
    disabled_reason: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a Webhook> for WebhookBody<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        Self {
            id: webhook.id,
            account_id: webhook.account_id,
            url: &webhook.url,
            events: webhook.events,
            status: webhook.status.name(),
            disabled_reason: webhook.disabled_reason.as_deref(),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// A webhook at the one moment when its secret is shown; `null` where the answer is repeated.
#[derive(Serialize)]
pub struct WebhookWithSecret<'a> {
    #[serde(flatten)]
    pub webhook: WebhookBody<'a>,
    pub secret: Option<&'a str>,
}

#[derive(Serialize)]
pub struct DeliveryBody<'a> {
    id: DeliveryId,
    webhook_id: WebhookId,
    event_id: EventId,
    event_type: &'a str,
    status: &'static str,
    attempts: u32,
    next_attempt_at: Option<Timestamp>,
    last_attempt_at: Option<Timestamp>,
    response_code: Option<u16>,
    response_time_ms: Option<u64>,
    error: Option<&'a str>,
    created_at: Timestamp,
}

impl<'a> From<&'a Delivery> for DeliveryBody<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let last = delivery.last.as_ref();
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook_id,
            event_id: delivery.event_id,
            event_type: &delivery.event_type,
            status: delivery.status.name(),
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: last.map(|last| last.at),
            response_code: last.and_then(|last| last.response_code),
            response_time_ms: last.map(|last| last.response_time_ms),
            error: last.and_then(|last| last.error.as_deref()),
            created_at: delivery.created_at,
        }
    }
}

/// A delivery with each attempt: what was sent, and what came back.
#[derive(Serialize)]
struct DeliveryInFull<'a> {
    #[serde(flatten)]
    delivery: DeliveryBody<'a>,
    /// As it is sent.
    body: &'a str,
    log: Vec<AttemptBody<'a>>,
}

#[derive(Serialize)]
struct AttemptBody<'a> {
    number: u32,
    at: Timestamp,
    request: RequestBody<'a>,
    response: Option<ResponseBody<'a>>,
    response_time_ms: u64,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct RequestBody<'a> {
    url: &'a str,
    headers: Map<String, Value>,
}

#[derive(Serialize)]
struct ResponseBody<'a> {
    code: u16,
    content_type: Option<&'a str>,
    excerpt: Option<&'a str>,
}

impl<'a> AttemptBody<'a> {
    fn new(attempt: &'a Attempt, event: EventId) -> Self {
        let Outcome { at, response_code, response_time_ms, error } = &attempt.outcome;
        let headers = json!({
            "content-type": "application/json",
            "webhook-id": event,
            "webhook-timestamp": at.seconds().to_string(),
            "webhook-signature": attempt.signature,
        });
        let Value::Object(headers) = headers else { unreachable!("an object was written") };
        Self {
            number: attempt.number,
            at: *at,
            request: RequestBody { url: &attempt.url, headers },
            response: response_code.map(|code| ResponseBody {
                code,
                content_type: attempt.content_type.as_deref(),
                excerpt: attempt.excerpt.as_deref(),
            }),
            response_time_ms: *response_time_ms,
            error: error.as_deref(),
        }
    }
}

/// What a test came to.
#[derive(Serialize)]
pub struct TestBody<'a> {
    id: DeliveryId,
    status: &'static str,
    response_code: Option<u16>,
    response_time_ms: Option<u64>,
    error: Option<&'a str>,
}

impl<'a> From<&'a Delivery> for TestBody<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let DeliveryBody { id, status, response_code, response_time_ms, error, .. } = delivery.into();
        Self { id, status, response_code, response_time_ms, error }
    }
}

pub async fn list(who: Allowed<WebhooksRead>, app: Data<App>, req: HttpRequest, mut query: Query) -> Result {
    let place = query.place(WebhookId::parse);
    query.finish()?;
    let (start, _, limit) = place;
    let page = webhooks::list(&app, &who.caller, place).await?;
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|webhook| webhook.id, WebhookBody::from)))
}

pub async fn show(who: Allowed<WebhooksRead>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let webhook = webhooks::find(&app, &who.caller, id).await?;
    Ok(reply::tagged(&req, &WebhookBody::from(&webhook), &etag(&webhook)))
}

pub async fn create(who: Allowed<WebhooksWrite>, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let allow_private = app.outbound.allow_private;
    let url = body.required("url", |text| Target::parse(text, allow_private));
    let events = body.required_texts("events", |names| EventTypes::parse(names.iter().copied()));
    let secret = body.text("secret", |text| {
        let wrong = || Problem::new("invalid_secret", "`secret` must be `whsec_` and the base64 of 24 to 64 bytes.");
        WebhookSecret::parse(text).ok_or_else(wrong)
    });
    let account_id = body.text("account_id", |text| {
        AccountId::parse(text).ok_or_else(|| Problem::new("invalid_id", "`account_id` must be the id of an account."))
    });
    let [url] = body.all_of([url])?;
    let [events] = body.all_of([events])?;
    let new = NewWebhook { url, events, account_id };
    let stored = |webhook: &Webhook| replay_of(StatusCode::CREATED, Some(location(webhook)), webhook);
    let created =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| webhooks::create(&app, &who.caller, new, secret, keep));
    Ok(match created.await? {
        Once::Before(response) => response,
        Once::Done((webhook, secret)) => {
            let mut response = with_secret(StatusCode::CREATED, &webhook, &secret);
            insert(&mut response, LOCATION, &location(&webhook));
            response
        }
    })
}

pub async fn update(
    who: Allowed<WebhooksWrite>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut body: Fields,
) -> Result {
    let allow_private = app.outbound.allow_private;
    let changes = WebhookChanges {
        url: body.text("url", |text| Target::parse(text, allow_private)),
        events: body.texts("events", |names| EventTypes::parse(names.iter().copied())),
        status: body.text("status", WebhookStatus::parse_wanted),
    };
    body.finish()?;
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let webhook = webhooks::update(&app, &who.caller, id, changes, reply::if_match(&req)).await?;
    let mut response = reply::json(StatusCode::OK, &WebhookBody::from(&webhook));
    insert(&mut response, ETAG, &etag(&webhook));
    Ok(response)
}

pub async fn delete(who: Allowed<WebhooksWrite>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, WebhookId::parse, "webhook")?;
    webhooks::delete(&app, &who.caller, id, reply::if_match(&req)).await?;
    Ok(reply::deleted(&req, "webhook", id))
}

pub async fn rotate_secret(
    who: Allowed<WebhooksWrite>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut body: Fields,
) -> Result {
    let overlap = body.text("overlap", Overlap::parse).unwrap_or_default();
    body.finish()?;
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let expected = reply::if_match(&req);
    let stored = |webhook: &Webhook| replay_of(StatusCode::OK, None, webhook);
    let rotated = once(&app, &who.caller, &req, &body.bytes, stored, |keep| {
        webhooks::rotate_secret(&app, &who.caller, id, overlap, expected, keep)
    });
    Ok(match rotated.await? {
        Once::Before(response) => response,
        Once::Done((webhook, secret)) => with_secret(StatusCode::OK, &webhook, &secret),
    })
}

pub async fn test(who: Allowed<WebhooksWrite>, app: Data<App>, req: HttpRequest, path: Path<String>, mut body: Fields) -> Result {
    body.finish()?;
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let expected = reply::if_match(&req);
    let stored = |delivery: &Delivery| kept(StatusCode::OK, &TestBody::from(delivery));
    let tested =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| deliveries::test(&app, &who.caller, id, expected, keep));
    Ok(match tested.await? {
        Once::Before(response) => response,
        Once::Done(delivery) => reply::json(StatusCode::OK, &TestBody::from(&delivery)),
    })
}

pub async fn list_deliveries(
    who: Allowed<WebhooksRead>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut query: Query,
) -> Result {
    let place = query.place(DeliveryId::parse);
    let status = query.text("status", DeliveryStatus::parse);
    query.finish()?;
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let (start, _, limit) = place;
    let page = deliveries::list(&app, &who.caller, id, status, place).await?;
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|delivery| delivery.id, DeliveryBody::from)))
}

pub async fn show_delivery(who: Allowed<WebhooksRead>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, DeliveryId::parse, "delivery")?;
    let shown = deliveries::find(&app, &who.caller, id).await?;
    let log = shown.attempts.iter().map(|attempt| AttemptBody::new(attempt, shown.delivery.event_id)).collect();
    let delivery = &shown.delivery;
    // Covers what changes without an attempt: that it waits again, and until when.
    let next = delivery.next_attempt_at.map_or(0, Timestamp::millis);
    let etag = format!("\"{}-{}-{next:x}\"", deliveries::revision(&shown.attempts), delivery.status.name());
    Ok(reply::tagged(&req, &DeliveryInFull { delivery: delivery.into(), body: &shown.body, log }, &etag))
}

/// Answered when it waits to be sent, not when it is.
pub async fn replay(
    who: Allowed<WebhooksWrite>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut body: Fields,
) -> Result {
    body.finish()?;
    let id = id_from(path, DeliveryId::parse, "delivery")?;
    let expected = reply::if_match(&req);
    let stored = |delivery: &Delivery| kept(StatusCode::ACCEPTED, &DeliveryBody::from(delivery));
    let replayed =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| deliveries::replay(&app, &who.caller, id, expected, keep));
    Ok(match replayed.await? {
        Once::Before(response) => response,
        Once::Done(delivery) => reply::json(StatusCode::ACCEPTED, &DeliveryBody::from(&delivery)),
    })
}

pub async fn replay_failed(
    who: Allowed<WebhooksWrite>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut body: Fields,
) -> Result {
    let since = body.required("since", |text| {
        let wrong = || Problem::new("invalid_time", "`since` must be a time such as 2026-10-27T10:00:00Z.");
        Timestamp::parse(text).ok_or_else(wrong)
    });
    let [since] = body.all_of([since])?;
    let id = id_from(path, WebhookId::parse, "webhook")?;
    let expected = reply::if_match(&req);
    let stored = |count: &usize| kept(StatusCode::ACCEPTED, &json!({ "replayed": count }));
    let replayed = once(&app, &who.caller, &req, &body.bytes, stored, |keep| {
        deliveries::replay_failed(&app, &who.caller, id, since, expected, keep)
    });
    Ok(match replayed.await? {
        Once::Before(response) => response,
        Once::Done(count) => reply::json(StatusCode::ACCEPTED, &json!({ "replayed": count })),
    })
}

fn kept(status: StatusCode, body: &impl Serialize) -> Replay {
    Replay { status: status.as_u16(), location: None, etag: None, body: reply::to_json(body) }
}

fn with_secret(status: StatusCode, webhook: &Webhook, secret: &WebhookSecret) -> HttpResponse {
    let body = WebhookWithSecret { webhook: webhook.into(), secret: Some(&secret.expose()) };
    let mut response = reply::json(status, &body);
    insert(&mut response, ETAG, &etag(webhook));
    response
}

/// The answer that is kept never has the secret: `rotate-secret` replaces one that was lost.
fn replay_of(status: StatusCode, location: Option<String>, webhook: &Webhook) -> Replay {
    let body = reply::to_json(&WebhookWithSecret { webhook: webhook.into(), secret: None });
    Replay { status: status.as_u16(), location, etag: Some(etag(webhook)), body }
}

fn location(webhook: &Webhook) -> String {
    format!("/v1/webhooks/{}", webhook.id)
}

fn etag(webhook: &Webhook) -> String {
    format!("\"{}\"", webhook.revision)
}
