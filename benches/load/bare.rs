//! What everything is measured against: actix with one worker, few routes, and bodies of the same size.

use actix_web::web::{Bytes, get, post};
use actix_web::{App, HttpResponse, HttpServer};

const BODY: &str = r#"{"id":"user_01kagkgj3tfn4b5tpa0c2fm4zq","name":"bench","email":"bench@example.com","account_id":"acct_01kagkgj3tfn4b5tpa0c2fm4zp","role":"admin","status":"active","created_at":"2026-11-22T10:00:00Z","updated_at":"2026-11-22T10:00:00Z"}"#;
const VERDICT: &str = r#"{"valid":true,"code":null,"key_id":"key_01kagkgj3tfn4b5tpa0c2fm4zr","key_name":"bench","user_id":"user_01kagkgj3tfn4b5tpa0c2fm4zq","account_id":"acct_01kagkgj3tfn4b5tpa0c2fm4zp","scopes":["admin"],"ratelimit":[{"limit":1000000000,"remaining":999999999,"reset_seconds":3600}],"expires_at":null,"metadata":{}}"#;

async fn me() -> HttpResponse {
    json(BODY)
}

/// Reads the question, as whoever answers it has to.
async fn verify(question: Bytes) -> HttpResponse {
    if question.is_empty() { HttpResponse::BadRequest().finish() } else { json(VERDICT) }
}

async fn empty() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn json(body: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(9090);
    // A page of twenty users.
    let list: &'static str = format!("[{}]", vec![BODY; 20].join(",")).leak();
    let app = move || {
        App::new()
            .route("/v1/users/me", get().to(me))
            .route("/v1/keys/verify", post().to(verify))
            .route("/v1/forward-auth", get().to(empty))
            .route("/v1/users", get().to(move || async move { json(list) }))
    };
    HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run().await
}
