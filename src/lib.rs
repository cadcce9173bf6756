//! Keyrack.
pub mod model;
