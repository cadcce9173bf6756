//! Asking the person at the terminal. Nothing that is asked is required: flags answer everything.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output::Output;

/// Longer than any password, and short enough to hold.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Goes on when `--yes` was given or the person agrees.
pub fn confirm(out: &Output, question: &str) -> Result<()> {
    if out.yes {
        return Ok(());
    }
    if !out.interactive {
        return Err(Failure::needs_yes(format!("{question}\nNothing was changed. To go ahead, repeat it with --yes.")));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("Nothing was changed.")),
    }
}

/// A new password: from the file (`-`: standard input), or typed twice.
pub fn new_password(out: &Output, file: Option<&PathBuf>) -> Result<Zeroizing<String>> {
    if let Some(file) = file {
        return secret_from(file);
    }
    if !out.interactive {
        return Err(Failure::usage(
            "There is no terminal to ask for the password.\nGive it with --password-file FILE (- for standard input).",
        ));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Again: ")?);
    if *first != *second {
        return Err(Failure::failed("The two passwords differ. Nothing was changed."));
    }
    Ok(first)
}

/// The first line of a file, or of standard input for `-`.
pub fn secret_from(file: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") && std::io::stdin().is_terminal() {
        // What is typed here must not be echoed.
        return Ok(Zeroizing::new(rpassword::prompt_password("Secret: ")?));
    }
    if file == Path::new("-") {
        std::io::stdin().take(MAX_SECRET_BYTES).read_to_string(&mut text).context("standard input")?;
    } else {
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        opened.take(MAX_SECRET_BYTES).read_to_string(&mut text).with_context(|| file.display().to_string())?;
    }
    // An editor or `echo` ends the line; what else stands there belongs to the secret.
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') {
        return Err(Failure::failed(format!("{}: more than one line, so this is probably the wrong file.", file.display())));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
