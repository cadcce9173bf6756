//! Bringing in users from a file: in one transaction, so that a file is imported once or not at all. They come without a
//! password, and sign in once they are invited.

use std::collections::HashMap;
use std::time::Duration;

use super::backups::Progress;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::secret::random_token;
use crate::model::account::NewAccount;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::AccountId;
use crate::model::imported_key::LineError;
use crate::model::imported_user::{ImportedUser, Records};
use crate::model::name::{Name, fold};
use crate::model::scope::Scope;
use crate::model::user::{NewUser, Role, User, UserChanges, UserStatus};
use crate::model::{AppError, Result};
use crate::store::{self, Conn, Tx};

/// How long a file waits for somebody to say that it is right.
const FILE_LIFE: Duration = Duration::from_secs(60 * 60);

/// What happens to a row whose address somebody has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    Skip,
    /// They get the row's name, role and status, where it has one. Their account stays.
    Update,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub known: Known,
    /// For rows that name no account; none: the importer's own.
    pub account: Option<AccountId>,
    /// Accounts that are named and missing are made.
    pub makes_accounts: bool,
    /// Rows with mistakes are left out; else one of them holds back the whole file.
    pub leaves_out: bool,
}

/// What came of a file, or in a dry run what would.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Imported {
    pub created: usize,
    pub updated: usize,
    /// Known users who were left as they are.
    pub skipped: usize,
    pub accounts_created: usize,
    pub errors: Vec<LineError>,
}

impl Imported {
    /// Rows with mistakes hold back the whole.
    pub fn is_held_back(&self, options: &Options) -> bool {
        !self.errors.is_empty() && !options.leaves_out
    }
}

/// What would come of it; changes nothing.
pub async fn check(app: &App, caller: &Caller, records: Records, options: Options) -> Result<Imported> {
    caller.must_have(Scope::Admin)?;
    let by = caller.clone();
    app.store.read(move |conn| Ok(plan(conn, &by, records, &options)?.1)).await
}

/// Imports them. `done` counts the rows on the way.
pub async fn import(app: &App, caller: &Caller, records: Records, options: Options, done: Progress) -> Result<Imported> {
    caller.must_have(Scope::Admin)?;
    let (by, now) = (caller.clone(), app.clock.now());
    app.change(caller, move |tx| run(tx, &by, records, &options, now, &*done), |_| Concerns::Everyone).await
}

/// A row that can be imported.
struct Step {
    line: usize,
    what: What,
}

enum What {
    Create { user: NewUser, status: UserStatus, account: Place },
    Update { user: User, changes: UserChanges },
}

/// Where a new user belongs.
#[derive(Clone)]
enum Place {
    Account(AccountId),
    /// One that is made first, by its folded name.
    New(String),
}

fn run(
    tx: &Tx,
    caller: &Caller,
    records: Records,
    options: &Options,
    now: Timestamp,
    done: &(dyn Fn(u64, u64) -> bool + Send + Sync),
) -> Result<Imported> {
    let (steps, imported, missing) = plan(tx, caller, records, options)?;
    if imported.is_held_back(options) {
        return Ok(imported);
    }
    let mut made = HashMap::new();
    for (folded, name) in missing {
        let account = super::accounts::insert(tx, caller, &NewAccount { name, tier: None }, now)?;
        made.insert(folded, account.id);
    }
    let total = steps.len() as u64;
    for (n, Step { line, what }) in (1..).zip(steps) {
        apply(tx, caller, what, &made, now).map_err(|err| at(line, err))?;
        done(n, total);
    }
    Ok(imported)
}

fn apply(tx: &Tx, caller: &Caller, what: What, made: &HashMap<String, AccountId>, now: Timestamp) -> Result<()> {
    match what {
        What::Create { user, status, account } => {
            let account = match account {
                Place::Account(id) => id,
                Place::New(folded) => made.get(&folded).copied().ok_or(AppError::NotFound("account"))?,
            };
            let user = super::users::insert(tx, caller, &user, account, None, now)?;
            if status == UserStatus::Disabled {
                let changes = UserChanges { status: Some(status), ..UserChanges::default() };
                super::users::change(tx, caller, user, &changes, None, now)?;
            }
        }
        What::Update { user, changes } => {
            super::users::change(tx, caller, user, &changes, None, now)?;
        }
    }
    Ok(())
}

/// An error with the line that it is about; it takes everything back.
fn at(line: usize, err: AppError) -> AppError {
    match err {
        AppError::Invalid(_) | AppError::LastAdmin => {
            AppError::invalid("", "refused", format!("Line {line}: {err} Nothing was imported."))
        }
        err => err,
    }
}

type Missing = Vec<(String, Name)>;

fn plan(conn: &Conn, caller: &Caller, records: Records, options: &Options) -> Result<(Vec<Step>, Imported, Missing)> {
    let mut imported = Imported { errors: records.errors, ..Imported::default() };
    let mut places = Places { conn, caller, options, known: HashMap::new(), missing: Vec::new() };
    let mut steps = Vec::with_capacity(records.users.len());
    for record in records.users {
        let line = record.line;
        if let Some(user) = store::users::find_by_email(conn, &record.email)? {
            match changes(record, &user).filter(|_| options.known == Known::Update) {
                Some(changes) => {
                    imported.updated += 1;
                    steps.push(Step { line, what: What::Update { user, changes } });
                }
                None => imported.skipped += 1,
            }
            continue;
        }
        match create(record, &mut places) {
            Ok(what) => {
                imported.created += 1;
                steps.push(Step { line, what });
            }
            Err(AppError::Invalid(wrong)) => {
                imported.errors.extend(wrong.as_slice().iter().map(|error| LineError::new(line, &error.field, &error.message)));
            }
            Err(err) => return Err(err),
        }
    }
    imported.errors.sort_by_key(|error| error.line);
    imported.accounts_created = places.missing.len();
    Ok((steps, imported, places.missing))
}

/// What the row would change of a known user.
fn changes(record: ImportedUser, user: &User) -> Option<UserChanges> {
    let changes = UserChanges {
        name: record.name.filter(|name| name.as_str() != user.name),
        role: record.role.filter(|role| *role != user.role),
        status: record.status.filter(|status| *status != user.status),
        ..UserChanges::default()
    };
    (changes.name.is_some() || changes.role.is_some() || changes.status.is_some()).then_some(changes)
}

fn create(record: ImportedUser, places: &mut Places) -> Result<What> {
    let name = record.name.map_or_else(|| Name::parse(record.email.local_part()), Ok).map_err(|problem| problem.of("name"))?;
    let account = places.find(record.account.as_deref())?;
    let role = record.role.unwrap_or(Role::Member);
    let user = NewUser { name, email: record.email, password: None, account_id: None, role, time_zone: None };
    Ok(What::Create { user, status: record.status.unwrap_or(UserStatus::Active), account })
}

/// The accounts that rows name, each looked up once.
struct Places<'a> {
    conn: &'a Conn,
    caller: &'a Caller,
    options: &'a Options,
    known: HashMap<String, Place>,
    missing: Missing,
}

impl Places<'_> {
    fn find(&mut self, named: Option<&str>) -> Result<Place> {
        let key = named.map(fold).unwrap_or_default();
        if let Some(place) = self.known.get(&key) {
            return Ok(place.clone());
        }
        let place = match named {
            None => self.own()?,
            Some(named) => self.look_up(named, &key)?,
        };
        self.known.insert(key, place.clone());
        Ok(place)
    }

    fn look_up(&mut self, named: &str, folded: &str) -> Result<Place> {
        let found = match AccountId::parse(named) {
            Some(id) => store::accounts::find(self.conn, id)?,
            None => store::accounts::find_by_name(self.conn, named)?,
        };
        match found {
            Some(account) => Ok(Place::Account(account.id)),
            None if self.options.makes_accounts => {
                let name = Name::parse(named).map_err(|problem| problem.of("account"))?;
                self.missing.push((folded.to_owned(), name));
                Ok(Place::New(folded.to_owned()))
            }
            None => {
                let shown: String = named.chars().take(60).collect();
                Err(AppError::invalid("account", "unknown", format!("There is no account {shown}.")))
            }
        }
    }

    /// Where rows go that name no account.
    fn own(&mut self) -> Result<Place> {
        if let Some(account) = self.options.account {
            return Ok(Place::Account(account));
        }
        if let Some(user) = self.caller.user_id {
            let user = store::users::find(self.conn, user)?.ok_or(AppError::NotFound("user"))?;
            return Ok(Place::Account(user.account_id));
        }
        if let Some(account) = store::accounts::find_by_name(self.conn, super::accounts::DEFAULT)? {
            return Ok(Place::Account(account.id));
        }
        let name = Name::parse(super::accounts::DEFAULT).map_err(|problem| problem.of("account"))?;
        let folded = name.folded();
        self.missing.push((folded.clone(), name));
        Ok(Place::New(folded))
    }
}

/// Keeps a file until somebody has looked at what would come of it; answers the name it is found by.
pub async fn keep(app: &App, caller: &Caller, text: String) -> Result<String> {
    caller.must_have(Scope::Admin)?;
    let (code, now) = (random_token().to_string(), app.clock.now());
    let kept = code.clone();
    let end = now.saturating_add(FILE_LIFE);
    app.change(caller, move |tx| store::user_imports::insert(tx, &kept, &text, end), |()| Concerns::Nobody).await?;
    Ok(code)
}

pub async fn kept(app: &App, caller: &Caller, code: &str) -> Result<String> {
    caller.must_have(Scope::Admin)?;
    let (code, now) = (code.to_owned(), app.clock.now());
    app.store.read(move |conn| store::user_imports::find(conn, &code, now)).await?.ok_or(AppError::NotFound("import"))
}

/// Imports a kept file, once: whoever sends the form again is told that there is none.
pub async fn import_kept(app: &App, caller: &Caller, code: &str, records: Records, options: Options) -> Result<Imported> {
    caller.must_have(Scope::Admin)?;
    let (by, now, code) = (caller.clone(), app.clock.now(), code.to_owned());
    let imported = move |tx: &Tx| {
        if !store::user_imports::take(tx, &code, now)? {
            return Err(AppError::NotFound("import"));
        }
        run(tx, &by, records, &options, now, &|_, _| true)
    };
    app.change(caller, imported, |_| Concerns::Everyone).await
}
