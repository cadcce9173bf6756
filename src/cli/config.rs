//! `keyrack config`: what is set, from where, and what each setting means.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::data::Place;
use super::failure::Failure;
use super::output::Output;
use crate::config::{self, Config, Loaded, SETTINGS, Setting};

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Every setting, its value, and where that comes from
    Show,
    /// Find mistakes in the file, the environment and what is stored
    Check,
    /// What a setting means and how it is given; without KEY, all of them
    Explain {
        /// For example server.listen
        key: Option<String>,
        /// As a file that sets nothing, to start one's own from
        #[arg(long, conflicts_with_all = ["key", "json"])]
        toml: bool,
    },
}

#[derive(Serialize)]
struct Shown {
    key: String,
    value: Value,
    source: String,
}

pub fn run(place: &Place, command: ConfigCommand, out: &Output) -> Result<()> {
    match command {
        ConfigCommand::Show => {
            let loaded = load(place)?;
            let rows: Vec<Shown> = SETTINGS.iter().map(|setting| shown(setting, &loaded)).collect();
            out.result(&rows, || {
                let cells = SETTINGS
                    .iter()
                    .map(|setting| [setting.name(), in_effect(setting, &loaded.config), loaded.source(setting).to_string()]);
                out.table(["SETTING", "VALUE", "FROM"], &cells.collect::<Vec<_>>())
            })
        }
        ConfigCommand::Check => {
            let loaded = load(place)?;
            if let Some(fault) = loaded.config.fault() {
                return Err(Failure::failed(fault));
            }
            let set = SETTINGS.iter().filter(|setting| *loaded.source(setting) != config::Source::Default).count();
            out.result(&json!({ "ok": true, "set": set }), || {
                format!("No mistakes. {set} of {} settings are set.", SETTINGS.len())
            })
        }
        ConfigCommand::Explain { toml: true, .. } => out.raw(config::example_file().as_bytes()),
        ConfigCommand::Explain { key: None, .. } => {
            let all: Vec<Value> = SETTINGS.iter().map(explained).collect();
            out.result(&all, || SETTINGS.iter().map(in_words).collect::<Vec<_>>().join("\n"))
        }
        ConfigCommand::Explain { key: Some(key), .. } => {
            let of_file = || Setting::find(key.strip_suffix("_file")?).filter(|setting| setting.is_secret());
            let setting = Setting::find(&key).or_else(of_file).ok_or_else(|| unknown(&key))?;
            out.result(&explained(setting), || in_words(setting))
        }
    }
}

/// Without a data directory, those that hold on a new one.
pub(super) fn load(place: &Place) -> Result<Loaded> {
    // Looking at the settings makes no data directory.
    let dir = place.dir();
    let stored = if dir.join("keyrack.db").exists() { Place::stored(&place.store(&dir)?)? } else { BTreeMap::new() };
    place.settings(Vec::new(), stored)
}

fn shown(setting: &Setting, loaded: &Loaded) -> Shown {
    Shown { key: setting.name(), value: to_json(&setting.show(&loaded.config)), source: loaded.source(setting).to_string() }
}

/// What people are shown: of what follows another setting, what came of that.
fn in_effect(setting: &Setting, config: &Config) -> String {
    match (setting.section, setting.key) {
        ("api", "key_prefix") if config.api.key_prefix.is_none() => format!("\"{}\"", config.api.dialect.key_prefix()),
        _ => setting.show(config),
    }
}

fn explained(setting: &Setting) -> Value {
    json!({
        "key": setting.name(),
        "description": setting.words,
        "default": to_json(&setting.show(&Config::default())),
        "environment": setting.variable(),
        "flag": setting.flag,
        "file_key": setting.file_key(),
        "file_environment": setting.file_key().map(|_| format!("{}_FILE", setting.variable())),
    })
}

fn in_words(setting: &Setting) -> String {
    let flag = setting.flag.map(|flag| format!("   Flag: {flag}")).unwrap_or_default();
    let file = setting
        .file_key()
        .map(|key| format!("\n    From the first line of a file: {key} = \"FILE\"   Environment: {}_FILE", setting.variable()));
    format!(
        "{}\n    {}\n    Default: {}   Environment: {}{flag}{}\n",
        setting.name(),
        setting.words,
        setting.show(&Config::default()),
        setting.variable(),
        file.unwrap_or_default()
    )
}

fn unknown(key: &str) -> anyhow::Error {
    let near = config::nearest_setting(key).map(|name| format!("Did you mean {name}?   ")).unwrap_or_default();
    Failure::not_found(format!("There is no setting \"{key}\".\n{near}All keys: keyrack config explain"))
}

/// A value as the file would have it, as JSON.
fn to_json(value: &str) -> Value {
    let parsed: Result<BTreeMap<String, Value>, _> = toml::from_str(&format!("value = {value}"));
    parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| value.into())
}
