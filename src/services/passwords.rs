//! Changing one's own password, and proving by it who one is.

use std::net::IpAddr;

use serde_json::json;

use super::grants;
use super::guess::{Guess, Guesser};
use super::sessions::{self, Token};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::password::Verdict;
use crate::model::audit_event::Happening;
use crate::model::body::UserBody;
use crate::model::caller::Caller;
use crate::model::grant::Ended;
use crate::model::session::ELEVATED;
use crate::model::user::{Password, User};
use crate::model::{AppError, Result};
use crate::store;

/// Takes the current password and sets another. Everything that somebody who knew the old one may hold ends; the session
/// in which it is done goes on behind a new cookie.
pub async fn change(
    app: &App,
    caller: &Caller,
    user: &User,
    cookie: &str,
    (current, new): (Password, Password),
) -> Result<Token> {
    check(app, user, current, caller.ip, cookie).await.map_err(|err| match err {
        AppError::Invalid(_) => AppError::invalid("current_password", "different", "This is not your current password."),
        err => err,
    })?;
    let hash = app.passwords.hash(new).await?;
    let (id, account, by, now) = (user.id, user.account_id, caller.clone(), app.clock.now());
    let token = Token::new();
    let (old, renewed) = (SecretHash::of(cookie), token.hash());
    app.change(
        caller,
        move |tx| {
            let changes = store::users::Update { password_hash: Some(&hash), ..Default::default() };
            let user = store::users::update(tx, id, &changes, now)?;
            store::password_links::delete_of(tx, id)?;
            if !store::sessions::renew(tx, old, renewed)? {
                return Err(AppError::NotFound("session"));
            }
            sessions::end_all(tx, id, Some(renewed))?;
            grants::end_all_of(tx, &by, id, Ended::PasswordChanged, now)?;
            let happening = Happening::new("user.updated", "user", id, &user.name)
                .with(json!({ "password": "changed" }))
                .showing(&UserBody::from(&user));
            store::audit_events::append(tx, &by, now, Some(user.account_id), &happening)
        },
        move |()| Concerns::Account(account),
    )
    .await?;
    Ok(token)
}

/// The password once more, before what matters: the session may do it for a quarter of an hour.
pub async fn elevate(app: &App, caller: &Caller, user: &User, cookie: &str, password: Password) -> Result<()> {
    check(app, user, password, caller.ip, cookie).await?;
    let (by, now, token) = (caller.clone(), app.clock.now(), SecretHash::of(cookie));
    let (id, name, account) = (user.id, user.name.clone(), user.account_id);
    app.change(
        caller,
        move |tx| {
            store::sessions::elevate(tx, token, now.saturating_add(ELEVATED))?;
            let happening = Happening::new("session.elevated", "user", id, name);
            store::audit_events::append(tx, &by, now, Some(account), &happening)
        },
        |()| Concerns::Nobody,
    )
    .await
}

/// Whether this is the password of the user whose session has this cookie. Failures are counted as those of the sign-in are.
async fn check(app: &App, user: &User, password: Password, ip: Option<IpAddr>, cookie: &str) -> Result<()> {
    let guess = ip.map(|ip| Guess::take(app, &user.email, ip, Guesser::Known(cookie.as_bytes()))).transpose()?;
    let id = user.id;
    let hash = app.store.read(move |conn| store::users::password_hash(conn, id)).await?;
    let verdict = app.passwords.verify(password, hash).await;
    let verdict = match &guess {
        Some(guess) => guess.unless_ours(app, verdict)?,
        None => verdict?,
    };
    if verdict == Verdict::Wrong {
        return Err(AppError::invalid("password", "different", "This is not your password."));
    }
    guess.iter().for_each(|guess| guess.refund(app));
    Ok(())
}
