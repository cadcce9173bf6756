//! What the dashboard stores of the configuration, and what follows at once from a change of it.

use serde_json::json;

use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::dialect::DialectName;
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store::{self, Store, Tx};

pub const DIALECT: &str = "api.dialect";
pub const PUBLIC_URL: &str = "server.public_url";
/// The list of first steps is shown no more.
const START_DISMISSED: &str = "overview.start_dismissed";
/// Who needs a second factor: `off` or `admins`. The dashboard alone sets it.
pub const SECOND_FACTOR: &str = "security.second_factor";
const ADMINS: &str = "admins";

/// Read before there is an [`App`], since the configuration is made of it.
pub fn stored(store: &Store) -> Result<Vec<(String, String)>> {
    store.look_up(store::settings::list)
}

/// Switches the API to another dialect, for the requests that arrive from here on. Where the dialect is given by a
/// flag, the environment or the file, that wins and nothing is changed.
pub async fn set_dialect(app: &App, caller: &Caller, to: DialectName) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    if let Some(place) = app.fixed.get(DIALECT) {
        let words = format!("The dialect is set by {place}, which wins over the dashboard. Change it there, then restart.");
        return Err(AppError::invalid("dialect", "fixed", words));
    }
    let _turn = app.live.changing.lock().await;
    let (from, caller, now) = (app.dialect(), caller.clone(), app.clock.now());
    let write = move |tx: &Tx| {
        store::actors::must_still_act(tx, &caller, now)?;
        store_and_tell(tx, &caller, (DIALECT, Some(from.as_str()), to.as_str()), now)?;
        bring_tiers(tx, &caller, to, now)
    };
    app.store.write_then(write, switch(app, to)).await
}

/// Takes the list of first steps off the overview, for every administrator.
pub async fn dismiss_start(app: &App, caller: &Caller) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let dismiss = move |tx: &Tx| store_and_tell(tx, &by, (START_DISMISSED, None, "yes"), now);
    app.change(caller, dismiss, |()| Concerns::Nobody).await
}

pub async fn is_start_dismissed(app: &App, caller: &Caller) -> Result<bool> {
    caller.must_have(Scope::Admin)?;
    app.store.read(|conn| Ok(store::settings::find(conn, START_DISMISSED)?.is_some())).await
}

/// Whether administrators need a second factor from now on.
pub async fn require_second_factor(app: &App, caller: &Caller, required: bool) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let _turn = app.live.changing.lock().await;
    let (by, now) = (caller.clone(), app.clock.now());
    let write = move |tx: &Tx| {
        store::actors::must_still_act(tx, &by, now)?;
        let (before, to) = (store::settings::find(tx, SECOND_FACTOR)?, if required { ADMINS } else { "off" });
        if before.as_deref().unwrap_or("off") == to {
            return Ok(());
        }
        store_and_tell(tx, &by, (SECOND_FACTOR, before.as_deref(), to), now)
    };
    let live = app.live.clone();
    app.store.write_then(write, move |()| live.require_second_factor(required)).await
}

/// What the database says counts here too: at the start, and when another process has changed it.
pub async fn notice(app: &App) -> Result<()> {
    let _turn = app.live.changing.lock().await;
    let find = |conn: &store::Conn| Ok((store::settings::find(conn, DIALECT)?, store::settings::find(conn, SECOND_FACTOR)?));
    let (dialect, second_factor) = app.store.read(find).await?;
    app.live.require_second_factor(second_factor.as_deref() == Some(ADMINS));
    let dialect = dialect.filter(|_| !app.fixed.contains_key(DIALECT));
    if let Some(to) = dialect.and_then(|name| DialectName::parse(&name)).filter(|&to| to != app.dialect()) {
        switch(app, to)(&());
    }
    Ok(())
}

fn switch(app: &App, to: DialectName) -> impl FnOnce(&()) + Send + 'static {
    let (live, callers) = (app.live.clone(), app.callers.clone());
    move |()| {
        live.set_dialect(to);
        // Credentials remember the windows of accounts without a tier, and those are the dialect's. What was counted
        // in them stays: the counters are the account's own.
        callers.forget(Concerns::Everyone);
    }
}

/// Adds the tiers that a dialect brings, the first time it is on: one deleted later stays deleted, and one there is
/// already keeps its windows.
pub(super) fn bring_tiers(tx: &Tx, caller: &Caller, dialect: DialectName, now: Timestamp) -> Result<()> {
    let mut tiers = dialect.tiers().peekable();
    let mark = format!("tiers.{}", dialect.as_str());
    if tiers.peek().is_none() || store::settings::find(tx, &mark)?.is_some() {
        return Ok(());
    }
    for tier in tiers {
        if store::tiers::find(tx, &tier.name)?.is_none() {
            store::tiers::set(tx, &tier, now)?;
            let diff = changed([("windows", json!(null), json!(tier.windows))]);
            let happening = Happening::new("tier.set", "tier", &tier.name, &tier.name).with(diff);
            store::audit_events::append(tx, caller, now, None, &happening)?;
        }
    }
    store::settings::set(tx, &mark, "brought", now)
}

/// A setting's name, what it was, and what it is to be.
pub(super) fn store_and_tell(
    tx: &Tx,
    caller: &Caller,
    (name, from, to): (&str, Option<&str>, &str),
    now: Timestamp,
) -> Result<()> {
    store::settings::set(tx, name, to, now)?;
    let diff = changed([("value", json!(from), json!(to))]);
    let happening = Happening::new("setting.changed", "setting", name, name).with(diff);
    store::audit_events::append(tx, caller, now, None, &happening)
}
