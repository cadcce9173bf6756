//! What TLS is spoken with, inwards and outwards.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one implementation of TLS's cryptography in the program (docs/decisions/0005-ring.md).
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
