//! Finding anything by a few characters: what somebody types into the page that leads anywhere.

use super::api_keys::{Typed, recognize};
use crate::app::App;
use crate::model::Result;
use crate::model::api_key::ApiKey;
use crate::model::caller::Caller;
use crate::model::ids::{AccountId, ApiKeyId, AuditEventId, ClientId, DeliveryId, RequestId, UserId, WebhookId};
use crate::model::key_view::KeySought;
use crate::model::page::{Limit, Start};
use crate::model::scope::Scope;
use crate::store::key_views::Whose;
use crate::store::{self, Conn};

/// Of each kind, so that all of them are seen at once.
const MOST: u32 = 5;

/// The one thing that a text names whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Key(ApiKeyId),
    User(UserId),
    Account(AccountId),
    Client(ClientId),
    Webhook(WebhookId),
    Delivery(DeliveryId),
    Event(AuditEventId),
    Request(String),
    /// Something like a secret, told by its hint.
    Hint(String),
}

/// What a text names, so that it need not be searched for. Whether there is such a thing is told by its page.
pub fn named(app: &App, caller: &Caller, text: &str) -> Result<Option<Named>> {
    match recognize(app, caller, text)? {
        Typed::SecretOf(id) => return Ok(Some(Named::Key(id))),
        Typed::LikeSecret(hint) => return Ok(Some(Named::Hint(hint))),
        Typed::Words => {}
    }
    let lower = text.to_lowercase();
    let sees_all = caller.scopes.allows(Scope::Admin);
    if let Some(id) = ApiKeyId::parse(&lower) {
        return Ok(Some(Named::Key(id)));
    }
    if !sees_all {
        return Ok(None);
    }
    let named = UserId::parse(&lower)
        .map(Named::User)
        .or_else(|| AccountId::parse(&lower).map(Named::Account))
        .or_else(|| ClientId::parse(&lower).map(Named::Client))
        .or_else(|| WebhookId::parse(&lower).map(Named::Webhook))
        .or_else(|| DeliveryId::parse(&lower).map(Named::Delivery))
        .or_else(|| AuditEventId::parse(&lower).map(Named::Event))
        .or_else(|| RequestId::parse(&lower).map(|id| Named::Request(id.to_string())));
    Ok(named)
}

/// What begins so: keys by name or owner, and for administrators users, accounts, OAuth clients and webhooks.
#[derive(Debug, Default)]
pub struct Found {
    pub keys: Vec<ApiKey>,
    pub users: Vec<(UserId, String, String)>,
    pub accounts: Vec<(AccountId, String)>,
    pub clients: Vec<(ClientId, String)>,
    pub webhooks: Vec<(WebhookId, String)>,
}

pub async fn search(app: &App, caller: &Caller, text: &str) -> Result<Found> {
    if text.is_empty() {
        return Ok(Found::default());
    }
    let (text, only) = (text.to_owned(), caller.only_user());
    let sees_all = caller.scopes.allows(Scope::Admin);
    if only.is_none() {
        caller.must_have(Scope::Admin)?;
    }
    let search = move |conn: &Conn| {
        let place = (Start::Offset(0), Limit::of(MOST));
        let keys = store::key_views::search(conn, only.map(Whose::User), &KeySought::parse(&text), place)?.rows;
        if !sees_all {
            return Ok(Found { keys, ..Found::default() });
        }
        Ok(Found {
            keys,
            users: store::found::users(conn, &text, MOST)?,
            accounts: store::found::accounts(conn, &text, MOST)?,
            clients: store::found::clients(conn, &text, MOST)?,
            webhooks: store::found::webhooks(conn, &text, MOST)?,
        })
    };
    app.store.read(search).await
}
