//! Fuzzes `oracles::ip_allow`.
#![no_main]

keyrack_fuzz::target!(ip_allow);
