//! Checking a key on behalf of another service: every reason to refuse it, in the order of the API's own requests, and
//! one decision over the windows of the key's account. Who calls this API itself is checked in `credentials`.

use std::net::IpAddr;
use std::sync::Arc;

use super::authorize::{seen_key, sees};
use super::credentials;
use crate::app::App;
use crate::app::callers::{Credential, Found, State};
use crate::limits::{Decision, WindowState};
use crate::model::caller::Caller;
use crate::model::clock::{Tick, Timestamp};
use crate::model::ids::ApiKeyId;
use crate::model::scope::ScopesAsked;
use crate::model::service::ServiceName;
use crate::model::usage::Outcome;
use crate::model::user::User;
use crate::model::{AppError, Result};
use crate::store;

/// What a service asks about a secret that someone presented to it.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What the key must be allowed.
    pub scopes: ScopesAsked,
    /// From where it was presented. A key with an allow-list is good from nowhere else, so not from nowhere known.
    pub ip: Option<IpAddr>,
    /// How many requests it counts for.
    pub cost: u64,
    /// Says what would happen, and charges nothing.
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Valid,
    NotFound,
    Expired,
    Disabled,
    Revoked,
    InsufficientScope,
    IpNotAllowed,
    RateLimited,
}

impl Code {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotFound => "not_found",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::RateLimited => "rate_limited",
        }
    }

    const fn outcome(self) -> Outcome {
        match self {
            Self::Valid => Outcome::Success,
            Self::RateLimited => Outcome::RateLimited,
            _ => Outcome::ClientError,
        }
    }
}

pub struct Verdict {
    pub code: Code,
    /// None: there is no such key, as far as the one who asks may know.
    pub credential: Option<Arc<Credential>>,
    /// The windows as the request left them; none where they were not looked at.
    pub left: Option<Decision>,
    /// When this was decided.
    pub at: Timestamp,
}

/// Whether a request with this secret is to be let in. It counts for the account of the secret's key, and under the
/// label of the service that asks.
pub fn verify(app: &App, caller: &Caller, service: &ServiceName, secret: &str, question: Question) -> Result<Verdict> {
    let is_seen = |user: &User| sees(caller, user.account_id, user.id);
    let (now, tick) = app.clock.both();
    let found = credentials::find(app, secret, tick)?.filter(|found| found.key().is_some() && is_seen(&found.user));
    let Some(credential) = found else { return Ok(Verdict { code: Code::NotFound, credential: None, left: None, at: now }) };
    let (code, left) = judge(&credential, question, (now, tick));
    if !question.dry_run && matches!(code, Code::Valid | Code::RateLimited) {
        app.callers.note_use(&credential, now, question.ip, "");
    }
    if let (Code::RateLimited, Some(left), false) = (code, &left, question.dry_run) {
        app.exceeded.note(credential.user.account_id, credential.key().map(|key| key.id), left, now);
    }
    if !question.dry_run && code != Code::NotFound {
        let key = credential.key().map(|key| key.id);
        app.usage.count_check((credential.user.account_id, key), service, code.outcome(), now);
    }
    // The older secret of a rotation is forgotten some time after its end: it is told as forgotten from its end on.
    let credential = Some(credential).filter(|_| code != Code::NotFound);
    Ok(Verdict { code, credential, left, at: now })
}

/// Only what passes everything else is counted.
fn judge(found: &Found, question: Question, (now, tick): (Timestamp, Tick)) -> (Code, Option<Decision>) {
    let refused = match found.state(now) {
        State::Good => None,
        State::Revoked => Some(Code::Revoked),
        State::Disabled | State::OwnerDisabled | State::AccountSuspended => Some(Code::Disabled),
        State::Expired | State::TokenExpired => Some(Code::Expired),
        State::Replaced => Some(Code::NotFound),
    };
    if let Some(code) = refused {
        return (code, None);
    }
    let is_free = found.key().is_none_or(|key| key.ip_allow.is_empty());
    let is_allowed = is_free || question.ip.is_some_and(|ip| found.allows_from(ip));
    let refused = if !is_allowed {
        Some(Code::IpNotAllowed)
    } else if !credentials::lacks(found, question.scopes).is_empty() {
        Some(Code::InsufficientScope)
    } else {
        None
    };
    if let Some(code) = refused {
        return (code, Some(found.peek(0, tick)));
    }
    let left = if question.dry_run { found.peek(question.cost, tick) } else { found.take(question.cost, tick) };
    (if left.admitted() { Code::Valid } else { Code::RateLimited }, Some(left))
}

/// What a request with a key would meet now.
pub enum Outlook {
    /// Nothing limits it.
    Free,
    /// It passes, and the tightest window, where one has anything to tell, is this.
    Passes(Option<WindowState>),
    UsedUp(WindowState),
    Refused(State),
}

/// Counts nothing.
pub async fn outlook(app: &App, caller: &Caller, id: ApiKeyId) -> Result<Outlook> {
    let look = move |conn: &store::Conn| Ok((store::api_keys::find(conn, id)?, store::api_keys::find_presented_of(conn, id)?));
    let (key, presented) = app.store.read(look).await?;
    let key = seen_key(caller, key)?;
    let found = credentials::with_counters(app, presented.ok_or(AppError::NotFound("key"))?);
    let (now, tick) = app.clock.both();
    // From an address that it allows.
    let ip = key.ip_allow.an_address();
    let question = Question { scopes: ScopesAsked::default(), ip, cost: 1, dry_run: true };
    let (_, left) = judge(&found, question, (now, tick));
    let state = found.state(now);
    if state != State::Good {
        return Ok(Outlook::Refused(state));
    }
    let Some(left) = left.filter(|left| !left.windows().is_empty()) else { return Ok(Outlook::Free) };
    if let Some(window) = left.refused_by() {
        return Ok(Outlook::UsedUp(*window));
    }
    // The tightest is what stops it first; of a second's window there is nothing to tell.
    let told = left.windows().iter().filter(|window| window.seconds > 1).min_by_key(|window| window.remaining);
    Ok(Outlook::Passes(told.or_else(|| left.tightest()).copied()))
}
