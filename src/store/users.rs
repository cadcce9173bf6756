//! Users, found by id and by address, and listed by page.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::lists::{self, By, Conditions};
use super::{Cells, damaged, violated_unique};
use crate::model::clock::Timestamp;
use crate::model::email::Email;
use crate::model::ids::{AccountId, UserId};
use crate::model::look::Look;
use crate::model::name::{Name, fold};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::user::{Role, User, UserStatus, UserText};
use crate::model::{AppError, Result};

const COLUMNS: &str = "id, account_id, name, email, role, status, time_zone, theme, shortcuts, language,
     CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password,
     CASE WHEN totp_seed IS NULL THEN 0 ELSE 1 END AS has_second_factor, created_at,
     updated_at, revision";

/// What a list of users is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: every account's.
    pub account: Option<AccountId>,
    pub email: Option<Email>,
    /// The beginning of a name or an email, or a whole id.
    pub q: Option<String>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub status: Option<UserStatus>,
    pub role: Option<Role>,
    /// Those who were invited, and have no password yet.
    pub invited: bool,
}

impl Filter {
    fn narrows(&self) -> bool {
        self.email.is_some()
            || self.q.is_some()
            || self.created_after.is_some()
            || self.created_before.is_some()
            || self.status.is_some()
            || self.role.is_some()
            || self.invited
    }

    /// An account's users lie in the order of their ids, and in no other.
    fn conditions(&self, in_order_of_ids: bool) -> Conditions {
        let mut conditions = Conditions::default();
        match self.account {
            None => {}
            Some(account) if in_order_of_ids => conditions.add("account_id = {}", account),
            Some(account) => conditions.among("users", "account_id = {}", account),
        }
        if let Some(email) = &self.email {
            conditions.among("users", "email_canonical = {}", email.canonical().to_owned());
        }
        if let Some(q) = &self.q {
            match UserId::parse(&q.to_lowercase()) {
                Some(id) => conditions.add("id = {}", id),
                None => conditions.among_beginning(
                    "users",
                    "name_folded >= {low} AND name_folded < {high} OR email_canonical >= {low} AND email_canonical < {high}",
                    &fold(q),
                ),
            }
        }
        if let Some(after) = self.created_after {
            conditions.add("created_at > {}", after);
        }
        if let Some(before) = self.created_before {
            conditions.add("created_at < {}", before);
        }
        // Those of an account lie together, so that the few of many are found.
        match (self.status, self.account) {
            (None, _) => {}
            (Some(UserStatus::Disabled), None) => conditions.among_those("users", "status = 'disabled'"),
            (Some(UserStatus::Disabled), Some(account)) => {
                conditions.among_by(("users", "users_disabled_of_account"), "account_id = {} AND status = 'disabled'", account);
            }
            (Some(UserStatus::Active), _) => conditions.add("status = {}", UserStatus::Active.name()),
        }
        match (self.role, self.account) {
            (None, _) => {}
            (Some(Role::Admin), None) => conditions.among_those("users", "role = 'admin'"),
            (Some(Role::Admin), Some(account)) => {
                conditions.among_by(("users", "users_admins_of_account"), "account_id = {} AND role = 'admin'", account);
            }
            (Some(Role::Member), _) => conditions.add("role = {}", Role::Member.name()),
        }
        if self.invited {
            conditions.among_ids(
                ("user_id", "password_links WHERE kind = 'invitation'"),
                "EXISTS (SELECT 1 FROM password_links l WHERE l.user_id = users.id AND l.kind = 'invitation')",
            );
        }
        conditions
    }
}

/// In order of creation.
pub fn list(conn: &Connection, filter: &Filter, place: (Start<UserId>, Order, Limit)) -> Result<Page<User>> {
    let page = lists::page(conn, &format!("SELECT {COLUMNS} FROM users"), "id", filter.conditions(true), place, from_row)?;
    counted(conn, filter, page)
}

/// By name or email address.
pub fn list_by(conn: &Connection, filter: &Filter, text: UserText, place: (Start<UserId>, Order, Limit)) -> Result<Page<User>> {
    let select = format!("SELECT {COLUMNS} FROM users");
    let page = lists::page_by(conn, &select, by(text), filter.conditions(false), place, from_row)?;
    counted(conn, filter, page)
}

const fn by(text: UserText) -> By {
    match text {
        UserText::Name => By { value: "name_folded", of_row: "SELECT name_folded FROM users WHERE id = {}", id: "id" },
        UserText::Email => By { value: "email_canonical", of_row: "SELECT email_canonical FROM users WHERE id = {}", id: "id" },
    }
}

/// Those whose name or address begins so. The ones that `first` finds come first, in its order, then the ones that the
/// other alone finds, in that one's: each is a piece of an index, however many begin so.
pub fn search(
    conn: &Connection,
    filter: &Filter,
    start: &str,
    first: UserText,
    place: (Start<UserId>, Order, Limit),
) -> Result<Page<User>> {
    const NOT_NAME: &str = "NOT (name_folded >= {low} AND name_folded < {high})";
    const NOT_EMAIL: &str = "NOT (email_canonical >= {low} AND email_canonical < {high})";
    const NAME: &str = "name_folded >= {low} AND name_folded < {high}";
    const EMAIL: &str = "email_canonical >= {low} AND email_canonical < {high}";
    let select = format!("SELECT {COLUMNS} FROM users");
    let start = fold(start);
    let begins = |text| if text == UserText::Name { NAME } else { EMAIL };
    let second = if first == UserText::Name { UserText::Email } else { UserText::Name };
    let part = |text: UserText, place| {
        let mut conditions = filter.conditions(false);
        conditions.begins(begins(text), &start);
        if text == second {
            conditions.begins(if first == UserText::Name { NOT_NAME } else { NOT_EMAIL }, &start);
        }
        lists::page_by(conn, &select, by(text), conditions, place, from_row)
    };
    let is_of_first = |id: UserId| {
        let sql = format!("SELECT 1 FROM users WHERE id = $1 AND {}", begins(first));
        let sql = sql.replace("{low}", "$2").replace("{high}", "$3");
        Ok(conn.prepare_cached(&sql)?.exists(params![id, start, lists::end_of(&start)])?)
    };
    lists::in_two_parts(place, is_of_first, |place| part(first, place), |place| part(second, place))
}

fn counted(conn: &Connection, filter: &Filter, mut page: Page<User>) -> Result<Page<User>> {
    if !filter.narrows() {
        page.total = Some(lists::total(conn, "users", filter.account)?);
    }
    Ok(page)
}

pub fn find(conn: &Connection, id: UserId) -> Result<Option<User>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE id = $1"))?;
    Ok(one.query_row([id], from_row).optional()?)
}

pub fn find_by_email(conn: &Connection, email: &Email) -> Result<Option<User>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE email_canonical = $1"))?;
    Ok(one.query_row([email.canonical()], from_row).optional()?)
}

/// The user who signs in with this address, and the password's hash if one is set.
pub fn find_to_sign_in(conn: &Connection, email: &Email) -> Result<Option<(User, Option<String>)>> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS}, password_hash FROM users WHERE email_canonical = $1"))?;
    Ok(one.query_row([email.canonical()], |row| Ok((from_row(row)?, row.get("password_hash")?))).optional()?)
}

/// Whether a password is set, so that they can sign in with it.
pub fn has_password(conn: &Connection, id: UserId) -> Result<bool> {
    let mut one = conn.prepare_cached("SELECT 1 FROM users WHERE id = $1 AND password_hash IS NOT NULL")?;
    Ok(one.exists([id])?)
}

/// The admin who came first and is active.
pub fn first_admin(conn: &Connection) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE role = 'admin' AND status = 'active' ORDER BY id LIMIT 1");
    Ok(conn.prepare_cached(&sql)?.query_row([], from_row).optional()?)
}

/// Whether anyone but this user can administer.
pub fn has_other_admin(conn: &Connection, but: UserId) -> Result<bool> {
    let mut other = conn.prepare_cached("SELECT 1 FROM users WHERE role = 'admin' AND status = 'active' AND id <> $1 LIMIT 1")?;
    Ok(other.exists([but])?)
}

pub struct Insert<'a> {
    pub account_id: AccountId,
    pub name: &'a Name,
    pub email: &'a Email,
    pub password_hash: Option<&'a str>,
    pub role: Role,
    pub time_zone: &'a str,
}

pub fn insert(tx: &Transaction, new: &Insert, now: Timestamp) -> Result<User> {
    let sql = format!(
        "INSERT INTO users (id, account_id, name, name_folded, email, email_canonical, password_hash, role, status, time_zone, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $10) RETURNING {COLUMNS}"
    );
    let values = params![
        UserId::new(),
        new.account_id,
        new.name.as_str(),
        new.name.folded(),
        new.email.as_str(),
        new.email.canonical(),
        new.password_hash,
        new.role.name(),
        new.time_zone,
        now
    ];
    tx.prepare_cached(&sql)?.query_row(values, from_row).map_err(meaning)
}

/// The columns to change; what is `None` stays.
#[derive(Default)]
pub struct Update<'a> {
    pub name: Option<&'a Name>,
    pub email: Option<&'a Email>,
    pub password_hash: Option<&'a str>,
    pub role: Option<Role>,
    pub status: Option<UserStatus>,
    pub time_zone: Option<&'a str>,
}

impl Update<'_> {
    /// Whether anything would be other than it is. A password always is: it cannot be compared.
    pub fn changes(&self, user: &User) -> bool {
        self.name.is_some_and(|name| name.as_str() != user.name)
            || self.email.is_some_and(|email| email.as_str() != user.email)
            || self.password_hash.is_some()
            || self.role.is_some_and(|role| role != user.role)
            || self.status.is_some_and(|status| status != user.status)
            || self.time_zone.is_some_and(|zone| zone != user.time_zone)
    }
}

pub fn update(tx: &Transaction, id: UserId, changes: &Update, now: Timestamp) -> Result<User> {
    let sql = format!(
        "UPDATE users SET name = coalesce($1, name), name_folded = coalesce($2, name_folded), email = coalesce($3, email),
             email_canonical = coalesce($4, email_canonical), password_hash = coalesce($5, password_hash),
             role = coalesce($6, role), status = coalesce($7, status), time_zone = coalesce($8, time_zone), updated_at = $9, revision = revision + 1
         WHERE id = $10 RETURNING {COLUMNS}"
    );
    let values = params![
        changes.name.map(Name::as_str),
        changes.name.map(Name::folded),
        changes.email.map(Email::as_str),
        changes.email.map(Email::canonical),
        changes.password_hash,
        changes.role.map(Role::name),
        changes.status.map(UserStatus::name),
        changes.time_zone,
        now,
        id
    ];
    tx.prepare_cached(&sql)?.query_row(values, from_row).map_err(meaning)
}

/// A stronger hash of the same password: no change that anyone sees.
pub fn rehash(tx: &Transaction, id: UserId, old: &str, new: &str) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3")?;
    set.execute(params![new, id, old])?;
    Ok(())
}

/// How the user wants the pages to be: no change of what anyone else sees.
pub fn set_look(tx: &Transaction, id: UserId, look: &Look) -> Result<()> {
    let mut set = tx.prepare_cached("UPDATE users SET theme = $1, shortcuts = $2, language = $3 WHERE id = $4")?;
    set.execute(params![look.theme, look.shortcuts, look.language_tag(), id])?;
    Ok(())
}

/// The password's hash, if one is set.
pub fn password_hash(conn: &Connection, id: UserId) -> Result<Option<String>> {
    let mut one = conn.prepare_cached("SELECT password_hash FROM users WHERE id = $1")?;
    Ok(one.query_row([id], |row| row.get(0)).optional()?.flatten())
}

/// The user, with keys and sessions.
pub fn delete(tx: &Transaction, id: UserId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM users WHERE id = $1")?.execute([id])? > 0)
}

fn meaning(err: rusqlite::Error) -> AppError {
    match violated_unique(&err) {
        Some("users.email_canonical") => AppError::invalid("email", "taken", "Email address is already in use."),
        _ => err.into(),
    }
}

fn from_row(row: &Row) -> rusqlite::Result<User> {
    from_cells(&mut Cells::of(row))
}

/// From the next columns of a row, in the order of [`COLUMNS`].
pub(super) fn from_cells(cells: &mut Cells) -> rusqlite::Result<User> {
    Ok(User {
        id: cells.next()?,
        account_id: cells.next()?,
        name: cells.next()?,
        email: cells.next()?,
        role: Role::parse(cells.text()?).map_err(|problem| damaged(problem.message))?,
        status: UserStatus::parse(cells.text()?).map_err(|problem| damaged(problem.message))?,
        time_zone: cells.next()?,
        look: Look::new(cells.text()?, cells.next()?, cells.text()?),
        has_password: cells.next()?,
        has_second_factor: cells.next()?,
        created_at: cells.at()?,
        updated_at: cells.at()?,
        revision: cells.next()?,
    })
}
