//! Checking a key for another service. The answer is 200 whether or not the key is good: what was asked is answered.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::{Map, Value};

use super::allowed::{Allowed, KeysVerify};
use super::api_keys::{KeyBody, RateLimitBody};
use super::fields::Fields;
use super::idempotent::{Once, once};
use super::users::UserBody;
use super::{Result, reply};
use crate::app::App;
use crate::model::error::Problem;
use crate::model::ids::AccountId;
use crate::model::scope::ScopesAsked;
use crate::services::idempotency::{Keep, Replay};
use crate::services::verify::{Code, Question, Verdict};
use crate::{model, services};

/// What one request may count for.
const MAX_COST: u64 = 1_000_000;

/// The parts that do not apply are `null`.
#[derive(Serialize)]
struct VerdictBody<'a> {
    valid: bool,
    code: &'static str,
    key: Option<KeyBody<'a>>,
    user: Option<UserBody<'a>>,
    account: Option<AccountBody<'a>>,
    rate_limit: Option<RateLimitBody>,
}

#[derive(Serialize)]
struct AccountBody<'a> {
    id: AccountId,
    name: &'a str,
    tier: Option<&'a str>,
    metadata: &'a Map<String, Value>,
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
    let stored = |body: &String| Replay { status: 200, location: None, etag: None, body: body.clone() };
    let asked = async |keep: Keep<String>| {
        let verdict = services::verify::verify(&app, &who.caller, who.credential.service(), &secret, question)?;
        keep.store_alone(&app, told(&app, &verdict)).await
    };
    Ok(match once(&app, &who.caller, &req, &body.bytes, stored, asked).await? {
        Once::Done(body) => reply::text(StatusCode::OK, body),
        Once::Before(response) => response,
    })
}

fn told(app: &App, verdict: &Verdict) -> String {
    let found = verdict.credential.as_deref();
    reply::to_json(&VerdictBody {
        valid: verdict.code == Code::Valid,
        code: verdict.code.name(),
        key: found.and_then(|found| found.key()).map(|key| KeyBody::new(key, app.clock.now())),
        user: found.map(|found| UserBody::from(&found.user)),
        account: found.map(|found| AccountBody {
            id: found.user.account_id,
            name: &found.account.name,
            tier: found.account.tier.as_deref(),
            metadata: found.account.metadata.as_map(),
        }),
        rate_limit: verdict.left.as_ref().map(RateLimitBody::from),
    })
}

fn ip(text: &str) -> model::Result<std::net::IpAddr, Problem> {
    let wrong = || Problem::new("invalid_ip", "`ip` must be an address such as 203.0.113.7 or 2001:db8::1.");
    text.parse().map(|ip: std::net::IpAddr| ip.to_canonical()).map_err(|_| wrong())
}
