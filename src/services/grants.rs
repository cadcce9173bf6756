//! What users allowed clients: list, find, revoke. Allowing is in `oauth`.

use serde_json::json;

use super::authorize::{may_act_for, sees};
use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::grant::{Ended, Grant};
use crate::model::ids::{GrantId, UserId};
use crate::model::page::{Limit, Order, Page, Start};
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store::{self, Tx};

pub use crate::store::grants::Filter;

pub async fn list(app: &App, caller: &Caller, filter: Filter, place: (Start<GrantId>, Order, Limit)) -> Result<Page<Grant>> {
    let (account, user) = (caller.account().or(filter.account), caller.only_user().or(filter.user));
    let filter = Filter { account, user, ..filter };
    app.store.read(move |conn| store::grants::list(conn, filter, place)).await
}

pub async fn find(app: &App, caller: &Caller, id: GrantId) -> Result<Grant> {
    let found = app.store.read(move |conn| store::grants::find(conn, id)).await?;
    seen(caller, found)
}

/// Ends a grant: its tokens stop at once, and the client has to ask the user anew.
pub async fn revoke(app: &App, caller: &Caller, id: GrantId) -> Result<Grant> {
    let (by, now) = (caller.clone(), app.clock.now());
    let revoked = move |tx: &Tx| {
        let grant = seen(&by, store::grants::find(tx, id)?)?;
        // A client's own access is in the hands of whoever registered the client.
        let whose = match grant.user_id {
            Some(user) => Some(user),
            None => store::oauth_clients::find(tx, grant.client_id)?.and_then(|client| client.user_id),
        };
        match whose {
            Some(user) => may_act_for(&by, &store::users::find(tx, user)?.ok_or(AppError::NotFound("grant"))?)?,
            None => by.must_have(Scope::Admin)?,
        }
        end(tx, &by, &grant, Ended::Revoked, now)?;
        Ok(grant)
    };
    app.change(caller, revoked, |grant| Concerns::Account(grant.account_id)).await
}

fn seen(caller: &Caller, found: Option<Grant>) -> Result<Grant> {
    // A client's own grant is nobody's in particular.
    let is_seen = |grant: &Grant| match grant.user_id {
        Some(user) => sees(caller, grant.account_id, user),
        None => caller.only_user().is_none() && caller.account().is_none_or(|own| own == grant.account_id),
    };
    found.filter(is_seen).ok_or(AppError::NotFound("grant"))
}

pub(super) fn end(tx: &Tx, caller: &Caller, grant: &Grant, why: Ended, now: Timestamp) -> Result<()> {
    if store::grants::delete(tx, grant.id)? {
        note(tx, caller, now, "oauth.grant.revoked", grant, json!({ "reason": why.reason() }))?;
    }
    Ok(())
}

/// Ends everything that a user allowed.
pub(super) fn end_all_of(tx: &Tx, caller: &Caller, user: UserId, why: Ended, now: Timestamp) -> Result<()> {
    for grant in store::grants::list_of_user(tx, user)? {
        end(tx, caller, &grant, why, now)?;
    }
    Ok(())
}

pub(super) fn note(
    tx: &Tx,
    caller: &Caller,
    now: Timestamp,
    action: &'static str,
    grant: &Grant,
    mut diff: serde_json::Value,
) -> Result<()> {
    diff["client"] = json!(grant.client_id);
    diff["user"] = json!(grant.user_id);
    diff["scopes"] = json!(grant.scopes);
    let happening = Happening::new(action, "grant", grant.id, &grant.client_name).with(diff);
    store::audit_events::append(tx, caller, now, Some(grant.account_id), &happening)
}
