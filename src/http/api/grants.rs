//! What users allowed to OAuth clients, for programs.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use serde::Serialize;

use super::allowed::{Allowed, KeysRead, KeysWrite};
use super::query::Query;
use super::{Result, id_from, reply};
use crate::app::App;
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::grant::Grant;
use crate::model::ids::{AccountId, ClientId, GrantId, UserId};
use crate::model::scope::ScopeSet;
use crate::services;

#[derive(Serialize)]
struct GrantBody<'a> {
    id: GrantId,
    client_id: ClientId,
    client_name: &'a str,
    /// `null`: the client's own.
    user_id: Option<UserId>,
    account_id: AccountId,
    scopes: ScopeSet,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl<'a> From<&'a Grant> for GrantBody<'a> {
    fn from(grant: &'a Grant) -> Self {
        Self {
            id: grant.id,
            client_id: grant.client_id,
            client_name: &grant.client_name,
            user_id: grant.user_id,
            account_id: grant.account_id,
            scopes: grant.scopes,
            created_at: grant.created_at,
            updated_at: grant.updated_at,
            last_used_at: grant.last_used_at,
        }
    }
}

pub async fn list(who: Allowed<KeysRead>, app: Data<App>, req: HttpRequest, mut query: Query) -> Result {
    let place = query.place(GrantId::parse);
    let wrong = |field: &str, noun: &str| Problem::new("invalid_id", format!("`{field}` must be the id of a {noun}."));
    let filter = services::grants::Filter {
        account: None,
        user: query.text("user_id", |text| UserId::parse(text).ok_or_else(|| wrong("user_id", "user"))),
        client: query.text("client_id", |text| ClientId::parse(text).ok_or_else(|| wrong("client_id", "client"))),
    };
    query.finish()?;
    let (start, _, limit) = place;
    let page = services::grants::list(&app, &who.caller, filter, place).await?;
    Ok(reply::page(&req, &app, &page, start, limit.get(), (|grant| grant.id, GrantBody::from)))
}

pub async fn revoke(who: Allowed<KeysWrite>, app: Data<App>, req: HttpRequest, path: Path<String>) -> Result {
    let id = id_from(path, GrantId::parse, "grant")?;
    services::grants::revoke(&app, &who.caller, id).await?;
    Ok(reply::deleted(&req, "grant", id))
}
