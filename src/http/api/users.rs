//! Users, for programs.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Data, Path};

use super::allowed::{Allowed, AnyScope, UsersRead, UsersWrite};
use super::fields::Fields;
use super::idempotent::{Once, once};
use super::query::Query;
use super::reply::insert;
use super::{Result, id_from, reply};
use crate::app::App;
use crate::crypto::common::is_common;
use crate::model::AppError;
pub use crate::model::body::UserBody;
use crate::model::email::Email;
use crate::model::error::Problem;
use crate::model::ids::{AccountId, UserId};
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::user::{NewUser, Password, Role, User, UserChanges, UserStatus};
use crate::services;
use crate::services::idempotency::Replay;

pub async fn me(who: Allowed<AnyScope>, req: HttpRequest) -> Result {
    let user = who.credential.acts_for().ok_or(AppError::UserRequired)?;
    let written = || (reply::to_json(&UserBody::from(user)).into(), etag(user).into());
    let (body, etag) = who.credential.written.me.get_or_init(written);
    Ok(reply::tagged_text(&req, body.clone(), etag.clone()))
}

pub async fn list(who: Allowed<UsersRead>, app: Data<App>, req: HttpRequest, mut query: Query) -> Result {
    let place = query.place(UserId::parse);
    let filter = services::users::Filter {
        email: query.text("email", Email::parse),
        q: query.text("q", |text| Ok(text.to_owned())).filter(|q| !q.is_empty()),
        created_after: query.time("created_after"),
        created_before: query.time("created_before"),
        ..Default::default()
    };
    query.finish()?;
    let (start, _, limit) = place;
    let page = services::users::list(&app, &who.caller, filter, place).await?;
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|user| user.id, UserBody::from)))
}

pub async fn show(who: Allowed<UsersRead>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, UserId::parse, "user")?;
    let user = services::users::find(&app, &who.caller, id).await?;
    Ok(reply::tagged(&req, &UserBody::from(&user), &etag(&user)))
}

pub async fn create(who: Allowed<UsersWrite>, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let name = body.required("name", Name::parse);
    let email = body.required("email", Email::parse);
    let password = body.required("password", |typed| Password::parse(typed, is_common));
    let account_id = body.text("account_id", |text| {
        AccountId::parse(text).ok_or_else(|| Problem::new("invalid_id", "`account_id` must be the id of an account."))
    });
    let role = body.text("role", Role::parse);
    let [name] = body.all_of([name])?;
    let [email] = body.all_of([email])?;
    if role.is_some() {
        who.caller.must_have(Scope::Admin)?;
    }
    let new = NewUser { name, email, password, account_id, role: role.unwrap_or(Role::Member), time_zone: None };
    let created =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| services::users::create(&app, &who.caller, new, keep));
    Ok(match created.await? {
        Once::Before(response) => response,
        Once::Done(user) => {
            let mut response = reply::json(StatusCode::CREATED, &UserBody::from(&user));
            insert(&mut response, LOCATION, &location(&user));
            insert(&mut response, ETAG, &etag(&user));
            response
        }
    })
}

/// PATCH and PUT alike: only the fields given change.
pub async fn update(who: Allowed<UsersWrite>, app: Data<App>, req: HttpRequest, path: Path<String>, mut body: Fields) -> Result {
    let changes = UserChanges {
        name: body.text("name", Name::parse),
        email: body.text("email", Email::parse),
        password: body.text("password", |typed| Password::parse(typed, is_common)),
        role: body.text("role", Role::parse),
        status: body.text("status", UserStatus::parse),
        time_zone: None,
    };
    body.finish()?;
    let id = id_from(path, UserId::parse, "user")?;
    let user = services::users::update(&app, &who.caller, id, changes, reply::if_match(&req)).await?;
    let mut response = reply::json(StatusCode::OK, &UserBody::from(&user));
    insert(&mut response, ETAG, &etag(&user));
    Ok(response)
}

pub async fn delete(who: Allowed<UsersWrite>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, UserId::parse, "user")?;
    services::users::delete(&app, &who.caller, id, reply::if_match(&req)).await?;
    Ok(reply::deleted(&req, "user", id))
}

fn stored(user: &User) -> Replay {
    Replay { status: 201, location: Some(location(user)), etag: Some(etag(user)), body: reply::to_json(&UserBody::from(user)) }
}

fn location(user: &User) -> String {
    format!("/v1/users/{}", user.id)
}

fn etag(user: &User) -> String {
    format!("\"{}\"", user.revision)
}
