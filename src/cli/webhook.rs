//! `keyrack webhook`: addresses that are told of events.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::ask;
use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::values;
use crate::crypto::WebhookSecret;
use crate::http::api::{DeliveryBody, TestBody, WebhookBody, WebhookWithSecret};
use crate::model::AppError;
use crate::model::api_key::Overlap;
use crate::model::caller::Caller;
use crate::model::ids::{DeliveryId, WebhookId};
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::target::Target;
use crate::model::webhook::{EventType, EventTypes, NewWebhook, Webhook, WebhookChanges, WebhookStatus};
use crate::services::idempotency::Keep;
use crate::services::webhooks::{self, deliveries};

#[derive(Subcommand)]
pub enum WebhookCommand {
    /// All webhooks, oldest first
    List,
    /// Add a webhook and print its secret, once
    Add {
        #[arg(help = "Where events are sent, for example https://example.com/hooks/keyrack")]
        url: String,
        #[arg(long = "event", value_name = "EVENT", required = true, value_parser = values::event, value_delimiter = ',')]
        #[arg(help = events_help())]
        events: Vec<String>,
        /// Only events of this account (id or name) [default: of every account]
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// One webhook, never its secret
    Show {
        /// The webhook's id
        id: String,
    },
    /// Change where a webhook's events are sent, or which; what is not given stays
    Set(SetArgs),
    /// Send a webhook nothing until it is resumed; what happens is kept for it
    Pause {
        /// The webhook's id
        id: String,
    },
    /// Send to a webhook again that was paused or disabled
    Resume {
        /// The webhook's id
        id: String,
    },
    /// Delete a webhook with what was kept of its deliveries
    Delete {
        /// The webhook's id
        id: String,
    },
    /// Give a webhook a new secret and print it, once
    RotateSecret {
        /// The webhook's id
        id: String,
        /// How long messages are signed with the old secret, too, for example 24h; 0s: not at all
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = values::overlap)]
        overlap: Overlap,
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

#[derive(Args)]
pub struct SetArgs {
    /// The webhook's id
    id: String,
    /// Where events are sent from now on
    #[arg(long, required_unless_present = "events")]
    url: Option<String>,
    #[arg(long = "event", value_name = "EVENT", value_parser = values::event, value_delimiter = ',')]
    #[arg(help = events_help())]
    events: Vec<String>,
}

fn events_help() -> String {
    let all: Vec<_> = EventType::ALL.iter().map(|event| event.name()).collect();
    format!("What it is told of; may be repeated: {}", all.join(", "))
}

pub fn run(place: &Place, command: WebhookCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    let caller = Caller::command_line();
    match command {
        WebhookCommand::List => list(&open, out),
        WebhookCommand::Add { url, events, account } => add(place, &open, (&url, &events), account, out),
        WebhookCommand::Show { id } => show(&find(&open, &id)?, out),
        WebhookCommand::Set(args) => set(place, &open, args, out),
        WebhookCommand::Pause { id } => {
            let (before, webhook) = change_status(&open, &id, WebhookStatus::Paused)?;
            out.result(&WebhookBody::from(&webhook), || {
                format!("Paused webhook {id} ({}). What happens is kept for 30 days, and sent when it is resumed.", webhook.url)
            })?;
            if before.status == WebhookStatus::Active {
                place.undo(out, &["webhook", "resume", &id]);
            }
            Ok(())
        }
        WebhookCommand::Resume { id } => {
            let (before, webhook) = change_status(&open, &id, WebhookStatus::Active)?;
            out.result(&WebhookBody::from(&webhook), || {
                format!("Webhook {id} ({}) is active: the running server sends what waits for it.", webhook.url)
            })?;
            if before.status != WebhookStatus::Active {
                place.undo(out, &["webhook", "pause", &id]);
            }
            Ok(())
        }
        WebhookCommand::Delete { id } => {
            let webhook = find(&open, &id)?;
            let question =
                format!("Delete the webhook {} with what was kept of its deliveries? This cannot be undone.", webhook.url);
            ask::confirm(out, &question)?;
            let deleted = open.run(webhooks::delete(&open.app, &caller, webhook.id, IfMatch::ANY))?;
            out.result(&json!({ "id": deleted.id, "deleted": true }), || format!("Deleted the webhook {}.", deleted.url))
        }
        WebhookCommand::RotateSecret { id, overlap } => {
            let id = find(&open, &id)?.id;
            let rotated = webhooks::rotate_secret(&open.app, &caller, id, overlap, IfMatch::ANY, Keep::nothing());
            let (webhook, secret) = open.run(rotated)?;
            print_secret(&webhook, &secret, out)?;
            match webhook.old_secret_ends_at {
                Some(end) => out.talk(format!("Messages are signed with the old secret, too, until {end}.")),
                None => out.talk("Messages are no longer signed with the old secret."),
            }
            Ok(())
        }
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

fn add(place: &Place, open: &Opened, (url, events): (&str, &[String]), account: Option<String>, out: &Output) -> Result<()> {
    let url = target(open, url)?;
    let events = EventTypes::parse(events.iter().map(String::as_str)).map_err(|problem| problem.of("events"))?;
    let account_id = account.map(|account| super::account::find(open, &account)).transpose()?.map(|account| account.id);
    let new = NewWebhook { url, events, account_id };
    let caller = Caller::command_line();
    let (webhook, secret) = open.run(webhooks::create(&open.app, &caller, new, None, Keep::nothing()))?;
    print_secret(&webhook, &secret, out)?;
    place.undo(out, &["webhook", "delete", &webhook.id.to_string()]);
    Ok(())
}

fn print_secret(webhook: &Webhook, secret: &WebhookSecret, out: &Output) -> Result<()> {
    let secret = secret.expose();
    let shown = WebhookWithSecret { webhook: webhook.into(), secret: Some(&secret) };
    out.result(&shown, || in_words(webhook) + &fields(&[("secret", secret.to_string())]))?;
    out.talk("Keep the secret now: it is not shown again.");
    Ok(())
}

fn show(webhook: &Webhook, out: &Output) -> Result<()> {
    out.result(&WebhookBody::from(webhook), || in_words(webhook))
}

fn in_words(webhook: &Webhook) -> String {
    let whose = webhook.account_id.map_or("every account".into(), |id| id.to_string());
    let mut rows = vec![
        ("id", webhook.id.to_string()),
        ("url", webhook.url.clone()),
        ("events", webhook.events.names().join(", ")),
        ("of", whose),
        ("status", webhook.status.name().into()),
    ];
    rows.extend(webhook.disabled_reason.clone().map(|reason| ("because", reason)));
    rows.extend(webhook.failing_since.map(|since| ("fails since", since.to_string())));
    rows.push(("created_at", webhook.created_at.to_string()));
    rows.push(("updated_at", webhook.updated_at.to_string()));
    fields(&rows)
}

fn set(place: &Place, open: &Opened, args: SetArgs, out: &Output) -> Result<()> {
    let before = find(open, &args.id)?;
    let events = Some(args.events).filter(|events| !events.is_empty());
    let events = events.map(|events| EventTypes::parse(events.iter().map(String::as_str))).transpose();
    let changes = WebhookChanges {
        url: args.url.map(|url| target(open, &url)).transpose()?,
        events: events.map_err(|problem| problem.of("events"))?,
        status: None,
    };
    let after = open.run(webhooks::update(&open.app, &Caller::command_line(), before.id, changes, IfMatch::ANY))?;
    show(&after, out)?;
    let (id, events) = (before.id.to_string(), before.events.names().join(","));
    let mut back = vec!["webhook", "set", &id];
    if before.url != after.url {
        back.extend(["--url", &before.url]);
    }
    if before.events != after.events {
        back.extend(["--event", &events]);
    }
    if back.len() > 3 {
        place.undo(out, &back);
    }
    Ok(())
}

fn change_status(open: &Opened, id: &str, status: WebhookStatus) -> Result<(Webhook, Webhook)> {
    let before = find(open, id)?;
    let changes = WebhookChanges { status: Some(status), ..WebhookChanges::default() };
    let after = open.run(webhooks::update(&open.app, &Caller::command_line(), before.id, changes, IfMatch::ANY))?;
    Ok((before, after))
}

fn find(open: &Opened, id: &str) -> Result<Webhook> {
    let known = WebhookId::parse(id).ok_or_else(|| unknown_webhook(id))?;
    open.run(webhooks::find(&open.app, &Caller::command_line(), known)).map_err(|err| or_unknown(err, unknown_webhook, &id))
}

/// Where webhooks may lead, with the setting that lets them go further.
fn target(open: &Opened, url: &str) -> Result<Target> {
    let allow_private = open.app.outbound.allow_private;
    Target::parse(url, allow_private).map_err(|problem| match Target::parse(url, true) {
        Ok(_) => Failure::failed(format!(
            "url: {}\nTo let webhooks go to addresses of your own network, and over plain HTTP: [webhooks] \
             allow_private_targets = true, then start the server again.",
            problem.message
        )),
        Err(_) => problem.of("url").into(),
    })
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
