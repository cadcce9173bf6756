//! The nouns of Keyrack: what things are, and what may be said of them. No I/O, no async, no HTTP, no SQL.

pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod body;
pub mod caller;
pub mod check;
pub mod clock;
pub mod dialect;
pub mod duration;
pub mod email;
pub mod error;
pub mod health;
pub mod histogram;
pub mod ids;
pub mod imported_key;
pub mod imported_user;
pub mod json_records;
pub mod key_view;
pub mod look;
pub mod name;
pub mod network;
pub mod notice;
pub mod page;
pub mod password_link;
pub mod request;
pub mod revision;
pub mod scope;
pub mod service;
pub mod session;
pub mod sheet;
pub mod target;
pub mod tier;
pub mod usage;
pub mod user;
pub mod webhook;

pub use error::{AppError, FieldErrors, Result};
