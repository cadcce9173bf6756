//! Where webhooks may go: never inside, whatever a name resolves to when it is looked up, and only to whom the
//! certificate names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use keyrack::app::App;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use super::receiver::Receiver;
use super::{an_event, deliveries, member};
use crate::support::TestServer;

/// Names lead to these addresses, one look-up after the other; the last stays.
fn leads_to(addresses: Vec<Vec<SocketAddr>>) -> impl FnOnce(&mut App) {
    move |app| {
        let asked = AtomicUsize::new(0);
        app.outbound.resolve = Box::new(move |_, _| {
            let nth = asked.fetch_add(1, SeqCst).min(addresses.len() - 1);
            let found = addresses[nth].clone();
            Box::pin(async move { Ok(found) })
        });
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[actix_web::test]
async fn a_target_inside_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let key = member(&server).await;
    server.set_windows(&key, &[(1000, 60)]).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "localhost",
        "10.0.0.5",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "metadata.google.internal",
    ] {
        let body = json!({ "url": format!("https://{host}:{}/hook", server.addr.port()), "events": ["user.created"] });
        let refused = key.post("/v1/webhooks", body).await.expect(400).json();
        assert_eq!(refused["errors"][0]["code"], "forbidden_target", "{host}: {refused}");
        assert!(refused["message"].as_str().expect("words").contains("allow_private_targets"), "{refused}");
    }
    let plain = key.post("/v1/webhooks", json!({ "url": "http://example.com/", "events": ["user.created"] })).await.expect(400);
    assert_eq!(plain.json()["errors"][0]["code"], "https_required");
}

#[actix_web::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_given() {
    let inside = leads_to(vec![vec![addr("10.0.0.5:443")]]);
    let server = TestServer::changed(|_| {}, inside).await;
    let key = member(&server).await;
    let body = json!({ "url": "https://hooks.example.com/", "events": ["user.created"] });
    let refused = key.post("/v1/webhooks", body).await.expect(400).json();
    let words = "hooks.example.com leads to 10.0.0.5, which is a private address.";
    assert!(refused["message"].as_str().expect("words").starts_with(words), "{refused}");
}

#[actix_web::test]
async fn a_name_that_leads_inside_at_the_second_look_up_is_caught_before_a_connection() {
    let receiver = Receiver::start().await;
    let inside = SocketAddr::from(([127, 0, 0, 1], receiver.port));
    let rebinding = leads_to(vec![vec![addr("93.184.216.34:443")], vec![inside]]);
    let server = TestServer::changed(|_| {}, rebinding).await;
    let key = member(&server).await;
    let url = format!("https://hooks.example.com:{}/", receiver.port);
    let made = key.post("/v1/webhooks", json!({ "url": url, "events": ["user.created"] })).await.expect(201).json();
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!(receiver.count(), 0);
    let delivery = deliveries(&key, &made).await.remove(0);
    let error = delivery["error"].as_str().expect("an error");
    assert!(error.starts_with("Blocked: hooks.example.com leads to 127.0.0.1, which is a loopback address."), "{error}");
    assert!(delivery["response_code"].is_null());
}

#[actix_web::test]
async fn of_several_addresses_only_those_outside_are_tried() {
    let receiver = Receiver::start().await;
    let inside = SocketAddr::from(([127, 0, 0, 1], receiver.port));
    let mixed = leads_to(vec![vec![inside, addr("240.0.0.1:9"), addr("[::ffff:127.0.0.1]:9")]]);
    let server = TestServer::changed(|_| {}, mixed).await;
    let key = member(&server).await;
    let body = json!({ "url": "https://hooks.example.com/", "events": ["user.created"] });
    key.post("/v1/webhooks", body).await.expect(400);
    assert_eq!(receiver.count(), 0);
}

/// An authority, and a receiver with its certificate for a name.
async fn with_certificate(name: &str) -> (CertificateDer<'static>, Receiver) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).expect("parameters").signed_by(&key, &authority).expect("signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
        .expect("a configuration");
    (authority.der().clone(), Receiver::with_tls(TlsAcceptor::from(Arc::new(config))).await)
}

#[actix_web::test]
async fn over_https_the_certificate_must_be_for_the_name_of_the_url() {
    for (of_certificate, taken) in [("hooks.example.com", true), ("other.example.com", false)] {
        let (authority, receiver) = with_certificate(of_certificate).await;
        let to = leads_to(vec![vec![SocketAddr::from(([127, 0, 0, 1], receiver.port))]]);
        let allow = |config: &mut keyrack::config::Config| config.webhooks.allow_private_targets = true;
        let server = TestServer::changed(allow, |app| {
            to(app);
            app.outbound.authorities.push(authority);
        })
        .await;
        let key = member(&server).await;
        let url = format!("https://hooks.example.com:{}/a?b=c", receiver.port);
        let made = key.post("/v1/webhooks", json!({ "url": url, "events": ["user.created"] })).await.expect(201).json();
        an_event(&server, &key).await;
        server.deliver().await;
        let (told, delivery) = (receiver.take(), deliveries(&key, &made).await.remove(0));
        if taken {
            assert_eq!(delivery["status"], "delivered", "{delivery}");
            assert_eq!(told[0].path, "/a?b=c");
            assert_eq!(told[0].header("host"), format!("hooks.example.com:{}", receiver.port));
        } else {
            let error = delivery["error"].as_str().expect("an error");
            assert!(told.is_empty() && error.starts_with("The certificate was not accepted:"), "{error}");
        }
    }
}
