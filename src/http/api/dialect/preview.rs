//! What a dialect's answers look like, made by the code that answers clients.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;

use super::Dialect;
use super::error::Context;
use super::listing::Place;
use crate::http::api::users::UserBody;
use crate::http::api::{admission, reply};
use crate::http::words::msg;
use crate::limits::Decision;
use crate::limits::rate::{self, Counters, RateLimits};
use crate::model::AppError;
use crate::model::clock::{Clock, Timestamp};
use crate::model::dialect::DialectName;
use crate::model::ids::{AccountId, UserId};
use crate::model::page::{Page, Start};
use crate::model::scope::Scope;
use crate::model::tier::{Window, Windows};
use crate::model::user::{Role, User, UserStatus};

const SAMPLE_ID: &str = "req_01jd8q2n5ye9ta3m6r7vwxk4fz";

/// One request and its answer.
#[derive(Debug)]
pub struct Sample {
    pub title: &'static str,
    pub request: &'static str,
    /// `401 Unauthorized`
    pub status: String,
    pub headers: Vec<(String, String)>,
    /// Indented, for people.
    pub body: String,
}

/// A 200, a list, 401, 403, 404 and 429 as clients of this dialect get them; `anonymous` is the limit of those without
/// a key.
pub fn samples(name: DialectName, base_url: &str, anonymous: Window, clock: &Clock) -> Vec<Sample> {
    let (dialect, now) = (Dialect::of(name), clock.now());
    let rates = RateLimits::new();
    let account = rates.counters_of_account(AccountId::new());
    let stranger = rates.counters_of_account(AccountId::new());
    let take = |counters: &Counters, windows: &Windows| rate::take(counters, windows.as_slice(), None, 1, clock.tick());
    let (windows, address) = (name.default_windows(), Windows::new(vec![anonymous]).unwrap_or_default());
    let finished = |mut response: HttpResponse, left: &Decision| {
        admission::finish(response.headers_mut(), dialect, left, now);
        response
    };
    let refused = |error: &AppError, left: &Decision| {
        let context = Context { request_id: SAMPLE_ID, base_url, problem_json: false };
        finished(dialect.refuse(error, &context), left)
    };
    let users = [user("Alice Wonderland", "alice@example.com", now), user("Bob The Builder", "bob@example.com", now)];

    let mut samples = Vec::new();
    let mut add = |title, request, response| samples.push(Sample::of(title, request, response));
    let one = reply::json(StatusCode::OK, &UserBody::from(&users[0]));
    add(msg!("Success"), "GET /v1/users/me", finished(one, &take(&account, &windows)));
    let page = Page { rows: users.to_vec(), has_prev: false, has_next: true, total: Some(3) };
    let place = Place { base_url, path: "/v1/users", query: "limit=2" };
    let list = dialect.page(&place, &page, Start::<UserId>::Offset(0), 2, (|user| user.id, UserBody::from));
    add(msg!("A list"), "GET /v1/users?limit=2", finished(list, &take(&account, &windows)));
    add(msg!("No API key"), "GET /v1/users", refused(&AppError::MissingApiKey, &take(&stranger, &address)));
    add(msg!("A wrong API key"), "GET /v1/users", refused(&AppError::InvalidApiKey, &take(&stranger, &address)));
    let lacking = AppError::MissingScope(Scope::UsersWrite);
    add(msg!("No permission"), "POST /v1/users", refused(&lacking, &take(&account, &windows)));
    add(msg!("Not found"), "GET /v1/users/123", refused(&AppError::NotFound("user"), &take(&account, &windows)));
    let over = loop {
        let left = take(&account, &windows);
        if !left.admitted() {
            break left;
        }
    };
    let retry_after = over.retry_after().unwrap_or_default();
    add(msg!("Too many requests"), "GET /v1/users", refused(&AppError::RateLimited { retry_after }, &over));
    samples
}

/// The answer to one request more than these windows let in; none where they let in all.
pub fn refusal(name: DialectName, windows: &Windows, base_url: &str, clock: &Clock) -> Option<Sample> {
    let dialect = Dialect::of(name);
    let counters = RateLimits::new().counters_of_account(AccountId::new());
    let most = windows.as_slice().iter().map(|window| window.limit).min()?;
    rate::take(&counters, windows.as_slice(), None, most, clock.tick());
    let over = rate::take(&counters, windows.as_slice(), None, 1, clock.tick());
    let error = AppError::RateLimited { retry_after: over.retry_after()? };
    let mut answer = dialect.refuse(&error, &Context { request_id: SAMPLE_ID, base_url, problem_json: false });
    admission::finish(answer.headers_mut(), dialect, &over, clock.now());
    Some(Sample::of(msg!("Too many requests"), "GET /v1/users", answer))
}

/// The headers that tell of the limits on the first answer to an account without a tier.
pub fn limit_headers(name: DialectName, clock: &Clock) -> Vec<(String, String)> {
    let (dialect, windows) = (Dialect::of(name), name.default_windows());
    let counters = RateLimits::new().counters_of_account(AccountId::new());
    let left = rate::take(&counters, windows.as_slice(), None, 1, clock.tick());
    let mut response = HttpResponse::Ok().finish();
    dialect.rate_headers.write(response.headers_mut(), &left, clock.now());
    Sample::of("", "", response).headers
}

pub fn is_at_root(name: DialectName) -> bool {
    Dialect::of(name).at_root
}

impl Sample {
    fn of(title: &'static str, request: &'static str, response: HttpResponse) -> Self {
        let status = response.status();
        let shown = |value: &actix_web::http::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut headers: Vec<(String, String)> =
            response.headers().iter().map(|(name, value)| (name.to_string(), shown(value))).collect();
        headers.sort();
        let bytes = response.into_body().try_into_bytes().unwrap_or_default();
        let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let body = json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_default();
        Self { title, request, status: status.to_string(), headers, body }
    }
}

fn user(name: &str, email: &str, now: Timestamp) -> User {
    User {
        id: UserId::new(),
        account_id: AccountId::new(),
        name: name.into(),
        email: email.into(),
        role: Role::Member,
        status: UserStatus::Active,
        time_zone: "UTC".into(),
        look: Default::default(),
        has_password: true,
        has_second_factor: false,
        created_at: now,
        updated_at: now,
        revision: 1,
    }
}
