//! Putting the settings together from where they may be given. All mistakes are reported together, each with its place.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::read::Given;
use super::{Config, SETTINGS, Setting, sections};

/// Gives the text of a file, or the words for why not.
pub type ReadFile<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Where settings come from. This module reads neither files nor the environment.
#[derive(Default)]
pub struct Inputs<'a> {
    /// Reads the file that a secret is kept in.
    pub read_file: Option<&'a ReadFile<'a>>,
    pub flags: Vec<Flag>,
    /// The whole environment; what does not begin with `KEYRACK_` is passed over.
    pub environment: &'a [(String, String)],
    pub file: Option<ConfigFile>,
    /// What was set in the dashboard, by `section.key`.
    pub stored: BTreeMap<String, String>,
}

pub struct Flag {
    /// `--listen`; must be the flag of a setting.
    pub name: &'static str,
    pub value: String,
}

pub struct ConfigFile {
    /// As the person named it.
    pub name: String,
    pub text: String,
}

/// The settings, and where each of them came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    sources: BTreeMap<String, Source>,
}

impl Loaded {
    pub fn source(&self, setting: &Setting) -> &Source {
        self.sources.get(&setting.name()).unwrap_or(&Source::Default)
    }

    /// What a flag, the environment or the file sets, with the place: it wins over the dashboard.
    pub fn fixed(&self) -> BTreeMap<String, String> {
        let outside = |source: &Source| !matches!(source, Source::Default | Source::Dashboard);
        let fixed = self.sources.iter().filter(|(_, source)| outside(source));
        fixed.map(|(name, source)| (name.clone(), source.to_string())).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Dashboard,
    File { name: String, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Dashboard => f.write_str("dashboard"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is wrong with one setting, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub hint: Option<String>,
}

/// One mistake at least.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&fault.message)?;
            if let Some(hint) = &fault.hint {
                write!(f, "\n{hint}")?;
            }
        }
        Ok(())
    }
}

/// Reads everything that was given, what wins last.
pub fn load(inputs: &Inputs) -> Result<Loaded, Faults> {
    let mut loading = Loading { read_file: inputs.read_file, ..Loading::default() };
    loading.stored(&inputs.stored);
    if let Some(file) = &inputs.file {
        loading.file(file);
    }
    loading.environment(inputs.environment);
    loading.flags(&inputs.flags);
    loading.follow_from_domain();
    if loading.faults.is_empty() {
        Ok(Loaded { config: loading.config, sources: loading.sources })
    } else {
        Err(Faults(loading.faults))
    }
}

#[derive(Default)]
struct Loading<'a> {
    read_file: Option<&'a ReadFile<'a>>,
    config: Config,
    sources: BTreeMap<String, Source>,
    faults: Vec<Fault>,
}

impl Loading<'_> {
    /// Sets one; `shown` is how the mistake is quoted.
    fn set(&mut self, setting: &Setting, given: &Given, source: Source, shown: impl FnOnce() -> String) {
        match (setting.read)(&mut self.config, given) {
            Ok(()) => {
                self.sources.insert(setting.name(), source);
            }
            Err(advice) => {
                // What was given as a secret is not repeated on a screen.
                let shown = shown();
                let shown = if setting.is_secret() { shown.split_once('=').map_or(&*shown, |(name, _)| name) } else { &shown };
                self.faults.push(Fault { message: format!("{}: {advice}.", shown.trim_end()), hint: None });
            }
        }
    }

    /// Sets a secret to what the file holds that `path` names.
    fn set_from_file(&mut self, setting: &Setting, path: Option<&str>, source: Source, place: &str) {
        let read = |path: &str| self.read_file.map_or_else(|| Err("no files are read here".into()), |read| read(path));
        match path.ok_or_else(|| "use the name of a file in quotes".to_owned()).and_then(read) {
            Ok(text) => self.set(setting, &Given::Text(&text), source, || place.to_owned()),
            Err(words) => self.faults.push(Fault { message: format!("{place}: {words}."), hint: None }),
        }
    }

    fn stored(&mut self, stored: &BTreeMap<String, String>) {
        // What a newer version stored is none of this one's business.
        for (setting, value) in SETTINGS.iter().filter_map(|setting| Some((setting, stored.get(&setting.name())?))) {
            let shown = || format!("the dashboard's {} = \"{value}\"", setting.name());
            self.set(setting, &Given::Text(value), Source::Dashboard, shown);
        }
    }

    fn file(&mut self, file: &ConfigFile) {
        let place = |at: usize| format!("{}:{}", file.name, line_of(&file.text, at));
        let (document, errors) = DeTable::parse_recoverable(&file.text);
        if !errors.is_empty() {
            self.faults.extend(errors.iter().map(|error| Fault {
                message: format!("{}: {}.", place(error.span().map_or(0, |span| span.start)), error.message()),
                hint: None,
            }));
            return;
        }
        for (name, value) in document.get_ref() {
            let place = place(name.span().start);
            match value.get_ref() {
                DeValue::Table(keys) if sections().any(|section| section == name.get_ref()) => {
                    self.section(file, name.get_ref(), keys);
                }
                DeValue::Table(_) => self.faults.push(Fault {
                    message: format!("{place}: unknown section [{}].", name.get_ref()),
                    hint: Some(suggest(nearest(name.get_ref(), sections()).map(|section| format!("[{section}]")))),
                }),
                _ => self.faults.push(Fault {
                    message: format!("{place}: \"{}\" stands before any section.", name.get_ref()),
                    hint: Some(suggest(Setting::find(name.get_ref()).map(under_section))),
                }),
            }
        }
    }

    fn section(&mut self, file: &ConfigFile, section: &str, keys: &DeTable) {
        for (key, value) in keys {
            let line = line_of(&file.text, key.span().start);
            if let Some(setting) = secret_in_file(section, key.get_ref()) {
                let (source, place) =
                    (Source::File { name: file.name.clone(), line }, format!("{}:{line}: {}", file.name, key.get_ref()));
                self.set_from_file(setting, value.get_ref().as_str(), source, &place);
                continue;
            }
            let Some(setting) = in_section(section, key.get_ref()) else {
                self.faults.push(Fault {
                    message: format!("{}:{line}: unknown key \"{}\".", file.name, key.get_ref()),
                    hint: Some(suggest(nearest_key(section, key.get_ref()))),
                });
                continue;
            };
            let quoted = || format!("{}:{line}: {} = {}", file.name, setting.key, &file.text[value.span()]);
            let source = Source::File { name: file.name.clone(), line };
            self.set(setting, &Given::Toml(value.get_ref()), source, quoted);
        }
    }

    fn environment(&mut self, environment: &[(String, String)]) {
        for (name, value) in environment {
            let Some((section, key)) = name.strip_prefix("KEYRACK_").and_then(|name| {
                let section = sections().find(|section| name.starts_with(&format!("{}_", section.to_uppercase())))?;
                Some((section, name[section.len() + 1..].to_lowercase()))
            }) else {
                continue;
            };
            if let Some(setting) = secret_in_file(section, &key).filter(|_| !value.is_empty()) {
                self.set_from_file(setting, Some(value), Source::Variable(name.clone()), name);
                continue;
            }
            let Some(setting) = in_section(section, &key) else {
                if is_anothers(section, &key) {
                    continue;
                }
                let near = nearest_key(section, &key).and_then(|near| in_section(section, &near));
                self.faults.push(Fault {
                    message: format!("{name}: unknown key \"{key}\"."),
                    hint: Some(suggest(near.map(Setting::variable))),
                });
                continue;
            };
            // Compose files and unit files pass on variables that nobody set as empty ones.
            if !value.is_empty() {
                self.set(setting, &Given::Text(value), Source::Variable(name.clone()), || format!("{name}=\"{value}\""));
            }
        }
    }

    /// `--domain NAME` is all that a public server has to be told: the rest follows, where nothing else was said.
    fn follow_from_domain(&mut self) {
        const FLAG: Source = Source::Flag("--domain");
        let Some(domain) = self.config.tls.acme_domains.first().filter(|_| self.sources.get("tls.acme_domains") == Some(&FLAG))
        else {
            return;
        };
        let public_url = format!("https://{}", domain.as_str());
        let follows = [
            ("tls.mode", "acme"),
            ("server.listen", "[::]:443"),
            ("server.http_listen", "[::]:80"),
            ("server.public_url", &public_url),
        ];
        for (name, value) in follows {
            let setting = Setting::find(name).expect("a setting");
            if !self.sources.contains_key(name) {
                self.set(setting, &Given::Text(value), FLAG, || format!("--domain: {name} = {value}"));
            }
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            let setting = SETTINGS.iter().find(|setting| setting.flag == Some(flag.name));
            let setting = setting.expect("a flag is handed in only where a setting names it");
            self.set(setting, &Given::Text(&flag.value), Source::Flag(flag.name), || format!("{} {}", flag.name, flag.value));
        }
    }
}

fn in_section(section: &str, key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.section == section && setting.key == key)
}

/// The secret that `key` names the file of: `token_file`.
fn secret_in_file(section: &str, key: &str) -> Option<&'static Setting> {
    in_section(section, key.strip_suffix("_file")?).filter(|setting| setting.is_secret())
}

/// Variables that look like ours and are not: what programs that call the API are given, and what Kubernetes tells
/// every container of a service that happens to be called keyrack-api or keyrack-server.
fn is_anothers(section: &str, key: &str) -> bool {
    let is_clients = section == "api" && matches!(key, "key" | "url");
    is_clients || key == "port" || key.starts_with("port_") || key == "service_host" || key.starts_with("service_port")
}

fn under_section(setting: &Setting) -> String {
    format!("{} under [{}]", setting.key, setting.section)
}

/// A key of this section that reads alike, or one of this very name in another section.
fn nearest_key(section: &str, key: &str) -> Option<String> {
    let of_section = SETTINGS.iter().filter(|setting| setting.section == section).map(|setting| setting.key);
    nearest(key, of_section).map(str::to_owned).or_else(|| Setting::find(key).map(under_section))
}

/// The full name of the setting that was probably meant.
pub fn nearest_setting(typed: &str) -> Option<String> {
    let names: Vec<String> = SETTINGS.iter().map(Setting::name).collect();
    let by_name = nearest(typed, names.iter().map(String::as_str)).map(str::to_owned);
    let by_key = || nearest(typed, SETTINGS.iter().map(|setting| setting.key)).and_then(Setting::find).map(Setting::name);
    by_name.or_else(by_key)
}

/// What was probably meant.
fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|name| (strsim::jaro_winkler(typed, name), name));
    scored.filter(|(score, _)| *score > 0.85).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

fn suggest(near: Option<String>) -> String {
    let near = near.map(|near| format!("Did you mean {near}?   ")).unwrap_or_default();
    format!("{near}All keys: keyrack config explain")
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}
