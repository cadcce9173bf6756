//! Changing what a key is. Whoever changed it meanwhile is not overwritten unseen: the form comes back and says what is
//! different now.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::Realm;
use super::fields::{Given, KeyFields, TypedKey};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::Now;
use crate::http::page::{Banner, FormErrors, Frame, PageError};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, msg, t};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, ApiKeyChanges, KeyStatus};
use crate::model::error::FieldErrors;
use crate::model::revision::IfMatch;
use crate::services;

#[derive(Template)]
#[template(path = "admin/api_keys/edit.html")]
pub struct EditKeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub id: String,
    pub name: String,
    pub fields: KeyFields,
    pub revision: i64,
    /// The key as the form was filled with it, to tell later what somebody else changed.
    pub was: String,
    pub conflicts: Vec<Conflict>,
}

/// What is different from when the form was filled.
pub struct Conflict {
    pub field: &'static str,
    pub was: String,
    pub is: String,
}

const FACTS: [&str; 7] = [
    msg!("Name"),
    msg!("Scopes"),
    msg!("Expires"),
    msg!("Allowed addresses"),
    msg!("Own limits"),
    msg!("Metadata"),
    msg!("State"),
];

pub async fn edit(who: SignedIn, realm: Realm, id: Path<String>) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    if key.must_be_changeable().is_err() {
        return Ok(to(realm.of(&key)));
    }
    Ok(who.ok(&form_page(&who, realm, &key, TypedKey::of_key(&key), FormErrors::default())))
}

pub async fn update(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let typed = TypedKey::of(&form);
    if form.is_stale {
        let mut page = form_page(&who, realm, &key, typed, FormErrors::default()).since(&form);
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    let mut errors = FieldErrors::default();
    let Some(given) = typed.read(&who.now(), &mut errors) else {
        let page = form_page(&who, realm, &key, typed, errors.into()).since(&form);
        return Ok(who.page(StatusCode::BAD_REQUEST, &page));
    };
    if !key.scopes.lacks(given.scopes.within(who.caller.scopes)).is_empty() {
        who.must_be_elevated(&form).await?;
    }
    let revision = form.text("revision").parse().unwrap_or(0);
    match services::api_keys::update(&who.app, &who.caller, key.id, changes(&key, given), IfMatch::one_of(vec![revision])).await {
        Ok(_) => Ok(to(realm.of(&key))),
        Err(AppError::PreconditionFailed) => {
            let key = realm.find(&who, &id).await?;
            let mut page = form_page(&who, realm, &key, typed, FormErrors::default());
            page.conflicts = conflicts(form.text("was"), &key, &who.now());
            Ok(who.page(StatusCode::CONFLICT, &page))
        }
        Err(err) => {
            let code = status(&err);
            let errors = FormErrors::of_refusal(err)?.renamed("expires_at", typed.expiry_field());
            Ok(who.page(code, &form_page(&who, realm, &key, typed, errors).since(&form)))
        }
    }
}

/// What was typed and differs.
fn changes(key: &ApiKey, given: Given) -> ApiKeyChanges {
    let Given { name, scopes, expiry, ip_allow, windows, metadata } = given;
    ApiKeyChanges {
        name: (name.as_str() != key.name).then_some(name),
        scopes: (scopes != key.scopes.into()).then_some(scopes),
        enabled: None,
        expiry,
        ip_allow: (ip_allow != key.ip_allow).then_some(ip_allow),
        windows: (windows != key.windows).then_some(windows),
        metadata: (metadata != key.metadata).then_some(metadata),
    }
}

/// The facts that can change while somebody edits, in the order of their names.
fn facts(key: &ApiKey, now: &Now) -> [String; 7] {
    let or_none = |text: String| if text.is_empty() { t("none").into() } else { text };
    [
        key.name.clone(),
        key.scopes.to_string(),
        key.expires_at.map_or_else(|| t("never").into(), |at| now.end(at).full),
        or_none(key.ip_allow.entries().collect::<Vec<_>>().join(", ")),
        or_none(key.windows.to_string()),
        or_none(if key.metadata.as_map().is_empty() { String::new() } else { key.metadata.to_json() }),
        t(state_words(key.status(now.at))).into(),
    ]
}

const fn state_words(state: KeyStatus) -> &'static str {
    match state {
        KeyStatus::Active => msg!("active"),
        KeyStatus::Rotating => msg!("rotating"),
        KeyStatus::Disabled => msg!("disabled"),
        KeyStatus::Expired => msg!("expired"),
        KeyStatus::Revoked => msg!("revoked"),
    }
}

fn conflicts(was: &str, key: &ApiKey, now: &Now) -> Vec<Conflict> {
    let was: Vec<String> = serde_json::from_str(was).unwrap_or_default();
    let both = FACTS.into_iter().zip(was).zip(facts(key, now));
    both.filter(|((_, was), is)| was != is).map(|((field, was), is)| Conflict { field, was, is }).collect()
}

fn form_page(who: &SignedIn, realm: Realm, key: &ApiKey, typed: TypedKey, errors: FormErrors) -> EditKeyPage {
    let now = who.now();
    let kept = key.expires_at.map_or_else(|| t("As it is: never"), |at| t("As it is: {when}").with("when", now.end(at).full));
    EditKeyPage {
        frame: who.frame(t("Edit {name}").with("name", &key.name), realm.place()).faulty(&errors),
        realm,
        errors,
        id: key.id.to_string(),
        name: key.name.clone(),
        fields: KeyFields::new(who, typed, Some(kept.into())),
        revision: key.revision,
        was: serde_json::to_string(&facts(key, &now)).unwrap_or_default(),
        conflicts: Vec::new(),
    }
}

impl EditKeyPage {
    /// Still compared with what the form was first filled with.
    fn since(mut self, form: &Posted) -> Self {
        self.revision = form.text("revision").parse().unwrap_or(0);
        self.was = form.text("was").to_owned();
        self
    }
}
