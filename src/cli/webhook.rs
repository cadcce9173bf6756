//! `keyrack webhook`: addresses that are told of events.

use anyhow::Result;
use clap::Subcommand;

use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::values;
use crate::http::api::{DeliveryBody, TestBody, WebhookBody, WebhookWithSecret};
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::ids::{DeliveryId, WebhookId};
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::target::Target;
use crate::model::webhook::{EventType, EventTypes, NewWebhook, Webhook};
use crate::services::idempotency::Keep;
use crate::services::webhooks::{self, deliveries};

#[derive(Subcommand)]
pub enum WebhookCommand {
    /// All webhooks, oldest first
    List,
    /// Add a webhook and print its secret, once
    Add {
        /// Where events are sent, for example https://example.com/hooks/keyrack
        url: String,
        #[arg(long = "event", value_name = "EVENT", required = true, value_parser = values::event, value_delimiter = ',')]
        #[arg(help = format!("What it is told of; may be repeated: {}", EventType::ALL.iter().map(|event| event.name()).collect::<Vec<_>>().join(", ")))]
        events: Vec<String>,
        /// Only events of this account (id or name) [default: of every account]
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Send a test to a webhook now, and tell what it answered
    Test {
        /// The webhook's id
        id: String,
    },
    /// Let the running server send a delivery again, as the same message
    Replay {
        /// The delivery's id
        id: String,
    },
}

pub fn run(place: &Place, command: WebhookCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    let caller = Caller::command_line();
    match command {
        WebhookCommand::List => list(&open, out),
        WebhookCommand::Add { url, events, account } => add(&open, (&url, &events), account, out),
        WebhookCommand::Test { id } => {
            let id = WebhookId::parse(&id).ok_or_else(|| unknown_webhook(&id))?;
            let delivery = open
                .run(deliveries::test(&open.app, &caller, id, IfMatch::ANY, Keep::nothing()))
                .map_err(|err| or_unknown(err, unknown_webhook, &id))?;
            let (last, delivered) = (delivery.last.clone(), delivery.last.as_ref().is_some_and(|last| last.is_delivered()));
            let words = match last {
                Some(last) if delivered => {
                    format!("Answered {} in {} ms.", last.response_code.unwrap_or(0), last.response_time_ms)
                }
                last => last.and_then(|last| last.error).unwrap_or_else(|| "It was not sent.".into()),
            };
            if delivered || out.json {
                out.result(&TestBody::from(&delivery), || words.clone())?;
            }
            if delivered { Ok(()) } else { Err(Failure::failed(words)) }
        }
        WebhookCommand::Replay { id } => {
            let id = DeliveryId::parse(&id).ok_or_else(|| unknown_delivery(&id))?;
            let delivery = open
                .run(deliveries::replay(&open.app, &caller, id, IfMatch::ANY, Keep::nothing()))
                .map_err(|err| or_unknown(err, unknown_delivery, &id))?;
            out.result(&DeliveryBody::from(&delivery), || format!("Delivery {id} waits to be sent by the running server."))
        }
    }
}

fn list(open: &Opened, out: &Output) -> Result<()> {
    let (caller, mut start, mut all) = (Caller::command_line(), Start::Offset(0), Vec::<Webhook>::new());
    loop {
        let page = open.run(webhooks::list(&open.app, &caller, (start, Order::OldestFirst, Limit::of(Limit::MAX))))?;
        all.extend(page.rows);
        match all.last() {
            Some(last) if page.has_next => start = Start::After(last.id),
            _ => break,
        }
    }
    let bodies: Vec<_> = all.iter().map(WebhookBody::from).collect();
    out.result(&bodies, || {
        let rows = all.iter().map(|webhook| {
            let events = webhook.events.names().join(" ");
            [webhook.id.to_string(), webhook.url.clone(), webhook.status.name().into(), events]
        });
        out.table(["ID", "URL", "STATUS", "EVENTS"], &rows.collect::<Vec<_>>())
    })
}

fn add(open: &Opened, (url, events): (&str, &[String]), account: Option<String>, out: &Output) -> Result<()> {
    let allow_private = open.app.outbound.allow_private;
    let url = Target::parse(url, allow_private).map_err(|problem| match Target::parse(url, true) {
        Ok(_) => Failure::failed(format!(
            "url: {}\nTo let webhooks go to addresses of your own network, and over plain HTTP: [webhooks] \
             allow_private_targets = true, then start the server again.",
            problem.message
        )),
        Err(_) => problem.of("url").into(),
    })?;
    let events = EventTypes::parse(events.iter().map(String::as_str)).map_err(|problem| problem.of("events"))?;
    let account_id = account.map(|account| super::account::find(open, &account)).transpose()?.map(|account| account.id);
    let new = NewWebhook { url, events, account_id };
    let caller = Caller::command_line();
    let (webhook, secret) = open.run(webhooks::create(&open.app, &caller, new, None, Keep::nothing()))?;
    let secret = secret.expose();
    let shown = WebhookWithSecret { webhook: (&webhook).into(), secret: Some(&secret) };
    out.result(&shown, || {
        fields(&[
            ("id", webhook.id.to_string()),
            ("url", webhook.url.clone()),
            ("events", webhook.events.names().join(", ")),
            ("status", webhook.status.name().into()),
            ("secret", secret.to_string()),
        ])
    })?;
    out.talk("Keep the secret now: it is not shown again.");
    Ok(())
}

fn unknown_webhook(id: &str) -> anyhow::Error {
    Failure::not_found(format!("There is no webhook {id}.\nAll of them: keyrack webhook list"))
}

fn unknown_delivery(id: &str) -> anyhow::Error {
    Failure::not_found(format!(
        "There is no delivery {id}.\nThe page of a webhook lists them, and GET /v1/webhooks/ID/deliveries."
    ))
}

fn or_unknown(err: anyhow::Error, unknown: fn(&str) -> anyhow::Error, id: &impl ToString) -> anyhow::Error {
    match err.downcast_ref() {
        Some(AppError::NotFound(_)) => unknown(&id.to_string()),
        _ => err,
    }
}
