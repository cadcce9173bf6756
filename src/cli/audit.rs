//! `keyrack audit`: what was done, and whether the record of it is as it was written.

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::Output;
use super::values;
use crate::http::audit::{AuditEventBody, CSV_HEAD, csv_row, sentence};
use crate::model::audit_event::{ActorFilter, AuditEvent, AuditFilter, Head};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::{ApiKeyId, AuditEventId, UserId};
use crate::model::page::{Limit, Order, Start};
use crate::services::audit;

/// Events that are read at a time.
const PIECE: u32 = 100;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// The newest events, newest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Follow the chain from its start; exits 1 and names the first event that is not as it was written
    Verify {
        /// A head from the log of the server or from a backup (SEQ:HASH): it shows what was cut off or written anew
        #[arg(long, value_name = "HEAD", value_parser = values::head)]
        head: Option<Head>,
    },
    /// All events, oldest first, to standard output
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

#[derive(Args)]
pub struct FilterArgs {
    /// Who did it: a user's email or id, a key's id, command-line or keyrack
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// What was done, for example key.rotated
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// The id of what it was done to
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only those of this account (id or name)
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// From this time on, for example 2026-11-22T10:00:00Z or the day 2026-11-22 (UTC)
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<Timestamp>,
    /// Before this time, or before this day begins (UTC)
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    before: Option<Timestamp>,
    /// The id of the event, or of the request that it came with
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    Jsonl,
    Csv,
}

pub fn run(place: &Place, command: AuditCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    match command {
        AuditCommand::List { filter, limit } => list(&open, &filter.read(&open)?, limit, out),
        AuditCommand::Verify { head } => verify(&open, head, out),
        AuditCommand::Export { filter, format } => export(&open, &filter.read(&open)?, format),
    }
}

fn list(open: &Opened, filter: &AuditFilter, limit: u32, out: &Output) -> Result<()> {
    let mut events = Vec::new();
    each(open, filter, Order::NewestFirst, Some(limit), |event| {
        events.push(event);
        Ok(())
    })?;
    let bodies: Vec<AuditEventBody> = events.iter().map(AuditEventBody::from).collect();
    out.result(&bodies, || {
        let rows = events.iter().map(|event| {
            [event.at.to_string(), sentence(event, |at| at.to_string()).into(), event.ip.clone(), event.id.to_string()]
        });
        out.table(["TIME", "WHAT HAPPENED", "ADDRESS", "ID"], &rows.collect::<Vec<_>>())
    })
}

fn verify(open: &Opened, kept: Option<Head>, out: &Output) -> Result<()> {
    let verified = match kept {
        Some(kept) => open.run(audit::verify_against(&open.app, kept))?,
        None => open.run(audit::verify(&open.app, Head::START))?,
    };
    let head = verified.head;
    let broken = verified.broken.as_ref();
    let body = json!({
        "verified": broken.is_none(),
        "head": head.to_string(),
        "seq": head.seq,
        "broken_seq": broken.map(|broken| broken.seq),
        "message": broken.map(ToString::to_string),
    });
    match broken {
        None => out.result(&body, || format!("All {} events are as they were written. Head: {head}", head.seq)),
        Some(broken) => {
            if out.json {
                out.result(&body, String::new)?;
            }
            Err(Failure::failed(format!(
                "{broken}\nSound up to event {}. Compare with a backup, and with the heads in the log of the server.",
                head.seq
            )))
        }
    }
}

fn export(open: &Opened, filter: &AuditFilter, format: Format) -> Result<()> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    if matches!(format, Format::Csv) {
        stdout.write_all(CSV_HEAD.as_bytes())?;
    }
    each(open, filter, Order::OldestFirst, None, |event| {
        match format {
            Format::Csv => stdout.write_all(csv_row(&event).as_bytes())?,
            Format::Jsonl => {
                serde_json::to_writer(&mut stdout, &AuditEventBody::from(&event))?;
                stdout.write_all(b"\n")?;
            }
        }
        Ok(())
    })?;
    Ok(stdout.flush()?)
}

/// Reads on and on, a piece at a time.
fn each(
    open: &Opened,
    filter: &AuditFilter,
    order: Order,
    limit: Option<u32>,
    mut take: impl FnMut(AuditEvent) -> Result<()>,
) -> Result<()> {
    let caller = Caller::command_line();
    let (mut start, mut left) = (Start::Offset(0), limit.unwrap_or(u32::MAX));
    while left > 0 {
        let piece = Limit::of(left.min(PIECE));
        let page = open.run(audit::list(&open.app, &caller, filter.clone(), (start, order, piece)))?;
        let (count, last) = (page.rows.len() as u32, page.rows.last().map(|event| event.seq));
        page.rows.into_iter().try_for_each(&mut take)?;
        match last {
            Some(seq) if page.has_next => start = Start::After(seq),
            _ => return Ok(()),
        }
        left -= count.min(left);
    }
    Ok(())
}

impl FilterArgs {
    fn read(&self, open: &Opened) -> Result<AuditFilter> {
        let actor = match self.actor.as_deref() {
            None => None,
            Some("command-line") => Some(ActorFilter::CommandLine),
            Some("keyrack") => Some(ActorFilter::System),
            Some(key) if ApiKeyId::parse(key).is_some() => Some(ActorFilter::Id(key.into())),
            // The events of a deleted user are there still.
            Some(user) if UserId::parse(user).is_some() => Some(ActorFilter::Id(user.into())),
            Some(user) => Some(ActorFilter::Id(super::user::find(open, user)?.id.to_string())),
        };
        let account = self.account.as_deref().map(|account| super::account::find(open, account)).transpose()?;
        let id = self.id.as_deref().and_then(AuditEventId::parse);
        Ok(AuditFilter {
            actor,
            account: account.map(|account| account.id),
            action: self.action.clone(),
            target: self.target.clone(),
            since: self.since,
            before: self.before,
            request_id: self.id.clone().filter(|_| id.is_none()),
            id,
        })
    }
}
