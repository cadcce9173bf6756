//! Trying an operation from its page, without JavaScript: the request takes the same routes as a program's, with the
//! visitor's address and the key that was typed, and its answer is shown. It never leaves this process, so there is no
//! other place that it could be sent to; and the key is neither kept nor shown again.

use std::net::SocketAddr;
use std::rc::Rc;

use actix_web::body::to_bytes;
use actix_web::dev::Service;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::Data;
use actix_web::{App as Actix, HttpMessage, HttpRequest};

use super::Reader;
use crate::app::App;
use crate::http::api::reference::{Answer, Reference, openapi};
use crate::http::arrival::{Arrival, Arrived};
use crate::http::csrf::Fields;
use crate::http::page::FormErrors;
use crate::http::{X_REQUEST_ID, api, health, metrics, oauth};
use crate::model::{AppError, Result};

/// Of an answer, so much is shown.
const SHOWN: usize = 16 * 1024;

/// The form, as it was filled.
pub struct TryIt {
    /// The page that it is on.
    pub here: String,
    pub method: &'static str,
    pub wants_key: bool,
    pub fields: Vec<Field>,
    pub body: Option<String>,
    pub errors: FormErrors,
    pub tried: Option<Tried>,
}

pub struct Field {
    /// Of the element, and its name in the form.
    pub id: String,
    pub name: &'static str,
    pub hint: String,
    pub value: String,
    in_path: bool,
}

/// What was sent, and what came back.
pub struct Tried {
    pub request: String,
    pub status: String,
    pub head: String,
    pub body: String,
    pub is_cut: bool,
}

impl TryIt {
    /// None for what is no call of a program.
    pub fn of(reader: &Reader, reference: &Reference, typed: &Fields) -> Option<Self> {
        if matches!(reference.answer, Answer::Page) {
            return None;
        }
        let params = openapi::parameters(reference, reader.dialect);
        let asked = params.into_iter().filter(|param| param.place != "header").map(|param| {
            let id = format!("p-{}", param.name);
            // The words are Markdown, and here plain text.
            let hint = param.words.replace('`', "");
            Field { value: typed.text(&id).to_owned(), id, name: param.name, hint, in_path: param.place == "path" }
        });
        let example = reference.body.as_ref().map(|body| serde_json::to_string_pretty(&body.example).unwrap_or_default());
        let method = reference.operation.method;
        Some(Self {
            here: super::article::href(&super::operations::path_of(reference.operation.id)),
            method: if method == "ANY" { "GET" } else { method },
            wants_key: reference.needs_key(),
            fields: asked.collect(),
            body: example.map(|example| if typed.has("p-body") { typed.text("p-body").to_owned() } else { example }),
            errors: FormErrors::default(),
            tried: None,
        })
    }

    /// Sends it as the visitor.
    pub async fn send(&mut self, app: &Data<App>, visitor: &HttpRequest, path: &str, key: &str) -> Result<()> {
        let (arrival, path) = (visitor.arrival(), self.address(path));
        let mut request = TestRequest::with_uri(&path).method(self.method.parse().unwrap_or(Method::GET));
        request = request.peer_addr(SocketAddr::new(arrival.client.ip, 0));
        if let Some(host) = visitor.headers().get(HOST) {
            request = request.insert_header((HOST, host.clone()));
        }
        let mut told = format!("{} {path}", self.method);
        if self.wants_key && !key.is_empty() {
            let value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| AppError::invalid("key", "invalid", "This is no API key: it has characters that none has."))?;
            request = request.insert_header((AUTHORIZATION, value));
            told += "\nAuthorization: Bearer …";
        }
        if let Some(body) = &self.body {
            request = request.insert_header((CONTENT_TYPE, "application/json")).set_payload(body.clone());
            told += &format!("\nContent-Type: application/json\n\n{body}");
        }
        self.tried = Some(Tried { request: told, ..answer(app, &arrival, request).await? });
        Ok(())
    }

    /// The path with what was typed in its places, and behind `?`.
    fn address(&self, path: &str) -> String {
        let mut path = path.to_owned();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for field in &self.fields {
            let value = field.value.trim();
            if field.in_path {
                // An id that is not there is one that cannot exist.
                let value = if value.is_empty() { "-" } else { value };
                let written: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
                path = path.replace("{id}", &written.replace('+', "%20"));
            } else if !value.is_empty() {
                query.append_pair(field.name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }
}

/// The routes of programs, called as actix calls itself in tests: there is no other way in without a connection.
async fn answer(app: &Data<App>, arrival: &Arrival, request: TestRequest) -> Result<Tried> {
    let (data, dialect) = (app.clone(), arrival.dialect);
    // The form may have been long in coming: the request is made now.
    let visitors = Rc::new(Arrival { at: app.clock.both(), ..arrival.clone() });
    let routes = Actix::new()
        .wrap_fn(move |mut req, inner| {
            req.extensions_mut().insert(visitors.clone());
            api::at_root(&mut req, dialect);
            inner.call(req)
        })
        .configure(move |cfg| {
            cfg.app_data(data);
            api::routes(cfg);
            oauth::routes(cfg);
            health::routes(cfg);
            metrics::routes(cfg);
        });
    let service = init_service(routes).await;
    let answered = service.call(request.to_request()).await.map_err(|_| AppError::internal("a tried request broke off"))?;
    let status: StatusCode = answered.status();
    let mut lines: Vec<String> =
        answered.headers().iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    lines.push(format!("{X_REQUEST_ID}: {}", arrival.request_id));
    lines.sort_unstable();
    let bytes = to_bytes(answered.into_body()).await.map_err(|_| AppError::internal("a tried request broke off"))?;
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let body = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    let body = body.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Tried {
        request: String::new(),
        status: status.to_string(),
        head: lines.join("\n"),
        is_cut: body.len() > SHOWN,
        body: body.chars().take(SHOWN).collect(),
    })
}
