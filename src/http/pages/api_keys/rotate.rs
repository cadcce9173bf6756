//! Rotation: a new secret while the old one still works, and the end of that time.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;

use super::generate::{again, nonce_of, show_once};
use super::{Choice, Realm};
use crate::crypto::secret::random_token;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError};
use crate::http::pages::confirm::ConfirmPage;
use crate::http::pages::view::KeyRow;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, filters, msg, t};
use crate::model::AppError;
use crate::model::api_key::{ApiKey, Overlap};
use crate::model::error::Problem;
use crate::model::scope::Scope;
use crate::services;
use crate::services::forms::Formed;

const HOUR: u64 = 3600;

#[derive(Template)]
#[template(path = "admin/api_keys/rotate.html")]
pub struct RotatePage {
    pub frame: Frame,
    pub realm: Realm,
    pub errors: FormErrors,
    pub row: KeyRow,
    pub nonce: String,
    pub typed: TypedRotation,
    pub overlaps: Vec<Choice>,
}

#[derive(Clone, Default)]
pub struct TypedRotation {
    pub overlap: String,
    pub hours: String,
}
pub async fn show_rotate(who: SignedIn, realm: Realm, id: Path<String>) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let typed = TypedRotation { overlap: "24h".into(), hours: String::new() };
    let page = form_page(&who, realm, &key, typed, random_token().to_string(), FormErrors::default()).await?;
    Ok(who.ok(&page))
}

pub async fn rotate(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let nonce = nonce_of(&form)?;
    let typed = TypedRotation { overlap: form.text("overlap").into(), hours: form.text("hours").trim().into() };
    if form.is_stale {
        let mut page = form_page(&who, realm, &key, typed, nonce, FormErrors::default()).await?;
        page.frame.banner = Some(Banner::renewed());
        return Ok(who.ok(&page));
    }
    if key.scopes.has(Scope::Admin) {
        who.must_be_elevated(&form).await?;
    }
    let rotated = match typed.parse() {
        Ok(overlap) => services::api_keys::rotate_by_form(&who.app, &who.caller, key.id, overlap, &nonce).await,
        Err(err) => Err(err),
    };
    match rotated {
        Ok(Formed::Made(key, secret)) => {
            let now = who.now();
            let told = match key.rotation_at(now.at) {
                Some(rotation) => {
                    let end = now.moment(rotation.old_expires_at).full;
                    t("The old secret ends {when}. Keyrack keeps only a hash of the new one and cannot show it again.")
                        .with("when", end)
                }
                None => t("The old secret has ended. Keyrack keeps only a hash of the new one and cannot show it again."),
            };
            Ok(show_once(&who, realm, &key, (t("Key rotated"), told), secret.expose(), None))
        }
        Ok(Formed::Before(id)) => {
            again(&who, realm, id, t("Already rotated"), t("It rotated the key once, and not again now.")).await
        }
        Err(err) => {
            let code = status(&err);
            let errors = FormErrors::of_refusal(err)?;
            let page = form_page(&who, realm, &key, typed, nonce, errors).await?;
            Ok(who.page(code, &page))
        }
    }
}

pub async fn show_end_old(who: SignedIn, realm: Realm, id: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    let row = KeyRow::new(&key, "", &who.now());
    let Some(old) = row.old else { return Ok(to(realm.of(&key))) };
    let used = match &old.still_used {
        Some(used) => used.words.clone(),
        None => t("Not since the rotation").into(),
    };
    let page = ConfirmPage {
        frame: who.frame(t("End the old key now"), realm.place()).with_banner(done.banner()),
        errors: FormErrors::default(),
        back: realm.of(&key),
        back_words: key.name.clone(),
        action: format!("{}/end-old", realm.of(&key)),
        lines: vec![
            t("Programs that still use {key} get 401 from this moment. The new secret goes on working.")
                .with("key", &old.hint)
                .into(),
        ],
        facts: vec![(msg!("Old key"), old.hint), (msg!("Last used"), used), (msg!("Ends by itself"), old.ends.full)],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: msg!("End old key"),
        final_act: true,
    };
    Ok(who.ok(&page))
}

pub async fn end_old(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}/end-old?done=renewed", realm.of(&key))));
    }
    let now = Overlap::new(Duration::ZERO).map_err(|problem| problem.of("overlap"))?;
    services::api_keys::end_rotation(&who.app, &who.caller, key.id, now).await?;
    Ok(to(realm.of(&key)))
}

/// The old secret works a day longer, as far as it may.
pub async fn extend(who: SignedIn, realm: Realm, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let key = realm.find(&who, &id).await?;
    if form.is_stale {
        return Ok(to(format!("{}?done=renewed", realm.of(&key))));
    }
    let now = who.app.clock.now();
    if let Some(rotation) = key.rotation_at(now) {
        let longer = rotation.old_expires_at.since(now) + Duration::from_secs(24 * HOUR);
        let longer = Overlap::new(longer.min(Overlap::MAX)).map_err(|problem| problem.of("overlap"))?;
        services::api_keys::end_rotation(&who.app, &who.caller, key.id, longer).await?;
    }
    Ok(to(realm.of(&key)))
}

impl TypedRotation {
    fn parse(&self) -> Result<Overlap, AppError> {
        let hours = match self.overlap.as_str() {
            "0s" => 0,
            "1h" => 1,
            "24h" => 24,
            "7d" => 168,
            "custom" => {
                let hours = self.hours.parse().ok().filter(|hours| (1..=720).contains(hours));
                let wrong = || Problem::new("out_of_range", "Enter a whole number of hours, from 1 to 720.").of("hours");
                hours.ok_or_else(wrong)?
            }
            _ => return Err(AppError::invalid("overlap", "required", "Choose how long the old secret still works.")),
        };
        Overlap::new(Duration::from_secs(hours * HOUR)).map_err(|problem| problem.of("overlap"))
    }
}

async fn form_page(
    who: &SignedIn,
    realm: Realm,
    key: &ApiKey,
    typed: TypedRotation,
    nonce: String,
    errors: FormErrors,
) -> Result<RotatePage, PageError> {
    let now = who.now();
    let until = |hours: u64| {
        let end = now.at.saturating_add(Duration::from_secs(hours * HOUR));
        let end = key.expires_at.map_or(end, |expiry| expiry.min(end));
        t("Until {when}.").with("when", now.moment(end).full)
    };
    let choice = |value, words: Message, hint: Message| Choice { value, words: words.into(), hint: hint.into() };
    Ok(RotatePage {
        frame: who.frame(t("Rotate {name}").with("name", &key.name), realm.place()).faulty(&errors),
        realm,
        errors,
        row: KeyRow::new(key, "", &now),
        nonce,
        overlaps: vec![
            choice("0s", t("Not at all"), t("Whatever uses the old secret gets 401 at once. For a secret that has leaked.")),
            choice("1h", t("1 hour"), until(1)),
            choice("24h", t("24 hours"), until(24)),
            choice("7d", t("7 days"), until(168)),
            Choice { value: "custom", words: t("Another time").into(), hint: String::new() },
        ],
        typed,
    })
}
