//! Keyrack.
pub mod http;
pub mod limits;
pub mod model;
