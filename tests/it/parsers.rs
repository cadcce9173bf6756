//! What meets the outside, read from whatever comes, and from the seeds of the fuzz targets: what must hold is in
//! [`crate::oracles`]. As many cases as PROPTEST_CASES says (`make fuzz-short`), a few hundred without.

use std::path::Path;

use data_encoding::BASE64;
use keyrack::model::duration;
use proptest::prelude::*;

use crate::oracles::{self, ORACLES};

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
const PAIRS: &[&str] = &[
    "limit",
    "offset",
    "after",
    "before",
    "cursor",
    "before_",
    "user_01h455vb4pex5vsknk084sn02q",
    "grant_type",
    "code",
    "client_id",
    "=",
    "&",
    "%",
    "%00",
    "%ff",
    "+",
    "{",
    "}",
    "\"",
    ":",
    ",",
    "null",
    "1",
    "100",
    "-1",
];

proptest! {
    #[test]
    fn authorization(scheme in "(Basic|Bearer|basic|)", blank in "[ \t]{0,2}", rest in any::<String>(), pair in any::<Vec<u8>>(), is_pair in any::<bool>()) {
        let rest = if is_pair { BASE64.encode(&pair) } else { rest };
        oracles::authorization(format!("{scheme}{blank}{rest}").as_bytes());
    }

    #[test]
    fn secrets(other in "(kr_)?[0-9A-Za-z]{40,60}", any in any::<Vec<u8>>()) {
        oracles::secret(other.as_bytes());
        oracles::secret(&any);
    }

    #[test]
    fn forwarded_addresses(peer in prop_oneof![Just("10.0.0.1"), Just("198.51.100.9"), Just("2001:db8:1::9")], lines in text(HOPS), more in text(HOPS), protos in text(HOPS)) {
        oracles::forwarded(format!("{peer}\n{lines}\n{more}\n\n{protos}").as_bytes());
    }

    #[test]
    fn redirect_addresses(registered in text(URLS), sent in text(URLS)) {
        oracles::redirect_uri(format!("{registered}\n\n{sent}").as_bytes());
    }

    #[test]
    fn places_in_a_list(query in text(PAIRS)) {
        oracles::cursor(query.as_bytes());
    }

    #[test]
    fn parameters(body in text(PAIRS)) {
        oracles::params(body.as_bytes());
    }

    #[test]
    fn email_addresses(typed in text(EMAILS)) {
        oracles::email(typed.as_bytes());
    }

    #[test]
    fn allow_lists(entries in text(HOPS), v4 in any::<u32>(), bits in 0_u8..40) {
        oracles::ip_allow(entries.as_bytes());
        oracles::ip_allow(format!("{}/{bits}", std::net::Ipv4Addr::from_bits(v4)).as_bytes());
    }

    #[test]
    fn webhook_addresses(typed in text(URLS)) {
        oracles::webhook_url(typed.as_bytes());
    }

    #[test]
    fn configuration(name in proptest::sample::select(keyrack::config::sections().collect::<Vec<_>>()), value in any::<String>(), written in text(SETTINGS)) {
        oracles::settings(format!("KEYRACK_{}_LISTEN={value}\n\n{written}", name.to_uppercase()).as_bytes());
    }

    #[test]
    fn tables_of_users(written in text(CELLS)) {
        oracles::user_table(written.as_bytes());
    }

    #[test]
    fn records_of_keys(written in text(CELLS)) {
        oracles::key_records(written.as_bytes());
    }

    #[test]
    fn durations_and_windows(typed in text(SPANS), seconds in 0_u64..3_155_760_000) {
        oracles::durations(typed.as_bytes());
        let span = std::time::Duration::from_secs(seconds);
        prop_assert_eq!(duration::parse(&duration::show(span)), Ok(span));
    }

    #[test]
    fn challenges(verifier in "[A-Za-z0-9._~-]{43,128}", other in any::<String>()) {
        oracles::challenge(format!("{verifier}\n\n{other}").as_bytes());
    }
}

#[test]
fn what_fuzzing_began_with_and_found_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let targets = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("the targets");
    for (name, holds) in ORACLES {
        assert!(targets.contains(&format!("name = \"{name}\"")), "{name} is no target of tests/fuzz");
        let seeds = std::fs::read_dir(fuzz.join("seeds").join(name)).unwrap_or_else(|err| panic!("the seeds of {name}: {err}"));
        let mut count = 0;
        for seed in seeds {
            let path = seed.expect("an entry").path();
            let data = std::fs::read(&path).expect("a seed");
            let held = std::panic::catch_unwind(|| holds(&data));
            assert!(held.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 1, "{name} has seeds");
    }
}
