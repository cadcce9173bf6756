//! Webhooks, for administrators: the list, one with what was sent to it, and the small acts. The forms are in `form`,
//! single deliveries in `delivery`.

mod delivery;
mod form;

pub use delivery::{replay, replay_failed, show_delivery, show_replay_failed};
pub use form::{create, edit, new, rotate, show_rotate, update};

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::confirm::ConfirmPage;
use super::view::{Listed, Pages, Status, grouped};
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t, t_refusal};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::ids::{DeliveryId, WebhookId};
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::webhook::{Delivery, DeliveryStatus, EventType, Webhook, WebhookChanges, WebhookStatus};
use crate::services;
use crate::services::idempotency::Keep;
use crate::services::webhooks::worker::MOST_ATTEMPTS;
use crate::services::webhooks::{self, deliveries};

pub(super) const BASE: &str = "/admin/webhooks";
/// Which deliveries a page shows.
const STATUSES: [(&str, &str); 4] =
    [("", msg!("All")), ("pending", msg!("Pending")), ("delivered", msg!("Delivered")), ("failed", msg!("Failed"))];

#[derive(Template)]
#[template(path = "admin/webhooks/list.html")]
pub struct WebhooksPage {
    pub frame: Frame,
    pub webhooks: Vec<WebhookRow>,
    pub pages: Pages,
}

#[derive(Template)]
#[template(path = "admin/webhooks/show.html")]
pub struct WebhookPage {
    pub frame: Frame,
    pub row: WebhookRow,
    /// Why the last attempt failed, while it fails; else empty.
    pub cause: String,
    pub pending: String,
    pub failed: String,
    /// Some have failed, and can be sent again.
    pub has_failed: bool,
    /// Empty: all of them.
    pub status: &'static str,
    /// Each with its word and its address.
    pub statuses: Vec<(&'static str, &'static str, String)>,
    pub deliveries: Vec<DeliveryRow>,
    pub pages: Pages,
}

/// A webhook, in a list or on its own page.
pub struct WebhookRow {
    pub id: String,
    pub url: String,
    pub events: String,
    pub account: String,
    pub status: Status,
    pub is_active: bool,
    pub is_paused: bool,
    pub disabled_reason: Option<String>,
    pub failing_since: Option<Moment>,
    pub old_secret_ends: Option<Moment>,
    pub created: Moment,
}

impl WebhookRow {
    pub fn new(webhook: &Webhook, account: &str, now: &Now) -> Self {
        let word = |word, tone| Status { word, tone };
        let names = webhook.events.names();
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.clone(),
            events: if names.len() == EventType::ALL.len() { t("All events").into() } else { names.join(", ") },
            account: if webhook.account_id.is_none() { t("All accounts").into() } else { account.into() },
            status: match (webhook.status, webhook.failing_since) {
                (WebhookStatus::Active, None) => word(msg!("Active"), "ok"),
                (WebhookStatus::Active, Some(_)) => word(msg!("Failing"), "warn"),
                (WebhookStatus::Paused, _) => word(msg!("Paused"), ""),
                (WebhookStatus::Disabled, _) => word(msg!("Disabled"), "bad"),
            },
            is_active: webhook.status == WebhookStatus::Active,
            is_paused: webhook.status == WebhookStatus::Paused,
            disabled_reason: webhook.disabled_reason.as_deref().map(t_refusal),
            failing_since: webhook.failing_since.map(|at| now.moment(at)),
            old_secret_ends: webhook.old_secret_ends_at.filter(|end| *end > now.at).map(|end| now.moment(end)),
            created: now.moment(webhook.created_at),
        }
    }
}

/// A delivery, in a list or on its own page.
pub struct DeliveryRow {
    pub id: String,
    pub event_id: String,
    pub event_type: String,
    pub status: Status,
    pub created: Moment,
    /// `500`, or a dash where nobody answered.
    pub code: String,
    /// Why nobody answered the last attempt.
    pub cause: Option<String>,
    pub took: String,
    /// `3 of 8`
    pub attempts: String,
    pub next: Option<Moment>,
}

impl DeliveryRow {
    pub fn new(delivery: &Delivery, now: &Now) -> Self {
        let word = |word, tone| Status { word, tone };
        let last = delivery.last.as_ref();
        // A test is sent once.
        let most = if delivery.event_type == EventType::TEST { 1 } else { MOST_ATTEMPTS };
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            event_type: delivery.event_type.clone(),
            status: match delivery.status {
                DeliveryStatus::Pending if delivery.attempts > 0 => word(msg!("Retrying"), "warn"),
                DeliveryStatus::Pending => word(msg!("Pending"), ""),
                DeliveryStatus::Delivered => word(msg!("Delivered"), "ok"),
                DeliveryStatus::Failed => word(msg!("Failed"), "bad"),
            },
            created: now.moment(delivery.created_at),
            code: last.and_then(|last| last.response_code).map_or_else(|| "–".into(), |code| code.to_string()),
            cause: last.filter(|last| last.response_code.is_none()).and_then(|last| last.error.as_deref()).map(t_refusal),
            took: last.map_or_else(|| "–".into(), |last| t("{n} ms").with("n", grouped(last.response_time_ms)).into()),
            attempts: t("{n} of {most}").with("n", delivery.attempts).with("most", most).into(),
            next: delivery.next_attempt_at.map(|at| now.moment(at)),
        }
    }
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    status: String,
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

impl ListQuery {
    fn start<Id>(&self, parse: impl Fn(&str) -> Option<Id>) -> Start<Id> {
        Start::parse(None, self.after.as_deref(), self.before.as_deref(), parse, &mut FieldErrors::default())
    }
}

pub async fn list(who: SignedIn, query: Query<ListQuery>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let listed = Listed::new(BASE, query.limit, query.from);
    let place = (query.start(WebhookId::parse), Order::NewestFirst, Limit::of(listed.size()));
    let page = webhooks::list(&who.app, &who.caller, place).await?;
    let accounts = page.rows.iter().filter_map(|webhook| webhook.account_id).collect();
    let accounts = services::accounts::names(&who.app, &who.caller, accounts).await?;
    let now = who.now();
    let row = |webhook: &Webhook| {
        let account = webhook.account_id.and_then(|id| accounts.get(&id)).map_or("", String::as_str);
        WebhookRow::new(webhook, account, &now)
    };
    let page = WebhooksPage {
        frame: who.frame(t("Webhooks"), Place::Webhooks).with_banner(done.banner()),
        webhooks: page.rows.iter().map(row).collect(),
        pages: listed.pages(&page, |webhook| webhook.id.to_string()),
    };
    Ok(who.ok(&page))
}

pub async fn show(
    who: SignedIn,
    id: Path<String>,
    query: Query<ListQuery>,
    done: Query<Done>,
) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let account = match webhook.account_id {
        Some(id) => services::accounts::find(&who.app, &who.caller, id).await?.name,
        None => String::new(),
    };
    let status = DeliveryStatus::parse(&query.status).ok();
    let listed =
        Listed::new(path_of(&webhook), query.limit, query.from).keeping("status", status.map_or("", DeliveryStatus::name));
    let place = (query.start(DeliveryId::parse), Order::NewestFirst, Limit::of(listed.size()));
    let page = deliveries::list(&who.app, &who.caller, webhook.id, status, place).await?;
    let (pending, failed) = deliveries::counts(&who.app, &webhook).await?;
    let cause = match webhook.failing_since {
        Some(_) => deliveries::last_failure(&who.app, &who.caller, webhook.id).await?.unwrap_or_default(),
        None => String::new(),
    };
    let now = who.now();
    let link =
        |status: &str| if status.is_empty() { path_of(&webhook) } else { format!("{}?status={status}", path_of(&webhook)) };
    let page = WebhookPage {
        frame: who.frame(&webhook.url, Place::Webhooks).with_banner(done.banner()),
        row: WebhookRow::new(&webhook, &account, &now),
        cause: t_refusal(&cause),
        pending: count_words(pending),
        failed: count_words(failed),
        has_failed: failed > 0,
        status: status.map_or("", DeliveryStatus::name),
        statuses: STATUSES.map(|(status, words)| (status, words, link(status))).into(),
        deliveries: page.rows.iter().map(|delivery| DeliveryRow::new(delivery, &now)).collect(),
        pages: listed.pages(&page, |delivery| delivery.id.to_string()),
    };
    Ok(who.ok(&page))
}

/// Nobody counts past a thousand.
fn count_words(count: u64) -> String {
    if count > 1_000 { t("more than {n}").with("n", grouped(1_000)).into() } else { grouped(count) }
}

pub async fn pause(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, WebhookStatus::Paused).await
}

pub async fn resume(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, WebhookStatus::Active).await
}

async fn switch(who: SignedIn, id: Path<String>, form: Posted, status: WebhookStatus) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}?done=renewed", path_of(&webhook))));
    }
    let changes = WebhookChanges { status: Some(status), ..WebhookChanges::default() };
    webhooks::update(&who.app, &who.caller, webhook.id, changes, IfMatch::ANY).await?;
    Ok(to(path_of(&webhook)))
}

/// Sends a test and shows what came of it.
pub async fn test(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}?done=renewed", path_of(&webhook))));
    }
    let delivery = deliveries::test(&who.app, &who.caller, webhook.id, IfMatch::ANY, Keep::nothing()).await?;
    Ok(to(format!("{BASE}/deliveries/{}", delivery.id)))
}

pub async fn show_delete(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let (pending, _) = deliveries::counts(&who.app, &webhook).await?;
    let page = ConfirmPage {
        frame: who.frame(t("Delete webhook"), Place::Webhooks).with_banner(done.banner()),
        errors: FormErrors::default(),
        back: path_of(&webhook),
        back_words: webhook.url.clone(),
        action: format!("{}/delete", path_of(&webhook)),
        lines: vec![
            t("It is told of nothing from now on, and what was kept of its deliveries is deleted with it. This cannot be undone.")
                .into(),
        ],
        facts: vec![(msg!("URL"), webhook.url.clone()), (msg!("Waiting to be sent"), count_words(pending))],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: msg!("Delete webhook"),
        final_act: true,
    };
    Ok(who.ok(&page))
}

pub async fn delete(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}/delete?done=renewed", path_of(&webhook))));
    }
    webhooks::delete(&who.app, &who.caller, webhook.id, IfMatch::ANY).await?;
    Ok(to(format!("{BASE}?done=webhook-deleted")))
}

fn path_of(webhook: &Webhook) -> String {
    format!("{BASE}/{}", webhook.id)
}

async fn find(who: &SignedIn, id: &str) -> Result<Webhook, PageError> {
    let id = WebhookId::parse(id).ok_or(AppError::NotFound("webhook"))?;
    Ok(webhooks::find(&who.app, &who.caller, id).await?)
}
