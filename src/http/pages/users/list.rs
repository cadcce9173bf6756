//! The list of users: searched, filtered, sorted and paged, all of it in the address.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;

use super::BASE;
use crate::http::csrf::Fields;
use crate::http::page::{Banner, Done, Frame, PageError, Place};
use crate::http::pages::go::path_of;
use crate::http::pages::view::{Column, Listed, Pages, Sorted, UserRow, role_word};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, in_sentence, msg, t};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::ids::UserId;
use crate::model::page::{Limit, Page, Start};
use crate::model::user::{Role, User, UserStatus, UserText};
use crate::services;

#[derive(Template)]
#[template(path = "admin/users/list.html")]
pub struct UsersPage {
    pub frame: Frame,
    pub filtered: Filtered,
    pub sort: String,
    pub order_words: &'static str,
    pub columns: Vec<Column>,
    pub users: Vec<UserRow>,
    /// The address of the filter alone, for whoever chooses all that match.
    pub all: String,
    pub export: String,
    pub pages: Pages,
}

/// What a list of users is narrowed to, as the address says it.
#[derive(Clone, Default)]
pub struct Filtered {
    pub q: String,
    pub role: String,
    pub status: String,
    /// The id of an account, or its name.
    pub account: String,
    /// The name of that account, where there is one.
    pub account_name: String,
    /// No account has that id or name.
    pub is_nobody: bool,
    pub filter: services::users::Filter,
}

impl Filtered {
    pub async fn of(who: &SignedIn, fields: &Fields) -> Result<Self, PageError> {
        let text = |name| fields.text(name).trim().to_owned();
        let mut filtered = Self { q: text("q"), account: text("account"), ..Self::default() };
        let filter = &mut filtered.filter;
        filter.q = (!filtered.q.is_empty()).then(|| filtered.q.clone());
        filter.role = Role::parse(fields.text("role")).ok();
        filter.status = UserStatus::parse(fields.text("status")).ok();
        filter.invited = fields.text("status") == "invited";
        filtered.role = filter.role.map_or("", Role::name).into();
        filtered.status = if filter.invited { "invited" } else { filter.status.map_or("", UserStatus::name) }.into();
        if !filtered.account.is_empty() {
            match services::accounts::find_named(&who.app, &who.caller, &filtered.account).await {
                Ok(account) => {
                    filter.account = Some(account.id);
                    filtered.account = account.id.to_string();
                    filtered.account_name = account.name;
                }
                Err(AppError::NotFound(_)) => {
                    filtered.account_name = filtered.account.clone();
                    filtered.is_nobody = true;
                }
                Err(err) => return Err(err.into()),
            }
        }
        Ok(filtered)
    }

    /// Whether names and addresses are searched, rather than an id.
    fn is_sought(&self) -> bool {
        !self.q.is_empty() && UserId::parse(&self.q.to_lowercase()).is_none()
    }

    pub fn is_any(&self) -> bool {
        [&self.q, &self.role, &self.status, &self.account].iter().any(|text| !text.is_empty())
    }

    /// What the address of a list keeps of it.
    pub fn pairs(&self) -> [(&'static str, &str); 4] {
        [("q", &self.q), ("role", &self.role), ("status", &self.status), ("account", &self.account)]
    }

    /// An address with the filter and more.
    pub fn link(&self, base: &str, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs().iter().filter(|pair| !pair.1.is_empty()));
        query.extend_pairs(more);
        let query = query.finish();
        if query.is_empty() { base.into() } else { format!("{base}?{query}") }
    }

    /// The filter in words: `ada, role admin, account Acme`.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        words.extend((!self.q.is_empty()).then(|| self.q.clone()));
        words.extend(
            self.filter.role.map(|role| t("role {name}").with("name", in_sentence(&String::from(t(role_word(role))))).into()),
        );
        words.extend(status_word(&self.status).map(|word| t("status {name}").with("name", t(word)).into()));
        words.extend((!self.account_name.is_empty()).then(|| t("account {name}").with("name", &self.account_name).into()));
        words.join(", ")
    }
}

pub async fn list(who: SignedIn, fields: Fields, done: Query<Done>) -> Result<HttpResponse, PageError> {
    if let Some(elsewhere) = elsewhere(&who, fields.text("q").trim())? {
        return Ok(to(elsewhere));
    }
    let filtered = Filtered::of(&who, &fields).await?;
    let mut sorted = Sorted::parse(fields.text("sort"), &["name", "email"]);
    if filtered.is_sought() && sorted.by == Sorted::CREATED {
        sorted = Sorted::parse("name", &["name"]);
    }
    let mut listed = Listed::new(BASE, fields.text("limit").parse().ok(), fields.text("from").parse().ok());
    for (name, value) in filtered.pairs() {
        listed = listed.keeping(name, value);
    }
    // No index has both the beginnings of texts and the order of creation.
    let created = if filtered.is_sought() { "" } else { Sorted::CREATED };
    let heads = [
        ("name", msg!("Name")),
        ("email", msg!("Email")),
        ("", msg!("Role")),
        ("", msg!("Account")),
        (created, msg!("Created")),
        ("", msg!("Status")),
    ];
    let columns = sorted.columns(&listed, &heads);
    let listed = listed.keeping("sort", sorted.word());
    let page = page(&who, &filtered, &sorted, &fields, Limit::of(listed.size())).await?;
    let accounts = page.rows.iter().map(|user| user.account_id).collect();
    let accounts = services::accounts::names(&who.app, &who.caller, accounts).await?;
    let ids = page.rows.iter().map(|user| user.id).collect();
    let invited = services::password_links::invited(&who.app, &who.caller, ids).await?;
    let now = who.now();
    let users = page.rows.iter().map(|user| {
        let account = accounts.get(&user.account_id).map_or("", String::as_str);
        UserRow::new(user, account, &now).invited(invited.contains(&user.id))
    });
    let page = UsersPage {
        frame: who.frame(t("Users"), Place::Users).with_banner(banner(&fields).or_else(|| done.banner())),
        sort: sorted.word().into(),
        order_words: if filtered.is_sought() { words_of_a_search(&sorted) } else { sorted.in_words() },
        columns,
        users: users.collect(),
        all: filtered.link(&format!("{BASE}/bulk"), &[("all", "yes")]),
        export: filtered.link(&format!("{BASE}/export"), &[("format", "csv")]),
        pages: listed.pages(&page, |user| user.id.to_string()),
        filtered,
    };
    Ok(who.ok(&page))
}

/// Where a search leads that names one thing whole, a secret before all, which is out of the address then. A user's own id
/// is sought in the list, where the filters go on.
fn elsewhere(who: &SignedIn, q: &str) -> Result<Option<String>, PageError> {
    if UserId::parse(&q.to_lowercase()).is_some() { Ok(None) } else { path_of(who, q) }
}

/// What the change of many did, which the list does not tell.
fn banner(fields: &Fields) -> Option<Banner> {
    let n: u64 = fields.text("n").parse().ok()?;
    match fields.text("done") {
        "bulk-disabled" => Some(Banner::ok(
            count(n, "{n} user disabled", "{n} users disabled"),
            t("They are signed out, and their keys get 401."),
        )),
        "bulk-enabled" => {
            Some(Banner::ok(count(n, "{n} user enabled", "{n} users enabled"), t("They may sign in, and their keys are let in.")))
        }
        "imported" => Some(Banner::ok(
            count(n, "{n} user imported", "{n} users imported"),
            t("Those without a password sign in once you invite them."),
        )),
        "none" => Some(Banner::warn(t("Nobody was chosen"), t("Tick the users first, then choose what to do with them."))),
        _ => None,
    }
}

async fn page(
    who: &SignedIn,
    filtered: &Filtered,
    sorted: &Sorted,
    fields: &Fields,
    limit: Limit,
) -> Result<Page<User>, PageError> {
    if filtered.is_nobody {
        return Ok(Page { rows: Vec::new(), has_prev: false, has_next: false, total: None });
    }
    let given = |name| Some(fields.text(name)).filter(|text| !text.is_empty());
    let (after, before, mut filter) = (given("after"), given("before"), filtered.filter.clone());
    let start = Start::parse(None, after, before, UserId::parse, &mut FieldErrors::default());
    let place = (start, sorted.order(), limit);
    let text = match sorted.by {
        "name" => UserText::Name,
        "email" => UserText::Email,
        _ => return Ok(services::users::list(&who.app, &who.caller, filter, place).await?),
    };
    if let Some(start) = filter.q.take_if(|_| filtered.is_sought()) {
        return Ok(services::users::search(&who.app, &who.caller, filter, (start, text), place).await?);
    }
    Ok(services::users::list_by(&who.app, &who.caller, filter, text, place).await?)
}

fn status_word(name: &str) -> Option<&'static str> {
    match name {
        "active" => Some(msg!("active")),
        "invited" => Some(msg!("invited")),
        "disabled" => Some(msg!("disabled")),
        _ => None,
    }
}

const fn words_of_a_search(sorted: &Sorted) -> &'static str {
    match (sorted.by.as_bytes(), sorted.descending) {
        (b"email", false) => msg!("By email address, then those whose name alone begins so"),
        (b"email", true) => msg!("By email address, backwards, then those whose name alone begins so"),
        (_, false) => msg!("By name, then those whose email address alone begins so"),
        (_, true) => msg!("By name, backwards, then those whose email address alone begins so"),
    }
}
