//! Notices in words: on the overview until an administrator dismisses them, and on the page of their key.

use actix_web::HttpResponse;
use actix_web::web::Path;

use super::view::grouped;
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Link, PageError};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, Rich, t};
use crate::model::clock::Timestamp;
use crate::model::notice::{Notice, NoticeKind};
use crate::services;

pub struct NoticeRow {
    pub id: String,
    /// What happened, with a link to the key it happened to, if it did to one.
    pub told: Rich,
    /// The same without the link.
    pub words: String,
    /// On the page of the key itself.
    pub told_of_it: String,
    pub next: String,
    pub link: Option<Link>,
    pub at: Moment,
    pub is_bad: bool,
}

impl NoticeRow {
    /// `name` is the key's.
    pub fn new(notice: &Notice, name: Option<&str>, now: &Now) -> Self {
        let href = notice.key_id.map(|id| format!("/admin/keys/{id}")).unwrap_or_default();
        let name = name.map_or_else(|| notice.key_id.map(|id| id.to_string()).unwrap_or_default(), str::to_owned);
        let log = |status: &str| Some(Link { href: format!("/admin/requests?status={status}"), words: t("Show them").into() });
        let (next, link) = match notice.kind {
            NoticeKind::Reported => (t("Give its owner a new key, and find out where the old one stood."), None),
            NoticeKind::NewNetwork => {
                (t("If that is nobody of yours, revoke the key. An allow-list keeps it to its addresses."), None)
            }
            NoticeKind::Woke => (t("If nobody of yours uses it, revoke it."), None),
            NoticeKind::Refused => (t("Somebody may be guessing keys, or a program of yours has a wrong one."), log("4xx")),
            NoticeKind::RateLimited => (t("A program may be in a loop, or a limit too tight."), log("429")),
        };
        Self {
            id: notice.id.to_string(),
            told: words(notice, now).with_link("key", &name, &href).into(),
            words: words(notice, now).with("key", &name).to_string().trim_end_matches('.').into(),
            told_of_it: words_of_it(notice, now).into(),
            next: next.into(),
            link,
            at: now.moment(notice.last_at),
            is_bad: notice.kind == NoticeKind::Reported,
        }
    }
}

fn words(notice: &Notice, now: &Now) -> Message {
    let Notice { kind, detail, count: n, .. } = notice;
    match kind {
        NoticeKind::Reported if detail.is_empty() => t("{key} was reported as leaked, and revoked."),
        NoticeKind::Reported => t("{key} was reported as leaked from {from}, and revoked.").with("from", detail),
        NoticeKind::NewNetwork if *n > 1 => {
            t("{key} was used from {n} networks that are new to it, the latest {network}.").with("network", detail)
        }
        NoticeKind::NewNetwork => t("{key} was used from a network that is new to it, {network}.").with("network", detail),
        NoticeKind::Woke => match Timestamp::parse(detail) {
            Some(before) => t("{key} was used again, for the first time since {day}.").with("day", now.moment(before).day),
            None => t("{key} was used for the first time, long after it was made."),
        },
        NoticeKind::Refused => t("{n} requests without a valid key within five minutes."),
        NoticeKind::RateLimited => t("{n} requests met their limits within five minutes."),
    }
    .with("n", grouped(*n))
}

/// The same where it is clear which key it is.
fn words_of_it(notice: &Notice, now: &Now) -> Message {
    let Notice { kind, detail, count: n, .. } = notice;
    match kind {
        NoticeKind::Reported if detail.is_empty() => t("It was reported as leaked, and revoked."),
        NoticeKind::Reported => t("It was reported as leaked from {from}, and revoked.").with("from", detail),
        NoticeKind::NewNetwork if *n > 1 => {
            t("It was used from {n} networks that are new to it, the latest {network}.").with("network", detail)
        }
        NoticeKind::NewNetwork => t("It was used from a network that is new to it, {network}.").with("network", detail),
        NoticeKind::Woke => match Timestamp::parse(detail) {
            Some(before) => t("It was used again, for the first time since {day}.").with("day", now.moment(before).day),
            None => t("It was used for the first time, long after it was made."),
        },
        NoticeKind::Refused | NoticeKind::RateLimited => return words(notice, now),
    }
    .with("n", grouped(*n))
}

pub async fn dismiss(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to("/admin?done=renewed"));
    }
    services::notices::dismiss(&who.app, &who.caller, services::notices::id_of(&id)?).await?;
    Ok(to("/admin"))
}
