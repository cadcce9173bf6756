//! Fuzzes `oracles::durations`.
#![no_main]

keyrack_fuzz::target!(durations);
