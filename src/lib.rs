//! Keyrack.

pub mod crypto;
pub mod limits;
pub mod model;
pub mod store;
