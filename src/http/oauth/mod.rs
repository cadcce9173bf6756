//! The authorization server's surface: the pages on which users allow clients, and the endpoints that clients call.
//! What is refused there has the shape of RFC 6749, in every dialect.

mod authorize;
mod client;
mod metadata;
mod token;

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, get, post, resource, to};
use actix_web::{Resource, Route};

/// What programs call.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(at("/oauth/token", post().to(token::issue)))
        .service(at("/oauth/revoke", post().to(token::revoke)))
        .service(at("/oauth/introspect", post().to(token::introspect)))
        .service(at("/.well-known/oauth-authorization-server", get().to(metadata::authorization_server)))
        .service(at("/.well-known/oauth-protected-resource", get().to(metadata::protected_resource)));
}

fn at(path: &'static str, route: Route) -> Resource {
    resource(path).route(route.wrap(from_fn(client::in_private))).default_service(to(client::wrong_method))
}

/// What people see.
pub fn page_routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/oauth/authorize").get(authorize::ask).post(authorize::decide));
}
