//! The audit log, for administrators: a page of it in sentences, one event of it, and the whole of it as a file.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Path, Query};
use askama::Template;
use futures_util::stream;
use jiff::civil::Date;
use serde::Deserialize;

use super::view::grouped;
use crate::http::audit::{AuditEventBody, CSV_HEAD, Change, KNOWN, actor_words, changes, csv_row, sentence};
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, Rich, count, filters, in_words, msg, t, t_refusal};
use crate::model::audit_event::{ActorFilter, AuditEvent, AuditFilter, Head, Verified};
use crate::model::clock::Timestamp;
use crate::model::email::Email;
use crate::model::error::FieldErrors;
use crate::model::ids::{AccountId, ApiKeyId, AuditEventId, UserId};
use crate::model::page::{Limit, Order, Start};
use crate::model::{AppError, Result};
use crate::services;

const BASE: &str = "/admin/audit";
/// Events of a page.
const ROWS: u32 = 50;
/// Events of one piece of an export.
const PIECE: u32 = 100;

#[derive(Template)]
#[template(path = "admin/audit/list.html")]
pub struct AuditPage {
    pub frame: Frame,
    pub filter: Asked,
    pub actions: Vec<ActionChoice>,
    pub errors: FormErrors,
    pub is_filtered: bool,
    pub rows: Vec<EventRow>,
    pub mark: Mark,
    pub earliest: String,
    pub newer: Option<String>,
    pub older: Option<String>,
    pub csv: String,
    pub jsonl: String,
}

pub struct ActionChoice {
    pub value: String,
    pub words: String,
    pub current: bool,
}

/// How far the chain was found sound.
pub struct Mark {
    pub tone: &'static str,
    pub word: &'static str,
    pub words: String,
}

pub struct EventRow {
    pub href: String,
    pub sentence: Rich,
    pub at: Moment,
    pub time: String,
    pub changes: Vec<Change>,
    pub ip: String,
    pub request_id: String,
}

#[derive(Template)]
#[template(path = "admin/audit/show.html")]
pub struct EventPage {
    pub frame: Frame,
    pub row: EventRow,
    pub event: AuditEvent,
    pub actor: String,
    pub actor_href: String,
    pub target_href: String,
    pub account: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub who: String,
    #[serde(default)]
    pub action: String,
    #[serde(default)]
    pub target: String,
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub since: String,
    #[serde(default)]
    pub until: String,
    #[serde(default)]
    pub id: String,
    after: Option<i64>,
    before: Option<i64>,
    #[serde(default)]
    format: String,
}

impl Asked {
    fn trimmed(self) -> Self {
        let trim = |text: String| text.trim().to_owned();
        Self {
            who: trim(self.who),
            action: trim(self.action),
            target: trim(self.target),
            account: trim(self.account),
            since: trim(self.since),
            until: trim(self.until),
            id: trim(self.id),
            ..self
        }
    }

    fn fields(&self) -> [(&'static str, &str); 7] {
        [
            ("who", &self.who),
            ("action", &self.action),
            ("target", &self.target),
            ("account", &self.account),
            ("since", &self.since),
            ("until", &self.until),
            ("id", &self.id),
        ]
    }

    fn is_empty(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_empty())
    }

    /// The same events at another address, or from another one on.
    fn link(&self, base: &str, more: &[(&str, String)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.fields().iter().filter(|(_, value)| !value.is_empty()));
        query.extend_pairs(more);
        let query = query.finish();
        if query.is_empty() { base.into() } else { format!("{base}?{query}") }
    }

    fn start(&self) -> Start<i64> {
        match (self.after, self.before) {
            (Some(seq), _) => Start::After(seq),
            (_, Some(seq)) => Start::Before(seq),
            _ => Start::Offset(0),
        }
    }
}

pub async fn list(who: SignedIn, asked: Query<Asked>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let asked = asked.into_inner().trimmed();
    let mut errors = FieldErrors::default();
    let filter = filter(&who, &asked, &mut errors).await?;
    let (rows, has_prev, has_next) = match filter {
        Some(filter) => {
            let place = (asked.start(), Order::NewestFirst, Limit::of(ROWS));
            let page = services::audit::list(&who.app, &who.caller, filter, place).await?;
            (page.rows, page.has_prev, page.has_next)
        }
        None => (Vec::new(), false, false),
    };
    let now = who.now();
    let link = |name, row: Option<&AuditEvent>| row.map(|row| asked.link(BASE, &[(name, row.seq.to_string())]));
    let export = |format: &str| asked.link("/admin/audit/export", &[("format", format.to_owned())]);
    let earliest = services::audit::earliest(&who.app).await?;
    let errors = errors.into();
    let page = AuditPage {
        frame: who.frame(t("Audit log"), Place::Audit).faulty(&errors).with_banner(done.banner()),
        actions: actions(&asked.action),
        errors,
        is_filtered: !asked.is_empty(),
        mark: mark(&who, &now).await?,
        earliest: earliest.map(|at| now.moment(at).full).unwrap_or_default(),
        newer: link("before", rows.first().filter(|_| has_prev)),
        older: link("after", rows.last().filter(|_| has_next)),
        csv: export("csv"),
        jsonl: export("jsonl"),
        rows: rows.iter().map(|event| EventRow::new(event, &now)).collect(),
        filter: asked,
    };
    Ok(who.ok(&page))
}

pub async fn check(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    services::audit::check_now(&who.app, &who.caller).await?;
    Ok(to(BASE))
}

pub async fn show(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let id = AuditEventId::parse(&id).ok_or(AppError::NotFound("event"))?;
    let event = services::audit::find(&who.app, &who.caller, id).await?;
    let account = match event.account_id {
        Some(account) => services::accounts::find(&who.app, &who.caller, account).await.ok().map(|account| account.name),
        None => None,
    };
    let now = who.now();
    let row = EventRow::new(&event, &now);
    let page = EventPage {
        frame: who.frame(sentence(&event, |at| now.moment(at).full), Place::Audit),
        row,
        actor: actor_words(&event.actor),
        actor_href: page_of(&event.actor.kind, &event.actor.id),
        target_href: page_of(&event.target.kind, &event.target.id),
        account,
        event,
    };
    Ok(who.ok(&page))
}

/// The events that the filters of the page leave, oldest first, as they are read: however many there are, a hundred
/// are held at a time.
pub async fn export(who: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let asked = asked.into_inner().trimmed();
    let mut errors = FieldErrors::default();
    let found = filter(&who, &asked, &mut errors).await?;
    errors.check()?;
    let is_csv = asked.format != "jsonl";
    let (kind, ending) = if is_csv { ("text/csv; charset=utf-8", "csv") } else { ("application/x-ndjson", "jsonl") };
    let name = format!("keyrack-audit-{}.{ending}", who.now().at.to_string().split('T').next().unwrap_or_default());
    let begin = Exporting { who, filter: found, start: Start::Offset(0), is_csv, is_first: true };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(stream::try_unfold(begin, Exporting::next)))
}

struct Exporting {
    who: SignedIn,
    /// None: there is nothing more.
    filter: Option<AuditFilter>,
    start: Start<i64>,
    is_csv: bool,
    is_first: bool,
}

impl Exporting {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let mut text = String::new();
        if self.is_first && self.is_csv {
            text.push_str(CSV_HEAD);
        }
        if let Some(filter) = self.filter.take() {
            let place = (self.start, Order::OldestFirst, Limit::of(PIECE));
            let page = services::audit::list(&self.who.app, &self.who.caller, filter.clone(), place).await?;
            for event in &page.rows {
                match self.is_csv {
                    true => text.push_str(&csv_row(event)),
                    false => {
                        text.push_str(&serde_json::to_string(&AuditEventBody::from(event)).map_err(AppError::internal)?);
                        text.push('\n');
                    }
                }
            }
            if let (true, Some(last)) = (page.has_next, page.rows.last()) {
                self.start = Start::After(last.seq);
                self.filter = Some(filter);
            }
        }
        self.is_first = false;
        Ok((!text.is_empty()).then(|| (Bytes::from(text), self)))
    }
}

/// What the log is narrowed to; none when nothing can match.
async fn filter(who: &SignedIn, asked: &Asked, errors: &mut FieldErrors) -> Result<Option<AuditFilter>, PageError> {
    let mut filter = AuditFilter::default();
    match asked.who.as_str() {
        "" => {}
        "command-line" => filter.actor = Some(ActorFilter::CommandLine),
        "keyrack" => filter.actor = Some(ActorFilter::System),
        text if UserId::parse(text).is_some() || ApiKeyId::parse(text).is_some() => {
            filter.actor = Some(ActorFilter::Id(text.into()));
        }
        text => {
            let Ok(email) = Email::parse(text) else { return Ok(None) };
            match services::users::find_by_email(&who.app, &who.caller, email).await {
                Ok(user) => filter.actor = Some(ActorFilter::Id(user.id.to_string())),
                Err(AppError::NotFound(_)) => return Ok(None),
                Err(err) => return Err(err.into()),
            }
        }
    }
    if !asked.account.is_empty() {
        match services::accounts::find_named(&who.app, &who.caller, &asked.account).await {
            Ok(account) => filter.account = Some(account.id),
            // Its events are there when the account is not.
            Err(AppError::NotFound(_)) => match AccountId::parse(&asked.account) {
                Some(id) => filter.account = Some(id),
                None => return Ok(None),
            },
            Err(err) => return Err(err.into()),
        }
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (filter.action, filter.target) = (some(&asked.action), some(&asked.target));
    match AuditEventId::parse(&asked.id) {
        Some(id) => filter.id = Some(id),
        None => filter.request_id = some(&asked.id),
    }
    let now = who.now();
    filter.since = day("since", &asked.since, errors, Some, &now);
    filter.before = day("until", &asked.until, errors, |day| day.tomorrow().ok(), &now);
    Ok(errors.as_slice().is_empty().then_some(filter))
}

/// When the day begins that was typed, or the one that follows from it, where its reader is.
fn day(field: &str, typed: &str, errors: &mut FieldErrors, which: impl Fn(Date) -> Option<Date>, now: &Now) -> Option<Timestamp> {
    if typed.is_empty() {
        return None;
    }
    let begins = typed.parse().ok().and_then(which).and_then(|day| day.to_zoned(now.zone.clone()).ok());
    if begins.is_none() {
        errors.add(field, "invalid_date", "Enter a day, for example 2026-11-22.");
    }
    begins.map(|begins| Timestamp::from_millis(begins.timestamp().as_millisecond()))
}

impl EventRow {
    pub fn new(event: &AuditEvent, now: &Now) -> Self {
        // Nearly every moment that an event tells of is an end.
        let full = |at| now.end(at).full;
        Self {
            href: format!("{BASE}/{}", event.id),
            sentence: sentence(event, full).into(),
            at: now.moment(event.at),
            time: in_words(&event.at.to_jiff().to_zoned(now.zone.clone()), msg!("%-d %b %Y %H:%M:%S")),
            changes: changes(event, full),
            ip: event.ip.clone(),
            request_id: event.request_id.clone(),
        }
    }
}

fn actions(current: &str) -> Vec<ActionChoice> {
    let choice = |value: &str, words: &str| ActionChoice { value: value.into(), words: words.into(), current: value == current };
    let mut all = vec![choice("", &t("Anything").to_string())];
    all.extend(KNOWN.iter().map(|(action, words)| choice(action, &t(words).to_string())));
    if !all.iter().any(|choice| choice.current) {
        all.push(choice(current, current));
    }
    all
}

async fn mark(who: &SignedIn, now: &Now) -> Result<Mark> {
    let verified = who.app.verified.lock().clone();
    let newest = services::audit::head(&who.app).await?.seq;
    Ok(match verified {
        None => Mark { tone: "", word: msg!("Not verified yet"), words: t("The chain is being verified from its start.").into() },
        Some(verified) => match verified.broken {
            Some(broken) => Mark {
                tone: "bad",
                word: msg!("Altered"),
                words: format!(
                    "{} {}",
                    t_refusal(&broken.to_string()),
                    t("Compare with a backup, and with the heads in the log of the server."),
                ),
            },
            None if verified.head == Head::START => {
                Mark { tone: "ok", word: msg!("Verified"), words: t("There is nothing yet.").into() }
            }
            None => Mark { tone: "ok", word: msg!("Verified"), words: sound(&verified, newest, now).into() },
        },
    })
}

/// How far the chain was sound, and what has come since and was not looked at yet.
fn sound(verified: &Verified, newest: i64, now: &Now) -> Message {
    let words = match u64::try_from(newest - verified.head.seq).unwrap_or_default() {
        0 => t("Checked {when}: no event was changed, up to event {last}, the newest."),
        since => count(
            since,
            "Checked {when}: no event was changed, up to event {last}, the newest then. {n} event came since; the chain is checked every hour.",
            "Checked {when}: no event was changed, up to event {last}, the newest then. {n} events came since; the chain is checked every hour.",
        ),
    };
    let last = grouped(verified.head.seq.unsigned_abs());
    words.with("last", last).with("when", now.moment(verified.at).relative)
}

/// The page of what an event names; empty where it has none.
fn page_of(kind: &str, id: &str) -> String {
    match kind {
        _ if id.is_empty() => String::new(),
        "user" => format!("/admin/users/{id}"),
        "key" => format!("/admin/keys/{id}"),
        "account" => format!("/admin/accounts/{id}"),
        "client" => format!("/admin/clients/{id}"),
        "webhook" => format!("/admin/webhooks/{id}"),
        _ => String::new(),
    }
}
