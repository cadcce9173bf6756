//! Where a user is signed in, and signing them out there.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;

use super::{BASE, find, row};
use crate::http::csrf::Posted;
use crate::http::moment::Moment;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::pages::view::UserRow;
use crate::http::signed_in::{SignedIn, to};
use crate::model::AppError;
use crate::model::ids::SessionId;
use crate::services;
use crate::services::sessions::Which;

#[derive(Template)]
#[template(path = "admin/users/sessions.html")]
pub struct SessionsPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub user: UserRow,
    pub sessions: Vec<SessionRow>,
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
    let sessions = services::sessions::list(&who.app, &who.caller, user.id).await?;
    let (now, this) = (who.now(), this(&who));
    let page = SessionsPage {
        frame: who.frame(format!("Sessions of {}", user.name), Place::Users).with_banner(done.banner()),
        tab: "sessions",
        sessions: sessions
            .iter()
            .map(|session| SessionRow {
                id: session.id.to_string(),
                device: device(&session.user_agent),
                ip: session.ip.map_or_else(|| "Unknown".into(), |ip| ip.to_string()),
                began: now.moment(session.created_at),
                seen: now.moment(session.last_seen_at),
                is_this: this == Some(session.id),
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
    let which = match form.text("session") {
        "" => Which::AllBut(this(&who).filter(|_| who.user.id == user.id)),
        session => Which::One(SessionId::parse(session).ok_or(AppError::NotFound("session"))?),
    };
    services::sessions::end(&who.app, &who.caller, user.id, which).await?;
    Ok(to(page))
}

fn this(who: &SignedIn) -> Option<SessionId> {
    who.who.as_ref().map(|(_, session)| session.id)
}

/// `Firefox on Linux`, as far as a browser tells.
fn device(user_agent: &str) -> String {
    let named = |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    // Browsers name those before them as well, so the latest comes first.
    let browser =
        named(&[("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = named(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.into(),
        _ if user_agent.is_empty() => "Unknown".into(),
        _ => user_agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_in_words() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(device(&format!("{chrome} Edg/130.0.0.0")), "Edge on Linux");
        assert_eq!(device("curl/8.0"), "curl/8.0");
        assert_eq!(device(""), "Unknown");
    }
}
