//! `keyrack migrate`: brings the database to this program's schema. Every other command does so too when it opens it.

use anyhow::Result;
use serde_json::json;

use super::data::Place;
use super::output::Output;

pub fn run(place: &Place, out: &Output) -> Result<()> {
    place.must_hold_data()?;
    let store = place.open_store(out)?;
    let migrated = &store.migrated;
    out.result(&json!({ "from": migrated.from, "to": migrated.to }), || match migrated.to - migrated.from {
        0 => format!("The database is up to date (schema {}).", migrated.to),
        steps => format!("Migrated the database from schema {} to {} ({steps} steps).", migrated.from, migrated.to),
    })
}
