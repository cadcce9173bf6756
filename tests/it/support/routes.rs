//! What the router itself says of its routes.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::introspection::IntrospectionTree;
use actix_web::web::{Data, to};
use actix_web::{App as Actix, HttpResponse};
use keyrack::app::App;
use serde_json::Value;

/// Every verb and path that the program answers. Needs actix's runtime: `#[actix_web::test]`.
pub async fn routes(app: &Arc<App>) -> BTreeSet<(String, String)> {
    async fn report(tree: Data<IntrospectionTree>) -> HttpResponse {
        HttpResponse::Ok().body(tree.report_as_json())
    }
    let data = Data::from(app.clone());
    // Ours first: what comes after the pages is never reached.
    let router = Actix::new().route("/routes", to(report)).configure(|cfg| keyrack::http::routes(cfg, data));
    let router = actix_web::test::init_service(router).await;
    let request = actix_web::test::TestRequest::get().uri("/routes").to_request();
    let body = actix_web::test::call_and_read_body(&router, request).await;
    let report: Vec<Value> = serde_json::from_slice(&body).expect("a report");

    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut routes = BTreeSet::new();
    for item in report.iter().filter(|item| item["resource_type"] == "resource" && item["full_path"] != "/routes") {
        let path = text(&item["full_path"]);
        assert_ne!(item["potentially_unreachable"], true, "{path} is hidden behind another route: {item}");
        let methods = item["methods"].as_array().expect("methods");
        assert!(!methods.is_empty(), "{path} answers every verb");
        routes.extend(methods.iter().map(|method| (text(method), path.clone())));
    }
    routes
}
