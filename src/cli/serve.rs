//! `keyrack serve`: opens everything, says where it is, serves until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::data::{self, Place};
use super::failure::Failure;
use super::output::Output;
use super::running::{Running, clock_time};
use super::setup_link::{base_url, url};
use super::systemd::{self, Sockets};
use super::{log, port};
use crate::app::App;
use crate::app::certificate::CertificateStatus;
use crate::config::{Flag, Log, LogFormat, TlsMode};
use crate::http;
use crate::model::clock::Clock;
use crate::services::{audit, backups, certificates, maintenance, setup, webhooks};
use crate::store::ServerLock;
use crate::store::migrate::Migrated;

/// How long the connections that stand in the queue of the socket are taken from it.
const LAST_ACCEPTS: Duration = Duration::from_millis(20);
/// How long a stopping server reads from the connections that it has accepted: until a request that is on its way is there.
const LAST_READS: Duration = Duration::from_millis(500);
/// The same where a handshake comes first, which goes to and fro.
const LAST_TLS_READS: Duration = Duration::from_millis(1_500);
/// A file of so many bytes is looked through for damage in a blink; a larger one while the server works already.
const LOOKED_THROUGH_FIRST: u64 = 64 << 20;

#[derive(Args, Default)]
pub struct ServeArgs {
    /// The address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The address under which clients reach this server, for example https://NAME
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Public: HTTPS on port 443 with a certificate from Let's Encrypt for this name, and port 80 that leads there
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    domain: Vec<String>,
    /// Serve plain HTTP beyond this machine
    #[arg(long)]
    insecure_http: bool,
    /// auto, pretty or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ServeArgs {
    /// What is not given here, as `other` has it.
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            public_url: self.public_url.or(other.public_url),
            domain: if self.domain.is_empty() { other.domain } else { self.domain },
            insecure_http: self.insecure_http || other.insecure_http,
            log_format: self.log_format.or(other.log_format),
        }
    }

    pub fn first_given(&self) -> Option<&'static str> {
        self.flags().first().map(|flag| flag.name)
    }

    fn flags(&self) -> Vec<Flag> {
        let text = |name, value: &Option<String>| value.clone().map(|value| Flag { name, value });
        let flags = [
            text("--listen", &self.listen),
            text("--public-url", &self.public_url),
            (!self.domain.is_empty()).then(|| Flag { name: "--domain", value: self.domain.join(",") }),
            self.insecure_http.then(|| Flag { name: "--insecure-http", value: "true".into() }),
            text("--log-format", &self.log_format),
        ];
        flags.into_iter().flatten().collect()
    }
}

pub fn run(place: &Place, args: &ServeArgs, out: &Output) -> Result<()> {
    let dir = place.dir();
    let is_new = !dir.join("keyrack.db").exists();
    // The port comes from what stands outside the database, so that a mistake there leaves no trace on the disk.
    let outside = place.settings(args.flags(), Default::default())?.config;
    if let Some(fault) = outside.fault() {
        return Err(Failure::failed(fault));
    }
    super::volatile::check(place)?;
    // A server that has the data already is told before a port that it has too.
    let sockets = Sockets::handed_over()?;
    let is_handed_over = sockets.main.is_some();
    let listener = sockets.main.map_or_else(|| port::listen(outside.server.listen, place), Ok);
    let plain = match (sockets.plain, outside.server.http_listen) {
        (Some(plain), _) => Ok(Some(plain)),
        (None, addr) => addr.map(|addr| port::listen(addr, place)).transpose(),
    };
    let bound = listener.as_ref().ok().and_then(|listener| listener.local_addr().ok());
    let clock = Clock::real();
    let listen = Running::reached_at(bound.unwrap_or(outside.server.listen));
    let (url, tls) = (base_url(&outside, bound), outside.tls.mode != TlsMode::Off);
    let config = place.config_named().and_then(noted);
    let note = Running { pid: std::process::id(), since: clock.now(), url, listen, tls, config };
    let _lock = lock(&dir, &note, &clock)?;
    let (listener, plain) = (listener?, plain?);

    let store = place.store(&dir)?;
    let is_small = std::fs::metadata(store.path()).map_or(0, |file| file.len()) <= LOOKED_THROUGH_FIRST;
    if let Some(found) = is_small.then(|| store.damage()).flatten() {
        return Err(place.damaged(&dir, &found));
    }
    let migrated = store.migrated.clone();
    let mut loaded = place.settings(args.flags(), Place::stored(&store)?)?;
    if let (Some(bound), true) = (bound, is_handed_over) {
        loaded.config.server.listen = bound;
        loaded.config.server.http_listen = plain.as_ref().and_then(|plain| plain.local_addr().ok());
        if let Some(fault) = loaded.config.fault() {
            return Err(Failure::failed(fault));
        }
    }
    let fixed = loaded.fixed();
    let master_key = place.master_key(&store);
    let app = Arc::new(App { fixed, master_key, ..App::new(store, loaded.config, clock) });

    let system = actix_web::rt::System::new();
    system.block_on(async {
        app.load_master_key().await.map_err(|err| Failure::failed(err.to_string()))?;
        setup::seed(&app).await?;
        maintenance::restore_windows(&app).await?;
        let rounds = certificates::start(&app).map_err(|err| Failure::failed(err.to_string()))?;
        let link = setup::new_link(&app).await?;
        let base = base_url(&app.config, bound);
        let started = Started {
            place,
            dir: &dir,
            is_new,
            migrated: &migrated,
            base: &base,
            bound: bound.unwrap_or(app.config.server.listen),
            link,
        };
        // Before anyone is told that we run, and may stop us.
        let signals = Signals::new()?;
        // What systemd keeps open for the next start is not ours to close.
        let own = [Some(&listener), plain.as_ref()].into_iter().flatten().filter(|_| !is_handed_over);
        let doors = own.map(TcpListener::try_clone).collect::<Result<Vec<_>, _>>()?;
        let server = http::server(app.clone(), listener, plain)?;
        if out.json {
            out.raw(format!("{}\n", started.to_json()).as_bytes())?;
        } else if !logs_as_json(&app.config.log) {
            out.talk(started.in_words(&app, out));
        }
        let _log = log::start(&app.config.log, out.color, place.environment);
        if logs_as_json(&app.config.log) {
            started.log();
        }
        systemd::ready(&base);
        let alive = actix_web::rt::spawn(systemd::say_alive(app.clone()));
        let upkeep = actix_web::rt::spawn(maintenance::run(app.clone()));
        let renewals = actix_web::rt::spawn(certificates::run(app.clone(), rounds));
        let copying = actix_web::rt::spawn(backups::run(app.clone()));
        let sending = actix_web::rt::spawn(webhooks::worker::run(app.clone()));
        let damage = async {
            if is_small {
                return None;
            }
            let app = app.clone();
            let found = tokio::task::spawn_blocking(move || app.store.damage()).await.ok().flatten();
            found.map(|found| place.damaged(&dir, &found))
        };
        let served = until_stopped(server, &doors, signals, &app, damage).await;
        upkeep.abort();
        renewals.abort();
        alive.abort();
        copying.abort();
        sending.abort();
        // What the last requests used belongs to the next start.
        let flushed = maintenance::flush(&app).await;
        audit::tell_head(&app).await;
        served?;
        Ok(flushed?)
    })
}

/// A file that commands can find again: by its whole name, which fits on a line.
fn noted(config: &Path) -> Option<PathBuf> {
    let path = config.canonicalize().ok().filter(|path| path.is_file())?;
    path.to_str().is_some_and(|name| !name.contains('\n')).then_some(path)
}

/// Takes the data directory for this server alone.
fn lock(dir: &Path, note: &Running, clock: &Clock) -> Result<ServerLock> {
    let taken = ServerLock::take(dir, &note.to_string()).map_err(|err| Failure::failed(data::words(dir, &err)))?;
    taken.map_err(|holder| {
        let shown = dir.display();
        Failure::failed(match Running::parse(&holder) {
            Some(Running { pid, since, url, .. }) => {
                let since = clock_time(since, clock.now());
                format!("{shown} is used by Keyrack pid {pid} since {since}.\nOpen {url}/ or stop it first: kill {pid}")
            }
            None => format!("{shown} is used by another Keyrack.\nStop it first."),
        })
    })
}

/// What asks a server to stop, or to look at its files again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The one that asks to stop.
    async fn next(&mut self, app: &App) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => app.certificates.look_again.notify_one(),
            }
        }
    }
}

/// Serves until SIGTERM or SIGINT; then finishes what is being worked on. A second signal does not wait for that.
async fn until_stopped(
    server: Server,
    doors: &[TcpListener],
    mut signals: Signals,
    app: &App,
    damage: impl Future<Output = Option<anyhow::Error>>,
) -> Result<()> {
    let handle = server.handle();
    let mut broken = app.store.broken();
    let mut server = actix_web::rt::spawn(server);
    let failure = tokio::select! {
        ended = &mut server => return Ok(ended??),
        name = signals.next(app) => {
            tracing::info!("{name}: finishing the requests under way; once more to leave them");
            None
        }
        Ok(_) = broken.wait_for(|&broken| broken) => {
            let path = app.store.path().display();
            tracing::error!(%path, "the disk failed a write: stopping, since nothing more can be kept");
            Some(Failure::failed(format!("{path}: the disk failed a write. Check the disk, then start again.")))
        }
        Some(damaged) = damage => {
            tracing::error!(path = %app.store.path().display(), "the database is damaged: stopping");
            Some(damaged)
        }
    };
    systemd::stopping();
    let finishing = async {
        close(&handle, doors, app).await;
        handle.stop(true).await;
    };
    tokio::select! {
        () = finishing => server.await??,
        name = signals.next(app) => tracing::warn!("{name} again: leaving the requests under way"),
    }
    match failure {
        Some(failure) => Err(failure),
        None => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Lets nobody in any more, and those who are in finish. A worker that is told to stop drops the connections that it
/// has not read from yet, so it is told when there are none: first nobody new comes to the port, then it is closed, and
/// whoever got through it is given the time to be read. Connections that stay open are closed with their next answer,
/// since we are draining.
async fn close(handle: &ServerHandle, doors: &[TcpListener], app: &App) {
    doors.iter().for_each(let_nobody_knock);
    tokio::time::sleep(LAST_ACCEPTS).await;
    handle.pause().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    // Refused, those who come now try elsewhere; let into the queue of the socket, they would be cut off there.
    for door in doors {
        if let Err(err) = rustix::net::shutdown(door, rustix::net::Shutdown::Read) {
            tracing::debug!(error = %err, "the port stays open until the end");
        }
    }
    app.draining.store(true, Relaxed);
    let last_reads = if app.config.tls.mode == TlsMode::Off { LAST_READS } else { LAST_TLS_READS };
    tokio::time::sleep(last_reads).await;
}

/// Whoever knocks from now on is not heard, knocks again a second later, and is refused by then. Closing the port at once
/// would cut off those who stand in the socket's queue.
fn let_nobody_knock(door: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        // A program of one instruction, `ret #0`: of a packet that arrives nothing is kept.
        let drop_all = socket2::SockFilter::new(0x06, 0, 0, 0);
        if let Err(err) = socket2::SockRef::from(door).attach_filter(&[drop_all]) {
            tracing::debug!(error = %err, "the port hears new connections until the end");
        }
    }
}

fn certificate_line(certificate: &CertificateStatus) -> String {
    let (names, mode) = (certificate.names.join(", "), certificate.mode.as_str());
    match certificate.ends_at {
        Some(ends_at) if certificate.mode == TlsMode::SelfSigned => {
            format!("  TLS        {mode}, until {ends_at}, for {names}\n             SHA-256 {}", certificate.fingerprint)
        }
        Some(ends_at) => format!("  TLS        {mode}, until {ends_at}, for {names}"),
        None => format!("  TLS        {mode}, no certificate yet"),
    }
}

fn logs_as_json(log: &Log) -> bool {
    log.format == LogFormat::Json
}

/// What there is to say once the port is open.
struct Started<'a> {
    place: &'a Place<'a>,
    dir: &'a Path,
    is_new: bool,
    migrated: &'a Migrated,
    base: &'a str,
    bound: SocketAddr,
    link: Option<setup::Link>,
}

impl Started<'_> {
    fn setup_url(&self) -> Option<String> {
        self.link.as_ref().map(|link| url(self.base, link))
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "data": self.dir.display().to_string(),
            "listen": self.bound,
            "url": self.base,
            "setup_url": self.setup_url(),
        })
    }

    fn log(&self) {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %self.bound, url = self.base, "serving");
        if let Some(url) = self.setup_url() {
            tracing::warn!(setup_url = url, "create the first admin; the link works once");
        }
    }

    /// The most important line is the last.
    fn in_words(&self, app: &App, out: &Output) -> String {
        let (base, migrated) = (self.base, self.migrated);
        let state = match (self.is_new, migrated.to - migrated.from) {
            (true, _) => " (new, SQLite)".into(),
            (false, 0) => " (SQLite)".into(),
            (false, steps) => format!(" (SQLite, {steps} migrations)"),
        };
        let zone = jiff::tz::TimeZone::system();
        let zone = zone.iana_name().unwrap_or("UTC");
        let (version, dir) = (env!("CARGO_PKG_VERSION"), self.dir.display());
        let mut words = format!(
            "keyrack {version}  data {dir}{state}  time zone {zone}\n\
             \x20 API        {base}/v1      Docs  {base}/docs\n\
             \x20 Admin      {base}/        Logs  below (Ctrl+C stops, --log-format json for machines)"
        );
        if let Some(certificate) = app.certificate() {
            words += &format!("\n{}", certificate_line(&certificate));
        }
        if app.config.tls.mode == TlsMode::Off && self.bound.ip().is_loopback() && app.config.server.public_url.is_none() {
            let port = self.bound.port();
            words += &format!(
                "\n! Only this machine can connect. Public: --domain NAME (automatic HTTPS). Behind a proxy: --public-url https://NAME. \
                 LAN test: --listen 0.0.0.0:{port} --insecure-http"
            );
        } else if app.config.server.insecure_http {
            words += &format!("\n! Plain HTTP on {}: keys and passwords can be read on the way.", self.bound);
        }
        if let (Some(link), Some(url)) = (&self.link, self.setup_url()) {
            let until = clock_time(link.expires_at, app.clock.now());
            words += &format!(
                "\nCreate the first admin (link works once, until {until}, then run: {}):\n  {}",
                self.place.command(["setup-link"]),
                out.bold(&url)
            );
        }
        words
    }
}
