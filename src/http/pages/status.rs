//! The public status page, and the same as JSON. It looks at no session, so that it answers whatever is wrong.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::tz::TimeZone;
use serde_json::json;

use super::chart::share_words;
use super::view::grouped;
use crate::app::App;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Frame, render};
use crate::http::words::{filters, msg, t};
use crate::model::health::{Age, Told};
use crate::services::health;

#[derive(Template)]
#[template(path = "status.html")]
pub struct StatusPage {
    pub frame: Frame,
    pub all_well: bool,
    pub since: Moment,
    pub components: [Component; 4],
    pub errors: String,
    pub webhooks_waiting: String,
}

pub struct Component {
    pub name: &'static str,
    pub state: &'static str,
    pub tone: &'static str,
}

pub async fn show(req: HttpRequest, app: Data<App>) -> HttpResponse {
    let told = health::told(&app).await;
    let accept = req.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut response = if accept.contains("text/html") { page(&told, &app) } else { HttpResponse::Ok().json(to_json(&told)) };
    response.headers_mut().insert(VARY, actix_web::http::header::HeaderValue::from_static("accept"));
    response.headers_mut().insert(CACHE_CONTROL, actix_web::http::header::HeaderValue::from_static("no-store"));
    response
}

fn page(told: &Told, app: &App) -> HttpResponse {
    let now = Now { at: app.clock.now(), zone: TimeZone::UTC };
    render(
        StatusCode::OK,
        &StatusPage {
            frame: Frame { reading: true, ..Frame::of_a_stranger().titled(t("Status")) },
            all_well: told.ready.is_ready(),
            since: now.moment(told.since),
            components: components(told),
            webhooks_waiting: told.webhooks_waiting.map_or_else(|| "–".into(), grouped),
            errors: told.error_rate.map_or_else(|| "–".into(), |rate| share_words(Some(rate))),
        },
    )
}

fn components(told: &Told) -> [Component; 4] {
    let of = |name, good: bool, (well, ill): (&'static str, &'static str)| Component {
        name,
        state: if good { well } else { ill },
        tone: if good { "ok" } else { "warn" },
    };
    let api = if told.ready.draining { msg!("Stopping") } else { msg!("Requests wait") };
    [
        of(msg!("API"), !told.ready.draining && !told.is_busy, (msg!("Operational"), api)),
        of(msg!("Database"), told.ready.database, (msg!("Operational"), msg!("Not writable"))),
        of(msg!("Disk"), told.ready.disk, (msg!("Operational"), msg!("Nearly full"))),
        match told.backups_fail {
            true => of(msg!("Backups"), false, (msg!("Recent"), msg!("Failing"))),
            false => of(msg!("Backups"), matches!(told.backup, Some(Age::Fresh(_))), (msg!("Recent"), backup_words(told.backup))),
        },
    ]
}

fn backup_words(age: Option<Age>) -> &'static str {
    match age {
        Some(Age::Fresh(_)) => msg!("Recent"),
        Some(Age::Old(_)) => msg!("Old"),
        Some(Age::None) => msg!("None yet"),
        None => msg!("Not known"),
    }
}

fn to_json(told: &Told) -> serde_json::Value {
    let word = |good: bool| if good { "operational" } else { "degraded" };
    json!({
        "status": word(told.ready.is_ready()),
        "up_since": told.since,
        "components": {
            "api": word(!told.ready.draining && !told.is_busy),
            "database": word(told.ready.database),
            "disk": word(told.ready.disk),
            "backups": match told.backup {
                _ if told.backups_fail => "failing",
                Some(Age::Fresh(_)) => "recent",
                Some(Age::Old(_)) => "old",
                Some(Age::None) => "none",
                None => "unknown",
            },
        },
        "error_rate_24h": told.error_rate,
        "webhooks_waiting": told.webhooks_waiting,
    })
}
