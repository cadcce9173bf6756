//! What a user did, and what was done to them.

use std::collections::{HashMap, HashSet};

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use serde_json::Value;

use super::{BASE, find, row};
use crate::http::csrf::Fields;
use crate::http::moment::Moment;
use crate::http::page::{Frame, PageError, Place};
use crate::http::pages::view::UserRow;
use crate::http::signed_in::SignedIn;
use crate::model::audit_event::AuditEvent;
use crate::model::ids::UserId;
use crate::model::user::User;
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

pub struct EventRow {
    pub words: String,
    pub changes: Vec<String>,
    pub from: String,
    pub at: Moment,
}

pub async fn activity(who: SignedIn, id: Path<String>, fields: Fields) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let before = fields.text("before").parse().ok();
    let mut events = services::audit::concerning(&who.app, &who.caller, user.id, before, ROWS + 1).await?;
    let has_more = events.len() > ROWS as usize;
    events.truncate(ROWS as usize);
    let actors: HashSet<UserId> = events.iter().filter_map(|event| UserId::parse(&event.actor.id)).collect();
    let actors = services::users::find_all(&who.app, &who.caller, actors).await?;
    let now = who.now();
    let own = format!("{BASE}/{}/activity", user.id);
    let page = ActivityPage {
        frame: who.frame(format!("Activity of {}", user.name), Place::Users),
        tab: "activity",
        older: events.last().filter(|_| has_more).map(|last| format!("{own}?before={}", last.seq)),
        newest: before.map(|_| own),
        events: events
            .iter()
            .map(|event| EventRow {
                words: sentence(event, &actors),
                changes: changes(&event.diff),
                from: event.ip.clone(),
                at: now.moment(event.at),
            })
            .collect(),
        user: row(&who, &user).await?,
    };
    Ok(who.ok(&page))
}

/// `Ada disabled user Grace`
fn sentence(event: &AuditEvent, actors: &HashMap<UserId, User>) -> String {
    let actor = match event.actor.kind.as_str() {
        "user" => UserId::parse(&event.actor.id)
            .and_then(|id| actors.get(&id))
            .map_or_else(|| format!("The user {}, who was deleted,", event.actor.id), |user| user.name.clone()),
        "key" => format!("The key {}", event.actor.id),
        "command_line" => "Somebody on the command line".into(),
        _ => "Keyrack".into(),
    };
    let target = &event.target.name;
    let did = match event.action.as_str() {
        "session.created" => "signed in".into(),
        "session.ended" => format!("ended a session of {target}"),
        "session.all_ended" => format!("signed {target} out everywhere"),
        "user.reset_link_given" => format!("gave {target} a link to set a new password"),
        "user.link_withdrawn" => format!("withdrew the link of {target}"),
        "users.exported" => "exported users".into(),
        "keyrack.set_up" => "set this server up".into(),
        action => {
            let verb = action.rsplit_once('.').map_or(action, |(_, verb)| verb).replace('_', " ");
            format!("{verb} {} {target}", event.target.kind.replace('_', " "))
        }
    };
    format!("{actor} {did}")
}

/// What changed, a line each: `role: member → admin`.
fn changes(diff: &Value) -> Vec<String> {
    let show = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    };
    let Value::Object(fields) = diff else { return Vec::new() };
    let line = |(field, value): (&String, &Value)| {
        let field = field.replace('_', " ");
        match (value.get("from"), value.get("to")) {
            (Some(from), Some(to)) => format!("{field}: {} → {}", show(from), show(to)),
            _ => format!("{field}: {}", show(value)),
        }
    };
    fields.iter().filter(|(field, _)| *field != "session").map(line).collect()
}
