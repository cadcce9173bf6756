//! The frame that every page has, and how an error looks to a person.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use serde::Deserialize;

use super::assets::AssetUrls;
use super::elevation::Kept;
use super::faults::status;
use super::words::{self, Language, Message, filters, t, t_refusal};
use crate::model::AppError;
use crate::model::error::{FieldError, FieldErrors, in_full};
use crate::model::look::Look;

/// What the shell of a page shows around it.
#[derive(Clone)]
pub struct Frame {
    pub title: String,
    pub place: Place,
    pub who: Option<Who>,
    /// The token that every form of the page sends back.
    pub csrf: String,
    pub look: Look,
    pub assets: AssetUrls,
    pub language: Language,
    /// What scripts say; empty in English.
    pub script_words: String,
    /// The time zone that the page's times are in.
    pub zone: String,
    pub banner: Option<Banner>,
    /// The connection is not encrypted, and not to this machine itself.
    pub plain_http: bool,
    /// Something that was typed has to be mended; the title says so first.
    pub faulty: bool,
    /// Without the rail, even for someone signed in.
    pub bare: bool,
    /// A bare page of text rather than a form.
    pub reading: bool,
}

impl Frame {
    /// For someone of whom nothing is known.
    pub fn of_a_stranger() -> Self {
        Self {
            title: String::new(),
            place: Place::Elsewhere,
            who: None,
            csrf: String::new(),
            look: Look::default(),
            assets: AssetUrls::current(),
            language: words::spoken(),
            script_words: words::for_script(),
            zone: "UTC".into(),
            banner: None,
            plain_http: false,
            faulty: false,
            bare: false,
            reading: false,
        }
    }

    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    pub fn with_banner(mut self, banner: Option<Banner>) -> Self {
        self.banner = banner;
        self
    }

    /// A form comes back with what has to be mended.
    pub fn faulty(mut self, errors: &FormErrors) -> Self {
        self.faulty = !errors.is_empty();
        self
    }

    pub fn is_of_an_admin(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.is_admin)
    }

    pub fn at(&self, place: &str) -> bool {
        self.place.name() == place
    }
}

/// The entry of the rail that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Overview,
    Requests,
    Audit,
    Keys,
    Users,
    Accounts,
    Webhooks,
    Clients,
    Tiers,
    Settings,
    Security,
    AdminSecurity,
    OwnKeys,
    Apps,
    Usage,
    Conventions,
    Network,
    Backup,
    Docs,
    Elsewhere,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Requests => "requests",
            Self::Audit => "audit",
            Self::Keys => "keys",
            Self::Users => "users",
            Self::Accounts => "accounts",
            Self::Webhooks => "webhooks",
            Self::Clients => "clients",
            Self::Tiers => "tiers",
            Self::Settings => "settings",
            Self::Security => "security",
            Self::AdminSecurity => "admin-security",
            Self::OwnKeys => "own-keys",
            Self::Apps => "apps",
            Self::Usage => "usage",
            Self::Conventions => "conventions",
            Self::Network => "network",
            Self::Backup => "backup",
            Self::Docs => "docs",
            Self::Elsewhere => "",
        }
    }
}

/// Who is signed in.
#[derive(Clone)]
pub struct Who {
    pub name: String,
    pub email: String,
    pub is_admin: bool,
    /// Until when they are not asked again who they are, as a time of the day.
    pub elevated_until: Option<String>,
}

/// One thing to know, at the top of the page until the next one.
#[derive(Clone)]
pub struct Banner {
    pub tone: &'static str,
    pub heading: String,
    pub text: String,
}

impl Banner {
    pub fn ok(heading: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone: "ok", heading: heading.into(), text: text.into() }
    }

    /// A stale form is shown again.
    pub fn renewed() -> Self {
        Self::warn(t("Your session was renewed. Submit again"), t("Nothing was changed yet."))
    }

    pub fn warn(heading: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone: "warn", heading: heading.into(), text: text.into() }
    }
}

/// What the page before did, where this one does not show it. The address carries a word and never the text.
#[derive(Deserialize)]
pub struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    pub fn banner(&self) -> Option<Banner> {
        match self.done.as_str() {
            "renewed" => Some(Banner::renewed()),
            "switched" => Some(Banner::ok(t("Saved"), t("It holds for every request from now on."))),
            "account-deleted" => Some(Banner::ok(t("Account deleted"), t("What it did stays in the audit log."))),
            "deleted" => Some(Banner::ok(t("User deleted"), t("Their keys and sessions have stopped."))),
            "password-set" => Some(Banner::ok(t("Password set"), t("Sign in with it."))),
            "password" => Some(Banner::ok(t("Password changed"), t("Everywhere else you are signed out."))),
            "signed-out" => Some(Banner::ok(t("Signed out"), t("Whoever uses that device has to sign in again."))),
            "factor-removed" => Some(Banner::ok(t("Second factor removed"), t("Everywhere else you are signed out."))),
            "factor-needed" => Some(Banner::warn(
                t("Set a second factor up first"),
                t("Administrators of this server need one before anything else."),
            )),
            "backed-up" => Some(Banner::ok(t("Backup made"), "")),
            "whole" => Some(Banner::ok(
                t("The backup is whole"),
                t("Digest, structure, references, the chain of the audit log and all counts are as they were."),
            )),
            "replayed" => Some(Banner::ok(t("Waiting to be sent again"), t("Load the page again to see what became of it."))),
            "nothing-failed" => Some(Banner::ok(
                t("Nothing to send again"),
                t("Since the time that you chose no message has failed. Tests are not sent again."),
            )),
            "webhook-deleted" => Some(Banner::ok(t("Webhook deleted"), t("Its URL is not called any more."))),
            "client-deleted" => Some(Banner::ok(t("Client deleted"), t("Its tokens have stopped."))),
            "access-revoked" => Some(Banner::ok(t("Access revoked"), t("Its tokens have stopped."))),
            "saved" => Some(Banner::ok(t("Saved"), "")),
            _ => None,
        }
    }
}

/// What is wrong with a form, for its summary and at its fields.
#[derive(Clone, Default)]
pub struct FormErrors(FieldErrors);

impl FormErrors {
    pub fn of(&self, field: &str) -> &str {
        self.0.of(field).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.as_slice().iter()
    }

    /// What a service refused, in the reader's words.
    pub fn refused(err: &AppError) -> Self {
        Self::at_large(t_refusal(&err.to_string()))
    }

    /// The same, with the form's name for a field that the API calls otherwise.
    pub fn renamed(self, from: &str, to: &str) -> Self {
        let mut errors = FieldErrors::default();
        for error in self.iter() {
            errors.add(if error.field == from { to } else { &error.field }, error.code, error.message.clone());
        }
        Self(errors)
    }

    /// One error that belongs to no field.
    pub fn at_large(message: impl Into<String>) -> Self {
        let mut errors = FieldErrors::default();
        errors.add("", "refused", message);
        Self(errors)
    }
}

impl FormErrors {
    /// What a form can mend comes back as errors of its fields; anything else is an error of the page.
    pub fn of_refusal(err: AppError) -> Result<Self, PageError> {
        match err {
            AppError::Invalid(errors) => Ok(errors.into()),
            AppError::LastAdmin | AppError::KeyRevoked | AppError::KeyExpired | AppError::ScopeBeyondCaller(_) => {
                Ok(Self::refused(&err))
            }
            err => Err(err.into()),
        }
    }
}

impl From<FieldErrors> for FormErrors {
    fn from(errors: FieldErrors) -> Self {
        let mut said = FieldErrors::default();
        for error in errors.as_slice() {
            said.add(&error.field, error.code, t_refusal(&error.message));
        }
        Self(said)
    }
}

/// A page as an answer: never kept by a cache.
pub fn render(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(html),
        Err(err) => {
            tracing::error!(error = in_full(&err), "a page could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Why a page is not shown. The shell makes a page of it, since that takes the request.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error(transparent)]
    App(#[from] AppError),
    /// No page of ours sent this form.
    #[error("This form was not sent by a page of this server.")]
    Forged,
    /// Nobody is signed in.
    #[error("Sign in first.")]
    SignIn { next: String },
    /// Somebody is, and has to set a second factor up first.
    #[error("Set a second factor up first.")]
    NeedsFactor,
    /// Somebody is, and has to prove it again before this.
    #[error("Confirm that it is you.")]
    Elevation(Box<Kept>),
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::App(err) => status(err),
            Self::Forged => StatusCode::FORBIDDEN,
            Self::SignIn { .. } | Self::NeedsFactor => StatusCode::SEE_OTHER,
            Self::Elevation(kept) => kept.status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::SignIn { next } = self {
            response.insert_header((LOCATION, sign_in_path(next)));
        }
        if matches!(self, Self::NeedsFactor) {
            response.insert_header((LOCATION, "/settings/security?done=factor-needed"));
        }
        response.finish()
    }
}

/// The sign-in page, which leads on to a path of ours.
pub fn sign_in_path(next: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    if next.is_empty() || next == "%2F" { "/sign-in".into() } else { format!("/sign-in?next={next}") }
}

/// What an error page says and where it leads.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub frame: Frame,
    pub what: String,
    pub next: String,
    pub link: Option<Link>,
    pub status: u16,
    pub request_id: String,
}

pub struct Link {
    pub href: String,
    pub words: String,
}

impl ErrorPage {
    pub fn new(frame: Frame, err: &PageError, request_id: &str) -> Self {
        let (title, next) = match err {
            PageError::App(err) => words(err),
            _ => (t("Not sent from here"), t("Go back, load the page again, and send the form from there. Nothing was changed.")),
        };
        let signed_in = frame.who.is_some();
        Self {
            frame: Frame { reading: true, ..frame.titled(title) },
            what: t_refusal(&err.to_string()),
            next: next.into(),
            link: Some(Link {
                href: if signed_in { "/" } else { "/sign-in" }.into(),
                words: if signed_in { t("Back to the start") } else { t("Sign in") }.into(),
            }),
            status: err.status_code().as_u16(),
            request_id: request_id.into(),
        }
    }
}

/// The title of an error, and the one next step.
fn words(err: &AppError) -> (Message, Message) {
    match err {
        AppError::NoRoute => (t("Page not found"), t("Check the address, or begin again at the start.")),
        AppError::NotFound(_) => (t("Nothing with this id"), t("It may have been deleted. The lists show what is there.")),
        AppError::NotAnAdmin => (t("For administrators"), t("Ask an administrator to do it, or to make you one.")),
        AppError::MethodNotAllowed { .. } => (t("Not this way"), t("Go back and use the buttons of the page.")),
        AppError::BodyTooLarge { .. } => (t("Too much text"), t("Go back and send less.")),
        AppError::RateLimited { .. } | AppError::TooManyAttempts { .. } => {
            (t("Too many attempts"), t("Wait that long, then go back and try again. Nothing was changed."))
        }
        AppError::Busy { .. } => (t("The server is busy"), t("Wait that long, then go back and try again. Nothing was changed.")),
        AppError::StorageFull => (t("The disk is full"), t("Whoever runs this server has to make room. Nothing was changed.")),
        AppError::HttpsRequired => (t("HTTPS needed"), t("Open this page with https:// in its address.")),
        AppError::Internal(_) => (
            t("Something went wrong"),
            t("The change was not saved. Try again, and if it happens twice, tell whoever runs this server the request id."),
        ),
        _ => (t("This did not work"), t("Go back, change it and try again.")),
    }
}
