//! Secrets and passwords: making them, hashing them, comparing them.

pub mod common;
pub mod password;
pub mod seal;
pub mod sealed_file;
pub mod secret;

pub use password::Passwords;
pub use secret::{Prefix, Secret, SecretHash};
