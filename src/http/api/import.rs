//! Importing keys that another system made.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::allowed::{Allowed, KeysWrite};
use super::idempotent::{Once, once};
use super::query::Query;
use super::{Result, refuse, reply};
use crate::app::App;
use crate::http::body;
use crate::limits::Share;
use crate::model::AppError;
use crate::model::error::Problem;
use crate::model::imported_key::{MAX_BYTES, Reader};
use crate::services;
use crate::services::idempotency::Replay;
use crate::services::import::Imported;

/// A large file on a slow line takes longer than other bodies may.
const TIME: Duration = Duration::from_secs(300);
/// When other files may be through.
const RETRY: Duration = Duration::from_secs(30);

const TYPES: &[&str] =
    &["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

pub async fn import(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, mut query: Query, payload: Payload) -> Result {
    let dry_run = query.text("dry_run", boolean).unwrap_or(false);
    query.finish()?;
    let sent = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !TYPES.contains(&essence.as_str()) {
        return Err(AppError::UnsupportedMediaType { expected: "application/x-ndjson" }.into());
    }
    let (mut reader, mut digest, mut share) = (Reader::default(), Sha256::new(), Share::default());
    let read = |piece: Bytes| {
        if !app.imports.add(&mut share, piece.len()) {
            return Err(AppError::Busy { retry_after: RETRY });
        }
        digest.update(&piece);
        reader.push(&piece);
        Ok(())
    };
    body::stream(&mut payload.into_inner(), MAX_BYTES, TIME, read).await?;
    let (records, digest) = (reader.finish(), digest.finalize());
    let stored = |imported: &Imported| Replay { status: 200, location: None, etag: None, body: reply::to_json(imported) };
    let done = once(&app, &who.caller, &req, &digest, stored, |keep| {
        services::import::import(&app, &who.caller, records, dry_run, keep)
    });
    let imported = match done.await? {
        Once::Before(response) => return Ok(response),
        Once::Done(imported) => imported,
    };
    if imported.errors.is_empty() { Ok(reply::json(StatusCode::OK, &imported)) } else { Ok(refused(&req, &app, &imported)) }
}

/// A refusal of the dialect that is on, with every line that is wrong. Nothing was imported.
fn refused(req: &HttpRequest, app: &App, imported: &Imported) -> HttpResponse {
    let words = imported.errors.first().map(|first| format!("Line {}: {}", first.line, first.message)).unwrap_or_default();
    let (response, body) = refuse(req, app, &AppError::invalid("", "invalid_line", words)).into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let mut body: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    body.insert("imported".into(), imported.imported.into());
    body.insert("errors".into(), json!(imported.errors));
    response.set_body(BoxBody::new(reply::to_json(&body)))
}

fn boolean(text: &str) -> crate::model::Result<bool, Problem> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Problem::new("wrong_type", "`dry_run` must be true or false.")),
    }
}
