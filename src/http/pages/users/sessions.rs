//! Where a user is signed in, and signing them out there.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;

use super::{BASE, find, row};
use crate::http::csrf::Posted;
use crate::http::moment::Moment;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::pages::security::device;
use crate::http::pages::view::UserRow;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::ids::SessionId;
use crate::services;

#[derive(Template)]
#[template(path = "admin/users/sessions.html")]
pub struct SessionsPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub user: UserRow,
    pub sessions: Vec<SessionRow>,
    /// One of them looks at the page.
    pub is_here: bool,
}

pub struct SessionRow {
    pub id: String,
    pub device: String,
    pub ip: String,
    pub began: Moment,
    pub seen: Moment,
    /// It is the one that looks at the page.
    pub is_this: bool,
}

pub async fn sessions(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let sessions = services::sessions::list(&who.app, user.id).await?;
    let now = who.now();
    let page = SessionsPage {
        frame: who.frame(t("Sessions of {name}").with("name", &user.name), Place::Users).with_banner(done.banner()),
        tab: "sessions",
        is_here: sessions.iter().any(|session| who.session.id == session.id),
        sessions: sessions
            .iter()
            .map(|session| SessionRow {
                id: session.id.to_string(),
                device: device::words(&session.user_agent),
                ip: session.ip.map_or_else(|| t("Unknown").into(), |ip| ip.to_string()),
                began: now.moment(session.created_at),
                seen: now.moment(session.last_seen_at),
                is_this: who.session.id == session.id,
            })
            .collect(),
        user: row(&who, &user).await?,
    };
    Ok(who.ok(&page))
}

/// Ends the session that the form names, or all of them but the one that looks on.
pub async fn end(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let page = format!("{BASE}/{}/sessions", user.id);
    if form.is_stale {
        return Ok(to(format!("{page}?done=renewed")));
    }
    match form.text("session") {
        "" if who.user.id == user.id => services::sessions::end_others(&who.app, &who.caller, &user, Some(who.token())).await?,
        "" => services::sessions::end_others(&who.app, &who.caller, &user, None).await?,
        session => {
            let id = SessionId::parse(session).ok_or(AppError::NotFound("session"))?;
            services::sessions::end(&who.app, &who.caller, &user, id).await?;
        }
    }
    Ok(to(page))
}
