//! The first page of an administrator: what is here, and what is left to do.

use actix_web::HttpResponse;
use askama::Template;

use super::view::{KeyRow, grouped};
use crate::http::page::{Banner, Frame, PageError, Place};
use crate::http::signed_in::SignedIn;
use crate::model::page::{Limit, Order, Start};
use crate::services;

/// The keys that the page shows, newest first.
const KEYS_SHOWN: u32 = 5;

#[derive(Template)]
#[template(path = "admin/overview.html")]
pub struct OverviewPage {
    pub frame: Frame,
    pub summary: String,
    pub steps: Vec<Step>,
    pub done_count: usize,
    pub figures: Vec<Figure>,
    /// No request came with a key yet.
    pub waiting: bool,
    pub base_url: String,
    pub keys: Vec<KeyRow>,
}

pub struct Step {
    pub done: bool,
    pub words: &'static str,
    pub hint: String,
    /// Empty: nothing on these pages does it.
    pub href: String,
}

pub struct Figure {
    pub label: &'static str,
    pub value: String,
    pub href: &'static str,
}

pub async fn show(who: SignedIn) -> Result<HttpResponse, PageError> {
    let newest = |rows| (Order::NewestFirst, Limit::of(rows));
    let (order, limit) = newest(KEYS_SHOWN);
    let keys = services::api_keys::list(&who.app, &who.caller, Default::default(), (Start::Offset(0), order, limit)).await?;
    let (order, limit) = newest(1);
    let users = services::users::list(&who.app, &who.caller, Default::default(), (Start::Offset(0), order, limit)).await?;
    let ids = keys.rows.iter().map(|key| key.user_id).collect();
    let owners = services::users::find_all(&who.app, &who.caller, ids).await?;
    let now = who.now();
    let was_used = keys.rows.iter().any(|key| key.last_used.is_some()) || keys.has_next;
    let first_unused = keys.rows.first().map(|key| format!("/admin/keys/{}", key.id));
    let is_public = who.app.live.public_url().is_some();
    let steps = vec![
        step(true, "Create the first admin", String::new(), String::new()),
        step(
            !keys.rows.is_empty(),
            "Generate the first key",
            "A program shows it to be let in.".into(),
            "/settings/api-keys/new".into(),
        ),
        step(was_used, "Make the first request", "The line below is all it takes.".into(), first_unused.unwrap_or_default()),
        step(
            who.facts.https,
            "Serve it over HTTPS",
            "Beyond this machine, whoever reads along has the keys. Put a proxy with a certificate in front.".into(),
            String::new(),
        ),
        step(
            is_public,
            "Say under which address it is reached",
            "Start with --public-url https://keys.example.com, so that samples and links are right.".into(),
            String::new(),
        ),
    ];
    let page = OverviewPage {
        frame: who.frame("Overview", Place::Overview).with_banner(who.facts.is_behind_a_stranger.then(untrusted_proxy)),
        summary: format!("Keyrack {} at {}", env!("CARGO_PKG_VERSION"), who.facts.base_url()),
        done_count: steps.iter().filter(|step| step.done).count(),
        steps,
        figures: vec![
            Figure { label: "Users", value: grouped(users.total.unwrap_or_default()), href: "/admin/users" },
            Figure { label: "API keys", value: grouped(keys.total.unwrap_or_default()), href: "/admin/keys" },
        ],
        waiting: !was_used,
        base_url: who.facts.base_url().into(),
        keys: keys
            .rows
            .iter()
            .map(|key| KeyRow::new(key, owners.get(&key.user_id).map_or("", |owner| owner.email.as_str()), &now))
            .collect(),
    };
    Ok(who.ok(&page))
}

fn untrusted_proxy() -> Banner {
    Banner::warn(
        "This page came through a proxy that is not trusted",
        "Set trusted_proxies to its network. Until then every client seems to have the proxy's address, and HTTPS in front is not seen.",
    )
}

fn step(done: bool, words: &'static str, hint: String, href: String) -> Step {
    Step { done, words, hint, href }
}
