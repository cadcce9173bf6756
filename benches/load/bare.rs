//! What everything is measured against: actix with one worker, few routes, and bodies that are given: `bare PORT
//! [DIRECTORY]`, where `DIRECTORY/me`, `verify` and `list` hold what the server beside it answers.

use std::path::Path;

use actix_web::web::{Bytes, get, post};
use actix_web::{App, HttpResponse, HttpServer};

/// Where no directory is given.
const BODY: &str = r#"{"id":"user_01kagkgj3tfn4b5tpa0c2fm4zq","name":"bench","email":"bench@example.com","account_id":"acct_01kagkgj3tfn4b5tpa0c2fm4zp","role":"admin","status":"active","created_at":"2026-11-22T10:00:00Z","updated_at":"2026-11-22T10:00:00Z"}"#;

async fn empty() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn json(body: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// Reads the question, as whoever answers it has to.
fn read_and_answer(question: &Bytes, verdict: &'static str) -> HttpResponse {
    if question.is_empty() { HttpResponse::BadRequest().finish() } else { json(verdict) }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().and_then(|port| port.parse().ok()).unwrap_or(9090);
    let directory = args.next();
    let body = |name: &str| -> std::io::Result<&'static str> {
        let Some(directory) = &directory else { return Ok(BODY) };
        Ok(std::fs::read_to_string(Path::new(directory).join(name))?.leak())
    };
    let (me, verdict, list) = (body("me")?, body("verify")?, body("list")?);
    let app = move || {
        App::new()
            .route("/v1/users/me", get().to(move || async move { json(me) }))
            .route("/v1/keys/verify", post().to(move |question: Bytes| async move { read_and_answer(&question, verdict) }))
            .route("/v1/forward-auth", get().to(empty))
            .route("/v1/users", get().to(move || async move { json(list) }))
    };
    HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run().await
}
