//! What users allowed to programs: one's own list, and ending one of them, one's own or anybody's.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;

use super::confirm::ConfirmPage;
use super::view::{Listed, Pages};
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::grant::Grant;
use crate::model::ids::GrantId;
use crate::model::page::{Limit, Order, Start};
use crate::services;

const BASE: &str = "/settings/connected-apps";

#[derive(Template)]
#[template(path = "settings/connected_apps.html")]
pub struct AppsPage {
    pub frame: Frame,
    pub apps: Vec<GrantRow>,
    pub pages: Pages,
}

/// What one user allowed one client, in a list.
pub struct GrantRow {
    pub id: String,
    pub client: String,
    /// The user's address; empty: the client's own.
    pub user: String,
    pub scopes: String,
    pub since: Moment,
    pub last_used: Option<Moment>,
    pub from: String,
}

impl GrantRow {
    pub fn new(grant: &Grant, user: &str, now: &Now) -> Self {
        Self {
            id: grant.id.to_string(),
            client: grant.client_name.clone(),
            user: user.into(),
            scopes: grant.scopes.to_string().replace(' ', ", "),
            since: now.moment(grant.created_at),
            last_used: grant.last_used_at.map(|at| now.moment(at)),
            from: grant.last_used_ip.map(|ip| t("from {ip}").with("ip", ip).into()).unwrap_or_default(),
        }
    }
}

#[derive(Default, serde::Deserialize)]
pub struct ListQuery {
    limit: Option<u32>,
    after: Option<String>,
    before: Option<String>,
    from: Option<u64>,
}

impl ListQuery {
    /// The page of a list that is asked for; a cursor that cannot be one is none.
    pub fn place<Id>(self, base: &'static str, parse: impl Fn(&str) -> Option<Id>) -> (Listed, Start<Id>) {
        let listed = Listed::new(base, self.limit, self.from);
        let start = Start::parse(None, self.after.as_deref(), self.before.as_deref(), parse, &mut FieldErrors::default());
        (listed, start)
    }
}

pub async fn list(who: SignedIn, query: Query<ListQuery>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let (listed, start) = query.into_inner().place(BASE, GrantId::parse);
    let own = services::grants::Filter { user: Some(who.user.id), ..Default::default() };
    let place = (start, Order::NewestFirst, Limit::of(listed.size()));
    let found = services::grants::list(&who.app, &who.caller, own, place).await?;
    let now = who.now();
    let page = AppsPage {
        frame: who.frame(t("Connected apps"), Place::Apps).with_banner(done.banner()),
        apps: found.rows.iter().map(|grant| GrantRow::new(grant, "", &now)).collect(),
        pages: listed.pages(&found, |grant| grant.id.to_string()),
    };
    Ok(who.ok(&page))
}

pub async fn ask_own(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let grant = find_own(&who, &id).await?;
    ask_for(&who, &grant, (BASE.into(), BASE, &*String::from(t("Connected apps")), Place::Apps), done).await
}

pub async fn revoke_own(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let grant = find_own(&who, &id).await?;
    revoke_it(&who, &grant, (BASE.into(), BASE), form).await
}

pub async fn ask(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let grant = find(&who, &id).await?;
    let place = (client_page(&grant), "/admin/grants", grant.client_name.as_str(), Place::Clients);
    ask_for(&who, &grant, place, done).await
}

pub async fn revoke(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let grant = find(&who, &id).await?;
    revoke_it(&who, &grant, (client_page(&grant), "/admin/grants"), form).await
}

fn client_page(grant: &Grant) -> String {
    format!("/admin/clients/{}", grant.client_id)
}

async fn find(who: &SignedIn, id: &str) -> Result<Grant, AppError> {
    let id = GrantId::parse(id).ok_or(AppError::NotFound("grant"))?;
    services::grants::find(&who.app, &who.caller, id).await
}

/// An administrator sees everyone's, but here only their own.
async fn find_own(who: &SignedIn, id: &str) -> Result<Grant, AppError> {
    let grant = find(who, id).await?;
    if grant.user_id == Some(who.user.id) { Ok(grant) } else { Err(AppError::NotFound("grant")) }
}

async fn ask_for(
    who: &SignedIn,
    grant: &Grant,
    (back, base, back_words, place): (String, &str, &str, Place),
    done: Query<Done>,
) -> Result<HttpResponse, PageError> {
    let user = match grant.user_id {
        Some(user) => services::users::find(&who.app, &who.caller, user).await?.email,
        None => "Nobody: it is the client’s own".into(),
    };
    let now = who.now();
    let row = GrantRow::new(grant, &user, &now);
    let used = row.last_used.map_or_else(|| t("Never").into(), |last| format!("{} {}", last.relative, row.from));
    let page = ConfirmPage {
        frame: who.frame(t("Revoke the access of {client}").with("client", &grant.client_name), place).with_banner(done.banner()),
        errors: FormErrors::default(),
        back,
        back_words: back_words.into(),
        action: format!("{base}/{}/revoke", grant.id),
        lines: vec![t("Its tokens stop at once. It can ask again, and gets nothing until it is allowed anew.").into()],
        facts: vec![(msg!("User"), row.user), (msg!("Scopes"), row.scopes), (msg!("Last used"), used)],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: msg!("Revoke access"),
        final_act: true,
    };
    Ok(who.ok(&page))
}

async fn revoke_it(who: &SignedIn, grant: &Grant, (back, base): (String, &str), form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{base}/{}/revoke?done=renewed", grant.id)));
    }
    services::grants::revoke(&who.app, &who.caller, grant.id).await?;
    Ok(to(format!("{back}?done=access-revoked")))
}
