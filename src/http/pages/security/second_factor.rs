//! Setting up, replacing and removing one's second factor, and the recovery codes that are shown once.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use askama::Template;
use qrcode::{Color, QrCode};

use super::BASE;
use crate::crypto::totp::Seed;
use crate::http::csrf::Posted;
use crate::http::faults::status;
use crate::http::page::{FormErrors, Frame, PageError, Place};
use crate::http::signed_in::{SignedIn, to, with_session};
use crate::http::words::{filters, t};
use crate::model::AppError;
use crate::services;
use crate::services::second_factor::RecoveryCodes;

#[derive(Template)]
#[template(path = "settings/second_factor.html")]
pub struct SetUpPage {
    pub frame: Frame,
    pub errors: FormErrors,
    pub seed: String,
    /// The same in groups of four, as people type it.
    pub spelled: String,
    pub uri: String,
    pub qr: Picture,
}

/// A QR code as the path of an SVG, one unit for each of its squares.
pub struct Picture {
    pub size: usize,
    pub path: String,
}

#[derive(Template)]
#[template(path = "settings/recovery_codes.html")]
pub struct CodesPage {
    pub frame: Frame,
    pub codes: Vec<String>,
    pub joined: String,
}

/// The page that shows a seed: made by a form, since what it shows is for those alone who proved who they are.
pub async fn begin(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    Ok(uncompressed(who.ok(&set_up_page(&who, &Seed::generate(), FormErrors::default()))))
}

/// Takes the seed into use when the app shows its code.
pub async fn confirm(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    let Some(seed) = Seed::parse(form.text("seed")) else { return Ok(to(BASE)) };
    let shown = Seed::from_bytes(seed.as_bytes());
    match services::second_factor::set_up(&who.app, &who.caller, &who.user, who.token(), (seed, form.text("code"))).await {
        Ok((token, codes)) => {
            let page = who.ok(&codes_page(&who, &codes, token.expose()));
            Ok(uncompressed(with_session(page, &who.facts, token.expose())))
        }
        Err(err) => {
            let code = status(&err);
            let errors = FormErrors::of_refusal(err)?;
            let Some(seed) = shown else { return Ok(to(BASE)) };
            Ok(uncompressed(who.page(code, &set_up_page(&who, &seed, errors))))
        }
    }
}

pub async fn remove(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    match services::second_factor::remove(&who.app, &who.caller, &who.user, who.token()).await {
        Ok(token) => Ok(with_session(to(format!("{BASE}?done=factor-removed")), &who.facts, token.expose())),
        Err(err) => {
            let code = status(&err);
            Ok(who.page(code, &super::page(&who, FormErrors::of_refusal(err)?).await?))
        }
    }
}

pub async fn renew_codes(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    if form.is_stale {
        return Ok(to(format!("{BASE}?done=renewed")));
    }
    who.must_be_elevated(&form).await?;
    let codes = services::second_factor::renew_codes(&who.app, &who.caller, &who.user).await?;
    Ok(uncompressed(who.ok(&codes_page(&who, &codes, who.token()))))
}

/// The codes as a file. They come with the form, since only the page has them.
pub async fn download(who: SignedIn, form: Posted) -> Result<HttpResponse, PageError> {
    let codes = form.text("codes");
    let is_shaped = codes.len() < 600 && codes.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b' ');
    if !is_shaped || codes.is_empty() {
        return Err(AppError::BadRequest("These are no recovery codes.".into()).into());
    }
    let lines: Vec<&str> = codes.split(' ').collect();
    let body =
        format!("Recovery codes of {} for {}\nEach works once.\n\n{}\n", who.user.email, who.facts.base_url(), lines.join("\n"));
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"keyrack-recovery-codes.txt\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .body(body))
}

fn set_up_page(who: &SignedIn, seed: &Seed, errors: FormErrors) -> SetUpPage {
    let text = seed.to_text();
    let uri = seed.uri("Keyrack", &who.user.email);
    let four = |chars: &[u8]| String::from_utf8_lossy(chars).into_owned();
    SetUpPage {
        frame: who.frame(t("Set up a second factor"), Place::Security).faulty(&errors),
        errors,
        spelled: text.as_bytes().chunks(4).map(four).collect::<Vec<_>>().join(" "),
        qr: Picture::of(&uri),
        seed: text,
        uri,
    }
}

/// `token` is the cookie that the page's forms belong to: another one than the request came with.
fn codes_page(who: &SignedIn, codes: &RecoveryCodes, token: &str) -> CodesPage {
    let codes: Vec<String> = codes.expose().map(str::to_owned).collect();
    let frame = Frame { csrf: crate::http::csrf::token(token), ..who.frame(t("Recovery codes"), Place::Security) };
    CodesPage { frame, joined: codes.join(" "), codes }
}

impl Picture {
    fn of(text: &str) -> Self {
        // An address too long for the picture is typed instead.
        let Ok(code) = QrCode::new(text) else { return Self { size: 0, path: String::new() } };
        let size = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        // Four squares of quiet around it.
        let path = dark.map(|(n, _)| format!("M{} {}h1v1h-1z", n % size + 4, n / size + 4)).collect();
        Self { size: size + 8, path }
    }
}

/// A secret beside what others may choose must not change the length of the answer.
fn uncompressed(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}
