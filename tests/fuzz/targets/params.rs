//! Fuzzes `oracles::params`.
#![no_main]

keyrack_fuzz::target!(params);
