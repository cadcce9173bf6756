//! `keyrack tier`: named sets of rate limits.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::ask;
use super::data::Place;
use super::failure::Failure;
use super::output::Output;
use super::values;
use crate::model::caller::Caller;
use crate::model::name::{Name, fold};
use crate::model::tier::{Tier, Window, Windows};
use crate::services::tiers;

#[derive(Subcommand)]
pub enum TierCommand {
    /// All tiers and their limits
    List,
    /// Add a tier, or give it other limits; they hold at once for every account that has it
    Set {
        #[arg(value_parser = values::name)]
        name: Name,
        /// At most N requests in TIME, for example 1000/1h; may be repeated
        #[arg(long = "window", value_name = "N/TIME", required_unless_present = "unlimited", value_parser = values::window)]
        windows: Vec<Window>,
        /// No limit at all
        #[arg(long, conflicts_with = "windows")]
        unlimited: bool,
    },
    /// Delete a tier that no account has
    Delete { name: String },
}

pub fn run(place: &Place, command: TierCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    let caller = Caller::command_line();
    match command {
        TierCommand::List => {
            let all = open.run(tiers::list(&open.app))?;
            out.result(&all, || {
                let rows: Vec<_> = all.iter().map(|tier| [tier.name.clone(), shown(&tier.windows)]).collect();
                out.table(["NAME", "WINDOWS"], &rows)
            })
        }
        TierCommand::Set { name, windows, unlimited: _ } => {
            let windows = values::windows(windows)?;
            let folded = name.folded();
            let before = open.run(tiers::list(&open.app))?.into_iter().find(|tier| fold(&tier.name) == folded);
            let tier = open.run(tiers::set(&open.app, &caller, name, windows))?;
            out.result(&tier, || match &before {
                Some(before) => format!("Tier {}: {} -> {}", tier.name, shown(&before.windows), shown(&tier.windows)),
                None => format!("Added tier {}: {}", tier.name, shown(&tier.windows)),
            })?;
            match before {
                None => place.undo(out, &["tier", "delete", &tier.name]),
                Some(before) => undo(place, out, &before),
            }
            Ok(())
        }
        TierCommand::Delete { name } => {
            let folded = fold(&name);
            let Some(before) = open.run(tiers::list(&open.app))?.into_iter().find(|tier| fold(&tier.name) == folded) else {
                return Err(Failure::not_found(format!("There is no tier {name}.\nAll of them: keyrack tier list")));
            };
            ask::confirm(out, &format!("Delete tier {} ({})?", before.name, shown(&before.windows)))?;
            open.run(tiers::delete(&open.app, &caller, &before.name))?;
            out.result(&json!({ "name": before.name, "deleted": true }), || format!("Deleted tier {}.", before.name))?;
            undo(place, out, &before);
            Ok(())
        }
    }
}

fn shown(windows: &Windows) -> String {
    if windows.is_empty() { Windows::UNLIMITED.into() } else { windows.to_string() }
}

/// The command that gives a tier these windows again.
fn undo(place: &Place, out: &Output, tier: &Tier) {
    let windows: Vec<String> = tier.windows.as_slice().iter().map(ToString::to_string).collect();
    let flags =
        if windows.is_empty() { vec!["--unlimited"] } else { windows.iter().flat_map(|window| ["--window", window]).collect() };
    place.undo(out, &["tier", "set", &tier.name].into_iter().chain(flags).collect::<Vec<_>>());
}
