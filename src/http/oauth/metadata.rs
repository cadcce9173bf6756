//! What clients read to find the endpoints: of the authorization server (RFC 8414), of the API (RFC 9728).

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::client::answer;
use crate::app::App;
use crate::http::arrival::base_url;
use crate::model::scope::Scope;

fn scopes() -> Vec<&'static str> {
    Scope::ALL.iter().map(|scope| scope.name()).chain(["read", "write"]).collect()
}

pub async fn authorization_server(req: HttpRequest, app: Data<App>) -> HttpResponse {
    let issuer = base_url(&req, &app);
    let methods = ["client_secret_basic", "client_secret_post", "none"];
    answer(&json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "scopes_supported": scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/docs"),
    }))
}

pub async fn protected_resource(req: HttpRequest, app: Data<App>) -> HttpResponse {
    let base = base_url(&req, &app);
    answer(&json!({
        "resource": base,
        "authorization_servers": [base],
        "scopes_supported": scopes(),
        "bearer_methods_supported": ["header"],
        "resource_documentation": format!("{base}/docs"),
    }))
}
