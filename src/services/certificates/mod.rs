//! Which certificate is shown: read or made at the start, and looked after while the server runs.

mod acme;
pub mod check;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::config::TlsMode;
use crate::model::clock::Timestamp;
use crate::tls::{CertificateError, KeyedCertificate, self_signed};

const SELF_SIGNED: &str = "self-signed.pem";
const ACME_CERTIFICATE: &str = "acme.pem";
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// From here on the log says every day that the certificate ends.
pub const END_IS_NEAR: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What a round of looking leaves for the next one.
#[derive(Default)]
pub struct Rounds {
    files: Vec<Option<(SystemTime, u64)>>,
    warned_at: Option<Timestamp>,
}

/// Reads or makes the certificate. An error is for whoever starts the server.
pub fn start(app: &App) -> Result<Rounds, CertificateError> {
    let rounds = Rounds { files: state_of_files(app), ..Rounds::default() };
    match app.config.tls.mode {
        TlsMode::Off => {}
        TlsMode::Files => app.certificates.show(read_files(app)?),
        TlsMode::SelfSigned => show_self_signed(app)?,
        TlsMode::Acme => acme::show_kept(app),
    }
    Ok(rounds)
}

/// Runs until the program ends.
pub async fn run(app: Arc<App>, mut rounds: Rounds) {
    let mut asked = false;
    loop {
        look(&app, &mut rounds, asked).await;
        asked = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = app.certificates.look_again.notified() => true,
        };
    }
}

/// Takes up files that have changed, makes a new certificate where that is ours to do, and warns of one that ends.
/// Whatever fails, the one before is still shown.
pub async fn look(app: &App, rounds: &mut Rounds, asked: bool) {
    let done = match app.config.tls.mode {
        TlsMode::Off => Ok(()),
        TlsMode::Files => {
            let files = state_of_files(app);
            if files == rounds.files && !asked {
                Ok(())
            } else {
                rounds.files = files;
                read_files(app).map(|new| show(app, new)).map_err(|err| err.to_string())
            }
        }
        TlsMode::SelfSigned if is_due(app) => show_self_signed(app).map_err(|err| err.to_string()),
        TlsMode::Acme if is_due(app) => acme::renew(app, asked).await,
        TlsMode::SelfSigned | TlsMode::Acme => Ok(()),
    };
    if let Err(words) = done {
        tracing::error!("no new certificate: {words}");
        app.certificates.failed(words);
    }
    warn_of_end(app, rounds);
}

fn show(app: &App, new: KeyedCertificate) {
    let (names, ends_at) = (new.facts.names.join(" "), new.facts.ends_at);
    app.certificates.show(new);
    // Said when it is so: whoever reads it may connect at once.
    tracing::info!(names, %ends_at, "a new certificate is shown");
}

fn read_files(app: &App) -> Result<KeyedCertificate, CertificateError> {
    KeyedCertificate::read(&app.config.tls.cert_file, &app.config.tls.key_file)
}

/// When each was changed, and how long it is; nothing for one that cannot be seen.
fn state_of_files(app: &App) -> Vec<Option<(SystemTime, u64)>> {
    let files = [&app.config.tls.cert_file, &app.config.tls.key_file];
    files.iter().map(|file| file.metadata().ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())))).collect()
}

fn is_due(app: &App) -> bool {
    let Some(status) = app.certificate() else { return false };
    let mut wanted = app.config.tls.acme_domains.iter();
    let covers = status.mode != TlsMode::Acme || wanted.all(|domain| status.names.iter().any(|name| name == domain.as_str()));
    !covers || status.renews_at.is_none_or(|at| at <= app.clock.now())
}

/// The one that is kept, as long as it is for what this server is called and does not end soon; else a new one.
fn show_self_signed(app: &App) -> Result<(), CertificateError> {
    let server = &app.config.server;
    let names = self_signed::names(server.public_url.as_ref().map(|url| url.host()), server.listen.ip());
    let path = kept_at(app, SELF_SIGNED);
    let lasts = |kept: &KeyedCertificate| app.clock.now() < kept.facts.ends_at.saturating_sub(self_signed::RENEWED_BEFORE);
    let kept = KeyedCertificate::read(&path, &path).ok();
    let kept = kept.filter(|kept| kept.facts.covers(names.iter().map(String::as_str)) && lasts(kept));
    if let Some(kept) = kept {
        app.certificates.show(kept);
        return Ok(());
    }
    let made = self_signed::make(&names, app.clock.now());
    let made = made.map_err(|err| CertificateError::Unusable { path: path.clone(), reason: err.to_string() })?;
    crate::tls::keep(&path, &made)?;
    app.certificates.show(KeyedCertificate::read(&path, &path)?);
    Ok(())
}

/// Where in the data directory.
fn kept_at(app: &App, name: &str) -> PathBuf {
    kept_in(app.store.path().parent().unwrap_or(app.store.path()), name)
}

fn kept_in(dir: &Path, name: &str) -> PathBuf {
    dir.join("tls").join(name)
}

/// Once a day, from two weeks before the end.
fn warn_of_end(app: &App, rounds: &mut Rounds) {
    let Some(shown) = app.certificates.shown() else { return };
    let (now, ends_at) = (app.clock.now(), shown.facts.ends_at);
    let is_near = ends_at <= now.saturating_add(END_IS_NEAR);
    let was_told = rounds.warned_at.is_some_and(|at| now < at.saturating_add(Duration::from_secs(24 * 60 * 60)));
    if !is_near || was_told {
        return;
    }
    rounds.warned_at = Some(now);
    let (names, day) = (shown.facts.names.join(", "), ends_at.to_string());
    let fix = check::fix(&app.config);
    if ends_at <= now {
        tracing::error!("The certificate for {names} ended on {day}: clients refuse to connect. {fix}");
    } else {
        tracing::warn!("The certificate for {names} ends on {day}. {fix}");
    }
}
