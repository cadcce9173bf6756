//! Users: list, find, create, update, delete.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::authorize::{may_change_user, seen_user};
use super::idempotency::Keep;
use super::password_links::Link;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::secret::random_token;
use crate::model::account::NewAccount;
use crate::model::audit_event::{Happening, changed};
use crate::model::body::UserBody;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::email::Email;
use crate::model::error::FieldErrors;
use crate::model::grant::Ended;
use crate::model::ids::{AccountId, UserId};
use crate::model::look::Look;
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::revision::IfMatch;
use crate::model::scope::Scope;
use crate::model::user::{NewUser, Role, User, UserChanges, UserStatus, UserText};
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

/// The same by name or email address.
pub async fn list_by(
    app: &App,
    caller: &Caller,
    filter: Filter,
    text: UserText,
    place: (Start<UserId>, Order, Limit),
) -> Result<Page<User>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::users::list_by(conn, &filter, text, place)).await
}

/// Those whose name or address begins so, the ones that `first` finds before the others.
pub async fn search(
    app: &App,
    caller: &Caller,
    filter: Filter,
    (start, first): (String, UserText),
    place: (Start<UserId>, Order, Limit),
) -> Result<Page<User>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::users::search(conn, &filter, &start, first, place)).await
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
            let account_id = account_for(tx, &by, new.account_id, now)?;
            let user = insert(tx, &by, &new, account_id, password_hash.as_deref(), now)?;
            keep.store(tx, &user, now)?;
            Ok(user)
        },
        |_| Concerns::Nobody,
    )
    .await
}

/// Somebody who is added on a page: in an account that is made with them, or with an invitation, or both.
pub struct Addition {
    pub user: NewUser,
    pub new_account: Option<NewAccount>,
    pub invited: bool,
}

pub async fn add(app: &App, caller: &Caller, addition: Addition) -> Result<(User, Option<Link>)> {
    caller.must_have(Scope::Admin)?;
    let Addition { user: new, new_account, invited } = addition;
    let password_hash = match new.password.clone() {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let (by, now, code) = (caller.clone(), app.clock.now(), random_token());
    let hash = SecretHash::of(&code);
    let added = move |tx: &store::Tx| {
        let account_id = match &new_account {
            Some(account) => super::accounts::insert(tx, &by, account, now).map_err(|err| renamed(err, "name", "account"))?.id,
            None => account_for(tx, &by, new.account_id, now)?,
        };
        let user = insert(tx, &by, &new, account_id, password_hash.as_deref(), now)?;
        let pending = if invited { Some(super::password_links::insert(tx, &by, &user, hash, now)?) } else { None };
        Ok((user, pending))
    };
    let (user, pending) = app.change(caller, added, |_| Concerns::Nobody).await?;
    Ok((user, pending.map(|pending| Link { code, pending })))
}

/// The account of a new user: the one named, else the caller's own, else `Default`.
fn account_for(tx: &store::Tx, caller: &Caller, named: Option<AccountId>, now: Timestamp) -> Result<AccountId> {
    let id = match (named, caller.account(), caller.user_id) {
        (Some(account), _, _) | (None, Some(account), _) => account,
        (None, None, Some(user)) => store::users::find(tx, user)?.ok_or(AppError::NotFound("user"))?.account_id,
        // A client's own token acts for nobody, and a user belongs somewhere on purpose.
        (None, None, None) if matches!(caller.actor, Actor::Token(..)) => {
            let words = "`account_id` is required, since this token acts for no user.";
            return Err(AppError::invalid("account_id", "required", words));
        }
        (None, None, None) => super::accounts::default_account(tx, now)?.id,
    };
    match store::accounts::find(tx, id)? {
        Some(account) => Ok(account.id),
        None => Err(AppError::invalid("account_id", "unknown", "No account with this id.")),
    }
}

pub(super) fn insert(
    tx: &store::Tx,
    caller: &Caller,
    new: &NewUser,
    account_id: AccountId,
    password_hash: Option<&str>,
    now: Timestamp,
) -> Result<User> {
    let insert = store::users::Insert {
        account_id,
        name: &new.name,
        email: &new.email,
        password_hash,
        role: new.role,
        time_zone: new.time_zone.as_deref().unwrap_or("UTC"),
    };
    let user = store::users::insert(tx, &insert, now)?;
    let happening = Happening::new("user.created", "user", user.id, &user.name)
        .with(json!({ "email": user.email, "role": user.role.name() }))
        .showing(&UserBody::from(&user));
    store::audit_events::append(tx, caller, now, Some(account_id), &happening)?;
    Ok(user)
}

fn renamed(err: AppError, from: &str, to: &str) -> AppError {
    let AppError::Invalid(errors) = err else { return err };
    let mut renamed = FieldErrors::default();
    for error in errors.as_slice() {
        renamed.add(if error.field == from { to } else { &error.field }, error.code, error.message.clone());
    }
    AppError::Invalid(renamed)
}

/// Changes the fields given. A new password, a disabling or another role ends the user's sessions, a new password what
/// they allowed to clients, too.
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
            change(tx, &by, before, &changes, password_hash.as_deref(), now)
        },
        |user| Concerns::Account(user.account_id),
    )
    .await
}

/// Makes the changes that whoever asks for them may make.
pub(super) fn change(
    tx: &store::Tx,
    caller: &Caller,
    before: User,
    changes: &UserChanges,
    password_hash: Option<&str>,
    now: Timestamp,
) -> Result<User> {
    let demoted = changes.role.is_some_and(|role| role != Role::Admin);
    let disabled = changes.status == Some(UserStatus::Disabled);
    if demoted || disabled {
        keep_an_admin(tx, &before)?;
    }
    let update = store::users::Update {
        name: changes.name.as_ref(),
        email: changes.email.as_ref(),
        password_hash,
        role: changes.role,
        status: changes.status,
        time_zone: changes.time_zone.as_deref(),
    };
    if !update.changes(&before) {
        return Ok(before);
    }
    let after = store::users::update(tx, before.id, &update, now)?;
    if password_hash.is_some() || disabled || before.role != after.role {
        super::sessions::end_all(tx, before.id, None)?;
    }
    if password_hash.is_some() {
        super::grants::end_all_of(tx, caller, before.id, Ended::PasswordChanged, now)?;
        // A link that was given before the password was set would set another.
        store::password_links::delete_of(tx, before.id)?;
    }
    let happening = Happening::new("user.updated", "user", before.id, &after.name)
        .with(diff(&before, &after, password_hash.is_some()))
        .showing(&UserBody::from(&after));
    store::audit_events::append(tx, caller, now, Some(after.account_id), &happening)?;
    Ok(after)
}

/// How one wants the pages to be.
pub async fn set_look(app: &App, caller: &Caller, id: UserId, look: Look) -> Result<()> {
    app.change(caller, move |tx| store::users::set_look(tx, id, &look), |()| Concerns::Nobody).await
}

/// Deletes the user with keys and sessions, which stop at once.
pub async fn delete(app: &App, caller: &Caller, id: UserId, expected: IfMatch) -> Result<User> {
    delete_if(app, caller, id, move |user| expected.check(user.revision)).await
}

/// The same for a user who was disabled before, so that nobody is missed by surprise.
pub async fn delete_disabled(app: &App, caller: &Caller, id: UserId) -> Result<User> {
    let is_disabled = |user: &User| match user.status {
        UserStatus::Disabled => Ok(()),
        UserStatus::Active => {
            Err(AppError::invalid("", "enabled", format!("{} is enabled. Disable them first, then delete them.", user.name)))
        }
    };
    delete_if(app, caller, id, is_disabled).await
}

async fn delete_if(
    app: &App,
    caller: &Caller,
    id: UserId,
    may: impl FnOnce(&User) -> Result<()> + Send + 'static,
) -> Result<User> {
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let user = seen_user(&by, store::users::find(tx, id)?)?;
            may_change_user(&by, &user)?;
            may(&user)?;
            keep_an_admin(tx, &user)?;
            super::grants::end_all_of(tx, &by, id, Ended::UserDeleted, now)?;
            store::users::delete(tx, id)?;
            let was = changed([
                ("email", json!(user.email), json!(null)),
                ("role", json!(user.role.name()), json!(null)),
                ("status", json!(user.status.name()), json!(null)),
            ]);
            let happening = Happening::new("user.deleted", "user", id, &user.name).with(was).showing(&UserBody::from(&user));
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
