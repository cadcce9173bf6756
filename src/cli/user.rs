//! `keyrack user`: people in the directory.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::ask;
use super::data::{Opened, Place};
use super::failure::Failure;
use super::output::{Output, fields};
use super::user_file;
use super::values;
use crate::crypto::common::is_common;
use crate::http::api::UserBody;
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::email::Email;
use crate::model::ids::UserId;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::user::{NewUser, Password, Role, User, UserChanges, UserStatus};
use crate::services::idempotency::Keep;
use crate::services::{accounts, users};

#[derive(Subcommand)]
pub enum UserCommand {
    /// All users, oldest first
    List(ListArgs),
    /// One user
    Show {
        /// The user's id or email
        user: String,
    },
    /// Add a user
    Add(AddArgs),
    /// Change a user; what is not given stays
    Set(SetArgs),
    /// Stop a user's keys and sign-ins until they are enabled again
    Disable {
        /// The user's id or email
        user: String,
    },
    /// Let a disabled user in again
    Enable {
        /// The user's id or email
        user: String,
    },
    /// Delete a user with their keys and sessions
    Delete {
        /// The user's id or email
        user: String,
    },
    /// Bring in users from a file: all of them, or none
    Import(user_file::ImportArgs),
    /// Write all users to a file
    Export(user_file::ExportArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// Only those of this account (id or name)
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only those whose name or email begins like this
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

#[derive(Args)]
pub struct AddArgs {
    #[arg(long, value_parser = values::email)]
    email: Email,
    #[arg(long, value_parser = values::name)]
    name: Name,
    /// The account they belong to (id or name) [default: Default]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// admin or member
    #[arg(long, value_parser = values::role, default_value = "member")]
    role: Role,
    /// Their password, from the first line of a file (- for standard input); without one they cannot sign in
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct SetArgs {
    /// The user's id or email
    user: String,
    #[arg(long, value_parser = values::email)]
    email: Option<Email>,
    #[arg(long, value_parser = values::name)]
    name: Option<Name>,
    /// admin or member
    #[arg(long, value_parser = values::role)]
    role: Option<Role>,
    /// A new password, from the first line of a file (- for standard input); ends their sessions
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub fn run(place: &Place, command: UserCommand, out: &Output) -> Result<()> {
    let open = place.open(out)?;
    match command {
        UserCommand::List(args) => list(&open, args, out),
        UserCommand::Show { user } => show(&find(&open, &user)?, out),
        UserCommand::Add(args) => add(place, &open, args, out),
        UserCommand::Set(args) => set(place, &open, args, out),
        UserCommand::Disable { user } => {
            let user = find(&open, &user)?;
            let user = change(&open, user.id, UserChanges { status: Some(UserStatus::Disabled), ..UserChanges::default() })?;
            out.result(&UserBody::from(&user), || format!("Disabled {}. Their keys and sessions have stopped.", who(&user)))?;
            place.undo(out, &["user", "enable", &user.id.to_string()]);
            Ok(())
        }
        UserCommand::Enable { user } => {
            let user = find(&open, &user)?;
            let user = change(&open, user.id, UserChanges { status: Some(UserStatus::Active), ..UserChanges::default() })?;
            out.result(&UserBody::from(&user), || format!("Enabled {}. Their keys work again.", who(&user)))?;
            place.undo(out, &["user", "disable", &user.id.to_string()]);
            Ok(())
        }
        UserCommand::Import(args) => user_file::import(&open, &args, out),
        UserCommand::Export(args) => user_file::export(&open, args, out),
        UserCommand::Delete { user } => {
            let user = find(&open, &user)?;
            ask::confirm(out, &format!("Delete {}, with all their keys and sessions? This cannot be undone.", who(&user)))?;
            let deleted = open.run(users::delete(&open.app, &Caller::command_line(), user.id, IfMatch::ANY))?;
            out.result(&json!({ "id": deleted.id, "deleted": true }), || {
                format!("Deleted {}. Their keys and sessions have stopped.", who(&deleted))
            })
        }
    }
}

/// A user by id or email.
pub fn find(open: &Opened, user: &str) -> Result<User> {
    let caller = Caller::command_line();
    let found = match (UserId::parse(user), Email::parse(user)) {
        (Some(id), _) => open.run(users::find(&open.app, &caller, id)),
        (None, Ok(email)) => open.run(users::find_by_email(&open.app, &caller, email)),
        (None, Err(_)) => Err(AppError::NotFound("user").into()),
    };
    found.map_err(|err| match err.downcast_ref() {
        Some(AppError::NotFound(_)) => Failure::not_found(format!("There is no user {user}.\nAll of them: keyrack user list")),
        _ => err,
    })
}

/// The refusal of an address that somebody has, with what to do.
pub fn or_taken(err: anyhow::Error, hint: &str) -> anyhow::Error {
    match err.downcast_ref() {
        Some(AppError::Invalid(errors)) if errors.as_slice().iter().any(|error| error.code == "taken") => {
            Failure::failed(format!("email: {err}\n{hint}"))
        }
        _ => err,
    }
}

/// A password that was given, checked as a new one.
pub fn new_password(typed: &str) -> Result<Password> {
    Ok(Password::parse(typed, is_common).map_err(|problem| problem.of("password"))?)
}

/// The password in a file, if one was named.
fn password_in(file: Option<&PathBuf>) -> Result<Option<Password>> {
    file.map(|file| new_password(&ask::secret_from(file)?)).transpose()
}

fn list(open: &Opened, args: ListArgs, out: &Output) -> Result<()> {
    let account = args.account.map(|account| super::account::find(open, &account)).transpose()?;
    let filter = users::Filter { account: account.map(|account| account.id), q: args.q, ..users::Filter::default() };
    let (caller, mut start, mut all) = (Caller::command_line(), Start::Offset(0), Vec::new());
    loop {
        let place = (start, Order::OldestFirst, Limit::of(Limit::MAX));
        let page = open.run(users::list(&open.app, &caller, filter.clone(), place))?;
        all.extend(page.rows);
        match all.last() {
            Some(last) if page.has_next => start = Start::After(last.id),
            _ => break,
        }
    }
    let bodies: Vec<_> = all.iter().map(UserBody::from).collect();
    out.result(&bodies, || {
        let rows = all.iter().map(|user| {
            [user.id.to_string(), user.email.clone(), user.name.clone(), user.role.name().into(), user.status.name().into()]
        });
        out.table(["ID", "EMAIL", "NAME", "ROLE", "STATUS"], &rows.collect::<Vec<_>>())
    })
}

fn show(user: &User, out: &Output) -> Result<()> {
    out.result(&UserBody::from(user), || {
        fields(&[
            ("id", user.id.to_string()),
            ("name", user.name.clone()),
            ("email", user.email.clone()),
            ("account_id", user.account_id.to_string()),
            ("role", user.role.name().into()),
            ("status", user.status.name().into()),
            ("created_at", user.created_at.to_string()),
            ("updated_at", user.updated_at.to_string()),
        ])
    })
}

fn add(place: &Place, open: &Opened, args: AddArgs, out: &Output) -> Result<()> {
    let password = password_in(args.password_file.as_ref())?;
    // The account that users of the command line are made in comes into being with the first of them.
    let account = args.account.filter(|account| account != accounts::DEFAULT);
    let account = account.map(|account| super::account::find(open, &account)).transpose()?;
    let has_password = password.is_some();
    let account_id = account.map(|account| account.id);
    let new = NewUser { name: args.name, email: args.email, password, account_id, role: args.role, time_zone: None };
    let email = new.email.to_string();
    let user = open.run(users::create(&open.app, &Caller::command_line(), new, Keep::nothing()));
    let user = user.map_err(|err| {
        let [show, set] = ["show", "set"].map(|verb| place.command(["user", verb, &email]));
        or_taken(err, &format!("Who has it: {show}   Change them: {set} …"))
    })?;
    out.result(&UserBody::from(&user), || format!("Added {} as {} ({}).", who(&user), user.role.name(), user.id))?;
    if !has_password {
        let command = place.command(["admin", "reset-password", "--email", &user.email]);
        out.talk(format!("Without a password they cannot sign in. Give them one: {command}"));
    }
    place.undo(out, &["user", "delete", &user.id.to_string()]);
    Ok(())
}

fn set(place: &Place, open: &Opened, args: SetArgs, out: &Output) -> Result<()> {
    let before = find(open, &args.user)?;
    let changes = UserChanges {
        name: args.name,
        email: args.email,
        password: password_in(args.password_file.as_ref())?,
        role: args.role,
        ..UserChanges::default()
    };
    let new_password = changes.password.is_some();
    let after = change(open, before.id, changes)?;
    let id = after.id.to_string();
    let mut lines = vec![format!("Changed {} ({id}):", who(&after))];
    let mut back = vec!["user", "set", &id];
    for (field, flag, old, new) in [
        ("name", "--name", before.name.as_str(), after.name.as_str()),
        ("email", "--email", &before.email, &after.email),
        ("role", "--role", before.role.name(), after.role.name()),
    ] {
        if old != new {
            lines.push(format!("  {field}: {old} -> {new}"));
            back.extend([flag, old]);
        }
    }
    if new_password {
        lines.push("  password: changed, and their sessions have ended".into());
    }
    if lines.len() == 1 {
        lines = vec![format!("Nothing to change for {} ({id}).", who(&after))];
    }
    out.result(&UserBody::from(&after), || lines.join("\n"))?;
    if back.len() > 3 {
        place.undo(out, &back);
    }
    Ok(())
}

fn change(open: &Opened, id: UserId, changes: UserChanges) -> Result<User> {
    open.run(users::update(&open.app, &Caller::command_line(), id, changes, IfMatch::ANY))
}

/// A user as people know them.
pub(super) fn who(user: &User) -> String {
    format!("{} <{}>", user.name, user.email)
}
