//! A certificate that nobody vouches for, for a LAN: made here, kept in the data directory, made anew before it ends.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use zeroize::Zeroizing;

use crate::model::clock::Timestamp;

/// Whoever trusted it by hand does so once a year.
const LASTS: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Clocks on a LAN differ.
const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);
/// A new one is made this long before the end.
pub const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Key and certificate, as one text of PEM.
pub fn make(names: &[String], now: Timestamp) -> Result<Zeroizing<String>, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.seconds()).unwrap_or_default());
    params.not_before = epoch + since_epoch(now.saturating_sub(BACKDATED));
    params.not_after = epoch + since_epoch(now.saturating_add(LASTS));
    params.distinguished_name.push(DnType::CommonName, "Keyrack, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Zeroizing::new(key.serialize_pem() + &certificate.pem()))
}

/// What a server on a LAN is called: this machine, the address that it is reached at, and what the operator says.
pub fn names(host: Option<&str>, listen: IpAddr) -> Vec<String> {
    let machine = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    if machine.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) && !machine.is_empty() {
        names.push(format!("{machine}.local"));
        names.push(machine);
    }
    names.extend(host.map(|host| host.trim_matches(['[', ']']).to_owned()));
    let reached = if listen.is_unspecified() { address_on_the_lan() } else { Some(listen) };
    names.extend(reached.map(|ip| ip.to_string()));
    names.sort();
    names.dedup();
    names
}

/// The address with which this machine would speak to others. Nothing is sent.
pub fn address_on_the_lan() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // RFC 5737: an address that is nobody's.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|addr| addr.ip())
}
