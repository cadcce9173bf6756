//! Accounts, for administrators: list, add, show, change, suspend and resume, and limits of their own.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::chart::Chart;
use super::confirm::ConfirmPage;
use super::view::{Column, Listed, Pages, Sorted, Status, grouped, window_words};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::limits::WindowState;
use crate::model::AppError;
use crate::model::account::{Account, AccountChanges, AccountStatus, NewAccount, Reason, Source};
use crate::model::api_key::Metadata;
use crate::model::error::{FieldErrors, Problem};
use crate::model::ids::AccountId;
use crate::model::name::Name;
use crate::model::page::{Limit, Start};
use crate::model::tier::{Window, Windows};
use crate::model::usage::Range;
use crate::services;

const BASE: &str = "/admin/accounts";

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

/// One option of a filter.
pub struct Choice {
    pub value: String,
    pub words: String,
    pub current: bool,
}

pub struct AccountRow {
    pub id: String,
    pub name: String,
    pub limits: String,
    pub users: String,
    pub keys: String,
    pub created: Moment,
    pub status: Status,
}

#[derive(Template)]
#[template(path = "admin/accounts/show.html")]
pub struct AccountPage {
    pub frame: Frame,
    pub account: AccountRow,
    pub is_active: bool,
    pub updated: Moment,
    pub tier: String,
    /// Where its limits come from, in words.
    pub source: String,
    pub given: Option<GivenWords>,
    pub windows: Vec<WindowRow>,
    pub metadata: String,
    pub chart: Chart,
}

pub struct GivenWords {
    pub reason: String,
    pub by: String,
    pub at: Moment,
}

/// A window that holds, and what is left of it.
pub struct WindowRow {
    pub words: String,
    pub left: String,
    pub resets: String,
}

#[derive(Template)]
#[template(path = "admin/accounts/edit.html")]
pub struct EditAccountPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedAccount,
    pub tiers: Vec<Choice>,
    pub action: String,
    pub back: String,
    pub back_words: String,
    pub is_new: bool,
}

#[derive(Clone, Default)]
pub struct TypedAccount {
    pub name: String,
    pub tier: String,
    pub metadata: String,
}

#[derive(Template)]
#[template(path = "admin/accounts/limits.html")]
pub struct OwnLimitsPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub back: String,
    pub back_words: String,
    pub windows: String,
    pub reason: String,
    /// What holds without limits of its own.
    pub without: String,
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

pub async fn list(who: SignedIn, query: Query<ListQuery>) -> Result<HttpResponse, PageError> {
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
        &[("name", "Name"), ("", "Limits"), ("", "Users"), ("", "API keys"), ("created_at", "Created"), ("", "Status")],
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
    let mut limits = vec![chosen("", "Any".into(), &query.limits)];
    limits.extend(tiers.iter().map(|tier| chosen(&format!("tier:{}", tier.name), tier.name.clone(), &query.limits)));
    limits.push(chosen("default", "Default".into(), &query.limits));
    limits.push(chosen("own", "Limits of its own".into(), &query.limits));
    let current = status.map_or("", AccountStatus::name);
    let page = AccountsPage {
        frame: who.frame("Accounts", Place::Accounts),
        q: q.into(),
        sort: sorted.word().into(),
        limits,
        statuses: vec![
            chosen("", "Any".into(), current),
            chosen("active", "Active".into(), current),
            chosen("suspended", "Suspended".into(), current),
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

impl AccountRow {
    fn new(account: &Account, counts: Option<(u64, u64)>, now: &Now) -> Self {
        let (users, keys) = counts.unwrap_or_default();
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            limits: match (&account.windows, &account.tier) {
                (Some(_), _) => "Its own".into(),
                (None, Some(tier)) => tier.clone(),
                (None, None) => "Default".into(),
            },
            users: grouped(users),
            keys: grouped(keys),
            created: now.moment(account.created_at),
            status: match account.status {
                AccountStatus::Active => Status { word: "Active", tone: "ok" },
                AccountStatus::Suspended => Status { word: "Suspended", tone: "bad" },
            },
        }
    }
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
}

pub async fn show(
    who: SignedIn,
    id: Path<String>,
    (done, asked): (Query<Done>, Query<Asked>),
) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let counts = services::accounts::counts(&who.app, &who.caller, vec![account.id]).await?;
    let range = Range::parse(&asked.range).unwrap_or_default();
    let usage = services::usage::of_account(&who.app, &who.caller, account.id, range).await?;
    let now = who.now();
    let page = AccountPage {
        frame: who.frame(&account.name, Place::Accounts).with_banner(done.banner()),
        is_active: account.status == AccountStatus::Active,
        updated: now.moment(account.updated_at),
        tier: account.tier.clone().unwrap_or_else(|| "None".into()),
        source: match (&account.windows, &account.tier) {
            (Some(_), _) => "limits of its own".into(),
            (None, Some(tier)) => format!("the tier {tier}"),
            (None, None) => "the default limits".into(),
        },
        given: account.given.as_ref().map(|given| GivenWords {
            reason: given.reason.as_str().into(),
            by: given.by.clone(),
            at: now.moment(given.at),
        }),
        windows: window_rows(&usage.windows),
        metadata: if account.metadata.is_empty() { String::new() } else { pretty(&account.metadata) },
        chart: Chart::new(&usage.used, &format!("{BASE}/{}", account.id), &now),
        account: AccountRow::new(&account, counts.get(&account.id).copied(), &now),
    };
    Ok(who.ok(&page))
}

fn window_rows(left: &[WindowState]) -> Vec<WindowRow> {
    let rows = left.iter().rev().map(|state| WindowRow {
        words: Window::new(state.limit, state.seconds).in_words(),
        left: grouped(state.remaining),
        resets: if state.remaining == state.limit {
            "Not begun".into()
        } else {
            format!("in {} s", grouped(state.reset_seconds()))
        },
    });
    rows.collect()
}

fn pretty(metadata: &Metadata) -> String {
    serde_json::to_string_pretty(metadata.as_map()).unwrap_or_default()
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let page = edit_page(&who, None, TypedAccount::default(), FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = TypedAccount::of(&form);
    if form.is_stale {
        return stale(&who, None, typed).await;
    }
    let made = match Name::parse(&typed.name).map_err(|problem| problem.of("name")) {
        Ok(name) => services::accounts::create(&who.app, &who.caller, NewAccount { name, tier: typed.tier() }).await,
        Err(err) => Err(err),
    };
    match made {
        Ok(account) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => refused(&who, None, typed, err).await,
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let typed = TypedAccount {
        name: account.name.clone(),
        tier: account.tier.clone().unwrap_or_default(),
        metadata: if account.metadata.is_empty() { String::new() } else { pretty(&account.metadata) },
    };
    let page = edit_page(&who, Some(&account), typed, FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn update(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let typed = TypedAccount::of(&form);
    if form.is_stale {
        return stale(&who, Some(&account), typed).await;
    }
    let saved = match typed.to_changes() {
        Ok(changes) => services::accounts::update(&who.app, &who.caller, account.id, changes).await,
        Err(err) => Err(err),
    };
    match saved {
        Ok(account) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => refused(&who, Some(&account), typed, err).await,
    }
}

impl TypedAccount {
    fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        Self { name: text("name"), tier: text("tier"), metadata: text("metadata").replace("\r\n", "\n") }
    }

    fn tier(&self) -> Option<String> {
        (!self.tier.is_empty()).then(|| self.tier.clone())
    }

    fn to_changes(&self) -> Result<AccountChanges, AppError> {
        let mut errors = FieldErrors::default();
        let changes = AccountChanges {
            name: errors.note("name", Name::parse(&self.name)),
            tier: Some(self.tier()),
            metadata: errors.note("metadata", Metadata::parse(&self.metadata)),
            ..AccountChanges::default()
        };
        errors.check().map(|()| changes)
    }
}

async fn stale(who: &SignedIn, account: Option<&Account>, typed: TypedAccount) -> Result<HttpResponse, PageError> {
    let mut page = edit_page(who, account, typed, FormErrors::default()).await?;
    page.frame.banner = Some(Banner::renewed());
    Ok(who.ok(&page))
}

async fn refused(
    who: &SignedIn,
    account: Option<&Account>,
    typed: TypedAccount,
    err: AppError,
) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = edit_page(who, account, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

async fn edit_page(
    who: &SignedIn,
    account: Option<&Account>,
    typed: TypedAccount,
    errors: FormErrors,
) -> Result<EditAccountPage, PageError> {
    let default = window_words(&who.app.dialect().default_windows());
    let mut tiers =
        vec![Choice { value: String::new(), words: format!("None: the default, {default}"), current: typed.tier.is_empty() }];
    tiers.extend(services::tiers::list(&who.app).await?.into_iter().map(|tier| Choice {
        words: format!("{}: {}", tier.name, window_words(&tier.windows)),
        current: tier.name == typed.tier,
        value: tier.name,
    }));
    let (title, back, back_words, action) = match account {
        Some(account) => {
            let page = format!("{BASE}/{}", account.id);
            (format!("Edit {}", account.name), page.clone(), account.name.clone(), format!("{page}/edit"))
        }
        None => ("Add account".into(), BASE.into(), "Accounts".into(), BASE.into()),
    };
    Ok(EditAccountPage {
        frame: who.frame(title, Place::Accounts).faulty(&errors),
        errors,
        typed,
        tiers,
        action,
        back,
        back_words,
        is_new: account.is_none(),
    })
}

async fn find(who: &SignedIn, id: &str) -> Result<Account, PageError> {
    let id = AccountId::parse(id).ok_or(AppError::NotFound("account"))?;
    Ok(services::accounts::find(&who.app, &who.caller, id).await?)
}

pub async fn show_limits(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let lines = account.windows.iter().flat_map(Windows::as_slice).rev().map(ToString::to_string);
    let windows = lines.collect::<Vec<_>>().join("\n");
    let reason = account.given.as_ref().map_or("", |given| given.reason.as_str()).to_owned();
    let page = limits_page(&who, &account, windows, reason, FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn set_limits(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let (windows, reason) = (form.text("windows").replace("\r\n", "\n"), form.text("reason").trim().to_owned());
    if form.is_stale {
        let mut page = limits_page(&who, &account, windows, reason, FormErrors::default()).await?;
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let mut errors = FieldErrors::default();
    let parsed = (errors.note("windows", windows_of(&windows)), errors.note("reason", Reason::parse(&reason)));
    let saved = match (parsed, errors.check()) {
        ((Some(windows), Some(reason)), Ok(())) => {
            let changes = AccountChanges { windows: Some(Some(windows)), reason: Some(reason), ..AccountChanges::default() };
            services::accounts::update(&who.app, &who.caller, account.id, changes).await
        }
        (_, Err(err)) => Err(err),
        (_, Ok(())) => Err(AppError::internal("a value that was refused left no error")),
    };
    match saved {
        Ok(_) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => {
            let code = status(&err);
            let page = limits_page(&who, &account, windows, reason, FormErrors::of_refusal(err)?).await?;
            Ok(who.page(code, &page))
        }
    }
}

/// One window on each line, as `1000/1h`.
fn windows_of(text: &str) -> Result<Windows, Problem> {
    let mut windows = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let window =
            Window::parse(line.trim()).map_err(|words| Problem::new("invalid_window", format!("Line {}: {words}.", n + 1)))?;
        windows.push(window);
    }
    if windows.is_empty() {
        return Err(Problem::new("required", "Enter at least one limit, for example 1000/1h."));
    }
    Windows::new(windows).map_err(|words| Problem::new("invalid_windows", format!("Change the lines: {words}.")))
}

async fn limits_page(
    who: &SignedIn,
    account: &Account,
    windows: String,
    reason: String,
    errors: FormErrors,
) -> Result<OwnLimitsPage, PageError> {
    Ok(OwnLimitsPage {
        frame: who.frame(format!("Own limits of {}", account.name), Place::Accounts).faulty(&errors),
        errors,
        back: format!("{BASE}/{}", account.id),
        back_words: account.name.clone(),
        windows,
        reason,
        without: window_words(&services::accounts::limits_without_own(&who.app, &who.caller, account.id).await?),
    })
}

#[derive(Clone, Copy)]
enum Act {
    Suspend,
    Resume,
    TakeLimits,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::TakeLimits => "limits/remove",
        }
    }

    fn changes(self) -> AccountChanges {
        match self {
            Self::Suspend => AccountChanges { status: Some(AccountStatus::Suspended), ..AccountChanges::default() },
            Self::Resume => AccountChanges { status: Some(AccountStatus::Active), ..AccountChanges::default() },
            Self::TakeLimits => AccountChanges { windows: Some(None), ..AccountChanges::default() },
        }
    }
}

pub async fn show_suspend(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Suspend).await
}

pub async fn show_resume(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Resume).await
}

pub async fn show_take_limits(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::TakeLimits).await
}

pub async fn suspend(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::Suspend).await
}

pub async fn resume(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::Resume).await
}

pub async fn take_limits(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    act(who, id, form, Act::TakeLimits).await
}

async fn act(who: SignedIn, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let page = format!("{BASE}/{}", account.id);
    if form.is_stale {
        return Ok(to(format!("{page}/{}?done=renewed", act.path())));
    }
    services::accounts::update(&who.app, &who.caller, account.id, act.changes()).await?;
    Ok(to(page))
}

async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let counts = services::accounts::counts(&who.app, &who.caller, vec![account.id]).await?;
    let (users, keys) = counts.get(&account.id).copied().unwrap_or_default();
    let without = window_words(&services::accounts::limits_without_own(&who.app, &who.caller, account.id).await?);
    let (title, line, button) = match act {
        Act::Suspend => (
            format!("Suspend {}", account.name),
            "All its keys get 401, and its members are signed out, until you resume it. Its administrators can still sign in."
                .into(),
            "Suspend account",
        ),
        Act::Resume => (
            format!("Resume {}", account.name),
            "Its keys are let in again, and its members may sign in.".into(),
            "Resume account",
        ),
        Act::TakeLimits => (
            format!("Remove the own limits of {}", account.name),
            format!("From then on it may make {without}. What it has used counts on."),
            "Remove own limits",
        ),
    };
    let mut facts = vec![("Users", grouped(users)), ("API keys", grouped(keys))];
    if let (Act::TakeLimits, Some(given)) = (act, &account.given) {
        facts = vec![("Reason", given.reason.as_str().to_owned()), ("Given by", given.by.clone())];
    }
    let page = format!("{BASE}/{}", account.id);
    Ok(who.ok(&ConfirmPage {
        frame: who.frame(title, Place::Accounts).with_banner(done.banner()),
        errors: FormErrors::default(),
        action: format!("{page}/{}", act.path()),
        back: page,
        back_words: account.name.clone(),
        lines: vec![line],
        facts,
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: button,
        final_act: false,
    }))
}
