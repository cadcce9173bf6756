//! Reading the audit log.

use crate::app::App;
use crate::model::Result;
use crate::model::audit_event::AuditEvent;
use crate::model::caller::Caller;
use crate::model::ids::UserId;
use crate::model::scope::Scope;
use crate::store;

/// What a user did and what was done to them, the latest first.
pub async fn concerning(app: &App, caller: &Caller, id: UserId, before: Option<i64>, limit: u32) -> Result<Vec<AuditEvent>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::audit_events::list_concerning(conn, &id.to_string(), before, limit)).await
}
