//! Secrets and passwords: making them, hashing them, comparing them.

pub mod common;
pub mod password;
pub mod seal;
pub mod sealed_file;
pub mod secret;
pub mod totp;
pub mod webhook_secret;

pub use password::Passwords;
pub use seal::MasterKey;
pub use secret::{Prefix, Secret, SecretHash};
pub use webhook_secret::WebhookSecret;

/// Bytes that nobody can guess.
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}
