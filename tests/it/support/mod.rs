//! A server for each test, and clients in their roles.

mod client;
mod server;

pub use client::Client;
pub use server::TestServer;
