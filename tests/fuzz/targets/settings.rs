//! Fuzzes `oracles::settings`.
#![no_main]

keyrack_fuzz::target!(settings);
