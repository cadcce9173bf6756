//! Links with which somebody sets their own password. An administrator gives one and passes it on; no mail is sent.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::json;
use zeroize::Zeroizing;

use super::authorize::seen_user;
use super::sessions::{self, NewSession};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::secret::random_token;
use crate::limits::BucketKey;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;
use crate::model::name::Name;
use crate::model::password_link::{LinkKind, Pending};
use crate::model::scope::Scope;
use crate::model::user::{Password, User, UserChanges, UserStatus};
use crate::model::{AppError, Result};
use crate::store::{self, Conn, Tx};

/// A link that was just made. Its code is told this once.
pub struct Link {
    pub code: Zeroizing<String>,
    pub pending: Pending,
}

/// How a user signs in.
pub struct Standing {
    pub has_password: bool,
    pub pending: Option<Pending>,
}

/// What became of somebody's new password.
pub enum Followed {
    /// The invited are in.
    SignedIn(sessions::SignedIn),
    /// Whoever had a password before signs in with the new one: there may be more to ask them than a password.
    PasswordSet,
    /// The link was used, was withdrawn, or has ended.
    Gone,
}

pub async fn standing(app: &App, caller: &Caller, id: UserId) -> Result<Standing> {
    let caller = caller.clone();
    app.store
        .read(move |conn| {
            seen_user(&caller, store::users::find(conn, id)?)?;
            Ok(Standing {
                has_password: store::users::has_password(conn, id)?,
                pending: store::password_links::find_of(conn, id)?,
            })
        })
        .await
}

/// Those of these users who were invited and have no password yet.
pub async fn invited(app: &App, caller: &Caller, ids: Vec<UserId>) -> Result<HashSet<UserId>> {
    caller.must_have(Scope::Admin)?;
    let find = move |conn: &Conn| {
        let mut invited = HashSet::new();
        for id in ids {
            let pending = store::password_links::find_of(conn, id)?;
            invited.extend(pending.filter(|pending| pending.kind == LinkKind::Invitation).map(|_| id));
        }
        Ok(invited)
    };
    app.store.read(find).await
}

/// A new link, in place of the one before. An invitation for who has no password, else one to set another.
pub async fn give(app: &App, caller: &Caller, id: UserId) -> Result<(User, Link)> {
    caller.must_have(Scope::Admin)?;
    let (code, by, now) = (random_token(), caller.clone(), app.clock.now());
    let hash = SecretHash::of(&code);
    let given = move |tx: &Tx| {
        let user = seen_user(&by, store::users::find(tx, id)?)?;
        if user.status != UserStatus::Active {
            let words = format!("{} is disabled, and a link would not let them in. Enable them first.", user.name);
            return Err(AppError::invalid("", "disabled", words));
        }
        let pending = insert(tx, &by, &user, hash, now)?;
        Ok((user, pending))
    };
    let (user, pending) = app.change(caller, given, |_| Concerns::Nobody).await?;
    Ok((user, Link { code, pending }))
}

pub(super) fn insert(tx: &Tx, caller: &Caller, user: &User, code: SecretHash, now: Timestamp) -> Result<Pending> {
    let (kind, action) = match store::users::has_password(tx, user.id)? {
        true => (LinkKind::Reset, "user.reset_link_given"),
        false => (LinkKind::Invitation, "user.invited"),
    };
    let pending = Pending { kind, created_at: now, expires_at: now.saturating_add(kind.life()) };
    store::password_links::set(tx, user.id, code, &pending)?;
    let happening = Happening::new(action, "user", user.id, &user.name).with(json!({ "expires_at": pending.expires_at }));
    store::audit_events::append(tx, caller, now, Some(user.account_id), &happening)?;
    Ok(pending)
}

/// The link does nothing any more.
pub async fn withdraw(app: &App, caller: &Caller, id: UserId) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let withdrawn = move |tx: &Tx| {
        let user = seen_user(&by, store::users::find(tx, id)?)?;
        if store::password_links::delete_of(tx, id)? {
            let happening = Happening::new("user.link_withdrawn", "user", id, &user.name);
            store::audit_events::append(tx, &by, now, Some(user.account_id), &happening)?;
        }
        Ok(())
    };
    app.change(caller, withdrawn, |()| Concerns::Nobody).await
}

/// Whose link it is, if it works. Tries are limited per address.
pub async fn look_at(app: &App, code: &str, from: IpAddr) -> Result<Option<(User, LinkKind)>> {
    let decision = app.guesses.of_setup.take(BucketKey::of_address(from), app.clock.tick());
    if let Some(retry_after) = decision.retry_after() {
        return Err(AppError::TooManyAttempts { retry_after });
    }
    let (hash, now) = (SecretHash::of(code), app.clock.now());
    let found = app.store.read(move |conn| {
        let Some((user, pending)) = store::password_links::find(conn, hash)? else { return Ok(None) };
        let Some(user) = store::users::find(conn, user)? else { return Ok(None) };
        let works = pending.expires_at > now && sessions::may_be_signed_in(conn, &user)?;
        Ok(works.then_some((user, pending.kind)))
    });
    let found = found.await?;
    if found.is_some() {
        // Whoever has the code does not guess.
        app.guesses.of_setup.refund(BucketKey::of_address(from), app.clock.tick());
    }
    Ok(found)
}

/// Uses the link up: sets the password, and the name of the invited, and ends all sessions there were.
pub async fn follow(app: &App, code: &str, name: Option<Name>, password: Password, device: NewSession) -> Result<Followed> {
    let Some((_, kind)) = look_at(app, code, device.ip).await? else { return Ok(Followed::Gone) };
    let password_hash = app.passwords.hash(password).await?;
    let (hash, now, asks) = (SecretHash::of(code), app.clock.now(), device.clone());
    let (draft, token) = sessions::begin(now, device);
    let token_hash = token.hash();
    let followed = move |tx: &Tx| {
        // Of two that come together, one has the link.
        let Some(id) = store::password_links::take(tx, hash, now)? else { return Ok(None) };
        let Some(user) = store::users::find(tx, id)? else { return Ok(None) };
        if !sessions::may_be_signed_in(tx, &user)? {
            return Err(AppError::invalid("", "disabled", "This user cannot sign in. Ask an administrator to enable them."));
        }
        let by = asks.caller(id);
        let name = name.filter(|_| kind == LinkKind::Invitation);
        let changes = UserChanges { name, ..UserChanges::default() };
        let user = super::users::change(tx, &by, user, &changes, Some(&password_hash), now)?;
        let session = draft.of(id);
        if kind == LinkKind::Invitation {
            store::sessions::insert(tx, token_hash, &session)?;
            let happening = Happening::new("session.created", "user", id, &user.name).with(json!({ "session": session.id }));
            store::audit_events::append(tx, &by, now, Some(user.account_id), &happening)?;
        }
        Ok(Some((user.account_id, session)))
    };
    let callers = app.callers.clone();
    let forget = move |done: &Option<(_, _)>| {
        if let Some((account, _)) = done {
            callers.forget(Concerns::Account(*account));
        }
    };
    Ok(match (app.store.write_then(followed, forget).await?, kind) {
        (None, _) => Followed::Gone,
        (Some((_, session)), LinkKind::Invitation) => Followed::SignedIn(sessions::SignedIn { session, token }),
        (Some(_), LinkKind::Reset) => Followed::PasswordSet,
    })
}
