//! Who stands behind a credential: the user, their account and its limits, read along with it in one look-up.

use rusqlite::Row;

use super::tiers::windows_from_json;
use super::{at, damaged};
use crate::model::account::AccountStatus;
use crate::model::api_key::Metadata;
use crate::model::look::Look;
use crate::model::tier::Windows;
use crate::model::user::{Role, User, UserStatus};

/// Of the user `u`, and of what [`holder_joins`] brings.
macro_rules! holder_columns {
    () => {
        "u.id AS holder_id, u.account_id AS user_account_id, u.name AS user_name, u.email AS user_email,
    u.role AS user_role, u.status AS user_status, u.time_zone AS user_time_zone, u.theme AS user_theme,
    u.shortcuts AS user_shortcuts, u.language AS user_language, CASE WHEN u.totp_seed IS NULL THEN 0 ELSE 1 END AS user_has_second_factor, u.created_at AS user_created_at,
    u.updated_at AS user_updated_at, u.revision AS user_revision, a.name AS account_name, a.metadata AS account_metadata, a.status AS account_status,
    t.name AS account_tier, coalesce(a.windows, t.windows) AS account_windows"
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

pub(super) fn from_row(row: &Row) -> rusqlite::Result<Holder> {
    let status = |text: String| AccountStatus::parse(&text).map_err(|problem| damaged(problem.message));
    let windows: Option<String> = row.get("account_windows")?;
    Ok(Holder {
        user: User {
            id: row.get("holder_id")?,
            account_id: row.get("user_account_id")?,
            name: row.get("user_name")?,
            email: row.get("user_email")?,
            role: Role::parse(&row.get::<_, String>("user_role")?).map_err(|problem| damaged(problem.message))?,
            status: UserStatus::parse(&row.get::<_, String>("user_status")?).map_err(|problem| damaged(problem.message))?,
            time_zone: row.get("user_time_zone")?,
            look: Look::new(
                &row.get::<_, String>("user_theme")?,
                row.get("user_shortcuts")?,
                &row.get::<_, String>("user_language")?,
            ),
            has_second_factor: row.get("user_has_second_factor")?,
            created_at: at(row, "user_created_at")?,
            updated_at: at(row, "user_updated_at")?,
            revision: row.get("user_revision")?,
        },
        account: HoldingAccount {
            name: row.get("account_name")?,
            status: status(row.get("account_status")?)?,
            metadata: super::accounts::metadata_from_json(&row.get::<_, String>("account_metadata")?)?,
            tier: row.get("account_tier")?,
        },
        account_windows: windows.map(|text| windows_from_json(&text)).transpose()?,
    })
}
