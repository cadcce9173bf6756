//! Settings > API conventions: in which dialect the API answers, with what clients will get of each.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::confirm::ConfirmPage;
use crate::http::api::dialect::preview;
pub use crate::http::api::dialect::preview::Sample;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, msg, t};
use crate::model::AppError;
use crate::model::dialect::DialectName;
use crate::model::tier::{Window, Windows};
use crate::services::{api_keys, settings};

const BASE: &str = "/admin/settings/api-conventions";
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Template)]
#[template(path = "admin/settings/api_conventions.html")]
pub struct ConventionsPage {
    pub frame: Frame,
    pub choices: Vec<Choice>,
    /// The one whose answers are shown.
    pub shown: &'static str,
    pub shown_is_on: bool,
    /// What sets the dialect and wins over this page; empty: this page does.
    pub fixed_by: String,
    pub facts: Vec<(&'static str, String)>,
    pub samples: Vec<Sample>,
}

pub struct Choice {
    pub name: &'static str,
    pub words: &'static str,
    pub is_on: bool,
    pub is_shown: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    dialect: String,
}

pub async fn show(who: SignedIn, asked: Query<Asked>, done: Query<Done>) -> HttpResponse {
    let on = who.app.dialect();
    let shown = DialectName::parse(&asked.dialect).unwrap_or(on);
    let fixed_by = who.app.fixed.get(settings::DIALECT).cloned().unwrap_or_default();
    let anonymous = Window::new(who.app.config.limits.anonymous_per_minute, 60);
    who.ok(&ConventionsPage {
        frame: who.frame(t("API conventions"), Place::Conventions).with_banner(done.banner()),
        choices: DialectName::ALL
            .iter()
            .map(|&name| Choice { name: name.as_str(), words: name.words(), is_on: name == on, is_shown: name == shown })
            .collect(),
        shown: shown.as_str(),
        shown_is_on: shown == on,
        fixed_by,
        facts: facts(&who, shown),
        samples: preview::samples(shown, who.facts.base_url(), anonymous, &who.app.clock),
    })
}

/// What clients get past these windows, in the dialect that is on; none where nobody is refused.
pub fn refusal(who: &SignedIn, windows: &Windows) -> Option<Sample> {
    preview::refusal(who.app.dialect(), windows, who.facts.base_url(), &who.app.clock)
}

fn facts(who: &SignedIn, dialect: DialectName) -> Vec<(&'static str, String)> {
    let prefix = who.app.config.api.key_prefix.as_ref().map_or(dialect.key_prefix(), |prefix| prefix.as_str());
    let mut facts = vec![
        (msg!("New keys begin with"), prefix.to_owned()),
        (msg!("Accounts without a tier"), dialect.default_windows().to_string()),
    ];
    let tiers: Vec<String> = dialect.tiers().map(|tier| format!("{} {}", tier.name, tier.windows)).collect();
    if !tiers.is_empty() {
        facts.push((msg!("Tiers it brings"), tiers.join(", ")));
    }
    facts
}

pub async fn ask(who: SignedIn, name: Path<String>, done: Query<Done>) -> Result<HttpResponse, PageError> {
    let name = named(&name)?;
    let mut page = confirm_page(&who, name, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn switch(who: SignedIn, name: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let name = named(&name)?;
    if form.is_stale {
        return Ok(to(format!("{BASE}/{}?done=renewed", name.as_str())));
    }
    match settings::set_dialect(&who.app, &who.caller, name).await {
        Ok(()) => Ok(to(format!("{BASE}?done=switched"))),
        Err(err) => {
            let code = status(&err);
            let errors = FormErrors::of_refusal(err)?.renamed("dialect", "");
            Ok(who.page(code, &confirm_page(&who, name, errors).await?))
        }
    }
}

fn named(name: &str) -> Result<DialectName, PageError> {
    DialectName::parse(name).ok_or_else(|| AppError::NoRoute.into())
}

async fn confirm_page(who: &SignedIn, name: DialectName, errors: FormErrors) -> Result<ConfirmPage, PageError> {
    let used = api_keys::count_used_since(&who.app, &who.caller, who.now().at.saturating_sub(DAY)).await?;
    Ok(ConfirmPage {
        frame: who.frame(t("Answer as {dialect}").with("dialect", name.as_str()), Place::Conventions).faulty(&errors),
        errors,
        back: format!("{BASE}?dialect={}", name.as_str()),
        back_words: t("API conventions").into(),
        action: format!("{BASE}/{}", name.as_str()),
        lines: vec![
            count(
                used,
                "{n} key was used in the last 24 hours. Their programs get answers in the new conventions from now on.",
                "{n} keys were used in the last 24 hours. Their programs get answers in the new conventions from now on.",
            )
            .into(),
            t("Keys stay valid, and what was counted stays counted.").into(),
        ],
        facts: vec![(msg!("From"), who.app.dialect().as_str().into()), (msg!("To"), name.as_str().into())],
        instead: None,
        typed_label: "",
        typed_name: String::new(),
        typed: String::new(),
        act: msg!("Switch conventions"),
        final_act: false,
    })
}
