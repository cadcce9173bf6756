//! A form that shows a secret is answered once. It has a nonce, which is kept with what the form made, so that sending it
//! again makes nothing and tells what there is.

use std::time::Duration;

use crate::crypto::SecretHash;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::store::{self, Tx};

/// How long a form remembers what it made.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a form did.
pub enum Formed<T, S, Id> {
    Made(Box<T>, S),
    /// It was sent before, and this is what it made or changed then.
    Before(Option<Id>),
}

impl<T, S, Id> Formed<T, S, Id> {
    pub(super) fn of(done: Result<T, String>, secret: S, id: impl FnOnce(&str) -> Option<Id>) -> Self {
        match done {
            Ok(made) => Self::Made(Box::new(made), secret),
            Err(before) => Self::Before(id(&before)),
        }
    }
}

/// Does what a form asks for, in the transaction that remembers it; else tells the id of what it made before.
pub(super) fn once<T, Id: ToString>(
    tx: &Tx,
    nonce: SecretHash,
    now: Timestamp,
    make: impl FnOnce() -> Result<T>,
    id: impl FnOnce(&T) -> Id,
) -> Result<Result<T, String>> {
    if let Some(before) = store::setup::made_by_form(tx, nonce)? {
        return Ok(Err(before));
    }
    let made = make()?;
    store::setup::remember_form(tx, nonce, &id(&made).to_string(), now.saturating_add(LIFE))?;
    Ok(Ok(made))
}
