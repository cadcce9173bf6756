//! Settings > Network: what Keyrack sees of a connection, what stands in the way, and a report for whoever helps.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use ipnet::IpNet;

use crate::app::certificate::CertificateStatus;
use crate::config::{SETTINGS, TlsMode};
use crate::http::arrival::{Arrived, arrives_at, own_address_fault};
use crate::http::page::{Frame, PageError, Place};
use crate::http::signed_in::SignedIn;
use crate::http::words::{filters, in_words, msg, t};
use crate::model::check::Check;
use crate::services::{certificates, health, metrics};

#[derive(Template)]
#[template(path = "admin/settings/network.html")]
pub struct NetworkPage {
    pub frame: Frame,
    pub checks: Vec<Check>,
    /// None while TLS is not spoken here.
    pub certificate: Option<Vec<(&'static str, String)>>,
    pub report: String,
}

pub async fn show(who: SignedIn, req: HttpRequest) -> Result<HttpResponse, PageError> {
    let ready = health::readiness(&who.app).await;
    let mut checks = vec![address(&who, &req), proxy(&req), https(&who, &req), public_url(&who, &req), listen(&who), clock(&who)];
    let config = &who.app.config;
    let shown = who.app.certificate();
    checks.extend(
        shown.as_ref().map(|status| certificates::check::check(msg!("Certificate"), status, config, who.app.clock.now())),
    );
    let certificate = shown.map(|status| facts(&who, status));
    let mut report = format!("{}\nready: {}\n\n", metrics::build_words(&who.app), ready.is_ready());
    for check in &checks {
        report += &format!("{}: {} ({})\n", check.name, check.found, check.state.name());
    }
    for (name, value) in certificate.iter().flatten() {
        report += &format!("  {name}: {value}\n");
    }
    report += "\n";
    let fixed = |name: &str| who.app.fixed.get(name).map(|place| format!("   # {place}")).unwrap_or_default();
    for setting in SETTINGS {
        report += &format!("{} = {}{}\n", setting.name(), setting.show(config), fixed(&setting.name()));
    }
    Ok(who.ok(&NetworkPage { frame: who.frame(t("Network"), Place::Network), checks, certificate, report }))
}

fn facts(who: &SignedIn, status: CertificateStatus) -> Vec<(&'static str, String)> {
    let source = match status.mode {
        TlsMode::Off | TlsMode::Files => format!("the file {}", who.app.config.tls.cert_file.display()),
        TlsMode::SelfSigned => "made here, and vouched for by nobody".into(),
        TlsMode::Acme => format!("{}, by ACME", who.app.config.tls.acme_directory.server()),
    };
    let none = || "none yet".to_owned();
    let renewed = match (status.mode, status.renews_at) {
        (_, Some(at)) => format!("{}, by itself", who.now().moment(at).full),
        (TlsMode::Acme, None) => "as soon as it can be had".into(),
        (_, None) => "when its file changes".into(),
    };
    vec![
        (msg!("Names"), if status.names.is_empty() { none() } else { status.names.join(", ") }),
        (msg!("Issued by"), if status.issuer.is_empty() { none() } else { status.issuer }),
        (msg!("Comes from"), source),
        (msg!("Ends"), status.ends_at.map_or_else(none, |at| who.now().moment(at).full)),
        (msg!("Next renewal"), renewed),
        (msg!("SHA-256"), if status.fingerprint.is_empty() { none() } else { status.fingerprint }),
    ]
}

fn address(who: &SignedIn, req: &HttpRequest) -> Check {
    let peer = req.peer_addr().map_or_else(|| "unknown".into(), |peer| peer.ip().to_canonical().to_string());
    let ip = who.facts.ip.to_string();
    let found = if ip == peer { ip } else { format!("{ip}, through {peer}") };
    Check::ok(msg!("Your address as Keyrack sees it"), found)
}

fn proxy(req: &HttpRequest) -> Check {
    let client = req.arrival().client;
    let name = msg!("Proxy");
    if client.ignored_forwarding {
        let net = IpNet::from(client.ip);
        return Check::warning(
            name,
            format!("{} passes on requests, and is not trusted", client.ip),
            msg!("Until it is, every client seems to have the proxy's address, and HTTPS in front is not seen."),
            format!("[server] trusted_proxies = [\"{net}\"]"),
        );
    }
    match client.via_proxy {
        true if client.unnamed => Check::warning(
            name,
            "trusted, but it does not say who its client is",
            msg!("Limits and allow-lists need the client's address."),
            "In the proxy: X-Forwarded-For, as in docs/OPERATIONS.md",
        ),
        true => Check::ok(name, "trusted"),
        false => Check::ok(name, "none seen on this request"),
    }
}

fn https(who: &SignedIn, req: &HttpRequest) -> Check {
    let client = req.arrival().client;
    match (client.https, client.is_local()) {
        (true, _) => Check::ok(msg!("HTTPS"), "yes"),
        (false, true) => Check::ok(msg!("HTTPS"), "no, and this machine needs none"),
        (false, false) => Check::warning(
            msg!("HTTPS"),
            "no",
            msg!("Keys and passwords can be read on the way; passkeys and copying by button do not work."),
            format!("A proxy with a certificate in front of {}", who.app.config.server.listen),
        ),
    }
}

fn public_url(who: &SignedIn, req: &HttpRequest) -> Check {
    let name = msg!("Public URL");
    let arrives = arrives_at(req);
    match (who.app.live.public_url(), own_address_fault(req, &who.app)) {
        (Some(url), None) => Check::ok(name, format!("{url}, and this request came to it")),
        (Some(url), Some(_)) => Check::warning(
            name,
            format!("{url}, but this request came to {arrives}"),
            msg!("OAuth and links in messages lead to the public URL."),
            format!("[server] public_url = \"{arrives}\"   or open {url}"),
        ),
        (None, _) => Check::warning(
            name,
            format!("not set; this request came to {arrives}"),
            msg!("Without it links begin with whatever address a request came to."),
            format!("[server] public_url = \"{arrives}\""),
        ),
    }
}

fn listen(who: &SignedIn) -> Check {
    Check::ok(msg!("Listens on"), who.app.config.server.listen.to_string())
}

fn clock(who: &SignedIn) -> Check {
    let at = who.app.clock.now().to_jiff().to_zoned(who.now().zone);
    Check::ok(msg!("Clock"), in_words(&at, msg!("%a %-d %b %Y %H:%M:%S %Z")))
}
