//! What there is to say of the certificate that the server shows: on the Network page, in metrics, in doctor.

use super::App;
use crate::config::TlsMode;
use crate::model::clock::Timestamp;
use crate::tls::{CertificateFacts, self_signed};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    pub mode: TlsMode,
    /// The domains and addresses that it is for; none while the first one is being ordered.
    pub names: Vec<String>,
    pub issuer: String,
    /// SHA-256, as browsers show it.
    pub fingerprint: String,
    pub ends_at: Option<Timestamp>,
    /// When a new one is made or ordered by us. None where that is the operator's to do.
    pub renews_at: Option<Timestamp>,
    /// Why there is no newer one, in words for the operator.
    pub problem: Option<String>,
}

impl CertificateStatus {
    pub fn of(mode: TlsMode, facts: Option<&CertificateFacts>, problem: Option<String>) -> Self {
        Self {
            mode,
            names: facts.map(|facts| facts.names.clone()).unwrap_or_default(),
            issuer: facts.map(|facts| facts.issuer.clone()).unwrap_or_default(),
            fingerprint: facts.map(|facts| facts.fingerprint.clone()).unwrap_or_default(),
            ends_at: facts.map(|facts| facts.ends_at),
            renews_at: facts.and_then(|facts| match mode {
                TlsMode::Off | TlsMode::Files => None,
                TlsMode::SelfSigned => Some(facts.ends_at.saturating_sub(self_signed::RENEWED_BEFORE)),
                // Let's Encrypt advises to renew when a third of the time is left.
                TlsMode::Acme => Some(facts.ends_at.saturating_sub(facts.ends_at.since(facts.begins_at) / 3)),
            }),
            problem,
        }
    }

    /// Whether a browser takes it for this name; a wildcard stands for one label.
    pub fn is_for(&self, host: &str) -> bool {
        let wild = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|name| name == host || Some(name) == wild.as_ref())
    }
}

impl App {
    /// None while TLS is not spoken here.
    pub fn certificate(&self) -> Option<CertificateStatus> {
        let mode = self.config.tls.mode;
        let shown = self.certificates.shown();
        let facts = shown.as_ref().map(|shown| &shown.facts);
        (mode != TlsMode::Off).then(|| CertificateStatus::of(mode, facts, self.certificates.problem()))
    }
}
