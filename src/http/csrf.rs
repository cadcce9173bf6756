//! Whether a form was sent by a page of ours: what the browser says of its origin, and a token that only our page knows.
//! Reads the form, too, since the token is in it.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::LocalBoxFuture;
use futures_util::{TryStreamExt, stream};
use subtle::ConstantTimeEq;

use super::arrival::base_url;
use super::body;
use super::page::PageError;
use super::signed_in::{Cookies, SignedIn, app_of};
use crate::crypto::{SecretHash, fill_random};
use crate::model::AppError;
use crate::model::imported_user::MAX_BYTES;

const FORM: &str = "application/x-www-form-urlencoded";

/// A token for a form of the session with this cookie. Another one each time, so that a compressed page tells nothing
/// about it (BREACH).
pub fn token(cookie: &str) -> String {
    let mut mask = [0_u8; 32];
    fill_random(&mut mask);
    let mut token = mask.to_vec();
    token.extend(mask.iter().zip(expected(cookie)).map(|(mask, byte)| mask ^ byte));
    BASE64URL_NOPAD.encode(&token)
}

fn belongs(token: &str, cookie: &str) -> bool {
    let Ok(bytes) = BASE64URL_NOPAD.decode(token.as_bytes()) else { return false };
    let Some((mask, masked)) = bytes.split_at_checked(32) else { return false };
    let sent: Vec<u8> = mask.iter().zip(masked).map(|(mask, byte)| mask ^ byte).collect();
    sent.ct_eq(&expected(cookie)).into()
}

// The cookie is 256 random bits, so a plain hash of it with a label cannot be made by anyone who lacks it.
fn expected(cookie: &str) -> [u8; 32] {
    *SecretHash::of(&format!("csrf:{cookie}")).as_bytes()
}

/// Whether the browser says that a page of ours sent this. `Origin: null` is refused, and so is who says nothing.
fn is_same_origin(headers: &HeaderMap, own_origin: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().eq_ignore_ascii_case(own_origin.as_bytes()))
}

/// A form that a page of ours sent.
pub struct Posted {
    fields: Fields,
    /// The page is from before the session was renewed: what it asks for is not done, but shown again.
    pub is_stale: bool,
}

impl std::ops::Deref for Posted {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

/// Names and texts, some of them several times: what a form sends, in its body or in the address.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The text of a field; empty when it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|field| field.0 == name).map_or("", |field| field.1.as_str())
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the page had such a field.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|field| field.0 == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |field| field.0 == name).map(|field| field.1.as_str())
    }
}

/// Those in the address.
impl FromRequest for Fields {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(url::form_urlencoded::parse(req.query_string().as_bytes()).into_owned().collect())))
    }
}

impl FromRequest for Posted {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let server = &app_of(req).config.server;
        read(req, payload, (server.max_body_bytes, server.body_timeout))
    }
}

/// A form that may bring a file: its text is a field like the others.
pub struct Uploaded(Posted);

impl Uploaded {
    /// What a file and the fields beside it may have together.
    const MAX_BYTES: usize = 2 * MAX_BYTES + 65_536;
    /// A large file on a slow line takes longer than other bodies may.
    const TIME: Duration = Duration::from_secs(300);
}

impl std::ops::Deref for Uploaded {
    type Target = Posted;

    fn deref(&self) -> &Posted {
        &self.0
    }
}

impl FromRequest for Uploaded {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let posted = read(req, payload, (Self::MAX_BYTES, Self::TIME));
        let who = SignedIn::from_request(req, &mut Payload::None);
        Box::pin(async move {
            // A body of this size is read for whoever may send it.
            who.await?;
            Ok(Self(posted.await?))
        })
    }
}

fn read(
    req: &HttpRequest,
    payload: &mut Payload,
    (limit, time): (usize, Duration),
) -> LocalBoxFuture<'static, Result<Posted, PageError>> {
    let app = app_of(req);
    let is_ours = is_same_origin(req.headers(), &base_url(req, &app));
    let kind = req.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let (is_form, has_files) = (kind.starts_with(FORM.as_bytes()), kind.starts_with(b"multipart/form-data"));
    let (cookies, headers) = (Cookies::of(req), req.headers().clone());
    let mut payload = payload.take();
    Box::pin(async move {
        if !is_ours {
            return Err(PageError::Forged);
        }
        if !is_form && !has_files {
            return Err(AppError::UnsupportedMediaType { expected: FORM }.into());
        }
        let body = body::read(&mut payload, limit, time).await?;
        let fields = match has_files {
            true => parts(&headers, body).await?,
            false => Fields(url::form_urlencoded::parse(&body).into_owned().collect()),
        };
        let token = fields.text("csrf");
        if token.is_empty() {
            return Err(PageError::Forged);
        }
        let is_fresh = cookies.values().any(|cookie| belongs(token, cookie));
        Ok(Posted { is_stale: !is_fresh, fields })
    })
}

/// The parts of a form with files. What is no UTF-8 keeps a mark where it was.
async fn parts(headers: &HeaderMap, body: Bytes) -> Result<Fields, PageError> {
    let broken = |err: &dyn std::fmt::Display| AppError::BadRequest(format!("The form could not be read: {err}."));
    let limit = body.len();
    let mut multipart = Multipart::new(headers, stream::iter([Ok::<_, PayloadError>(body)]));
    let mut fields = Vec::new();
    while let Some(mut part) = multipart.try_next().await.map_err(|err| broken(&err))? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes(limit).await.map_err(|err| broken(&err))?.map_err(|err| broken(&err))?;
        fields.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(Fields(fields))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_token_belongs_to_one_session_and_is_never_the_same() {
        let (one, two) = (token("cookie"), token("cookie"));
        assert_ne!(one, two);
        assert!(belongs(&one, "cookie") && belongs(&two, "cookie"));
        assert!(!belongs(&one, "another"));
        for broken in ["", "AAAA", "not base64!", &one[..84]] {
            assert!(!belongs(broken, "cookie"), "{broken}");
        }
    }

    #[test]
    fn the_browser_must_say_that_it_was_our_page() {
        let says = |headers: &[(&'static str, &'static str)]| {
            let map = headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_same_origin(&map.collect(), "https://keys.example.com")
        };
        assert!(says(&[("sec-fetch-site", "same-origin")]));
        assert!(says(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(says(&[("origin", "https://keys.example.com")]));
        assert!(!says(&[("sec-fetch-site", "cross-site"), ("origin", "https://keys.example.com")]));
        assert!(!says(&[("sec-fetch-site", "same-site")]));
        assert!(!says(&[("sec-fetch-site", "none")]));
        assert!(!says(&[("origin", "https://evil.example")]));
        assert!(!says(&[("origin", "null")]));
        assert!(!says(&[]));
    }
}
