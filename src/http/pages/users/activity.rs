//! What a user did, and what was done to them.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::{BASE, find, row};
use crate::http::csrf::Fields;
use crate::http::page::{Frame, PageError, Place};
use crate::http::pages::audit::EventRow;
use crate::http::pages::view::UserRow;
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, t};
use crate::services;

const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "admin/users/activity.html")]
pub struct ActivityPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub user: UserRow,
    pub events: Vec<EventRow>,
    pub older: Option<String>,
    /// These are not the latest.
    pub newest: Option<String>,
}

pub async fn activity(who: SignedIn, id: Path<String>, fields: Fields) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let before = fields.text("before").parse().ok();
    let mut events = services::audit::concerning(&who.app, &who.caller, user.id, before, ROWS + 1).await?;
    let has_more = events.len() > ROWS as usize;
    events.truncate(ROWS as usize);
    let now = who.now();
    let own = format!("{BASE}/{}/activity", user.id);
    let page = ActivityPage {
        frame: who.frame(t("Activity of {name}").with("name", &user.name), Place::Users),
        tab: "activity",
        older: events.last().filter(|_| has_more).map(|last| format!("{own}?before={}", last.seq)),
        newest: before.map(|_| own),
        events: events.iter().map(|event| EventRow::new(event, &now)).collect(),
        user: row(&who, &user).await?,
    };
    Ok(who.ok(&page))
}
