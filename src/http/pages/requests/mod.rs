//! The request log, for administrators: a page of it, one request of it, and live.

mod live;

pub use live::live;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::chart::took_words;
use super::view::{Status, grouped};
use crate::app::request_log::PER_SECOND;
use crate::crypto::secret::has_checksum;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{filters, in_words, msg, t};
use crate::model::api_key::ApiKey;
use crate::model::duration;
use crate::model::ids::ApiKeyId;
use crate::model::page::{Limit, Start};
use crate::model::request::{LoggedRequest, RequestFilter};
use crate::model::usage::Outcome;
use crate::services;
use crate::services::requests::{KEPT_DAYS, KEPT_ROWS};

const BASE: &str = "/admin/requests";
/// Rows of a page.
const ROWS: u32 = 50;
/// Rows that the live tail leaves on the page.
const LIVE_ROWS: u32 = 500;

#[derive(Template)]
#[template(path = "admin/requests/list.html")]
pub struct RequestsPage {
    pub frame: Frame,
    pub kept: String,
    pub filter: Asked,
    pub outcomes: Vec<OutcomeChoice>,
    pub is_filtered: bool,
    pub rows: Vec<RequestRow>,
    /// Where the live tail comes from.
    pub live: String,
    pub live_rows: u32,
    pub newer: String,
    pub older: Option<String>,
    /// The page was asked for what is newer, and there is nothing.
    pub is_nothing_newer: bool,
    pub base_url: String,
}

pub struct OutcomeChoice {
    pub value: &'static str,
    pub words: &'static str,
    pub current: bool,
}

pub struct RequestRow {
    pub href: String,
    pub at: Moment,
    pub time: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub tone: &'static str,
    pub took: String,
    pub key: Option<KeyName>,
    pub ip: String,
}

/// The key of a request, by its name where there is still one.
#[derive(Clone)]
pub struct KeyName {
    pub id: String,
    pub name: String,
}

#[derive(Template)]
#[template(path = "admin/requests/show.html")]
pub struct RequestPage {
    pub frame: Frame,
    pub row: RequestRow,
    pub badge: Status,
    pub request_id: String,
    pub route: String,
    pub error: String,
    pub account: Option<String>,
    pub user_agent: String,
    pub limit: String,
    pub sizes: String,
}

#[derive(Clone, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub id: String,
    after: Option<i64>,
    before: Option<i64>,
}

impl Asked {
    /// What the list is narrowed to; none when nothing can match.
    fn filter(&self) -> Option<RequestFilter> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(RequestFilter {
            outcome: Outcome::parse(&self.status),
            key_id: if self.key.is_empty() { None } else { Some(ApiKeyId::parse(&self.key)?) },
            path: text(&self.path),
            request_id: text(&self.id),
        })
    }

    fn trimmed(self) -> Self {
        let trim = |text: String| text.trim().to_owned();
        Self { status: trim(self.status), key: trim(self.key), path: trim(self.path), id: trim(self.id), ..self }
    }

    /// The same list from another address, or from another row on.
    fn link(&self, base: &str, more: &[(&str, String)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("status", &self.status), ("key", &self.key), ("path", &self.path), ("id", &self.id)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.extend_pairs(more);
        let query = query.finish();
        if query.is_empty() { base.into() } else { format!("{base}?{query}") }
    }
}

pub async fn list(who: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let asked = asked.into_inner().trimmed();
    if has_checksum(&asked.key) {
        // A secret leads to its key, and out of the address.
        let found = services::credentials::authenticate(&who.app, &asked.key, who.app.clock.both());
        let id = found.ok().and_then(|found| found.key().map(|key| key.id.to_string()));
        let key = id.unwrap_or_else(|| "no-working-key-has-this-secret".into());
        return Ok(to(Asked { key, ..asked }.link(BASE, &[])));
    }
    let start = match (asked.after, asked.before) {
        (Some(seq), _) => Start::After(seq),
        (_, Some(seq)) => Start::Before(seq),
        _ => Start::Offset(0),
    };
    let (rows, has_next) = match asked.filter() {
        Some(filter) => {
            let page = services::requests::list(&who.app, &who.caller, filter, start, Limit::of(ROWS)).await?;
            (page.rows, page.has_next)
        }
        None => (Vec::new(), false),
    };
    let keys = keys_of(&who, &rows).await?;
    let now = who.now();
    let newest = rows.first().map(|row| row.seq).or(asked.before);
    let newer = newest.map(|seq| ("before", seq.to_string()));
    let older = rows.last().filter(|_| has_next).map(|row| asked.link(BASE, &[("after", row.seq.to_string())]));
    let oldest = services::requests::oldest(&who.app, &who.caller).await?;
    let page = RequestsPage {
        frame: who.frame(t("Requests"), Place::Requests),
        kept: kept_words(who.app.config.log.request_log_sample, oldest.map(|at| now.moment(at))),
        outcomes: outcomes(&asked),
        is_filtered: asked.filter() != Some(RequestFilter::default()),
        live: asked.link("/admin/requests/live", &[]),
        live_rows: LIVE_ROWS,
        newer: asked.link(BASE, newer.as_slice()),
        older,
        is_nothing_newer: rows.is_empty() && asked.before.is_some(),
        rows: rows.iter().map(|row| RequestRow::new(row, name_of(&keys, row), &now)).collect(),
        filter: asked,
        base_url: who.facts.base_url().into(),
    };
    Ok(who.ok(&page))
}

pub async fn show(who: SignedIn, id: Path<String>) -> Result<HttpResponse, PageError> {
    let request = services::requests::find(&who.app, &who.caller, &id).await?;
    let keys = keys_of(&who, std::slice::from_ref(&request)).await?;
    let account = match request.account_id {
        Some(account) => services::accounts::find(&who.app, &who.caller, account).await.ok().map(|account| account.name),
        None => None,
    };
    let row = RequestRow::new(&request, name_of(&keys, &request), &who.now());
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| t("unknown"), |bytes| t("{n} bytes").with("n", grouped(bytes)));
    let page = RequestPage {
        frame: who.frame(format!("{} {}", request.method, request.path), Place::Requests),
        badge: Status { word: outcome_words(request.outcome()), tone: row.tone },
        row,
        route: request.route.clone(),
        error: request.error.clone().unwrap_or_default(),
        account,
        user_agent: request.user_agent.clone(),
        limit: request.limit.map_or_else(String::new, |limit| {
            let window = duration::show(std::time::Duration::from_secs(limit.seconds.into()));
            t("{left} of {limit} left in a window of {window}")
                .with("left", grouped(limit.remaining))
                .with("limit", grouped(limit.limit))
                .with("window", window)
                .into()
        }),
        sizes: t("{sent} sent, {answered} answered")
            .with("sent", bytes(request.request_bytes.or(Some(0))))
            .with("answered", bytes(request.response_bytes))
            .into(),
        request_id: request.request_id,
    };
    Ok(who.ok(&page))
}

impl RequestRow {
    fn new(request: &LoggedRequest, key: Option<KeyName>, now: &Now) -> Self {
        Self {
            href: format!("{BASE}/{}", request.request_id),
            at: now.moment(request.at),
            time: in_words(&request.at.to_jiff().to_zoned(now.zone.clone()), msg!("%-d %b %H:%M:%S")),
            method: request.method.clone(),
            path: request.path.clone(),
            status: request.status,
            tone: match request.outcome() {
                Outcome::Success => "ok",
                Outcome::ClientError => "warn",
                Outcome::RateLimited => "limited",
                Outcome::ServerError => "bad",
            },
            took: took_words(std::time::Duration::from_micros(request.duration_us)),
            key,
            ip: request.ip.to_string(),
        }
    }
}

const fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => msg!("Success"),
        Outcome::ClientError => msg!("Client error"),
        Outcome::RateLimited => msg!("Rate limited"),
        Outcome::ServerError => msg!("Server error"),
    }
}

async fn keys_of(who: &SignedIn, requests: &[LoggedRequest]) -> Result<HashMap<ApiKeyId, ApiKey>, PageError> {
    let ids = requests.iter().filter_map(|request| request.key_id).collect();
    Ok(services::api_keys::find_all(&who.app, &who.caller, ids).await?)
}

fn name_of(keys: &HashMap<ApiKeyId, ApiKey>, request: &LoggedRequest) -> Option<KeyName> {
    let id = request.key_id?;
    Some(KeyName { id: id.to_string(), name: keys.get(&id).map(|key| key.name.clone()).unwrap_or_default() })
}

fn outcomes(asked: &Asked) -> Vec<OutcomeChoice> {
    let words = |outcome| match outcome {
        Outcome::Success => msg!("2xx success"),
        Outcome::ClientError => msg!("4xx error, but 429"),
        Outcome::RateLimited => msg!("429 rate limited"),
        Outcome::ServerError => msg!("5xx fault"),
    };
    let current = Outcome::parse(&asked.status);
    let any = OutcomeChoice { value: "", words: msg!("Any"), current: current.is_none() };
    let each = Outcome::ALL.map(|outcome| OutcomeChoice {
        value: outcome.name(),
        words: words(outcome),
        current: current == Some(outcome),
    });
    std::iter::once(any).chain(each).collect()
}

/// What is kept, and for how long.
fn kept_words(sample: f64, oldest: Option<Moment>) -> String {
    let kept = t(
        "The newest {rows} requests of the last {days} days, at most {most} that went well and as many failures of each second.",
    )
    .with("rows", grouped(KEPT_ROWS.into()))
    .with("days", KEPT_DAYS)
    .with("most", PER_SECOND);
    let share = (sample < 1.0).then(|| t("A share of {share} of all requests is kept.").with("share", sample));
    let never = t("No Authorization header and no query is kept.");
    let oldest = oldest.map(|at| t("The oldest is from {when}.").with("when", at.full));
    let told = [Some(kept), share, Some(never), oldest];
    told.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
