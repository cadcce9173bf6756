//! Adding a user, with an invitation or a password, and changing one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::{BASE, find, link};
use crate::crypto::common::is_common;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::account::NewAccount;
use crate::model::email::Email;
use crate::model::error::{FieldErrors, Problem};
use crate::model::name::Name;
use crate::model::revision::IfMatch;
use crate::model::user::{NewUser, Password, Role, User, UserChanges};
use crate::services;
use crate::services::users::Addition;

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
    /// Of a new user: the name or id of their account, and whether it is to be made.
    pub account: String,
    pub account_is_new: bool,
    /// Of a new user: they choose a password themselves.
    pub invited: bool,
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let account = services::accounts::find(&who.app, &who.caller, who.user.account_id).await?.name;
    let typed = TypedUser { account, invited: true, ..TypedUser::default() };
    let page = page(&who, None, typed, FormErrors::default()).await?;
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
    let added = match typed.to_addition(&who, &form).await {
        Ok(addition) => services::users::add(&who.app, &who.caller, addition).await,
        Err(err) => Err(err),
    };
    match added {
        Ok((user, Some(given))) => Ok(link::show_once(&who, &user, &given, StatusCode::OK)),
        Ok((user, None)) => Ok(to(format!("{BASE}/{}", user.id))),
        Err(err) => refused(&who, None, typed, err).await,
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let typed =
        TypedUser { name: user.name.clone(), email: user.email.clone(), role: user.role.name().into(), ..TypedUser::default() };
    let page = page(&who, Some(&user), typed, FormErrors::default()).await?;
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
    let mut page = page(who, user, typed, FormErrors::default()).await?;
    page.frame.banner = Some(Banner::renewed());
    Ok(who.ok(&page))
}

async fn refused(who: &SignedIn, user: Option<&User>, typed: TypedUser, err: AppError) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = page(who, user, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

impl TypedUser {
    fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        Self {
            name: text("name"),
            email: text("email"),
            role: text("role"),
            account: text("account"),
            account_is_new: form.text("account_is_new") == "yes",
            invited: form.text("sign_in") == "invitation",
        }
    }

    async fn to_addition(&self, who: &SignedIn, form: &Posted) -> Result<Addition, AppError> {
        let mut errors = FieldErrors::default();
        let name = errors.note("name", Name::parse(&self.name));
        let email = errors.note("email", Email::parse(&self.email));
        let role = errors.note("role", Role::parse(&self.role));
        let password = match self.invited {
            true => None,
            false => errors.note("password", password_of(form)),
        };
        let (mut account_id, mut new_account) = (None, None);
        if self.account_is_new {
            let account = errors.note("account", Name::parse(&self.account));
            new_account = account.map(|name| NewAccount { name, tier: None });
        } else if !self.account.is_empty() {
            match services::accounts::find_named(&who.app, &who.caller, &self.account).await {
                Ok(account) => account_id = Some(account.id),
                Err(AppError::NotFound(_)) => {
                    let words = "There is no account with this name or id. Tick “This is a new account” to make it.";
                    errors.add("account", "unknown", words);
                }
                Err(err) => return Err(err),
            }
        }
        match (name, email, role, errors.as_slice()) {
            (Some(name), Some(email), Some(role), []) => {
                let user = NewUser { name, email, password, account_id, role, time_zone: None };
                Ok(Addition { user, new_account, invited: self.invited })
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

async fn page(who: &SignedIn, user: Option<&User>, typed: TypedUser, errors: FormErrors) -> Result<EditUserPage, PageError> {
    let is_taken = errors.iter().any(|error| error.field == "email" && error.code == "taken");
    let taken_by = match Email::parse(&typed.email) {
        Ok(email) if is_taken => services::users::find_by_email(&who.app, &who.caller, email).await.ok(),
        _ => None,
    };
    let (title, back, back_words, action) = match user {
        Some(user) => {
            let page = format!("{BASE}/{}", user.id);
            (t("Edit {name}").with("name", &user.name), page.clone(), user.name.clone(), format!("{page}/edit"))
        }
        None => (t("Add user"), BASE.into(), t("Users").into(), BASE.into()),
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
