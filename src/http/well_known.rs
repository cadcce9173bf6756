//! Files that the operator puts beside the database: `/.well-known/…` answers from `well-known/` in the data directory.
//! For `security.txt` (RFC 9116), and for proofs of ownership such as an ACME client's webroot.

use actix_files::Files;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{Data, ServiceConfig, scope, to};

use super::shell;
use crate::app::App;

/// Whatever lies there, a browser runs none of it in our name.
const NOTHING_RUNS: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

pub fn routes(cfg: &mut ServiceConfig, app: &Data<App>) {
    let Some(data) = app.store.path().parent() else { return };
    // No listing, and no file whose name begins with a dot: the library's defaults.
    let files = Files::new("", data.join("well-known")).prefer_utf8(true).default_handler(to(shell::nothing_here));
    cfg.service(scope("/.well-known").wrap(DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, NOTHING_RUNS))).service(files));
}
