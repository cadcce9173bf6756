//! What was sent to webhooks and what they answered; sending it again, and a test.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;
use url::Url;

use super::signature;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::app::outbound::Answer;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::error::in_full;
use crate::model::ids::{DeliveryId, WebhookId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::revision::IfMatch;
use crate::model::webhook::{Attempt, Delivery, DeliveryStatus, EventId, EventType, Outcome, Webhook};
use crate::model::{AppError, Result};
use crate::services::authorize::seen_webhook;
use crate::services::idempotency::Keep;
use crate::store::{self, Tx};

/// How long an event and what became of it are kept.
pub const KEPT: Duration = Duration::from_secs(30 * 86_400);
const SWEPT_AT_ONCE: u32 = 500;

/// A delivery with all there is to see of it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub delivery: Delivery,
    pub webhook: Webhook,
    /// What is sent.
    pub body: String,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
}

pub async fn list(
    app: &App,
    caller: &Caller,
    webhook: WebhookId,
    status: Option<DeliveryStatus>,
    place: (Start<DeliveryId>, Order, Limit),
) -> Result<Page<Delivery>> {
    let caller = caller.clone();
    let list = move |conn: &store::Conn| {
        seen_webhook(&caller, store::webhooks::find(conn, webhook)?)?;
        store::deliveries::list(conn, &store::deliveries::Filter { webhook, status }, place)
    };
    app.store.read(list).await
}

/// Why the latest attempt failed. They are sent in order, so it was the oldest that waits, or the newest that was given up.
pub async fn last_failure(app: &App, caller: &Caller, webhook: WebhookId) -> Result<Option<String>> {
    let one = |status, order| list(app, caller, webhook, Some(status), (Start::Offset(0), order, Limit::of(1)));
    let waiting = one(DeliveryStatus::Pending, Order::OldestFirst).await?;
    let failed = one(DeliveryStatus::Failed, Order::NewestFirst).await?;
    let last = waiting.rows.into_iter().chain(failed.rows).filter_map(|delivery| delivery.last).max_by_key(|last| last.at);
    Ok(last.and_then(|last| last.error))
}

/// How many are pending and how many have failed, up to a thousand and one.
pub async fn counts(app: &App, webhook: &Webhook) -> Result<(u64, u64)> {
    let id = webhook.id;
    app.store.read(move |conn| store::deliveries::counts(conn, id)).await
}

pub async fn find(app: &App, caller: &Caller, id: DeliveryId) -> Result<Shown> {
    let caller = caller.clone();
    let find = move |conn: &store::Conn| {
        let (delivery, webhook) = seen(conn, &caller, id)?;
        let body = store::webhook_events::body(conn, delivery.event_id)?.unwrap_or_default();
        Ok(Shown { webhook, body, attempts: store::deliveries::attempts(conn, id)?, delivery })
    };
    app.store.read(find).await
}

fn seen(conn: &store::Conn, caller: &Caller, id: DeliveryId) -> Result<(Delivery, Webhook)> {
    let missing = || AppError::NotFound("delivery");
    let delivery = store::deliveries::find(conn, id)?.ok_or_else(missing)?;
    let webhook = seen_webhook(caller, store::webhooks::find(conn, delivery.webhook_id)?).map_err(|_| missing())?;
    Ok((delivery, webhook))
}

/// Sends a delivery again from the beginning, as the same message.
pub async fn replay(app: &App, caller: &Caller, id: DeliveryId, expected: IfMatch, keep: Keep<Delivery>) -> Result<Delivery> {
    let (by, now) = (caller.clone(), app.clock.now());
    let replayed = move |tx: &Tx| {
        let (delivery, webhook) = seen(tx, &by, id)?;
        expected.check(revision(&store::deliveries::attempts(tx, id)?))?;
        store::deliveries::replay(tx, id, now)?;
        store::webhooks::queue(tx, webhook.id, now)?;
        let happening = Happening::new("webhook.replayed", "webhook", webhook.id, &webhook.url)
            .with(json!({ "delivery": id, "event": delivery.event_id }));
        store::audit_events::append(tx, &by, now, webhook.account_id, &happening)?;
        let replayed = seen(tx, &by, id)?.0;
        keep.store(tx, &replayed, now)?;
        Ok(replayed)
    };
    app.change(caller, replayed, |_| Concerns::Nobody).await
}

/// Grows with every attempt.
pub fn revision(attempts: &[Attempt]) -> i64 {
    attempts.last().map_or(0, |last| last.number.into())
}

/// Sends all again that were stored since then and failed. Gives how many there are.
pub async fn replay_failed(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    since: Timestamp,
    expected: IfMatch,
    keep: Keep<usize>,
) -> Result<usize> {
    let (by, now) = (caller.clone(), app.clock.now());
    let replayed = move |tx: &Tx| {
        let webhook = seen_webhook(&by, store::webhooks::find(tx, id)?)?;
        expected.check(webhook.revision)?;
        let count = store::deliveries::replay_failed(tx, id, since, now)?;
        if count > 0 {
            let happening = Happening::new("webhook.replayed", "webhook", id, &webhook.url)
                .with(json!({ "failed_since": since, "deliveries": count }));
            store::audit_events::append(tx, &by, now, webhook.account_id, &happening)?;
        }
        keep.store(tx, &count, now)?;
        Ok(count)
    };
    app.change(caller, replayed, |_| Concerns::Nobody).await
}

/// Sends a test now, once, to see what comes back: to a paused or disabled webhook too. It changes neither.
pub async fn test(app: &App, caller: &Caller, id: WebhookId, expected: IfMatch, keep: Keep<Delivery>) -> Result<Delivery> {
    let (by, now) = (caller.clone(), app.clock.now());
    let begun = move |tx: &Tx| {
        let webhook = seen_webhook(&by, store::webhooks::find(tx, id)?)?;
        expected.check(webhook.revision)?;
        let event = EventId::new();
        let data = json!({ "webhook_id": webhook.id, "message": "A test, sent because somebody asked for it." });
        store::webhook_events::insert(tx, event, EventType::TEST, &data, now)?;
        let delivery = store::deliveries::insert(tx, id, event, None, now)?;
        let body = store::webhook_events::body(tx, event)?.unwrap_or_default();
        let secrets = store::webhooks::secrets(tx, id, now)?;
        Ok(Message { webhook: id, url: webhook.url, delivery, event, body, secrets })
    };
    let message = app.change(caller, begun, |_| Concerns::Nobody).await?;
    let (attempt, _) = send(app, &message).await?;
    let delivery = message.delivery;
    let ended = move |tx: &Tx| {
        store::deliveries::insert_attempt(tx, delivery, &attempt)?;
        store::deliveries::settle(tx, delivery, status_after(&attempt.outcome), None, &attempt.outcome)?;
        let tested = store::deliveries::find(tx, delivery)?.ok_or(AppError::NotFound("delivery"))?;
        keep.store(tx, &tested, now)?;
        Ok(tested)
    };
    app.store.write(ended).await
}

pub(super) fn status_after(outcome: &Outcome) -> DeliveryStatus {
    if outcome.is_delivered() { DeliveryStatus::Delivered } else { DeliveryStatus::Failed }
}

/// One message to one webhook, with its sealed secrets.
pub(super) struct Message {
    pub webhook: WebhookId,
    pub url: String,
    pub delivery: DeliveryId,
    pub event: EventId,
    pub body: String,
    pub secrets: Vec<Vec<u8>>,
}

/// Signs and sends; what came of it, and the answer where one came.
pub(super) async fn send(app: &App, message: &Message) -> Result<(Attempt, Option<Answer>)> {
    let (at, began) = (app.clock.now(), app.clock.tick());
    let id = message.event.to_string();
    // A secret that cannot be read is this webhook's trouble: others must not wait behind it.
    let signed = signature(app.master_key().await?, message.webhook, &message.secrets, (&id, at, &message.body));
    let (signature, answer) = match signed {
        Err(err) => {
            tracing::error!(webhook = %message.webhook, error = in_full(&err), "a message could not be signed");
            (String::new(), Err("Not signed: the secret cannot be read. Rotate it.".to_owned()))
        }
        Ok(signature) => {
            let url = Url::parse(&message.url).map_err(AppError::internal)?;
            let answer = app.outbound.post(&url, headers(&id, at, &signature)?, message.body.clone()).await;
            (signature, answer.map_err(|err| err.to_string()))
        }
    };
    let took = app.clock.tick().since(began);
    let (answer, error) = match answer {
        Ok(answer) => {
            let error = refusal(&answer);
            (Some(answer), error)
        }
        Err(words) => (None, Some(words)),
    };
    let outcome = Outcome {
        at,
        response_code: answer.as_ref().map(|answer| answer.status),
        response_time_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        error,
    };
    let attempt = Attempt {
        number: 0,
        url: message.url.clone(),
        signature,
        outcome,
        content_type: answer.as_ref().and_then(|answer| answer.content_type.clone()),
        excerpt: answer.as_ref().and_then(|answer| answer.excerpt.clone()),
    };
    Ok((attempt, answer))
}

/// The lines of the request that are ours.
fn headers(id: &str, at: Timestamp, signature: &str) -> Result<HeaderMap> {
    let text = |value: &str| HeaderValue::from_str(value).map_err(AppError::internal);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", text(id)?);
    headers.insert("webhook-timestamp", at.seconds().into());
    headers.insert("webhook-signature", text(signature)?);
    Ok(headers)
}

/// Why an answer is none that takes the event.
fn refusal(answer: &Answer) -> Option<String> {
    match answer.status {
        200..=299 => None,
        300..=399 => {
            let to = answer.location.as_ref().map(|to| format!(" It leads to {to}.")).unwrap_or_default();
            Some(format!("Answered {}. Redirects are not followed: set the final address.{to}", answer.status))
        }
        status => Some(format!("Answered {status}.")),
    }
}

/// Forgets what is older than it is kept, a part at a time.
pub async fn sweep(app: &App) -> Result<()> {
    let before = app.clock.now().saturating_sub(KEPT);
    while app.store.write(move |tx| store::webhook_events::sweep(tx, before, SWEPT_AT_ONCE)).await? > 0 {}
    Ok(())
}

/// A command that sends the message again from a shell, signed anew: receivers refuse what is older than minutes.
pub async fn as_curl(app: &App, caller: &Caller, shown: &Shown) -> Result<String> {
    let webhook = seen_webhook(caller, Some(shown.webhook.clone()))?;
    let now = app.clock.now();
    let sealed = app.store.read(move |conn| store::webhooks::secrets(conn, webhook.id, now)).await?;
    let id = shown.delivery.event_id.to_string();
    let signature = signature(app.master_key().await?, shown.webhook.id, &sealed, (&id, now, &shown.body))?;
    let lines = [
        format!("curl -i {}", quoted(&shown.webhook.url)),
        "-H 'content-type: application/json'".into(),
        format!("-H 'webhook-id: {id}'"),
        format!("-H 'webhook-timestamp: {}'", now.seconds()),
        format!("-H 'webhook-signature: {signature}'"),
        format!("--data-raw {}", quoted(&shown.body)),
    ];
    Ok(lines.join(" \\\n  "))
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_cannot_break_out() {
        assert_eq!(quoted("it's $(rm) `x`"), r"'it'\''s $(rm) `x`'");
    }
}
