//! The listener and the surfaces that it serves.

pub mod client_addr;
