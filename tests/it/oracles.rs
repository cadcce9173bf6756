//! What must hold of each parser that meets the outside, whatever comes: no panic, and what is taken is what it claims to
//! be. Fed by proptest (`parsers`), by the seeds, and by a fuzzer that is guided by coverage (`tests/fuzz`).

use std::net::IpAddr;

use keyrack::config::{self, ConfigFile, Inputs};
use keyrack::crypto::secret::{self, Prefix};
use keyrack::http::api::dialect::listing::Paging;
use keyrack::http::authorization::{bare, basic, bearer};
use keyrack::http::client_addr::client_addr;
use keyrack::http::params::Params;
use keyrack::model::api_key::IpAllow;
use keyrack::model::email::Email;
use keyrack::model::error::FieldErrors;
use keyrack::model::ids::UserId;
use keyrack::model::imported_key;
use keyrack::model::imported_user::Table;
use keyrack::model::page::{Limit, Start};
use keyrack::model::redirect_uri::RedirectUri;
use keyrack::model::target::{Target, kind_of};
use keyrack::model::tier::{Window, Windows};
use keyrack::model::{duration, pkce};

/// Feeds a parser, and panics where it does not keep what it must, whatever comes.
type Oracle = fn(&[u8]);

/// Every parser by name: the name of its fuzz target and of the directory of its seeds.
pub const ORACLES: &[(&str, Oracle)] = &[
    ("authorization", authorization),
    ("secret", secret),
    ("forwarded", forwarded),
    ("redirect_uri", redirect_uri),
    ("cursor", cursor),
    ("params", params),
    ("email", email),
    ("ip_allow", ip_allow),
    ("webhook_url", webhook_url),
    ("settings", settings),
    ("user_table", user_table),
    ("key_records", key_records),
    ("durations", durations),
    ("challenge", challenge),
];

/// Parts that a parser takes beside one another are an empty line apart.
fn parts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut parts = std::str::from_utf8(data).ok()?.splitn(N, "\n\n");
    Some(std::array::from_fn(|_| parts.next().unwrap_or_default()))
}

pub fn authorization(data: &[u8]) {
    let Some([header]) = parts(data) else { return };
    if let Some(secret) = bearer(header) {
        assert!(!secret.is_empty() && secret.trim() == secret);
        assert_eq!((bearer(&format!("bEARER   {secret} ")), bare(header)), (Some(secret), Some(secret)));
        assert_eq!(basic(header), None);
    }
    if let Some((id, secret)) = basic(header) {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let again = data_encoding::BASE64.encode(format!("{}:{}", encoded(&id), encoded(&secret)).as_bytes());
        assert_eq!(basic(&format!("Basic {again}")), Some((id, secret)));
    }
}

pub fn secret(data: &[u8]) {
    let Some([text]) = parts(data) else { return };
    if secret::has_form(text, "kr_") {
        assert!(
            text.len() == 52 && text.starts_with("kr_") && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        );
    }
    if let Ok(prefix) = Prefix::parse(text) {
        let made = secret::Secret::generate(&prefix);
        assert!(secret::has_checksum(made.expose()) && secret::has_form(made.expose(), text));
    }
    // One that was changed anywhere is known at once.
    let mut changed = secret::Secret::generate(&Prefix::parse("kr_").expect("a prefix")).expose().as_bytes().to_vec();
    if let [at, byte, ..] = *data {
        let at = usize::from(at) % changed.len();
        let is_same = changed[at] == byte;
        changed[at] = byte;
        assert!(std::str::from_utf8(&changed).map_or(true, |changed| secret::has_checksum(changed) == is_same));
    }
    drop(secret::hint_of(text));
    let of_code =
        secret::normalize_code(text).into_iter().chain(secret::normalize_recovery_code(text).map(|code| code.to_string()));
    for normal in of_code {
        assert!(normal.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric()), "{normal:?}");
        assert!([14, 27].contains(&normal.len()), "{normal:?}");
    }
}

/// A line for the peer, then those of `X-Forwarded-For`; behind an empty line those of `X-Forwarded-Proto`.
pub fn forwarded(data: &[u8]) {
    let Some([addresses, protos]) = parts(data) else { return };
    let mut lines = addresses.lines();
    let trusted = ["10.0.0.0/8".parse().expect("a network"), "2001:db8:1::/48".parse().expect("a network")];
    let peer: IpAddr = lines.next().and_then(|peer| peer.parse().ok()).unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net: &ipnet::IpNet| net.contains(&ip.to_canonical()));
    let values: Vec<&str> = lines.collect();
    let found = client_addr(&trusted, peer, false, values.iter().map(|v| v.as_bytes()), protos.lines().map(str::as_bytes));
    assert_eq!(found.via_proxy, is_trusted(peer));
    if !is_trusted(peer) {
        assert!(found.ip == peer.to_canonical() && !found.https, "{found:?}");
    }
    // Whoever is named stands in a header, behind nobody but trusted ones; nobody else can be.
    let read = |hop: &str| {
        let bare = hop.parse().ok().or_else(|| hop.trim_matches(['[', ']']).parse().ok());
        bare.or_else(|| hop.parse().ok().map(|addr: std::net::SocketAddr| addr.ip())).map(|ip: IpAddr| ip.to_canonical())
    };
    let hops = values.iter().flat_map(|value| value.split(',')).map(str::trim_ascii).filter(|hop| !hop.is_empty());
    let hops: Vec<Option<IpAddr>> = hops.map(read).collect();
    let is_first_stranger = || {
        let behind = hops.iter().rposition(|hop| *hop == Some(found.ip));
        behind.is_some_and(|at| hops[at + 1..].iter().all(|hop| hop.is_some_and(is_trusted)))
    };
    assert!(found.ip == peer.to_canonical() || is_first_stranger(), "{:?} of {values:?}", found.ip);
}

/// An address that is registered, and one that is sent.
pub fn redirect_uri(data: &[u8]) {
    let Some([registered, sent]) = parts(data) else { return };
    let Ok(uri) = RedirectUri::parse(registered) else { return };
    assert!(uri.matches(registered));
    assert!(registered.is_ascii() && !registered.contains(['\\', '#', ' ', '\r', '\n', '*']), "{registered:?}");
    if uri.matches(sent) && sent != registered {
        let (own, other) = (url::Url::parse(registered).expect("a URL"), url::Url::parse(sent).expect("a URL"));
        assert!(
            own.scheme() == "http" && own.host() == other.host() && own.path() == other.path() && own.query() == other.query()
        );
        assert!(["127.0.0.1", "[::1]", "localhost"].contains(&other.host_str().unwrap_or_default()), "{sent}");
        assert!(other.username().is_empty() && other.password().is_none() && other.fragment().is_none(), "{sent}");
    }
}

/// What stands behind `?`.
pub fn cursor(data: &[u8]) {
    let given: Vec<_> = url::form_urlencoded::parse(data).collect();
    let named = |name: &str| given.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_ref());
    for paging in [Paging::Anywhere, Paging::Cursor, Paging::Keyset, Paging::Whole] {
        let mut errors = FieldErrors::default();
        let (start, limit) = paging.read(named, UserId::parse, &mut errors);
        assert!(limit == Limit::WHOLE || (1..=Limit::MAX).contains(&limit.get()), "{limit:?}");
        let sent = |id: UserId| given.iter().any(|(_, value)| value.trim_start_matches("before_") == id.to_string());
        match start {
            Start::Offset(rows) => assert!(rows <= Start::<UserId>::MAX_OFFSET),
            Start::After(id) | Start::Before(id) => assert!(sent(id), "{id}"),
        }
    }
}

/// A body of the token endpoint, as a form and as JSON.
pub fn params(data: &[u8]) {
    let form = Params::of_form(data);
    for (name, _) in url::form_urlencoded::parse(data).take(20) {
        let Ok(Some(value)) = form.text(&name) else { continue };
        // Where the form is text, a published parser reads the same.
        let theirs: Vec<_> = url::form_urlencoded::parse(data).filter(|(theirs, _)| *theirs == name).collect();
        assert!(theirs.iter().any(|(_, theirs)| theirs == value), "{name}: {value:?} and {theirs:?}");
    }
    if let Ok(json) = Params::of_json(data) {
        let value: serde_json::Value = serde_json::from_slice(data).expect("JSON");
        let object = value.as_object().expect("an object");
        if json.check().is_ok() {
            for (name, value) in object {
                let value = value.as_str().filter(|text| !text.is_empty());
                assert_eq!(json.text(name).ok().flatten(), value, "{name}");
            }
        }
    }
}

pub fn email(data: &[u8]) {
    let Some([typed]) = parts(data) else { return };
    let Ok(email) = Email::parse(typed) else { return };
    let canonical = email.canonical();
    assert!(canonical.len() <= 254 && !canonical.chars().any(|c| c.is_control() || c.is_whitespace()), "{canonical:?}");
    let read_again = |text: &str| Email::parse(text).ok().map(|same| same.canonical().to_owned());
    assert_eq!(read_again(canonical), Some(canonical.to_owned()));
    if typed.is_ascii() {
        assert_eq!(read_again(&typed.to_uppercase()), Some(canonical.to_owned()));
    }
}

/// An entry a line.
pub fn ip_allow(data: &[u8]) {
    let Some([entries]) = parts(data) else { return };
    let Ok(list) = IpAllow::parse(entries.lines()) else { return };
    let shown: Vec<String> = list.entries().collect();
    assert_eq!(IpAllow::parse(shown.iter().map(String::as_str)).expect("what it shows"), list);
    for entry in entries.lines() {
        let addr: IpAddr = entry.split('/').next().unwrap_or_default().parse().expect("an address");
        assert!(list.allows(addr) || list.allows(addr.to_canonical()), "{entry}");
    }
}

pub fn webhook_url(data: &[u8]) {
    let Some([typed]) = parts(data) else { return };
    drop(Target::parse(typed, true));
    let Ok(target) = Target::parse(typed, false) else { return };
    let url = target.url();
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
    let literal: Option<IpAddr> = match url.host() {
        Some(url::Host::Ipv4(addr)) => Some(addr.into()),
        Some(url::Host::Ipv6(addr)) => Some(addr.into()),
        _ => None,
    };
    assert!(literal.is_none_or(|addr| kind_of(addr).is_none()), "{url}");
    let host = format!(".{}", url.host_str().unwrap_or_default().trim_end_matches('.'));
    assert!(!host.ends_with(".localhost"), "{url}");
}

/// A file; behind an empty line a variable of the environment.
pub fn settings(data: &[u8]) {
    let Some([variable, text]) = parts(data) else { return };
    let environment: Vec<(String, String)> =
        variable.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect();
    let file = Some(ConfigFile { name: "keyrack.toml".into(), text: text.into() });
    if let Err(faults) = config::load(&Inputs { environment: &environment, file, ..Default::default() }) {
        assert!(!faults.0.is_empty() && faults.0.iter().all(|fault| !fault.message.is_empty()));
    }
}

pub fn user_table(data: &[u8]) {
    let Some([written]) = parts(data) else { return };
    match Table::read(written) {
        Ok(table) => {
            let columns = table.guess();
            assert_eq!(columns.len(), table.head.len());
            let records = table.records(&columns);
            let lines = written.split('\n').count() + written.matches('\r').count() + 1;
            for user in &records.users {
                assert!((1..=lines).contains(&user.line), "{user:?}");
            }
        }
        Err(problem) => assert!(!problem.message.is_empty()),
    }
}

/// However the pieces of a file come, its records are the same.
pub fn key_records(data: &[u8]) {
    let whole = imported_key::Records::read(data);
    let mut reader = imported_key::Reader::default();
    data.chunks(7).for_each(|piece| reader.push(piece));
    let pieces = reader.finish();
    assert_eq!(format!("{:?}", whole.errors), format!("{:?}", pieces.errors));
    assert_eq!(format!("{:?}", whole.keys), format!("{:?}", pieces.keys));
}

pub fn durations(data: &[u8]) {
    let Some([typed]) = parts(data) else { return };
    if let Ok(span) = duration::parse(typed) {
        assert_eq!(duration::parse(&duration::show(span)), Ok(span));
    }
    if let Ok(windows) = Windows::parse_lines(typed) {
        assert_eq!(Windows::parse_lines(&windows.to_lines()).ok(), Some(windows));
    }
    drop(Window::parse(typed));
}

/// A verifier, and another.
pub fn challenge(data: &[u8]) {
    let Some([verifier, other]) = parts(data) else { return };
    if let Some(challenge) = pkce::Challenge::parse(verifier) {
        assert_eq!(challenge.as_str(), verifier);
    }
    if !pkce::is_verifier(verifier) {
        return;
    }
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    assert!((43..=128).contains(&verifier.len()) && verifier.bytes().all(plain));
    let challenge = pkce::Challenge::of(verifier);
    assert!(challenge.is_met_by(verifier));
    assert_eq!(
        pkce::Challenge::parse(challenge.as_str()).map(|read| read.as_str().to_owned()),
        Some(challenge.as_str().to_owned())
    );
    assert_eq!(challenge.is_met_by(other), other == verifier);
}
