//! What TLS is spoken with, and which certificate is shown in a handshake.

mod certificate;
pub mod self_signed;

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use certificate::{CertificateError, CertificateFacts, KeyedCertificate, keep};

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
    /// Someone wants the files looked at now.
    pub look_again: tokio::sync::Notify,
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

    /// TLS 1.2 and 1.3, for a listener that shows these.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(self.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello) -> Option<Arc<CertifiedKey>> {
        self.shown.read().as_ref().map(|certificate| certificate.key.clone())
    }
}
