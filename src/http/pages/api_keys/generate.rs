//! Generating a key, and the one page that shows its secret.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::web::Query;
use askama::Template;
use jiff::civil::Date;
use serde::Deserialize;

use super::{Choice, Realm, account_limits};
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::moment::Now;
use crate::http::page::{Banner, FormErrors, Frame, PageError};
use crate::http::samples::{self, Sample};
use crate::http::signed_in::SignedIn;
use crate::model::AppError;
use crate::model::api_key::{ApiKey, Expiry, IpAllow, Metadata, NewApiKey};
use crate::model::clock::Timestamp;
use crate::model::email::Email;
use crate::model::error::{FieldErrors, Problem};
use crate::model::ids::UserId;
use crate::model::name::Name;
use crate::model::page::{Limit, Order, Start};
use crate::model::scope::{Scope, ScopeSet, ScopesAsked};
use crate::model::tier::Windows;
use crate::services;
use crate::services::api_keys::Formed;

const DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "admin/api_keys/new.html")]
pub struct NewKeyPage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub typed: TypedKey,
    pub nonce: String,
    pub presets: Vec<Choice>,
    pub scope_rows: Vec<ScopeRow>,
    /// Scopes that the one who generates the key may not give, with the reason.
    pub withheld: String,
    pub expiries: Vec<Choice>,
    pub your_address: String,
    pub limits: String,
}

#[derive(Clone, Default)]
pub struct TypedKey {
    pub name: String,
    pub owner: String,
    pub preset: String,
    pub scopes: ScopeSet,
    pub expires: String,
    pub expires_on: String,
    pub ip_allow: String,
}

pub struct ScopeRow {
    pub resource: &'static str,
    pub cells: Vec<ScopeCell>,
}

pub struct ScopeCell {
    /// Empty: there is no such scope.
    pub scope: &'static str,
    pub checked: bool,
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
        name: if is_first { "My first key".into() } else { String::new() },
        owner: if prefilled.owner.is_empty() { who.user.email.clone() } else { prefilled.owner.clone() },
        preset: "read".into(),
        scopes: ScopeSet::default_for_keys(),
        expires: "90d".into(),
        expires_on: String::new(),
        ip_allow: String::new(),
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
            let told = format!(
                "{} works from now on. Copy the secret before you leave this page: Keyrack keeps only a hash and cannot show it again.",
                key.name
            );
            Ok(show_once(&who, realm, &key, ("Key generated", told), secret.expose(), None))
        }
        Ok(Formed::Before(id)) => again(&who, realm, id, "Already generated", "It made one key, and no second one now.").await,
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
    let credential = services::credentials::authenticate(&who.app, secret, who.app.clock.now());
    let allowed = credential.and_then(|credential| match credential.allows_from(who.facts.ip) {
        _ if credential.key().is_none_or(|found| found.id != key.id) => Err(AppError::InvalidApiKey),
        true => Ok(credential),
        false => Err(AppError::IpNotAllowed(who.facts.ip)),
    });
    let result = match allowed {
        Ok(credential) => TestResult { tone: "ok", words: format!("200 OK. The key works, as {}.", credential.user.email) },
        Err(err @ AppError::Internal(_)) => return Err(err.into()),
        Err(err) => TestResult { tone: "bad", words: format!("{}. {err}", status(&err).as_u16()) },
    };
    let told = "This page still shows the secret. It cannot be shown again once you leave.".to_owned();
    Ok(show_once(&who, realm, &key, ("Key tested", told), secret, Some(result)))
}

/// The page that shows a secret. Kept by no cache, and not compressed, since a secret beside what others choose must not
/// change its length.
pub(super) fn show_once(
    who: &SignedIn,
    realm: Realm,
    key: &ApiKey,
    (headline, told): (&str, String),
    secret: &str,
    result: Option<TestResult>,
) -> HttpResponse {
    let page = SecretPage {
        frame: who.frame("Copy and securely store your key", realm.place()),
        realm,
        id: key.id.to_string(),
        name: key.name.clone(),
        headline: headline.into(),
        told,
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
    made: Option<crate::model::ids::ApiKeyId>,
    title: &str,
    words: &str,
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

impl TypedKey {
    fn of(form: &Posted) -> Self {
        let text = |name| form.text(name).trim().to_owned();
        Self {
            name: text("name"),
            owner: text("owner"),
            preset: text("preset"),
            scopes: form.all("scope").filter_map(Scope::parse).fold(ScopeSet::EMPTY, ScopeSet::with),
            expires: text("expires"),
            expires_on: text("expires_on"),
            ip_allow: form.text("ip_allow").replace("\r\n", "\n").trim_end().to_owned(),
        }
    }

    fn is_for_everything(&self) -> bool {
        self.preset == "custom" && self.scopes.has(Scope::Admin)
    }

    fn asked(&self) -> Result<ScopesAsked, Problem> {
        match self.preset.as_str() {
            "custom" if self.scopes.is_empty() => Err(Problem::new("required", "Choose at least one scope.")),
            "custom" => Ok(self.scopes.into()),
            preset @ ("read" | "write") => ScopesAsked::parse([preset]),
            _ => Err(Problem::new("required", "Choose what the key may do.")),
        }
    }

    fn expiry(&self, now: &Now) -> Result<Expiry, Problem> {
        let days = |n: u64| Ok(Expiry::In(std::time::Duration::from_secs(n * DAY)));
        match self.expires.as_str() {
            "30d" => days(30),
            "90d" => days(90),
            "365d" => days(365),
            "never" => Ok(Expiry::Never),
            "date" => end_of_day(&self.expires_on, now)
                .map(Expiry::At)
                .ok_or_else(|| Problem::new("invalid_date", "Enter the last day, for example 2027-01-31.")),
            _ => Err(Problem::new("required", "Choose when the key expires.")),
        }
    }
}

fn end_of_day(typed: &str, now: &Now) -> Option<Timestamp> {
    let day: Date = typed.parse().ok()?;
    let end = day.tomorrow().ok()?.to_zoned(now.zone.clone()).ok()?;
    Some(Timestamp::from_millis(end.timestamp().as_millisecond()))
}

async fn parse(who: &SignedIn, realm: Realm, typed: &TypedKey) -> Result<NewApiKey, AppError> {
    let mut errors = FieldErrors::default();
    let name = errors.note("name", Name::parse(&typed.name));
    let user_id = if realm.is_own() { Some(who.user.id) } else { owner(who, &typed.owner, &mut errors).await? };
    let scopes = errors.note("scopes", typed.asked());
    let now = who.now();
    let expiry = typed.expiry(&now).and_then(|expiry| expiry.resolve(now.at).map(|_| expiry));
    let expiry = errors.note(typed.expiry_field(), expiry);
    let lines = typed.ip_allow.lines().map(str::trim).filter(|line| !line.is_empty());
    let ip_allow = errors.note("ip_allow", IpAllow::parse(lines));
    match (name, scopes, expiry, ip_allow, errors.as_slice()) {
        (Some(name), Some(scopes), Some(expiry), Some(ip_allow), []) => {
            let (windows, metadata) = (Windows::default(), Metadata::default());
            Ok(NewApiKey { name, user_id, scopes, expiry, ip_allow, windows, metadata })
        }
        _ => Err(AppError::Invalid(errors)),
    }
}

impl TypedKey {
    fn expiry_field(&self) -> &'static str {
        if self.expires == "date" { "expires_on" } else { "expires" }
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
    let now = who.now();
    let allowed = who.caller.scopes;
    let withheld: Vec<&str> = Scope::ALL.iter().filter(|&&scope| !allowed.allows(scope)).map(|scope| scope.name()).collect();
    let until = |days: u64| now.moment(now.at.saturating_add(std::time::Duration::from_secs(days * DAY))).day;
    let limits = match realm {
        Realm::Own => format!("Limits: {}.", account_limits(who, &who.user).await?),
        Realm::All => "Limits: those of its owner's account, counted over all keys of the account.".into(),
    };
    let choice = |value, words: String, hint: &str| Choice { value, words, hint: hint.into(), current: false };
    Ok(NewKeyPage {
        frame: who.frame("Generate New Key", realm.place()).faulty(&errors),
        realm,
        errors,
        nonce,
        presets: vec![
            choice("read", "Read only".into(), "Reads what its owner sees, and changes nothing."),
            choice("write", "Full".into(), "Reads and changes what its owner may."),
            choice("custom", "Custom scopes".into(), "Each one chosen."),
        ],
        scope_rows: scope_rows(allowed, typed.scopes),
        withheld: match withheld.as_slice() {
            [] => String::new(),
            scopes => format!("{}, which only an administrator’s key may have", scopes.join(", ")),
        },
        expiries: vec![
            choice("30d", format!("In 30 days, on {}", until(30)), ""),
            choice("90d", format!("In 90 days, on {}", until(90)), ""),
            choice("365d", format!("In a year, on {}", until(365)), ""),
            choice("date", "On a date".into(), ""),
            choice("never", "Never".into(), ""),
        ],
        your_address: who.facts.ip.to_string(),
        limits,
        typed,
    })
}

/// The scopes that may be given, a row for each resource, with what only reads before what changes.
fn scope_rows(allowed: ScopeSet, checked: ScopeSet) -> Vec<ScopeRow> {
    let resources = [("Users", "users"), ("API keys", "keys"), ("Webhooks", "webhooks"), ("Audit log", "audit")];
    let cell = |name: &str| match Scope::parse(name).filter(|&scope| allowed.allows(scope)) {
        Some(scope) => ScopeCell { scope: scope.name(), checked: checked.has(scope) },
        None => ScopeCell { scope: "", checked: false },
    };
    let row = |resource, cells: [&str; 2]| ScopeRow { resource, cells: cells.map(cell).into() };
    let mut rows: Vec<ScopeRow> =
        resources.iter().map(|(words, name)| row(*words, [&format!("{name}:read"), &format!("{name}:write")])).collect();
    rows.push(row("Other", ["keys:verify", "admin"]));
    rows.retain(|row| row.cells.iter().any(|cell| !cell.scope.is_empty()));
    rows
}
