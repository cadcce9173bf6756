//! Bringing in keys that another system made: all of a file's or none.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::authorize::{grantable, may_act_for, seen_user};
use super::idempotency::Keep;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::crypto::SecretHash;
use crate::model::api_key::Expiry;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;
use crate::model::imported_key::{ImportedKey, LineError, MAX_ERRORS, Owner, Records};
use crate::model::scope::ScopeSet;
use crate::model::user::User;
use crate::model::{AppError, Result};
use crate::store::{self, Conn, Tx};

/// What came of a file. With errors nothing was imported.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Imported {
    /// How many keys were imported; in a dry run, how many would be.
    pub imported: usize,
    pub errors: Vec<LineError>,
}

/// A record that can become a key.
struct Ready {
    record: ImportedKey,
    owner: Arc<User>,
    scopes: ScopeSet,
    expires_at: Option<Timestamp>,
}

pub async fn import(app: &App, caller: &Caller, records: Records, dry_run: bool, keep: Keep<Imported>) -> Result<Imported> {
    let (by, now) = (caller.clone(), app.clock.now());
    // Away from the writer, which others wait for; it looks again at what may have changed meanwhile.
    let checked = app.store.read(move |conn| Ok(outcome(check(conn, &by, records, now)?)));
    let (ready, outcome) = checked.await?;
    if dry_run || !outcome.errors.is_empty() {
        return Ok(outcome);
    }
    let by = caller.clone();
    let imported = move |tx: &Tx| {
        let (ready, outcome) = if still_so(tx, &ready)? { (ready, outcome) } else { again(tx, &by, ready, now)? };
        if outcome.errors.is_empty() {
            for ready in ready {
                insert(tx, &by, ready, now)?;
            }
            keep.store(tx, &outcome, now)?;
        }
        Ok(outcome)
    };
    // Everyone: that there are imported keys at all is remembered, too.
    let concerned = |outcome: &Imported| if outcome.errors.is_empty() { Concerns::Everyone } else { Concerns::Nobody };
    app.change(caller, imported, concerned).await
}

/// Whether the owners are as they were checked, and the hashes still free.
fn still_so(tx: &Tx, ready: &[Ready]) -> Result<bool> {
    let owners: HashMap<UserId, &User> = ready.iter().map(|ready| (ready.owner.id, &*ready.owner)).collect();
    for owner in owners.into_values() {
        if store::users::find(tx, owner.id)?.is_none_or(|found| found.revision != owner.revision) {
            return Ok(false);
        }
    }
    for ready in ready {
        if store::api_keys::has_secret(tx, SecretHash::from_bytes(ready.record.hash))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn again(tx: &Tx, caller: &Caller, ready: Vec<Ready>, now: Timestamp) -> Result<(Vec<Ready>, Imported)> {
    let keys = ready.into_iter().map(|ready| ready.record).collect();
    Ok(outcome(check(tx, caller, Records { keys, errors: Vec::new() }, now)?))
}

fn outcome((ready, mut errors): (Vec<Ready>, Vec<LineError>)) -> (Vec<Ready>, Imported) {
    errors.sort_by_key(|error| error.line);
    errors.truncate(MAX_ERRORS);
    let imported = if errors.is_empty() { ready.len() } else { 0 };
    (ready, Imported { imported, errors })
}

fn check(conn: &Conn, caller: &Caller, records: Records, now: Timestamp) -> Result<(Vec<Ready>, Vec<LineError>)> {
    let Records { keys, mut errors } = records;
    let (mut ready, mut lines) = (Vec::with_capacity(keys.len()), HashMap::with_capacity(keys.len()));
    let mut owners = Owners::default();
    for record in keys {
        let line = record.line;
        if let Some(first) = lines.insert(record.hash, line) {
            errors.push(LineError::new(line, "hash", format!("Line {first} has the same hash.")));
            continue;
        }
        match check_one(conn, caller, &mut owners, record, now) {
            Ok(one) => ready.push(one),
            // What the caller may not do is wrong in this line; what we cannot do ends the whole.
            Err(AppError::Invalid(wrong)) => {
                errors.extend(wrong.as_slice().iter().map(|error| LineError::new(line, &error.field, &error.message)));
            }
            Err(err @ (AppError::ScopeBeyondCaller(_) | AppError::MissingScope(_))) => {
                errors.push(LineError::new(line, "scopes", err.to_string()))
            }
            Err(err) => return Err(err),
        }
    }
    Ok((ready, errors))
}

/// The owners that records named, each looked up once.
type Owners = HashMap<Owner, Option<Arc<User>>>;

fn owner_of(conn: &Conn, caller: &Caller, owners: &mut Owners, named: &Owner) -> Result<Arc<User>> {
    let found = match owners.get(named) {
        Some(found) => found.clone(),
        None => {
            let found = match named {
                Owner::Id(id) => store::users::find(conn, *id)?,
                Owner::Email(email) => store::users::find_by_email(conn, email)?,
            };
            let seen = seen_user(caller, found).ok().map(Arc::new);
            owners.entry(named.clone()).or_insert(seen).clone()
        }
    };
    let field = if matches!(named, Owner::Id(_)) { "user_id" } else { "user_email" };
    found.ok_or_else(|| AppError::invalid(field, "not_found", "There is no such user."))
}

fn check_one(conn: &Conn, caller: &Caller, owners: &mut Owners, record: ImportedKey, now: Timestamp) -> Result<Ready> {
    let owner = owner_of(conn, caller, owners, &record.owner)?;
    may_act_for(caller, &owner)?;
    let scopes = grantable(caller, &owner, record.scopes)?;
    let expiry = record.expires_at.map_or(Expiry::Never, Expiry::At);
    let expires_at = expiry.resolve(now).map_err(|problem| problem.of("expires_at"))?;
    if store::api_keys::has_secret(conn, SecretHash::from_bytes(record.hash))? {
        return Err(AppError::invalid("hash", "taken", "There is a key with this hash already."));
    }
    Ok(Ready { record, owner, scopes, expires_at })
}

fn insert(tx: &Tx, caller: &Caller, ready: Ready, now: Timestamp) -> Result<()> {
    let Ready { record, owner, scopes, expires_at } = ready;
    let insert = store::api_keys::Insert {
        user_id: owner.id,
        account_id: owner.account_id,
        name: &record.name,
        scopes,
        expires_at,
        ip_allow: &Default::default(),
        windows: &Default::default(),
        metadata: &record.metadata,
        hash: SecretHash::from_bytes(record.hash),
        hint: &record.hint,
        strip_prefix: Some(&record.strip_prefix),
    };
    let key = store::api_keys::insert(tx, &insert, now)?;
    let diff = json!({ "imported": true, "owner": owner.email, "scopes": scopes, "expires_at": expires_at, "hint": record.hint });
    super::api_keys::note(tx, caller, now, "key.created", &key, diff)
}
