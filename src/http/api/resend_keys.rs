//! `/api-keys`: API keys in the bodies that Resend's published clients send and read. The same keys as `/v1/keys`.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use serde::Serialize;
use serde_json::{Map, Value};

use super::allowed::{Allowed, FullAccess, KeysRead, KeysWrite};
use super::fields::Fields;
use super::idempotent::{Once, once};
use super::query::Query;
use super::{ApiError, Result, id_from, reply};
use crate::app::App;
use crate::model::AppError;
use crate::model::api_key::{ApiKey, ApiKeyChanges, Metadata, NewApiKey};
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::ids::ApiKeyId;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::services;
use crate::services::idempotency::Replay;

#[derive(Serialize)]
struct KeyBody<'a> {
    id: ApiKeyId,
    name: &'a str,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

/// A key at the one moment when its secret is shown; `null` where the answer is repeated.
#[derive(Serialize)]
struct TokenBody<'a> {
    id: ApiKeyId,
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct ChangedBody {
    object: &'static str,
    id: ApiKeyId,
}

/// Newest first. Without a `limit` the whole list, as these clients expect it; removed keys are gone from it.
pub async fn list(who: Allowed<FullAccess<KeysRead>>, app: Data<App>, req: HttpRequest, mut query: Query) -> Result {
    let paged = query.has("limit");
    let (start, _, limit) = query.place(ApiKeyId::parse);
    query.finish()?;
    let limit = if paged || !matches!(start, Start::Offset(_)) { limit } else { Limit::WHOLE };
    let filter = services::api_keys::Filter { without_revoked: true, ..Default::default() };
    let page = services::api_keys::list(&app, &who.caller, filter, (start, Order::NewestFirst, limit)).await?;
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|key| key.id, KeyBody::from)))
}

impl<'a> From<&'a ApiKey> for KeyBody<'a> {
    fn from(key: &'a ApiKey) -> Self {
        let last_used_at = key.last_used.as_ref().map(|last| last.at);
        Self { id: key.id, name: &key.name, created_at: key.created_at, last_used_at }
    }
}

pub async fn create(who: Allowed<FullAccess<KeysWrite>>, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let name = body.required("name", Name::parse);
    let scopes = body.text("permission", permission).unwrap_or_else(ScopesAsked::read_and_write);
    // There are no domains here to hold a key to; what was asked for is kept with the key.
    let domain = body.text("domain_id", |text| Ok(Value::from(text)));
    let metadata = Metadata::new(domain.map(|id| ("domain_id".to_owned(), id)).into_iter().collect::<Map<_, _>>());
    let [name] = body.all_of([name])?;
    let metadata = metadata.map_err(|problem| problem.of("domain_id"))?;
    let new = NewApiKey {
        name,
        user_id: None,
        scopes,
        expiry: Default::default(),
        ip_allow: Default::default(),
        windows: Default::default(),
        metadata,
    };
    let stored = |key: &ApiKey| Replay {
        status: StatusCode::CREATED.as_u16(),
        location: None,
        etag: None,
        body: reply::to_json(&TokenBody { id: key.id, token: None }),
    };
    let created =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| services::api_keys::create(&app, &who.caller, new, keep));
    Ok(match created.await? {
        Once::Before(response) => response,
        Once::Done((key, secret)) => reply::json(StatusCode::CREATED, &TokenBody { id: key.id, token: Some(secret.expose()) }),
    })
}

/// Only the name of a key can be changed here.
pub async fn rename(
    who: Allowed<FullAccess<KeysWrite>>,
    app: Data<App>,
    req: HttpRequest,
    path: Path<String>,
    mut body: Fields,
) -> Result {
    let name = body.required("name", Name::parse);
    let [name] = body.all_of([name])?;
    let id = id_from(path, ApiKeyId::parse, "key")?;
    let changes = ApiKeyChanges { name: Some(name), ..Default::default() };
    let renamed = services::api_keys::update(&app, &who.caller, id, changes, reply::if_match(&req)).await;
    let key = renamed.map_err(|error| match error {
        // What is not listed any more is not there.
        AppError::KeyRevoked => ApiError(AppError::NotFound("key")),
        other => ApiError(other),
    })?;
    Ok(reply::json(StatusCode::OK, &ChangedBody { object: "api_key", id: key.id }))
}

pub async fn remove(who: Allowed<FullAccess<KeysWrite>>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, ApiKeyId::parse, "key")?;
    services::api_keys::revoke(&app, &who.caller, id, reply::if_match(&req)).await?;
    Ok(reply::deleted(&req, "api_key", id))
}

fn permission(text: &str) -> crate::model::Result<ScopesAsked, Problem> {
    match text {
        "full_access" => Ok(ScopesAsked::read_and_write()),
        // No scope at all: the key proves who calls, and manages nothing.
        "sending_access" => Ok(ScopeSet::EMPTY.into()),
        _ => Err(Problem::new("invalid_access", "`permission` must be `full_access` or `sending_access`.")),
    }
}
