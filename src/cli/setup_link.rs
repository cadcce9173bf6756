//! `keyrack setup-link`: a new one-time link for making the first administrator.

use anyhow::Result;
use serde_json::json;

use super::data::Place;
use super::failure::Failure;
use super::output::Output;
use super::running::Running;
use crate::config::{Config, TlsMode};
use crate::services::setup;

pub fn run(place: &Place, out: &Output) -> Result<()> {
    let open = place.begin(out)?;
    let Some(link) = open.run(setup::new_link(&open.app))? else {
        return Err(Failure::failed(format!(
            "There is an administrator already, so there is nothing to set up.\nAnother one: {}   A forgotten password: {}",
            place.command(["admin", "create", "--email", "NAME@EXAMPLE.COM"]),
            place.command(["admin", "reset-password", "--email", "NAME@EXAMPLE.COM"]),
        )));
    };
    // A running server may listen where only its own flags say.
    let base = Running::of(&place.dir()).map_or_else(|| base_url(&open.app.config, None), |server| server.url);
    let url = url(&base, &link);
    out.talk("Create the first admin (the link works once, for 30 minutes; links made before it no longer work):");
    out.result(&json!({ "url": url, "expires_at": link.expires_at }), || url.clone())
}

pub fn url(base: &str, link: &setup::Link) -> String {
    format!("{base}/setup/{}", link.code)
}

/// Where the server is reached: as configured, else where it listens.
pub fn base_url(config: &Config, bound: Option<std::net::SocketAddr>) -> String {
    if let Some(url) = &config.server.public_url {
        return url.to_string();
    }
    let mut addr = bound.unwrap_or(config.server.listen);
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    match config.tls.mode {
        TlsMode::Off => format!("http://{addr}"),
        TlsMode::Acme => {
            let port = if addr.port() == 443 { String::new() } else { format!(":{}", addr.port()) };
            format!("https://{}{port}", config.tls.acme_domains.first().map_or("localhost", |domain| domain.as_str()))
        }
        _ => format!("https://{addr}").trim_end_matches(":443").to_owned(),
    }
}
