//! The users of this server, for administrators: list, add, show, edit, disable, delete.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::confirm::ConfirmPage;
use super::view::{KeyRow, Listed, Pages, UserRow};
use crate::crypto::common::is_common;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, Done, FormErrors, Frame, Link, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::model::AppError;
use crate::model::api_key::KeyStatus;
use crate::model::email::Email;
use crate::model::error::{FieldErrors, Problem};
use crate::model::ids::UserId;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::revision::IfMatch;
use crate::model::user::{NewUser, Password, Role, User, UserChanges, UserStatus};
use crate::services;
use crate::services::idempotency::Keep;

const BASE: &str = "/admin/users";
/// The keys that the page of a user shows.
const KEYS_SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "admin/users/list.html")]
pub struct UsersPage {
    pub frame: Frame,
    pub summary: String,
    pub q: String,
    /// Empty: as it is without being asked.
    pub sort: String,
    pub order_words: &'static str,
    pub columns: Vec<Column>,
    pub users: Vec<UserRow>,
    pub pages: Pages,
}

pub struct Column {
    pub words: &'static str,
    /// Empty: this column is not sorted by.
    pub href: String,
    /// `ascending`, `descending`, or empty.
    pub sorted: &'static str,
}

#[derive(Template)]
#[template(path = "admin/users/show.html")]
pub struct UserPage {
    pub frame: Frame,
    pub user: UserRow,
    pub keys: Vec<KeyRow>,
}

#[derive(Template)]
#[template(path = "admin/users/edit.html")]
pub struct EditUserPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedUser,
    pub action: String,
    pub back: String,
    pub back_words: String,
    pub is_new: bool,
    /// The id of the user who has the address already.
    pub taken_by: Option<String>,
}

#[derive(Clone, Default)]
pub struct TypedUser {
    pub name: String,
    pub email: String,
    pub role: String,
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

pub async fn list(who: SignedIn, query: Query<ListQuery>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let query = query.into_inner();
    let q = query.q.trim();
    let oldest_first = query.sort == "created_at";
    let sort = if oldest_first { "created_at" } else { "" };
    let listed = Listed::new(BASE, query.limit, query.from).keeping("q", q).keeping("sort", sort);
    let start = Start::parse(None, query.after.as_deref(), query.before.as_deref(), UserId::parse, &mut FieldErrors::default());
    let order = if oldest_first { Order::OldestFirst } else { Order::NewestFirst };
    let filter = services::users::Filter { q: (!q.is_empty()).then(|| q.to_owned()), ..Default::default() };
    let page = services::users::list(&who.app, &who.caller, filter, (start, order, Limit::of(listed.size()))).await?;
    let accounts = page.rows.iter().map(|user| user.account_id).collect();
    let accounts = services::accounts::names(&who.app, &who.caller, accounts).await?;
    let now = who.now();
    let turned =
        Listed::new(BASE, query.limit, None).keeping("q", q).keeping("sort", if oldest_first { "" } else { "created_at" });
    let plain = |words| Column { words, href: String::new(), sorted: "" };
    let created = Column {
        words: "Created",
        href: turned.link(listed.size(), &[]),
        sorted: if oldest_first { "ascending" } else { "descending" },
    };
    let users = page.rows.iter().map(|user| {
        let account = accounts.get(&user.account_id).map_or("", String::as_str);
        UserRow::new(user, account, &now)
    });
    let page = UsersPage {
        frame: who.frame("Users", Place::Users).with_banner(done.banner()),
        summary: "People who sign in here, and who own API keys.".into(),
        q: q.into(),
        sort: sort.into(),
        order_words: if oldest_first { "Oldest first" } else { "Newest first" },
        columns: vec![plain("Name"), plain("Email"), plain("Role"), plain("Account"), created, plain("Status")],
        users: users.collect(),
        pages: listed.pages(&page, |user| user.id.to_string()),
    };
    Ok(who.ok(&page))
}

pub async fn show(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let filter = services::api_keys::Filter { user: Some(user.id), ..Default::default() };
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(KEYS_SHOWN));
    let keys = services::api_keys::list(&who.app, &who.caller, filter, newest).await?;
    let account = services::accounts::find(&who.app, &who.caller, user.account_id).await?;
    let now = who.now();
    let page = UserPage {
        frame: who.frame(&user.name, Place::Users),
        keys: keys.rows.iter().map(|key| KeyRow::new(key, &user.email, &now)).collect(),
        user: UserRow::new(&user, &account.name, &now),
    };
    Ok(who.ok(&page))
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let page = edit_page(&who, None, TypedUser::default(), FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = TypedUser::of(&form);
    if form.is_stale {
        return stale(&who, None, typed).await;
    }
    if typed.role == Role::Admin.name() {
        who.must_be_elevated(&form).await?;
    }
    let made = match typed.to_new(&form) {
        Ok(new) => services::users::create(&who.app, &who.caller, new, Keep::nothing()).await,
        Err(err) => Err(err),
    };
    match made {
        Ok(user) => Ok(to(format!("{BASE}/{}", user.id))),
        Err(err) => refused(&who, None, typed, err).await,
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let typed = TypedUser { name: user.name.clone(), email: user.email.clone(), role: user.role.name().into() };
    let page = edit_page(&who, Some(&user), typed, FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn update(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let typed = TypedUser::of(&form);
    if form.is_stale {
        return stale(&who, Some(&user), typed).await;
    }
    if typed.role != user.role.name() {
        who.must_be_elevated(&form).await?;
    }
    let saved = match typed.to_changes(&form) {
        Ok(changes) => services::users::update(&who.app, &who.caller, user.id, changes, IfMatch::ANY).await,
        Err(err) => Err(err),
    };
    match saved {
        Ok(user) => Ok(to(format!("{BASE}/{}", user.id))),
        Err(err) => refused(&who, Some(&user), typed, err).await,
    }
}

async fn stale(who: &SignedIn, user: Option<&User>, typed: TypedUser) -> Result<HttpResponse, PageError> {
    let mut page = edit_page(who, user, typed, FormErrors::default()).await?;
    page.frame.banner = Some(Banner::renewed());
    Ok(who.ok(&page))
}

async fn refused(who: &SignedIn, user: Option<&User>, typed: TypedUser, err: AppError) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = edit_page(who, user, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

impl TypedUser {
    fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        Self { name: text("name"), email: text("email"), role: text("role") }
    }

    fn to_new(&self, form: &Posted) -> Result<NewUser, AppError> {
        let mut errors = FieldErrors::default();
        let name = errors.note("name", Name::parse(&self.name));
        let email = errors.note("email", Email::parse(&self.email));
        let password = errors.note("password", password_of(form));
        let role = errors.note("role", Role::parse(&self.role));
        match (name, email, password, role) {
            (Some(name), Some(email), Some(password), Some(role)) => {
                Ok(NewUser { name, email, password: Some(password), account_id: None, role, time_zone: None })
            }
            _ => Err(AppError::Invalid(errors)),
        }
    }

    fn to_changes(&self, form: &Posted) -> Result<UserChanges, AppError> {
        let mut errors = FieldErrors::default();
        let changes = UserChanges {
            name: errors.note("name", Name::parse(&self.name)),
            email: errors.note("email", Email::parse(&self.email)),
            password: match form.text("password") {
                "" if !form.lost("password") => None,
                _ => errors.note("password", password_of(form)),
            },
            role: errors.note("role", Role::parse(&self.role)),
            ..UserChanges::default()
        };
        errors.check().map(|()| changes)
    }
}

fn password_of(form: &Posted) -> Result<Password, Problem> {
    match form.text("password") {
        "" if form.lost("password") => {
            Err(Problem::new("lost", "Enter the password once more: it was not kept while you confirmed who you are."))
        }
        text => Password::parse(text, is_common),
    }
}

async fn edit_page(who: &SignedIn, user: Option<&User>, typed: TypedUser, errors: FormErrors) -> Result<EditUserPage, PageError> {
    let is_taken = errors.iter().any(|error| error.field == "email" && error.code == "taken");
    let taken_by = match Email::parse(&typed.email) {
        Ok(email) if is_taken => services::users::find_by_email(&who.app, &who.caller, email).await.ok(),
        _ => None,
    };
    let (title, back, back_words, action) = match user {
        Some(user) => {
            let page = format!("{BASE}/{}", user.id);
            (format!("Edit {}", user.name), page.clone(), user.name.clone(), format!("{page}/edit"))
        }
        None => ("Add user".into(), BASE.into(), "Users".into(), BASE.into()),
    };
    Ok(EditUserPage {
        frame: who.frame(title, Place::Users).faulty(&errors),
        errors,
        typed,
        action,
        back,
        back_words,
        is_new: user.is_none(),
        taken_by: taken_by.map(|user| user.id.to_string()),
    })
}

async fn find(who: &SignedIn, id: &str) -> Result<User, PageError> {
    let id = UserId::parse(id).ok_or(AppError::NotFound("user"))?;
    Ok(services::users::find(&who.app, &who.caller, id).await?)
}

#[derive(Clone, Copy)]
enum Act {
    Disable,
    Enable,
    Delete,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
        }
    }
}

pub async fn show_disable(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Disable).await
}

pub async fn show_enable(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Enable).await
}

pub async fn show_delete(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, id, done, Act::Delete).await
}

async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let mut page = confirm_page(&who, &user, act, String::new(), FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn disable(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, Act::Disable).await
}

pub async fn enable(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, id, form, Act::Enable).await
}

async fn switch(who: SignedIn, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/{}?done=renewed", user.id, act.path())));
    }
    let status = if matches!(act, Act::Enable) { UserStatus::Active } else { UserStatus::Disabled };
    let changes = UserChanges { status: Some(status), ..UserChanges::default() };
    match services::users::update(&who.app, &who.caller, user.id, changes, IfMatch::ANY).await {
        Ok(_) => Ok(to(format!("{BASE}/{}", user.id))),
        Err(err) => not_done(&who, &user, act, String::new(), err).await,
    }
}

pub async fn delete(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/delete?done=renewed", user.id)));
    }
    let typed = form.text("confirm").trim();
    if !typed.eq_ignore_ascii_case(&user.email) {
        let different = Problem::new("different", format!("Type {} to delete the user.", user.email)).of("confirm");
        return not_done(&who, &user, Act::Delete, typed.into(), different).await;
    }
    who.must_be_elevated(&form).await?;
    match services::users::delete(&who.app, &who.caller, user.id, IfMatch::ANY).await {
        Ok(_) => Ok(to(format!("{BASE}?done=deleted"))),
        Err(err) => not_done(&who, &user, Act::Delete, typed.into(), err).await,
    }
}

async fn not_done(who: &SignedIn, user: &User, act: Act, typed: String, err: AppError) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = confirm_page(who, user, act, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

async fn confirm_page(
    who: &SignedIn,
    user: &User,
    act: Act,
    typed: String,
    errors: FormErrors,
) -> Result<ConfirmPage, PageError> {
    let filter = services::api_keys::Filter { user: Some(user.id), ..Default::default() };
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(KEYS_SHOWN));
    let keys = services::api_keys::list(&who.app, &who.caller, filter, newest).await?;
    let now = who.app.clock.now();
    let working: Vec<&str> = keys
        .rows
        .iter()
        .filter(|key| matches!(key.status(now), KeyStatus::Active | KeyStatus::Rotating))
        .map(|key| key.name.as_str())
        .collect();
    let stopping = match working.as_slice() {
        [] => "None".into(),
        names if names.len() <= 5 => names.join(", "),
        names => format!("{}, and {} more", names[..5].join(", "), names.len() - 5),
    };
    let (title, line, button) = match act {
        Act::Disable => ("Disable", "They are signed out, and their keys get 401, until you enable them again.", "Disable user"),
        Act::Enable => ("Enable", "They may sign in again, and their keys are let in again.", "Enable user"),
        Act::Delete => {
            ("Delete", "Their keys and sessions stop at once, and are deleted with them. This cannot be undone.", "Delete user")
        }
    };
    let is_final = matches!(act, Act::Delete);
    let page = format!("{BASE}/{}", user.id);
    Ok(ConfirmPage {
        frame: who.frame(format!("{title} {}", user.name), Place::Users).faulty(&errors),
        errors,
        action: format!("{page}/{}", act.path()),
        lines: vec![line.into()],
        facts: vec![("Email", user.email.clone()), ("Working keys", stopping)],
        instead: (is_final && user.status == UserStatus::Active)
            .then(|| Link { href: format!("{page}/disable"), words: "Disable them instead, which can be undone".into() }),
        back: page,
        back_words: user.name.clone(),
        typed_label: "Type their email address",
        typed_name: if is_final { user.email.clone() } else { String::new() },
        typed,
        act: button,
        final_act: is_final,
    })
}
