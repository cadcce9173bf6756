//! Whether the process is up, and whether it can do its work. Tells no more than that.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, ServiceConfig, resource};
use serde_json::json;

use super::api::wrong_method;
use crate::app::App;
use crate::services::health;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/healthz").get(healthz).default_service(actix_web::web::to(wrong_method)))
        .service(resource("/readyz").get(readyz).default_service(actix_web::web::to(wrong_method)));
}

async fn healthz() -> HttpResponse {
    answer(HttpResponse::Ok(), json!({ "status": "ok" }))
}

async fn readyz(app: Data<App>) -> HttpResponse {
    let found = health::readiness(&app).await;
    let word = |good: bool, bad: &'static str| if good { "ok" } else { bad };
    let checks = json!({
        "database": word(found.database, "not writable"),
        "disk": word(found.disk, "nearly full"),
        "draining": found.draining,
    });
    if found.is_ready() {
        answer(HttpResponse::Ok(), json!({ "status": "ready", "checks": checks }))
    } else {
        answer(HttpResponse::ServiceUnavailable(), json!({ "status": "unavailable", "checks": checks }))
    }
}

fn answer(mut response: actix_web::HttpResponseBuilder, body: serde_json::Value) -> HttpResponse {
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-store")).body(body.to_string())
}
