//! Who looks at a page: the session behind the cookie, as a handler's argument. Everything under `/admin` is for
//! administrators, and that is decided here alone.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, LOCATION, REFERER, USER_AGENT};
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::future::LocalBoxFuture;
use jiff::tz::TimeZone;

use super::arrival::{Arrived, Whose, base_url, path_of};
use super::csrf;
use super::moment::Now;
use super::page::{Frame, PageError, Place, Who, render};
use super::words;
use crate::app::App;
use crate::crypto::secret::random_token;
use crate::model::AppError;
use crate::model::caller::Caller;
use crate::model::error::in_full;
use crate::model::look::Look;
use crate::model::session::Session;
use crate::model::user::{Role, User};
use crate::services;
use crate::services::sessions::NewSession;

/// What is known of a request before anybody is signed in.
#[derive(Clone)]
pub struct Facts {
    pub ip: IpAddr,
    pub https: bool,
    /// A proxy that nobody has said to trust speaks for the client.
    pub is_behind_a_stranger: bool,
    pub request_id: Arc<str>,
    pub user_agent: String,
    /// The page of ours that led here; empty where another did, or none.
    pub referer: String,
    /// What this browser keeps of a sign-in before; empty if nothing.
    note: String,
    base_url: String,
}

/// Whoever looks at a page, signed in or not.
pub struct Visit {
    pub app: web::Data<App>,
    pub facts: Facts,
    pub who: Option<(User, Session)>,
    cookies: Cookies,
    look: Look,
    path: String,
    asked: String,
}

/// Someone signed in, who may see this page.
pub struct SignedIn {
    pub visit: Visit,
    pub user: User,
    pub session: Session,
    pub caller: Caller,
}

/// The two cookies that a form's token may belong to.
#[derive(Clone, Default)]
pub struct Cookies {
    session: Option<String>,
    /// Before anybody is signed in: what the token of the sign-in form belongs to.
    before: Option<String>,
    made_before: bool,
}

impl Cookies {
    pub fn of(req: &HttpRequest) -> Self {
        let https = req.arrival().client.https;
        let value = |name: &str| req.cookie(name).map(|cookie| cookie.value().to_owned()).filter(|value| !value.is_empty());
        Self { session: value(session_name(https)), before: value(before_name(https)), made_before: false }
    }

    pub fn values(&self) -> impl Iterator<Item = &str> {
        [&self.session, &self.before].into_iter().flatten().map(String::as_str)
    }
}

// `__Host-` binds a cookie to this host and to HTTPS; on plain HTTP a browser would drop it.
const fn session_name(https: bool) -> &'static str {
    if https { "__Host-sid" } else { "sid" }
}

const fn before_name(https: bool) -> &'static str {
    if https { "__Host-before" } else { "before" }
}

const fn device_name(https: bool) -> &'static str {
    if https { "__Host-device" } else { "device" }
}

impl Facts {
    pub fn of(req: &HttpRequest, app: &App) -> Self {
        let arrival = req.arrival();
        let header = |name: HeaderName| req.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (agent, base_url) = (header(USER_AGENT), base_url(req, app));
        Self {
            ip: arrival.client.ip,
            https: arrival.client.https,
            is_behind_a_stranger: arrival.client.ignored_forwarding,
            request_id: arrival.request_id.clone(),
            user_agent: agent.to_owned(),
            note: req.cookie(device_name(arrival.client.https)).map(|cookie| cookie.value().to_owned()).unwrap_or_default(),
            referer: header(REFERER).strip_prefix(&base_url).unwrap_or_default().to_owned(),
            base_url,
        }
    }

    /// `https://keys.example.com`: what links and samples begin with, and what `Origin` has to be.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Others may read along: not encrypted, and not to this machine itself.
    fn is_in_the_clear(&self) -> bool {
        !self.https && !self.ip.is_loopback()
    }

    pub fn device(&self) -> NewSession {
        NewSession {
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            note: self.note.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// What all requests share. It is there in every request that the routes were configured for.
pub fn app_of(req: &HttpRequest) -> web::Data<App> {
    req.app_data::<web::Data<App>>().cloned().expect("the routes are configured with the App")
}

impl Visit {
    pub async fn of(req: &HttpRequest) -> Result<Self, PageError> {
        let app = app_of(req);
        let mut cookies = Cookies::of(req);
        let who = match &cookies.session {
            Some(token) => services::sessions::resolve(&app, token).await?,
            None => None,
        };
        if who.is_none() {
            cookies.session = None;
            if cookies.before.is_none() {
                cookies.before = Some(random_token().to_string());
                cookies.made_before = true;
            }
        }
        let look = match &who {
            Some((user, _)) => user.look.clone(),
            None => req.cookie(Look::COOKIE).map_or_else(Look::default, |cookie| Look::parse(cookie.value())),
        };
        // A form is not sent again by itself: whoever was signed out while filling it begins anew.
        let is_page = req.method() == Method::GET;
        let asked = req.uri().path_and_query().filter(|_| is_page).map_or_else(|| "/".to_owned(), ToString::to_string);
        words::speak(words::language_for(req, look.language));
        Ok(Self { facts: Facts::of(req, &app), app, who, cookies, look, path: path_of(req).into(), asked })
    }

    pub fn frame(&self, title: impl Into<String>, place: Place) -> Frame {
        let now = self.now();
        Frame {
            title: title.into(),
            place,
            who: self.who.as_ref().map(|(user, session)| Who {
                name: user.name.clone(),
                email: user.email.clone(),
                is_admin: user.role == Role::Admin,
                elevated_until: session.is_elevated(now.at).then(|| now.time(session.elevated_until)),
            }),
            csrf: self.cookies.values().next().map(csrf::token).unwrap_or_default(),
            look: self.look.clone(),
            zone: now.zone_name(),
            plain_http: self.facts.is_in_the_clear(),
            ..Frame::of_a_stranger()
        }
    }

    /// The moment, in the reader's zone.
    pub fn now(&self) -> Now {
        let zone = self.who.as_ref().and_then(|(user, _)| TimeZone::get(&user.time_zone).ok());
        Now { at: self.app.clock.now(), zone: zone.unwrap_or(TimeZone::UTC) }
    }

    /// The page, with the cookie that its form's token belongs to.
    pub fn page(&self, status: StatusCode, page: &impl Template) -> HttpResponse {
        let mut response = render(status, page);
        if let (true, Some(value)) = (self.cookies.made_before, &self.cookies.before) {
            let cookie = cookie(before_name(self.facts.https), value.clone(), self.facts.https);
            set(&mut response, cookie);
        }
        response
    }

    pub fn ok(&self, page: &impl Template) -> HttpResponse {
        self.page(StatusCode::OK, page)
    }

    /// The path that was asked for, as the router reads it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a browser has before anybody is signed in.
    pub fn cookie_before(&self) -> &str {
        self.cookies.before.as_deref().unwrap_or_default()
    }

    pub fn session_cookie(&self) -> Option<&str> {
        self.cookies.session.as_deref()
    }
}

impl SignedIn {
    pub async fn of(req: &HttpRequest) -> Result<Self, PageError> {
        let visit = Visit::of(req).await?;
        let Some((user, session)) = &visit.who else { return Err(PageError::SignIn { next: visit.asked.clone() }) };
        Whose { key_id: None, user_id: Some(user.id) }.note(req);
        if is_for_admins(&visit.path) && user.role != Role::Admin {
            return Err(AppError::NotAnAdmin.into());
        }
        let may_wait = ["/settings/security", "/sign-out"].iter().any(|path| visit.path.starts_with(path));
        if !may_wait && !user.has_second_factor && services::second_factor::is_required_of(&visit.app, user) {
            return Err(PageError::NeedsFactor);
        }
        let (user, session) = (user.clone(), session.clone());
        let caller = services::sessions::caller(&user, visit.facts.ip, visit.facts.request_id.clone());
        Ok(Self { user, session, caller, visit })
    }

    /// What the cookie of the session holds.
    pub fn token(&self) -> &str {
        self.session_cookie().unwrap_or_default()
    }
}

fn is_for_admins(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

impl std::ops::Deref for SignedIn {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl FromRequest for Visit {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Self::of(&req).await })
    }
}

impl FromRequest for SignedIn {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Self::of(&req).await })
    }
}

/// To another page, after a change.
pub fn to(path: impl AsRef<str>) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path.as_ref())).finish()
}

/// Signed in from here on, and known here later.
pub async fn signed_in_to(
    path: &str,
    visit: &Visit,
    signed_in: &services::sessions::SignedIn,
) -> Result<HttpResponse, PageError> {
    let (facts, note) = (&visit.facts, services::devices::note(&visit.app, signed_in.session.user_id).await?);
    let mut response = with_session(to(path), facts, signed_in.token.expose());
    let mut device = cookie(device_name(facts.https), note, facts.https);
    device.set_max_age(CookieDuration::seconds(services::devices::LIFE.as_secs().cast_signed()));
    set(&mut response, device);
    Ok(response)
}

/// The session goes on behind this cookie.
pub fn with_session(mut response: HttpResponse, facts: &Facts, token: &str) -> HttpResponse {
    set(&mut response, cookie(session_name(facts.https), token.to_owned(), facts.https));
    set(&mut response, ended(before_name(facts.https), facts.https));
    response
}

/// Half signed in: the second factor is awaited from whoever has this cookie.
pub fn with_half(mut response: HttpResponse, facts: &Facts, token: &str) -> HttpResponse {
    set(&mut response, cookie(before_name(facts.https), token.to_owned(), facts.https));
    response
}

pub fn without_session(mut response: HttpResponse, facts: &Facts) -> HttpResponse {
    set(&mut response, ended(session_name(facts.https), facts.https));
    response
}

pub fn with_look(mut response: HttpResponse, facts: &Facts, look: &Look) -> HttpResponse {
    let mut cookie = cookie(Look::COOKIE, look.to_cookie(), facts.https);
    cookie.set_max_age(CookieDuration::days(365));
    set(&mut response, cookie);
    response
}

fn cookie(name: &'static str, value: String, https: bool) -> Cookie<'static> {
    Cookie::build(name, value).path("/").http_only(true).same_site(SameSite::Lax).secure(https).finish()
}

fn ended(name: &'static str, https: bool) -> Cookie<'static> {
    let mut cookie = cookie(name, String::new(), https);
    cookie.make_removal();
    cookie
}

fn set(response: &mut HttpResponse, cookie: Cookie<'_>) {
    if let Err(err) = response.add_cookie(&cookie) {
        tracing::error!(error = in_full(&err), "a cookie could not be set");
    }
}

/// The path of ours that was asked for before signing in; anything else leads to the start.
pub fn safe_next(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if is_ours { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_on_to() {
        assert_eq!(safe_next("/admin/users?q=a"), "/admin/users?q=a");
        for evil in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\nb", "/ /x", "javascript:alert(1)"]
        {
            assert_eq!(safe_next(evil), "/", "{evil:?}");
        }
    }

    #[test]
    fn administrators_pages_are_known_by_their_path() {
        assert!(is_for_admins("/admin") && is_for_admins("/admin/keys/x"));
        assert!(!is_for_admins("/administration") && !is_for_admins("/settings/api-keys"));
    }
}
