//! Settings > Backup: the backups there are, one more, and what they are worth.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, ContentDisposition, ContentEncoding, DispositionParam, DispositionType, HeaderValue,
};
use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::overview::trouble_words;
use super::view::{age_words, grouped, size_words};
use crate::config::Schedule;
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, span_in_words};
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, msg, t, t_refusal};
use crate::model::AppError;
use crate::model::health::Age;
use crate::services::backups::{self, Backup, BackupError};

const BASE: &str = "/admin/settings/backup";
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What may lie between the beginning of a backup, which is its time, and the note that it was made.
const SAME: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "admin/settings/backup.html")]
pub struct BackupPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub facts: Vec<(&'static str, String)>,
    pub backups: Vec<Row>,
    /// Where the master key is, which no backup has.
    pub master_key: String,
}

pub struct Row {
    pub name: String,
    pub made: Moment,
    pub size: String,
    pub holds: String,
    pub sealed: bool,
    pub before_upgrade: bool,
}

impl Row {
    fn new(backup: &Backup, who: &SignedIn) -> Self {
        let rows = |table: &str| backup.manifest.rows.get(table).copied().unwrap_or(0);
        Self {
            name: backup.name(),
            made: who.now().moment(backup.manifest.created_at),
            size: size_words(backup.manifest.bytes),
            holds: t("{users}, {keys}, audit events up to {n}")
                .with("users", count(rows("users"), "{n} user", "{n} users"))
                .with("keys", count(rows("api_keys"), "{n} key", "{n} keys"))
                .with("n", grouped(backup.manifest.audit.seq.max(0) as u64))
                .into(),
            sealed: backup.manifest.sealed,
            before_upgrade: backup.name().starts_with("pre-"),
        }
    }
}

pub async fn show(who: SignedIn, done: Query<Done>) -> Result<HttpResponse, PageError> {
    Ok(who.ok(&page(&who, done.banner(), FormErrors::default()).await?))
}

pub async fn make(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    match backups::create(&who.app, &who.caller, None, None, backups::quietly()).await {
        Ok(_) => Ok(to(format!("{BASE}?done=backed-up"))),
        Err(err) => refused(&who, err).await,
    }
}

pub async fn verify(who: SignedIn, name: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    let backup = backups::find(&who.app, &who.caller, &name).await?;
    match backups::check(&who.app, &who.caller, &backup).await {
        Ok(_) => Ok(to(format!("{BASE}?done=whole"))),
        Err(err) => refused(&who, err).await,
    }
}

/// A form, since whoever takes the data away proves first who they are.
pub async fn download(who: SignedIn, name: Path<String>, form: Posted, req: HttpRequest) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    let backup = backups::find(&who.app, &who.caller, &name).await?;
    let file = actix_files::NamedFile::open(&backup.path).map_err(AppError::internal)?;
    backups::note_download(&who.app, &who.caller, &backup).await?;
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(backup.name())],
    };
    let mut response = file
        .set_content_type(actix_web::mime::APPLICATION_OCTET_STREAM)
        .set_content_disposition(disposition)
        .use_etag(false)
        .use_last_modified(false)
        .into_response(&req);
    // It is sent as it lies there, so that its digest is the manifest's.
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(ContentEncoding::Identity.as_str()));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn refused(who: &SignedIn, err: BackupError) -> Result<HttpResponse, PageError> {
    let words = match err {
        BackupError::App(err) => return Err(err.into()),
        err => t_refusal(&format!("{err}.")),
    };
    Ok(who.page(StatusCode::CONFLICT, &page(who, None, FormErrors::at_large(words)).await?))
}

/// How old the last one is. It may lie elsewhere: whoever makes one by hand says where.
fn newest_words(who: &SignedIn, age: Age, here: &[Backup]) -> String {
    let (Age::Fresh(age) | Age::Old(age)) = age else { return t("None yet").into() };
    let now = who.now().at;
    let made = now.saturating_sub(age);
    let words = match here.first().map(|newest| newest.manifest.created_at) {
        Some(newest) if newest.saturating_add(SAME) >= made => t("{age} ago"),
        Some(newest) => t("{age} ago, as a file elsewhere; the newest in this directory {older} ago")
            .with("older", age_words(now.since(newest))),
        None => t("{age} ago, as a file elsewhere; there is none in this directory"),
    };
    words.with("age", age_words(age)).into()
}

async fn page(who: &SignedIn, banner: Option<Banner>, errors: FormErrors) -> Result<BackupPage, PageError> {
    let trouble = backups::trouble(&who.app).await?;
    let (found, errors) = match backups::list(&who.app, &who.caller).await {
        Ok(found) => (found, errors),
        Err(BackupError::App(err)) => return Err(err.into()),
        // The banner says it.
        Err(_) if trouble.is_some() => (Vec::new(), errors),
        Err(err) => (Vec::new(), FormErrors::at_large(t_refusal(&format!("{err}.")))),
    };
    let trouble = trouble.map(|why| Banner::warn(t("Backups cannot be made"), trouble_words(&why)));
    let config = &who.app.config.backup;
    let newest = newest_words(who, backups::age(&who.app).await?, &found);
    let schedule = match config.schedule {
        Schedule::Every(span) if span == DAY => t("Every day, the last {n} are kept"),
        Schedule::Every(span) if span == HOUR => t("Every hour, the last {n} are kept"),
        Schedule::Off => t("Off, the last {n} are kept"),
        Schedule::Every(span) => t("Every {span}, the last {n} are kept").with("span", span_in_words(span)),
        Schedule::Daily(_) => t("Daily at {time} UTC, the last {n} are kept").with("time", config.schedule),
    };
    let dir = backups::dir(&who.app);
    let free = dir.ancestors().find_map(|dir| backups::free_space(dir).ok());
    let facts = vec![
        (msg!("Last backup"), newest),
        (msg!("Schedule"), schedule.with("n", config.keep).into()),
        (msg!("Directory"), dir.display().to_string()),
        (msg!("Free there"), free.map_or_else(|| t("Not known").into(), size_words)),
        (
            msg!("Sealed"),
            match config.passphrase {
                Some(_) => t("Yes, under backup.passphrase"),
                None => t("No: whoever has the file can read it"),
            }
            .into(),
        ),
    ];
    Ok(BackupPage {
        frame: who.frame(t("Backup"), Place::Backup).with_banner(banner.or(trouble)).faulty(&errors),
        errors,
        facts,
        backups: found.iter().map(|backup| Row::new(backup, who)).collect(),
        master_key: who.app.store.path().with_file_name("master.key").display().to_string(),
    })
}
