//! Keyrack: users, API keys and rate limits for an API, in one binary and one SQLite file.
//!
//! Read in this order. Each module may name those above it, never those below; `tests/it/tidy.rs` holds that.

pub mod model;

pub mod crypto;
pub mod limits;
pub mod store;
pub mod tls;

pub mod config;

pub mod app;

pub mod services;

pub mod http;

pub mod cli;
