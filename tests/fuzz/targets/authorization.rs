//! Fuzzes `oracles::authorization`.
#![no_main]

keyrack_fuzz::target!(authorization);
