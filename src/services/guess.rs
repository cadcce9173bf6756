//! A try to prove who one is, counted before it is checked, so that many at once do not slip through together.

use std::net::IpAddr;

use crate::app::App;
use crate::limits::{BucketKey, Decision};
use crate::model::{AppError, Result};

pub(super) struct Guess {
    of_user: BucketKey,
    of_address: BucketKey,
}

impl Guess {
    /// `subject` is what is guessed at, such as the password of an email address.
    pub(super) fn take(app: &App, subject: &str, ip: IpAddr) -> Result<Self> {
        let of_address = BucketKey::of_address(ip);
        let of_user = BucketKey::of_user_at(subject, ip);
        let now = app.clock.tick();
        let decisions = [app.guesses.of_user.take(of_user, now), app.guesses.of_address.take(of_address, now)];
        match decisions.iter().filter_map(Decision::retry_after).max() {
            Some(retry_after) => Err(AppError::TooManyAttempts { retry_after }),
            None => Ok(Self { of_user, of_address }),
        }
    }

    /// It was right: only failures count.
    pub(super) fn refund(&self, app: &App) {
        let now = app.clock.tick();
        app.guesses.of_user.refund(self.of_user, now);
        app.guesses.of_address.refund(self.of_address, now);
    }
}
