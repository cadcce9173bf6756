//! Tiers: list, add, change, delete, and what a change would do. It reaches every account that has the tier, at once.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::account::Account;
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::Caller;
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::tier::{Tier, Windows};
use crate::model::usage::{Span, Subject};
use crate::model::{AppError, Result};
use crate::store::{self, Conn, Tx};

/// The most accounts of a tier that are looked at one by one.
const MOST_JUDGED: u32 = 1_000;
/// Accounts of one write: other changes need not wait for all of them.
const ACCOUNTS_OF_A_WRITE: u32 = 500;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub async fn list(app: &App) -> Result<Vec<Tier>> {
    app.store.read(store::tiers::list).await
}

/// All tiers, with how many accounts have each.
pub async fn list_used(app: &App, caller: &Caller) -> Result<Vec<(Tier, u64)>> {
    caller.must_have(Scope::Admin)?;
    let list = |conn: &Conn| {
        let mut used = Vec::new();
        for tier in store::tiers::list(conn)? {
            let accounts = store::accounts::count_of_tier(conn, &tier.name)?;
            used.push((tier, accounts));
        }
        Ok(used)
    };
    app.store.read(list).await
}

pub async fn find(app: &App, caller: &Caller, name: &str) -> Result<Tier> {
    caller.must_have(Scope::Admin)?;
    let name = name.to_owned();
    app.store.read(move |conn| store::tiers::find(conn, &name)).await?.ok_or(AppError::NotFound("tier"))
}

/// Accounts, and all their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub accounts: u64,
    pub keys: u64,
}

/// Whom a tier's windows hold for: those that have it and no windows of their own.
pub async fn reach(app: &App, caller: &Caller, name: &str) -> Result<Reach> {
    caller.must_have(Scope::Admin)?;
    let name = name.to_owned();
    let (accounts, keys) = app.store.read(move |conn| store::accounts::reach_of_tier(conn, &name)).await?;
    Ok(Reach { accounts, keys })
}

/// Some of the accounts that have a tier, and how many there are.
pub async fn accounts(app: &App, caller: &Caller, name: &str, limit: u32) -> Result<(Vec<Account>, u64)> {
    caller.must_have(Scope::Admin)?;
    let name = name.to_owned();
    let list =
        move |conn: &Conn| Ok((store::accounts::list_of_tier(conn, &name, limit)?, store::accounts::count_of_tier(conn, &name)?));
    app.store.read(list).await
}

/// What windows would have done to the accounts of a tier in the week before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub limited: Reach,
    /// Those that were looked at.
    pub accounts: Reach,
    /// There are more accounts than were looked at.
    pub is_part: bool,
    pub looked_at: u64,
}

/// Judged from counts by the hour, the finest that are kept of an account for a week: of a window shorter than an hour
/// it is known only where even an hour had more than it lets through.
pub async fn judge(app: &App, caller: &Caller, name: &str, windows: Windows) -> Result<Judged> {
    caller.must_have(Scope::Admin)?;
    let (name, since) = (name.to_owned(), app.clock.now().saturating_sub(WEEK));
    let judge = move |conn: &Conn| {
        let mut ids = store::accounts::ids_within_tier(conn, &name, MOST_JUDGED + 1)?;
        let is_part = ids.len() > MOST_JUDGED as usize;
        ids.truncate(MOST_JUDGED as usize);
        let mut judged = Judged { is_part, looked_at: ids.len() as u64, ..Judged::default() };
        for (id, keys) in ids {
            let hours = store::usage::series(conn, Subject::Account(id), Span::Hour, since)?;
            let hours: Vec<(i64, u64)> = hours.iter().map(|(start, tally)| (start.seconds() / 3600, tally.total())).collect();
            judged.accounts.accounts += 1;
            judged.accounts.keys += keys;
            if would_be_limited(&hours, &windows) {
                judged.limited.accounts += 1;
                judged.limited.keys += keys;
            }
        }
        Ok(judged)
    };
    app.store.read(judge).await
}

/// Whether requests, counted by hours since 1970 in rising order, would have met one of these windows.
fn would_be_limited(hours: &[(i64, u64)], windows: &Windows) -> bool {
    windows.as_slice().iter().any(|window| {
        let span = i64::from(window.seconds.div_ceil(3600));
        let limit = window.limit.saturating_mul(u64::from((3600 / window.seconds.min(3600)).max(1)));
        let (mut first, mut sum) = (0, 0_u64);
        hours.iter().any(|&(hour, requests)| {
            sum += requests;
            while hours[first].0 <= hour - span {
                sum -= hours[first].1;
                first += 1;
            }
            sum > limit
        })
    })
}

/// Adds a tier whose name is free.
pub async fn create(app: &App, caller: &Caller, name: Name, windows: Windows) -> Result<Tier> {
    put(app, caller, Tier { name: name.as_str().into(), windows }, |found| match found {
        Some(found) => Err(AppError::invalid("name", "taken", format!("There is a tier {} already.", found.name))),
        None => Ok(()),
    })
    .await
}

/// Gives a tier other windows, if it still has those that whoever asks has seen.
pub async fn change(app: &App, caller: &Caller, name: &str, windows: Windows, was: Windows) -> Result<Tier> {
    put(app, caller, Tier { name: name.into(), windows }, move |found| match found {
        Some(found) if found.windows == was => Ok(()),
        Some(_) => Err(AppError::PreconditionFailed),
        None => Err(AppError::NotFound("tier")),
    })
    .await
}

/// Adds a tier, or gives the one of this name other windows.
pub async fn set(app: &App, caller: &Caller, name: Name, windows: Windows) -> Result<Tier> {
    put(app, caller, Tier { name: name.as_str().into(), windows }, |_| Ok(())).await
}

async fn put(
    app: &App,
    caller: &Caller,
    tier: Tier,
    check: impl FnOnce(Option<Tier>) -> Result<()> + Send + 'static,
) -> Result<Tier> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let put = move |tx: &Tx| {
        let before = store::tiers::find(tx, &tier.name)?;
        let from = before.as_ref().map(|before| before.windows.clone());
        check(before)?;
        if from.as_ref() != Some(&tier.windows) {
            store::tiers::set(tx, &tier, now)?;
            let diff = changed([("windows", json!(from), json!(tier.windows))]);
            let happening = Happening::new("tier.set", "tier", &tier.name, &tier.name).with(diff);
            store::audit_events::append(tx, &by, now, None, &happening)?;
        }
        Ok(tier)
    };
    app.change(caller, put, |_| Concerns::Everyone).await
}

/// Gives every account of a tier another one, or with none the default limits; some at a time.
pub async fn reassign(app: &App, caller: &Caller, from: &str, to: Option<String>) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let now = app.clock.now();
    loop {
        let (by, from, to) = (caller.clone(), from.to_owned(), to.clone());
        let moved = move |tx: &Tx| {
            super::accounts::must_be_a_tier(tx, to.as_deref())?;
            let moved = store::accounts::move_tier(tx, &from, to.as_deref(), ACCOUNTS_OF_A_WRITE, now)?;
            if moved > 0 {
                let happening =
                    Happening::new("tier.reassigned", "tier", &from, &from).with(json!({ "to": to, "accounts": moved }));
                store::audit_events::append(tx, &by, now, None, &happening)?;
            }
            Ok(moved)
        };
        if app.change(caller, moved, |_| Concerns::Everyone).await? < u64::from(ACCOUNTS_OF_A_WRITE) {
            return Ok(());
        }
    }
}

pub async fn delete(app: &App, caller: &Caller, name: &str) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now, name) = (caller.clone(), app.clock.now(), name.to_owned());
    app.change(
        caller,
        move |tx| {
            let tier = store::tiers::find(tx, &name)?.ok_or(AppError::NotFound("tier"))?;
            store::tiers::delete(tx, &name)?;
            let diff = changed([("windows", json!(tier.windows), json!(null))]);
            let happening = Happening::new("tier.deleted", "tier", &tier.name, &tier.name).with(diff);
            store::audit_events::append(tx, &by, now, None, &happening)
        },
        |()| Concerns::Nobody,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_of_hours_tells_who_would_have_been_limited() {
        let limited =
            |hours: &[(i64, u64)], windows: &str| would_be_limited(hours, &Windows::parse_limits(windows).expect("limits"));
        let hours = [(10, 500), (11, 700), (20, 100)];
        assert!(limited(&hours, "600/1h") && !limited(&hours, "700/1h"));
        assert!(limited(&hours, "1100/2h") && !limited(&hours, "1200/2h"), "hours that follow one another");
        assert!(limited(&hours, "1299/1d") && !limited(&hours, "1300/1d"));
        assert!(limited(&hours, "11/1m") && !limited(&hours, "12/1m"), "700 an hour are more than 11 a minute");
        assert!(!limited(&hours, "unlimited") && !limited(&[], "1/1h"));
    }
}
