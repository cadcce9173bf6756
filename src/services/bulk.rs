//! One change to many users: those that were chosen, or all that a filter finds. In groups, each one transaction, so
//! that others can write between them; what one user refuses holds back nobody else.

use super::users::Filter;
use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::Scope;
use crate::model::user::{User, UserChanges, UserStatus};
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

/// The most users of one change.
pub const MOST: usize = 10_000;
/// As many users share a transaction: some 50 ms of the one writer.
pub const GROUP: usize = 500;

/// Whom a change is for.
#[derive(Clone, Debug)]
pub enum Chosen {
    These(Vec<UserId>),
    Matching(Filter),
}

#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub changed: usize,
    /// Those who were so already.
    pub unchanged: usize,
    pub failures: Vec<Failure>,
}

/// Somebody who stayed as they were, and why.
#[derive(Clone, Debug)]
pub struct Failure {
    pub id: UserId,
    /// Empty where there is no such user.
    pub name: String,
    pub email: String,
    pub why: String,
}

/// The users that were chosen, up to one more than the most.
pub async fn find(app: &App, caller: &Caller, chosen: Chosen) -> Result<Vec<User>> {
    caller.must_have(Scope::Admin)?;
    let read = move |conn: &store::Conn| match chosen {
        Chosen::These(ids) => {
            let found: Result<Vec<Option<User>>> =
                ids.into_iter().take(MOST + 1).map(|id| store::users::find(conn, id)).collect();
            Ok(found?.into_iter().flatten().collect())
        }
        Chosen::Matching(filter) => {
            let (mut start, mut found) = (Start::Offset(0), Vec::new());
            loop {
                let page = store::users::list(conn, &filter, (start, Order::OldestFirst, Limit::BATCH))?;
                found.extend(page.rows);
                match found.last() {
                    Some(last) if page.has_next && found.len() <= MOST => start = Start::After(last.id),
                    _ => break,
                }
            }
            found.truncate(MOST + 1);
            Ok(found)
        }
    };
    app.store.read(read).await
}

/// Disables or enables them.
pub async fn set_status(app: &App, caller: &Caller, chosen: Chosen, status: UserStatus) -> Result<Outcome> {
    let users = find(app, caller, chosen).await?;
    if users.len() > MOST {
        return Err(AppError::BadRequest(format!("These are more than {MOST} users. Narrow the filter, and do it in parts.")));
    }
    let mut outcome = Outcome::default();
    for group in users.chunks(GROUP) {
        let group = group.to_vec();
        let (by, now) = (caller.clone(), app.clock.now());
        let changed = move |tx: &Tx| group.into_iter().map(|user| set(tx, &by, user, status, now)).collect::<Result<Vec<_>>>();
        for done in app.change(caller, changed, |_| Concerns::Everyone).await? {
            match done {
                Done::Changed => outcome.changed += 1,
                Done::AsItWas => outcome.unchanged += 1,
                Done::Not(failure) => outcome.failures.push(failure),
            }
        }
    }
    Ok(outcome)
}

enum Done {
    Changed,
    AsItWas,
    Not(Failure),
}

fn set(tx: &Tx, by: &Caller, seen: User, status: UserStatus, now: Timestamp) -> Result<Done> {
    let failed = |why: String| Ok(Done::Not(Failure { id: seen.id, name: seen.name.clone(), email: seen.email.clone(), why }));
    let Some(user) = store::users::find(tx, seen.id)? else { return failed("They were deleted meanwhile.".into()) };
    if user.status == status {
        return Ok(Done::AsItWas);
    }
    if status == UserStatus::Disabled && by.user_id == Some(user.id) {
        return failed("You are signed in as this user. Disable yourself on your own page, if you mean it.".into());
    }
    let changes = UserChanges { status: Some(status), ..UserChanges::default() };
    // Nothing is written before it is refused, so the others of the group stand.
    match super::users::change(tx, by, user, &changes, None, now) {
        Ok(_) => Ok(Done::Changed),
        Err(err @ AppError::LastAdmin) => failed(err.to_string()),
        Err(err) => Err(err),
    }
}
