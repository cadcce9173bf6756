//! Reads what surrounds the program, and hands it to the command line.

use std::process::ExitCode;

use keyrack::cli::{self, Surroundings};

fn main() -> ExitCode {
    let environment =
        std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    cli::main(Surroundings { args: std::env::args_os().collect(), environment: environment.collect() })
}
