//! The certificate as one finding, for the Network page and for `keyrack doctor`.

use std::path::Path;

use super::{ACME_CERTIFICATE, END_IS_NEAR, SELF_SIGNED, acme, kept_in};
use crate::app::certificate::CertificateStatus;
use crate::config::{Config, TlsMode};
use crate::model::check::Check;
use crate::model::clock::Timestamp;
use crate::model::language::msg;
use crate::tls::{CertificateError, KeyedCertificate};

const REFUSED: &str = msg!("Clients refuse to connect without a certificate that holds.");
const WILL_END: &str = msg!("When it ends, clients refuse to connect.");

/// What a server would show that starts now on this data directory; None where TLS is off.
pub fn on_disk(config: &Config, dir: &Path) -> Option<CertificateStatus> {
    let tls = &config.tls;
    let (certificate, key) = match tls.mode {
        TlsMode::Off => return None,
        TlsMode::Files => (tls.cert_file.clone(), tls.key_file.clone()),
        TlsMode::SelfSigned => (kept_in(dir, SELF_SIGNED), kept_in(dir, SELF_SIGNED)),
        TlsMode::Acme => (kept_in(dir, ACME_CERTIFICATE), kept_in(dir, ACME_CERTIFICATE)),
    };
    let asked = (tls.mode == TlsMode::Acme).then(|| acme::last_problem(config, dir)).flatten();
    Some(match KeyedCertificate::read(&certificate, &key) {
        Ok(read) => CertificateStatus::of(tls.mode, Some(&read.facts), asked),
        // What is made by us may not have been made yet.
        Err(CertificateError::Io { .. }) if tls.mode != TlsMode::Files => CertificateStatus::of(tls.mode, None, asked),
        Err(err) => CertificateStatus::of(tls.mode, None, Some(err.to_string())),
    })
}

pub fn check(name: &'static str, status: &CertificateStatus, config: &Config, now: Timestamp) -> Check {
    let names = status.names.join(", ");
    let problem = status.problem.as_deref().map(|problem| format!("; {problem}")).unwrap_or_default();
    let Some(ends_at) = status.ends_at else {
        return match &status.problem {
            Some(problem) => Check::failed(name, format!("none: {problem}"), REFUSED, fix(config)),
            None => Check::warning(name, "none yet; a server that starts gets one", REFUSED, fix(config)),
        };
    };
    if ends_at <= now {
        return Check::failed(name, format!("the one for {names} ended on {ends_at}{problem}"), REFUSED, fix(config));
    }
    if ends_at <= now.saturating_add(END_IS_NEAR) {
        return Check::warning(name, format!("the one for {names} ends on {ends_at}{problem}"), WILL_END, fix(config));
    }
    let host = config.server.public_url.as_ref().map(|url| url.host().trim_matches(['[', ']']));
    if let Some(host) = host.filter(|host| !status.is_for(host)) {
        let found = format!("for {names}, but the public URL is at {host}");
        return Check::warning(
            name,
            found,
            msg!("Clients that come to the public URL refuse a certificate for another name."),
            fix(config),
        );
    }
    match status.problem {
        Some(_) => {
            Check::warning(name, format!("for {names}, until {ends_at}{problem}"), msg!("There is no newer one."), fix(config))
        }
        None => Check::ok(name, format!("{}, for {names}, until {ends_at}", status.mode.as_str())),
    }
}

/// What to do for a new one.
pub fn fix(config: &Config) -> String {
    match config.tls.mode {
        TlsMode::Files => format!("Put a new one into {}; it is taken up by itself", config.tls.cert_file.display()),
        TlsMode::SelfSigned => "Start the server again, as somebody who may write into its data directory".into(),
        TlsMode::Off | TlsMode::Acme => "journalctl -u keyrack says why; then: sudo systemctl reload keyrack".into(),
    }
}
