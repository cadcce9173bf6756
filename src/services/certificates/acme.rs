//! The certificate from an ACME server: when to ask, what is kept between the tries, and the words when there is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{kept_at, show};
use crate::app::App;
use crate::model::clock::Timestamp;
use crate::tls::acme::{AcmeError, Progress, Proof, Wish, order};
use crate::tls::{CertificateError, KeyedCertificate, keep, self_signed};

const CERTIFICATE: &str = "acme.pem";
const STATE: &str = "acme.json";
/// After the first failure, the second, and so on: Let's Encrypt allows five in an hour.
const WAITS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(15 * 60), Duration::from_secs(3_600), Duration::from_secs(6 * 3_600)];

/// What outlives a restart, so that one that comes again and again does not use up what the server allows.
#[derive(Default, Deserialize)]
struct State {
    directory: String,
    failures: usize,
    try_again_at: Option<i64>,
    progress: Progress,
}

#[derive(Serialize)]
struct Kept<'a> {
    directory: &'a str,
    failures: usize,
    try_again_at: Option<i64>,
    progress: &'a Progress,
}

/// The one that was got before, if there is one.
pub fn show_kept(app: &App) {
    let path = kept_at(app, CERTIFICATE);
    match KeyedCertificate::read(&path, &path) {
        Ok(kept) => app.certificates.show(kept),
        Err(CertificateError::Io { .. }) => {}
        Err(err) => app.certificates.failed(err.to_string()),
    }
}

/// Gets a new one, unless the last failure is too fresh and nobody asks for it now.
pub async fn renew(app: &App, asked: bool) -> Result<(), String> {
    let tls = &app.config.tls;
    let directory = tls.acme_directory.as_str();
    let mut state = read(app, directory);
    let now = app.clock.now();
    if !asked && state.try_again_at.is_some_and(|at| now < Timestamp::from_millis(at)) {
        return Ok(());
    }
    let domains: Vec<String> = tls.acme_domains.iter().map(|domain| domain.as_str().to_owned()).collect();
    let wish = Wish {
        directory,
        ca_file: Some(tls.acme_ca_file.as_path()).filter(|file| !file.as_os_str().is_empty()),
        email: Some(tls.acme_email.as_str()).filter(|email| !email.is_empty()),
        domains: &domains,
        // Where both can be tried, a failure of one is followed by the other.
        proof: if app.config.server.http_listen.is_some() && state.failures % 2 == 0 { Proof::Http } else { Proof::Tls },
    };
    let failures = state.failures;
    let keep_step = |progress: &Progress| write(app, &Kept { directory, failures, try_again_at: None, progress });
    let ordered = order(&wish, &mut state.progress, &app.certificates, keep_step).await;
    app.certificates.forget_proofs();
    let shown = ordered.and_then(|pem| {
        let path = kept_at(app, CERTIFICATE);
        keep(&path, &pem)?;
        show(app, KeyedCertificate::read(&path, &path)?);
        Ok(())
    });
    let Err(err) = shown else {
        let kept = Kept { directory, failures: 0, try_again_at: None, progress: &state.progress };
        return write(app, &kept).map_err(|err| err.to_string());
    };
    if err.is_unknown_account() {
        state.progress = Progress::default();
    }
    let again = app.clock.now().saturating_add(WAITS[failures.min(WAITS.len() - 1)]);
    let kept = Kept { directory, failures: failures + 1, try_again_at: Some(again.millis()), progress: &state.progress };
    let kept = write(app, &kept).map_err(|err| format!("\n{err}")).err().unwrap_or_default();
    Err(format!("{}\nThe next try is at {again}; now: systemctl reload keyrack (SIGHUP).{kept}", words(app, &wish, &err).await))
}

/// What is kept, if it is of the same server.
fn read(app: &App, directory: &str) -> State {
    let text = std::fs::read_to_string(kept_at(app, STATE)).unwrap_or_default();
    let state: Option<State> = serde_json::from_str(&text).ok();
    state.filter(|state| state.directory == directory).unwrap_or_default()
}

fn write(app: &App, kept: &Kept) -> Result<(), CertificateError> {
    keep(&kept_at(app, STATE), &serde_json::to_string_pretty(kept).expect("plain data"))
}

/// What went wrong, and where the domains lead.
async fn words(app: &App, wish: &Wish<'_>, err: &AcmeError) -> String {
    let server = app.config.tls.acme_directory.server();
    let mut words = format!("{server} gave no certificate for {}: {err}.", wish.domains.join(", "));
    if !matches!(err, AcmeError::NotProven(_)) {
        return words;
    }
    let own = self_signed::address_on_the_lan().map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
    for domain in wish.domains {
        let found = tokio::net::lookup_host((domain.as_str(), 443)).await;
        let leads_to: Vec<String> = found.map(|found| found.map(|addr| addr.ip().to_string()).collect()).unwrap_or_default();
        let leads_to = if leads_to.is_empty() { "nowhere".to_owned() } else { leads_to.join(", ") };
        words += &format!("\nDNS leads {domain} to {leads_to}; this machine speaks from {own}.");
    }
    let port = if wish.proof == Proof::Http { 80 } else { 443 };
    words + &format!("\nPort {port} of what the name leads to must reach this server.")
}
