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

/// Whoever has fewer keys is served by walking theirs, whatever the list.
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

/// One page of a view: of a user's or an account's keys, or of everyone's.
pub fn list(
    conn: &Connection,
    whose: Option<Whose>,
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
    let index = among(conn, whose, index, &mut only)?;
    let mut page = lists::page_by(conn, &select(index), by, only, (start, order, limit), from_row)?;
    if view == KeyView::All && whose.is_none() {
        page.total = Some(lists::total(conn, "api_keys", None)?);
    }
    Ok(page)
}

/// One page of what is sought, in the order in which it is written.
pub fn search(
    conn: &Connection,
    whose: Option<Whose>,
    sought: &KeySought,
    (start, limit): (Start<ApiKeyId>, Limit),
) -> Result<Page<ApiKey>> {
    let mut only = Conditions::default();
    let place = (start, Order::OldestFirst, limit);
    match sought {
        KeySought::Id(id) => {
            let rows = find(conn, *id)?.filter(|key| whose.is_none_or(|whose| whose.has(key))).into_iter().collect();
            Ok(Page { rows, has_prev: false, has_next: false, total: None })
        }
        KeySought::Hint(hint) => {
            only.add("(k.hint = {} OR k.old_hint = {})", hint.clone());
            if let Some(whose) = whose {
                whose.narrow(&mut only);
            }
            lists::page_by(conn, &select(""), BY_ID, only, place, from_row)
        }
        KeySought::Owner(email) => {
            only.begins("u.email_canonical >= {low} AND u.email_canonical < {high}", &fold(email));
            if let Some(whose) = whose {
                whose.narrow(&mut only);
            }
            let select = select("").replace("FROM api_keys k", "FROM users u CROSS JOIN api_keys k ON k.user_id = u.id");
            lists::page_by(conn, &select, BY_OWNER, only, place, from_row)
        }
        KeySought::Name(name) => {
            only.begins("k.name_folded >= {low} AND k.name_folded < {high}", &fold(name));
            let index = among(conn, whose, "api_keys_name", &mut only)?;
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

impl Whose {
    fn has(self, key: &ApiKey) -> bool {
        match self {
            Self::User(id) => key.user_id == id,
            Self::Account(id) => key.account_id == id,
        }
    }

    fn narrow(self, only: &mut Conditions) {
        match self {
            Self::User(id) => only.add("k.user_id = {}", id),
            Self::Account(id) => only.add("k.account_id = {}", id),
        }
    }

    /// The column that tells, its value, and the index by which their keys are walked.
    fn column(self) -> (&'static str, Box<dyn ToSql>, &'static str) {
        match self {
            Self::User(id) => ("user_id", Box::new(id), "api_keys_user"),
            Self::Account(id) => ("account_id", Box::new(id), "api_keys_account"),
        }
    }

    /// Whether they have so few keys that walking those serves any list.
    fn has_few(self, conn: &Connection) -> Result<bool> {
        let (column, id, _) = self.column();
        let some = format!("SELECT count(*) FROM (SELECT 1 FROM api_keys WHERE {column} = $1 LIMIT $2)");
        let count: i64 = conn.prepare_cached(&some)?.query_row(params![id, FEW], |row| row.get(0))?;
        Ok(count < FEW)
    }
}

/// The keys that were used since then, the latest first.
pub fn list_used(conn: &Connection, whose: Whose, since: Timestamp, limit: u32) -> Result<Vec<ApiKey>> {
    let (column, id, walk) = whose.column();
    let mut used = conn.prepare_cached(&format!(
        "{} WHERE k.{column} = $1 AND k.last_used_at >= $2 ORDER BY k.last_used_at DESC LIMIT $3",
        select(if whose.has_few(conn)? { walk } else { "api_keys_last_use" })
    ))?;
    Ok(used.query_map(params![id, since, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Narrows a list to somebody's keys; the index by which it is then read.
fn among(conn: &Connection, whose: Option<Whose>, index: &'static str, only: &mut Conditions) -> Result<&'static str> {
    let Some(whose) = whose else { return Ok(index) };
    whose.narrow(only);
    let (_, _, walk) = whose.column();
    Ok(if index.is_empty() || whose.has_few(conn)? { walk } else { index })
}
