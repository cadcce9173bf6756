//! Keyrack.
pub mod limits;
pub mod model;
