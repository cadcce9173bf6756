//! One act for many users: those that were ticked, or all that match. It is asked first, and tells whom it left out.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::BASE;
use super::list::Filtered;
use crate::http::csrf::{Fields, Posted};
use crate::http::page::{Banner, Frame, PageError, Place};
use crate::http::pages::view::grouped;
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, count, filters, msg, t, t_refusal};
use crate::model::ids::UserId;
use crate::model::user::UserStatus;
use crate::services;
use crate::services::bulk::{Chosen, GROUP, MOST};

#[derive(Template)]
#[template(path = "admin/users/bulk.html")]
pub struct BulkPage {
    pub frame: Frame,
    pub back: String,
    /// `1,204 users match role member`
    pub summary: String,
    pub first: Vec<String>,
    pub more: String,
    pub fields: Vec<(&'static str, String)>,
    pub act: Option<Act>,
    pub too_many: bool,
    pub group_words: String,
}

#[derive(Template)]
#[template(path = "admin/users/bulk_done.html")]
pub struct BulkDonePage {
    pub frame: Frame,
    pub summary: String,
    pub failures: Vec<FailureRow>,
}

pub struct FailureRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub why: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Disable,
    Enable,
}

impl Act {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "enable" => Some(Self::Enable),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
        }
    }

    pub const fn effect(self) -> &'static str {
        match self {
            Self::Disable => msg!("They are signed out, and their keys get 401, until you enable them again."),
            Self::Enable => msg!("They may sign in again, and their keys are let in again."),
        }
    }
}

/// Whom a form or an address is about, and what of it a form has to send on.
async fn chosen(who: &SignedIn, fields: &Fields) -> Result<(Chosen, Filtered, Vec<(&'static str, String)>), PageError> {
    let filtered = Filtered::of(who, fields).await?;
    if fields.text("all") == "yes" {
        let mut sent: Vec<_> =
            filtered.pairs().into_iter().filter(|pair| !pair.1.is_empty()).map(|(k, v)| (k, v.to_owned())).collect();
        sent.push(("all", "yes".into()));
        let chosen = if filtered.is_nobody { Chosen::These(Vec::new()) } else { Chosen::Matching(filtered.filter.clone()) };
        return Ok((chosen, filtered, sent));
    }
    let ids: Vec<UserId> = fields.all("id").filter_map(UserId::parse).collect();
    let sent = ids.iter().map(|id| ("id", id.to_string())).collect();
    Ok((Chosen::These(ids), filtered, sent))
}

pub async fn ask(who: SignedIn, fields: Fields) -> Result<HttpResponse, PageError> {
    asked(&who, &fields, None).await
}

async fn asked(who: &SignedIn, fields: &Fields, banner: Option<Banner>) -> Result<HttpResponse, PageError> {
    let (chosen, filtered, sent) = chosen(who, fields).await?;
    let all = matches!(chosen, Chosen::Matching(_));
    let users = services::bulk::find(&who.app, &who.caller, chosen).await?;
    if users.is_empty() {
        return Ok(to(format!("{BASE}?done=none&n=0")));
    }
    let too_many = users.len() > MOST;
    let title = title(act_of(fields), users.len());
    let words = filtered.words();
    let page = BulkPage {
        frame: who.frame(title, Place::Users).with_banner(banner),
        back: if all { filtered.link(BASE, &[]) } else { BASE.into() },
        summary: match (all, words.is_empty()) {
            (true, true) => t("All users of this server"),
            (true, false) => t("All users that match {words}").with("words", words),
            (false, _) => t("Those that you chose"),
        }
        .into(),
        first: users.iter().take(5).map(|user| format!("{} ({})", user.name, user.email)).collect(),
        more: if users.len() > 5 { t("and {n} more").with("n", grouped(users.len() as u64 - 5)).into() } else { String::new() },
        fields: sent,
        act: act_of(fields),
        too_many,
        group_words: if users.len() > GROUP {
            t("It is done in groups of {n}, each at once or not at all. Those that are done stay done if a later group fails.")
                .with("n", GROUP)
        } else {
            t("It is done in one transaction. Whoever cannot be changed is left out and listed.")
        }
        .into(),
    };
    Ok(who.ok(&page))
}

fn act_of(fields: &Fields) -> Option<Act> {
    Act::parse(fields.text("act"))
}

fn title(act: Option<Act>, users: usize) -> Message {
    match act {
        _ if users > MOST => too_many(act).with("n", grouped(MOST as u64)),
        None => count(users as u64, "{n} user", "{n} users"),
        Some(Act::Disable) => count(users as u64, "Disable {n} user", "Disable {n} users"),
        Some(Act::Enable) => count(users as u64, "Enable {n} user", "Enable {n} users"),
    }
}

fn too_many(act: Option<Act>) -> Message {
    match act {
        None => t("More than {n} users"),
        Some(Act::Disable) => t("Disable more than {n} users"),
        Some(Act::Enable) => t("Enable more than {n} users"),
    }
}

pub async fn act(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let Some(act) = Act::parse(form.text("act")) else { return asked(&who, &form, None).await };
    if form.is_stale {
        return asked(&who, &form, Some(Banner::renewed())).await;
    }
    let (chosen, ..) = chosen(&who, &form).await?;
    let status = if act == Act::Disable { UserStatus::Disabled } else { UserStatus::Active };
    let outcome = services::bulk::set_status(&who.app, &who.caller, chosen, status).await?;
    if outcome.failures.is_empty() {
        return Ok(to(format!("{BASE}?done=bulk-{}d&n={}", act.name(), outcome.changed)));
    }
    let failed = outcome.failures.len();
    let (title, summary) = match act {
        Act::Disable => (
            t("{failed} of {all} not disabled"),
            t("{changed} disabled, {unchanged} were so already, {failed} left as they were."),
        ),
        Act::Enable => {
            (t("{failed} of {all} not enabled"), t("{changed} enabled, {unchanged} were so already, {failed} left as they were."))
        }
    };
    let page = BulkDonePage {
        frame: who.frame(title.with("failed", failed).with("all", outcome.changed + outcome.unchanged + failed), Place::Users),
        summary: summary
            .with("changed", grouped(outcome.changed as u64))
            .with("unchanged", grouped(outcome.unchanged as u64))
            .with("failed", grouped(failed as u64))
            .into(),
        failures: outcome
            .failures
            .into_iter()
            .map(|failure| FailureRow {
                id: failure.id.to_string(),
                name: failure.name,
                email: failure.email,
                why: t_refusal(&failure.why),
            })
            .collect(),
    };
    Ok(who.page(StatusCode::OK, &page))
}
