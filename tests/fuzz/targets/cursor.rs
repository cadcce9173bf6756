//! Fuzzes `oracles::cursor`.
#![no_main]

keyrack_fuzz::target!(cursor);
