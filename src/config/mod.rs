//! Every setting of the program: what it means, its default, and where its value came from. A flag wins over the
//! environment, that over the file, that over what the dashboard stored, and that over the default.

mod load;
mod read;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use load::{ConfigFile, Fault, Faults, Flag, Inputs, Loaded, Source, load, nearest_setting};
pub use read::{Given, SHORTEST_PASSPHRASE};
pub use values::{AcmeDirectory, Directory, Domain, HeaderName, LogFormat, LogLevel, PublicUrl, Schedule, SecretText, TlsMode};

use crate::crypto::secret::Prefix;
use crate::model::dialect::DialectName;
use read::Show;

/// A setting as `config explain` tells it. The table of them is all that the rest is made from.
pub struct Setting {
    pub section: &'static str,
    pub key: &'static str,
    pub words: &'static str,
    /// The flag of `keyrack serve` that sets it.
    pub flag: Option<&'static str>,
    read: fn(&mut Config, &Given) -> Result<(), String>,
    show: fn(&Config) -> String,
}

macro_rules! settings {
    ($($field:ident: $section:ident { $(
        $key:ident: $type:ty = $default:expr, $read:expr, $flag:expr, $words:literal;
    )* })*) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Config { $(pub $field: $section,)* }

        $(
            #[derive(Clone, Debug, PartialEq)]
            pub struct $section { $(#[doc = $words] pub $key: $type,)* }

            impl Default for $section {
                fn default() -> Self {
                    Self { $($key: $default,)* }
                }
            }
        )*

        pub const SETTINGS: &[Setting] = &[$($(
            Setting {
                section: stringify!($field),
                key: stringify!($key),
                words: $words,
                flag: $flag,
                read: |config, given| $read(given).map(|value| config.$field.$key = value),
                show: |config| config.$field.$key.show(),
            },
        )*)*];
    };
}

settings! {
    server: Server {
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), read::listen, Some("--listen"),
            "The address and port to listen on. Port 0: a free one is chosen and printed.";
        http_listen: Option<SocketAddr> = None, read::second_listen, None,
            "A second address, for plain HTTP beside TLS: pages are sent on to https, the API is refused. Empty: none.";
        public_url: Option<PublicUrl> = None, read::public_url, Some("--public-url"),
            "The address under which clients reach this server, for links and for OAuth. Empty: as requests come in.";
        insecure_http: bool = false, read::boolean, Some("--insecure-http"),
            "Serve plain HTTP beyond this machine, so that keys and passwords can be read on the way.";
        trusted_proxies: Vec<IpNet> = Vec::new(), read::networks, None,
            "The networks of the proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed.";
        max_body_bytes: usize = 65_536, |given: &_| read::number(given, 1_024, 33_554_432), None,
            "The largest body of a request.";
        header_timeout: Duration = Duration::from_secs(5), |given: &_| read::span(given, 1, 300), None,
            "A request's headers must have come within this time.";
        body_timeout: Duration = Duration::from_secs(10), |given: &_| read::span(given, 1, 3_600), None,
            "A request's body must have come within this time.";
        drain_timeout: Duration = Duration::from_secs(30), |given: &_| read::span(given, 0, 3_600), None,
            "How long a stopping server waits for the requests that it is working on.";
        workers: usize = 0, |given: &_| read::number(given, 0, 1_024), None,
            "Threads that serve requests. 0: one for each core.";
    }
    tls: Tls {
        mode: TlsMode = TlsMode::Off, read::tls_mode, None,
            "Where the certificate comes from: off (plain HTTP), files, self-signed, or acme (Let's Encrypt, or another server).";
        cert_file: PathBuf = PathBuf::new(), read::path, None,
            "With files: the certificate, and after it those that vouch for it (PEM). A changed file is taken up by itself.";
        key_file: PathBuf = PathBuf::new(), read::path, None,
            "With files: the certificate's private key (PEM). Not to be read by everyone.";
        acme_domains: Vec<Domain> = Vec::new(), read::domains, Some("--domain"),
            "With acme: the domains to get a certificate for. They must lead to this machine.";
        acme_email: String = String::new(), read::acme_email, None,
            "With acme: where the server may write to when something is wrong. Using it means to agree to its terms.";
        acme_directory: AcmeDirectory = AcmeDirectory::default(), read::acme_directory, None,
            "With acme: the address of the server's directory.";
        acme_ca_file: PathBuf = PathBuf::new(), read::path, None,
            "With acme: a certificate (PEM) to trust when speaking to a server of one's own.";
    }
    api: Api {
        dialect: DialectName = DialectName::Native, read::dialect, None,
            "The conventions in which the API answers: native, plain, usertour, resend or mitwirken.";
        key_prefix: Option<Prefix> = None, read::key_prefix, None,
            "What the secrets of new keys begin with. Empty: as the dialect has it.";
        require_user_agent: bool = false, read::boolean, None,
            "Refuse API requests without a User-Agent header.";
        forward_auth_header: Option<HeaderName> = None, read::forward_auth_header, None,
            "The header in which clients of a gateway send their key, for example X-Api-Key. Empty: Authorization.";
    }
    limits: Limits {
        max_concurrent: usize = 256, |given: &_| read::number(given, 1, 65_536), None,
            "API requests that are worked on at once. More wait in a queue.";
        max_queued: usize = 1_024, |given: &_| read::number(given, 0, 1_048_576), None,
            "Requests that may wait in the queue. More get 503.";
        queue_timeout: Duration = Duration::from_secs(15), |given: &_| read::span(given, 1, 300), None,
            "A request that waited this long in the queue gets 503.";
        anonymous_per_minute: u64 = 100, |given: &_| read::number(given, 1, 1_000_000_000), None,
            "Requests without a valid key that one client address may make in a minute.";
    }
    oauth: Oauth {
        access_token_ttl: Duration = Duration::from_secs(3_600), |given: &_| read::span(given, 60, 86_400), None,
            "How long an access token works.";
        refresh_token_ttl: Duration = Duration::from_secs(30 * 86_400), |given: &_| read::span(given, 3_600, 365 * 86_400), None,
            "A refresh token that nobody uses ends after this long; used or not, the user is asked again after three times as long.";
        code_ttl: Duration = Duration::from_secs(60), |given: &_| read::span(given, 10, 600), None,
            "A client must redeem an authorization code within this time.";
    }
    webhooks: Webhooks {
        allow_private_targets: bool = false, read::boolean, None,
            "Let webhooks go to private, loopback and link-local addresses, and over plain HTTP.";
    }
    metrics: Metrics {
        token: Option<SecretText> = None, read::token, None,
            "What a scraper beyond this machine sends behind Bearer to read /metrics. Empty: this machine alone may.";
    }
    log: Log {
        format: LogFormat = LogFormat::Auto, read::log_format, Some("--log-format"),
            "auto: for people on a terminal and JSON elsewhere; or pretty, or json.";
        level: LogLevel = LogLevel::Info, read::log_level, None,
            "The least that is logged: error, warn, info, debug or trace.";
        request_log_sample: f64 = 1.0, read::share, None,
            "The share of API requests that the dashboard's request log keeps, from 0 to 1. At most 100 a second are kept.";
    }
    backup: Backup {
        schedule: Schedule = Schedule::Every(Duration::from_secs(86_400)), read::schedule, None,
            "How often a backup is made: a span such as 24h, a time of day in UTC such as 03:30, or off.";
        keep: usize = 7, |given: &_| read::number(given, 1, 10_000), None,
            "How many backups are kept; older ones are deleted when a new one is made. Those made before an upgrade stay.";
        dir: Option<Directory> = None, read::directory, None,
            "Where backups go. Empty: backups in the data directory. Another disk survives the loss of this one.";
        passphrase: Option<SecretText> = None, read::passphrase, None,
            "Seals the backups that are made by schedule and in the dashboard. Empty: they are readable to whoever has the file.";
    }
}

impl Setting {
    /// `server.listen`
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// `KEYRACK_SERVER_LISTEN`
    pub fn variable(&self) -> String {
        format!("KEYRACK_{}_{}", self.section.to_uppercase(), self.key.to_uppercase())
    }

    /// May be given as a file instead, with `_file` behind its name, and is shown to nobody.
    pub fn is_secret(&self) -> bool {
        matches!((self.section, self.key), ("metrics", "token") | ("backup", "passphrase"))
    }

    /// The key that names the file it is read from, for a secret.
    pub fn file_key(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_file", self.key))
    }

    /// Its value as the file would have it.
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// By `section.key`, or by the key alone where it is the only one of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        let mut found = SETTINGS.iter().filter(|setting| setting.name() == name || setting.key == name);
        found.next().filter(|_| found.next().is_none())
    }
}

impl Config {
    /// Why a server must not start like this, although each setting alone is well.
    pub fn fault(&self) -> Option<String> {
        let (server, tls) = (&self.server, &self.tls);
        let plain = tls.mode == TlsMode::Off;
        if plain && !server.listen.ip().is_loopback() && server.trusted_proxies.is_empty() && !server.insecure_http {
            return Some(format!(
                "Refusing plain HTTP on {}: keys and passwords could be read on the way.\n\
                 Behind a proxy that does HTTPS: set public_url and trusted_proxies. HTTPS by itself: set tls.mode. \
                 For a test on a LAN: keyrack serve --listen {} --insecure-http",
                server.listen, server.listen
            ));
        }
        if let Some(addr) = server.http_listen.filter(|_| plain) {
            return Some(format!(
                "server.http_listen = \"{addr}\" is for plain HTTP beside TLS, and tls.mode is \"off\".\n\
                 Set server.listen instead, or tls.mode."
            ));
        }
        if tls.mode == TlsMode::Acme && tls.acme_domains.is_empty() {
            return Some(
                "tls.mode is \"acme\", and no domain is named.\nSet tls.acme_domains, or start with --domain NAME.".into(),
            );
        }
        let missing = |path: &PathBuf| tls.mode == TlsMode::Files && path.as_os_str().is_empty();
        if missing(&tls.cert_file) || missing(&tls.key_file) {
            return Some("tls.mode is \"files\", and no files are named.\nSet tls.cert_file and tls.key_file.".into());
        }
        None
    }
}

/// The sections, in the order of the table.
pub fn sections() -> impl Iterator<Item = &'static str> {
    let first_of = |&n: &usize| n == 0 || SETTINGS[n].section != SETTINGS[n - 1].section;
    (0..SETTINGS.len()).filter(first_of).map(|n| SETTINGS[n].section)
}

/// A file that says what each setting means and sets none.
pub fn example_file() -> String {
    let default = Config::default();
    let mut text = String::from(
        "# Settings of Keyrack, each with its default. Take away the # in front of those to be changed, then start with\n\
         # `keyrack serve --config keyrack.toml`. A flag wins over the environment (KEYRACK_SERVER_LISTEN=…), that over\n\
         # this file, and this file over what was set in the dashboard. `keyrack config check` finds mistakes.\n",
    );
    for section in sections() {
        text += &format!("\n[{section}]\n");
        for setting in SETTINGS.iter().filter(|setting| setting.section == section) {
            text += &format!("# {}\n#{} = {}\n", setting.words, setting.key, setting.show(&default));
            if let Some(key) = setting.file_key() {
                text += &format!("# Better from the first line of a file: {key} = \"FILE\"\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
