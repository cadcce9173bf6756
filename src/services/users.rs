//! Users: list, find, create, update, delete.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::authorize::{may_change_user, seen_user};
use super::idempotency::Keep;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::Caller;
use crate::model::email::Email;
use crate::model::ids::UserId;
use crate::model::look::Look;
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::revision::IfMatch;
use crate::model::scope::Scope;
use crate::model::user::{NewUser, Role, User, UserChanges, UserStatus};
use crate::model::{AppError, Result};
use crate::store;

pub use crate::store::users::Filter;

pub async fn list(app: &App, caller: &Caller, mut filter: Filter, place: (Start<UserId>, Order, Limit)) -> Result<Page<User>> {
    if let Some(user) = caller.only_user() {
        let own = find(app, caller, user).await?;
        return Ok(Page { rows: vec![own], has_prev: false, has_next: false, total: Some(1) });
    }
    filter.account = caller.account().or(filter.account);
    app.store.read(move |conn| store::users::list(conn, &filter, place)).await
}

pub async fn find(app: &App, caller: &Caller, id: UserId) -> Result<User> {
    let found = app.store.read(move |conn| store::users::find(conn, id)).await?;
    seen_user(caller, found)
}

/// Those of these users whom the caller sees, in one look.
pub async fn find_all(app: &App, caller: &Caller, ids: HashSet<UserId>) -> Result<HashMap<UserId, User>> {
    let caller = caller.clone();
    let find = move |conn: &store::Conn| {
        let mut found = HashMap::new();
        for id in ids {
            found.extend(seen_user(&caller, store::users::find(conn, id)?).ok().map(|user| (id, user)));
        }
        Ok(found)
    };
    app.store.read(find).await
}

pub async fn find_by_email(app: &App, caller: &Caller, email: Email) -> Result<User> {
    let found = app.store.read(move |conn| store::users::find_by_email(conn, &email)).await?;
    seen_user(caller, found)
}

/// The admin who came first; keys made on the command line belong to them.
pub async fn first_admin(app: &App) -> Result<Option<User>> {
    app.store.read(store::users::first_admin).await
}

pub async fn create(app: &App, caller: &Caller, new: NewUser, keep: Keep<User>) -> Result<User> {
    if new.account_id.is_some() || new.role == Role::Admin {
        caller.must_have(Scope::Admin)?;
    }
    // A taken address is told before the work of a hash is spent on it; the insert decides.
    let email = new.email.clone();
    if app.store.read(move |conn| store::users::find_by_email(conn, &email)).await?.is_some() {
        return Err(AppError::invalid("email", "taken", "Email address is already in use."));
    }
    let password_hash = match new.password.clone() {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let account_id = match (new.account_id, by.account(), by.user_id) {
                (Some(account), _, _) | (None, Some(account), _) => account,
                (None, None, Some(user)) => store::users::find(tx, user)?.ok_or(AppError::NotFound("user"))?.account_id,
                (None, None, None) => super::accounts::default_account(tx, now)?.id,
            };
            if store::accounts::find(tx, account_id)?.is_none() {
                return Err(AppError::invalid("account_id", "unknown", "No account with this id."));
            }
            let insert = store::users::Insert {
                account_id,
                name: &new.name,
                email: &new.email,
                password_hash: password_hash.as_deref(),
                role: new.role,
                time_zone: new.time_zone.as_deref().unwrap_or("UTC"),
            };
            let user = store::users::insert(tx, &insert, now)?;
            let happening = Happening::new("user.created", "user", user.id, &user.name)
                .with(json!({ "email": user.email, "role": user.role.name() }));
            store::audit_events::append(tx, &by, now, Some(account_id), &happening)?;
            keep.store(tx, &user, now)?;
            Ok(user)
        },
        |_| Concerns::Nobody,
    )
    .await
}

/// Changes the fields given. A new password or a disabling ends the user's sessions.
pub async fn update(app: &App, caller: &Caller, id: UserId, changes: UserChanges, expected: IfMatch) -> Result<User> {
    if changes.role.is_some() || changes.status.is_some() {
        caller.must_have(Scope::Admin)?;
    }
    let before = find(app, caller, id).await?;
    may_change_user(caller, &before)?;
    expected.check(before.revision)?;
    let password_hash = match changes.password.clone() {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let before = seen_user(&by, store::users::find(tx, id)?)?;
            may_change_user(&by, &before)?;
            expected.check(before.revision)?;
            let demoted = changes.role.is_some_and(|role| role != Role::Admin);
            let disabled = changes.status == Some(UserStatus::Disabled);
            if demoted || disabled {
                keep_an_admin(tx, &before)?;
            }
            let update = store::users::Update {
                name: changes.name.as_ref(),
                email: changes.email.as_ref(),
                password_hash: password_hash.as_deref(),
                role: changes.role,
                status: changes.status,
                time_zone: changes.time_zone.as_deref(),
            };
            if !update.changes(&before) {
                return Ok(before);
            }
            let after = store::users::update(tx, id, &update, now)?;
            if password_hash.is_some() || disabled || before.role != after.role {
                super::sessions::end_all(tx, id, None)?;
            }
            let happening =
                Happening::new("user.updated", "user", id, &after.name).with(diff(&before, &after, password_hash.is_some()));
            store::audit_events::append(tx, &by, now, Some(after.account_id), &happening)?;
            Ok(after)
        },
        |user| Concerns::Account(user.account_id),
    )
    .await
}

/// How one wants the pages to be.
pub async fn set_look(app: &App, caller: &Caller, id: UserId, look: Look) -> Result<()> {
    app.change(caller, move |tx| store::users::set_look(tx, id, &look), |()| Concerns::Nobody).await
}

/// Deletes the user with keys and sessions, which stop at once.
pub async fn delete(app: &App, caller: &Caller, id: UserId, expected: IfMatch) -> Result<User> {
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let user = seen_user(&by, store::users::find(tx, id)?)?;
            may_change_user(&by, &user)?;
            expected.check(user.revision)?;
            keep_an_admin(tx, &user)?;
            store::users::delete(tx, id)?;
            let was = changed([
                ("email", json!(user.email), json!(null)),
                ("role", json!(user.role.name()), json!(null)),
                ("status", json!(user.status.name()), json!(null)),
            ]);
            let happening = Happening::new("user.deleted", "user", id, &user.name).with(was);
            store::audit_events::append(tx, &by, now, Some(user.account_id), &happening)?;
            Ok(user)
        },
        |user| Concerns::Account(user.account_id),
    )
    .await
}

/// Somebody must be able to administer: the last who can stays.
fn keep_an_admin(tx: &store::Tx, user: &User) -> Result<()> {
    let is_one = user.role == Role::Admin && user.status == UserStatus::Active;
    if is_one && !store::users::has_other_admin(tx, user.id)? { Err(AppError::LastAdmin) } else { Ok(()) }
}

fn diff(before: &User, after: &User, password_changed: bool) -> Value {
    let mut diff = changed([
        ("name", json!(before.name), json!(after.name)),
        ("email", json!(before.email), json!(after.email)),
        ("role", json!(before.role.name()), json!(after.role.name())),
        ("status", json!(before.status.name()), json!(after.status.name())),
        ("time_zone", json!(before.time_zone), json!(after.time_zone)),
    ]);
    if password_changed {
        diff["password"] = json!("changed");
    }
    diff
}
