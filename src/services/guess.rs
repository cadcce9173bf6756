//! A try to prove who one is, counted before it is checked, so that many at once do not slip through together. Only
//! failures stay counted.
//!
//! A stranger's try counts for the person, too, wherever it comes from, and for all strangers together. A browser in which
//! the person signed in before has a count of its own instead, so that nobody locks a person out by guessing at them.

use std::net::IpAddr;

use crate::app::{App, Guesses};
use crate::limits::{BucketKey, Buckets};
use crate::model::{AppError, Result};

/// Who tries, beside the address that it comes from.
#[derive(Clone, Copy)]
pub(super) enum Guesser<'a> {
    Stranger,
    /// A browser in which the person signed in before, and what it is told from others by.
    Known(&'a [u8]),
}

pub(super) struct Guess(Vec<Count>);

type Count = (fn(&Guesses) -> &Buckets, BucketKey);

impl Guess {
    /// `subject` is what is guessed at, such as the password of an email address.
    pub(super) fn take(app: &App, subject: &str, ip: IpAddr, who: Guesser) -> Result<Self> {
        let of_address: Count = (|guesses| &guesses.of_address, BucketKey::of_address(ip));
        let counts: Vec<Count> = match who {
            Guesser::Known(device) => {
                vec![of_address, (|guesses| &guesses.of_user_at, BucketKey::of_parts(&[subject.as_bytes(), device]))]
            }
            Guesser::Stranger => vec![
                of_address,
                (|guesses| &guesses.of_user_at, BucketKey::of_user_at(subject, ip)),
                (|guesses| &guesses.of_user, BucketKey::of_parts(&[subject.as_bytes()])),
                (|guesses| &guesses.of_everyone, BucketKey::of_parts(&[])),
            ],
        };
        let now = app.clock.tick();
        let (mut taken, mut wait) = (Vec::with_capacity(counts.len()), None);
        for count in counts {
            match count.0(&app.guesses).take(count.1, now).retry_after() {
                None => taken.push(count),
                refused => wait = wait.max(refused),
            }
        }
        let guess = Self(taken);
        let Some(retry_after) = wait else { return Ok(guess) };
        // What is not tried is not counted: else one address alone could use up what all have together.
        guess.refund(app);
        Err(AppError::TooManyAttempts { retry_after })
    }

    /// What came of it; a fault of ours was no guess.
    pub(super) fn unless_ours<T>(&self, app: &App, done: Result<T>) -> Result<T> {
        if let Err(AppError::Busy { .. } | AppError::StorageFull | AppError::Internal(_)) = done {
            self.refund(app);
        }
        done
    }

    /// It was right.
    pub(super) fn refund(&self, app: &App) {
        let now = app.clock.tick();
        for (buckets, key) in &self.0 {
            buckets(&app.guesses).refund(*key, now);
        }
    }
}
