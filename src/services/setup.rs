//! From an empty database to the first admin: the one-time setup link and what it does.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::sessions::{self, NewSession};
use super::settings::PUBLIC_URL;
use crate::app::App;
use crate::config::PublicUrl;
use crate::crypto::SecretHash;
use crate::crypto::secret::{normalize_code, typeable_code};
use crate::limits::BucketKey;
use crate::model::audit_event::Happening;
use crate::model::body::UserBody;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::dialect::default_tiers;
use crate::model::email::Email;
use crate::model::ids::UserId;
use crate::model::name::Name;
use crate::model::user::{Password, Role, User};
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

/// How long a setup link can be used.
pub const LINK_LIFE: Duration = Duration::from_secs(30 * 60);

/// A new link, in place of those before it.
#[derive(Debug)]
pub struct Link {
    pub code: String,
    pub expires_at: Timestamp,
}

/// The state of a code that somebody came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    Good,
    Expired(Timestamp),
    Unknown,
    /// There is an admin already.
    Done,
}

/// What the first admin enters.
pub struct FirstAdmin {
    pub email: Email,
    pub name: Option<Name>,
    pub password: Password,
    pub time_zone: Option<String>,
    pub public_url: Option<PublicUrl>,
}

/// What became of the form.
pub enum Finished {
    SignedIn(sessions::SignedIn),
    /// The link does nothing any more.
    Gone(CodeState),
}

pub async fn is_done(app: &App) -> Result<bool> {
    Ok(app.store.read(store::users::first_admin).await?.is_some())
}

/// Makes a link, as long as there is no admin.
pub async fn new_link(app: &App) -> Result<Option<Link>> {
    let link = Link { code: typeable_code(), expires_at: app.clock.now().saturating_add(LINK_LIFE) };
    let (hash, now, end) = (SecretHash::of(&link.code), app.clock.now(), link.expires_at);
    let made = app.store.write(move |tx| {
        if store::users::first_admin(tx)?.is_some() {
            return Ok(false);
        }
        store::setup::insert_link(tx, hash, now, end)?;
        Ok(true)
    });
    Ok(made.await?.then_some(link))
}

/// Looks at a code. Tries are limited per address.
pub async fn look_at(app: &App, typed: &str, from: IpAddr) -> Result<CodeState> {
    let decision = app.guesses.of_setup.take(BucketKey::of_address(from), app.clock.tick());
    if let Some(retry_after) = decision.retry_after() {
        return Err(AppError::TooManyAttempts { retry_after });
    }
    if is_done(app).await? {
        return Ok(CodeState::Done);
    }
    let Some(code) = normalize_code(typed) else { return Ok(CodeState::Unknown) };
    let ends = app.store.read(move |conn| store::setup::link_ends_at(conn, SecretHash::of(&code))).await?;
    let state = match ends {
        None => return Ok(CodeState::Unknown),
        Some(end) if end <= app.clock.now() => CodeState::Expired(end),
        Some(_) => CodeState::Good,
    };
    // Whoever has the code does not guess.
    app.guesses.of_setup.refund(BucketKey::of_address(from), app.clock.tick());
    Ok(state)
}

/// Uses the link up: makes the first admin in the account `Default` and signs them in.
pub async fn finish(app: &App, typed: &str, first: FirstAdmin, device: NewSession) -> Result<Finished> {
    match look_at(app, typed, device.ip).await? {
        CodeState::Good => {}
        state => return Ok(Finished::Gone(state)),
    }
    let password_hash = app.passwords.hash(first.password).await?;
    let code = SecretHash::of(&normalize_code(typed).unwrap_or_default());
    let now = app.clock.now();
    let asks = device.clone();
    let (session, token) = sessions::begin(now, device);
    let token_hash = token.hash();
    // What is given outside the database wins, and the form did not ask for it.
    let public_url = first.public_url.filter(|_| !app.fixed.contains_key(PUBLIC_URL));
    let stored_url = public_url.clone();
    let make = move |tx: &Tx| {
        // Of two that come together, the one that uses the link is the admin.
        if store::users::first_admin(tx)?.is_some() {
            return Ok(Err(CodeState::Done));
        }
        if !store::setup::use_link(tx, code, now)? {
            return Ok(Err(CodeState::Unknown));
        }
        let given = first.name.map_or_else(|| Name::parse(first.email.local_part()), Ok);
        let name = given.map_err(|problem| problem.of("name"))?;
        let by = |id| asks.caller(id);
        let user = insert_admin(tx, &name, &first.email, &password_hash, first.time_zone.as_deref(), now, by)?;
        if let Some(url) = &stored_url {
            super::settings::store_and_tell(tx, &asks.caller(user.id), (PUBLIC_URL, None, url.as_str()), now)?;
        }
        let session = session.of(user.id);
        store::sessions::insert(tx, token_hash, &session)?;
        Ok(Ok(session))
    };
    let live = app.live.clone();
    let publish = move |made: &std::result::Result<_, CodeState>| {
        public_url.filter(|_| made.is_ok()).into_iter().for_each(|url| live.set_public_url(url));
    };
    Ok(match app.store.write_then(make, publish).await? {
        Ok(session) => Finished::SignedIn(sessions::SignedIn { session, token }),
        Err(state) => Finished::Gone(state),
    })
}

/// Makes an admin without a link: for whoever has a shell on this machine.
pub async fn create_admin(app: &App, email: Email, name: Option<Name>, password: Password) -> Result<User> {
    let password_hash = app.passwords.hash(password).await?;
    let now = app.clock.now();
    let made = app.store.write(move |tx| {
        let name = name.map_or_else(|| Name::parse(email.local_part()), Ok).map_err(|problem| problem.of("name"))?;
        insert_admin(tx, &name, &email, &password_hash, None, now, |_| Caller::command_line())
    });
    made.await
}

/// Puts the tiers of a new database in place, and notices what the dashboard stored.
pub async fn seed(app: &App) -> Result<()> {
    super::settings::notice(app).await?;
    let (now, dialect) = (app.clock.now(), app.dialect());
    app.store
        .write(move |tx| {
            if store::tiers::list(tx)?.is_empty() && store::audit_events::is_empty(tx)? {
                for tier in default_tiers() {
                    store::tiers::set(tx, &tier, now)?;
                }
                let happening = Happening::new("keyrack.set_up", "keyrack", "", "Keyrack");
                store::audit_events::append(tx, &Caller::system(), now, None, &happening)?;
            }
            super::settings::bring_tiers(tx, &Caller::system(), dialect, now)
        })
        .await
}

fn insert_admin(
    tx: &store::Tx,
    name: &Name,
    email: &Email,
    password_hash: &str,
    time_zone: Option<&str>,
    now: Timestamp,
    by: impl FnOnce(UserId) -> Caller,
) -> Result<User> {
    let insert = store::users::Insert {
        account_id: super::accounts::default_account(tx, now)?.id,
        name,
        email,
        password_hash: Some(password_hash),
        role: Role::Admin,
        time_zone: time_zone.unwrap_or("UTC"),
    };
    let user = store::users::insert(tx, &insert, now)?;
    let happening = Happening::new("user.created", "user", user.id, &user.name)
        .with(json!({ "email": user.email, "role": "admin" }))
        .showing(&UserBody::from(&user));
    store::audit_events::append(tx, &by(user.id), now, Some(user.account_id), &happening)?;
    Ok(user)
}
