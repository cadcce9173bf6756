//! Accounts, for administrators. A file for each page; here is what they share.

mod confirm;
mod edit;
mod limits;
mod list;
mod show;

pub use confirm::{delete, resume, show_delete, show_resume, show_suspend, show_take_limits, suspend, take_limits};
pub use edit::{create, edit, new, update};
pub use limits::{set_limits, show_limits};
pub use list::list;
pub use show::show;

use super::view::{Status, grouped};
use crate::http::moment::{Moment, Now};
use crate::http::page::PageError;
use crate::http::signed_in::SignedIn;
use crate::http::words::{msg, t};
use crate::model::AppError;
use crate::model::account::{Account, AccountStatus};
use crate::model::api_key::Metadata;
use crate::model::ids::AccountId;
use crate::services;

const BASE: &str = "/admin/accounts";

/// One option of a filter.
pub struct Choice {
    pub value: String,
    pub words: String,
    pub current: bool,
}

pub struct AccountRow {
    pub id: String,
    pub name: String,
    pub limits: String,
    pub has_own_limits: bool,
    pub users: String,
    pub keys: String,
    pub created: Moment,
    pub status: Status,
}

impl AccountRow {
    fn new(account: &Account, counts: Option<(u64, u64)>, now: &Now) -> Self {
        let (users, keys) = counts.unwrap_or_default();
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            limits: match (&account.windows, &account.tier) {
                (Some(_), _) => t("Its own").into(),
                (None, Some(tier)) => tier.clone(),
                (None, None) => t("No tier").into(),
            },
            has_own_limits: account.windows.is_some(),
            users: grouped(users),
            keys: grouped(keys),
            created: now.moment(account.created_at),
            status: match account.status {
                AccountStatus::Active => Status { word: msg!("Active"), tone: "ok" },
                AccountStatus::Suspended => Status { word: msg!("Suspended"), tone: "bad" },
            },
        }
    }
}

async fn find(who: &SignedIn, id: &str) -> Result<Account, PageError> {
    let id = AccountId::parse(id).ok_or(AppError::NotFound("account"))?;
    Ok(services::accounts::find(&who.app, &who.caller, id).await?)
}

/// Metadata as a field of a form has it; none is an empty field.
fn pretty(metadata: &Metadata) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    serde_json::to_string_pretty(metadata.as_map()).unwrap_or_default()
}
