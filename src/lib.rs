//! Keyrack.

pub mod config;
pub mod crypto;
pub mod http;
pub mod limits;
pub mod model;
pub mod store;
