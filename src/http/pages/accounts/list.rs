//! The list of accounts: search, filters, order.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use super::{AccountRow, BASE, Choice};
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::pages::view::{Column, Listed, Pages, Sorted};
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, msg, t};
use crate::model::account::{AccountStatus, Source};
use crate::model::error::FieldErrors;
use crate::model::ids::AccountId;
use crate::model::page::{Limit, Start};
use crate::services;

#[derive(Template)]
#[template(path = "admin/accounts/list.html")]
pub struct AccountsPage {
    pub frame: Frame,
    pub q: String,
    pub sort: String,
    pub limits: Vec<Choice>,
    pub statuses: Vec<Choice>,
    pub is_filtered: bool,
    pub columns: Vec<Column>,
    pub accounts: Vec<AccountRow>,
    pub pages: Pages,
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    limits: String,
    #[serde(default)]
    status: String,
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

pub async fn list(who: SignedIn, query: Query<ListQuery>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let query = query.into_inner();
    let q = query.q.trim();
    let sorted = Sorted::parse(&query.sort, &["name"]);
    let tiers = services::tiers::list(&who.app).await?;
    let source = source_of(&query.limits);
    let status = AccountStatus::parse(&query.status).ok();
    let listed = Listed::new(BASE, query.limit, query.from)
        .keeping("q", q)
        .keeping("limits", if source.is_some() { &query.limits } else { "" })
        .keeping("status", status.map_or("", AccountStatus::name));
    let columns = sorted.columns(
        &listed,
        &[
            ("name", msg!("Name")),
            ("", msg!("Limits")),
            ("", msg!("Users")),
            ("", msg!("API keys")),
            ("created_at", msg!("Created")),
            ("", msg!("Status")),
        ],
    );
    let listed = listed.keeping("sort", sorted.word());
    let filter = services::accounts::Filter { q: (!q.is_empty()).then(|| q.to_owned()), limits: source.clone(), status };
    let limit = Limit::of(listed.size());
    let (after, before) = (query.after.as_deref(), query.before.as_deref());
    let start = Start::parse(None, after, before, AccountId::parse, &mut FieldErrors::default());
    let place = (start, sorted.order(), limit);
    let page = match sorted.by {
        "name" => services::accounts::list_by_name(&who.app, &who.caller, filter, place).await?,
        _ => services::accounts::list(&who.app, &who.caller, filter, place).await?,
    };
    let ids = page.rows.iter().map(|account| account.id).collect();
    let counts = services::accounts::counts(&who.app, &who.caller, ids).await?;
    let now = who.now();
    let rows = page.rows.iter().map(|account| AccountRow::new(account, counts.get(&account.id).copied(), &now));
    let chosen = |value: &str, words: String, now: &str| Choice { value: value.into(), words, current: value == now };
    let mut limits = vec![chosen("", t("Any").into(), &query.limits)];
    limits.extend(tiers.iter().map(|tier| chosen(&format!("tier:{}", tier.name), tier.name.clone(), &query.limits)));
    limits.push(chosen("default", t("No tier").into(), &query.limits));
    limits.push(chosen("own", t("Limits of its own").into(), &query.limits));
    let current = status.map_or("", AccountStatus::name);
    let page = AccountsPage {
        frame: who.frame(t("Accounts"), Place::Accounts).with_banner(done.banner()),
        q: q.into(),
        sort: sorted.word().into(),
        limits,
        statuses: vec![
            chosen("", t("Any").into(), current),
            chosen("active", t("Active").into(), current),
            chosen("suspended", t("Suspended").into(), current),
        ],
        is_filtered: !q.is_empty() || source.is_some() || status.is_some(),
        columns,
        accounts: rows.collect(),
        pages: listed.pages(&page, |account| account.id.to_string()),
    };
    Ok(who.ok(&page))
}

fn source_of(text: &str) -> Option<Source> {
    match text {
        "own" => Some(Source::Own),
        "default" => Some(Source::Default),
        text => text.strip_prefix("tier:").map(|tier| Source::Tier(tier.to_owned())),
    }
}
