//! What there is to say of the certificate that the server shows: on the Network page, in metrics, in doctor.

use super::App;
use crate::config::TlsMode;
use crate::model::clock::Timestamp;
use crate::tls::self_signed;

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

impl App {
    /// None while TLS is not spoken here.
    pub fn certificate(&self) -> Option<CertificateStatus> {
        let mode = self.config.tls.mode;
        if mode == TlsMode::Off {
            return None;
        }
        let shown = self.certificates.shown();
        let facts = shown.as_ref().map(|shown| &shown.facts);
        Some(CertificateStatus {
            mode,
            names: facts.map(|facts| facts.names.clone()).unwrap_or_default(),
            issuer: facts.map(|facts| facts.issuer.clone()).unwrap_or_default(),
            fingerprint: facts.map(|facts| facts.fingerprint.clone()).unwrap_or_default(),
            ends_at: facts.map(|facts| facts.ends_at),
            renews_at: facts.and_then(|facts| match mode {
                TlsMode::Off | TlsMode::Files => None,
                TlsMode::SelfSigned => Some(facts.ends_at.saturating_sub(self_signed::RENEWED_BEFORE)),
            }),
            problem: self.certificates.problem(),
        })
    }
}
