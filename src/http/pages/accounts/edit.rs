//! Adding an account, and changing its name, tier and metadata.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::{BASE, Choice, find, pretty};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::pages::view::window_words;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::model::account::{Account, AccountChanges, NewAccount};
use crate::model::api_key::Metadata;
use crate::model::error::FieldErrors;
use crate::model::name::Name;
use crate::services;

#[derive(Template)]
#[template(path = "admin/accounts/edit.html")]
pub struct EditAccountPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedAccount,
    pub tiers: Vec<Choice>,
    pub action: String,
    pub back: String,
    pub back_words: String,
    pub is_new: bool,
}

#[derive(Clone, Default)]
pub struct TypedAccount {
    pub name: String,
    pub tier: String,
    pub metadata: String,
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let page = edit_page(&who, None, TypedAccount::default(), FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = TypedAccount::of(&form);
    if form.is_stale {
        return stale(&who, None, typed).await;
    }
    let made = match Name::parse(&typed.name).map_err(|problem| problem.of("name")) {
        Ok(name) => services::accounts::create(&who.app, &who.caller, NewAccount { name, tier: typed.tier() }).await,
        Err(err) => Err(err),
    };
    match made {
        Ok(account) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => refused(&who, None, typed, err).await,
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let typed = TypedAccount {
        name: account.name.clone(),
        tier: account.tier.clone().unwrap_or_default(),
        metadata: pretty(&account.metadata),
    };
    let page = edit_page(&who, Some(&account), typed, FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn update(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let account = find(&who, &id).await?;
    let typed = TypedAccount::of(&form);
    if form.is_stale {
        return stale(&who, Some(&account), typed).await;
    }
    let saved = match typed.to_changes() {
        Ok(changes) => services::accounts::update(&who.app, &who.caller, account.id, changes).await,
        Err(err) => Err(err),
    };
    match saved {
        Ok(account) => Ok(to(format!("{BASE}/{}", account.id))),
        Err(err) => refused(&who, Some(&account), typed, err).await,
    }
}

impl TypedAccount {
    fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        Self { name: text("name"), tier: text("tier"), metadata: text("metadata").replace("\r\n", "\n") }
    }

    fn tier(&self) -> Option<String> {
        (!self.tier.is_empty()).then(|| self.tier.clone())
    }

    fn to_changes(&self) -> Result<AccountChanges, AppError> {
        let mut errors = FieldErrors::default();
        let changes = AccountChanges {
            name: errors.note("name", Name::parse(&self.name)),
            tier: Some(self.tier()),
            metadata: errors.note("metadata", Metadata::parse(&self.metadata)),
            ..AccountChanges::default()
        };
        errors.check().map(|()| changes)
    }
}

async fn stale(who: &SignedIn, account: Option<&Account>, typed: TypedAccount) -> Result<HttpResponse, PageError> {
    let mut page = edit_page(who, account, typed, FormErrors::default()).await?;
    page.frame.banner = Some(Banner::renewed());
    Ok(who.ok(&page))
}

async fn refused(
    who: &SignedIn,
    account: Option<&Account>,
    typed: TypedAccount,
    err: AppError,
) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = edit_page(who, account, typed, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

async fn edit_page(
    who: &SignedIn,
    account: Option<&Account>,
    typed: TypedAccount,
    errors: FormErrors,
) -> Result<EditAccountPage, PageError> {
    let default = window_words(&who.app.dialect().default_windows());
    let mut tiers = vec![Choice {
        value: String::new(),
        words: t("No tier: the API’s default limits, {limits}").with("limits", default).into(),
        current: typed.tier.is_empty(),
    }];
    tiers.extend(services::tiers::list(&who.app).await?.into_iter().map(|tier| Choice {
        words: t("{tier}: {limits}").with("tier", &tier.name).with("limits", window_words(&tier.windows)).into(),
        current: tier.name == typed.tier,
        value: tier.name,
    }));
    let (title, back, back_words, action) = match account {
        Some(account) => {
            let page = format!("{BASE}/{}", account.id);
            (t("Edit {name}").with("name", &account.name), page.clone(), account.name.clone(), format!("{page}/edit"))
        }
        None => (t("Add account"), BASE.into(), t("Accounts").into(), BASE.into()),
    };
    Ok(EditAccountPage {
        frame: who.frame(title, Place::Accounts).faulty(&errors),
        errors,
        typed,
        tiers,
        action,
        back,
        back_words,
        is_new: account.is_none(),
    })
}
