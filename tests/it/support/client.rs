//! A program that calls the API.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use keyrack::app::App;
use keyrack::model::dialect::DialectName;
use keyrack::model::user::User;
use reqwest::Method;
use serde_json::Value;

use super::{TestServer, reference, secrets};

#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    secret: Option<String>,
    /// The id of the key behind the secret.
    pub(super) key_id: Option<String>,
    /// Whose key it is.
    pub(super) user: Option<User>,
    headers: Vec<(String, String)>,
    /// Whose answers are held against the reference.
    app: Weak<App>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Client {
    pub fn new(addr: SocketAddr, secret: Option<&str>) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let base = format!("http://{addr}");
        let secret = secret.map(str::to_owned);
        Self { base, http, secret, key_id: None, user: None, headers: Vec::new(), app: Weak::new() }
    }

    /// The same client, whose answers from the native API must be as `openapi.json` says.
    pub(super) fn checked(self, app: &Arc<App>) -> Self {
        Self { app: Arc::downgrade(app), ..self }
    }

    /// The same client with a header on every request.
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.into(), value.into()));
        client
    }

    /// The same client, towards a server that has started again.
    pub fn at(&self, server: &TestServer) -> Self {
        Self { base: format!("http://{}", server.addr), app: Arc::downgrade(&server.app), ..self.clone() }
    }

    pub fn secret(&self) -> &str {
        self.secret.as_deref().expect("a client with a secret")
    }

    pub fn key_id(&self) -> &str {
        self.key_id.as_deref().expect("a client made by `key` or `admin`")
    }

    pub fn user(&self) -> &User {
        self.user.as_ref().expect("a client made by `key` or `admin`")
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// Sends a form, as a browser or an OAuth client does.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let client = self.header("Content-Type", "application/x-www-form-urlencoded");
        client.send(Method::POST, path, Some(super::form(fields))).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends a form as the page with it would, from which it takes its token.
    pub async fn submit(&self, page: &str, to: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.get(page).await.expect(200).token();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &token).extend_pairs(fields);
        let browser = self.header("Sec-Fetch-Site", "same-origin").header("Content-Type", "application/x-www-form-urlencoded");
        browser.send(Method::POST, to, Some(form.finish())).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let is_native = || self.app.upgrade().is_some_and(|app| app.dialect() == DialectName::Native);
        let was_native = is_native();
        let response = self.begin(method.clone(), path, body).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let reply = Reply { status, headers, text: response.text().await.expect("a body") };
        if let Some(app) = self.app.upgrade().filter(|_| status >= 400) {
            reference::check_code(app.dialect(), &reply);
        }
        if let Some(data) = self.app.upgrade().as_ref().and_then(|app| app.store.path().parent()) {
            secrets::note_all_of(data, &reply);
        }
        if was_native && is_native() && reply.header("content-type") != "application/problem+json" {
            reference::check(&method, path, &reply);
        }
        reply
    }

    /// The answer with its body still to come.
    pub async fn begin(&self, method: Method, path: &str, body: Option<String>) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(secret) = &self.secret {
            request = request.bearer_auth(secret);
        }
        let has_type = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if let Some(body) = body {
            request = request.body(body);
            if !has_type {
                request = request.header("Content-Type", "application/json");
            }
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send().await.expect("an answer")
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|err| panic!("{err}: {}", self.text))
    }

    /// A header's value, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible characters"))
    }

    /// The status, which must be this; tells the body if it is not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The token that the forms of a page send back.
    pub fn token(&self) -> String {
        self.hidden("csrf")
    }

    /// What a hidden field of a page's form holds.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        let field =
            self.text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {}", self.text)).1;
        field.split_once('"').expect("a value").0.replace("&#34;", "\"").replace("&#38;", "&")
    }

    /// The words of a page's row headers, in order: what a list shows.
    pub fn rows(&self) -> Vec<String> {
        let rows = self.text.split("<th scope=\"row\">").skip(1).filter_map(|row| row.split_once("</th>"));
        let words = |html: &str| html.split('<').filter_map(|part| part.split_once('>')).map(|part| part.1).collect::<String>();
        rows.map(|(head, _)| words(&format!(">{head}"))).collect()
    }

    /// A header's value as a number.
    #[track_caller]
    pub fn number(&self, name: &str) -> i64 {
        self.header(name).parse().unwrap_or_else(|_| panic!("{name}: {:?} in {:?}", self.header(name), self.headers))
    }

    /// The words of an error for people.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The fields that were refused, each with its code.
    pub fn problems(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
    }

    /// The ids of a list's rows.
    pub fn ids(&self) -> Vec<String> {
        let rows = self.json().as_array().cloned().expect("a bare array");
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Where a relation of the `Link` header leads, without scheme and host.
    pub fn link(&self, rel: &str) -> Option<String> {
        let wanted = format!("rel=\"{rel}\"");
        let link = self.header("link").split(", ").find(|link| link.ends_with(&wanted))?.to_owned();
        let url = link.strip_prefix('<')?.split_once('>')?.0.to_owned();
        let path = url.find("/v1/").unwrap_or_else(|| panic!("{url}"));
        Some(url[path..].to_owned())
    }

    /// The stable code of an error.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}
