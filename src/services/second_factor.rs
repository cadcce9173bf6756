//! The second factor: set up, proven, replaced and removed. A seed is sealed for its user alone; recovery codes are kept
//! as hashes, and each is good once.

use serde_json::json;
use zeroize::Zeroizing;

use super::guess::{Guess, Guesser};
use super::sessions::{self, NewSession, Token};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::crypto::secret::{normalize_recovery_code, recovery_code};
use crate::crypto::totp::Seed;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::scope::Scope;
use crate::model::user::{Role, User};
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

const RECOVERY_CODES: usize = 10;

/// What is shown once.
pub struct RecoveryCodes(Vec<Zeroizing<String>>);

impl RecoveryCodes {
    fn generate() -> Self {
        Self((0..RECOVERY_CODES).map(|_| recovery_code()).collect())
    }

    fn hashes(&self) -> Vec<SecretHash> {
        self.0.iter().map(|code| SecretHash::of(code)).collect()
    }

    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }
}

/// Whether an admin without one is led to set one up.
pub fn is_required_of(app: &App, user: &User) -> bool {
    user.role == Role::Admin && app.live.requires_second_factor()
}

pub async fn codes_left(app: &App, user: &User) -> Result<u64> {
    let id = user.id;
    app.store.read(move |conn| store::second_factors::codes_left(conn, id)).await
}

/// Takes a seed into use, in place of one before, once a code of it shows that it arrived. Every other session ends.
pub async fn set_up(
    app: &App,
    caller: &Caller,
    user: &User,
    cookie: &str,
    (seed, code): (Seed, &str),
) -> Result<(Token, RecoveryCodes)> {
    let now = app.clock.now();
    let step = seed.step_of(&plain(code), now.seconds()).ok_or_else(wrong)?;
    let sealed = app.master_key().await?.seal(&place(user), seed.as_bytes());
    let codes = RecoveryCodes::generate();
    let (hashes, by, user) = (codes.hashes(), caller.clone(), user.clone());
    let token = Token::new();
    let (old, renewed) = (SecretHash::of(cookie), token.hash());
    let set = move |tx: &Tx| {
        store::second_factors::set(tx, user.id, &sealed, step)?;
        store::second_factors::replace_codes(tx, user.id, &hashes)?;
        renew(tx, &user, old, renewed)?;
        let action = if user.has_second_factor { "second_factor.replaced" } else { "second_factor.added" };
        note(tx, &by, &user, action, now)
    };
    app.change(caller, set, |()| Concerns::Nobody).await?;
    Ok((token, codes))
}

/// Other recovery codes; those before are good no longer.
pub async fn renew_codes(app: &App, caller: &Caller, user: &User) -> Result<RecoveryCodes> {
    let codes = RecoveryCodes::generate();
    let (hashes, by, user, now) = (codes.hashes(), caller.clone(), user.clone(), app.clock.now());
    let renewed = move |tx: &Tx| {
        if store::second_factors::seed(tx, user.id)?.is_none() {
            return Err(AppError::NotFound("second factor"));
        }
        store::second_factors::replace_codes(tx, user.id, &hashes)?;
        note(tx, &by, &user, "recovery_codes.renewed", now)
    };
    app.change(caller, renewed, |()| Concerns::Nobody).await?;
    Ok(codes)
}

/// Takes one's own away, unless it has to be there. Every other session ends.
pub async fn remove(app: &App, caller: &Caller, user: &User, cookie: &str) -> Result<Token> {
    if is_required_of(app, user) {
        let words = "Administrators need a second factor here, so the last one stays. Set it up on another device instead, or \
                     switch the rule off first.";
        return Err(AppError::invalid("", "required", words));
    }
    let token = Token::new();
    let (by, user, now) = (caller.clone(), user.clone(), app.clock.now());
    let (old, renewed) = (SecretHash::of(cookie), token.hash());
    let removed = move |tx: &Tx| {
        store::second_factors::clear(tx, user.id)?;
        renew(tx, &user, old, renewed)?;
        note(tx, &by, &user, "second_factor.removed", now)
    };
    app.change(caller, removed, |()| Concerns::Nobody).await?;
    Ok(token)
}

/// Takes somebody's away who lost it: they are signed out everywhere, and sign in with the password alone.
pub async fn disable(app: &App, caller: &Caller, user: &User) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, user, now) = (caller.clone(), user.clone(), app.clock.now());
    let removed = move |tx: &Tx| {
        store::second_factors::clear(tx, user.id)?;
        sessions::end_all(tx, user.id, None)?;
        note(tx, &by, &user, "second_factor.removed", now)
    };
    app.change(caller, removed, |()| Concerns::Nobody).await
}

/// Whether this is a code of the user's app, or one of their recovery codes; it is good no longer then. Failures are
/// counted as those of passwords are.
pub(super) async fn prove(app: &App, user: &User, typed: &str, (device, who): (&NewSession, Guesser<'_>)) -> Result<()> {
    let guess = Guess::take(app, &format!("second factor of {}", user.id), device.ip, who)?;
    let (typed, now) = (plain(typed), app.clock.now());
    let is_code = typed.len() == 6 && typed.bytes().all(|b| b.is_ascii_digit());
    let good = if is_code {
        match step_of(app, user, &typed).await? {
            Some(step) => {
                let id = user.id;
                app.store.write(move |tx| store::second_factors::use_step(tx, id, step)).await?
            }
            None => false,
        }
    } else {
        match normalize_recovery_code(&typed) {
            Some(code) => {
                let (hash, user, caller) = (SecretHash::of(&code), user.clone(), device.caller(user.id));
                let used = move |tx: &Tx| {
                    let used = store::second_factors::use_code(tx, user.id, hash, now)?;
                    if used {
                        let left = store::second_factors::codes_left(tx, user.id)?;
                        let happening = Happening::new("recovery_code.used", "user", user.id, &user.name);
                        let happening = happening.with(json!({ "codes_left": left }));
                        store::audit_events::append(tx, &caller, now, Some(user.account_id), &happening)?;
                    }
                    Ok(used)
                };
                app.store.write(used).await?
            }
            None => false,
        }
    };
    if !good {
        return Err(wrong());
    }
    guess.refund(app);
    Ok(())
}

async fn step_of(app: &App, user: &User, code: &str) -> Result<Option<i64>> {
    let id = user.id;
    let Some(sealed) = app.store.read(move |conn| store::second_factors::seed(conn, id)).await? else { return Ok(None) };
    let clear = app.master_key().await?.open(&place(user), &sealed).map_err(AppError::internal)?;
    let seed = Seed::from_bytes(&clear).ok_or_else(|| AppError::internal("a seed has another length"))?;
    Ok(seed.step_of(code, app.clock.now().seconds()))
}

fn place(user: &User) -> String {
    format!("users.totp_seed:{}", user.id)
}

fn renew(tx: &Tx, user: &User, old: SecretHash, new: SecretHash) -> Result<()> {
    if !store::sessions::renew(tx, old, new)? {
        return Err(AppError::NotFound("session"));
    }
    sessions::end_all(tx, user.id, Some(new))
}

fn note(tx: &Tx, caller: &Caller, user: &User, action: &'static str, now: Timestamp) -> Result<()> {
    let happening = Happening::new(action, "user", user.id, &user.name);
    store::audit_events::append(tx, caller, now, Some(user.account_id), &happening)
}

/// As typed, without the blanks that apps show and people copy.
fn plain(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace()).collect()
}

fn wrong() -> AppError {
    AppError::invalid("code", "different", "This code is not right, or was used before. Enter the one that the app shows now.")
}
