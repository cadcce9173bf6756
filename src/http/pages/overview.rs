//! The first page of an administrator: how the API is used, which keys want looking at, and what is left to set up.

use std::time::Duration;

use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::chart::{Chart, share_words, took_words};
use super::notices::NoticeRow;
use super::view::{KeyRow, age_words, grouped, size_words};
use super::webhooks::WebhookRow;
use crate::http::arrival::own_address_fault;
use crate::http::csrf::Posted;
use crate::http::page::{Banner, Done, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, filters, msg, t, t_refusal};
use crate::model::api_key::ApiKey;
use crate::model::check::CheckState;
use crate::model::health::Age;
use crate::model::notice::Notice;
use crate::model::page::{Limit, Order, Start};
use crate::model::usage::{Outcome, Range};
use crate::services;
use crate::services::usage::KeyCounts;

/// The keys that each of the page's lists shows.
const KEYS_SHOWN: u32 = 5;
const DAY: Duration = Duration::from_secs(86_400);
const ENDS_SOON: Duration = DAY.saturating_mul(14);
const UNUSED_FOR: Duration = DAY.saturating_mul(30);

#[derive(Template)]
#[template(path = "admin/overview.html")]
pub struct OverviewPage {
    pub frame: Frame,
    pub summary: String,
    pub notices: Vec<NoticeRow>,
    pub steps: Vec<Step>,
    pub done_count: usize,
    /// Something is left to do, and nobody has put the list away.
    pub shows_steps: bool,
    pub figures: Vec<Figure>,
    /// No request came with a key yet.
    pub waiting: bool,
    pub base_url: String,
    pub chart: Chart,
    pub most: Vec<KeyUse>,
    pub most_limited: Vec<KeyUse>,
    pub expiring: Vec<KeyRow>,
    pub unused: Vec<KeyRow>,
    pub failing: Vec<WebhookRow>,
}

pub struct Step {
    pub done: bool,
    pub words: String,
    pub hint: String,
    /// Empty: nothing on these pages does it.
    pub href: String,
}

pub struct Figure {
    pub label: &'static str,
    pub value: String,
}

/// A key among those with the most requests.
pub struct KeyUse {
    pub id: String,
    /// Empty: the key is gone.
    pub name: String,
    pub requests: String,
    pub rate_limited: String,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
}

pub async fn show(who: SignedIn, asked: Query<Asked>, done: Query<Done>, req: HttpRequest) -> Result<HttpResponse, PageError> {
    let range = Range::parse(&asked.range).unwrap_or_default();
    let told = services::usage::overview(&who.app, &who.caller, range, KEYS_SHOWN).await?;
    let failing = services::webhooks::list_failing(&who.app, &who.caller, KEYS_SHOWN).await?;
    let in_need = services::api_keys::in_need(&who.app, &who.caller, ENDS_SOON, UNUSED_FOR, KEYS_SHOWN).await?;
    let newest = (Start::Offset(0), Order::NewestFirst, Limit::of(1));
    let newest = services::api_keys::list(&who.app, &who.caller, Default::default(), newest).await?.rows.pop();
    let notices = services::notices::list(&who.app, &who.caller).await?;
    let noticed = notices.iter().filter_map(|notice| notice.key_id);
    let ids = told.most.iter().chain(&told.most_limited).map(|key| key.key_id).chain(noticed).collect();
    let names = services::api_keys::find_all(&who.app, &who.caller, ids).await?;
    let owners = in_need.expiring.iter().chain(&in_need.unused).map(|key| key.user_id).collect();
    let owners = services::users::find_all(&who.app, &who.caller, owners).await?;
    let now = who.now();

    let key_use = |counts: &KeyCounts| KeyUse {
        id: counts.key_id.to_string(),
        name: names.get(&counts.key_id).map(|key| key.name.clone()).unwrap_or_default(),
        requests: grouped(counts.requests),
        rate_limited: grouped(counts.rate_limited),
    };
    let rows = |keys: &[ApiKey]| {
        let owner = |key: &ApiKey| owners.get(&key.user_id).map_or("", |owner| owner.email.as_str()).to_owned();
        keys.iter().map(|key| KeyRow::new(key, &owner(key), &now)).collect::<Vec<_>>()
    };
    let has_begun = told.has_begun || newest.as_ref().is_some_and(|key| key.last_used.is_some());
    let name = |notice: &Notice| names.get(&notice.key_id?).map(|key| key.name.as_str());
    let backup = services::backups::age(&who.app).await?;
    let first = (Start::Offset(0), Order::OldestFirst, Limit::of(1));
    let has_webhook = !services::webhooks::list(&who.app, &who.caller, first).await?.rows.is_empty();
    let steps = steps(&who, newest.as_ref(), has_begun, (backup != Age::None, has_webhook));
    let is_dismissed = services::settings::is_start_dismissed(&who.app, &who.caller).await?;
    let total = &told.used.total;
    let figures = [
        (msg!("Requests"), grouped(total.total())),
        (msg!("Success"), share_words(total.success())),
        (msg!("Rate limited"), grouped(total.of(Outcome::RateLimited))),
        (msg!("p95 latency"), total.quantile(0.95).map_or_else(|| "–".into(), took_words)),
        (msg!("Active users"), active_words(told.active_users)),
    ];
    let chart = Chart::new(&told.used, "/admin", &now);
    let trouble = services::backups::trouble(&who.app).await?;
    let banner = done.banner().or_else(|| pressing(&who, &req, backup, trouble));
    let page = OverviewPage {
        notices: notices.iter().map(|notice| NoticeRow::new(notice, name(notice), &now)).collect(),
        frame: who.frame(t("Overview"), Place::Overview).with_banner(banner),
        summary: t("Keyrack {version} at {url}. Times in {zone}.")
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("url", who.facts.base_url())
            .with("zone", now.zone_name())
            .into(),
        done_count: steps.iter().filter(|step| step.done).count(),
        shows_steps: !is_dismissed && steps.iter().any(|step| !step.done),
        steps,
        figures: figures.map(|(label, value)| Figure { label, value }).into(),
        waiting: !has_begun,
        base_url: who.facts.base_url().into(),
        chart,
        most: told.most.iter().map(key_use).collect(),
        most_limited: told.most_limited.iter().map(key_use).collect(),
        expiring: rows(&in_need.expiring),
        unused: rows(&in_need.unused),
        failing: failing.iter().map(|webhook| WebhookRow::new(webhook, "", &now)).collect(),
    };
    Ok(who.ok(&page))
}

pub async fn dismiss_start(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to("/admin?done=renewed"));
    }
    services::settings::dismiss_start(&who.app, &who.caller).await?;
    Ok(to("/admin"))
}

fn steps(who: &SignedIn, newest: Option<&ApiKey>, has_begun: bool, (is_backed_up, has_webhook): (bool, bool)) -> Vec<Step> {
    let first_unused = newest.map(|key| format!("/admin/keys/{}", key.id)).unwrap_or_default();
    vec![
        step(true, t("Create the first admin"), None, String::new()),
        step(
            newest.is_some(),
            t("Generate the first key"),
            Some(t("A program shows it to be let in.")),
            "/settings/api-keys/new".into(),
        ),
        step(has_begun, t("Make the first request"), Some(t("The line below is all it takes.")), first_unused),
        step(
            who.facts.https,
            t("Serve it over HTTPS"),
            Some(t(
                "Beyond this machine, whoever reads along has the keys. Give it a certificate, or put a proxy with one in front.",
            )),
            "/admin/settings/network".into(),
        ),
        step(
            is_backed_up,
            t("Make a backup"),
            Some(t("One is made every day by itself; look where they go, and keep a copy of the master key elsewhere.")),
            "/admin/settings/backup".into(),
        ),
        step(
            who.app.live.public_url().is_some(),
            t("Say under which address it is reached"),
            Some(t("Start with --public-url https://keys.example.com, so that samples and links are right.")),
            "/admin/settings/network".into(),
        ),
        step(
            who.user.has_second_factor,
            t("Set up a second factor"),
            Some(t("A password alone then opens nothing.")),
            "/settings/security".into(),
        ),
        step(
            has_webhook,
            t("Add a webhook"),
            Some(t("Your systems learn what changes here. Each has a button that sends a test event.")),
            "/admin/webhooks/new".into(),
        ),
    ]
}

fn active_words(count: u64) -> String {
    let most = u64::from(services::usage::ACTIVE_COUNTED);
    if count > most { format!("{}+", grouped(most)) } else { grouped(count) }
}

/// The most pressing thing alone.
fn pressing(who: &SignedIn, req: &HttpRequest, backup: Age, trouble: Option<String>) -> Option<Banner> {
    if who.facts.is_behind_a_stranger {
        return Some(untrusted_proxy());
    }
    if let Some(words) = own_address_fault(req, &who.app) {
        return Some(Banner::warn(t("This page was opened at another address than the public URL"), t_refusal(&words)));
    }
    let dir = who.app.store.path().parent().unwrap_or(who.app.store.path());
    if let Some(free) = services::backups::free_space(dir).ok().filter(|&free| free < services::health::LOW) {
        let words = t("{directory} has {size} left. Without room nothing can be changed; reading goes on.")
            .with("directory", dir.display())
            .with("size", size_words(free));
        return Some(Banner::warn(t("The disk is nearly full"), words));
    }
    let certificate = who.app.certificate();
    let checked = certificate
        .map(|status| services::certificates::check::check(msg!("Certificate"), &status, &who.app.config, who.app.clock.now()));
    if let Some(check) = checked.filter(|check| check.state != CheckState::Ok) {
        return Some(Banner::warn(
            t("Certificate: {found}").with("found", t_refusal(&check.found)),
            format!("{} {}", t(check.why), t_refusal(&check.fix)),
        ));
    }
    if let Some(trouble) = trouble {
        return Some(Banner::warn(t("Backups cannot be made"), trouble_words(&trouble)));
    }
    match backup {
        Age::Old(age) => Some(Banner::warn(
            t("The last backup is {age} old").with("age", age_words(age)),
            t("Settings > Backup makes one now; the log says why the schedule made none."),
        )),
        _ => None,
    }
}

/// Why the schedule makes no backup, and what mends it.
pub fn trouble_words(trouble: &str) -> Message {
    t("{why}. It is tried again every hour; keyrack doctor on the server says what mends it.").with("why", trouble)
}

fn untrusted_proxy() -> Banner {
    Banner::warn(
        t("This page came through a proxy that is not trusted"),
        t(
            "Set trusted_proxies to its network. Until then every client seems to have the proxy's address, and HTTPS in front is not seen.",
        ),
    )
}

fn step(done: bool, words: Message, hint: Option<Message>, href: String) -> Step {
    Step { done, words: words.into(), hint: hint.map(String::from).unwrap_or_default(), href }
}
