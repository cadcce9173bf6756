//! `keyrack key`: API keys.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use super::ask;
use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::values;
use crate::crypto::Secret;
use crate::http::api::{KeyBody, KeyWithSecret};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, ApiKeyChanges, Expiry, IpAllow, KeyStatus, Metadata, NewApiKey, Overlap};
use crate::model::caller::Caller;
use crate::model::ids::ApiKeyId;
use crate::model::imported_key::{self, LineError, Records};
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::model::tier::Window;
use crate::services;
use crate::services::idempotency::Keep;
use crate::services::{api_keys, credentials, users};

#[derive(Subcommand)]
pub enum KeyCommand {
    /// All keys, oldest first, revoked ones too
    List(ListArgs),
    /// One key, never its secret
    Show {
        /// The key's id
        id: String,
    },
    /// Create a key and print its secret, once
    Create(CreateArgs),
    /// Change a key; what is not given stays
    Set(SetArgs),
    /// Give a key a new secret and print it, once
    Rotate {
        /// The key's id
        id: String,
        /// How long the old secret works on, for example 24h; 0s: not at all
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = values::overlap)]
        overlap: Overlap,
    },
    /// Refuse a key until it is enabled again
    Disable {
        /// The key's id
        id: String,
    },
    /// Let a disabled key in again
    Enable {
        /// The key's id
        id: String,
    },
    /// End a key for good
    Revoke {
        /// The key's id
        id: String,
    },
    /// Bring in the keys of another system by their hashes, all or none
    Import {
        /// JSON records, one on each line or in one array; - for standard input
        file: PathBuf,
        /// Only look whether all of them could be imported
        #[arg(long)]
        dry_run: bool,
    },
    /// Look whether a secret is good, without using it
    Test {
        /// A file with the secret, or - for standard input: a secret on the command line can be read by others
        file: PathBuf,
    },
    /// Print the regular expression by which secret scanners find keys
    Pattern,
}

#[derive(Args)]
pub struct ListArgs {
    /// Only those of this owner (id or email)
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Only those of this account (id or name)
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only those that are active, rotating, disabled, expired or revoked
    #[arg(long, value_parser = values::key_status)]
    status: Option<KeyStatus>,
}

#[derive(Args)]
pub struct CreateArgs {
    /// What it is for, as lists show it
    #[arg(value_parser = values::name)]
    name: Name,
    /// Whose key it is (id or email) [default: the first admin]
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    #[arg(long = "scope", value_name = "SCOPE", value_parser = values::scope, value_delimiter = ',')]
    #[arg(help = values::scope_help("What it may do", "users:read"))]
    scopes: Vec<String>,
    /// When it ends: after 90d, with the end of 2027-01-31 (UTC), or at 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::expiry)]
    expires: Option<Expiry>,
    /// An address or network that may use it; may be repeated [default: all]
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    ip_allow: Vec<String>,
    /// A limit of its own besides its account's, for example 100/1m; may be repeated
    #[arg(long = "window", value_name = "N/TIME", value_parser = values::window)]
    windows: Vec<Window>,
}

#[derive(Args)]
pub struct SetArgs {
    /// The key's id
    id: String,
    #[arg(long, value_parser = values::name)]
    name: Option<Name>,
    #[arg(long = "scope", value_name = "SCOPE", value_parser = values::scope, value_delimiter = ',')]
    #[arg(help = values::scope_help("What it may do from now on", "as it is"))]
    scopes: Vec<String>,
    /// When it ends: after 90d, with the end of 2027-01-31 (UTC), at 2027-01-31T12:00:00Z, or never
    #[arg(long, value_name = "TIME", value_parser = values::expiry)]
    expires: Option<Expiry>,
    /// An address or network that alone may use it; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    ip_allow: Vec<String>,
    /// Let all addresses use it
    #[arg(long, conflicts_with = "ip_allow")]
    no_ip_allow: bool,
    /// A limit of its own besides its account's, for example 100/1m; may be repeated
    #[arg(long = "window", value_name = "N/TIME", value_parser = values::window)]
    windows: Vec<Window>,
    /// Take its own limits away
    #[arg(long, conflicts_with = "windows")]
    no_windows: bool,
}

pub fn run(place: &Place, command: KeyCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    let caller = Caller::command_line();
    match command {
        KeyCommand::List(args) => list(&open, args, out),
        KeyCommand::Show { id } => {
            let key = find(&open, &id)?;
            out.result(&body(&open, &key), || in_words(&open, &key, None))
        }
        KeyCommand::Create(args) => create(place, &open, args, out),
        KeyCommand::Set(args) => set(place, &open, args, out),
        KeyCommand::Rotate { id, overlap } => {
            let key = find(&open, &id)?;
            let rotated = api_keys::rotate(&open.app, &caller, key.id, overlap, IfMatch::ANY, Keep::nothing());
            let (key, secret) = open.run(rotated)?;
            print_secret(&open, &key, &secret, out)?;
            match key.rotation_at(open.app.clock.now()) {
                Some(rotation) => out.talk(format!(
                    "The old secret ({}) works until {}. To end the key itself: {}",
                    rotation.old_hint,
                    rotation.old_expires_at,
                    place.command(["key", "revoke", &key.id.to_string()])
                )),
                None => out.talk("The old secret no longer works."),
            }
            Ok(())
        }
        KeyCommand::Disable { id } => {
            let key = enable(&open, &id, false)?;
            out.result(&body(&open, &key), || format!("Disabled key {} ({}).", key.name, key.hint))?;
            place.undo(out, &["key", "enable", &key.id.to_string()]);
            Ok(())
        }
        KeyCommand::Enable { id } => {
            let key = enable(&open, &id, true)?;
            out.result(&body(&open, &key), || format!("Enabled key {} ({}).", key.name, key.hint))?;
            place.undo(out, &["key", "disable", &key.id.to_string()]);
            Ok(())
        }
        KeyCommand::Revoke { id } => {
            let key = find(&open, &id)?;
            if let Some(at) = key.revoked_at {
                return out.result(&body(&open, &key), || {
                    format!("Key {} ({}) is revoked already, since {at}. Nothing was changed.", key.name, key.hint)
                });
            }
            ask::confirm(out, &format!("Revoke key {} ({}) for good? This cannot be undone.", key.name, key.hint))?;
            let key = open.run(api_keys::revoke(&open.app, &caller, key.id, IfMatch::ANY))?;
            out.result(&body(&open, &key), || {
                format!("Revoked key {} ({}). Running servers refuse it within two seconds.", key.name, key.hint)
            })
        }
        KeyCommand::Import { file, dry_run } => import(&open, &file, dry_run, out),
        KeyCommand::Test { file } => test(&open, &file, out),
        KeyCommand::Pattern => {
            let pattern = open.app.key_prefix().pattern();
            out.result(&json!({ "pattern": pattern }), || pattern.clone())
        }
    }
}

fn list(open: &Opened, args: ListArgs, out: &Output) -> Result<()> {
    let filter = api_keys::Filter {
        account: args.account.map(|account| super::account::find(open, &account)).transpose()?.map(|account| account.id),
        user: args.owner.map(|owner| super::user::find(open, &owner)).transpose()?.map(|user| user.id),
        status: args.status,
        ..api_keys::Filter::default()
    };
    let (caller, mut start, mut all) = (Caller::command_line(), Start::Offset(0), Vec::new());
    loop {
        let place = (start, Order::OldestFirst, Limit::of(Limit::MAX));
        let page = open.run(api_keys::list(&open.app, &caller, filter.clone(), place))?;
        all.extend(page.rows);
        match all.last() {
            Some(last) if page.has_next => start = Start::After(last.id),
            _ => break,
        }
    }
    let bodies: Vec<_> = all.iter().map(|key| body(open, key)).collect();
    out.result(&bodies, || {
        let now = open.app.clock.now();
        let rows = all.iter().map(|key| {
            let ends = key.expires_at.map_or("never".into(), |at| at.to_string());
            [key.id.to_string(), key.name.clone(), key.hint.clone(), key.status(now).name().into(), ends, key.scopes.to_string()]
        });
        out.table(["ID", "NAME", "SECRET", "STATUS", "EXPIRES", "SCOPES"], &rows.collect::<Vec<_>>())
    })
}

fn find(open: &Opened, id: &str) -> Result<ApiKey> {
    let unknown = || Failure::not_found(format!("There is no key {id}.\nAll of them: keyrack key list"));
    let key = ApiKeyId::parse(id).ok_or_else(|| {
        Failure::not_found(format!(
            "{id} is no key's id: key_… and 26 characters. Names are not unique, so keys are named by their id.\n\
             It stands beside the name in: keyrack key list"
        ))
    })?;
    open.run(api_keys::find(&open.app, &Caller::command_line(), key)).map_err(|err| match err.downcast_ref() {
        Some(AppError::NotFound(_)) => unknown(),
        _ => err,
    })
}

fn create(place: &Place, open: &Opened, args: CreateArgs, out: &Output) -> Result<()> {
    let scopes = if args.scopes.is_empty() {
        ScopeSet::default_for_keys().into()
    } else {
        ScopesAsked::parse(args.scopes.iter().map(String::as_str)).map_err(|problem| problem.of("scope"))?
    };
    let ip_allow = IpAllow::parse(args.ip_allow.iter().map(String::as_str)).map_err(|problem| problem.of("ip_allow"))?;
    let windows = values::windows(args.windows)?;
    let owner = match args.owner {
        Some(owner) => super::user::find(open, &owner)?,
        None => open.run(users::first_admin(&open.app))?.ok_or_else(|| {
            Failure::failed(format!(
                "There is no administrator yet to own the key.\nMake one: {}",
                place.command(["admin", "create", "--email", "NAME@EXAMPLE.COM"])
            ))
        })?,
    };
    let expiry = args.expires.unwrap_or_default();
    let metadata = Metadata::default();
    let new = NewApiKey { name: args.name, user_id: Some(owner.id), scopes, expiry, ip_allow, windows, metadata };
    let (key, secret) = open.run(api_keys::create(&open.app, &Caller::command_line(), new, Keep::nothing()))?;
    print_secret(open, &key, &secret, out)?;
    place.undo(out, &["key", "revoke", &key.id.to_string()]);
    Ok(())
}

fn set(place: &Place, open: &Opened, args: SetArgs, out: &Output) -> Result<()> {
    let before = find(open, &args.id)?;
    let scopes = Some(args.scopes).filter(|scopes| !scopes.is_empty());
    let scopes = scopes.map(|scopes| ScopesAsked::parse(scopes.iter().map(String::as_str))).transpose();
    let ip_allow = IpAllow::parse(args.ip_allow.iter().map(String::as_str)).map_err(|problem| problem.of("ip_allow"))?;
    let windows = values::windows(args.windows)?;
    let changes = ApiKeyChanges {
        name: args.name,
        scopes: scopes.map_err(|problem| problem.of("scope"))?,
        expiry: args.expires,
        ip_allow: Some(ip_allow).filter(|allowed| args.no_ip_allow || !allowed.is_empty()),
        windows: Some(windows).filter(|windows| args.no_windows || !windows.is_empty()),
        ..ApiKeyChanges::default()
    };
    if changes.name.is_none() && !changes.widen() {
        let shown = place.command(["key", "set", "--help"]);
        return Err(Failure::usage(format!("Nothing to change was given.\nWhat there is: {shown}")));
    }
    let after = open.run(api_keys::update(&open.app, &Caller::command_line(), before.id, changes, IfMatch::ANY))?;
    out.result(&body(open, &after), || in_words(open, &after, None))?;
    let back = way_back(&before, &after);
    if !back.is_empty() {
        let words = ["key", "set", &after.id.to_string()].map(str::to_owned).into_iter().chain(back).collect::<Vec<_>>();
        place.undo(out, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok(())
}

/// The options that bring back what was changed.
fn way_back(before: &ApiKey, after: &ApiKey) -> Vec<String> {
    let each = |option: &str, values: Vec<String>| -> Vec<String> {
        values.into_iter().flat_map(|value| [option.to_owned(), value]).collect()
    };
    let or = |values: Vec<String>, none: &str| if values.is_empty() { vec![none.to_owned()] } else { values };
    let mut back = Vec::new();
    if before.name != after.name {
        back.extend(["--name".to_owned(), before.name.clone()]);
    }
    if before.scopes != after.scopes {
        back.extend(["--scope".to_owned(), before.scopes.to_string().replace(' ', ",")]);
    }
    if before.expires_at != after.expires_at {
        back.extend(["--expires".to_owned(), before.expires_at.map_or("never".into(), |at| at.to_string())]);
    }
    if before.ip_allow != after.ip_allow {
        let networks = before.ip_allow.entries().map(|network| network.to_string()).collect();
        back.extend(or(each("--ip-allow", networks), "--no-ip-allow"));
    }
    if before.windows != after.windows {
        let windows = before.windows.as_slice().iter().map(ToString::to_string).collect();
        back.extend(or(each("--window", windows), "--no-windows"));
    }
    back
}

fn print_secret(open: &Opened, key: &ApiKey, secret: &Secret, out: &Output) -> Result<()> {
    let shown = KeyWithSecret { key: body(open, key), secret: Some(secret.expose()) };
    out.result(&shown, || in_words(open, key, Some(secret)))?;
    out.talk("Keep the secret now: it is not shown again.");
    Ok(())
}

fn enable(open: &Opened, id: &str, enabled: bool) -> Result<ApiKey> {
    let key = find(open, id)?;
    let changes = ApiKeyChanges { enabled: Some(enabled), ..ApiKeyChanges::default() };
    open.run(api_keys::update(&open.app, &Caller::command_line(), key.id, changes, IfMatch::ANY))
}

fn import(open: &Opened, file: &Path, dry_run: bool, out: &Output) -> Result<()> {
    let mut bytes = Vec::new();
    let limit = imported_key::MAX_BYTES as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes).context("standard input")?;
    } else {
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        opened.take(limit).read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
    }
    if bytes.len() > imported_key::MAX_BYTES {
        return Err(Failure::failed("The file is larger than 32 MiB.\nSplit it, and import the parts one after the other."));
    }
    let caller = Caller::command_line();
    let import = services::import::import(&open.app, &caller, Records::read(&bytes), dry_run, Keep::nothing());
    let outcome = open.run(import)?;
    if outcome.errors.is_empty() {
        let done = if dry_run { "could be imported. Nothing was changed" } else { "imported" };
        let keys = if outcome.imported == 1 { "key" } else { "keys" };
        return out.result(&outcome, || format!("{} {keys} {done}.", outcome.imported));
    }
    if out.json {
        out.result(&outcome, String::new)?;
    }
    let mut words: Vec<String> = outcome.errors.iter().map(in_one_line).collect();
    words.push("Nothing was imported.".into());
    Err(Failure::failed(words.join("\n")))
}

fn in_one_line(error: &LineError) -> String {
    let field = if error.field.is_empty() { String::new() } else { format!(" {}:", error.field) };
    format!("line {}:{field} {}", error.line, error.message)
}

fn test(open: &Opened, file: &std::path::Path, out: &Output) -> Result<()> {
    let secret = ask::secret_from(file)?;
    let (now, tick) = open.app.clock.both();
    let refused = match credentials::authenticate(&open.app, secret.trim(), (now, tick)) {
        Ok(credential) => {
            let id =
                credential.key().map(|key| key.id).ok_or_else(|| Failure::failed("This is an access token, and it works."))?;
            let key = open.run(api_keys::find(&open.app, &Caller::command_line(), id))?;
            let value = json!({ "valid": true, "code": "valid", "key": body(open, &key) });
            return out.result(&value, || format!("The secret is good.\n{}", in_words(open, &key, None)));
        }
        Err(refused @ (AppError::InvalidApiKey | AppError::ExpiredApiKey)) => refused,
        Err(err) => return Err(err.into()),
    };
    let code = if matches!(refused, AppError::ExpiredApiKey) { "expired" } else { "invalid" };
    if out.json {
        out.result(&json!({ "valid": false, "code": code }), String::new)?;
    }
    Err(Failure::failed(refused.to_string()))
}

fn body<'a>(open: &Opened, key: &'a ApiKey) -> KeyBody<'a> {
    KeyBody::new(key, open.app.clock.now())
}

fn in_words(open: &Opened, key: &ApiKey, secret: Option<&Secret>) -> String {
    let now = open.app.clock.now();
    let mut rows = vec![
        ("id", key.id.to_string()),
        ("name", key.name.clone()),
        ("user_id", key.user_id.to_string()),
        ("scopes", key.scopes.to_string()),
        ("status", key.status(now).name().to_owned()),
        ("created_at", key.created_at.to_string()),
        ("expires_at", key.expires_at.map_or("never".into(), |at| at.to_string())),
        ("last_used_at", key.last_used.as_ref().map_or("never".into(), |used| used.at.to_string())),
        ("hint", key.hint.clone()),
    ];
    if !key.ip_allow.is_empty() {
        rows.push(("ip_allow", key.ip_allow.entries().collect::<Vec<_>>().join(", ")));
    }
    if !key.windows.is_empty() {
        rows.push(("windows", key.windows.to_string()));
    }
    if let Some(rotation) = key.rotation_at(now) {
        rows.push(("old_secret", format!("{}, until {}", rotation.old_hint, rotation.old_expires_at)));
    }
    if let Some(secret) = secret {
        rows.push(("secret", secret.expose().to_owned()));
    }
    fields(&rows)
}
