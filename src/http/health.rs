//! Whether the process is up, and whether it can do its work. Tells no more than that.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, ServiceConfig, resource};

use super::api::wrong_method;
use crate::app::App;
use crate::services;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/healthz").get(healthz).default_service(actix_web::web::to(wrong_method)))
        .service(resource("/readyz").get(readyz).default_service(actix_web::web::to(wrong_method)));
}

async fn healthz() -> HttpResponse {
    answer(HttpResponse::Ok(), r#"{"status":"ok"}"#)
}

async fn readyz(app: Data<App>) -> HttpResponse {
    if services::maintenance::is_ready(&app).await {
        answer(HttpResponse::Ok(), r#"{"status":"ready"}"#)
    } else {
        answer(HttpResponse::ServiceUnavailable(), r#"{"status":"unavailable"}"#)
    }
}

fn answer(mut response: actix_web::HttpResponseBuilder, body: &'static str) -> HttpResponse {
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-store")).body(body)
}
