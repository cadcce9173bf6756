//! Generating a key, and the one page that shows its secret.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::web::Query;
use askama::Template;
use serde::Deserialize;

use super::Realm;
use super::fields::{Given, KeyFields, TypedKey};
use super::show::account_limits;
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError};
use crate::http::samples::{self, Sample};
use crate::http::signed_in::SignedIn;
use crate::http::words::{Message, filters, t, t_refusal};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, NewApiKey};
use crate::model::email::Email;
use crate::model::error::FieldErrors;
use crate::model::ids::{ApiKeyId, UserId};
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::ScopeSet;
use crate::services;
use crate::services::forms::Formed;

#[derive(Template)]
#[template(path = "admin/api_keys/new.html")]
pub struct NewKeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub fields: KeyFields,
    pub nonce: String,
    pub limits: String,
}

#[derive(Template)]
#[template(path = "admin/api_keys/secret.html")]
pub struct SecretPage {
    pub frame: Frame,
    pub realm: Realm,
    pub id: String,
    pub name: String,
    pub headline: String,
    pub told: String,
    pub secret: String,
    pub samples: Vec<Sample>,
    pub result: Option<TestResult>,
}

/// What a test of a key came to.
pub struct TestResult {
    pub tone: &'static str,
    pub words: String,
}

#[derive(Template)]
#[template(path = "admin/api_keys/again.html")]
pub struct AgainPage {
    pub frame: Frame,
    pub realm: Realm,
    pub id: String,
    pub name: String,
    /// What the form did when it was sent first.
    pub words: String,
}

#[derive(Default, Deserialize)]
pub struct Prefilled {
    #[serde(default)]
    owner: String,
}

pub async fn new(who: SignedIn, realm: Realm, prefilled: Query<Prefilled>) -> Result<HttpResponse, PageError> {
    let own = services::api_keys::Filter { user: Some(who.user.id), ..Default::default() };
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(1));
    let is_first = services::api_keys::list(&who.app, &who.caller, own, newest).await?.rows.is_empty();
    let typed = TypedKey {
        name: if is_first { t("My first key").into() } else { String::new() },
        owner: if prefilled.owner.is_empty() { who.user.email.clone() } else { prefilled.owner.clone() },
        preset: "read".into(),
        scopes: ScopeSet::default_for_keys(),
        expires: "90d".into(),
        ..TypedKey::default()
    };
    let page = form_page(&who, realm, typed, random_token().to_string(), FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn create(who: SignedIn, realm: Realm, form: Posted) -> Result<HttpResponse, PageError> {
    let nonce = nonce_of(&form)?;
    let typed = TypedKey::of(&form);
    if form.is_stale {
        let mut page = form_page(&who, realm, typed, nonce, FormErrors::default()).await?;
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    if typed.is_for_everything() {
        who.must_be_elevated(&form).await?;
    }
    let made = match parse(&who, realm, &typed).await {
        Ok(new) => services::api_keys::create_by_form(&who.app, &who.caller, new, &nonce).await,
        Err(err) => Err(err),
    };
    match made {
        Ok(Formed::Made(key, secret)) => {
            let told = t(
                "{name} works from now on. Copy the secret before you leave this page: Keyrack keeps only a hash and cannot show it again.",
            );
            let told = told.with("name", &key.name);
            Ok(show_once(&who, realm, &key, (t("Key generated"), told), secret.expose(), None))
        }
        Ok(Formed::Before(id)) => {
            again(&who, realm, id, t("Already generated"), t("It made one key, and no second one now.")).await
        }
        Err(err) => {
            let code = status(&err);
            let errors = FormErrors::of_refusal(err)?.renamed("expires_at", typed.expiry_field()).renamed("user_id", "owner");
            let page = form_page(&who, realm, typed, nonce, errors).await?;
            Ok(who.page(code, &page))
        }
    }
}

/// The secret as a file. It comes with the form, since only the page has it.
pub async fn download(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let secret = secret_of(&form)?;
    let body = format!("KEYRACK_API_KEY={secret}\nKEYRACK_URL={}\n", who.facts.base_url());
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"keyrack.env\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .body(body))
}

/// Whether the key works, for a browser that runs no script; the page comes again with the secret that was sent.
pub async fn test(who: SignedIn, realm: Realm, form: Posted) -> Result<HttpResponse, PageError> {
    let secret = secret_of(&form)?;
    let key = realm.find(&who, form.text("id")).await?;
    let credential = services::credentials::authenticate(&who.app, secret, who.app.clock.both());
    let allowed = credential.and_then(|credential| match credential.allows_from(who.facts.ip) {
        _ if credential.key().is_none_or(|found| found.id != key.id) => Err(AppError::InvalidApiKey),
        true => Ok(credential),
        false => Err(AppError::IpNotAllowed(who.facts.ip)),
    });
    let result = match allowed {
        Ok(credential) => {
            let words = t("200 OK. The key works, as {email}.").with("email", &credential.user.email);
            TestResult { tone: "ok", words: words.into() }
        }
        Err(err @ AppError::Internal(_)) => return Err(err.into()),
        Err(err) => TestResult { tone: "bad", words: format!("{}. {}", status(&err).as_u16(), t_refusal(&err.to_string())) },
    };
    let told = t("This page still shows the secret. It cannot be shown again once you leave.");
    Ok(show_once(&who, realm, &key, (t("Key tested"), told), secret, Some(result)))
}

/// The page that shows a secret. Kept by no cache, and not compressed, since a secret beside what others choose must not
/// change its length.
pub(super) fn show_once(
    who: &SignedIn,
    realm: Realm,
    key: &ApiKey,
    (headline, told): (Message, Message),
    secret: &str,
    result: Option<TestResult>,
) -> HttpResponse {
    let page = SecretPage {
        frame: who.frame(t("Copy and securely store your key"), realm.place()),
        realm,
        id: key.id.to_string(),
        name: key.name.clone(),
        headline: headline.into(),
        told: told.into(),
        samples: samples::first_request(who.facts.base_url(), secret),
        secret: secret.into(),
        result,
    };
    let mut response = who.ok(&page);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// What a form answers that was sent before.
pub(super) async fn again(
    who: &SignedIn,
    realm: Realm,
    made: Option<ApiKeyId>,
    title: Message,
    words: Message,
) -> Result<HttpResponse, PageError> {
    let id = made.ok_or(AppError::NotFound("key"))?.to_string();
    let key = realm.find(who, &id).await?;
    let frame = who.frame(title, realm.place());
    Ok(who.ok(&AgainPage { frame, realm, id, name: key.name, words: words.into() }))
}

pub(super) fn nonce_of(form: &Posted) -> Result<String, PageError> {
    match form.text("nonce") {
        "" => Err(AppError::BadRequest("The form came without its nonce. Load the page again.".into()).into()),
        nonce => Ok(nonce.to_owned()),
    }
}

fn secret_of(form: &Posted) -> Result<&str, PageError> {
    let secret = form.text("secret");
    let is_shaped = !secret.is_empty() && secret.len() < 200 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_shaped { Ok(secret) } else { Err(AppError::BadRequest("This is no key.".into()).into()) }
}

async fn parse(who: &SignedIn, realm: Realm, typed: &TypedKey) -> Result<NewApiKey, AppError> {
    let mut errors = FieldErrors::default();
    let given = typed.read(&who.now(), &mut errors);
    let user_id = if realm.is_own() { Some(who.user.id) } else { owner(who, &typed.owner, &mut errors).await? };
    match given {
        Some(Given { name, scopes, expiry: Some(expiry), ip_allow, windows, metadata }) if errors.as_slice().is_empty() => {
            Ok(NewApiKey { name, user_id, scopes, expiry, ip_allow, windows, metadata })
        }
        Some(Given { expiry: None, .. }) => Err(AppError::invalid("expires", "required", "Choose when the key expires.")),
        _ => Err(AppError::Invalid(errors)),
    }
}

async fn owner(who: &SignedIn, typed: &str, errors: &mut FieldErrors) -> Result<Option<UserId>, AppError> {
    let Some(email) = errors.note("owner", Email::parse(typed)) else { return Ok(None) };
    match services::users::find_by_email(&who.app, &who.caller, email).await {
        Ok(user) => Ok(Some(user.id)),
        Err(AppError::NotFound(_)) => {
            errors.add("owner", "unknown", "No user has this address. Add the user first.");
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

async fn form_page(
    who: &SignedIn,
    realm: Realm,
    typed: TypedKey,
    nonce: String,
    errors: FormErrors,
) -> Result<NewKeyPage, PageError> {
    let limits = match realm {
        Realm::Own => t("Limits: {limits}.").with("limits", account_limits(who, &who.user).await?),
        Realm::All => t("Limits: those of its owner's account, counted over all keys of the account."),
    };
    Ok(NewKeyPage {
        frame: who.frame(t("Generate New Key"), realm.place()).faulty(&errors),
        realm,
        errors,
        nonce,
        limits: limits.into(),
        fields: KeyFields::new(who, typed, None),
    })
}
