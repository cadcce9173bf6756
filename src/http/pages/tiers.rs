//! Tiers and limits: what each tier lets in, what clients get past it, and what a change does to those who have it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::conventions::{self, Sample};
use super::view::{grouped, window_words};
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{Banner, Done, FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{count, filters, t};
use crate::model::AppError;
use crate::model::error::FieldErrors;
use crate::model::name::Name;
use crate::model::tier::{Tier, Windows};
use crate::services;
use crate::services::tiers::{Judged, Reach};

const BASE: &str = "/admin/tiers";
/// Accounts that the page shows which asks before a tier is deleted.
const ACCOUNTS_SHOWN: u32 = 20;

#[derive(Template)]
#[template(path = "admin/tiers/list.html")]
pub struct TiersPage {
    pub frame: Frame,
    pub tiers: Vec<TierRow>,
    pub dialect: &'static str,
    /// Of accounts without a tier.
    pub default_limits: String,
    pub at_once: AtOnce,
}

pub struct TierRow {
    pub name: String,
    pub path: String,
    pub limits: String,
    pub accounts: String,
}

/// How many requests are worked on at the same time, of all accounts together.
pub struct AtOnce {
    pub most: String,
    pub most_waiting: String,
    pub patience: u64,
    pub running: usize,
    pub waiting: usize,
    pub refused: String,
}

#[derive(Template)]
#[template(path = "admin/tiers/edit.html")]
pub struct EditTierPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub typed: TypedTier,
    /// Empty: it is a new one.
    pub path: String,
    pub action: String,
    pub is_new: bool,
    /// The windows as the form was filled with them.
    pub was: String,
    /// What somebody else made of them meanwhile; empty: nobody did.
    pub is_now: String,
    pub preview: Option<Preview>,
}

#[derive(Clone, Default)]
pub struct TypedTier {
    pub name: String,
    pub windows: String,
}

/// What these limits would do.
pub struct Preview {
    pub words: String,
    /// The answer to a request too many; none: there is no such.
    pub refusal: Option<Sample>,
    pub dialect: &'static str,
    pub last_week: String,
    pub how_known: String,
}

#[derive(Template)]
#[template(path = "admin/tiers/lower.html")]
pub struct LowerPage {
    pub frame: Frame,
    pub action: String,
    pub typed: TypedTier,
    pub was: String,
    pub before: String,
    pub after: String,
    pub reach: String,
    pub last_week: String,
}

#[derive(Template)]
#[template(path = "admin/tiers/delete.html")]
pub struct DeletePage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub name: String,
    pub action: String,
    pub limits: String,
    pub accounts: Vec<String>,
    /// How many more there are than are named.
    pub others: u64,
    pub count: u64,
    pub targets: Vec<String>,
    pub default_limits: String,
}

impl DeletePage {
    fn has_others(&self) -> bool {
        self.others > 0
    }
}

pub async fn list(who: SignedIn, done: actix_web::web::Query<Done>) -> Result<HttpResponse, PageError> {
    let tiers = services::tiers::list_used(&who.app, &who.caller).await?;
    let (limits, in_flight) = (&who.app.config.limits, &who.app.in_flight);
    Ok(who.ok(&TiersPage {
        frame: who.frame(t("Tiers and limits"), Place::Tiers).with_banner(done.banner()),
        tiers: tiers
            .into_iter()
            .map(|(tier, accounts)| TierRow {
                path: path_of(&tier.name),
                limits: window_words(&tier.windows),
                accounts: grouped(accounts),
                name: tier.name,
            })
            .collect(),
        dialect: who.app.dialect().as_str(),
        default_limits: window_words(&who.app.dialect().default_windows()),
        at_once: AtOnce {
            most: grouped(limits.max_concurrent as u64),
            most_waiting: grouped(limits.max_queued as u64),
            patience: limits.queue_timeout.as_secs(),
            running: in_flight.running(),
            waiting: in_flight.queued(),
            refused: grouped(in_flight.refused() as u64),
        },
    }))
}

pub async fn new(who: SignedIn) -> Result<HttpResponse, PageError> {
    let typed = TypedTier { name: String::new(), windows: "1000/1h\n50/1s".into() };
    Ok(who.ok(&form_page(&who, None, typed, FormErrors::default()).await?))
}

pub async fn edit(who: SignedIn, name: Path<String>) -> Result<HttpResponse, PageError> {
    let tier = services::tiers::find(&who.app, &who.caller, &name).await?;
    let typed = TypedTier { name: tier.name.clone(), windows: written(&tier.windows) };
    Ok(who.ok(&form_page(&who, Some(&tier), typed, FormErrors::default()).await?))
}

pub async fn create(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let typed = TypedTier::of(&form, form.text("name").trim());
    if let Some(answer) = not_yet(&who, None, &typed, &form).await? {
        return Ok(answer);
    }
    let mut errors = FieldErrors::default();
    let name = errors.note("name", Name::parse(&typed.name));
    let windows = errors.note("windows", Windows::parse_limits(&typed.windows));
    let made = match (name, windows) {
        (Some(name), Some(windows)) => services::tiers::create(&who.app, &who.caller, name, windows).await,
        _ => Err(AppError::Invalid(errors)),
    };
    match made {
        Ok(_) => Ok(to(BASE)),
        Err(err) => refused(&who, None, typed, &form, err).await,
    }
}

pub async fn update(who: SignedIn, name: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let tier = services::tiers::find(&who.app, &who.caller, &name).await?;
    let typed = TypedTier::of(&form, &tier.name);
    if let Some(answer) = not_yet(&who, Some(&tier), &typed, &form).await? {
        return Ok(answer);
    }
    let windows = match Windows::parse_limits(&typed.windows) {
        Ok(windows) => windows,
        Err(problem) => return refused(&who, Some(&tier), typed, &form, problem.of("windows")).await,
    };
    let was = Windows::parse_limits(form.text("was")).unwrap_or_default();
    if !form.has("lower") && was == tier.windows && windows.lower(&tier.windows) {
        let reach = services::tiers::reach(&who.app, &who.caller, &tier.name).await?;
        if reach.accounts > 0 {
            return Ok(who.ok(&lower_page(&who, &tier, typed, &windows, &reach).await?));
        }
    }
    match services::tiers::change(&who.app, &who.caller, &tier.name, windows, was).await {
        Ok(_) => Ok(to(format!("{BASE}?done=switched"))),
        Err(AppError::PreconditionFailed) => {
            let tier = services::tiers::find(&who.app, &who.caller, &name).await?;
            let mut page = form_page(&who, Some(&tier), typed, FormErrors::default()).await?;
            page.is_now = window_words(&tier.windows);
            Ok(who.page(StatusCode::CONFLICT, &page))
        }
        Err(err) => refused(&who, Some(&tier), typed, &form, err).await,
    }
}

/// The form again, where nothing is to be done yet: it is stale, or asks what it would do.
async fn not_yet(
    who: &SignedIn,
    tier: Option<&Tier>,
    typed: &TypedTier,
    form: &Posted,
) -> Result<Option<HttpResponse>, PageError> {
    let is_preview = form.text("act") == "preview";
    if !form.is_stale && !is_preview {
        return Ok(None);
    }
    let errors = match Windows::parse_limits(&typed.windows) {
        Err(problem) if is_preview => {
            let mut errors = FieldErrors::default();
            errors.add("windows", problem.code, problem.message);
            errors.into()
        }
        _ => FormErrors::default(),
    };
    let mut page = form_page(who, tier, typed.clone(), errors).await?.since(form);
    page.frame.banner = form.is_stale.then(Banner::renewed);
    Ok(Some(who.ok(&page)))
}

async fn refused(
    who: &SignedIn,
    tier: Option<&Tier>,
    typed: TypedTier,
    form: &Posted,
    err: AppError,
) -> Result<HttpResponse, PageError> {
    let code = status(&err);
    let page = form_page(who, tier, typed, FormErrors::of_refusal(err)?).await?.since(form);
    Ok(who.page(code, &page))
}

impl TypedTier {
    fn of(form: &Posted, name: &str) -> Self {
        Self { name: name.into(), windows: form.text("windows").replace("\r\n", "\n").trim().to_owned() }
    }
}

impl EditTierPage {
    /// Still compared with what the form was first filled with.
    fn since(mut self, form: &Posted) -> Self {
        self.was = form.text("was").to_owned();
        self
    }
}

async fn form_page(who: &SignedIn, tier: Option<&Tier>, typed: TypedTier, errors: FormErrors) -> Result<EditTierPage, PageError> {
    let preview = match Windows::parse_limits(&typed.windows) {
        Ok(windows) => Some(preview(who, tier, &windows).await?),
        Err(_) => None,
    };
    Ok(EditTierPage {
        frame: who
            .frame(tier.map_or_else(|| t("Add tier"), |tier| t("Edit {name}").with("name", &tier.name)), Place::Tiers)
            .faulty(&errors),
        errors,
        action: tier.map_or_else(|| BASE.into(), |tier| format!("{}/edit", path_of(&tier.name))),
        path: tier.map(|tier| path_of(&tier.name)).unwrap_or_default(),
        is_new: tier.is_none(),
        was: tier.map(|tier| written(&tier.windows)).unwrap_or_default(),
        is_now: String::new(),
        preview,
        typed,
    })
}

async fn preview(who: &SignedIn, tier: Option<&Tier>, windows: &Windows) -> Result<Preview, PageError> {
    let dialect = who.app.dialect();
    let (last_week, how_known) = match tier {
        Some(tier) => {
            let judged = services::tiers::judge(&who.app, &who.caller, &tier.name, windows.clone()).await?;
            (judged_words(&judged), how_known(&judged, windows))
        }
        None => (String::new(), String::new()),
    };
    Ok(Preview {
        words: window_words(windows),
        refusal: conventions::refusal(who, windows),
        dialect: dialect.as_str(),
        last_week,
        how_known,
    })
}

fn judged_words(judged: &Judged) -> String {
    let Judged { limited, accounts, .. } = judged;
    if accounts.accounts == 0 {
        return t("No account has this tier, or all that have it have limits of their own.").into();
    }
    t("Last week it would have limited {limited}, of {all} that have this tier.")
        .with("limited", reach_words(limited))
        .with("all", reach_words(accounts))
        .into()
}

/// `3 accounts with 7 keys`
fn reach_words(reach: &Reach) -> String {
    t("{accounts} with {keys}")
        .with("accounts", count(reach.accounts, "{n} account", "{n} accounts"))
        .with("keys", count(reach.keys, "{n} key", "{n} keys"))
        .into()
}

/// From what the figure was made, so that nobody takes it for more than it is.
fn how_known(judged: &Judged, windows: &Windows) -> String {
    if judged.accounts.accounts == 0 || windows.is_empty() {
        return String::new();
    }
    let mut words = vec![t("Requests of an account are counted by the hour, so this is an estimate.")];
    if windows.as_slice().iter().any(|window| window.seconds < 3600) {
        words.push(t(
            "A window shorter than an hour counts only where a whole hour had more than it would have let through: bursts within an hour are not seen.",
        ));
    }
    if windows.as_slice().iter().any(|window| window.seconds > 7 * 86_400) {
        words.push(t("Of a window longer than a week, only one week was looked at."));
    }
    if judged.is_part {
        words.push(t("Of very many accounts, {n} were looked at.").with("n", grouped(judged.looked_at)));
    }
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

async fn lower_page(
    who: &SignedIn,
    tier: &Tier,
    typed: TypedTier,
    windows: &Windows,
    reach: &Reach,
) -> Result<LowerPage, PageError> {
    let judged = services::tiers::judge(&who.app, &who.caller, &tier.name, windows.clone()).await?;
    Ok(LowerPage {
        frame: who.frame(t("Lower the limits of {name}").with("name", &tier.name), Place::Tiers),
        action: format!("{}/edit", path_of(&tier.name)),
        was: written(&tier.windows),
        before: window_words(&tier.windows),
        after: window_words(windows),
        reach: t("{accounts} have this tier.").with("accounts", reach_words(reach)).into(),
        last_week: judged_words(&judged),
        typed,
    })
}

pub async fn show_delete(
    who: SignedIn,
    name: Path<String>,
    done: actix_web::web::Query<Done>,
) -> Result<HttpResponse, PageError> {
    let tier = services::tiers::find(&who.app, &who.caller, &name).await?;
    let mut page = delete_page(&who, &tier, FormErrors::default()).await?;
    page.frame.banner = done.banner();
    Ok(who.ok(&page))
}

pub async fn delete(who: SignedIn, name: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let tier = services::tiers::find(&who.app, &who.caller, &name).await?;
    if form.is_stale {
        return Ok(to(format!("{}/delete?done=renewed", path_of(&tier.name))));
    }
    let target = form.text("to");
    let moved = match target.strip_prefix("tier:").map(str::to_owned) {
        None if !form.has("to") => Ok(()),
        None if target != "none" => Err(AppError::invalid("to", "required", "Choose what those accounts get instead.")),
        target => services::tiers::reassign(&who.app, &who.caller, &tier.name, target).await,
    };
    let deleted = match moved {
        Ok(()) => services::tiers::delete(&who.app, &who.caller, &tier.name).await,
        Err(err) => Err(err),
    };
    match deleted {
        Ok(()) => Ok(to(BASE)),
        Err(err) => {
            let code = status(&err);
            let page = delete_page(&who, &tier, FormErrors::of_refusal(err)?.renamed("tier", "to").renamed("name", "")).await?;
            Ok(who.page(code, &page))
        }
    }
}

async fn delete_page(who: &SignedIn, tier: &Tier, errors: FormErrors) -> Result<DeletePage, PageError> {
    let (accounts, count) = services::tiers::accounts(&who.app, &who.caller, &tier.name, ACCOUNTS_SHOWN).await?;
    let all = services::tiers::list(&who.app).await?;
    Ok(DeletePage {
        frame: who.frame(t("Delete {name}").with("name", &tier.name), Place::Tiers).faulty(&errors),
        errors,
        action: format!("{}/delete", path_of(&tier.name)),
        limits: window_words(&tier.windows),
        others: count.saturating_sub(accounts.len() as u64),
        accounts: accounts.into_iter().map(|account| account.name).collect(),
        count,
        targets: all.into_iter().map(|other| other.name).filter(|other| *other != tier.name).collect(),
        default_limits: window_words(&who.app.dialect().default_windows()),
        name: tier.name.clone(),
    })
}

/// Windows as they are typed: one a line, or the word for none.
fn written(windows: &Windows) -> String {
    if windows.is_empty() { Windows::UNLIMITED.into() } else { windows.to_lines() }
}

fn path_of(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("{BASE}/{}", name.replace('+', "%20"))
}
