//! Files that the operator puts beside the database: `/.well-known/…` answers from `well-known/` in the data directory.
//! For `security.txt` (RFC 9116), and for proofs of ownership such as an ACME client's webroot.

use actix_files::{NamedFile, PathBufWrap};
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::web::{Data, Path, ServiceConfig, resource, to};
use actix_web::{HttpRequest, HttpResponse};

use super::page::PageError;
use super::{assets, shell};
use crate::app::App;

/// Whatever lies there, a browser runs none of it in our name.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/.well-known/{path:.*}").get(show).default_service(to(assets::wrong_method)));
}

async fn show(path: Path<String>, req: HttpRequest, app: Data<App>) -> Result<HttpResponse, PageError> {
    let token = path.strip_prefix("acme-challenge/");
    if let Some(proof) = token.and_then(|token| app.certificates.http_proof(token)) {
        return Ok(HttpResponse::Ok().content_type("application/octet-stream").body(proof));
    }
    let Some(file) = find(&app, &path) else { return shell::nothing_here(req, app).await };
    let mut response = file.prefer_utf8(true).into_response(&req);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, NOTHING_RUNS);
    Ok(response)
}

/// No listing, nothing above the directory, and no file whose name begins with a dot.
fn find(app: &App, path: &str) -> Option<NamedFile> {
    let dir = app.store.path().parent()?.join("well-known");
    let path = PathBufWrap::parse_path(path, false).ok()?;
    let file = NamedFile::open(dir.join(path)).ok()?;
    file.metadata().is_file().then_some(file)
}
