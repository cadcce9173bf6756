//! The documentation for those who call the API: guides, a page for each operation and each error, `openapi.json`. Every
//! page is Markdown first and served as that, too; all of it speaks of this server, in the dialect that is on.

mod article;
mod errors;
mod guides;
mod llms;
mod markdown;
mod oauth_errors;
mod operations;
mod search;
mod try_it;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{Data, Path, Query, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::api::dialect::{examples, preview};
use super::api::reference::{self, Group, openapi};
use super::csrf::{Fields, Posted};
use super::page::{Banner, FormErrors, Frame, PageError, Place};
use super::samples;
use super::signed_in::{SignedIn, Visit};
use crate::app::App;
use crate::http::words::filters;
use crate::model::AppError;
use crate::model::clock::Clock;
use crate::model::dialect::DialectName;
use article::Article;
use markdown::Html;
use try_it::TryIt;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/docs").get(index))
        .service(resource("/docs/search").get(search_for))
        .service(resource("/docs/{path:.+}").get(show).post(try_out))
        .service(resource("/openapi.json").get(openapi_json))
        .service(resource("/llms.txt").get(llms_txt));
}

/// Whether a page tells of a code that clients of this dialect get.
pub fn explains(dialect: DialectName, code: &str) -> bool {
    let behind = examples::under(dialect, code);
    oauth_errors::page(code).is_some() || behind.iter().any(|error| errors::known(error.code()).is_some())
}

/// The native codes that have a page, and those of OAuth.
pub fn codes() -> impl Iterator<Item = &'static str> {
    errors::ERRORS.iter().chain(oauth_errors::OAUTH_ERRORS).map(|error| error.code)
}

/// Whom the documentation speaks to: this server's clients.
pub struct Reader<'a> {
    pub dialect: DialectName,
    /// Without a slash at its end.
    pub base_url: &'a str,
    pub clock: &'a Clock,
    /// The regular expression of new keys.
    pub key_pattern: String,
    pub anonymous_per_minute: u64,
    pub queue_seconds: u64,
}

impl<'a> Reader<'a> {
    fn of(app: &'a App, base_url: &'a str) -> Self {
        Self {
            dialect: app.dialect(),
            base_url,
            clock: &app.clock,
            key_pattern: app.key_prefix().pattern(),
            anonymous_per_minute: app.config.limits.anonymous_per_minute,
            queue_seconds: app.config.limits.queue_timeout.as_secs(),
        }
    }
}

#[derive(Template)]
#[template(path = "docs/page.html")]
pub struct DocsPage {
    pub frame: Frame,
    pub contents: Vec<Chapter>,
    pub body: Html,
    /// The same page as Markdown; empty where there is none.
    pub markdown: String,
    pub q: String,
    /// On the page of an operation.
    pub try_it: Option<TryIt>,
}

/// A part of the contents.
pub struct Chapter {
    pub title: &'static str,
    pub entries: Vec<Entry>,
}

pub struct Entry {
    pub href: String,
    pub title: String,
    pub is_here: bool,
}

async fn index(visit: Visit) -> HttpResponse {
    let reader = Reader::of(&visit.app, visit.facts.base_url());
    page(&visit, &first_page(&reader), None)
}

async fn show(visit: Visit, path: Path<String>) -> Result<HttpResponse, PageError> {
    let reader = Reader::of(&visit.app, visit.facts.base_url());
    if let Some(path) = path.strip_suffix(".md") {
        let path = if path == "index" { "" } else { path };
        let article = find(&reader, path).ok_or(AppError::NoRoute)?;
        return Ok(text("text/markdown; charset=utf-8", article.to_markdown(reader.base_url)));
    }
    let article = find(&reader, &path).ok_or(AppError::NoRoute)?;
    let operation = path.strip_prefix("api/").and_then(reference::find);
    let try_it = operation.and_then(|operation| TryIt::of(&reader, &operation, &Fields::default()));
    Ok(page(&visit, &article, try_it))
}

/// The same page, with the answer to the request that its form describes.
async fn try_out(req: HttpRequest, who: SignedIn, path: Path<String>, form: Posted) -> Result<HttpResponse, PageError> {
    let reader = Reader::of(&who.app, who.facts.base_url());
    let operation = path.strip_prefix("api/").and_then(reference::find).ok_or(AppError::NoRoute)?;
    let mut try_it = TryIt::of(&reader, &operation, &form).ok_or(AppError::NoRoute)?;
    let mut frame = reading(&who, &operations::title(&operation));
    if form.is_stale {
        frame.banner = Some(Banner::renewed());
    } else if let Err(err) = try_it.send(&who.app, &req, operation.operation.path, form.text("key").trim()).await {
        try_it.errors = FormErrors::of_refusal(err)?;
        frame = frame.faulty(&try_it.errors);
    }
    Ok(page_in(frame, &who, &operations::page(&reader, &operation), Some(try_it)))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
}

async fn search_for(visit: Visit, asked: Query<Asked>) -> HttpResponse {
    let reader = Reader::of(&visit.app, visit.facts.base_url());
    let found = search::page(&reader, &asked.q);
    let html = markdown::render(&found.markdown);
    visit.ok(&DocsPage {
        frame: reading(&visit, &found.title),
        contents: contents("search"),
        body: html,
        markdown: String::new(),
        q: asked.q.trim().into(),
        try_it: None,
    })
}

async fn openapi_json(app: Data<App>, visit: Visit) -> HttpResponse {
    let document = openapi::document(app.dialect(), visit.facts.base_url(), &app.clock);
    text("application/json", document.to_string())
}

async fn llms_txt(visit: Visit) -> HttpResponse {
    let reader = Reader::of(&visit.app, visit.facts.base_url());
    text("text/plain; charset=utf-8", llms::text(&reader))
}

fn text(kind: &'static str, body: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, HeaderValue::from_static(kind))).body(body)
}

/// Every page, in the order of the contents.
fn all(reader: &Reader) -> Vec<Article> {
    let mut all = vec![first_page(reader)];
    all.extend(guides::all(reader));
    for reference in reference::all() {
        all.push(operations::page(reader, &reference));
    }
    all.push(errors::all(reader));
    all.extend(errors::rows(reader).iter().filter_map(|row| errors::page(reader, row.code)));
    all.extend(oauth_errors::OAUTH_ERRORS.iter().filter_map(|error| oauth_errors::page(error.code)));
    all.push(changelog());
    all
}

fn find(reader: &Reader, path: &str) -> Option<Article> {
    if let Some(code) = path.strip_prefix("errors/") {
        return errors::page(reader, code);
    }
    if let Some(id) = path.strip_prefix("api/") {
        return reference::find(id).map(|reference| operations::page(reader, &reference));
    }
    match path {
        "" => Some(first_page(reader)),
        "errors" => Some(errors::all(reader)),
        "changelog" => Some(changelog()),
        path => guides::find(reader, path),
    }
}

fn changelog() -> Article {
    let text = include_str!("../../../CHANGELOG.md");
    let text = text.split_once('\n').map_or(text, |(_, rest)| rest);
    Article::new("changelog", "Change log", "What changed, newest first.", text)
}

fn first_page(reader: &Reader) -> Article {
    let mut text = String::from("One header, JSON in and out, limits on every answer.\n\n## Authentication\n\n");
    text += "1. Settings > API Keys\n2. Generate New Key\n3. Copy and securely store your key\n\n";
    text += "Send it with every request, in the `Authorization` header. A key in the address of a request is not read.\n\n";
    for sample in samples::first_request(reader.base_url, samples::YOUR_KEY) {
        text += &format!("```{}\n{}\n```\n\n", sample.lang, sample.code);
    }
    text += "More: [Authentication](/docs/authentication).\n\n";
    if preview::is_at_root(reader.dialect) {
        text += "The paths below work without `/v1`, too.\n\n";
    }
    for &group in Group::ALL {
        text += &format!("## {}\n\n{}\n\n{}\n", group.title(), group.words(), operations::table(group));
    }
    text += "The same as one file: [OpenAPI 3.1](/openapi.json). For language models: [llms.txt](/llms.txt).\n\n";
    text += "## Rate limits\n\nRequests count per account, over all its keys. Every answer says where you stand:\n\n```http\n";
    for (name, value) in preview::limit_headers(reader.dialect, reader.clock) {
        text += &format!("{name}: {value}\n");
    }
    text += "```\n\nPast the limit the answer is [429](/docs/errors/rate_limit_exceeded). `Retry-After` says in how many seconds the request would pass.\n\n";
    text += &format!(
        "## Errors\n\nAn error has a stable code, words for people, and the id of its request.\n\n{}",
        errors::table(reader)
    );
    Article::new("", "API reference", "How the API is called.", text)
}

fn page(visit: &Visit, article: &Article, try_it: Option<TryIt>) -> HttpResponse {
    page_in(reading(visit, &article.title), visit, article, try_it)
}

fn page_in(frame: Frame, visit: &Visit, article: &Article, try_it: Option<TryIt>) -> HttpResponse {
    let html = markdown::render(&article.markdown);
    let path = if article.path.is_empty() { "index" } else { &article.path };
    visit.ok(&DocsPage {
        frame,
        contents: contents(&article.path),
        body: html,
        markdown: article::href(&format!("{path}.md")),
        q: String::new(),
        try_it,
    })
}

fn contents(here: &str) -> Vec<Chapter> {
    let entry = |path: &str, title: String| Entry { href: article::href(path), title, is_here: path == here };
    let mut start = vec![entry("", "Start".into())];
    start.extend(guides::list().map(|(path, title, _)| entry(path, title.into())));
    start.extend([entry("errors", "Errors".into()), entry("changelog", "Change log".into())]);
    let mut chapters = vec![Chapter { title: "Guides", entries: start }];
    for &group in Group::ALL {
        let references = reference::all().into_iter().filter(|reference| reference.group == group);
        let entries =
            references.map(|reference| entry(&operations::path_of(reference.operation.id), operations::title(&reference)));
        chapters.push(Chapter { title: group.title(), entries: entries.collect() });
    }
    chapters
}

fn reading(visit: &Visit, title: &str) -> Frame {
    Frame { reading: true, ..visit.frame(title, Place::Docs) }
}
