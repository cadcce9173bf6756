//! TLS: which certificate is shown, what is asked of a client, and plain HTTP beside it.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use keyrack::app::certificate::CertificateStatus;
use keyrack::config::{Config, PublicUrl, TlsMode};
use keyrack::model::clock::Timestamp;
use keyrack::model::user::Role;
use keyrack::services::certificates::{self, Rounds};
use keyrack::tls::CertificateFacts;

use crate::support::tls::{Issued, TlsClient, write_private};
use crate::support::{DAY, TestServer};

/// Where the clock of a test server stands when it starts.
fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T10:00:00Z").expect("a time")
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> (Self, Issued) {
        let files = Self { dir: tempfile::tempdir().expect("a directory") };
        let issued = Issued::for_days(start(), 90);
        issued.write(files.dir.path());
        (files, issued)
    }

    fn write(&self, issued: &Issued) {
        issued.write(self.dir.path());
    }

    fn configure(&self, config: &mut Config) {
        config.tls.mode = TlsMode::Files;
        config.tls.cert_file = self.dir.path().join("cert.pem");
        config.tls.key_file = self.dir.path().join("key.pem");
    }

    async fn server(&self) -> TestServer {
        TestServer::with(|config| self.configure(config)).await
    }
}

fn trusting(server: &TestServer, issued: &Issued) -> TlsClient {
    TlsClient::trusting(server.addr, &issued.certificate, server.clock.now())
}

fn status(server: &TestServer) -> CertificateStatus {
    server.app.certificate().expect("TLS is on")
}

#[tokio::test]
async fn requests_over_tls_are_https() {
    let (files, issued) = Files::new();
    let server = files.server().await;
    server.admin().await;
    let client = trusting(&server, &issued);
    let healthz = client.get("/healthz", "").expect("an answer");
    assert!(healthz.starts_with("http/1.1 200") && healthz.contains("strict-transport-security: max-age=63072000"), "{healthz}");
    let page = client.get("/sign-in", "accept: text/html\r\n").expect("an answer");
    assert!(page.contains("set-cookie: __host-before=") && page.contains("; secure"), "{page}");
}

#[tokio::test]
async fn plain_http_on_the_port_of_tls_is_not_answered() {
    let (files, _) = Files::new();
    let server = files.server().await;
    assert!(reqwest::get(format!("http://{}/healthz", server.addr)).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_cut_off() {
    let (files, _) = Files::new();
    let server = TestServer::with(|config| {
        files.configure(config);
        config.server.header_timeout = std::time::Duration::from_secs(1);
    });
    let mut socket = std::net::TcpStream::connect(server.await.addr).expect("a connection");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a socket");
    assert_eq!(socket.read(&mut [0; 16]).expect("the server closes it"), 0);
}

#[tokio::test]
async fn changed_files_are_shown_from_the_next_handshake_on() {
    let (files, before) = Files::new();
    let server = files.server().await;
    let mut rounds = certificates::start(&server.app).expect("the files are good");
    let after = Issued::for_days(start(), 180);
    files.write(&after);
    certificates::look(&server.app, &mut rounds, false).await;
    assert!(trusting(&server, &after).is_shown_what_it_trusts());
    assert!(!trusting(&server, &before).is_shown_what_it_trusts());
    assert_eq!(status(&server).ends_at, Some(start().saturating_add(DAY * 180)));
}

#[tokio::test]
async fn files_that_do_not_fit_leave_the_certificate_that_was_there() {
    let (files, before) = Files::new();
    let server = files.server().await;
    let mut rounds = certificates::start(&server.app).expect("the files are good");
    let after = Issued::for_days(start(), 180);
    write_private(&files.dir.path().join("cert.pem"), &after.certificate);
    certificates::look(&server.app, &mut rounds, false).await;
    assert!(trusting(&server, &before).is_shown_what_it_trusts());
    assert!(status(&server).problem.expect("a problem").contains("is not the key of the certificate in"));

    write_private(&files.dir.path().join("key.pem"), &after.key);
    certificates::look(&server.app, &mut rounds, false).await;
    assert!(trusting(&server, &after).is_shown_what_it_trusts());
    assert_eq!(status(&server).problem, None);
}

#[tokio::test]
async fn a_certificate_says_what_it_is_for_and_until_when() {
    let (files, _) = Files::new();
    let server = files.server().await;
    let status = status(&server);
    assert_eq!((status.mode, &*status.names), (TlsMode::Files, &["keys.example.com".to_owned()][..]));
    assert_eq!((status.ends_at, status.renews_at), (Some(start().saturating_add(DAY * 90)), None));
    assert_eq!((status.fingerprint.len(), status.problem), (95, None));
    assert_eq!(TestServer::start().await.app.certificate(), None);
}

/// Whoever comes through a proxy that says nothing of https.
const FROM_AFAR: &str = "203.0.113.7";

async fn beside(configure: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.tls.mode = TlsMode::SelfSigned;
        config.server.listen = "127.0.0.1:8443".parse().expect("an address");
        config.server.http_listen = Some("127.0.0.1:0".parse().expect("an address"));
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        configure(config);
    })
    .await
}

#[tokio::test]
async fn beside_tls_plain_http_sends_pages_on() {
    let server = beside(|_| {}).await;
    let browser = server.anonymous_plain().header("Accept", "text/html").header("X-Forwarded-For", FROM_AFAR);
    let reply = browser.header("Host", "lan.example:80").get("/sign-in?next=%2Fadmin").await;
    assert_eq!((reply.status, reply.header("location")), (308, "https://lan.example:8443/sign-in?next=%2Fadmin"));
    assert_eq!(reply.header("strict-transport-security"), "");
}

#[tokio::test]
async fn pages_are_sent_on_to_the_public_address_where_there_is_one() {
    let url = PublicUrl::parse("https://keys.example.com").expect("a URL");
    let server = beside(|config| config.server.public_url = Some(url)).await;
    let browser = server.anonymous_plain().header("Accept", "text/html").header("X-Forwarded-For", FROM_AFAR);
    assert_eq!(browser.get("/docs").await.header("location"), "https://keys.example.com/docs");
}

#[tokio::test]
async fn beside_tls_plain_http_refuses_the_api_and_forms() {
    let server = beside(|_| {}).await;
    let afar = server.anonymous_plain().header("X-Forwarded-For", FROM_AFAR);
    for path in ["/v1/users", "/v1/nothing"] {
        let reply = afar.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (403, ""), "{path}");
    }
    assert_eq!(afar.get("/v1/users").await.json()["error"], "https_required");
    let form = afar.header("Accept", "text/html").header("Content-Type", "application/x-www-form-urlencoded");
    let form = form.send(reqwest::Method::POST, "/sign-in", Some("email=a%40example.com".into())).await;
    assert_eq!(form.status, 403);
}

/// With the files' certificate, an administrator who comes through a proxy, and a page for them.
async fn page(server: &TestServer, path: &str) -> String {
    let account = server.account("Operators").await;
    let user = server.user_in(account, Role::Admin).await;
    let token = server.session_token(&user).await;
    let browser = server.anonymous_plain().header("X-Forwarded-For", FROM_AFAR).header("X-Forwarded-Proto", "https");
    let browser = browser.header("Cookie", &format!("__Host-sid={token}")).header("Accept", "text/html");
    browser.header("Host", "keys.example.com").get(path).await.expect(200).text
}

#[tokio::test]
async fn the_network_page_tells_of_the_certificate() {
    let (files, _) = Files::new();
    let server = beside(|config| files.configure(config)).await;
    let (page, shown) = (page(&server, "/admin/settings/network").await, status(&server));
    let told = |at: Timestamp| at.to_jiff().strftime("%a %-d %b %Y %H:%M UTC").to_string();
    for fact in [
        "<dt>Names</dt><dd>keys.example.com</dd>".to_owned(),
        format!("<dt>Comes from</dt><dd>the file {}</dd>", files.dir.path().join("cert.pem").display()),
        format!("<dt>Ends</dt><dd>{}</dd>", told(shown.ends_at.expect("it ends"))),
        "<dt>Next renewal</dt><dd>when its file changes</dd>".into(),
        shown.fingerprint,
    ] {
        assert!(page.contains(&fact), "{fact} is not in {page}");
    }
    assert!(page.contains("<dt>Certificate</dt><dd>files, for keys.example.com, until"), "{page}");
    let server = beside(|_| {}).await;
    let renews_at = told(status(&server).renews_at.expect("it is made here"));
    assert!(self::page(&server, "/admin/settings/network").await.contains(&format!("<dd>{renews_at}, by itself</dd>")));
}

#[tokio::test]
async fn from_two_weeks_before_the_end_the_overview_says_so() {
    let (files, _) = Files::new();
    let server = beside(|config| files.configure(config)).await;
    server.advance(DAY * 75);
    assert!(!page(&server, "/admin").await.contains("Certificate:"));
    server.advance(DAY * 2);
    let near = page(&server, "/admin").await;
    assert!(
        near.contains(&format!(
            "Certificate: the one for keys.example.com ends on {}",
            status(&server).ends_at.expect("it ends")
        ))
    );
    assert!(near.contains("it is taken up by itself"), "{near}");
    server.advance(DAY * 14);
    assert!(page(&server, "/admin").await.contains("Certificate: the one for keys.example.com ended on"));
}

#[tokio::test]
async fn a_certificate_for_another_name_than_the_public_one_is_found() {
    let (files, _) = Files::new();
    let url = PublicUrl::parse("https://api.example.com").expect("a URL");
    let server = beside(|config| {
        files.configure(config);
        config.server.public_url = Some(url);
    })
    .await;
    let page = page(&server, "/admin/settings/network").await;
    assert!(page.contains("for keys.example.com, but the public URL is at api.example.com"), "{page}");
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let facts = CertificateFacts {
        names: vec!["*.example.com".into(), "::1".into()],
        issuer: String::new(),
        begins_at: start(),
        ends_at: start(),
        fingerprint: String::new(),
    };
    let status = CertificateStatus::of(TlsMode::Files, Some(&facts), None);
    assert_eq!(["a.example.com", "::1"].map(|host| status.is_for(host)), [true; 2]);
    assert_eq!(["example.com", "a.b.example.com", "a.example.org"].map(|host| status.is_for(host)), [false; 3]);
}

#[tokio::test]
async fn metrics_tell_when_the_certificate_ends() {
    let (files, _) = Files::new();
    let server = beside(|config| files.configure(config)).await;
    let metrics = server.anonymous_plain().get("/metrics").await.expect(200).text;
    let ends_at = status(&server).ends_at.expect("it ends").seconds();
    assert!(metrics.contains(&format!("\nkeyrack_certificate_end_time_seconds {ends_at}\n")), "{metrics}");
}

fn kept(server: &TestServer) -> String {
    std::fs::read_to_string(server.data().join("tls/self-signed.pem")).expect("it is kept")
}

async fn self_signed() -> TestServer {
    TestServer::with(|config| config.tls.mode = TlsMode::SelfSigned).await
}

#[tokio::test]
async fn a_self_signed_certificate_is_for_this_machine_and_kept() {
    let server = self_signed().await;
    let path = server.data().join("tls/self-signed.pem");
    let before = kept(&server);
    let modes = [&path, &server.data().join("tls")].map(|p| p.metadata().expect("it is there").permissions().mode() & 0o777);
    assert_eq!(modes, [0o600, 0o700]);
    let client = TlsClient::trusting(server.addr, certificate_of(&before), start()).named("localhost");
    assert!(client.get("/healthz", "").expect("an answer").starts_with("http/1.1 200"));
    assert_eq!(kept(&server.restart().await), before);
}

/// PEM of the certificate, from a file that has the key first.
fn certificate_of(kept: &str) -> &str {
    &kept[kept.find("-----BEGIN CERTIFICATE").expect("a certificate")..]
}

#[tokio::test]
async fn a_self_signed_certificate_is_made_anew_before_it_ends() {
    let server = self_signed().await;
    let (before, mut rounds) = (kept(&server), Rounds::default());
    let renews_at = status(&server).renews_at.expect("it is renewed");
    server.advance(renews_at.since(start()) - DAY);
    certificates::look(&server.app, &mut rounds, false).await;
    assert_eq!(kept(&server), before);
    server.advance(DAY);
    certificates::look(&server.app, &mut rounds, false).await;
    assert_ne!(kept(&server), before);
    assert!(status(&server).renews_at.expect("it is renewed") > renews_at);
}

#[tokio::test]
async fn a_self_signed_certificate_is_made_anew_under_another_name() {
    let server = self_signed().await;
    let before = kept(&server);
    let url = PublicUrl::parse("https://keys.lan:8443").expect("a URL");
    let server = server.restart_with(|config| config.server.public_url = Some(url)).await;
    assert_ne!(kept(&server), before);
    assert!(status(&server).names.contains(&"keys.lan".to_owned()));
}
