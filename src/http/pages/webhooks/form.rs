//! Adding a webhook, changing it, and the one page that shows its secret.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use actix_web::web::Path;
use askama::Template;

use super::{BASE, find, path_of};
use crate::crypto::WebhookSecret;
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, filters, msg, t};
use crate::model::AppError;
use crate::model::api_key::Overlap;
use crate::model::error::{FieldErrors, Problem};
use crate::model::ids::WebhookId;
use crate::model::revision::IfMatch;
use crate::model::target::Target;
use crate::model::webhook::{EventType, EventTypes, NewWebhook, Webhook, WebhookChanges};
use crate::services::forms::Formed;
use crate::services::webhooks;

#[derive(Template)]
#[template(path = "admin/webhooks/edit.html")]
pub struct EditWebhookPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedWebhook,
    pub groups: Vec<EventGroup>,
    pub action: String,
    pub back: String,
    pub back_words: String,
    /// Empty: an existing webhook is changed.
    pub nonce: String,
    pub allow_private: bool,
}

#[derive(Clone, Default)]
pub struct TypedWebhook {
    pub url: String,
    pub events: Vec<String>,
}

/// Events of one kind of thing.
pub struct EventGroup {
    pub words: &'static str,
    pub events: Vec<EventChoice>,
}

pub struct EventChoice {
    pub name: &'static str,
    pub words: &'static str,
    pub checked: bool,
}

#[derive(Template)]
#[template(path = "admin/webhooks/rotate.html")]
pub struct RotatePage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub back: String,
    pub url: String,
    pub nonce: String,
    pub overlap: String,
    pub overlaps: Vec<(&'static str, String)>,
    pub has_old: bool,
}

#[derive(Template)]
#[template(path = "admin/webhooks/secret.html")]
pub struct SecretPage {
    pub frame: Frame,
    pub id: String,
    pub url: String,
    pub headline: String,
    pub told: String,
    pub secret: String,
}

#[derive(Template)]
#[template(path = "admin/webhooks/again.html")]
pub struct AgainPage {
    pub frame: Frame,
    pub id: String,
    pub url: String,
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let page = page(&who, None, TypedWebhook::default(), random_token().to_string(), FormErrors::default());
    Ok(who.ok(&page))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let nonce = nonce_of(&form)?;
    let typed = TypedWebhook::of(&form);
    if form.is_stale {
        return Ok(who.ok(&renewed(page(&who, None, typed, nonce, FormErrors::default()))));
    }
    who.must_be_elevated(&form).await?;
    let made = match typed.parse(who.app.outbound.allow_private) {
        Ok((url, events)) => {
            let new = NewWebhook { url, events, account_id: None };
            webhooks::create_by_form(&who.app, &who.caller, new, &nonce).await
        }
        Err(err) => Err(err),
    };
    match made {
        Ok(Formed::Made(webhook, secret)) => {
            Ok(show_once(&who, &webhook, (t("Webhook added"), t("It is told of what happens from now on.")), &secret))
        }
        Ok(Formed::Before(id)) => again(&who, id, t("Already added")).await,
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &page(&who, None, typed, nonce, FormErrors::of_refusal(err)?)))
        }
    }
}

pub async fn edit(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let events = webhook.events.names().into_iter().map(str::to_owned).collect();
    let typed = TypedWebhook { url: webhook.url.clone(), events };
    Ok(who.ok(&page(&who, Some(&webhook), typed, String::new(), FormErrors::default())))
}

pub async fn update(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let typed = TypedWebhook::of(&form);
    if form.is_stale {
        return Ok(who.ok(&renewed(page(&who, Some(&webhook), typed, String::new(), FormErrors::default()))));
    }
    let saved = match typed.parse(who.app.outbound.allow_private) {
        Ok((url, events)) => {
            let changes = WebhookChanges { url: Some(url), events: Some(events), status: None };
            webhooks::update(&who.app, &who.caller, webhook.id, changes, IfMatch::ANY).await
        }
        Err(err) => Err(err),
    };
    match saved {
        Ok(webhook) => Ok(to(path_of(&webhook))),
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &page(&who, Some(&webhook), typed, String::new(), FormErrors::of_refusal(err)?)))
        }
    }
}

pub async fn show_rotate(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    Ok(who.ok(&rotate_page(&who, &webhook, "24h", random_token().to_string(), FormErrors::default())))
}

pub async fn rotate(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let webhook = find(&who, &id).await?;
    let (nonce, typed) = (nonce_of(&form)?, form.text("overlap").to_owned());
    if form.is_stale {
        let mut page = rotate_page(&who, &webhook, &typed, nonce, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    who.must_be_elevated(&form).await?;
    let rotated = match overlap(&typed) {
        Ok(overlap) => webhooks::rotate_by_form(&who.app, &who.caller, webhook.id, overlap, &nonce).await,
        Err(err) => Err(err),
    };
    match rotated {
        Ok(Formed::Made(webhook, secret)) => {
            let told = match webhook.old_secret_ends_at {
                Some(end) => t("Until {when} every message carries two signatures, one by each secret.")
                    .with("when", who.now().moment(end).full),
                None => t("Messages are signed with the new secret alone from now on."),
            };
            Ok(show_once(&who, &webhook, (t("Secret rotated"), told), &secret))
        }
        Ok(Formed::Before(id)) => again(&who, id, t("Already rotated")).await,
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &rotate_page(&who, &webhook, &typed, nonce, FormErrors::of_refusal(err)?)))
        }
    }
}

fn overlap(typed: &str) -> Result<Overlap, AppError> {
    let known = OVERLAPS.iter().any(|(value, ..)| *value == typed);
    let wrong = || AppError::invalid("overlap", "required", "Choose how long the old secret still signs.");
    if known { Overlap::parse(typed).map_err(|problem| problem.of("overlap")) } else { Err(wrong()) }
}

const OVERLAPS: [(&str, &str, u64); 4] = [
    ("0s", msg!("Not at all, for a secret that has leaked"), 0),
    ("1h", msg!("1 hour, until {when}"), 3_600),
    ("24h", msg!("24 hours, until {when}"), 86_400),
    ("7d", msg!("7 days, until {when}"), 604_800),
];

fn rotate_page(who: &SignedIn, webhook: &Webhook, typed: &str, nonce: String, errors: FormErrors) -> RotatePage {
    let now = who.now();
    let words = |words: &'static str, seconds: u64| {
        let end = now.moment(now.at.saturating_add(Duration::from_secs(seconds)));
        t(words).with("when", end.full).into()
    };
    RotatePage {
        frame: who.frame(t("Rotate the secret"), Place::Webhooks).faulty(&errors),
        errors,
        back: path_of(webhook),
        url: webhook.url.clone(),
        nonce,
        overlap: typed.into(),
        overlaps: OVERLAPS.map(|(value, said, seconds)| (value, words(said, seconds))).into(),
        has_old: webhook.old_secret_ends_at.is_some_and(|end| end > now.at),
    }
}

/// Kept by no cache, and not compressed, since a secret beside what others choose must not change its length.
fn show_once(who: &SignedIn, webhook: &Webhook, (headline, told): (Message, Message), secret: &WebhookSecret) -> HttpResponse {
    let page = SecretPage {
        frame: who.frame(t("Copy and securely store the secret"), Place::Webhooks),
        id: webhook.id.to_string(),
        url: webhook.url.clone(),
        headline: headline.into(),
        told: told.into(),
        secret: secret.expose().to_string(),
    };
    let mut response = who.ok(&page);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

async fn again(who: &SignedIn, id: Option<WebhookId>, title: Message) -> Result<HttpResponse, PageError> {
    let id = id.ok_or(AppError::NotFound("webhook"))?.to_string();
    let webhook = find(who, &id).await?;
    Ok(who.ok(&AgainPage { frame: who.frame(title, Place::Webhooks), id, url: webhook.url }))
}

fn nonce_of(form: &Posted) -> Result<String, PageError> {
    match form.text("nonce") {
        "" => Err(AppError::BadRequest("The form came without its nonce. Load the page again.".into()).into()),
        nonce => Ok(nonce.to_owned()),
    }
}

fn renewed(mut page: EditWebhookPage) -> EditWebhookPage {
    page.frame.banner = Some(Banner::renewed());
    page
}

impl TypedWebhook {
    fn of(form: &Posted) -> Self {
        Self { url: form.text("url").trim().to_owned(), events: form.all("event").map(str::to_owned).collect() }
    }

    fn parse(&self, allow_private: bool) -> Result<(Target, EventTypes), AppError> {
        let mut errors = FieldErrors::default();
        let url = if self.url.is_empty() {
            Err(Problem::new("required", "Enter the URL that is to be called."))
        } else {
            Target::parse(&self.url, allow_private)
        };
        let url = errors.note("url", url);
        let events = errors.note("events", EventTypes::parse(self.events.iter().map(String::as_str)));
        match (url, events) {
            (Some(url), Some(events)) => Ok((url, events)),
            _ => Err(AppError::Invalid(errors)),
        }
    }
}

fn page(who: &SignedIn, webhook: Option<&Webhook>, typed: TypedWebhook, nonce: String, errors: FormErrors) -> EditWebhookPage {
    let (title, action, back, back_words) = match webhook {
        Some(webhook) => {
            let path = path_of(webhook);
            (t("Edit webhook"), format!("{path}/edit"), path, webhook.url.clone())
        }
        None => (t("Add webhook"), BASE.into(), BASE.into(), t("Webhooks").into()),
    };
    EditWebhookPage {
        frame: who.frame(title, Place::Webhooks).faulty(&errors),
        errors,
        groups: groups(&typed.events),
        typed,
        action,
        back,
        back_words,
        nonce,
        allow_private: who.app.outbound.allow_private,
    }
}

fn groups(checked: &[String]) -> Vec<EventGroup> {
    let groups = [
        (msg!("Users"), "user."),
        (msg!("API keys"), "key."),
        (msg!("Limits"), "rate_limit."),
        (msg!("Connected apps"), "oauth."),
    ];
    let choice = |event: &EventType| EventChoice {
        name: event.name(),
        words: event.words(),
        checked: checked.iter().any(|name| name == event.name()),
    };
    let events = |start: &str| EventType::ALL.iter().filter(|event| event.name().starts_with(start)).map(choice).collect();
    groups.map(|(words, start)| EventGroup { words, events: events(start) }).into()
}
