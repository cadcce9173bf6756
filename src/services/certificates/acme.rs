//! The certificate from an ACME server: when to ask, what is kept between the tries, and the words when there is none.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ACME_CERTIFICATE, kept_at, kept_in, show};
use crate::app::App;
use crate::config::Config;
use crate::model::clock::Timestamp;
use crate::tls::acme::{AcmeError, Progress, Proof, Wish, order};
use crate::tls::{CertificateError, KeyedCertificate, keep, self_signed};

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
    /// Why the last try gave nothing, in words for the operator.
    #[serde(default)]
    problem: Option<String>,
    progress: Progress,
}

#[derive(Serialize)]
struct Kept<'a> {
    directory: &'a str,
    failures: usize,
    try_again_at: Option<i64>,
    problem: Option<&'a str>,
    progress: &'a Progress,
}

/// The one that was got before, if there is one.
pub fn show_kept(app: &App) {
    let path = kept_at(app, ACME_CERTIFICATE);
    match KeyedCertificate::read(&path, &path) {
        Ok(kept) => app.certificates.show(kept),
        Err(CertificateError::Io { .. }) => {}
        Err(err) => app.certificates.failed(err.to_string()),
    }
    if let Some(problem) = last_problem(&app.config, dir_of(app)) {
        app.certificates.failed(problem);
    }
}

/// Why the last try gave nothing.
pub fn last_problem(config: &Config, dir: &Path) -> Option<String> {
    read(dir, config.tls.acme_directory.as_str()).problem
}

/// Gets a new one, unless the last failure is too fresh and nobody asks for it now.
pub async fn renew(app: &App, asked: bool) -> Result<(), String> {
    let tls = &app.config.tls;
    let directory = tls.acme_directory.as_str();
    let mut state = read(dir_of(app), directory);
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
        proof: if app.config.server.http_listen.is_some() && state.failures.is_multiple_of(2) { Proof::Http } else { Proof::Tls },
    };
    let failures = state.failures;
    let keep_step = |progress: &Progress| write(app, &Kept { directory, failures, try_again_at: None, problem: None, progress });
    let ordered = order(&wish, &mut state.progress, &app.certificates, keep_step).await;
    app.certificates.forget_proofs();
    let shown = ordered.and_then(|pem| {
        let path = kept_at(app, ACME_CERTIFICATE);
        keep(&path, &pem)?;
        show(app, KeyedCertificate::read(&path, &path)?);
        Ok(())
    });
    let Err(err) = shown else {
        let kept = Kept { directory, failures: 0, try_again_at: None, problem: None, progress: &state.progress };
        return write(app, &kept).map_err(|err| err.to_string());
    };
    if err.is_unknown_account() {
        state.progress = Progress::default();
    }
    let again = app.clock.now().saturating_add(WAITS[failures.min(WAITS.len() - 1)]);
    let words = words(app, &wish, &err).await;
    let words = format!("{words}\nThe next try is at {again}; now: systemctl reload keyrack (SIGHUP).");
    let try_again_at = Some(again.millis());
    let kept = Kept { directory, failures: failures + 1, try_again_at, problem: Some(&words), progress: &state.progress };
    let kept = write(app, &kept).map_err(|err| format!("\n{err}")).err().unwrap_or_default();
    Err(words + &kept)
}

fn dir_of(app: &App) -> &Path {
    app.store.path().parent().unwrap_or(app.store.path())
}

/// What is kept, if it is of the same server.
fn read(dir: &Path, directory: &str) -> State {
    let text = std::fs::read_to_string(kept_in(dir, STATE)).unwrap_or_default();
    let state: Option<State> = serde_json::from_str(&text).ok();
    state.filter(|state| state.directory == directory).unwrap_or_default()
}

fn write(app: &App, kept: &Kept) -> Result<(), CertificateError> {
    keep(&kept_at(app, STATE), &serde_json::to_string_pretty(kept).expect("plain data"))
}

/// What went wrong, and where the domains lead.
async fn words(app: &App, wish: &Wish<'_>, err: &AcmeError) -> String {
    let server = app.config.tls.acme_directory.server();
    let AcmeError::NotProven(reason) = err else {
        return format!("{server} gave no certificate for {}: {err}.", wish.domains.join(", "));
    };
    let own = self_signed::address_on_the_lan().map_or_else(|| "at an unknown address".to_owned(), |ip| ip.to_string());
    let mut words = String::new();
    for domain in wish.domains {
        let found = tokio::net::lookup_host((domain.as_str(), 443)).await;
        let leads_to: Vec<String> = found.map(|found| found.map(|addr| addr.ip().to_string()).collect()).unwrap_or_default();
        words += &unreached(server, domain, wish.proof, &leads_to, &own);
    }
    let port = if wish.proof == Proof::Http { 80 } else { 443 };
    format!("{words}It says: {reason}\nPort {port} of what the name leads to must reach this server.")
}

fn unreached(server: &str, domain: &str, proof: Proof, leads_to: &[String], own: &str) -> String {
    let place = match proof {
        Proof::Http => format!("http://{domain}/.well-known/…"),
        Proof::Tls => format!("https://{domain}/"),
    };
    let leads_to = if leads_to.is_empty() { "nowhere".to_owned() } else { format!("to {}", leads_to.join(", ")) };
    format!("{server} could not reach {place}: DNS points {leads_to}, this host is {own}.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_was_not_found_says_where_the_name_leads_instead() {
        let leads_to = ["198.51.100.4".to_owned()];
        assert_eq!(
            unreached("Let's Encrypt", "keys.example.com", Proof::Http, &leads_to, "203.0.113.9"),
            "Let's Encrypt could not reach http://keys.example.com/.well-known/…: DNS points to 198.51.100.4, this host is 203.0.113.9.\n"
        );
        assert_eq!(
            unreached("Let's Encrypt", "keys.example.com", Proof::Tls, &[], "203.0.113.9"),
            "Let's Encrypt could not reach https://keys.example.com/: DNS points nowhere, this host is 203.0.113.9.\n"
        );
    }
}
