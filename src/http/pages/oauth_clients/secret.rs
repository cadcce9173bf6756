//! A client's secret: the one page that shows it, rotating it, and ending the older one.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_ENCODING, HeaderValue};
use actix_web::web::{Path, Query};
use askama::Template;

use super::{BASE, find};
use crate::crypto::Secret;
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, filters, msg, t};
use crate::model::AppError;
use crate::model::api_key::Overlap;
use crate::model::duration;
use crate::model::ids::ClientId;
use crate::model::oauth_client::OauthClient;
use crate::services;
use crate::services::forms::Formed;

#[derive(Template)]
#[template(path = "admin/clients/secret.html")]
struct SecretPage {
    frame: Frame,
    id: String,
    name: String,
    headline: String,
    told: String,
    secret: String,
    base_url: String,
}

#[derive(Template)]
#[template(path = "admin/clients/again.html")]
struct AgainPage {
    frame: Frame,
    id: String,
    name: String,
    words: String,
}

#[derive(Template)]
#[template(path = "admin/clients/rotate.html")]
struct RotatePage {
    frame: Frame,
    errors: FormErrors,
    id: String,
    name: String,
    hint: String,
    old: String,
    nonce: String,
    overlap: String,
    overlaps: Vec<(&'static str, String)>,
}

const OVERLAPS: [(&str, &str); 4] = [
    ("0s", msg!("Not at all. Whatever uses the old secret is refused at once. For a secret that has leaked.")),
    ("1h", msg!("1 hour. Until {when}.")),
    ("24h", msg!("24 hours. Until {when}.")),
    ("7d", msg!("7 days. Until {when}.")),
];

/// The page that shows a secret. Not compressed, since a secret beside what others choose must not change its length.
pub(super) fn show_once(
    who: &SignedIn,
    client: &OauthClient,
    (headline, told): (Message, Message),
    secret: &Secret,
) -> HttpResponse {
    let page = SecretPage {
        frame: who.frame(t("Copy and securely store the client’s secret"), Place::Clients),
        id: client.id.to_string(),
        name: client.name.clone(),
        headline: headline.into(),
        told: told.into(),
        secret: secret.expose().into(),
        base_url: who.facts.base_url().into(),
    };
    let mut response = who.ok(&page);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// The form was sent before: its secret was shown then.
pub(super) async fn again(
    who: &SignedIn,
    id: Option<ClientId>,
    title: Message,
    words: Message,
) -> Result<HttpResponse, PageError> {
    let id = id.ok_or(AppError::NotFound("client"))?;
    let client = services::oauth_clients::find(&who.app, &who.caller, id).await?;
    let frame = who.frame(title, Place::Clients);
    Ok(who.ok(&AgainPage { frame, id: id.to_string(), name: client.name, words: words.into() }))
}

pub(super) fn nonce_of(form: &Posted) -> Result<String, AppError> {
    match form.text("nonce") {
        "" => Err(AppError::BadRequest("The form is not whole.".into())),
        nonce => Ok(nonce.into()),
    }
}

pub async fn show_rotate(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    Ok(who.ok(&rotate_page(&who, &client, "24h", random_token().to_string(), FormErrors::default())))
}

pub async fn rotate(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let (client, nonce, overlap) = (find(&who, &id).await?, nonce_of(&form)?, form.text("overlap"));
    if form.is_stale {
        let mut page = rotate_page(&who, &client, overlap, nonce, FormErrors::default());
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    who.must_be_elevated(&form).await?;
    let rotated = match parse(overlap) {
        Ok(overlap) => services::oauth_clients::rotate_by_form(&who.app, &who.caller, client.id, overlap, &nonce).await,
        Err(err) => Err(err),
    };
    match rotated {
        Ok(Formed::Made(client, secret)) => {
            let told = match client.old_secret_at(who.app.clock.now()) {
                Some((_, end)) => t("The old secret ends {when}.").with("when", who.now().moment(*end).full),
                None => t("The old secret has ended."),
            };
            Ok(show_once(&who, &client, (t("Secret rotated"), told), &secret))
        }
        Ok(Formed::Before(id)) => {
            again(&who, id, t("Already rotated"), t("It rotated the secret once, and not again now.")).await
        }
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &rotate_page(&who, &client, overlap, nonce, FormErrors::of_refusal(err)?)))
        }
    }
}

fn parse(overlap: &str) -> Result<Overlap, AppError> {
    let choice = || AppError::invalid("overlap", "required", "Choose how long the old secret still works.");
    let known = OVERLAPS.iter().find(|(value, _)| *value == overlap).ok_or_else(choice)?;
    Overlap::new(duration::parse(known.0).map_err(|_| choice())?).map_err(|problem| problem.of("overlap"))
}

fn rotate_page(who: &SignedIn, client: &OauthClient, overlap: &str, nonce: String, errors: FormErrors) -> RotatePage {
    let now = who.now();
    let end = |value: &str| now.at.saturating_add(duration::parse(value).unwrap_or(Duration::ZERO));
    let words = |value: &str, words: &'static str| t(words).with("when", now.moment(end(value)).full).into();
    RotatePage {
        frame: who.frame(t("Rotate the secret of {name}").with("name", &client.name), Place::Clients).faulty(&errors),
        errors,
        id: client.id.to_string(),
        name: client.name.clone(),
        hint: client.hint.clone(),
        old: client.old_secret_at(now.at).map(|(hint, _)| hint.clone()).unwrap_or_default(),
        nonce,
        overlap: overlap.into(),
        overlaps: OVERLAPS.map(|(value, said)| (value, words(value, said))).into(),
    }
}

pub async fn show_end_old(who: SignedIn, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    let now = who.now();
    let back = format!("{BASE}/{}", client.id);
    let Some((hint, end)) = client.old_secret_at(now.at) else { return Ok(to(back)) };
    let page = ConfirmPage {
        frame: who.frame(t("End the old secret now"), Place::Clients).with_banner(done.banner()),
        errors: FormErrors::default(),
        action: format!("{back}/end-old"),
        back,
        back_words: client.name.clone(),
        lines: vec![
            t("Whatever still uses {secret} is refused from this moment. The new secret goes on working.")
                .with("secret", hint)
                .into(),
        ],
        facts: vec![(msg!("Old secret"), hint.clone()), (msg!("Ends by itself"), now.moment(*end).full)],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: msg!("End old secret"),
        final_act: true,
    };
    Ok(who.ok(&page))
}

pub async fn end_old(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let client = find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}/end-old?done=renewed", client.id)));
    }
    services::oauth_clients::end_old_secret(&who.app, &who.caller, client.id).await?;
    Ok(to(format!("{BASE}/{}", client.id)))
}
