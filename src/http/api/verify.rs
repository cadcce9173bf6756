//! Checking a key for another service. The answer is 200 whether or not the key is good: what was asked is answered.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::{Map, Value};

use super::allowed::{Allowed, KeysVerify};
use super::api_keys::KeyBody;
use super::fields::Fields;
use super::idempotent::{self, Once, once};
use super::users::UserBody;
use super::{Result, limits_body, reply};
use crate::app::App;
use crate::app::callers::{Credential, Found};
use crate::model::api_key::{ApiKey, KeyStatus};
use crate::model::clock::Timestamp;
use crate::model::error::Problem;
use crate::model::ids::AccountId;
use crate::model::scope::ScopesAsked;
use crate::services::idempotency::{Keep, Replay};
use crate::services::verify::{Code, Question, Verdict};
use crate::{model, services};

/// What one request may count for.
const MAX_COST: u64 = 1_000_000;

#[derive(Serialize)]
struct AccountBody<'a> {
    id: AccountId,
    name: &'a str,
    tier: Option<&'a str>,
    metadata: &'a Map<String, Value>,
}

impl<'a> From<&'a Found> for AccountBody<'a> {
    fn from(found: &'a Found) -> Self {
        let account = &found.account;
        Self {
            id: found.user.account_id,
            name: &account.name,
            tier: account.tier.as_deref(),
            metadata: account.metadata.as_map(),
        }
    }
}

pub async fn verify(who: Allowed<KeysVerify>, app: Data<App>, req: HttpRequest, mut body: Fields) -> Result {
    let secret = body.required("key", |text| Ok(text.to_owned()));
    let question = Question {
        scopes: body.texts("scopes", |names| ScopesAsked::parse(names.iter().copied())).unwrap_or_default(),
        ip: body.text("ip", ip),
        cost: body.number("cost", 0..=MAX_COST).unwrap_or(1),
        dry_run: body.boolean("dry_run").unwrap_or(false),
    };
    let [secret] = body.all_of([secret])?;
    let answer =
        || services::verify::verify(&app, &who.caller, who.credential.service(), &secret, question).map(|verdict| told(&verdict));
    if !idempotent::is_asked(&req) {
        return Ok(reply::text(StatusCode::OK, answer()?));
    }
    let stored = |body: &String| Replay { status: 200, location: None, etag: None, body: body.clone() };
    let asked = async |keep: Keep<String>| keep.store_alone(&app, answer()?).await;
    // Rare, and three times as large as all else here: each check would carry the room for it.
    Ok(match Box::pin(once(&app, &who.caller, &req, &body.bytes, stored, asked)).await? {
        Once::Done(body) => reply::text(StatusCode::OK, body),
        Once::Before(response) => response,
    })
}

/// The parts that do not apply are `null`. What changes is put around what is written once for each credential: every
/// check has the same fields.
fn told(verdict: &Verdict) -> String {
    let mut text = String::with_capacity(1024);
    text.push_str(if verdict.code == Code::Valid { r#"{"valid":true,"code":""# } else { r#"{"valid":false,"code":""# });
    text.push_str(verdict.code.name());
    text.push_str("\",");
    match verdict.credential.as_deref().and_then(|found| Some((found, found.key()?))) {
        Some((found, key)) => {
            text.extend([r#""key":"#, &*key_told(found, key, verdict.at), ","]);
            text.push_str(found.written.whose.get_or_init(|| whose(found)));
        }
        None => text.push_str(r#""key":null,"user":null,"account":null"#),
    }
    text.push_str(r#","rate_limit":"#);
    match &verdict.left {
        Some(left) => limits_body::write(&mut text, left),
        None => text.push_str("null"),
    }
    text.push('}');
    text
}

/// The key as it was written before, unless it is in another state by now.
fn key_told<'a>(found: &'a Credential, key: &ApiKey, now: Timestamp) -> Cow<'a, str> {
    let (status, fresh) = (key.status(now), || reply::to_json(&KeyBody::new(key, now)));
    let (then, written) = found.written.key.get_or_init(|| (status, fresh().into()));
    // In the other states a rotation may end and be told no more, and the state stays.
    let is_same = *then == status && matches!(status, KeyStatus::Active | KeyStatus::Rotating);
    if is_same { Cow::Borrowed(written) } else { Cow::Owned(fresh()) }
}

fn whose(found: &Found) -> Box<str> {
    let (user, account) = (UserBody::from(&found.user), AccountBody::from(found));
    format!(r#""user":{},"account":{}"#, reply::to_json(&user), reply::to_json(&account)).into()
}

fn ip(text: &str) -> model::Result<std::net::IpAddr, Problem> {
    let wrong = || Problem::new("invalid_ip", "`ip` must be an address such as 203.0.113.7 or 2001:db8::1.");
    text.parse().map(|ip: std::net::IpAddr| ip.to_canonical()).map_err(|_| wrong())
}
