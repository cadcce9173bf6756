//! The request log, for administrators: page by page, one request, and live.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::app::App;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::page::{Limit, Page, Start};
use crate::model::request::{LoggedRequest, RequestFilter};
use crate::model::scope::Scope;
use crate::model::{AppError, Result};
use crate::store;

/// The rows that are kept.
pub const KEPT_ROWS: u32 = 100_000;
/// And for how long.
pub const KEPT_DAYS: u64 = 7;
/// Who may look on live at the same time.
const MOST_WATCHERS: usize = 64;

/// One page, newest first.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: RequestFilter,
    start: Start<i64>,
    limit: Limit,
) -> Result<Page<LoggedRequest>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(move |conn| store::logged_requests::list(conn, &filter, start, limit)).await
}

/// The latest request of this id, even before it is written.
pub async fn find(app: &App, caller: &Caller, request_id: &str) -> Result<LoggedRequest> {
    caller.must_have(Scope::Admin)?;
    let wanted = RequestFilter { request_id: Some(request_id.to_owned()), ..Default::default() };
    if let Some(waiting) = app.request_log.find_waiting(&wanted) {
        return Ok(LoggedRequest::clone(&waiting));
    }
    let id = request_id.to_owned();
    app.store.read(move |conn| store::logged_requests::find(conn, &id)).await?.ok_or(AppError::NotFound("request in the log"))
}

/// When the oldest request that is kept came.
pub async fn oldest(app: &App, caller: &Caller) -> Result<Option<Timestamp>> {
    caller.must_have(Scope::Admin)?;
    app.store.read(store::logged_requests::oldest).await
}

/// Every request that is kept from here on. Who reads too slowly misses some.
pub fn watch(app: &App, caller: &Caller) -> Result<broadcast::Receiver<Arc<LoggedRequest>>> {
    caller.must_have(Scope::Admin)?;
    if app.request_log.watchers() >= MOST_WATCHERS {
        return Err(AppError::Busy { retry_after: Duration::from_secs(60) });
    }
    Ok(app.request_log.watch())
}

/// How long requests are kept.
pub(super) const fn kept() -> Duration {
    Duration::from_secs(KEPT_DAYS * 86_400)
}
