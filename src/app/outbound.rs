//! How this program calls others: one request on one connection, to an address that was checked, without proxies and
//! redirects, in bounded time, and with a bounded part of the answer.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::model::error::Problem;
use crate::model::target::{self, Target};

/// All of one call: finding the address, connecting, sending, and the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);
/// One address of several.
const CONNECT: Duration = Duration::from_secs(3);
const MOST_ADDRESSES: usize = 3;
/// Names that are looked up at once.
const LOOK_UPS: usize = 16;
/// The rest of an answer whose head has come.
const BODY: Duration = Duration::from_secs(2);
const MOST_READ: usize = 16 * 1024;
/// Of an answer that refuses, what is kept to be read by people.
const EXCERPT: usize = 500;

type Addresses = BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

pub struct Outbound {
    pub allow_private: bool,
    pub timeout: Duration,
    /// Finds the addresses of a name.
    pub resolve: Box<dyn Fn(String, u16) -> Addresses + Send + Sync>,
    /// Authorities that are trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub retry_after: Option<String>,
    /// Where a redirect wanted us to go.
    pub location: Option<String>,
    /// The beginning of the body, on one line; only of an answer that refuses.
    pub excerpt: Option<String>,
}

/// Why no answer came, for people.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("Blocked: {0}")]
    Blocked(String),
    #[error("The name {0} has no address.")]
    NoAddress(String),
    #[error("No connection: {0}.")]
    NoConnection(String),
    #[error("The certificate was not accepted: {0}.")]
    Tls(String),
    #[error("The connection broke before an answer came.")]
    Broken,
    #[error("No answer within {} s.", .0.as_secs())]
    TimedOut(Duration),
}

impl Outbound {
    pub fn new(allow_private: bool) -> Self {
        // A name server that does not answer holds a thread for as long as the system waits, whoever asked: few at once, so
        // that threads are left for all else.
        let permits = Arc::new(Semaphore::new(LOOK_UPS));
        let resolve = move |name: String, port| -> Addresses {
            let permits = permits.clone();
            Box::pin(async move {
                let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
                let look_up = move || {
                    let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
                    drop(permit);
                    found
                };
                tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
            })
        };
        Self { allow_private, timeout: TIMEOUT, resolve: Box::new(resolve), authorities: Vec::new(), tls: OnceLock::new() }
    }

    /// Refuses a target whose name leads inside. A name that has no address yet may get one.
    pub async fn check(&self, target: &Target) -> Result<(), Problem> {
        match timeout(CONNECT, self.addresses(target.url())).await {
            Ok(Err(CallError::Blocked(words))) => Err(Problem::new("forbidden_target", words)),
            _ => Ok(()),
        }
    }

    /// Sends one POST. The addresses are looked up and checked now, and one of those checked is connected to.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: String) -> Result<Answer, CallError> {
        let until = Instant::now() + self.timeout;
        let timed_out = |_| CallError::TimedOut(self.timeout);
        let (response, connection) = timeout_at(until, self.send(url, headers, body)).await.map_err(timed_out)??;
        let answer = read(response, until.min(Instant::now() + BODY)).await;
        drop(connection);
        Ok(answer)
    }

    async fn send(&self, url: &Url, headers: HeaderMap, body: String) -> Result<(Response<Incoming>, JoinSet<()>), CallError> {
        let stream = connect(&self.addresses(url).await?).await?;
        let request = request(url, headers, body)?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|err| CallError::Tls(err.to_string()))?;
        let connector = TlsConnector::from(self.tls()?);
        let stream = connector.connect(name, stream).await.map_err(|err| CallError::Tls(err.to_string()))?;
        exchange(stream, request).await
    }

    /// The addresses that may be connected to.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, CallError> {
        let port = url.port_or_known_default().unwrap_or(443);
        let (shown, found) = match url.host() {
            Some(Host::Ipv4(addr)) => (String::new(), vec![SocketAddr::new(addr.into(), port)]),
            Some(Host::Ipv6(addr)) => (String::new(), vec![SocketAddr::new(addr.into(), port)]),
            Some(Host::Domain(name)) => {
                let found = (self.resolve)(name.to_owned(), port).await;
                (format!("{name} leads to "), found.map_err(|_| CallError::NoAddress(name.to_owned()))?)
            }
            None => return Err(CallError::NoAddress(url.to_string())),
        };
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|addr| self.kind_of(addr.ip()).is_none()).collect();
        match (found.first().and_then(|addr| Some((addr.ip(), self.kind_of(addr.ip())?))), allowed.is_empty()) {
            (_, false) => Ok(allowed),
            (Some((addr, kind)), true) => {
                let shown = if shown.is_empty() { addr.to_string() } else { format!("{shown}{addr}, which") };
                Err(CallError::Blocked(target::forbidden(&shown, kind).message))
            }
            (None, true) => Err(CallError::NoAddress(url.host_str().unwrap_or_default().to_owned())),
        }
    }

    fn kind_of(&self, addr: IpAddr) -> Option<&'static str> {
        if self.allow_private { None } else { target::kind_of(addr) }
    }

    /// Made when it is first needed: reading the system's authorities takes a while.
    fn tls(&self) -> Result<Arc<ClientConfig>, CallError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        if roots.is_empty() {
            return Err(CallError::Tls("this machine has no authorities to check it with; install ca-certificates".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = versions.map_err(|err| CallError::Tls(err.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, CallError> {
    let mut failed = CallError::NoConnection("there is no address".into());
    for addr in addresses.iter().take(MOST_ADDRESSES) {
        failed = match timeout(CONNECT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                // A message is one small write; nothing is gained by waiting for more.
                stream.set_nodelay(true).map_err(|_| CallError::Broken)?;
                return Ok(stream);
            }
            Ok(Err(err)) if err.kind() == io::ErrorKind::ConnectionRefused => {
                CallError::NoConnection(format!("{addr} refused it"))
            }
            Ok(Err(err)) => CallError::NoConnection(format!("{addr}: {err}")),
            Err(_) => CallError::NoConnection(format!("{addr} did not answer within {} s", CONNECT.as_secs())),
        };
    }
    Err(failed)
}

fn request(url: &Url, headers: HeaderMap, body: String) -> Result<Request<Full<Bytes>>, CallError> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::post(path).body(Full::new(Bytes::from(body))).map_err(|_| CallError::Broken)?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(HOST, host.parse().map_err(|_| CallError::Broken)?);
    let agent = concat!("Keyrack/", env!("CARGO_PKG_VERSION"));
    request.headers_mut().insert(USER_AGENT, hyper::header::HeaderValue::from_static(agent));
    Ok(request)
}

/// The answer's head, and the connection that its body still comes through.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, JoinSet<()>), CallError> {
    let broken = |_| CallError::Broken;
    let shaken = http1::Builder::new().max_buf_size(MOST_READ).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response, driver))
}

async fn read(response: Response<Incoming>, until: Instant) -> Answer {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(|text| shortened(text, 200));
    let mut answer = Answer {
        status: response.status().as_u16(),
        content_type: text(CONTENT_TYPE),
        retry_after: text(RETRY_AFTER),
        location: text(LOCATION),
        excerpt: None,
    };
    let (refuses, mut body, mut read) = (!response.status().is_success(), response.into_body(), Vec::new());
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if read.len() >= MOST_READ {
            break;
        }
    }
    let begun = shortened(&String::from_utf8_lossy(&read[..read.len().min(MOST_READ)]), EXCERPT);
    answer.excerpt = Some(begun).filter(|begun| refuses && !begun.is_empty());
    answer
}

/// On one line, without characters that change how others are shown.
fn shortened(text: &str, most: usize) -> String {
    let printable = text.chars().map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c });
    let text: String = printable.take(most * 4).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(most).collect()
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
