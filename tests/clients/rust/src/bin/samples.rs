//! The Rust samples of the documentation; `documentation.py` writes them down, a module each.

include!(concat!(env!("SAMPLES"), "/all.rs"));
