//! The tests that meet the program as its users do: one real server for each test.

mod support;

mod access;
mod access_pages;
mod admission;
mod api_key_rotation;
mod api_keys;
mod api_users;
mod authority;
mod cli;
mod credentials;
mod dialects;
mod errors;
mod forward_auth;
mod fuzz;
mod gateways;
mod idempotency;
mod import;
mod key_pages;
mod limits;
mod master_key;
mod notices;
mod oauth;
mod protocol;
mod restart;
mod security;
mod services;
mod sessions;
mod setup;
mod stale_forms;
mod store;
mod store_plans;
mod tidy;
mod usage;
mod verify;
mod well_known;
