//! Signing in to the dashboard and out of it; the session behind a cookie.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use super::devices;
use super::guess::{Guess, Guesser};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::password::Verdict;
use crate::crypto::secret::random_token;
use crate::model::account::{Account, AccountStatus};
use crate::model::audit_event::Happening;
use crate::model::caller::{Actor, Caller, Reach};
use crate::model::clock::Timestamp;
use crate::model::email::Email;
use crate::model::ids::{SessionId, UserId};
use crate::model::scope::{Scope, ScopeSet};
use crate::model::session::{ABSOLUTE, ELEVATED, IDLE, Session};
use crate::model::user::{Password, Role, User, UserStatus};
use crate::model::{AppError, Result};
use crate::store;

/// The browser that a session is for.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub ip: IpAddr,
    pub user_agent: String,
    /// What it keeps of a sign-in before ([`devices`]); empty if nothing.
    pub note: String,
    pub request_id: Arc<str>,
}

impl NewSession {
    /// Who asks, once it is known which user that is: of use for the audit log alone.
    pub(super) fn caller(&self, id: UserId) -> Caller {
        Caller { actor: Actor::User(id), ip: Some(self.ip), request_id: Some(self.request_id.clone()), ..Caller::system() }
    }
}

/// What the cookie holds.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn new() -> Self {
        Self(random_token())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

/// How far a password led.
pub enum Entered {
    In(SignedIn),
    /// The second factor is awaited, from whoever has this.
    Half(Token),
}

pub struct SignedIn {
    pub session: Session,
    pub token: Token,
}

/// A password that was right waits this long for the second factor.
const HALF_LIFE: Duration = Duration::from_secs(10 * 60);
const HALF_TRIES: u32 = 5;

/// Why a sign-in failed, without telling which of address and password was wrong.
const REFUSED: &str = "The email address or the password is not right.";

/// Checks the password and begins a session, or awaits the second factor. Unknown addresses take as long as wrong passwords.
pub async fn sign_in(app: &App, email: &str, password: Password, device: NewSession) -> Result<Entered> {
    let email = Email::parse(email).map_err(|_| refused())?;
    let address = email.clone();
    let found = app.store.read(move |conn| store::users::find_to_sign_in(conn, &address)).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let known = devices::number(app, user.as_ref().map(|user| user.id), &device.note).await;
    let guess = Guess::take(app, email.canonical(), device.ip, guesser(&known))?;
    let verdict = guess.unless_ours(app, app.passwords.verify(password.clone(), hash.clone()).await)?;
    let user = user.filter(|user| verdict != Verdict::Wrong && user.status == UserStatus::Active);
    let Some(user) = user else {
        app.metrics.sign_ins_refused.add();
        tracing::info!(ip = %device.ip, "a sign-in was refused");
        return Err(refused());
    };
    let stronger = match (verdict, &hash) {
        (Verdict::RightButWeak, Some(old)) => Some((old.clone(), app.passwords.hash(password).await?)),
        _ => None,
    };
    let now = app.clock.now();
    let (draft, token) = begin(now, device);
    let token_hash = token.hash();
    let made = app.store.write(move |tx| {
        // Looked at again: while the hash was computed the user may have been disabled, or given another password, which
        // ends what began with the old one.
        let user = store::users::find(tx, user.id)?.ok_or_else(refused)?;
        if !may_be_signed_in(tx, &user)? || store::users::password_hash(tx, user.id)? != hash {
            return Err(refused());
        }
        if let Some((old, new)) = stronger {
            store::users::rehash(tx, user.id, &old, &new)?;
        }
        if user.has_second_factor {
            store::second_factors::begin(tx, token_hash, user.id, now.saturating_add(HALF_LIFE))?;
            return Ok(None);
        }
        insert(tx, &user, draft, token_hash).map(Some)
    });
    let made = guess.unless_ours(app, made.await)?;
    guess.refund(app);
    Ok(match made {
        Some(session) => Entered::In(SignedIn { session, token }),
        None => Entered::Half(token),
    })
}

/// Whether a second factor is awaited from whoever has this.
pub async fn is_half_signed_in(app: &App, half: &str) -> Result<bool> {
    let (token, now) = (SecretHash::of(half), app.clock.now());
    Ok(app.store.read(move |conn| store::second_factors::waiting(conn, token, now, HALF_TRIES)).await?.is_some())
}

/// The second step: a code of the app, or a recovery code. Five tries, then it begins with the password again.
pub async fn finish_sign_in(app: &App, half: &str, code: &str, device: NewSession) -> Result<SignedIn> {
    let (half, now) = (SecretHash::of(half), app.clock.now());
    let waiting = app.store.write(move |tx| store::second_factors::try_once(tx, half, now, HALF_TRIES)).await?;
    let id = waiting.ok_or(AppError::NotFound("sign-in"))?;
    let user = app.store.read(move |conn| store::users::find(conn, id)).await?.ok_or(AppError::NotFound("sign-in"))?;
    let known = devices::number(app, Some(id), &device.note).await;
    super::second_factor::prove(app, &user, code, (&device, guesser(&known))).await?;
    let (draft, token) = begin(now, device);
    let token_hash = token.hash();
    let made = app.store.write(move |tx| {
        let user = store::users::find(tx, id)?.ok_or_else(refused)?;
        if !may_be_signed_in(tx, &user)? {
            return Err(refused());
        }
        // A new password has ended it meanwhile.
        if !store::second_factors::finish(tx, half)? {
            return Err(AppError::NotFound("sign-in"));
        }
        insert(tx, &user, draft, token_hash)
    });
    Ok(SignedIn { session: made.await?, token })
}

fn guesser(known: &Option<devices::Number>) -> Guesser<'_> {
    known.as_ref().map_or(Guesser::Stranger, |number| Guesser::Known(number))
}

fn insert(tx: &store::Tx, user: &User, draft: Draft, token: SecretHash) -> Result<Session> {
    let (now, caller, session) = (draft.now, draft.device.caller(user.id), draft.of(user.id));
    store::sessions::insert(tx, token, &session)?;
    let diff = json!({ "session": session.id, "second_factor": user.has_second_factor });
    let happening = Happening::new("session.created", "user", user.id, &user.name).with(diff);
    store::audit_events::append(tx, &caller, now, Some(user.account_id), &happening)?;
    Ok(session)
}

/// The session of a cookie and its user, if both are good. Notes that it is in use, once a minute at most.
pub async fn resolve(app: &App, token: &str) -> Result<Option<(User, Session)>> {
    let hash = SecretHash::of(token);
    let found = app.store.read(move |conn| {
        let Some(session) = store::sessions::find(conn, hash)? else { return Ok(None) };
        let Some(user) = store::users::find(conn, session.user_id)? else { return Ok(None) };
        Ok(may_be_signed_in(conn, &user)?.then_some((user, session)))
    });
    let now = app.clock.now();
    let Some((user, session)) = found.await?.filter(|(_, session)| !session.is_over(now)) else { return Ok(None) };
    if now.since(session.last_seen_at) >= Duration::from_secs(60) {
        app.store.write(move |tx| store::sessions::touch(tx, hash, now)).await?;
    }
    Ok(Some((user, session)))
}

/// An administrator of a suspended account can still sign in: somebody must be able to resume it.
pub(super) fn may_be_signed_in(conn: &store::Conn, user: &User) -> Result<bool> {
    let is_running = |account: Account| account.status == AccountStatus::Active;
    let account_runs = || Ok::<_, AppError>(store::accounts::find(conn, user.account_id)?.is_some_and(is_running));
    Ok(user.status == UserStatus::Active && (user.role == Role::Admin || account_runs()?))
}

pub async fn sign_out(app: &App, token: &str) -> Result<()> {
    let hash = SecretHash::of(token);
    app.store.write(move |tx| store::sessions::delete(tx, hash)).await
}

/// One's own sessions, the last used first.
pub async fn list(app: &App, user: UserId) -> Result<Vec<Session>> {
    let now = app.clock.now();
    app.store.read(move |conn| store::sessions::list_of(conn, user, now, idle_since(now))).await
}

/// Signs one device of the user out.
pub async fn end(app: &App, caller: &Caller, user: &User, id: SessionId) -> Result<()> {
    let ended = move |tx: &store::Tx, user: UserId| match store::sessions::delete_of(tx, user, id)? {
        true => Ok(json!({ "session": id })),
        false => Err(AppError::NotFound("session")),
    };
    end_some(app, caller, user, ended).await
}

/// Signs the user out everywhere but here, where the cookie of a session is given.
pub async fn end_others(app: &App, caller: &Caller, user: &User, cookie: Option<&str>) -> Result<()> {
    let here = cookie.map(SecretHash::of);
    let ended = move |tx: &store::Tx, user| Ok(json!({ "sessions": store::sessions::delete_all_of(tx, user, here)? }));
    end_some(app, caller, user, ended).await
}

async fn end_some(
    app: &App,
    caller: &Caller,
    user: &User,
    end: impl FnOnce(&store::Tx, UserId) -> Result<serde_json::Value> + Send + 'static,
) -> Result<()> {
    let (id, name, account, by, now) = (user.id, user.name.clone(), user.account_id, caller.clone(), app.clock.now());
    app.change(
        caller,
        move |tx| {
            let happening = Happening::new("session.ended", "user", id, name).with(end(tx, id)?);
            store::audit_events::append(tx, &by, now, Some(account), &happening)
        },
        |()| Concerns::Nobody,
    )
    .await
}

/// Ends whatever somebody may hold who signed in as this user: called where a password, a role or a second factor
/// changes, and where a user is disabled. One session may be kept.
pub(super) fn end_all(tx: &store::Tx, user: UserId, but: Option<SecretHash>) -> Result<()> {
    store::sessions::delete_all_of(tx, user, but)?;
    store::second_factors::end_all_of(tx, user)
}

/// Who calls, by a session.
pub fn caller(user: &User, ip: IpAddr, request_id: Arc<str>) -> Caller {
    let (reach, scopes) = match user.role {
        Role::Admin => (Reach::Everything, ScopeSet::of(&[Scope::Admin])),
        Role::Member => (Reach::User(user.account_id, user.id), ScopeSet::for_members()),
    };
    Caller { actor: Actor::User(user.id), user_id: Some(user.id), reach, scopes, ip: Some(ip), request_id: Some(request_id) }
}

/// A session that has no user yet, and its token.
pub(super) fn begin(now: Timestamp, device: NewSession) -> (Draft, Token) {
    (Draft { now, device }, Token::new())
}

pub(super) struct Draft {
    now: Timestamp,
    device: NewSession,
}

impl Draft {
    pub(super) fn of(self, user_id: UserId) -> Session {
        Session {
            id: SessionId::new(),
            user_id,
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: self.now.saturating_add(ABSOLUTE),
            elevated_until: self.now.saturating_add(ELEVATED),
            ip: Some(self.device.ip),
            user_agent: self.device.user_agent.chars().take(200).collect(),
        }
    }
}

fn refused() -> AppError {
    AppError::invalid("email", "refused", REFUSED)
}

/// When an idle session was last used that is over at `now`.
pub(super) fn idle_since(now: Timestamp) -> Timestamp {
    now.saturating_sub(IDLE)
}
