//! One delivery: what was sent and what was answered, side by side; and sending again, one or all that failed.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::{BASE, DeliveryRow, find, path_of};
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::pages::view::{Status, grouped};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t, t_refusal};
use crate::model::AppError;
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::ids::DeliveryId;
use crate::model::revision::IfMatch;
use crate::model::webhook::{Attempt, Webhook, WebhookStatus};
use crate::services::idempotency::Keep;
use crate::services::webhooks::deliveries::{self, Shown};

#[derive(Template)]
#[template(path = "admin/webhooks/delivery.html")]
pub struct DeliveryPage {
    pub frame: Frame,
    pub row: DeliveryRow,
    pub webhook: String,
    pub url: String,
    /// The webhook takes nothing now, so that sending again waits.
    pub waits: bool,
    pub attempts: Vec<AttemptRow>,
    /// The one that is looked at.
    pub sides: Option<Sides>,
    pub body: String,
    pub curl: String,
}

pub struct AttemptRow {
    pub number: u32,
    pub at: Moment,
    pub status: Status,
    pub answer: String,
    pub took: String,
    pub current: bool,
}

/// What was sent, beside what came back.
pub struct Sides {
    pub number: u32,
    pub request: String,
    pub response: String,
}

#[derive(Template)]
#[template(path = "admin/webhooks/replay.html")]
pub struct ReplayPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub back: String,
    pub url: String,
    pub since: String,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    attempt: Option<u32>,
}

pub async fn show_delivery(
    who: SignedIn,
    id: Path<String>,
    asked: Query<Asked>,
    done: Query<Done>,
) -> Result<HttpResponse, PageError> {
    let shown = seen(&who, &id).await?;
    let now = who.now();
    let current = asked.attempt.and_then(|number| shown.attempts.iter().find(|attempt| attempt.number == number));
    let current = current.or(shown.attempts.last());
    let number = current.map(|attempt| attempt.number);
    let row = DeliveryRow::new(&shown.delivery, &now);
    let body = pretty(&shown.body);
    let page = DeliveryPage {
        frame: who.frame(&shown.delivery.event_type, Place::Webhooks).with_banner(done.banner()),
        webhook: path_of(&shown.webhook),
        url: shown.webhook.url.clone(),
        waits: shown.webhook.status != WebhookStatus::Active,
        attempts: shown.attempts.iter().rev().map(|attempt| attempt_row(attempt, number, &now)).collect(),
        sides: current.map(|attempt| sides(attempt, &row.event_id, &body)),
        curl: deliveries::as_curl(&who.app, &who.caller, &shown).await?,
        body,
        row,
    };
    Ok(who.ok(&page))
}

fn attempt_row(attempt: &Attempt, current: Option<u32>, now: &Now) -> AttemptRow {
    let outcome = &attempt.outcome;
    let (word, tone) = if outcome.is_delivered() { (msg!("Delivered"), "ok") } else { (msg!("Failed"), "bad") };
    AttemptRow {
        number: attempt.number,
        at: now.moment(outcome.at),
        status: Status { word, tone },
        answer: match &outcome.error {
            Some(error) => t_refusal(error),
            None => t("Answered {code}.").with("code", outcome.response_code.unwrap_or(0)).into(),
        },
        took: t("{n} ms").with("n", grouped(outcome.response_time_ms)).into(),
        current: current == Some(attempt.number),
    }
}

fn sides(attempt: &Attempt, event_id: &str, body: &str) -> Sides {
    let outcome = &attempt.outcome;
    let url = url::Url::parse(&attempt.url).ok();
    let path = url.as_ref().map_or("/", |url| &url[url::Position::BeforePath..]);
    let host = url.as_ref().map_or("", |url| &url[url::Position::BeforeHost..url::Position::AfterPort]);
    let request = format!(
        "POST {path} HTTP/1.1\nhost: {host}\ncontent-type: application/json\nwebhook-id: {event_id}\nwebhook-timestamp: {}\n\
         webhook-signature: {}\n\n{body}",
        outcome.at.seconds(),
        attempt.signature.replace(' ', "\n  "),
    );
    let response = match outcome.response_code {
        Some(code) => {
            let kind = attempt.content_type.as_ref().map(|kind| format!("\ncontent-type: {kind}")).unwrap_or_default();
            let excerpt = attempt.excerpt.as_ref().map(|text| format!("\n\n{text}")).unwrap_or_default();
            format!("HTTP/1.1 {code}{kind}{excerpt}")
        }
        None => outcome.error.as_deref().map(t_refusal).unwrap_or_default(),
    };
    Sides { number: attempt.number, request, response }
}

fn pretty(body: &str) -> String {
    let value: Option<Value> = serde_json::from_str(body).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| body.to_owned())
}

pub async fn replay(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let shown = seen(&who, &id).await?;
    let page = format!("{BASE}/deliveries/{}", shown.delivery.id);
    if form.is_stale {
        return Ok(to(format!("{page}?done=renewed")));
    }
    deliveries::replay(&who.app, &who.caller, shown.delivery.id, IfMatch::ANY, Keep::nothing()).await?;
    Ok(to(format!("{page}?done=replayed")))
}

pub async fn show_replay_failed(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let now = who.now();
    let since = webhook.failing_since.unwrap_or(now.at.saturating_sub(Duration::from_secs(86_400)));
    let typed = since.to_jiff().to_zoned(now.zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string();
    Ok(who.ok(&replay_page(&who, &webhook, typed, FormErrors::default())))
}

pub async fn replay_failed(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let typed = form.text("since").trim().to_owned();
    if form.is_stale {
        let mut page = replay_page(&who, &webhook, typed, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let Some(since) = moment(&typed, &who.now()) else {
        let wrong = Problem::new("invalid_time", "Enter a day and a time, for example 2026-11-22T10:00.").of("since");
        return Ok(who.page(StatusCode::BAD_REQUEST, &replay_page(&who, &webhook, typed, FormErrors::of_refusal(wrong)?)));
    };
    let count = deliveries::replay_failed(&who.app, &who.caller, webhook.id, since, IfMatch::ANY, Keep::nothing()).await?;
    let done = if count == 0 { "nothing-failed" } else { "replayed" };
    Ok(to(format!("{}?done={done}", path_of(&webhook))))
}

/// A local time as a browser's field gives it.
fn moment(typed: &str, now: &Now) -> Option<Timestamp> {
    let local: DateTime = typed.parse().ok()?;
    let zoned = local.to_zoned(now.zone.clone()).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

fn replay_page(who: &SignedIn, webhook: &Webhook, since: String, errors: FormErrors) -> ReplayPage {
    ReplayPage {
        frame: who.frame(t("Replay all failed"), Place::Webhooks).faulty(&errors),
        errors,
        back: path_of(webhook),
        url: webhook.url.clone(),
        since,
    }
}

async fn seen(who: &SignedIn, id: &str) -> Result<Shown, PageError> {
    let id = DeliveryId::parse(id).ok_or(AppError::NotFound("delivery"))?;
    Ok(deliveries::find(&who.app, &who.caller, id).await?)
}
