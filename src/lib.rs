//! Keyrack.
pub mod config;
pub mod http;
pub mod limits;
pub mod model;
