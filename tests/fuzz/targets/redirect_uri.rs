//! Fuzzes `oracles::redirect_uri`.
#![no_main]

keyrack_fuzz::target!(redirect_uri);
