//! The lists of keys that the dashboard offers: for each the index that serves it, in the order that the index has.

use rusqlite::{Connection, ToSql, params};

use super::api_keys::{find, from_row, select};
use super::lists::{self, By, Conditions};
use crate::model::Result;
use crate::model::api_key::ApiKey;
use crate::model::clock::Timestamp;
use crate::model::ids::{AccountId, ApiKeyId, UserId};
use crate::model::key_view::{KeySort, KeySought, KeyView};
use crate::model::name::fold;
use crate::model::page::{Limit, Order, Page, Start};

/// Someone with fewer keys is served by walking theirs, whatever the list.
const FEW: i64 = 2_000;
const DAY_SECONDS: u64 = 86_400;

const BY_ID: By = By { value: "", of_row: "", id: "k.id" };
const BY_NAME: By = By { value: "k.name_folded", of_row: "SELECT name_folded FROM api_keys WHERE id = {}", id: "k.id" };
const BY_END: By = By { value: "k.expires_at", of_row: "SELECT expires_at FROM api_keys WHERE id = {}", id: "k.id" };
const BY_OLD_END: By = By { value: "k.old_expires_at", of_row: "SELECT old_expires_at FROM api_keys WHERE id = {}", id: "k.id" };
const BY_USE: By = By {
    value: "coalesce(k.last_used_at, k.created_at)",
    of_row: "SELECT coalesce(last_used_at, created_at) FROM api_keys WHERE id = {}",
    id: "k.id",
};
const BY_OWNER: By = By {
    value: "u.email_canonical",
    of_row: "SELECT email_canonical FROM users WHERE id = (SELECT user_id FROM api_keys WHERE id = {})",
    id: "k.id",
};

/// One page of a view: of one user's keys, or of everyone's.
pub fn list(
    conn: &Connection,
    user: Option<UserId>,
    (view, sort): (KeyView, KeySort),
    (start, limit): (Start<ApiKeyId>, Limit),
    now: Timestamp,
) -> Result<Page<ApiKey>> {
    let mut only = Conditions::default();
    let days = |n: u64| std::time::Duration::from_secs(n * DAY_SECONDS);
    const WORKS: &str = "k.ended = 0 AND k.enabled = 1 AND (k.expires_at IS NULL OR k.expires_at > {})";
    let (index, by, order) = match view {
        KeyView::All if sort.is_by_name() => ("api_keys_name", BY_NAME, sort.order()),
        // The primary key has no name to ask for it by, and needs none.
        KeyView::All => ("", BY_ID, sort.order()),
        KeyView::Active => {
            only.add(WORKS, now);
            only.add("(k.old_expires_at IS NULL OR k.old_expires_at <= {})", now);
            ("api_keys_working", BY_ID, Order::NewestFirst)
        }
        KeyView::Unused => {
            only.add(WORKS, now);
            only.add("coalesce(k.last_used_at, k.created_at) < {}", now.saturating_sub(days(KeyView::UNUSED_DAYS)));
            ("api_keys_idle", BY_USE, Order::OldestFirst)
        }
        KeyView::Expiring => {
            only.add("k.revoked_at IS NULL AND k.enabled = 1 AND k.expires_at > {}", now);
            only.add("k.expires_at <= {}", now.saturating_add(days(KeyView::EXPIRING_DAYS)));
            ("api_keys_expiry", BY_END, Order::OldestFirst)
        }
        KeyView::NoExpiry => {
            only.fixed("k.expires_at IS NULL AND k.ended = 0");
            ("api_keys_no_expiry", BY_ID, Order::NewestFirst)
        }
        KeyView::Rotating => {
            only.add(WORKS, now);
            only.add("k.old_expires_at > {}", now);
            ("api_keys_rotating", BY_OLD_END, Order::OldestFirst)
        }
        KeyView::Disabled => {
            only.add("k.ended = 0 AND k.enabled = 0 AND (k.expires_at IS NULL OR k.expires_at > {})", now);
            ("api_keys_disabled", BY_ID, Order::NewestFirst)
        }
        KeyView::Expired => {
            only.add("k.revoked_at IS NULL AND k.expires_at <= {}", now);
            ("api_keys_expiry", BY_END, Order::NewestFirst)
        }
        KeyView::Revoked => {
            only.fixed("k.revoked_at IS NOT NULL");
            ("api_keys_revoked", BY_ID, Order::NewestFirst)
        }
    };
    let index = among(conn, user, index, &mut only)?;
    let mut page = lists::page_by(conn, &select(index), by, only, (start, order, limit), from_row)?;
    if view == KeyView::All && user.is_none() {
        page.total = Some(lists::total(conn, "api_keys", None)?);
    }
    Ok(page)
}

/// One page of what is sought, in the order in which it is written.
pub fn search(
    conn: &Connection,
    user: Option<UserId>,
    sought: &KeySought,
    (start, limit): (Start<ApiKeyId>, Limit),
) -> Result<Page<ApiKey>> {
    let mut only = Conditions::default();
    let place = (start, Order::OldestFirst, limit);
    match sought {
        KeySought::Id(id) => {
            let rows = find(conn, *id)?.filter(|key| user.is_none_or(|user| key.user_id == user)).into_iter().collect();
            Ok(Page { rows, has_prev: false, has_next: false, total: None })
        }
        KeySought::Hint(hint) => {
            only.add("(k.hint = {} OR k.old_hint = {})", hint.clone());
            if let Some(user) = user {
                only.add("k.user_id = {}", user);
            }
            lists::page_by(conn, &select(""), BY_ID, only, place, from_row)
        }
        KeySought::Owner(email) => {
            only.begins("u.email_canonical >= {low} AND u.email_canonical < {high}", &fold(email));
            if let Some(user) = user {
                only.add("k.user_id = {}", user);
            }
            let select = select("").replace("FROM api_keys k", "FROM users u CROSS JOIN api_keys k ON k.user_id = u.id");
            lists::page_by(conn, &select, BY_OWNER, only, place, from_row)
        }
        KeySought::Name(name) => {
            only.begins("k.name_folded >= {low} AND k.name_folded < {high}", &fold(name));
            let index = among(conn, user, "api_keys_name", &mut only)?;
            lists::page_by(conn, &select(index), BY_NAME, only, place, from_row)
        }
    }
}

/// Whose keys are meant.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    User(UserId),
    Account(AccountId),
}

/// The keys that were used since then, the latest first.
pub fn list_used(conn: &Connection, whose: Whose, since: Timestamp, limit: u32) -> Result<Vec<ApiKey>> {
    let (id, column, walk): (Box<dyn ToSql>, _, _) = match whose {
        Whose::User(user) => (Box::new(user), "user_id", "api_keys_user"),
        Whose::Account(account) => (Box::new(account), "account_id", "api_keys_account"),
    };
    let some = format!("SELECT count(*) FROM (SELECT 1 FROM api_keys WHERE {column} = $1 LIMIT $2)");
    let count: i64 = conn.prepare_cached(&some)?.query_row(params![id, FEW], |row| row.get(0))?;
    let index = if count < FEW { walk } else { "api_keys_last_use" };
    let mut used = conn.prepare_cached(&format!(
        "{} WHERE k.{column} = $1 AND k.last_used_at >= $2 ORDER BY k.last_used_at DESC LIMIT $3",
        select(index)
    ))?;
    Ok(used.query_map(params![id, since, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Narrows a list to one user's keys; the index by which it is then read.
fn among(conn: &Connection, user: Option<UserId>, index: &'static str, only: &mut Conditions) -> Result<&'static str> {
    let Some(user) = user else { return Ok(index) };
    only.add("k.user_id = {}", user);
    let mut some = conn.prepare_cached("SELECT count(*) FROM (SELECT 1 FROM api_keys WHERE user_id = $1 LIMIT $2)")?;
    let count: i64 = some.query_row(params![user, FEW], |row| row.get(0))?;
    Ok(if count < FEW || index.is_empty() { "api_keys_user" } else { index })
}
