//! Notices in words: on the overview until an administrator dismisses them, and on the page of their key.

use actix_web::HttpResponse;
use actix_web::web::Path;

use super::view::grouped;
use crate::http::csrf::Posted;
use crate::http::moment::{Moment, Now};
use crate::http::page::{Link, PageError};
use crate::http::signed_in::{SignedIn, to};
use crate::http::words::{Message, count, msg, t};
use crate::model::clock::Timestamp;
use crate::model::notice::{Notice, NoticeKind};
use crate::services;

pub struct NoticeRow {
    pub id: String,
    /// The key by its name, before the words; none where it concerns all requests.
    pub key: Option<Link>,
    pub words: String,
    pub next: &'static str,
    pub link: Option<Link>,
    pub at: Moment,
    pub is_bad: bool,
}

impl NoticeRow {
    /// `name` is the key's.
    pub fn new(notice: &Notice, name: Option<&str>, now: &Now) -> Self {
        let key = notice
            .key_id
            .map(|id| Link { href: format!("/admin/keys/{id}"), words: name.map_or_else(|| id.to_string(), str::to_owned) });
        let log =
            |words: Message, status: &str| Some(Link { href: format!("/admin/requests?status={status}"), words: words.into() });
        let (next, link) = match notice.kind {
            NoticeKind::Reported => (msg!("Give its owner a new key, and find out where the old one stood."), None),
            NoticeKind::NewNetwork => {
                (msg!("If that is nobody of yours, revoke the key. An allow-list keeps it to its addresses."), None)
            }
            NoticeKind::Woke => (msg!("If nobody of yours uses it, revoke it."), None),
            NoticeKind::Refused => {
                (msg!("Somebody may be guessing keys, or a program of yours has a wrong one."), log(t("Show them"), "4xx"))
            }
            NoticeKind::RateLimited => (msg!("A program may be in a loop, or a limit too tight."), log(t("Show them"), "429")),
        };
        Self {
            id: notice.id.to_string(),
            key,
            words: words(notice, now),
            next,
            link,
            at: now.moment(notice.last_at),
            is_bad: notice.kind == NoticeKind::Reported,
        }
    }
}

fn words(notice: &Notice, now: &Now) -> String {
    let Notice { kind, detail, count: n, .. } = notice;
    let words = match kind {
        NoticeKind::Reported if detail.is_empty() => t("was reported as leaked, and revoked"),
        NoticeKind::Reported => t("was reported as leaked from {place}, and revoked").with("place", detail),
        NoticeKind::NewNetwork if *n > 1 => t("was used from {n} networks that are new to it, the latest {network}")
            .with("n", grouped(*n))
            .with("network", detail),
        NoticeKind::NewNetwork => t("was used from a network that is new to it, {network}").with("network", detail),
        NoticeKind::Woke => match Timestamp::parse(detail) {
            Some(before) => t("was used again, for the first time since {day}").with("day", now.moment(before).day),
            None => t("was used for the first time, long after it was made"),
        },
        NoticeKind::Refused => count(
            *n,
            "{n} request without a valid key within five minutes",
            "{n} requests without a valid key within five minutes",
        ),
        NoticeKind::RateLimited => {
            count(*n, "{n} request met its limits within five minutes", "{n} requests met their limits within five minutes")
        }
    };
    words.into()
}

pub async fn dismiss(who: SignedIn, id: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to("/admin?done=renewed"));
    }
    services::notices::dismiss(&who.app, &who.caller, services::notices::id_of(&id)?).await?;
    Ok(to("/admin"))
}
