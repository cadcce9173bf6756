//! Users as a file, batch after batch: CSV for people and their spreadsheets, NDJSON for programs.

use std::collections::HashMap;

use serde_json::json;

use super::users::Filter;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::ids::{AccountId, UserId};
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::Scope;
use crate::model::sheet::cell;
use crate::model::user::User;
use crate::model::{AppError, Result};
use crate::store;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
}

impl Format {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Whom it is about.
#[derive(Clone, Debug)]
pub enum Which {
    These(Vec<UserId>),
    Matching(Filter),
}

/// An export under way.
pub struct Export {
    format: Format,
    left: Left,
    is_first: bool,
    /// How many users it has told of.
    pub done: u64,
}

enum Left {
    These(Vec<UserId>),
    Matching(Filter, Start<UserId>),
}

const COLUMNS: [&str; 9] = ["id", "name", "email", "role", "status", "account_id", "account", "created_at", "updated_at"];

/// Begins an export, and notes who takes the directory away.
pub async fn begin(app: &App, caller: &Caller, which: Which, format: Format) -> Result<Export> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    let whom = match &which {
        Which::These(ids) => json!({ "format": format.name(), "users": ids.len() }),
        Which::Matching(filter) => json!({
            "format": format.name(), "q": filter.q, "account": filter.account,
            "role": filter.role.map(|role| role.name()), "status": filter.status.map(|status| status.name()),
        }),
    };
    let noted = move |tx: &store::Tx| {
        store::audit_events::append(tx, &by, now, None, &Happening::new("users.exported", "users", "", "Users").with(whom))
    };
    app.change(caller, noted, |()| Concerns::Nobody).await?;
    let left = match which {
        Which::These(ids) => Left::These(ids),
        Which::Matching(filter) => Left::Matching(filter, Start::Offset(0)),
    };
    Ok(Export { format, left, is_first: true, done: 0 })
}

/// The next part of the file, and what comes after it.
pub async fn next(app: &App, export: Export, accounts: &mut HashMap<AccountId, String>) -> Result<(Vec<u8>, Option<Export>)> {
    let Export { format, left, is_first, done } = export;
    let mut known = std::mem::take(accounts);
    let read = move |conn: &store::Conn| {
        let (users, left) = batch(conn, left)?;
        for user in &users {
            if !known.contains_key(&user.account_id) {
                known.extend(store::accounts::find(conn, user.account_id)?.map(|account| (account.id, account.name)));
            }
        }
        Ok((users, left, known))
    };
    let (users, left, known) = app.store.read(read).await?;
    let chunk = match format {
        Format::Csv => csv(&users, &known, is_first)?,
        Format::Ndjson => ndjson(&users, &known),
    };
    // As many names as a batch may need, however many accounts there are.
    *accounts = if known.len() > 10_000 { HashMap::new() } else { known };
    let done = done + users.len() as u64;
    Ok((chunk, left.map(|left| Export { format, left, is_first: false, done })))
}

fn batch(conn: &store::Conn, left: Left) -> Result<(Vec<User>, Option<Left>)> {
    match left {
        Left::These(mut ids) => {
            let rest = ids.split_off(ids.len().min(Limit::BATCH.get() as usize));
            let found: Result<Vec<Option<User>>> = ids.into_iter().map(|id| store::users::find(conn, id)).collect();
            Ok((found?.into_iter().flatten().collect(), (!rest.is_empty()).then_some(Left::These(rest))))
        }
        Left::Matching(filter, start) => {
            let page = store::users::list(conn, &filter, (start, Order::OldestFirst, Limit::BATCH))?;
            let rest = page.rows.last().filter(|_| page.has_next).map(|last| Start::After(last.id));
            Ok((page.rows, rest.map(|start| Left::Matching(filter, start))))
        }
    }
}

fn csv(users: &[User], accounts: &HashMap<AccountId, String>, with_head: bool) -> Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    if with_head {
        rows.write_record(COLUMNS).map_err(AppError::internal)?;
    }
    for user in users {
        let account = accounts.get(&user.account_id).map_or("", String::as_str);
        let id = user.id.to_string();
        let (account_id, created, updated) =
            (user.account_id.to_string(), user.created_at.to_string(), user.updated_at.to_string());
        let cells =
            [&id, &user.name, &user.email, user.role.name(), user.status.name(), &account_id, account, &created, &updated];
        rows.write_record(cells.map(|text| cell(text).into_owned())).map_err(AppError::internal)?;
    }
    rows.into_inner().map_err(|err| AppError::internal(err.to_string()))
}

fn ndjson(users: &[User], accounts: &HashMap<AccountId, String>) -> Vec<u8> {
    let mut lines = Vec::new();
    for user in users {
        let line = json!({
            "id": user.id, "name": user.name, "email": user.email, "role": user.role.name(), "status": user.status.name(),
            "account_id": user.account_id, "account": accounts.get(&user.account_id),
            "created_at": user.created_at, "updated_at": user.updated_at,
        });
        lines.extend(line.to_string().into_bytes());
        lines.push(b'\n');
    }
    lines
}
