//! Importing keys that another system made.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use serde::Serialize;

use super::allowed::{Allowed, KeysWrite};
use super::idempotent::{Once, once};
use super::query::Query;
use super::{Result, reply};
use crate::app::App;
use crate::http::arrival::{Arrived, base_url};
use crate::http::body;
use crate::model::AppError;
use crate::model::error::Problem;
use crate::model::imported_key::{LineError, MAX_BYTES, Records};
use crate::services;
use crate::services::idempotency::Replay;
use crate::services::import::Imported;

/// A large file on a slow line takes longer than other bodies may.
const TIME: Duration = Duration::from_secs(300);

const TYPES: &[&str] =
    &["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

/// What is wrong in a file. Nothing of it was imported.
#[derive(Serialize)]
struct RefusedBody<'a> {
    error: &'static str,
    message: String,
    status: u16,
    request_id: &'a str,
    doc_url: String,
    imported: usize,
    errors: &'a [LineError],
}

pub async fn import(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, mut query: Query, payload: Payload) -> Result {
    let dry_run = query.text("dry_run", boolean).unwrap_or(false);
    query.finish()?;
    let sent = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !TYPES.contains(&essence.as_str()) {
        return Err(AppError::UnsupportedMediaType { expected: "application/x-ndjson" }.into());
    }
    let bytes = body::read(&mut payload.into_inner(), MAX_BYTES, TIME).await?;
    let records = Records::read(&bytes);
    let stored = |imported: &Imported| Replay { status: 200, location: None, etag: None, body: reply::to_json(imported) };
    let done =
        once(&app, &who.caller, &req, &bytes, stored, |keep| services::import::import(&app, &who.caller, records, dry_run, keep));
    let imported = match done.await? {
        Once::Before(response) => return Ok(response),
        Once::Done(imported) => imported,
    };
    let Some(first) = imported.errors.first() else { return Ok(reply::json(StatusCode::OK, &imported)) };
    let arrival = req.arrival();
    let body = RefusedBody {
        error: "validation_error",
        request_id: &arrival.request_id,
        doc_url: format!("{}/docs/errors/validation_error", base_url(&req, &app)),
        message: format!("Line {}: {}", first.line, first.message),
        status: StatusCode::BAD_REQUEST.as_u16(),
        imported: 0,
        errors: &imported.errors,
    };
    Ok(reply::json(StatusCode::BAD_REQUEST, &body))
}

fn boolean(text: &str) -> crate::model::Result<bool, Problem> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Problem::new("wrong_type", "`dry_run` must be true or false.")),
    }
}
