//! Webhooks: list, find, create, change, delete, and their secrets. What is sent to them is in `deliveries`, when and how
//! in `worker`, and what is told that is no change of anything in `told`.

pub mod deliveries;
pub mod told;
pub mod worker;

use serde_json::{Value, json};

use super::authorize::seen_webhook;
use super::forms::{self, Formed};
use super::idempotency::Keep;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::{MasterKey, SecretHash, WebhookSecret};
use crate::model::api_key::Overlap;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, WebhookId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::revision::IfMatch;
use crate::model::scope::Scope;
use crate::model::target::Target;
use crate::model::webhook::{NewWebhook, Webhook, WebhookChanges, WebhookStatus};
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

/// How many an account may have, and how many may be told of every account: each event is stored for all of them.
const MOST: u64 = 50;

pub async fn list(app: &App, caller: &Caller, place: (Start<WebhookId>, Order, Limit)) -> Result<Page<Webhook>> {
    // An account's webhooks are no matter of a single member, who has no page for them.
    if caller.only_user().is_some() {
        caller.must_have(Scope::Admin)?;
    }
    let account = caller.account();
    app.store.read(move |conn| store::webhooks::list(conn, account, place)).await
}

pub async fn find(app: &App, caller: &Caller, id: WebhookId) -> Result<Webhook> {
    let found = app.store.read(move |conn| store::webhooks::find(conn, id)).await?;
    seen_webhook(caller, found)
}

/// Those that do not take what they are sent, of all accounts.
pub async fn list_failing(app: &App, caller: &Caller, limit: u32) -> Result<Vec<Webhook>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::webhooks::list_failing(conn, limit)).await
}

/// A new webhook and what its messages are signed with, which is told this once.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewWebhook,
    secret: Option<WebhookSecret>,
    keep: Keep<Webhook>,
) -> Result<(Webhook, WebhookSecret)> {
    let secret = secret.unwrap_or_else(WebhookSecret::generate);
    let (by, now) = (caller.clone(), app.clock.now());
    let draft = Draft::of(app, caller, new, &secret).await?;
    let made = move |tx: &Tx| {
        let webhook = draft.insert(tx, &by, now)?;
        keep.store(tx, &webhook, now)?;
        Ok(webhook)
    };
    Ok((app.change(caller, made, |_| Concerns::Nobody).await?, secret))
}

/// The same for a form, whose nonce makes it answer once: sent again, it tells which webhook it made.
pub async fn create_by_form(
    app: &App,
    caller: &Caller,
    new: NewWebhook,
    nonce: &str,
) -> Result<Formed<Webhook, WebhookSecret, WebhookId>> {
    let secret = WebhookSecret::generate();
    let (by, now, nonce) = (caller.clone(), app.clock.now(), SecretHash::of(nonce));
    let draft = Draft::of(app, caller, new, &secret).await?;
    let made = move |tx: &Tx| forms::once(tx, nonce, now, || draft.insert(tx, &by, now), |webhook| webhook.id);
    Ok(Formed::of(app.change(caller, made, |_| Concerns::Nobody).await?, secret, WebhookId::parse))
}

/// A webhook that is about to be: its target is looked up, its secret sealed, and its place known.
struct Draft {
    id: WebhookId,
    account_id: Option<AccountId>,
    new: NewWebhook,
    sealed: Vec<u8>,
}

impl Draft {
    async fn of(app: &App, caller: &Caller, new: NewWebhook, secret: &WebhookSecret) -> Result<Self> {
        if caller.only_user().is_some() || new.account_id.is_some() {
            caller.must_have(Scope::Admin)?;
        }
        check(app, &new.url).await?;
        let id = WebhookId::new();
        let sealed = seal(app.master_key().await?, id, secret);
        Ok(Self { id, account_id: new.account_id.or(caller.account()), new, sealed })
    }

    fn insert(self, tx: &Tx, caller: &Caller, now: Timestamp) -> Result<Webhook> {
        if let Some(account) = self.account_id
            && store::accounts::find(tx, account)?.is_none()
        {
            return Err(AppError::invalid("account_id", "unknown", "No account with this id."));
        }
        if store::webhooks::count(tx, self.account_id)? >= MOST {
            return Err(AppError::invalid("url", "too_many", format!("There are {MOST} webhooks already. Delete one first.")));
        }
        let insert = store::webhooks::Insert {
            id: self.id,
            account_id: self.account_id,
            url: self.new.url.as_str(),
            events: self.new.events,
            secret: &self.sealed,
        };
        let webhook = store::webhooks::insert(tx, &insert, now)?;
        note(tx, caller, now, "webhook.created", &webhook, json!({ "events": webhook.events }))?;
        Ok(webhook)
    }
}

/// Changes the fields given. Another address, or being active again, lets it begin anew.
pub async fn update(app: &App, caller: &Caller, id: WebhookId, changes: WebhookChanges, expected: IfMatch) -> Result<Webhook> {
    if let Some(url) = &changes.url {
        check(app, url).await?;
    }
    let (by, now) = (caller.clone(), app.clock.now());
    let changed = move |tx: &Tx| {
        let before = seen_webhook(&by, store::webhooks::find(tx, id)?)?;
        expected.check(before.revision)?;
        let mut after = before.clone();
        after.url = changes.url.map_or_else(|| before.url.clone(), |url| url.as_str().to_owned());
        after.events = changes.events.unwrap_or(before.events);
        after.status = changes.status.unwrap_or(before.status);
        let diff = diff(&before, &after);
        if diff == json!({}) {
            return Ok(before);
        }
        let revived = before.status != WebhookStatus::Active && after.status == WebhookStatus::Active;
        if revived || after.url != before.url {
            after.failing_since = None;
        }
        if after.status != WebhookStatus::Disabled {
            after.disabled_reason = None;
        }
        let webhook = store::webhooks::update(tx, &after, now)?;
        store::webhooks::requeue(tx, id)?;
        note(tx, &by, now, "webhook.updated", &webhook, diff)?;
        Ok(webhook)
    };
    app.change(caller, changed, |_| Concerns::Nobody).await
}

/// Deletes the webhook and what was kept of its deliveries.
pub async fn delete(app: &App, caller: &Caller, id: WebhookId, expected: IfMatch) -> Result<Webhook> {
    let (by, now) = (caller.clone(), app.clock.now());
    let deleted = move |tx: &Tx| {
        let webhook = seen_webhook(&by, store::webhooks::find(tx, id)?)?;
        expected.check(webhook.revision)?;
        store::webhooks::delete(tx, id)?;
        note(tx, &by, now, "webhook.deleted", &webhook, json!({}))?;
        Ok(webhook)
    };
    app.change(caller, deleted, |_| Concerns::Nobody).await
}

/// A new secret. Until the overlap ends every message is signed with both.
pub async fn rotate_secret(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    overlap: Overlap,
    expected: IfMatch,
    keep: Keep<Webhook>,
) -> Result<(Webhook, WebhookSecret)> {
    let secret = WebhookSecret::generate();
    let sealed = seal(app.master_key().await?, id, &secret);
    let (by, now) = (caller.clone(), app.clock.now());
    let rotated = move |tx: &Tx| {
        let webhook = rotate(tx, &by, (id, &expected), &sealed, overlap, now)?;
        keep.store(tx, &webhook, now)?;
        Ok(webhook)
    };
    Ok((app.change(caller, rotated, |_| Concerns::Nobody).await?, secret))
}

/// The same for a form, which rotates once.
pub async fn rotate_by_form(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    overlap: Overlap,
    nonce: &str,
) -> Result<Formed<Webhook, WebhookSecret, WebhookId>> {
    let secret = WebhookSecret::generate();
    let sealed = seal(app.master_key().await?, id, &secret);
    let (by, now, nonce) = (caller.clone(), app.clock.now(), SecretHash::of(nonce));
    let rotated = move |tx: &Tx| {
        forms::once(tx, nonce, now, || rotate(tx, &by, (id, &IfMatch::ANY), &sealed, overlap, now), |webhook| webhook.id)
    };
    Ok(Formed::of(app.change(caller, rotated, |_| Concerns::Nobody).await?, secret, WebhookId::parse))
}

fn rotate(
    tx: &Tx,
    caller: &Caller,
    (id, expected): (WebhookId, &IfMatch),
    sealed: &[u8],
    overlap: Overlap,
    now: Timestamp,
) -> Result<Webhook> {
    let before = seen_webhook(caller, store::webhooks::find(tx, id)?)?;
    expected.check(before.revision)?;
    let old_ends = Some(now.saturating_add(overlap.get())).filter(|end| *end > now);
    let webhook = store::webhooks::rotate(tx, id, sealed, old_ends, now)?;
    note(tx, caller, now, "webhook.secret_rotated", &webhook, json!({ "old_secret_ends_at": old_ends }))?;
    Ok(webhook)
}

async fn check(app: &App, target: &Target) -> Result<()> {
    app.outbound.check(target).await.map_err(|problem| problem.of("url"))
}

/// Where the secrets of a webhook are sealed for.
fn place(id: WebhookId) -> String {
    format!("webhooks.secret:{id}")
}

fn seal(master_key: &MasterKey, id: WebhookId, secret: &WebhookSecret) -> Vec<u8> {
    master_key.seal(&place(id), secret.as_bytes())
}

/// The header `webhook-signature`: one signature for each secret that signs now.
fn signature(master_key: &MasterKey, id: WebhookId, sealed: &[Vec<u8>], message: (&str, Timestamp, &str)) -> Result<String> {
    let (message_id, at, body) = message;
    let mut signatures = Vec::with_capacity(sealed.len());
    for sealed in sealed {
        let secret = master_key.open(&place(id), sealed).map_err(AppError::internal)?;
        signatures.push(WebhookSecret::from_bytes(secret).sign(message_id, at.seconds(), body));
    }
    // A message that nobody can tell from a stranger's is not sent.
    if signatures.is_empty() {
        return Err(AppError::internal("a webhook has no secret"));
    }
    Ok(signatures.join(" "))
}

fn note(tx: &Tx, caller: &Caller, now: Timestamp, action: &'static str, webhook: &Webhook, diff: Value) -> Result<()> {
    let happening = Happening::new(action, "webhook", webhook.id, &webhook.url).with(diff);
    store::audit_events::append(tx, caller, now, webhook.account_id, &happening)
}

fn diff(before: &Webhook, after: &Webhook) -> Value {
    let mut changed = serde_json::Map::new();
    let mut note = |field: &str, old: Value, new: Value| {
        if old != new {
            changed.insert(field.into(), json!({ "from": old, "to": new }));
        }
    };
    note("url", json!(before.url), json!(after.url));
    note("events", json!(before.events), json!(after.events));
    note("status", json!(before.status.name()), json!(after.status.name()));
    changed.into()
}
