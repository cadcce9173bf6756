//! Fuzzes `oracles::email`.
#![no_main]

keyrack_fuzz::target!(email);
