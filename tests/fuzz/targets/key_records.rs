//! Fuzzes `oracles::key_records`.
#![no_main]

keyrack_fuzz::target!(key_records);
