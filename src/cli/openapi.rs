//! `keyrack openapi`: the API as an OpenAPI document, without a running server.

use anyhow::Result;

use super::config;
use super::data::Place;
use super::output::Output;
use crate::config::{PublicUrl, TlsMode};
use crate::http::api::reference::openapi;
use crate::model::clock::Clock;

/// In the conventions and with the address that a server on this data directory has.
pub fn run(place: &Place, out: &Output) -> Result<()> {
    let settings = config::load(place)?.config;
    let scheme = if settings.tls.mode == TlsMode::Off { "http" } else { "https" };
    let listens = || format!("{scheme}://{}", settings.server.listen);
    let base_url = settings.server.public_url.as_ref().map_or_else(listens, |url: &PublicUrl| url.as_str().to_owned());
    let document = openapi::document(settings.api.dialect, &base_url, &Clock::real());
    out.raw(format!("{document:#}\n").as_bytes())
}
