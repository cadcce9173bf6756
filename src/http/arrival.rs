//! What is known of a request before anything looks at it: where it came from, over what, and its id.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use ipnet::IpNet;

use super::X_REQUEST_ID;
use super::client_addr::{ClientAddr, client_addr};
use crate::app::App;
use crate::config::{Config, PublicUrl, TlsMode};
use crate::limits::BucketKey;
use crate::model::clock::{Tick, Timestamp};
use crate::model::dialect::DialectName;
use crate::model::ids::{ApiKeyId, RequestId, UserId};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[derive(Clone, Debug)]
pub struct Arrival {
    /// The client's own, when it sent a good one.
    pub request_id: Arc<str>,
    pub client: ClientAddr,
    /// The dialect that was on: a request is answered in it, whatever happens meanwhile.
    pub dialect: DialectName,
    /// When its head came: not for what is done after its body was awaited.
    pub at: (Timestamp, Tick),
}

impl Arrival {
    pub fn of(req: &ServiceRequest, trusted: &[IpNet], dialect: DialectName, at: (Timestamp, Tick)) -> Self {
        let headers = req.headers();
        let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip());
        let values = |name: HeaderName| headers.get_all(name).map(|value| value.as_bytes());
        let over_tls = req.app_config().secure();
        let client = client_addr(trusted, peer, over_tls, values(X_FORWARDED_FOR), values(X_FORWARDED_PROTO));
        Self { request_id: request_id(headers), client, dialect, at }
    }

    /// Whether what was sent could not be read on the way, or the operator has said that it may be.
    pub fn is_private(&self, config: &Config) -> bool {
        self.client.https || self.client.is_local() || config.server.insecure_http
    }
}

/// Behind a proxy that nobody said to trust, all clients look like one: the operator is told how to change that.
pub fn tell_of_ignored_proxy(app: &App, peer: IpAddr) {
    if app.ignored_proxies.take(BucketKey::of_address(peer), app.clock.tick()).admitted() {
        let net = IpNet::from(peer);
        tracing::warn!("X-Forwarded-For from {peer} ignored: not a trusted proxy. Trust it: trusted_proxies = [\"{net}\"]");
    }
}

/// Whose request it turned out to be, for the access log alone.
#[derive(Clone, Copy, Default)]
pub struct Whose {
    pub key_id: Option<ApiKeyId>,
    pub user_id: Option<UserId>,
}

impl Whose {
    /// Leaves it where the access log looks for it, if there is one.
    pub fn note(self, req: &HttpRequest) {
        if has_access_log() {
            req.extensions_mut().insert(self);
        }
    }
}

/// Whether each request gets a line.
pub fn has_access_log() -> bool {
    tracing::enabled!(target: "access", tracing::Level::INFO)
}

/// Where handlers find it.
pub trait Arrived {
    fn arrival(&self) -> Rc<Arrival>;
}

impl Arrived for HttpRequest {
    fn arrival(&self) -> Rc<Arrival> {
        self.extensions().get::<Rc<Arrival>>().cloned().expect("every request passes `surround` first")
    }
}

/// Where this request came to, as its client wrote it.
pub fn arrives_at(req: &HttpRequest) -> String {
    let scheme = if req.arrival().client.https { "https" } else { "http" };
    let host = req.headers().get(HOST).and_then(|host| host.to_str().ok()).filter(is_plain_host);
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// The words for a request that came to another address than the configured one; from this machine any will do.
pub fn own_address_fault(req: &HttpRequest, app: &App) -> Option<String> {
    let url = app.live.public_url()?;
    let arrives = arrives_at(req);
    let is_other = !req.arrival().client.is_local() && PublicUrl::parse(&arrives).is_ok_and(|arrives| arrives != url);
    is_other.then(|| {
        format!(
            "Requests arrive as {arrives} but public_url is {url}. OAuth and links will break. Set it: public_url = \"{arrives}\""
        )
    })
}

/// The operator is told once an hour when people come to another address than the configured one.
pub fn tell_of_other_address(req: &HttpRequest, app: &App) {
    if let Some(words) = own_address_fault(req, app)
        && app.ignored_proxies.take(BucketKey::of_parts(&[b"public_url"]), app.clock.tick()).admitted()
    {
        tracing::warn!("{words}");
    }
}

fn is_plain_host(host: &&str) -> bool {
    // Shown in links: nothing but what a host and a port are written with.
    host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// The address under which this server is reached: as configured, else as the request came in.
pub fn base_url(req: &HttpRequest, app: &App) -> String {
    base_url_of(req.headers().get(HOST), req.arrival().client.https, app)
}

/// The same where the request is gone already.
pub fn base_url_of(host: Option<&HeaderValue>, https: bool, app: &App) -> String {
    if let Some(url) = app.live.public_url() {
        return url.as_str().to_owned();
    }
    let host = host.and_then(|host| host.to_str().ok());
    let scheme = if https { "https" } else { "http" };
    format!("{scheme}://{}", host.filter(is_plain_host).unwrap_or("localhost"))
}

/// Where the same page is over HTTPS, when this server speaks that itself.
pub fn https_address(req: &HttpRequest) -> Option<String> {
    let app = req.app_data::<Data<App>>()?;
    if app.config.tls.mode == TlsMode::Off {
        return None;
    }
    let path = req.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Some(url) = app.live.public_url().filter(PublicUrl::is_https) {
        return Some(format!("{url}{path}"));
    }
    let base = base_url_of(req.headers().get(HOST), true, app);
    let has_port = base.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = if has_port { base.rsplit_once(':').map_or("", |(host, _)| host) } else { &base };
    let port = match app.config.server.listen.port() {
        443 | 0 => String::new(),
        port => format!(":{port}"),
    };
    Some(format!("{host}{port}{path}"))
}

/// The path as the router reads it, with escaped letters as letters: `/%61dmin` is `/admin`. What a path decides, this
/// one decides.
pub fn path_of(req: &HttpRequest) -> &str {
    req.match_info().as_str()
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let good = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    sent.filter(good).map_or_else(|| RequestId::new().with_text(|text| Arc::from(text)), Arc::from)
}
