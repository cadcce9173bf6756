//! Sends what is due. One message at a time to each webhook, oldest first, and so many at once over all. What is stored
//! stays pending until its outcome is, so that a crash loses nothing, and what is sent twice has the same id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::json;
use tokio::task::{Id, JoinSet};

use super::deliveries::{self, Message};
use super::note;
use crate::app::App;
use crate::app::outbound::Answer;
use crate::crypto::fill_random;
use crate::model::Result;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::error::in_full;
use crate::model::ids::WebhookId;
use crate::model::webhook::{Attempt, DeliveryStatus, Outcome, Webhook, WebhookStatus};
use crate::store::webhooks::Standing;
use crate::store::{self, Tx};

const AT_ONCE: usize = 10;
/// Of those, so many may be for webhooks that fail: the others never wait for all of them.
const FAILING_AT_ONCE: usize = 5;
/// The pause after each failed attempt of a message; the last one is not followed by another.
const PAUSES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(10 * HOUR),
];
pub const MOST_ATTEMPTS: u32 = PAUSES.len() as u32 + 1;
const HOUR: u64 = 3600;
/// A pause is longer by up to this part of it, so that what failed together does not come back together.
const JITTER: f64 = 0.1;
/// Failing for as long disables a webhook.
const FAILING_FOR: Duration = Duration::from_secs(5 * 24 * HOUR);
/// From so many failures on, one after the other, the webhook itself is given pauses, which double.
const PATIENCE: u32 = 10;
const LONGEST_HOLD: Duration = Duration::from_secs(5 * 60);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * HOUR);
/// After a write that failed: the same would be sent again and again.
const REST: Duration = Duration::from_secs(5);
/// Nothing is missed for longer, whatever happens to clocks and notices.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// What comes together is looked at together.
const GATHER: Duration = Duration::from_millis(10);

pub struct Worker {
    app: Arc<App>,
    sending: JoinSet<Result<()>>,
    busy: HashMap<Id, Busy>,
}

#[derive(Clone, Copy)]
struct Busy {
    webhook: WebhookId,
    failing: bool,
}

/// Runs until the program ends. What is being sent when it stops is sent again by the next.
pub async fn run(app: Arc<App>) {
    let mut foreign = app.store.foreign_commits();
    let mut worker = Worker::new(app.clone());
    loop {
        let wait = match worker.start_due().await {
            Ok(wait) => wait,
            Err(err) => {
                tracing::warn!(error = in_full(&err), "webhooks will be looked at again");
                REST
            }
        };
        tokio::select! {
            () = app.to_send.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(wait) => {}
            changed = foreign.changed() => if changed.is_err() { return },
            true = worker.ended() => {}
        }
    }
}

impl Worker {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, sending: JoinSet::new(), busy: HashMap::new() }
    }

    /// Sends all that is due now, and what becomes due by that.
    pub async fn drain(&mut self) -> Result<()> {
        loop {
            self.start_due().await?;
            if !self.ended().await {
                return Ok(());
            }
        }
    }

    /// Begins with whatever has its turn. Gives how long there is nothing more to begin with.
    async fn start_due(&mut self) -> Result<Duration> {
        if self.app.draining.load(Relaxed) {
            return Ok(LONGEST_SLEEP);
        }
        let now = self.app.clock.now();
        let mut wait = LONGEST_SLEEP;
        for failing in [false, true] {
            let failing_now = self.busy.values().filter(|busy| busy.failing).count();
            let free = AT_ONCE - self.busy.len();
            let free = if failing { free.min(FAILING_AT_ONCE.saturating_sub(failing_now)) } else { free };
            if free == 0 {
                continue;
            }
            // Those being sent to may stand first.
            let most = free + self.busy.len();
            let look = move |conn: &store::Conn| {
                let due = store::webhooks::list_due(conn, failing, now, most)?;
                Ok((due, store::webhooks::next_due_at(conn, failing, now)?))
            };
            let (due, next) = self.app.store.read(look).await?;
            let idle = due.into_iter().filter(|id| self.busy.values().all(|busy| busy.webhook != *id));
            for webhook in idle.take(free).collect::<Vec<_>>() {
                let task = self.sending.spawn(next_message(self.app.clone(), webhook));
                self.busy.insert(task.id(), Busy { webhook, failing });
            }
            wait = next.map_or(wait, |next| wait.min(next.since(now) + Duration::from_millis(1)));
        }
        Ok(wait)
    }

    /// Waits for one to end; `false` when there is none. One that could not be written rests the worker.
    async fn ended(&mut self) -> bool {
        let (id, failed) = match self.sending.join_next_with_id().await {
            None => return false,
            Some(Ok((id, sent))) => (id, sent.err().map(|err| in_full(&err))),
            Some(Err(err)) => (err.id(), Some(in_full(&err))),
        };
        self.busy.remove(&id);
        if let Some(error) = failed {
            tracing::error!(error, "a delivery's outcome was not stored; it will be sent again");
            tokio::time::sleep(REST).await;
        }
        true
    }
}

/// Sends a webhook's next message and stores what came of it.
async fn next_message(app: Arc<App>, id: WebhookId) -> Result<()> {
    let now = app.clock.now();
    let take = move |conn: &store::Conn| {
        let Some(webhook) = store::webhooks::find(conn, id)?.filter(|webhook| webhook.status == WebhookStatus::Active) else {
            return Ok(None);
        };
        let Some(turn) = store::deliveries::next_of(conn, id, now)? else { return Ok(None) };
        let Some(body) = store::webhook_events::body(conn, turn.event_id)? else { return Ok(None) };
        let secrets = store::webhooks::secrets(conn, id, now)?;
        Ok(Some(Message { webhook: id, url: webhook.url, delivery: turn.id, event: turn.event_id, body, secrets }))
    };
    let Some(message) = app.store.read(take).await? else {
        return app.store.write(move |tx| store::webhooks::requeue(tx, id)).await;
    };
    let (attempt, answer) = deliveries::send(&app, &message).await?;
    let delivery = message.delivery;
    let now = app.clock.now();
    let settled = move |tx: &Tx| {
        let (Some(webhook), Some(before)) = (store::webhooks::find(tx, id)?, store::deliveries::find(tx, delivery)?) else {
            return Ok(());
        };
        store::deliveries::insert_attempt(tx, delivery, &attempt)?;
        // What another address answered says nothing of the one that there is now.
        if attempt.outcome.error.is_some() && attempt.url != webhook.url {
            store::deliveries::settle(tx, delivery, DeliveryStatus::Pending, Some(now), &attempt.outcome)?;
            return store::webhooks::requeue(tx, id);
        }
        let after = after(tx, &webhook, before.attempts + 1, &attempt, answer.as_ref(), now)?;
        store::deliveries::settle(tx, delivery, after.status, after.next_attempt_at, &attempt.outcome)?;
        store::webhooks::set_standing(tx, id, &after.standing)?;
        if let Some(reason) = after.disabled {
            disable(tx, webhook, &reason, now)?;
        }
        store::webhooks::requeue(tx, id)
    };
    app.store.write(settled).await
}

/// What an attempt leads to.
struct After {
    status: DeliveryStatus,
    next_attempt_at: Option<Timestamp>,
    standing: Standing,
    /// Why the webhook is to be disabled.
    disabled: Option<String>,
}

fn after(tx: &Tx, webhook: &Webhook, attempts: u32, attempt: &Attempt, answer: Option<&Answer>, now: Timestamp) -> Result<After> {
    let good = Standing { failures: 0, failing_since: None, hold_until: Timestamp::from_millis(0) };
    let Outcome { error, .. } = &attempt.outcome;
    let Some(error) = error else {
        return Ok(After { status: DeliveryStatus::Delivered, next_attempt_at: None, standing: good, disabled: None });
    };
    let before = store::webhooks::standing(tx, webhook.id)?.unwrap_or(good);
    let failing_since = before.failing_since.unwrap_or(now);
    let failures = before.failures.saturating_add(1);
    let asked = answer.filter(|answer| matches!(answer.status, 429 | 503)).and_then(|answer| answer.retry_after.as_deref());
    let asked = asked.and_then(|text| retry_after(text, now)).map(|wait| now.saturating_add(wait.min(LONGEST_RETRY_AFTER)));
    let pause = PAUSES.get(attempts as usize - 1).map(|pause| now.saturating_add(jittered(*pause)));
    let next_attempt_at = pause.map(|next| asked.map_or(next, |asked| asked.max(next)));
    // A message that failed once is tried again before those behind it go on, so that a hiccup keeps the order.
    let in_order = next_attempt_at.filter(|_| attempts == 1);
    let patience = failures.checked_sub(PATIENCE).map(|n| jittered(Duration::from_secs(1 << n.min(9)).min(LONGEST_HOLD)));
    let hold_until = [in_order, asked, patience.map(|hold| now.saturating_add(hold))].into_iter().flatten().max();
    let standing = Standing { failures, failing_since: Some(failing_since), hold_until: hold_until.unwrap_or(good.hold_until) };
    let disabled = if attempt.outcome.response_code == Some(410) {
        Some("The receiver answered 410 Gone.".to_owned())
    } else if now.since(failing_since) >= FAILING_FOR {
        Some(format!("It failed for five days. The last time: {error}"))
    } else {
        None
    };
    Ok(match next_attempt_at.filter(|_| disabled.is_none()) {
        Some(_) => After { status: DeliveryStatus::Pending, next_attempt_at, standing, disabled },
        None => After { status: DeliveryStatus::Failed, next_attempt_at: None, standing, disabled },
    })
}

/// Nothing is sent to it until a person makes it active again. What was pending can be sent again then.
fn disable(tx: &Tx, webhook: Webhook, reason: &str, now: Timestamp) -> Result<()> {
    let disabled = Webhook { status: WebhookStatus::Disabled, disabled_reason: Some(reason.to_owned()), ..webhook };
    let failing_since = store::webhooks::standing(tx, disabled.id)?.and_then(|standing| standing.failing_since);
    let disabled = store::webhooks::update(tx, &Webhook { failing_since, ..disabled }, now)?;
    store::deliveries::give_up(tx, disabled.id)?;
    tracing::warn!(webhook = %disabled.id, reason, "a webhook is disabled");
    note(tx, &Caller::system(), now, "webhook.disabled", &disabled, json!({ "reason": reason }))
}

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Timestamp::from_millis(at.as_millisecond()).since(now))
}

fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0; 2];
    fill_random(&mut bytes);
    pause.mul_f64(1.0 + JITTER * f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-11-22T10:00:00Z").expect("a time");
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:01:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 22 Nov 2020 10:01:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_pause_is_never_shorter_than_it_is_said_to_be() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(100));
            assert!((100..=110).contains(&pause.as_secs()), "{pause:?}");
        }
    }
}
