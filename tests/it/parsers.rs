//! What meets the outside, read from whatever comes: no panic, and what is taken is what it claims to be. As many cases as
//! PROPTEST_CASES says (`make fuzz`), a few hundred without.

use std::net::IpAddr;

use keyrack::config::{self, ConfigFile, Inputs};
use keyrack::crypto::secret::{self, Prefix, Secret};
use keyrack::http::client_addr::client_addr;
use keyrack::model::api_key::IpAllow;
use keyrack::model::email::Email;
use keyrack::model::error::FieldErrors;
use keyrack::model::ids::UserId;
use keyrack::model::imported_user::Table;
use keyrack::model::page::{Limit, Start};
use keyrack::model::redirect_uri::RedirectUri;
use keyrack::model::target::{Target, kind_of};
use keyrack::model::tier::{Window, Windows};
use keyrack::model::{duration, pkce};
use proptest::prelude::*;

/// Anything, and more often than by chance what is nearly right: pieces of what people and attackers write.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![3 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => any::<String>()];
    let joined = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => joined, 1 => any::<String>()]
}

const URLS: &[&str] = &[
    "https://",
    "http://",
    "com.example.app:/",
    "javascript:",
    "data:",
    "//",
    "/",
    "\\",
    "@",
    ":",
    "?",
    "#",
    "%2f",
    "%00",
    "..",
    ".",
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "0x7f.1",
    "2130706433",
    "169.254.169.254",
    "10.0.0.1",
    "localhost",
    "localhost.",
    "app.example.com",
    "evil.example",
    "xn--bcher-kva.example",
    "bücher.example",
    "user:pw",
    ":8080",
    ":0",
    ":65536",
    "/callback",
    "?a=b",
    "&c",
    " ",
    "\t",
    "\r\n",
    "\u{200b}",
    "*",
    "{",
    "}",
    "\"",
    "<",
    ">",
    "^",
    "`",
    "|",
];
const EMAILS: &[&str] = &[
    "ada",
    "@",
    "example.com",
    "EXAMPLE.COM",
    "é",
    "e\u{301}",
    "ß",
    "bücher.de",
    ".",
    "..",
    "-",
    "+tag",
    "\"a b\"",
    "(c)",
    " ",
    "\n",
    "\u{202e}",
    "\u{200b}",
    "ﬁ",
    "İ",
    "a@b",
    "[127.0.0.1]",
    ",",
    ";",
    "\0",
];
const HOPS: &[&str] = &[
    "203.0.113.7",
    "10.0.0.1",
    "10.0.0.2",
    "::1",
    "::ffff:10.0.0.1",
    "[2001:db8::1]:4711",
    "203.0.113.7:80",
    ",",
    ", ",
    " ",
    "unknown",
    "_hidden",
    "\"[2001:db8::1]\"",
    "for=",
    "\u{7f}",
    "999.1.1.1",
    "0",
    "1.2.3",
];
const CELLS: &[&str] = &[
    "email",
    "name",
    "role",
    "password",
    ",",
    ";",
    "\t",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\r",
    "ada@example.com",
    "Ada",
    "=1+1",
    "{",
    "}",
    ":",
    "[",
    "]",
    "\u{feff}",
    "'",
];
const SETTINGS: &[&str] = &[
    "[server]",
    "[tls]",
    "[limits]",
    "[nonsense]",
    "\n",
    "listen",
    "public_url",
    "trusted_proxies",
    "max_concurrent",
    "=",
    " = ",
    "\"127.0.0.1:0\"",
    "\"10.0.0.0/8\"",
    "[",
    "]",
    ",",
    "true",
    "-1",
    "99999999999999999999",
    "\"\"\"",
    "#",
    "'",
    "{",
    "}",
    "\"90d\"",
    ".",
    "é",
];
const SPANS: &[&str] = &[
    "0",
    "1",
    "9",
    "90",
    "s",
    "m",
    "h",
    "d",
    "w",
    "-",
    "+",
    ".",
    " ",
    "18446744073709551615",
    "٣",
    "/",
    "1000/1h",
    "50/1s",
    "\n",
];

proptest! {
    #[test]
    fn a_secret_is_taken_with_its_own_checksum_alone(other in any::<String>(), at in 0_usize..52, byte in any::<u8>()) {
        let prefix = Prefix::parse("kr_").expect("a prefix");
        let made = Secret::generate(&prefix);
        prop_assert!(secret::has_checksum(made.expose()) && secret::has_form(made.expose(), "kr_"));
        let mut changed = made.expose().as_bytes().to_vec();
        changed[at] = byte;
        if let Ok(changed) = std::str::from_utf8(&changed) {
            prop_assert_eq!(secret::has_checksum(changed), changed == made.expose());
        }
        let _ = (secret::has_checksum(&other), secret::has_form(&other, "kr_"), secret::hint_of(&other), Prefix::parse(&other).is_ok());
        let _ = (secret::normalize_code(&other), secret::normalize_recovery_code(&other));
    }

    #[test]
    fn the_client_is_the_peer_or_whom_a_trusted_proxy_names(
        values in proptest::collection::vec(text(HOPS), 0..4),
        proto in proptest::collection::vec(text(HOPS), 0..2),
        trusted_peer in any::<bool>(),
    ) {
        let trusted = ["10.0.0.0/8".parse().expect("a network")];
        let peer: IpAddr = if trusted_peer { "10.0.0.1" } else { "198.51.100.9" }.parse().expect("an address");
        let bytes = |values: &'static [String]| values.iter().map(|value| value.as_bytes());
        let (values, proto): (&'static [String], &'static [String]) = (values.leak(), proto.leak());
        let found = client_addr(&trusted, peer, false, bytes(values), bytes(proto));
        prop_assert_eq!(found.via_proxy, trusted_peer);
        if !trusted_peer {
            prop_assert!(found.ip == peer && !found.https);
        }
        // Whoever is named stands in a header; nobody else can be.
        let named = |ip: IpAddr| values.iter().any(|value| value.split(',').any(|hop| {
            let hop = hop.trim();
            let bare = hop.parse::<IpAddr>().ok().or(hop.trim_matches(['[', ']']).parse().ok());
            bare.or(hop.parse().ok().map(|addr: std::net::SocketAddr| addr.ip())).is_some_and(|addr| addr.to_canonical() == ip)
        }));
        prop_assert!(found.ip == peer || named(found.ip), "{:?} of {values:?}", found.ip);
    }

    #[test]
    fn a_redirect_address_matches_itself_and_its_ports_on_this_machine(registered in text(URLS), sent in text(URLS)) {
        let Ok(uri) = RedirectUri::parse(&registered) else { return Ok(()) };
        prop_assert!(uri.matches(&registered));
        prop_assert!(registered.is_ascii() && !registered.contains(['\\', '#', ' ', '\r', '\n', '*']));
        if uri.matches(&sent) && sent != registered {
            let (own, other) = (url::Url::parse(&registered).expect("a URL"), url::Url::parse(&sent).expect("a URL"));
            prop_assert!(own.scheme() == "http" && own.host() == other.host() && own.path() == other.path() && own.query() == other.query());
            prop_assert!(["127.0.0.1", "[::1]", "localhost"].contains(&other.host_str().unwrap_or_default()), "{sent}");
        }
    }

    #[test]
    fn an_address_is_the_same_however_often_it_is_read(typed in text(EMAILS)) {
        let Ok(email) = Email::parse(&typed) else { return Ok(()) };
        let canonical = email.canonical();
        prop_assert!(canonical.len() <= 254 && !canonical.chars().any(|c| c.is_control() || c.is_whitespace()), "{canonical:?}");
        let read_again = |text: &str| Email::parse(text).ok().map(|same| same.canonical().to_owned());
        prop_assert_eq!(read_again(canonical), Some(canonical.to_owned()));
        if typed.is_ascii() {
            prop_assert_eq!(read_again(&typed.to_uppercase()), Some(canonical.to_owned()));
        }
    }

    #[test]
    fn an_allow_list_reads_what_it_shows(entries in proptest::collection::vec(text(HOPS), 0..3), v4 in any::<u32>(), bits in 0_u8..40) {
        let _ = IpAllow::parse(entries.iter().map(String::as_str));
        let written = format!("{}/{bits}", std::net::Ipv4Addr::from_bits(v4));
        if let Ok(list) = IpAllow::parse([written.as_str()]) {
            let shown: Vec<String> = list.entries().collect();
            prop_assert_eq!(&IpAllow::parse(shown.iter().map(String::as_str)).expect("what it shows"), &list);
            prop_assert!(list.allows(std::net::Ipv4Addr::from_bits(v4).into()));
        } else {
            prop_assert!(bits > 32);
        }
    }

    #[test]
    fn a_webhook_goes_to_no_address_inside(typed in text(URLS)) {
        let _ = Target::parse(&typed, true);
        let Ok(target) = Target::parse(&typed, false) else { return Ok(()) };
        let url = target.url();
        prop_assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
        let literal: Option<IpAddr> = match url.host() {
            Some(url::Host::Ipv4(addr)) => Some(addr.into()),
            Some(url::Host::Ipv6(addr)) => Some(addr.into()),
            _ => None,
        };
        prop_assert!(literal.is_none_or(|addr| kind_of(addr).is_none()), "{url}");
        prop_assert!(!url.host_str().unwrap_or_default().trim_end_matches('.').ends_with("localhost"), "{url}");
    }

    #[test]
    fn settings_are_read_or_refused_with_words(written in text(SETTINGS), value in any::<String>(), number in 0_usize..30) {
        let settings: Vec<String> = config::sections().map(str::to_owned).collect();
        let file = Some(ConfigFile { name: "keyrack.toml".into(), text: written });
        let variable = format!("KEYRACK_{}_LISTEN", settings[number % settings.len()].to_uppercase());
        let environment = [(variable, value)];
        let inputs = Inputs { environment: &environment, file, ..Default::default() };
        if let Err(faults) = config::load(&inputs) {
            prop_assert!(!faults.0.is_empty() && faults.0.iter().all(|fault| !fault.message.is_empty()));
        }
    }

    #[test]
    fn a_table_is_read_or_refused_with_words(written in text(CELLS)) {
        match Table::read(&written) {
            Ok(table) => {
                let columns = table.guess();
                prop_assert_eq!(columns.len(), table.head.len());
                let records = table.records(&columns);
                for user in &records.users {
                    prop_assert!(user.line >= 1, "{user:?}");
                }
            }
            Err(problem) => prop_assert!(!problem.message.is_empty()),
        }
    }

    #[test]
    fn a_duration_is_read_as_it_is_shown(typed in text(SPANS), seconds in 0_u64..3_155_760_000) {
        let span = std::time::Duration::from_secs(seconds);
        prop_assert_eq!(duration::parse(&duration::show(span)), Ok(span));
        if let Ok(span) = duration::parse(&typed) {
            prop_assert_eq!(duration::parse(&duration::show(span)), Ok(span));
        }
        if let Ok(windows) = Windows::parse_lines(&typed) {
            prop_assert_eq!(Windows::parse_lines(&windows.to_lines()).ok(), Some(windows));
        }
        let _ = Window::parse(&typed);
    }

    #[test]
    fn a_place_in_a_list_is_in_range(offset in proptest::option::of(text(SPANS)), after in proptest::option::of(any::<String>()), limit in text(SPANS)) {
        let mut errors = FieldErrors::default();
        let start = Start::parse(offset.as_deref(), after.as_deref(), None, UserId::parse, &mut errors);
        if let Start::Offset(rows) = start {
            prop_assert!(rows <= Start::<UserId>::MAX_OFFSET);
        }
        let _ = Limit::parse(&limit);
        if let Some(id) = after.as_deref().and_then(UserId::parse) {
            prop_assert_eq!(Some(id.to_string()), after);
        }
    }

    #[test]
    fn a_verifier_fits_its_own_challenge_alone(verifier in "[A-Za-z0-9._~-]{43,128}", other in any::<String>()) {
        prop_assert!(pkce::is_verifier(&verifier));
        let challenge = pkce::Challenge::of(&verifier);
        prop_assert!(challenge.is_met_by(&verifier));
        prop_assert_eq!(pkce::Challenge::parse(challenge.as_str()).map(|read| read.as_str().to_owned()), Some(challenge.as_str().to_owned()));
        prop_assert_eq!(challenge.is_met_by(&other), other == verifier);
        let _ = pkce::Challenge::parse(&other);
    }
}
