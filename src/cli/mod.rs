//! The command line: a file for each noun. Results go to standard output, everything else to standard error.

mod account;
mod admin;
mod ask;
mod ask_server;
mod audit;
mod backup;
mod client;
mod config;
mod data;
mod doctor;
mod failure;
mod install;
mod journal;
mod key;
mod log;
mod migrate;
mod openapi;
mod output;
mod port;
mod progress;
mod running;
mod serve;
mod setup_link;
mod status;
mod systemd;
mod tier;
mod undo;
mod user;
mod user_file;
mod values;
mod volatile;
mod webhook;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;
use output::Output;

const HELP: &str = "\
{name} {version} - {about}

Usage: keyrack [COMMAND] [OPTIONS]     (no command: serve)

Start      serve   install   uninstall   setup-link   status   doctor   admin {create|disable-mfa|reset-password}
Manage     user {list|show|add|set|disable|enable|delete|import|export}   account {list|show|add|set|suspend|resume|delete}
           tier {list|set|delete}   key {list|show|create|set|rotate|disable|enable|revoke|import|test|pattern}
           client {list|create|rotate-secret|delete}
           webhook {list|add|show|set|pause|resume|delete|rotate-secret|test|replay}
Data       backup {create|verify|restore}   audit {list|verify|export}   migrate   config {show|check|explain}   completions SHELL   openapi

Options:
{options}

Examples:
  keyrack key create ci --scope users:read --expires 90d --json | jq -r .secret
  keyrack key rotate key_01h455vb4pex5vsknk084sn02q --overlap 24h
  keyrack tier set Pro --window 10000/1h --window 200/1s

`keyrack COMMAND --help` tells more of each.
";

#[derive(Parser)]
#[command(name = "keyrack", version, about = "users, API keys and rate limits for an API, in one binary", help_template = HELP)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    serve: serve::ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
pub struct Common {
    /// The data directory [default: ./keyrack-data, or the unit's state directory under systemd]
    #[arg(
        short,
        long,
        global = true,
        value_name = "DIR",
        env = "KEYRACK_DATA",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    data: Option<PathBuf>,
    /// A file of settings (TOML)
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "KEYRACK_CONFIG",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    config: Option<PathBuf>,
    /// Print the result as one JSON value
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Go ahead without asking
    #[arg(short, long, global = true, help_heading = "Global options")]
    yes: bool,
    /// Ask nothing, not even on a terminal
    #[arg(long, global = true, help_heading = "Global options")]
    no_input: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, help_heading = "Global options")]
    quiet: bool,
    /// No colours; NO_COLOR does the same
    #[arg(long, global = true, help_heading = "Global options")]
    no_color: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Make Keyrack a service of this machine: program, user, settings and units for systemd
    Install(install::InstallArgs),
    /// Take the service away again; data and settings stay
    Uninstall(install::UninstallArgs),
    /// Print a new one-time link for making the first administrator
    SetupLink,
    /// Make administrators, and give them a new password
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// People in the directory
    #[command(subcommand)]
    User(user::UserCommand),
    /// Teams or customers, which requests are counted against
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Named sets of rate limits
    #[command(subcommand)]
    Tier(tier::TierCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Addresses that are told of events
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// OAuth clients: programs that act for users who allow it
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Copies of the database: made while the server runs, checked, and put back
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// The server that runs on the data directory, and how it is
    Status,
    /// Look for everything that keeps a server from working, with the fix for each
    Doctor,
    /// What was done, and whether the record of it is as it was written
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Bring the database to this program's schema
    Migrate,
    /// Settings: what they are, where they come from, what they mean
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the API as an OpenAPI 3.1 document
    Openapi,
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

/// What the process was started with: nothing below reads it from elsewhere.
pub struct Surroundings {
    pub args: Vec<OsString>,
    pub environment: Vec<(String, String)>,
}

/// Secrets are in memory: no core dump is written of it, and other programs of the same user do not read it.
fn keep_memory_private() {
    let nothing = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Where it is not ours to say it stays as the machine has it.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, nothing);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Runs the command and says what went wrong, once.
pub fn main(surroundings: Surroundings) -> ExitCode {
    keep_memory_private();
    let no_color = surroundings.args.iter().any(|arg| arg == "--no-color");
    let grammar = Cli::command().color(if no_color { ColorChoice::Never } else { ColorChoice::Auto });
    let parsed = grammar.try_get_matches_from(&surroundings.args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(err) => {
            // A reader that went away, as in `keyrack --help | head -1`, is no failure.
            let _ = err.print();
            return ExitCode::from(if err.use_stderr() { failure::USAGE } else { 0 });
        }
    };
    let out = Output::new(&cli.common, &surroundings.environment);
    let program = surroundings.args.first().map(|arg| arg.to_string_lossy()).unwrap_or_default();
    match run(&program, cli, &surroundings.environment, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => failure::report(&err),
    }
}

fn run(program: &str, cli: Cli, environment: &[(String, String)], out: &Output) -> Result<()> {
    let is_start = matches!(cli.command, None | Some(Command::Serve(_)));
    let place = data::Place { program, common: &cli.common, environment, is_start };
    let command = match cli.command {
        None => return serve::run(&place, &cli.serve, out),
        Some(Command::Serve(args)) => return serve::run(&place, &args.or(cli.serve), out),
        Some(command) => command,
    };
    if let Some(flag) = cli.serve.first_given() {
        return Err(Failure::usage(format!("{flag} belongs to serve: {} …", place.command(["serve", flag]))));
    }
    match command {
        Command::Serve(_) => unreachable!("served above"),
        Command::Install(args) => install::install(&args, out),
        Command::Uninstall(args) => install::uninstall(&args, out),
        Command::SetupLink => setup_link::run(&place, out),
        Command::Admin(command) => admin::run(&place, command, out),
        Command::User(command) => user::run(&place, command, out),
        Command::Account(command) => account::run(&place, command, out),
        Command::Tier(command) => tier::run(&place, command, out),
        Command::Key(command) => key::run(&place, command, out),
        Command::Webhook(command) => webhook::run(&place, command, out),
        Command::Client(command) => client::run(&place, command, out),
        Command::Backup(command) => backup::run(&place, command, out),
        Command::Status => status::run(&place, out),
        Command::Doctor => doctor::run(&place, out),
        Command::Audit(command) => audit::run(&place, command, out),
        Command::Migrate => migrate::run(&place, out),
        Command::Config(command) => config::run(&place, command, out),
        Command::Openapi => openapi::run(&place, out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyrack", &mut script);
            out.raw(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            out.raw(&page)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_overview_names_every_command() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let verbs: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let wanted = match verbs[..] {
                [] => command.get_name().to_owned(),
                _ => format!("{} {{{}}}", command.get_name(), verbs.join("|")),
            };
            assert!(HELP.contains(&wanted), "{wanted}");
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_verb() {
        for args in [["keyrack", "--json", "user", "list"], ["keyrack", "user", "list", "--json"]] {
            assert!(Cli::try_parse_from(args).expect("it parses").common.json);
        }
    }
}
