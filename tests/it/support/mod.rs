//! A server for each test, and clients in their roles.

pub mod binary;
mod client;
mod oauth;
mod raw;
mod reference;
mod routes;
pub mod secrets;
mod server;
pub mod tls;

use std::time::{Duration, Instant};

pub use client::{Client, Reply};
pub use oauth::{OauthApp, VERIFIER, challenge_of, consent_form, form, query_of};
pub use raw::Raw;
pub use routes::routes;
pub use server::{TestServer, windows_of};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3_600);
pub const DAY: Duration = Duration::from_secs(86_400);

/// Waits for something that happens by itself at once, such as a request's arrival.
#[track_caller]
pub fn until(what: &str, happened: impl Fn() -> bool) -> impl Future<Output = ()> {
    let (what, place) = (what.to_owned(), std::panic::Location::caller());
    async move {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < 20 * SECOND, "{place}: waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
