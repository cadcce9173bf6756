//! The nouns of Keyrack: what things are, and what may be said of them. No I/O, no async, no HTTP, no SQL.

pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod caller;
pub mod clock;
pub mod dialect;
pub mod duration;
pub mod email;
pub mod error;
pub mod health;
pub mod histogram;
pub mod ids;
pub mod imported_key;
pub mod key_view;
pub mod look;
pub mod name;
pub mod network;
pub mod notice;
pub mod page;
pub mod request;
pub mod revision;
pub mod scope;
pub mod service;
pub mod session;
pub mod tier;
pub mod usage;
pub mod user;

pub use error::{AppError, FieldErrors, Result};
