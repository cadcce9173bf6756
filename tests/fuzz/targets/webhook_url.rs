//! Fuzzes `oracles::webhook_url`.
#![no_main]

keyrack_fuzz::target!(webhook_url);
