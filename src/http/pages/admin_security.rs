//! What administrators need to sign in, for administrators.

use actix_web::HttpResponse;
use actix_web::web::Query;
use askama::Template;

use crate::http::csrf::Posted;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, t};
use crate::model::page::{Limit, Order, Start};
use crate::model::user::{Role, UserStatus};
use crate::services;

const BASE: &str = "/admin/settings/security";

#[derive(Template)]
#[template(path = "admin/settings/security.html")]
pub struct AdminSecurityPage {
    pub frame: Frame,
    pub required: bool,
    pub words: String,
    /// Id and email of those who have none.
    pub without: Vec<(String, String)>,
}

pub async fn show(who: SignedIn, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let filter = services::users::Filter { role: Some(Role::Admin), status: Some(UserStatus::Active), ..Default::default() };
    let place = (Start::Offset(0), Order::OldestFirst, Limit::of(Limit::MAX));
    let admins = services::users::list(&who.app, &who.caller, filter, place).await?;
    let without: Vec<_> = admins.rows.iter().filter(|user| !user.has_second_factor).collect();
    let words = match (without.len(), admins.has_next) {
        (0, false) => t("Without a second factor: none of {all}."),
        (0, true) => t("Without a second factor: none of the first {all}."),
        (_, false) => t("Without a second factor: {n} of {all}."),
        (_, true) => t("Without a second factor: {n} of the first {all}."),
    };
    let words = words.with("n", without.len()).with("all", admins.rows.len());
    let page = AdminSecurityPage {
        frame: who.frame(t("Administrators"), Place::AdminSecurity).with_banner(done.banner()),
        required: who.app.live.requires_second_factor(),
        words: words.into(),
        without: without.iter().map(|user| (user.id.to_string(), user.email.clone())).collect(),
    };
    Ok(who.ok(&page))
}

pub async fn save(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    services::settings::require_second_factor(&who.app, &who.caller, form.text("require") == "admins").await?;
    Ok(to(format!("{BASE}?done=saved")))
}
