//! Fuzzes `oracles::user_table`.
#![no_main]

keyrack_fuzz::target!(user_table);
