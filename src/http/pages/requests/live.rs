//! The request log as it grows: server-sent events, for as long as the administrator is signed in and the server runs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{Bytes, Query};
use actix_web::{Error, HttpResponse};
use futures_util::stream;
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Asked, KeyName, RequestRow};
use crate::http::page::PageError;
use crate::http::signed_in::SignedIn;
use crate::http::words::{self, Language, t};
use crate::model::ids::ApiKeyId;
use crate::model::request::{LoggedRequest, RequestFilter};
use crate::model::user::Role;
use crate::services;

/// How soon a stopping server is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two signs of life, before each of which the session is looked at again.
const LOOKS: u32 = 15;

struct Tail {
    who: SignedIn,
    language: Language,
    filter: Option<RequestFilter>,
    requests: broadcast::Receiver<Arc<LoggedRequest>>,
    /// Names of the keys that were seen.
    keys: HashMap<ApiKeyId, String>,
    look: Interval,
    looks: u32,
    is_new: bool,
}

pub async fn live(who: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, PageError> {
    let requests = services::requests::watch(&who.app, &who.caller)?;
    let filter = asked.into_inner().trimmed().filter();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tail = Tail { who, language: words::spoken(), filter, requests, keys: HashMap::new(), look, looks: 0, is_new: true };
    let events = stream::unfold(tail, |mut tail| async {
        let event = words::answering(tail.language, tail.next()).await?;
        Some((Ok::<_, Error>(Bytes::from(event)), tail))
    });
    // Compressed, an event would wait for the next ones.
    let mut response = HttpResponse::Ok();
    Ok(response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .streaming(events))
}

impl Tail {
    async fn next(&mut self) -> Option<String> {
        if std::mem::take(&mut self.is_new) {
            return Some("retry: 3000\n\n".into());
        }
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Ok(request) if self.filter.as_ref().is_some_and(|filter| filter.matches(&request)) => {
                        return Some(self.event(&request).await);
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => return Some(format!("event: missed\ndata: {missed}\n\n")),
                    Err(RecvError::Closed) => return None,
                },
                _ = self.look.tick() => {
                    if self.who.app.draining.load(Relaxed) {
                        return None;
                    }
                    self.looks += 1;
                    if self.looks.is_multiple_of(LOOKS) {
                        return self.is_still_admin().await.then(|| ":\n\n".into());
                    }
                }
            }
        }
    }

    async fn is_still_admin(&self) -> bool {
        let found = services::sessions::resolve(&self.who.app, self.who.token()).await;
        found.ok().flatten().is_some_and(|(user, _)| user.role == Role::Admin)
    }

    async fn event(&mut self, request: &LoggedRequest) -> String {
        let key = match request.key_id {
            Some(id) => Some(KeyName { id: id.to_string(), name: self.name_of(id).await }),
            None => None,
        };
        let row = RequestRow::new(request, key, &self.who.now());
        let (key_name, key_href) = row.key.map_or_else(Default::default, |key| {
            let name = if key.name.is_empty() { t("Deleted").into() } else { key.name };
            (name, format!("/admin/keys/{}", key.id))
        });
        let row = json!({
            "href": row.href, "iso": row.at.iso, "full": row.at.full, "time": row.time, "method": row.method, "path": row.path,
            "status": row.status, "tone": row.tone, "took": row.took, "key": key_name, "key_href": key_href, "ip": row.ip,
        });
        format!("data: {row}\n\n")
    }

    async fn name_of(&mut self, id: ApiKeyId) -> String {
        if let Some(name) = self.keys.get(&id) {
            return name.clone();
        }
        let found = services::api_keys::find_all(&self.who.app, &self.who.caller, HashSet::from([id])).await;
        let name = found.ok().and_then(|mut found| found.remove(&id)).map(|key| key.name).unwrap_or_default();
        self.keys.insert(id, name.clone());
        name
    }
}
