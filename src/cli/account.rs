//! `keyrack account`: teams or customers, which requests are counted against.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask;
use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::values;
use crate::model::AppError;
use crate::model::account::{Account, AccountChanges, AccountStatus, NewAccount, Reason};
use crate::model::api_key::Metadata;
use crate::model::caller::Caller;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::tier::Window;
use crate::services::accounts;

#[derive(Subcommand)]
pub enum AccountCommand {
    /// All accounts, oldest first
    List,
    /// One account
    Show {
        /// The account's id or name
        account: String,
    },
    /// Add an account
    Add {
        #[arg(value_parser = values::name)]
        name: Name,
        /// Its tier [default: the default limits]
        #[arg(long)]
        tier: Option<String>,
    },
    /// Change an account's name, tier or limits; what is not given stays
    Set(SetArgs),
    /// Stop all keys of an account until it is resumed
    Suspend {
        /// The account's id or name
        account: String,
    },
    /// Let a suspended account's keys work again
    Resume {
        /// The account's id or name
        account: String,
    },
    /// Delete an account that has neither users nor webhooks
    Delete {
        /// The account's id or name
        account: String,
    },
}

#[derive(Args)]
pub struct SetArgs {
    /// The account's id or name
    account: String,
    #[arg(long, value_parser = values::name)]
    name: Option<Name>,
    #[arg(long)]
    tier: Option<String>,
    /// Take its tier away, so that the default limits hold
    #[arg(long, conflicts_with = "tier")]
    no_tier: bool,
    /// Limits of its own, which win over the tier's, for example 1000/1h; may be repeated
    #[arg(long = "window", value_name = "N/TIME", value_parser = values::window, requires = "reason")]
    windows: Vec<Window>,
    /// Why it has limits of its own, for example: trusted sender since March
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    reason: Option<Reason>,
    /// Take its own limits away
    #[arg(long, conflicts_with_all = ["windows", "reason"])]
    no_windows: bool,
    /// What you want to keep with it, as a JSON object of at most 4 KB; it replaces what was there
    #[arg(long, value_name = "JSON", value_parser = values::metadata)]
    metadata: Option<Metadata>,
}

pub fn run(place: &Place, command: AccountCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    match command {
        AccountCommand::List => list(&open, out),
        AccountCommand::Show { account } => show(&find(&open, &account)?, out),
        AccountCommand::Add { name, tier } => {
            let account = open.run(accounts::create(&open.app, &Caller::command_line(), NewAccount { name, tier }))?;
            out.result(&body(&account), || format!("Added account {} ({}) with {}.", account.name, account.id, limits(&account)))
        }
        AccountCommand::Set(args) => set(place, &open, args, out),
        AccountCommand::Suspend { account } => {
            let account = find(&open, &account)?;
            ask::confirm(out, &format!("Suspend account {}? All its keys stop at once.", account.name))?;
            let account = change(&open, &account, AccountStatus::Suspended)?;
            out.result(&body(&account), || format!("Suspended account {}. Its keys have stopped.", account.name))?;
            place.undo(out, &["account", "resume", &account.id.to_string()]);
            Ok(())
        }
        AccountCommand::Resume { account } => {
            let account = find(&open, &account)?;
            let account = change(&open, &account, AccountStatus::Active)?;
            out.result(&body(&account), || format!("Resumed account {}. Its keys work again.", account.name))?;
            place.undo(out, &["account", "suspend", &account.id.to_string()]);
            Ok(())
        }
        AccountCommand::Delete { account } => {
            let account = find(&open, &account)?;
            ask::confirm(out, &format!("Delete account {} for good? This cannot be undone.", account.name))?;
            open.run(accounts::delete(&open.app, &Caller::command_line(), account.id))?;
            out.result(&json!({ "id": account.id, "deleted": true }), || format!("Deleted account {}.", account.name))
        }
    }
}

/// An account by id or name.
pub fn find(open: &Opened, account: &str) -> Result<Account> {
    open.run(accounts::find_named(&open.app, &Caller::command_line(), account)).map_err(|err| match err.downcast_ref() {
        Some(AppError::NotFound(_)) => {
            Failure::not_found(format!("There is no account {account}.\nAll of them: keyrack account list"))
        }
        _ => err,
    })
}

fn list(open: &Opened, out: &Output) -> Result<()> {
    let (caller, mut start, mut all) = (Caller::command_line(), Start::Offset(0), Vec::<Account>::new());
    loop {
        let place = (start, Order::OldestFirst, Limit::BATCH);
        let page = open.run(accounts::list(&open.app, &caller, accounts::Filter::default(), place))?;
        all.extend(page.rows);
        match all.last() {
            Some(last) if page.has_next => start = Start::After(last.id),
            _ => break,
        }
    }
    let bodies: Vec<_> = all.iter().map(body).collect();
    out.result(&bodies, || {
        let rows = all
            .iter()
            .map(|account| [account.id.to_string(), account.name.clone(), limits(account), account.status.name().to_owned()]);
        out.table(["ID", "NAME", "LIMITS", "STATUS"], &rows.collect::<Vec<_>>())
    })
}

fn show(account: &Account, out: &Output) -> Result<()> {
    out.result(&body(account), || {
        fields(&[
            ("id", account.id.to_string()),
            ("name", account.name.clone()),
            ("limits", limits(account)),
            (
                "reason",
                account
                    .given
                    .as_ref()
                    .map(|given| format!("{} ({}, {})", given.reason.as_str(), given.by, given.at))
                    .unwrap_or_default(),
            ),
            ("metadata", account.metadata.to_json()),
            ("status", account.status.name().into()),
            ("created_at", account.created_at.to_string()),
            ("updated_at", account.updated_at.to_string()),
        ])
    })
}

fn set(place: &Place, open: &Opened, args: SetArgs, out: &Output) -> Result<()> {
    let before = find(open, &args.account)?;
    let windows = if args.no_windows {
        Some(None)
    } else if args.windows.is_empty() {
        None
    } else {
        Some(Some(values::windows(args.windows)?))
    };
    let changes = AccountChanges {
        name: args.name,
        tier: if args.no_tier { Some(None) } else { args.tier.map(Some) },
        windows,
        reason: args.reason,
        metadata: args.metadata,
        status: None,
    };
    let after = open.run(accounts::update(&open.app, &Caller::command_line(), before.id, changes))?;
    let mut back = vec!["account".to_owned(), "set".into(), after.id.to_string()];
    if before.name != after.name {
        back.extend(["--name".into(), before.name.clone()]);
    }
    if before.tier != after.tier {
        back.extend(before.tier.as_ref().map_or(vec!["--no-tier".into()], |tier| vec!["--tier".into(), tier.clone()]));
    }
    if before.windows != after.windows {
        match &before.windows {
            None => back.push("--no-windows".into()),
            Some(windows) => {
                back.extend(windows.as_slice().iter().flat_map(|window| ["--window".into(), window.to_string()]));
                let reason = before.given.as_ref().map_or("as before", |given| given.reason.as_str());
                back.extend(["--reason".into(), reason.into()]);
            }
        }
    }
    if before.metadata != after.metadata {
        back.extend(["--metadata".into(), before.metadata.to_json()]);
    }
    out.result(&body(&after), || format!("Account {} ({}) now has {}.", after.name, after.id, limits(&after)))?;
    if back.len() > 3 {
        place.undo(out, &back.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok(())
}

fn change(open: &Opened, account: &Account, status: AccountStatus) -> Result<Account> {
    let changes = AccountChanges { status: Some(status), ..AccountChanges::default() };
    open.run(accounts::update(&open.app, &Caller::command_line(), account.id, changes))
}

fn limits(account: &Account) -> String {
    match (&account.windows, &account.tier) {
        (Some(windows), _) => format!("limits of its own: {windows}"),
        (None, Some(tier)) => format!("tier {tier}"),
        (None, None) => "the default limits".into(),
    }
}

fn body(account: &Account) -> Value {
    json!({
        "id": account.id,
        "name": account.name,
        "tier": account.tier,
        "windows": account.windows,
        "windows_reason": account.given.as_ref().map(|given| given.reason.as_str()),
        "windows_by": account.given.as_ref().map(|given| given.by.as_str()),
        "windows_at": account.given.as_ref().map(|given| given.at),
        "metadata": account.metadata.as_map(),
        "status": account.status.name(),
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    })
}
