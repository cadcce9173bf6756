//! What was used: the figures and charts of the dashboard, and the batches in which requests are counted.

use std::collections::HashMap;

use super::authorize::seen_key;
use crate::app::App;
use crate::app::usage::Batch;
use crate::limits::WindowState;
use crate::limits::rate;
use crate::model::Result;
use crate::model::account::Account;
use crate::model::api_key::ApiKey;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::scope::Scope;
use crate::model::service::Checks;
use crate::model::usage::{Range, Span, Subject, Tally};
use crate::store;

use crate::store::key_views::Whose;

pub use crate::store::usage::KeyCounts;

/// Past this many active users nobody counts.
pub const ACTIVE_COUNTED: u32 = 10_000;
/// Routes and services of one subject.
const ROWS_SHOWN: u32 = 8;

/// The requests of one subject over a range.
#[derive(Clone, Debug)]
pub struct Used {
    pub range: Range,
    /// One for each bar of a chart, oldest first.
    pub bars: Vec<(Timestamp, Tally)>,
    pub total: Tally,
    /// The routes that were called most. Those of a whole day where the range is an hour.
    pub routes: Vec<(String, Tally)>,
    /// The services that had keys checked most, by label; of a whole day, too, where the range is an hour.
    pub services: Vec<(String, Checks)>,
}

/// What the overview tells of everyone.
#[derive(Clone, Debug)]
pub struct Overview {
    pub used: Used,
    /// Up to one more than [`ACTIVE_COUNTED`].
    pub active_users: u64,
    pub most: Vec<KeyCounts>,
    pub most_limited: Vec<KeyCounts>,
    /// A request with a valid key has come.
    pub has_begun: bool,
}

pub async fn overview(app: &App, caller: &Caller, range: Range, keys: u32) -> Result<Overview> {
    caller.must_have(Scope::Admin)?;
    let now = app.clock.now();
    app.store
        .read(move |conn| {
            let (span, ..) = range.bars();
            let since = range.start(now);
            let (most, most_limited) = store::usage::top_keys(conn, span, since, keys)?;
            Ok(Overview {
                used: used(conn, Subject::Everyone, range, now)?,
                active_users: store::api_keys::count_active_users(conn, since, ACTIVE_COUNTED)?,
                most,
                most_limited,
                has_begun: store::usage::has_any(conn)?,
            })
        })
        .await
}

/// What one key used, for whoever sees the key.
pub async fn of_key(app: &App, caller: &Caller, key: &ApiKey, range: Range) -> Result<Used> {
    let id = seen_key(caller, Some(key.clone()))?.id;
    let now = app.clock.now();
    app.store.read(move |conn| used(conn, Subject::Key(id), range, now)).await
}

/// What an account may still do now, what it used, and which keys used it.
#[derive(Clone, Debug)]
pub struct AccountUsage {
    pub account: Account,
    pub windows: Vec<WindowState>,
    pub used: Used,
    /// Those with the most requests in the last 24 hours; a member's own alone.
    pub keys: Vec<(ApiKey, KeyCounts)>,
}

/// The keys that are looked at, and those of them that are told.
const KEYS_LOOKED_AT: u32 = 200;
const KEYS_TOLD: usize = 20;

pub async fn of_account(app: &App, caller: &Caller, id: AccountId, range: Range) -> Result<AccountUsage> {
    let (account, windows) = super::accounts::limits(app, caller, id).await?;
    let counters = app.rates.counters_of_account(id);
    let left = rate::peek(&counters, windows.as_slice(), None, 0, app.clock.tick());
    let whose = caller.only_user().map_or(Whose::Account(id), Whose::User);
    let now = app.clock.now();
    let since = Range::Day.start(now);
    let look = move |conn: &store::Conn| {
        let keys = store::key_views::list_used(conn, whose, since, KEYS_LOOKED_AT)?;
        let ids: Vec<ApiKeyId> = keys.iter().map(|key| key.id).collect();
        let counts = store::usage::requests_of(conn, &ids, Span::Hour, since)?;
        let counted = keys.into_iter().filter_map(|key| counts.get(&key.id).map(|&counts| (key, counts)));
        let mut keys: Vec<(ApiKey, KeyCounts)> = counted.collect();
        keys.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.requests));
        keys.truncate(KEYS_TOLD);
        Ok((used(conn, Subject::Account(id), range, now)?, keys))
    };
    let (used, keys) = app.store.read(look).await?;
    Ok(AccountUsage { account, windows: left.windows().to_vec(), used, keys })
}

/// How many requests each of these keys made in the last 24 hours; those without any are left out.
pub async fn requests_of_a_day(app: &App, caller: &Caller, keys: &[ApiKey]) -> Result<HashMap<ApiKeyId, KeyCounts>> {
    let seen = keys.iter().filter_map(|key| seen_key(caller, Some(key.clone())).ok());
    let ids: Vec<ApiKeyId> = seen.map(|key| key.id).collect();
    let since = Range::Day.start(app.clock.now());
    app.store.read(move |conn| store::usage::requests_of(conn, &ids, Span::Hour, since)).await
}

fn used(conn: &store::Conn, subject: Subject, range: Range, now: Timestamp) -> Result<Used> {
    let (span, each, count) = range.bars();
    let (since, step) = (range.start(now), span.millis() * each);
    let start_of = |bar: usize| Timestamp::from_millis(since.millis() + step * bar as i64);
    let mut bars: Vec<(Timestamp, Tally)> = (0..count).map(|bar| (start_of(bar), Tally::default())).collect();
    let mut total = Tally::default();
    for (start, tally) in store::usage::series(conn, subject, span, since)? {
        // A clock that was set back may have left counts of the future.
        let bar = usize::try_from((start.millis() - since.millis()) / step).unwrap_or(0);
        if let Some((_, bar)) = bars.get_mut(bar) {
            bar.add(&tally);
            total.add(&tally);
        }
    }
    let (span, since) = if span == Span::Minute { (Span::Hour, Range::Day.start(now)) } else { (span, since) };
    Ok(Used {
        range,
        bars,
        total,
        routes: store::usage::routes(conn, subject, span, since, ROWS_SHOWN)?,
        services: store::service_counts::most(conn, subject, span, since, ROWS_SHOWN)?,
    })
}

/// Writes what was counted, and the request log, since the last time.
pub async fn flush(app: &App) -> Result<()> {
    let counted = write_counts(app).await;
    counted.and(write_log(app).await)
}

async fn write_counts(app: &App) -> Result<()> {
    let Batch { parts, refused, rate_limited } = app.usage.take();
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let (requests, services) = part.rows();
        let write = app.store.write(move |tx| {
            store::usage::add(tx, &requests)?;
            store::service_counts::add(tx, &services)
        });
        if let Err(err) = write.await {
            app.usage.not_written(std::iter::once(part).chain(parts));
            return Err(err);
        }
    }
    super::notices::note_refusals(app, refused, rate_limited).await
}

async fn write_log(app: &App) -> Result<()> {
    let requests = app.request_log.take();
    if requests.is_empty() {
        return Ok(());
    }
    let some = requests.clone();
    let write = app.store.write(move |tx| store::logged_requests::insert(tx, &some));
    write.await.inspect_err(|_| app.request_log.not_written(requests))
}
