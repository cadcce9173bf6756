//! A certificate with its key: read from PEM, checked, and what it says of itself.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXUPPER;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::provider;
use crate::model::clock::Timestamp;

#[derive(Debug)]
pub struct KeyedCertificate {
    pub(super) key: Arc<CertifiedKey>,
    pub facts: CertificateFacts,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// The domains and addresses that it is for.
    pub names: Vec<String>,
    pub issuer: String,
    pub begins_at: Timestamp,
    pub ends_at: Timestamp,
    /// SHA-256 of it, as browsers show it.
    pub fingerprint: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("Cannot read {}: {source}.", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("Cannot write {}: {source}.", .path.display())]
    NotKept { path: PathBuf, source: io::Error },
    #[error("{} may be read by everyone on this machine (mode {mode:o}).\nRun: chmod 600 {}", .path.display(), .path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("{} holds no certificate: PEM is expected, which begins with -----BEGIN CERTIFICATE-----.", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key: PEM is expected, which begins with -----BEGIN PRIVATE KEY-----.", .0.display())]
    NoKey(PathBuf),
    #[error("{} is locked with a passphrase, which nobody types when a server starts.\nRun: openssl pkey -in {} -out key.pem", .0.display(), .0.display())]
    LockedKey(PathBuf),
    #[error("{} is not the key of the certificate in {}.\nUse the two files that were made together.", .key.display(), .certificate.display())]
    NotItsKey { certificate: PathBuf, key: PathBuf },
    #[error("{} cannot be used: {reason}.", .path.display())]
    Unusable { path: PathBuf, reason: String },
}

impl KeyedCertificate {
    /// Reads both files; they may be one and the same.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = read(certificate)?;
        let mode = fs::metadata(key).map_err(|source| CertificateError::Io { path: key.into(), source })?.mode();
        if mode & 0o007 != 0 {
            return Err(CertificateError::ReadableByOthers { path: key.into(), mode: mode & 0o777 });
        }
        let key_pem = Zeroizing::new(read(key)?);

        let unusable = |path: &Path, reason: String| CertificateError::Unusable { path: path.into(), reason };
        let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|err| unusable(certificate, err.to_string()))?;
        let first = chain.first().ok_or_else(|| CertificateError::NoCertificate(certificate.into()))?;
        let facts = CertificateFacts::of(first).ok_or_else(|| unusable(certificate, "it is no X.509 certificate".into()))?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
            let is_locked = key_pem.windows(9).any(|word| word == b"ENCRYPTED");
            if is_locked { CertificateError::LockedKey(key.into()) } else { CertificateError::NoKey(key.into()) }
        })?;
        let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|err| match err {
            rustls::Error::InconsistentKeys(_) => {
                CertificateError::NotItsKey { certificate: certificate.into(), key: key.into() }
            }
            err => unusable(key, err.to_string()),
        })?;
        Ok(Self { key: Arc::new(pair), facts })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Io { path: path.into(), source })
}

impl CertificateFacts {
    pub fn of(certificate: &CertificateDer) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let named = parsed.subject_alternative_name().ok().flatten();
        let mut names: Vec<String> = named.iter().flat_map(|san| &san.value.general_names).filter_map(name_of).collect();
        if names.is_empty() {
            names.extend(parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned));
        }
        let validity = parsed.validity();
        let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1_000));
        let hash = Sha256::digest(certificate);
        let fingerprint: Vec<String> = hash.iter().map(|byte| HEXUPPER.encode(&[*byte])).collect();
        Some(Self {
            names,
            issuer: parsed.issuer().to_string(),
            begins_at: at(validity.not_before.timestamp()),
            ends_at: at(validity.not_after.timestamp()),
            fingerprint: fingerprint.join(":"),
        })
    }

    /// Whether it is for all of these.
    pub fn covers<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.all(|name| self.names.iter().any(|own| own == name))
    }
}

fn name_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// Writes what only this server may read: whole, and durable, before it has its name.
pub fn keep(path: &Path, text: &str) -> Result<(), CertificateError> {
    let write = || {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let draft = path.with_extension("new");
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|source| CertificateError::NotKept { path: path.into(), source })
}
