//! The users of this server, for administrators. A user has a page for each question: who they are, their keys, where
//! they are signed in, and what happened.

mod activity;
mod bulk;
mod confirm;
mod edit;
mod export;
mod import;
mod link;
mod list;
mod sessions;

pub use activity::activity;
pub use bulk::{act as act_on_many, ask as ask_for_many};
pub use confirm::{delete, disable, enable, show_delete, show_disable, show_enable};
pub use edit::{create, edit, new, update};
pub use export::export;
pub use import::{form as import_form, import, preview as import_preview, rejected as import_rejected, upload as import_upload};
pub use link::{give, show_give, show_withdraw, withdraw};
pub use list::list;
pub use sessions::{end as end_sessions, sessions};

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;

use crate::http::csrf::Fields;
use crate::http::moment::Moment;
use crate::http::page::{Done, Frame, PageError, Place};
use crate::http::pages::view::{KeyRow, Listed, Pages, UserRow};
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, msg, t};
use crate::model::AppError;
use crate::model::ids::{ApiKeyId, UserId};
use crate::model::page::{Limit, Order, Start};
use crate::model::password_link::LinkKind;
use crate::model::user::User;
use crate::services;

const BASE: &str = "/admin/users";

#[derive(Template)]
#[template(path = "admin/users/show.html")]
pub struct UserPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub user: UserRow,
    pub time_zone: String,
    pub sign_in: String,
    pub link: Option<PendingLink>,
    /// What a link would be for.
    pub link_words: &'static str,
}

/// A link that was given and not used yet.
pub struct PendingLink {
    pub words: &'static str,
    pub given: Moment,
    pub ends: Moment,
    pub has_ended: bool,
}

#[derive(Template)]
#[template(path = "admin/users/keys.html")]
pub struct UserKeysPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub user: UserRow,
    pub keys: Vec<KeyRow>,
    pub pages: Pages,
}

pub async fn show(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let standing = services::password_links::standing(&who.app, &who.caller, user.id).await?;
    let now = who.now();
    let page = UserPage {
        frame: who.frame(&user.name, Place::Users).with_banner(done.banner()),
        tab: "profile",
        time_zone: user.time_zone.clone(),
        sign_in: if standing.has_password { t("With a password") } else { t("Not yet: they have no password") }.into(),
        link: standing.pending.map(|pending| PendingLink {
            words: match pending.kind {
                LinkKind::Invitation => msg!("Invited"),
                LinkKind::Reset => msg!("Link to set a new password given"),
            },
            given: now.moment(pending.created_at),
            ends: now.moment(pending.expires_at),
            has_ended: pending.expires_at <= now.at,
        }),
        link_words: if standing.has_password { msg!("Give a link to set a new password") } else { msg!("Invite") },
        user: row(&who, &user).await?,
    };
    Ok(who.ok(&page))
}

pub async fn keys(who: SignedIn, id: Path<String>, fields: Fields) -> Result<HttpResponse, PageError> {
    let user = find(&who, &id).await?;
    let filter = services::api_keys::Filter { user: Some(user.id), ..Default::default() };
    let base = format!("{BASE}/{}/keys", user.id);
    let listed = Listed::new(base, fields.text("limit").parse().ok(), fields.text("from").parse().ok());
    let given = |name| Some(fields.text(name)).filter(|text| !text.is_empty());
    let start = Start::parse(None, given("after"), given("before"), ApiKeyId::parse, &mut Default::default());
    let place = (start, Order::NewestFirst, Limit::of(listed.size()));
    let page = services::api_keys::list(&who.app, &who.caller, filter, place).await?;
    let now = who.now();
    let page = UserKeysPage {
        frame: who.frame(t("Keys of {name}").with("name", &user.name), Place::Users),
        tab: "keys",
        keys: page.rows.iter().map(|key| KeyRow::new(key, &user.email, &now)).collect(),
        pages: listed.pages(&page, |key| key.id.to_string()),
        user: row(&who, &user).await?,
    };
    Ok(who.ok(&page))
}

async fn find(who: &SignedIn, id: &str) -> Result<User, PageError> {
    let id = UserId::parse(id).ok_or(AppError::NotFound("user"))?;
    Ok(services::users::find(&who.app, &who.caller, id).await?)
}

/// A user as the head of their pages shows them.
async fn row(who: &SignedIn, user: &User) -> Result<UserRow, PageError> {
    let account = services::accounts::find(&who.app, &who.caller, user.account_id).await?;
    let invited = services::password_links::invited(&who.app, &who.caller, vec![user.id]).await?;
    Ok(UserRow::new(user, &account.name, &who.now()).invited(!invited.is_empty()))
}
