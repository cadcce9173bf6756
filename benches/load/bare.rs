//! What everything is measured against: actix with one worker, one route and a body of the same size.

use actix_web::{App, HttpResponse, HttpServer, web};

const BODY: &str = r#"{"id":"user_01kagkgj3tfn4b5tpa0c2fm4zq","name":"bench","email":"bench@example.com","account_id":"acct_01kagkgj3tfn4b5tpa0c2fm4zp","role":"admin","status":"active","created_at":"2026-11-22T10:00:00Z","updated_at":"2026-11-22T10:00:00Z"}"#;

async fn me() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(BODY)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(9090);
    let app = || App::new().route("/v1/users/me", web::get().to(me));
    HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run().await
}
