//! Fuzzes `oracles::secret`.
#![no_main]

keyrack_fuzz::target!(secret);
