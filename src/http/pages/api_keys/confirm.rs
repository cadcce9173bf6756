//! Disabling and enabling a key, which can be undone, and revoking it, which cannot.

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};

use super::Realm;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Done, FormErrors, Link, PageError};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::pages::view::KeyRow;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{msg, t};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, ApiKeyChanges};
use crate::model::revision::IfMatch;
use crate::services;

/// A key that was used this lately is revoked by typing its name.
const LATELY_SECONDS: u64 = 24 * 60 * 60;

#[derive(Clone, Copy)]
enum Act {
    Disable,
    Enable,
    Revoke,
}

impl Act {
    const fn path(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Revoke => "revoke",
        }
    }
}

pub async fn show_disable(who: SignedIn, realm: Realm, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, realm, id, done, Act::Disable).await
}

pub async fn show_enable(who: SignedIn, realm: Realm, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, realm, id, done, Act::Enable).await
}

pub async fn show_revoke(who: SignedIn, realm: Realm, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    ask(who, realm, id, done, Act::Revoke).await
}

async fn ask(who: SignedIn, realm: Realm, id: Path<String>, done: Query<Done>, act: Act) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let mut page = page(&who, realm, &key, act, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn disable(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, realm, id, form, Act::Disable).await
}

pub async fn enable(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    switch(who, realm, id, form, Act::Enable).await
}

async fn switch(who: SignedIn, realm: Realm, id: Path<String>, form: Posted, act: Act) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}/{}?done=renewed", realm.of(&key), act.path())));
    }
    let changes = ApiKeyChanges { enabled: Some(matches!(act, Act::Enable)), ..ApiKeyChanges::default() };
    match services::api_keys::update(&who.app, &who.caller, key.id, changes, IfMatch::ANY).await {
        Ok(_) => Ok(to(realm.of(&key))),
        Err(err) => refused(&who, realm, &key, act, err).await,
    }
}

pub async fn revoke(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}/revoke?done=renewed", realm.of(&key))));
    }
    // Only where the page asked: a use may have become known since.
    if form.has("confirm") && form.text("confirm").trim() != key.name {
        let words = format!("Type {} to revoke the key.", key.name);
        return refused(&who, realm, &key, Act::Revoke, AppError::invalid("confirm", "different", words)).await;
    }
    match services::api_keys::revoke(&who.app, &who.caller, key.id, IfMatch::ANY).await {
        Ok(_) => Ok(to(format!("{}?done=revoked", realm.of(&key)))),
        Err(err) => refused(&who, realm, &key, Act::Revoke, err).await,
    }
}

fn was_used_lately(who: &SignedIn, key: &ApiKey) -> bool {
    key.last_used.as_ref().is_some_and(|last| who.app.clock.now().since(last.at).as_secs() < LATELY_SECONDS)
}

async fn refused(who: &SignedIn, realm: Realm, key: &ApiKey, act: Act, err: AppError) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = page(who, realm, key, act, FormErrors::of_refusal(err)?).await?;
    Ok(who.page(code, &page))
}

async fn page(who: &SignedIn, realm: Realm, key: &ApiKey, act: Act, errors: FormErrors) -> Result<ConfirmPage, PageError> {
    let owner = services::users::find(&who.app, &who.caller, key.user_id).await?;
    let used = services::usage::requests_of_a_day(&who.app, &who.caller, std::slice::from_ref(key)).await?;
    let row = KeyRow::new(key, &owner.email, &who.now()).with_usage(used.get(&key.id));
    let (title, line, button) = match act {
        Act::Disable => (
            t("Disable {name}"),
            t("Programs that use it get 401 until you enable it again. Nothing else changes."),
            msg!("Disable key"),
        ),
        Act::Enable => (t("Enable {name}"), t("Programs that use it are let in again, from this moment."), msg!("Enable key")),
        Act::Revoke => (
            t("Revoke {name}"),
            t("Programs that use it get 401 from this moment. A revoked key stays listed and cannot be brought back."),
            msg!("Revoke key"),
        ),
    };
    let is_final = matches!(act, Act::Revoke);
    let asks_name = is_final && was_used_lately(who, key);
    Ok(ConfirmPage {
        frame: who.frame(title.with("name", &key.name), realm.place()).faulty(&errors),
        errors,
        back: realm.of(key),
        back_words: key.name.clone(),
        action: format!("{}/{}", realm.of(key), act.path()),
        lines: vec![line.into()],
        facts: vec![
            (msg!("Owner"), row.owner),
            (msg!("Key"), row.hint),
            (msg!("Last used"), row.used.map_or_else(|| t("Never").into(), |used| used.words)),
            (msg!("Requests, 24 h"), row.requests),
        ],
        instead: (is_final && key.enabled).then(|| Link {
            href: format!("{}/disable", realm.of(key)),
            words: t("Disable it instead, which can be undone").into(),
        }),
        typed_label: msg!("Type the name of the key"),
        typed_name: if asks_name { key.name.clone() } else { String::new() },
        typed: String::new(),
        act: button,
        final_act: is_final,
    })
}
