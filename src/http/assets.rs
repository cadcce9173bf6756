//! The files of `static/`, inside the program. Their names carry a hash of their content, so a browser keeps them for good.

use std::collections::HashMap;
use std::io::Write;

use actix_web::http::header::{
    ALLOW, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, Header, IF_NONE_MATCH, VARY,
};
use actix_web::web::{Bytes, Data, Path, ServiceConfig, resource, to};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use rust_embed::{EmbeddedFile, RustEmbed};

/// In debug builds the files are read from disk at each request.
#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Where a page finds its style, script and icon.
#[derive(Clone)]
pub struct AssetUrls {
    pub css: String,
    /// Of the documentation alone.
    pub docs_css: String,
    pub js: String,
    pub icon: String,
}

impl AssetUrls {
    pub fn current() -> Self {
        Self {
            css: url("css/keyrack.css"),
            docs_css: url("css/docs.css"),
            js: url("js/keyrack.js"),
            icon: url("icons/favicon.svg"),
        }
    }
}

/// `css/keyrack.css` → `/static/css/keyrack.1a2b3c4d5e.css`
fn url(path: &str) -> String {
    match (Files::get(path), path.rsplit_once('.')) {
        (Some(file), Some((stem, ending))) => format!("/static/{stem}.{}.{ending}", hash(&file)),
        _ => format!("/static/{path}"),
    }
}

fn hash(file: &EmbeddedFile) -> String {
    data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..5])
}

pub fn routes(cfg: &mut ServiceConfig) {
    let packed = Data::new(Packed::default());
    cfg.service(resource("/static/{path:.*}").app_data(packed).get(serve).default_service(to(wrong_method)));
}

/// Files as small as gzip makes them, by their hash: packed once, with the work that a page does not take.
#[derive(Default)]
struct Packed(Mutex<HashMap<String, Bytes>>);

impl Packed {
    fn get(&self, file: &EmbeddedFile) -> std::io::Result<Bytes> {
        let mut packed = self.0.lock();
        let name = hash(file);
        if let Some(bytes) = packed.get(&name) {
            return Ok(bytes.clone());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&file.data)?;
        let bytes = Bytes::from(encoder.finish()?);
        packed.insert(name, bytes.clone());
        Ok(bytes)
    }
}

fn takes_gzip(req: &HttpRequest) -> bool {
    let known = [Encoding::gzip(), Encoding::identity()];
    AcceptEncoding::parse(req).is_ok_and(|accepted| accepted.negotiate(known.iter()) == Some(Encoding::gzip()))
}

/// A file can be read, and nothing else.
pub async fn wrong_method() -> HttpResponse {
    let words = (CONTENT_TYPE, "text/plain; charset=utf-8");
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, "GET, HEAD"))
        .insert_header(words)
        .body("A file answers GET and HEAD.\n")
}

async fn serve(req: HttpRequest, path: Path<String>, packed: Data<Packed>) -> HttpResponse {
    let Some((file, kept)) = find(&path) else {
        return HttpResponse::NotFound().insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body("No such file.\n");
    };
    let etag = format!("\"{}\"", hash(&file));
    let cache = if kept { "public, max-age=31536000, immutable" } else { "no-cache" };
    if req.headers().get(IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == etag.as_bytes()) {
        return HttpResponse::NotModified().insert_header((ETAG, etag)).insert_header((CACHE_CONTROL, cache)).finish();
    }
    let kind = mime_guess::from_path(path.as_str()).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, kind)).insert_header((CACHE_CONTROL, cache)).insert_header((ETAG, etag));
    answer.insert_header((VARY, "accept-encoding"));
    match takes_gzip(&req).then(|| packed.get(&file)) {
        Some(Ok(bytes)) => answer.insert_header((CONTENT_ENCODING, "gzip")).body(bytes),
        _ => answer.body(file.data.into_owned()),
    }
}

/// The file that a path names, and whether the path names this very content.
fn find(path: &str) -> Option<(EmbeddedFile, bool)> {
    if let Some(file) = Files::get(path) {
        return Some((file, false));
    }
    let (stem, ending) = path.rsplit_once('.')?;
    let (stem, hashed) = stem.rsplit_once('.')?;
    let file = Files::get(&format!("{stem}.{ending}"))?;
    let same = hash(&file) == hashed;
    Some((file, same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_the_same_one_and_small() {
        let file = Files::get("css/keyrack.css").expect("an embedded file");
        let packed = Packed::default().get(&file).expect("packs");
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut read).expect("unpacks");
        assert_eq!(read, file.data.as_ref());
        assert!(packed.len() < 8 * 1024, "{} bytes", packed.len());
    }

    #[test]
    fn a_file_is_packed_for_whoever_takes_it() {
        let takes = |header: &str| {
            takes_gzip(&actix_web::test::TestRequest::get().insert_header(("accept-encoding", header)).to_http_request())
        };
        let told = ["gzip, deflate, br", "br, gzip;q=0.5", "br", "gzip;q=0", ""].map(takes);
        assert_eq!(told, [true, true, false, false, false]);
    }

    #[test]
    fn every_asset_that_pages_name_is_there_under_a_name_that_lasts() {
        let urls = AssetUrls::current();
        for url in [urls.css, urls.docs_css, urls.js, urls.icon] {
            let (_, kept) = find(url.trim_start_matches("/static/")).expect("an embedded file");
            assert!(kept, "{url}");
        }
        assert!(find("css/keyrack.0000000000.css").is_some_and(|(_, kept)| !kept), "an older page still gets a style");
        assert!(find("../Cargo.toml").is_none());
    }
}
