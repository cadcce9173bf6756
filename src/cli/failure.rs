//! How commands fail: words for the one who typed it, and the exit code for the script that did.

use std::fmt;
use std::process::ExitCode;

use crate::model::AppError;
use crate::model::error::in_full;

pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const NEEDS_YES: u8 = 4;

/// A failure whose words are complete: the fact, then on the next line what to do.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    words: String,
}

impl Failure {
    pub fn failed(words: impl Into<String>) -> anyhow::Error {
        Self { code: FAILED, words: words.into() }.into()
    }

    pub fn usage(words: impl Into<String>) -> anyhow::Error {
        Self { code: USAGE, words: words.into() }.into()
    }

    pub fn not_found(words: impl Into<String>) -> anyhow::Error {
        Self { code: NOT_FOUND, words: words.into() }.into()
    }

    pub fn needs_yes(words: impl Into<String>) -> anyhow::Error {
        Self { code: NEEDS_YES, words: words.into() }.into()
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Prints the failure and gives its exit code.
pub fn report(err: &anyhow::Error) -> ExitCode {
    if let Some(io) = err.downcast_ref::<std::io::Error>() {
        // Whoever read our output has had enough of it.
        if io.kind() == std::io::ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
    }
    if let Some(failure) = err.downcast_ref::<Failure>() {
        say(&failure.words);
        return ExitCode::from(failure.code);
    }
    match err.downcast_ref::<AppError>() {
        Some(AppError::Invalid(errors)) => {
            for error in errors.as_slice() {
                say(&format!("{}: {}", error.field, error.message));
            }
            ExitCode::from(FAILED)
        }
        Some(AppError::Internal(source)) => {
            // There is no log beside a command: this is where its reader looks.
            say(&in_full(source.as_ref()));
            ExitCode::from(FAILED)
        }
        Some(found @ AppError::NotFound(_)) => {
            say(&found.to_string());
            ExitCode::from(NOT_FOUND)
        }
        _ => {
            say(&format!("{err:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn say(words: &str) {
    use std::io::Write;
    // Nobody is left to be told when this fails.
    let _ = writeln!(std::io::stderr(), "{words}");
}
