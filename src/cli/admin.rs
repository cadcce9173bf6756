//! `keyrack admin`: making administrators from a shell, and letting one in who forgot the password.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::ask;
use super::data::Place;
use super::output::Output;
use super::user::{find, new_password, or_taken, who};
use super::values;
use crate::http::api::UserBody;
use crate::model::caller::Caller;
use crate::model::email::Email;
use crate::model::name::Name;
use crate::model::revision::IfMatch;
use crate::model::user::UserChanges;
use crate::services::{second_factor, setup, users};

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Make an administrator
    Create {
        #[arg(long, value_parser = values::email)]
        email: Email,
        /// Without it: the part of the email before the @
        #[arg(long, value_parser = values::name)]
        name: Option<Name>,
        /// The password, from the first line of a file (- for standard input); else it is asked for
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Take a lost second factor away, and end the user's sessions
    DisableMfa {
        #[arg(long, value_parser = values::email)]
        email: Email,
    },
    /// Give a user another password, and end their sessions
    ResetPassword {
        #[arg(long, value_parser = values::email)]
        email: Email,
        /// The new password, from the first line of a file (- for standard input); else it is asked for
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

pub fn run(place: &Place, command: AdminCommand, out: &Output) -> Result<()> {
    let open = match &command {
        AdminCommand::Create { .. } => place.begin(out)?,
        AdminCommand::DisableMfa { .. } | AdminCommand::ResetPassword { .. } => place.open(out)?,
    };
    match command {
        AdminCommand::Create { email, name, password_file } => {
            let password = new_password(&ask::new_password(out, password_file.as_ref())?)?;
            let address = email.to_string();
            let user = open.run(setup::create_admin(&open.app, email, name, password)).map_err(|err| {
                let promote = place.command(["user", "set", &address, "--role", "admin"]);
                let reset = place.command(["admin", "reset-password", "--email", &address]);
                or_taken(err, &format!("Make them an administrator: {promote}   Give them another password: {reset}"))
            })?;
            out.result(&UserBody::from(&user), || format!("Made {} an administrator ({}).", who(&user), user.id))?;
            place.undo(out, &["user", "delete", &user.id.to_string()]);
        }
        AdminCommand::DisableMfa { email } => {
            let user = find(&open, email.as_str())?;
            if user.has_second_factor {
                open.run(second_factor::disable(&open.app, &Caller::command_line(), &user))?;
            }
            let named = who(&user);
            out.result(&UserBody::from(&user), || match user.has_second_factor {
                true => format!("Removed the second factor of {named}. Their sessions have ended; the password lets them in."),
                false => format!("{named} has no second factor. Nothing was changed."),
            })?;
        }
        AdminCommand::ResetPassword { email, password_file } => {
            let user = find(&open, email.as_str())?;
            let password = new_password(&ask::new_password(out, password_file.as_ref())?)?;
            let changes = UserChanges { password: Some(password), ..UserChanges::default() };
            let user = open.run(users::update(&open.app, &Caller::command_line(), user.id, changes, IfMatch::ANY))?;
            out.result(&UserBody::from(&user), || {
                format!("Changed the password of {}. Their sessions have ended; their keys work on.", who(&user))
            })?;
        }
    }
    Ok(())
}
