//! Fuzzes `oracles::challenge`.
#![no_main]

keyrack_fuzz::target!(challenge);
