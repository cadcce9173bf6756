//! API keys, for programs.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Data, Path};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::allowed::{Allowed, AnyScope, Anyone, KeysRead, KeysWrite};
use super::fields::Fields;
use super::idempotent::{Once, once};
use super::query::Query;
use super::reply::insert;
use super::{Result, id_from, limits_body, reply};
use crate::app::App;
use crate::app::callers::{Bearer, BearerToken};
use crate::crypto::Secret;
use crate::http::arrival::Arrived;
use crate::model::AppError;
use crate::model::api_key::{ApiKey, ApiKeyChanges, Expiry, IpAllow, KeyStatus, Metadata, NewApiKey, Overlap};
pub use crate::model::body::KeyBody;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::duration;
use crate::model::error::Problem;
use crate::model::ids::{AccountId, ApiKeyId, ClientId, GrantId, UserId};
use crate::model::name::Name;
use crate::model::scope::{ScopeSet, ScopesAsked};
use crate::model::tier::{Window, Windows};
use crate::services;
use crate::services::idempotency::Replay;

/// A key at the one moment when its secret is shown; `null` where the answer is repeated.
#[derive(Serialize)]
pub struct KeyWithSecret<'a> {
    #[serde(flatten)]
    pub key: KeyBody<'a>,
    pub secret: Option<&'a str>,
}

#[derive(Serialize)]
struct OwnKeyBody<'a> {
    #[serde(flatten)]
    key: KeyBody<'a>,
    rate_limit: Box<RawValue>,
}

#[derive(Serialize)]
struct OwnTokenBody<'a> {
    id: GrantId,
    client_id: ClientId,
    name: &'a str,
    user_id: Option<UserId>,
    account_id: AccountId,
    scopes: ScopeSet,
    status: &'static str,
    created_at: Timestamp,
    expires_at: Timestamp,
    rate_limit: Box<RawValue>,
}

pub async fn own(who: Allowed<AnyScope>, app: Data<App>) -> Result {
    let id = match &who.credential.bearer {
        Bearer::Key(bearer) => bearer.key.id,
        Bearer::Token(token) => return Ok(reply::json(StatusCode::OK, &own_token(&who, token))),
    };
    // Not through what the caller sees: a key may always look at itself.
    let key = services::api_keys::find(&app, &Caller::system(), id).await?;
    let body = OwnKeyBody { key: KeyBody::new(&key, app.clock.now()), rate_limit: limits_body::raw(&who.left) };
    Ok(reply::json(StatusCode::OK, &body))
}

/// An access token, told in the fields of a key.
fn own_token<'a>(who: &'a Allowed<AnyScope>, token: &'a BearerToken) -> OwnTokenBody<'a> {
    OwnTokenBody {
        id: token.grant_id,
        client_id: token.client_id,
        name: &token.client_name,
        user_id: who.credential.acts_for().map(|user| user.id),
        account_id: who.credential.user.account_id,
        scopes: who.credential.scopes,
        status: "active",
        created_at: token.created_at,
        expires_at: token.expires_at,
        rate_limit: limits_body::raw(&who.left),
    }
}

pub async fn list(who: Allowed<KeysRead>, app: Data<App>, req: HttpRequest, mut query: Query) -> Result {
    let place = query.place(ApiKeyId::parse);
    let unknown_user = || Problem::new("invalid_id", "`user_id` must be the id of a user.");
    let filter = services::api_keys::Filter {
        status: query.text("status", KeyStatus::parse),
        user: query.text("user_id", |text| UserId::parse(text).ok_or_else(unknown_user)),
        q: query.text("q", |text| Ok(text.to_owned())).filter(|q| !q.is_empty()),
        ..Default::default()
    };
    query.finish()?;
    let (start, _, limit) = place;
    let page = services::api_keys::list(&app, &who.caller, filter, place).await?;
    let now = app.clock.now();
    let body = |key| KeyBody::new(key, now);
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|key| key.id, body)))
}

pub async fn show(who: Allowed<KeysRead>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, ApiKeyId::parse, "key")?;
    let key = services::api_keys::find(&app, &who.caller, id).await?;
    let now = app.clock.now();
    Ok(reply::tagged(&req, &KeyBody::new(&key, now), &etag(&key, now)))
}

pub async fn create(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let name = body.required("name", Name::parse);
    let asked = scopes(&mut body);
    let expiry = expiry(&mut body).unwrap_or_default();
    let ip_allow = ip_allow(&mut body).unwrap_or_default();
    let windows = windows(&mut body).unwrap_or_default();
    let metadata = metadata(&mut body).unwrap_or_default();
    let user_id = body.text("user_id", |text| Ok(UserId::parse(text)));
    let [name] = body.all_of([name])?;
    // An id that cannot exist names nobody.
    let user_id = user_id.map(|id| id.ok_or(AppError::NotFound("user"))).transpose()?;
    let scopes = asked.unwrap_or_else(|| ScopeSet::default_for_keys().into());
    let new = NewApiKey { name, user_id, scopes, expiry, ip_allow, windows, metadata };
    let now = app.clock.now();
    let stored = move |key: &ApiKey| replay(StatusCode::CREATED, Some(location(key)), key, now);
    let created =
        once(&app, &who.caller, &req, &body.bytes, stored, |keep| services::api_keys::create(&app, &who.caller, new, keep));
    Ok(match created.await? {
        Once::Before(response) => response,
        Once::Done((key, secret)) => {
            let mut response = with_secret(StatusCode::CREATED, &key, &secret, now);
            insert(&mut response, LOCATION, &location(&key));
            response
        }
    })
}

pub async fn update(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, path: Path<String>, mut body: Fields) -> Result {
    let changes = ApiKeyChanges {
        name: body.text("name", Name::parse),
        scopes: scopes(&mut body),
        enabled: body.boolean("enabled"),
        expiry: expiry(&mut body),
        ip_allow: ip_allow(&mut body),
        windows: windows(&mut body),
        metadata: metadata(&mut body),
    };
    body.finish()?;
    let id = id_from(path, ApiKeyId::parse, "key")?;
    let key = services::api_keys::update(&app, &who.caller, id, changes, reply::if_match(&req)).await?;
    let now = app.clock.now();
    let mut response = reply::json(StatusCode::OK, &KeyBody::new(&key, now));
    insert(&mut response, ETAG, &etag(&key, now));
    Ok(response)
}

pub async fn rotate(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, path: Path<String>, mut body: Fields) -> Result {
    let overlap = body.text("overlap", Overlap::parse).unwrap_or_default();
    body.finish()?;
    let id = id_from(path, ApiKeyId::parse, "key")?;
    let (now, expected) = (app.clock.now(), reply::if_match(&req));
    let stored = move |key: &ApiKey| replay(StatusCode::OK, None, key, now);
    let rotated = once(&app, &who.caller, &req, &body.bytes, stored, |keep| {
        services::api_keys::rotate(&app, &who.caller, id, overlap, expected, keep)
    });
    Ok(match rotated.await? {
        Once::Before(response) => response,
        Once::Done((key, secret)) => with_secret(StatusCode::OK, &key, &secret, now),
    })
}

pub async fn revoke(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, ApiKeyId::parse, "key")?;
    services::api_keys::revoke(&app, &who.caller, id, reply::if_match(&req)).await?;
    Ok(reply::deleted(&req, "api_key", id))
}

/// Needs no credential: whoever holds a leaked secret may end it. The answer does not tell whether there was one.
pub async fn report(_: Anyone, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let secret = body.required("key", |text| Ok(text.to_owned())).unwrap_or_default();
    body.finish()?;
    let arrival = req.arrival();
    let finder = Caller { ip: Some(arrival.client.ip), request_id: Some(arrival.request_id.clone()), ..Caller::system() };
    services::api_keys::report(&app, &secret, &finder).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn scopes(body: &mut Fields) -> Option<ScopesAsked> {
    body.texts("scopes", |names| ScopesAsked::parse(names.iter().copied()))
}

fn ip_allow(body: &mut Fields) -> Option<IpAllow> {
    body.texts("ip_allow", |entries| IpAllow::parse(entries.iter().copied()))
}

fn windows(body: &mut Fields) -> Option<Windows> {
    let example = || Problem::new("invalid_window", "`windows` must be a list such as [{\"limit\":1000,\"seconds\":3600}].");
    body.json("windows", |value| {
        let windows: Vec<Window> = serde_json::from_value(value).map_err(|_| example())?;
        Windows::new(windows).map_err(|words| Problem::new("invalid_window", format!("`windows`: {words}.")))
    })
}

fn metadata(body: &mut Fields) -> Option<Metadata> {
    body.json("metadata", |value| match value {
        Value::Object(map) => Metadata::new(map),
        _ => Err(Problem::new("wrong_type", "`metadata` must be a JSON object.")),
    })
}

/// `expires_in` or `expires_at`; `null` for a key that never expires.
fn expiry(body: &mut Fields) -> Option<Expiry> {
    let (within, at) = (body.value("expires_in"), body.value("expires_at"));
    let (field, value) = match (within, at) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            body.error("expires_in", "conflict", "Send one of `expires_in` and `expires_at`.");
            return None;
        }
        (Some(value), None) => ("expires_in", value),
        (None, Some(value)) => ("expires_at", value),
    };
    match (field, value) {
        (_, Value::Null) => Some(Expiry::Never),
        ("expires_in", Value::String(text)) => match duration::parse(&text) {
            Ok(span) => Some(Expiry::In(span)),
            Err(words) => {
                body.error(field, "invalid_duration", format!("{words}."));
                None
            }
        },
        ("expires_at", Value::String(text)) => {
            let at = Timestamp::parse(&text).map(Expiry::At);
            if at.is_none() {
                body.error(field, "invalid_time", "`expires_at` must be a time such as 2027-10-27T10:00:00Z.");
            }
            at
        }
        _ => {
            body.error(field, "wrong_type", format!("`{field}` must be a string."));
            None
        }
    }
}

fn with_secret(status: StatusCode, key: &ApiKey, secret: &Secret, now: Timestamp) -> HttpResponse {
    let mut response = reply::json(status, &KeyWithSecret { key: KeyBody::new(key, now), secret: Some(secret.expose()) });
    insert(&mut response, ETAG, &etag(key, now));
    response
}

/// The answer that is kept never has the secret: `rotate` replaces one that was lost.
fn replay(status: StatusCode, location: Option<String>, key: &ApiKey, now: Timestamp) -> Replay {
    let body = reply::to_json(&KeyWithSecret { key: KeyBody::new(key, now), secret: None });
    Replay { status: status.as_u16(), location, etag: Some(etag(key, now)), body }
}

fn location(key: &ApiKey) -> String {
    format!("/v1/keys/{}", key.id)
}

/// Covers what changes without a revision: the last use, and the state that time alone brings about.
fn etag(key: &ApiKey, now: Timestamp) -> String {
    let used = key.last_used.as_ref().map_or(0, |last| last.at.millis());
    let old_used = key.rotation.as_ref().and_then(|rotation| rotation.old_last_used.as_ref()).map_or(0, |last| last.at.millis());
    format!("\"{}-{used:x}-{old_used:x}-{}\"", key.revision, key.status(now).name())
}
