//! Fuzzes `oracles::forwarded`.
#![no_main]

keyrack_fuzz::target!(forwarded);
