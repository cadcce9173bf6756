//! Whether a form was sent by a page of ours: what the browser says of its origin, and a token that only our page knows.
//! Reads the form, too, since the token is in it.

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use actix_web::{FromRequest, HttpRequest};
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::LocalBoxFuture;
use subtle::ConstantTimeEq;

use super::arrival::base_url;
use super::body;
use super::page::PageError;
use super::signed_in::{Cookies, app_of};
use crate::crypto::SecretHash;
use crate::model::AppError;

const FORM: &str = "application/x-www-form-urlencoded";

/// A token for a form of the session with this cookie. Another one each time, so that a compressed page tells nothing
/// about it (BREACH).
pub fn token(cookie: &str) -> String {
    let mut mask = [0_u8; 32];
    getrandom::fill(&mut mask).expect("the operating system gives random bytes");
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
    fields: Vec<(String, String)>,
    /// The page is from before the session was renewed: what it asks for is not done, but shown again.
    pub is_stale: bool,
}

impl Posted {
    /// The text of a field; empty when it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|field| field.0 == name).map_or("", |field| field.1.as_str())
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the page had such a field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.0 == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_str())
    }
}

impl FromRequest for Posted {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let app = app_of(req);
        let is_ours = is_same_origin(req.headers(), &base_url(req, &app));
        let is_form = req.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(FORM.as_bytes()));
        let cookies = Cookies::of(req);
        let mut payload = payload.take();
        Box::pin(async move {
            if !is_ours {
                return Err(PageError::Forged);
            }
            if !is_form {
                return Err(AppError::UnsupportedMediaType { expected: FORM }.into());
            }
            let server = &app.config.server;
            let body = body::read(&mut payload, server.max_body_bytes, server.body_timeout).await?;
            let fields = url::form_urlencoded::parse(&body).into_owned().collect();
            let posted = Self { fields, is_stale: false };
            let token = posted.text("csrf");
            if token.is_empty() {
                return Err(PageError::Forged);
            }
            let is_fresh = cookies.values().any(|cookie| belongs(token, cookie));
            Ok(Self { is_stale: !is_fresh, ..posted })
        })
    }
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
