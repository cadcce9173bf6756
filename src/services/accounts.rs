//! Accounts: list, find, create, update, delete. Only those who see every account list and change them.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::account::{Account, AccountChanges, AccountStatus, Given, NewAccount};
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::ids::AccountId;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::Scope;
use crate::model::tier::Windows;
use crate::model::{AppError, Result};
use crate::store::{self, Conn, Tx};

pub use crate::store::accounts::Filter;

/// The account that the first admin and the command line make users in.
pub const DEFAULT: &str = "Default";

pub async fn list(app: &App, caller: &Caller, filter: Filter, place: (Start<AccountId>, Order, Limit)) -> Result<Page<Account>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::accounts::list(conn, &filter, place)).await
}

pub async fn list_by_name(
    app: &App,
    caller: &Caller,
    filter: Filter,
    place: (Start<AccountId>, Order, Limit),
) -> Result<Page<Account>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::accounts::list_by_name(conn, &filter, place)).await
}

/// How many users and keys each of these accounts has.
pub async fn counts(app: &App, caller: &Caller, ids: Vec<AccountId>) -> Result<HashMap<AccountId, (u64, u64)>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| ids.into_iter().map(|id| Ok((id, store::accounts::counts(conn, id)?))).collect()).await
}

/// The account of this id; one's own, unless one sees all.
pub async fn find(app: &App, caller: &Caller, id: AccountId) -> Result<Account> {
    let seen = caller.account().is_none_or(|own| own == id);
    let found = app.store.read(move |conn| store::accounts::find(conn, id)).await?;
    found.filter(|_| seen).ok_or(AppError::NotFound("account"))
}

/// The names of these accounts, in one look; one's own alone, unless one sees all.
pub async fn names(app: &App, caller: &Caller, ids: HashSet<AccountId>) -> Result<HashMap<AccountId, String>> {
    let own = caller.account();
    let find = move |conn: &Conn| {
        let mut names = HashMap::new();
        for id in ids.into_iter().filter(|&id| own.is_none_or(|own| own == id)) {
            names.extend(store::accounts::find(conn, id)?.map(|account| (id, account.name)));
        }
        Ok(names)
    };
    app.store.read(find).await
}

/// These accounts, in one look; one's own alone, unless one sees all.
pub async fn find_all(app: &App, caller: &Caller, ids: HashSet<AccountId>) -> Result<HashMap<AccountId, Account>> {
    let own = caller.account();
    let find = move |conn: &Conn| {
        let mut found = HashMap::new();
        for id in ids.into_iter().filter(|&id| own.is_none_or(|own| own == id)) {
            found.extend(store::accounts::find(conn, id)?.map(|account| (id, account)));
        }
        Ok(found)
    };
    app.store.read(find).await
}

/// An account and the windows that hold for it: its own, else its tier's, else the dialect's.
pub async fn limits(app: &App, caller: &Caller, id: AccountId) -> Result<(Account, Windows)> {
    let account = find(app, caller, id).await?;
    let windows = match account.windows.clone() {
        Some(own) => own,
        None => without_own(app, &account).await?,
    };
    Ok((account, windows))
}

/// The windows that would hold for it if it had none of its own.
pub async fn limits_without_own(app: &App, caller: &Caller, id: AccountId) -> Result<Windows> {
    without_own(app, &find(app, caller, id).await?).await
}

async fn without_own(app: &App, account: &Account) -> Result<Windows> {
    let tier = account.tier.clone();
    let of_tier = app.store.read(move |conn| tier.map_or(Ok(None), |tier| store::tiers::find(conn, &tier))).await?;
    Ok(of_tier.map_or_else(|| app.dialect().default_windows(), |tier| tier.windows))
}

/// By id, or by name.
pub async fn find_named(app: &App, caller: &Caller, id_or_name: &str) -> Result<Account> {
    caller.must_have(Scope::Admin)?;
    let text = id_or_name.to_owned();
    let found = app.store.read(move |conn| match AccountId::parse(&text) {
        Some(id) => store::accounts::find(conn, id),
        None => store::accounts::find_by_name(conn, &text),
    });
    found.await?.ok_or(AppError::NotFound("account"))
}

pub async fn create(app: &App, caller: &Caller, new: NewAccount) -> Result<Account> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(caller, move |tx| insert(tx, &by, &new, now), |_| Concerns::Nobody).await
}

pub(super) fn insert(tx: &Tx, caller: &Caller, new: &NewAccount, now: Timestamp) -> Result<Account> {
    must_be_a_tier(tx, new.tier.as_deref())?;
    let account = store::accounts::insert(tx, new, now)?;
    let happening = Happening::new("account.created", "account", account.id, &account.name).with(json!({ "tier": account.tier }));
    store::audit_events::append(tx, caller, now, Some(account.id), &happening)?;
    Ok(account)
}

/// Changes the fields given. Suspending stops the account's keys at once.
pub async fn update(app: &App, caller: &Caller, id: AccountId, changes: AccountChanges) -> Result<Account> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let before = store::accounts::find(tx, id)?.ok_or(AppError::NotFound("account"))?;
            if let Some(tier) = &changes.tier {
                must_be_a_tier(tx, tier.as_deref())?;
            }
            let given = match (&changes.windows, changes.reason) {
                (Some(None), _) => None,
                (Some(Some(_)), None) => return Err(why()),
                (None, None) => before.given.clone(),
                (None, Some(_)) if before.windows.is_none() => {
                    return Err(AppError::invalid(
                        "reason",
                        "without_windows",
                        "A reason belongs to limits of its own. Give some.",
                    ));
                }
                (_, Some(reason)) => Some(Given { reason, by: name_of(tx, &by)?, at: now }),
            };
            let wanted = Account {
                name: changes.name.map_or_else(|| before.name.clone(), |name| name.as_str().to_owned()),
                tier: changes.tier.unwrap_or_else(|| before.tier.clone()),
                windows: changes.windows.unwrap_or_else(|| before.windows.clone()),
                given,
                metadata: changes.metadata.unwrap_or_else(|| before.metadata.clone()),
                status: changes.status.unwrap_or(before.status),
                ..before.clone()
            };
            if diff(&before, &wanted) == json!({}) {
                return Ok(before);
            }
            let account = store::accounts::update(tx, &wanted, now)?;
            let action = match (before.status, account.status) {
                (AccountStatus::Active, AccountStatus::Suspended) => "account.suspended",
                (AccountStatus::Suspended, AccountStatus::Active) => "account.resumed",
                _ => "account.updated",
            };
            let happening = Happening::new(action, "account", id, &account.name).with(diff(&before, &account));
            store::audit_events::append(tx, &by, now, Some(id), &happening)?;
            Ok(account)
        },
        move |_| Concerns::Account(id),
    )
    .await
}

/// Deletes an account that nothing belongs to. What it did stays in the audit log and in the figures.
pub async fn delete(app: &App, caller: &Caller, id: AccountId) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let account = store::accounts::find(tx, id)?.ok_or(AppError::NotFound("account"))?;
            if !store::accounts::delete(tx, id)? {
                return Err(AppError::invalid(
                    "",
                    "in_use",
                    "Something still belongs to this account. Delete its users and webhooks first.",
                ));
            }
            let was = changed([("name", json!(account.name), json!(null)), ("tier", json!(account.tier), json!(null))]);
            let happening = Happening::new("account.deleted", "account", id, &account.name).with(was);
            store::audit_events::append(tx, &by, now, Some(id), &happening)
        },
        move |()| Concerns::Account(id),
    )
    .await
}

fn why() -> AppError {
    AppError::invalid("reason", "required", "Say why this account has limits of its own.")
}

fn name_of(conn: &Conn, caller: &Caller) -> Result<String> {
    let user = caller.user_id.map(|id| store::users::find(conn, id)).transpose()?.flatten();
    Ok(match (user, caller.actor) {
        (Some(user), _) => user.email,
        (None, Actor::CommandLine) => "command line".into(),
        (None, _) => "system".into(),
    })
}

fn diff(before: &Account, after: &Account) -> Value {
    let reason = |account: &Account| account.given.as_ref().map(|given| given.reason.as_str().to_owned());
    changed([
        ("name", json!(before.name), json!(after.name)),
        ("tier", json!(before.tier), json!(after.tier)),
        ("windows", json!(before.windows), json!(after.windows)),
        ("reason", json!(reason(before)), json!(reason(after))),
        ("metadata", json!(before.metadata.as_map()), json!(after.metadata.as_map())),
        ("status", json!(before.status.name()), json!(after.status.name())),
    ])
}

/// The account `Default`, made when it is first needed.
pub(super) fn default_account(tx: &Tx, now: Timestamp) -> Result<Account> {
    if let Some(account) = store::accounts::find_by_name(tx, DEFAULT)? {
        return Ok(account);
    }
    let name = Name::parse(DEFAULT).map_err(|problem| problem.of("name"))?;
    store::accounts::insert(tx, &NewAccount { name, tier: None }, now)
}

pub(super) fn must_be_a_tier(conn: &Conn, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    if store::tiers::find(conn, name)?.is_some() {
        return Ok(());
    }
    let names: Vec<String> = store::tiers::list(conn)?.into_iter().map(|tier| tier.name).collect();
    let shown: String = name.chars().take(60).collect();
    Err(AppError::invalid("tier", "unknown", format!("There is no tier `{shown}`. The tiers are: {}.", names.join(", "))))
}
