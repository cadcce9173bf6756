//! What TLS is spoken with, and which certificate is shown in a handshake.

pub mod acme;
mod certificate;
pub mod self_signed;
pub mod unverified;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use certificate::{CertificateError, CertificateFacts, KeyedCertificate, keep};

/// What an ACME server speaks when it looks for a proof (RFC 8737 §6.2).
const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The one implementation of TLS's cryptography in the program (docs/decisions/0005-ring.md).
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What handshakes are answered with. It changes while the server runs.
#[derive(Debug, Default)]
pub struct Certificates {
    shown: RwLock<Option<Arc<KeyedCertificate>>>,
    /// Why there is no newer one.
    problem: RwLock<Option<String>>,
    proofs: RwLock<Proofs>,
    /// Someone wants the files looked at now.
    pub look_again: tokio::sync::Notify,
}

/// What an ACME server is to find while an order is under way.
#[derive(Debug, Default)]
struct Proofs {
    /// By token.
    by_http: HashMap<String, String>,
    /// By domain.
    by_tls: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Shows this one from the next handshake on.
    pub fn show(&self, certificate: KeyedCertificate) {
        *self.shown.write() = Some(Arc::new(certificate));
        *self.problem.write() = None;
    }

    pub fn shown(&self) -> Option<Arc<KeyedCertificate>> {
        self.shown.read().clone()
    }

    pub fn failed(&self, problem: String) {
        *self.problem.write() = Some(problem);
    }

    pub fn problem(&self) -> Option<String> {
        self.problem.read().clone()
    }

    pub fn prove_by_http(&self, token: String, proof: String) {
        self.proofs.write().by_http.insert(token, proof);
    }

    /// What is to be answered at `/.well-known/acme-challenge/<token>`.
    pub fn http_proof(&self, token: &str) -> Option<String> {
        self.proofs.read().by_http.get(token).cloned()
    }

    pub fn prove_by_tls(&self, domain: String, proof: CertificateDer<'static>, key: KeyPair) -> Result<(), rustls::Error> {
        let key = provider().key_provider.load_private_key(key.into())?;
        // Not compared with each other: the extension that makes it a proof is one that nobody else understands.
        self.proofs.write().by_tls.insert(domain, Arc::new(CertifiedKey::new(vec![proof], key)));
        Ok(())
    }

    pub fn forget_proofs(&self) {
        *self.proofs.write() = Proofs::default();
    }

    /// TLS 1.2 and 1.3, for a listener that shows these.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        let config = ServerConfig::builder_with_provider(provider());
        let mut config = config
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols.push(ACME_ALPN.into());
        config
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello) -> Option<Arc<CertifiedKey>> {
        // Whoever looks for a proof offers that protocol alone, and must not be shown anything else.
        if hello.alpn().is_some_and(|mut offered| offered.all(|protocol| protocol == ACME_ALPN)) {
            return self.proofs.read().by_tls.get(hello.server_name()?).cloned();
        }
        self.shown.read().as_ref().map(|certificate| certificate.key.clone())
    }
}
