//! Who stands behind a credential: the user, their account and its limits, read along with it in one look-up.

use super::tiers::windows_from_json;
use super::{Cells, damaged, users};
use crate::model::account::AccountStatus;
use crate::model::api_key::Metadata;
use crate::model::tier::Windows;
use crate::model::user::User;

/// Of the user `u`, in the order in which users are read, and of what [`holder_joins`] brings.
macro_rules! holder_columns {
    () => {
        "u.id, u.account_id, u.name, u.email, u.role, u.status, u.time_zone, u.theme, u.shortcuts, u.language,
    CASE WHEN u.password_hash IS NULL THEN 0 ELSE 1 END, CASE WHEN u.totp_seed IS NULL THEN 0 ELSE 1 END, u.created_at, u.updated_at, u.revision,
    a.name, a.status, a.metadata, t.name, coalesce(a.windows, t.windows)"
    };
}

macro_rules! holder_joins {
    () => {
        "JOIN accounts a ON a.id = u.account_id LEFT JOIN tiers t ON t.name_folded = a.tier "
    };
}

pub(super) use {holder_columns, holder_joins};

#[derive(Debug)]
pub struct Holder {
    pub user: User,
    pub account: HoldingAccount,
    /// Those of the account, else of its tier; none: the dialect's.
    pub account_windows: Option<Windows>,
}

#[derive(Debug)]
pub struct HoldingAccount {
    pub name: String,
    pub status: AccountStatus,
    pub metadata: Metadata,
    /// Its tier's name, as it was given.
    pub tier: Option<String>,
}

/// From the next columns of a row, in the order of [`holder_columns`].
pub(super) fn from_cells(cells: &mut Cells) -> rusqlite::Result<Holder> {
    Ok(Holder {
        user: users::from_cells(cells)?,
        account: HoldingAccount {
            name: cells.next()?,
            status: AccountStatus::parse(cells.text()?).map_err(|problem| damaged(problem.message))?,
            metadata: super::accounts::metadata_from_json(cells.text()?)?,
            tier: cells.next()?,
        },
        account_windows: cells.next::<Option<String>>()?.map(|text| windows_from_json(&text)).transpose()?,
    })
}
