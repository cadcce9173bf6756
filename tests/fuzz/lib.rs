//! Each fuzz target is one oracle of the tests.

#[path = "../it/oracles.rs"]
pub mod oracles;

/// The target of one parser.
#[macro_export]
macro_rules! target {
    ($oracle:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| keyrack_fuzz::oracles::$oracle(data));
    };
}
