//! Lists of keys: views that are links, a search, and an order, all of it in the address.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use super::Realm;
use crate::http::page::{Done, Frame, Link, PageError};
use crate::http::pages::view::{KeyRow, Listed, Pages};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, in_sentence, msg, t};
use crate::model::AppError;
use crate::model::account::Account;
use crate::model::api_key::ApiKey;
use crate::model::ids::{AccountId, ApiKeyId};
use crate::model::key_view::{KeySort, KeySought, KeyView};
use crate::model::page::{Limit, Page, Start};
use crate::services;
use crate::services::api_keys::Whose;
use crate::services::go::Named;

#[derive(Template)]
#[template(path = "admin/api_keys/list.html")]
pub struct KeysPage {
    pub frame: Frame,
    pub realm: Realm,
    pub q: String,
    /// The account that the list is narrowed to, by its name or as it was typed; empty: every one.
    pub account: String,
    pub views: Vec<ViewLink>,
    /// What the list is narrowed to, where nothing matches it.
    pub words: String,
    pub order_words: &'static str,
    pub other_order: Option<Link>,
    /// Where the names' column leads; empty: this list has an order of its own.
    pub by_name: String,
    /// `ascending`, `descending`, or empty.
    pub name_sorted: &'static str,
    pub keys: Vec<KeyRow>,
    pub pages: Pages,
    /// There is no key at all, rather than none that matches.
    pub is_empty: bool,
    pub base_url: String,
}

/// A saved filter.
pub struct ViewLink {
    pub href: String,
    pub words: &'static str,
    pub current: bool,
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    account: String,
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

pub async fn list(who: SignedIn, realm: Realm, query: Query<ListQuery>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let query = query.into_inner();
    let q = query.q.trim();
    if let Some(elsewhere) = elsewhere(&who, realm, q)? {
        return Ok(to(elsewhere));
    }
    // A search is among all keys: with a filter besides, no index would serve it.
    let view = KeyView::parse(&query.status).filter(|_| q.is_empty()).unwrap_or_default();
    let sort = if view == KeyView::All && q.is_empty() { KeySort::parse(&query.sort) } else { KeySort::default() };
    let narrowed = Narrowed::of(&who, realm, query.account.trim()).await?;
    let listed = Listed::new(realm.base(), query.limit, query.from).keeping("account", &narrowed.account);
    let listed = listed.keeping("q", q).keeping("status", view.name()).keeping("sort", sort.name());
    let start = Start::parse(None, query.after.as_deref(), query.before.as_deref(), ApiKeyId::parse, &mut Default::default());
    let is_first = start == Start::Offset(0);
    let place = (start, Limit::of(listed.size()));
    let sought = (!q.is_empty()).then(|| KeySought::parse(q));
    let page = match (sought.clone(), narrowed.whose) {
        (_, Err(Unknown)) => Page { rows: Vec::new(), has_prev: false, has_next: false, total: None },
        (Some(sought), Ok(whose)) => services::api_keys::search(&who.app, &who.caller, whose, sought, place).await?,
        (None, Ok(whose)) => services::api_keys::view(&who.app, &who.caller, whose, (view, sort), place).await?,
    };
    let owners = page.rows.iter().map(|key| key.user_id).collect();
    let owners = services::users::find_all(&who.app, &who.caller, owners).await?;
    let accounts = page.rows.iter().map(|key| key.account_id).collect();
    let accounts = services::accounts::find_all(&who.app, &who.caller, accounts).await?;
    let used = services::usage::requests_of_a_day(&who.app, &who.caller, &page.rows).await?;
    let now = who.now();
    let row = |key: &ApiKey| {
        let owner = owners.get(&key.user_id).map_or("", |owner| owner.email.as_str());
        KeyRow::new(key, owner, &now).with_usage(used.get(&key.id)).with_tier(tier_of(&accounts, key))
    };
    let words = match q {
        "" => t("status: {view}").with("view", in_sentence(&String::from(t(view.words())))).into(),
        q => q.to_owned(),
    };
    let words = match narrowed.account.as_str() {
        "" => words,
        _ => t("{words}, account: {name}").with("words", words).with("name", &narrowed.name).into(),
    };
    let plain = || Listed::new(realm.base(), None, None).keeping("account", &narrowed.account);
    let sorted = |sort: KeySort| plain().keeping("sort", sort.name()).link(listed.size(), &[]);
    let views = KeyView::ALL.iter().map(|&each| ViewLink {
        href: plain().keeping("status", each.name()).link(listed.size(), &[]),
        words: each.words(),
        current: each == view && q.is_empty(),
    });
    let has_orders = view == KeyView::All && q.is_empty();
    let pages = listed.pages(&page, |key| key.id.to_string());
    let title = if realm.is_own() { t("API Keys") } else { t("API keys") };
    let title = if is_first { title } else { t("{title}, {rows}").with("title", title).with("rows", &pages.words) };
    let page = KeysPage {
        frame: who.frame(title, realm.place()).with_banner(done.banner()),
        realm,
        q: q.into(),
        views: views.collect(),
        words,
        order_words: order_words(view, sort, sought.as_ref()),
        other_order: has_orders.then(|| {
            let (other, words) = match sort {
                KeySort::Newest => (KeySort::Oldest, t("Oldest first")),
                _ => (KeySort::Newest, t("Newest first")),
            };
            Link { href: sorted(other), words: words.into() }
        }),
        by_name: match sort {
            _ if !has_orders => String::new(),
            KeySort::Name => sorted(KeySort::NameBackwards),
            _ => sorted(KeySort::Name),
        },
        name_sorted: match sort {
            KeySort::Name => "ascending",
            KeySort::NameBackwards => "descending",
            _ => "",
        },
        is_empty: page.rows.is_empty() && has_orders && is_first && narrowed.account.is_empty(),
        account: narrowed.name,
        keys: page.rows.iter().map(row).collect(),
        pages,
        base_url: who.facts.base_url().into(),
    };
    Ok(who.ok(&page))
}

/// Where a search leads that names one thing whole: a request by its id; and a whole secret to its key, or to its hint,
/// out of the address either way.
fn elsewhere(who: &SignedIn, realm: Realm, q: &str) -> Result<Option<String>, PageError> {
    if q.is_empty() {
        return Ok(None);
    }
    Ok(match services::go::named(&who.app, &who.caller, q)? {
        Some(Named::Request(id)) => Some(format!("/admin/requests/{id}")),
        Some(Named::Key(id)) if ApiKeyId::parse(&q.to_lowercase()).is_none() => Some(format!("{}/{id}", realm.base())),
        Some(Named::Hint(hint)) => {
            let hint: String = url::form_urlencoded::byte_serialize(hint.as_bytes()).collect();
            Some(format!("{}?q={hint}", realm.base()))
        }
        _ => None,
    })
}

/// Whose keys a list shows.
struct Narrowed {
    whose: Result<Option<Whose>, Unknown>,
    /// As an address keeps it: the id, or what was typed where there is no such account.
    account: String,
    name: String,
}

/// No account has that id or name.
#[derive(Clone, Copy)]
struct Unknown;

impl Narrowed {
    async fn of(who: &SignedIn, realm: Realm, typed: &str) -> Result<Self, PageError> {
        if realm.is_own() || typed.is_empty() {
            let whose = Ok(realm.is_own().then_some(Whose::User(who.user.id)));
            return Ok(Self { whose, account: String::new(), name: String::new() });
        }
        match services::accounts::find_named(&who.app, &who.caller, typed).await {
            Ok(account) => {
                Ok(Self { whose: Ok(Some(Whose::Account(account.id))), account: account.id.to_string(), name: account.name })
            }
            Err(AppError::NotFound(_)) => Ok(Self { whose: Err(Unknown), account: typed.into(), name: typed.into() }),
            Err(err) => Err(err.into()),
        }
    }
}

const fn order_words(view: KeyView, sort: KeySort, sought: Option<&KeySought>) -> &'static str {
    match (sought, view, sort) {
        (Some(KeySought::Owner(_)), ..) => msg!("By owner"),
        (Some(KeySought::Name(_)), ..) | (None, KeyView::All, KeySort::Name) => msg!("By name"),
        (None, KeyView::All, KeySort::NameBackwards) => msg!("By name, from the end"),
        (None, KeyView::All, KeySort::Oldest) | (Some(_), ..) => msg!("Oldest first"),
        (None, KeyView::Unused, _) => msg!("Unused for the longest first"),
        (None, KeyView::Expiring, _) => msg!("Within 14 days, the first to end first"),
        (None, KeyView::Expired, _) => msg!("The last to end first"),
        (None, KeyView::Rotating, _) => msg!("The first old secret to end first"),
        (None, ..) => msg!("Newest first"),
    }
}

/// What limits a key's account, in a word.
fn tier_of(accounts: &HashMap<AccountId, Account>, key: &ApiKey) -> String {
    let Some(account) = accounts.get(&key.account_id) else { return String::new() };
    match (&account.windows, &account.tier) {
        (Some(_), _) => t("Own limits").into(),
        (None, Some(tier)) => tier.clone(),
        (None, None) => t("No tier").into(),
    }
}
