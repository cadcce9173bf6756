//! The `Idempotency-Key`: a request that is sent again gets the answer of the first time, and no second effect.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::model::caller::{Actor, Caller};
use crate::model::clock::Timestamp;
use crate::model::{AppError, Result};
use crate::store::idempotency_keys::{self, Answer, Request};
use crate::store::{self, Tx};

/// What becomes of a request with a key.
pub enum Begin {
    /// It was answered before.
    Replay(Replay),
    /// It is new; the answer is to be kept with its effect.
    New(Ticket),
}

/// The answer of the first time.
#[derive(Clone, Debug)]
pub struct Replay {
    pub status: u16,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub body: String,
}

/// Holds the request's place while it is worked on.
pub struct Ticket {
    app: Arc<App>,
    request: Request,
    request_hash: [u8; 32],
}

/// Keeps the answer to a request, in the transaction of its effect. Without a key it does nothing.
pub struct Keep<T>(Option<Kept<T>>);

struct Kept<T> {
    request: Request,
    request_hash: [u8; 32],
    answer: Box<dyn FnOnce(&T) -> Replay + Send>,
}

/// Looks whether this request was sent before, by this caller, on this route, under this key.
pub async fn begin(app: &Arc<App>, caller: &Caller, route: &str, key: &str, body: &[u8]) -> Result<Begin> {
    let owner = match (caller.user_id, caller.actor) {
        (Some(user), _) => user.to_string(),
        (None, Actor::Key(key)) => key.to_string(),
        (None, Actor::Token(grant, _)) => grant.to_string(),
        (None, _) => String::new(),
    };
    let request = Request { owner, route: route.into(), key: key.into() };
    let request_hash: [u8; 32] = Sha256::digest(body).into();
    // The place is taken before the look, so that of two that come together one sees the other.
    if !app.in_progress.lock().insert(request.clone()) {
        return Err(AppError::RequestInProgress);
    }
    let ticket = Ticket { app: app.clone(), request: request.clone(), request_hash };
    let now = app.clock.now();
    match app.store.read(move |conn| idempotency_keys::find(conn, &request, now)).await? {
        None => Ok(Begin::New(ticket)),
        Some(answer) if answer.request_hash != request_hash => Err(AppError::IdempotencyKeyReused),
        Some(Answer { status, location, etag, body, .. }) => Ok(Begin::Replay(Replay { status, location, etag, body })),
    }
}

impl Ticket {
    /// How the answer will read that is kept with the effect.
    pub fn keep<T>(&self, answer: impl FnOnce(&T) -> Replay + Send + 'static) -> Keep<T> {
        let (request, request_hash) = (self.request.clone(), self.request_hash);
        Keep(Some(Kept { request, request_hash, answer: Box::new(answer) }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.app.in_progress.lock().remove(&self.request);
    }
}

impl<T: Send + 'static> Keep<T> {
    /// Keeps the answer to what changed nothing in the database, such as a check that was counted.
    pub async fn store_alone(self, app: &App, made: T) -> Result<T> {
        if self.0.is_none() {
            return Ok(made);
        }
        let now = app.clock.now();
        app.store.write(move |tx| self.store(tx, &made, now).map(|()| made)).await
    }
}

impl<T> Keep<T> {
    pub const fn nothing() -> Self {
        Self(None)
    }

    pub(super) fn store(self, tx: &Tx, made: &T, now: Timestamp) -> Result<()> {
        let Some(Kept { request, request_hash, answer }) = self.0 else { return Ok(()) };
        let Replay { status, location, etag, body } = answer(made);
        let answer = Answer { request_hash, status, location, etag, body };
        let fresh = store::idempotency_keys::insert(tx, &request, &answer, now, now.saturating_add(App::IDEMPOTENCY))?;
        // Another process answered it between our look and this transaction.
        if fresh { Ok(()) } else { Err(AppError::RequestInProgress) }
    }
}
