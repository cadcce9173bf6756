//! Finding anything by a few characters: what somebody types into the page that leads anywhere.

use super::api_keys::{Typed, recognize};
use crate::app::App;
use crate::model::Result;
use crate::model::api_key::ApiKey;
use crate::model::caller::Caller;
use crate::model::ids::{AccountId, ApiKeyId, RequestId, UserId};
use crate::model::key_view::KeySought;
use crate::model::page::{Limit, Start};
use crate::model::scope::Scope;
use crate::store::{self, Conn};

/// Of each kind, so that all of them are seen at once.
const MOST: u32 = 5;

/// The one thing that a text names whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Key(ApiKeyId),
    User(UserId),
    Account(AccountId),
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
    Ok(if let Some(id) = ApiKeyId::parse(&lower) {
        Some(Named::Key(id))
    } else if !sees_all {
        None
    } else if let Some(id) = UserId::parse(&lower) {
        Some(Named::User(id))
    } else if let Some(id) = AccountId::parse(&lower) {
        Some(Named::Account(id))
    } else {
        RequestId::parse(&lower).map(|id| Named::Request(id.to_string()))
    })
}

/// What begins so: keys by name or owner, and for administrators users and accounts.
#[derive(Debug, Default)]
pub struct Found {
    pub keys: Vec<ApiKey>,
    pub users: Vec<(UserId, String, String)>,
    pub accounts: Vec<(AccountId, String)>,
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
        Ok(Found {
            keys: store::key_views::search(conn, only, &KeySought::parse(&text), place)?.rows,
            users: if sees_all { store::found::users(conn, &text, MOST)? } else { Vec::new() },
            accounts: if sees_all { store::found::accounts(conn, &text, MOST)? } else { Vec::new() },
        })
    };
    app.store.read(search).await
}
