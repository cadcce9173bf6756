//! `keyrack user import` and `export`: users from a file and to one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::data::Opened;
use super::failure::Failure;
use super::output::Output;
use super::progress::Bar;
use crate::model::caller::Caller;
use crate::model::imported_user::{Field, MAX_BYTES, Table};
use crate::model::tier::counted;
use crate::services::export::{self, Format, Which};
use crate::services::import_users::{self, Known, Options};
use crate::services::users::Filter;

#[derive(Args)]
pub struct ImportArgs {
    /// CSV with a head, or NDJSON (- for standard input); columns: email, name, role, status, account
    file: PathBuf,
    /// Look what would come of it, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What happens to rows whose address somebody has already
    #[arg(long, value_enum, default_value_t)]
    known: KnownArg,
    /// The account of rows that name none (id or name) [default: Default]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Make accounts that are named and missing
    #[arg(long)]
    make_accounts: bool,
    /// Leave rows with mistakes out, instead of importing nothing
    #[arg(long)]
    leave_out: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum KnownArg {
    #[default]
    Skip,
    Update,
}

#[derive(Args)]
pub struct ExportArgs {
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only those of this account (id or name)
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only those whose name or email begins like this
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    #[default]
    Csv,
    Ndjson,
}

pub fn import(open: &Opened, args: &ImportArgs, out: &Output) -> Result<()> {
    let name = args.file.display().to_string();
    let table = Table::read(&text_of(&args.file)?).map_err(|problem| Failure::failed(format!("{name}: {}", problem.message)))?;
    let columns = table.guess();
    if !columns.contains(&Some(Field::Email)) {
        return Err(Failure::failed(format!(
            "{name}: no column is the email address; the head names: {}.\nCall it one of: {}. (Rows are not at fault, so --leave-out does not help.)",
            table.head.join(", "),
            Field::Email.heads().join(", ")
        )));
    }
    let passed_over: Vec<&str> =
        table.head.iter().zip(&columns).filter(|(_, field)| field.is_none()).map(|(head, _)| &**head).collect();
    if !passed_over.is_empty() {
        out.talk(format!("Passed over, since users have no such thing: {}.", passed_over.join(", ")));
    }
    let records = table.records(&columns);
    let account = args.account.as_deref().map(|account| super::account::find(open, account)).transpose()?;
    let options = Options {
        known: if matches!(args.known, KnownArg::Update) { Known::Update } else { Known::Skip },
        account: account.map(|account| account.id),
        makes_accounts: args.make_accounts,
        leaves_out: args.leave_out,
    };
    let caller = Caller::command_line();
    let imported = if args.dry_run {
        open.run(import_users::check(&open.app, &caller, records, options.clone()))?
    } else {
        let bar = Bar::of_rows(out, "Importing");
        let imported = open.run(import_users::import(&open.app, &caller, records, options.clone(), bar.follow()));
        bar.done();
        imported?
    };
    for error in &imported.errors {
        out.talk(format!("{name}:{}: {}", error.line, error.message));
    }
    let held_back = imported.is_held_back(&options);
    out.result(&imported, || {
        let did = match (held_back, args.dry_run) {
            (true, _) => return "Nothing was imported.".into(),
            (false, true) => "Would have",
            (false, false) => "Has",
        };
        format!(
            "{did} added {}, updated {}, skipped {}; {}.",
            imported.created,
            imported.updated,
            imported.skipped,
            counted(imported.accounts_created as u64, "new account")
        )
    })?;
    if held_back {
        return Err(Failure::failed(format!(
            "{name}: {}. Mend what is wrong, or leave those rows out with --leave-out.",
            counted(imported.errors.len() as u64, "mistake")
        )));
    }
    if imported.created > 0 && !args.dry_run {
        out.talk("They have no password yet. Invite them in the dashboard.");
    }
    Ok(())
}

fn text_of(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).context("standard input")?;
    } else {
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        opened.take(most).read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub fn export(open: &Opened, args: ExportArgs, out: &Output) -> Result<()> {
    let account = args.account.as_deref().map(|account| super::account::find(open, account)).transpose()?;
    let filter = Filter { account: account.map(|account| account.id), q: args.q, ..Filter::default() };
    // With --json it is one value: the lines, in a list.
    let format = if out.json || args.format == FormatArg::Ndjson { Format::Ndjson } else { Format::Csv };
    let mut file: Box<dyn Write> = match &args.output {
        None => Box::new(std::io::stdout().lock()),
        Some(path) => Box::new(File::create(path).with_context(|| path.display().to_string())?),
    };
    let bar = args.output.is_some().then(|| Bar::of_rows(out, "Exporting"));
    let begun = open.run(export::begin(&open.app, &Caller::command_line(), Which::Matching(filter), format))?;
    let (mut left, mut names, mut first) = (Some(begun), HashMap::new(), true);
    if out.json {
        file.write_all(b"[")?;
    }
    while let Some(export) = left {
        let (chunk, rest) = open.run(export::next(&open.app, export, &mut names))?;
        if let (Some(bar), Some(rest)) = (&bar, &rest) {
            bar.at(rest.done);
        }
        left = rest;
        if !out.json {
            file.write_all(&chunk)?;
            continue;
        }
        for line in chunk.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            file.write_all(if first { b"\n  " } else { b",\n  " })?;
            file.write_all(line)?;
            first = false;
        }
    }
    if out.json {
        file.write_all(b"\n]\n")?;
    }
    file.flush()?;
    if let Some(bar) = bar {
        bar.done();
    }
    if let Some(path) = &args.output {
        out.talk(format!("Exported to {}.", path.display()));
    }
    Ok(())
}
