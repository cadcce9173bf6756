//! Where a webhook may lead: to the public Internet, and to nothing inside. A name is judged by the addresses it
//! resolves to, at every attempt; an address written into the URL is judged here already.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::error::Problem;

/// The URL of a webhook, as the standard of browsers writes it: `https://0x7f.1/` is `https://127.0.0.1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    pub const MAX_LEN: usize = 2_048;

    /// `allow_private`: addresses inside are let through, and plain HTTP with them.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, Problem> {
        let text = text.trim();
        let wrong = || Problem::new("invalid_url", "Enter a URL, for example https://example.com/hooks/keyrack.");
        if text.len() > Self::MAX_LEN {
            return Err(Problem::new("too_long", format!("A URL has at most {} characters.", Self::MAX_LEN)));
        }
        let url = Url::parse(text).map_err(|_| wrong())?;
        let host = url.host().ok_or_else(wrong)?;
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            "http" => return Err(Problem::new("https_required", "Enter a URL that begins with https://.")),
            _ => return Err(wrong()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::new(
                "credentials_in_url",
                "Take the name and password out of the URL: the signature tells who calls.",
            ));
        }
        if url.fragment().is_some() {
            return Err(Problem::new("invalid_url", "Take the part from the # on out of the URL: it is never sent."));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 || (port < 1_024 && port != 80 && port != 443) {
            return Err(Problem::new(
                "forbidden_target",
                format!("Port {port} is not one that webhooks go to: use 443, or one from 1024."),
            ));
        }
        if !allow_private {
            let refused = match host {
                Host::Ipv4(addr) => kind_of(addr.into()).map(|kind| (addr.to_string(), kind)),
                Host::Ipv6(addr) => kind_of(addr.into()).map(|kind| (addr.to_string(), kind)),
                Host::Domain(name) => is_inside(name).then(|| (name.to_owned(), "a name inside this machine or network")),
            };
            if let Some((shown, kind)) = refused {
                return Err(forbidden(&shown, kind));
            }
        }
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// The words for a target that is refused.
pub fn forbidden(shown: &str, kind: &str) -> Problem {
    Problem::new("forbidden_target", format!("{shown} is {kind}. Set allow_private_targets to let webhooks go there."))
}

/// Names that no public server has.
fn is_inside(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let ends = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    ["localhost", "local", "internal", "home.arpa", "lan", "intranet"].into_iter().any(ends) || !name.contains('.')
}

/// What an address is that webhooks do not go to; none for one of the public Internet.
pub fn kind_of(addr: IpAddr) -> Option<&'static str> {
    match addr {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    }
}

/// IANA's registry of special-purpose addresses (RFC 6890).
fn kind_of_v4(addr: Ipv4Addr) -> Option<&'static str> {
    const NETS: &[([u8; 4], u8, &str)] = &[
        ([0, 0, 0, 0], 8, "an address of this machine"),
        ([10, 0, 0, 0], 8, "a private address"),
        ([100, 64, 0, 0], 10, "an address inside a carrier's network"),
        ([127, 0, 0, 0], 8, "a loopback address"),
        ([169, 254, 0, 0], 16, "a link-local address"),
        ([172, 16, 0, 0], 12, "a private address"),
        ([192, 0, 0, 0], 24, "a reserved address"),
        ([192, 0, 2, 0], 24, "an address for documentation"),
        ([192, 88, 99, 0], 24, "a reserved address"),
        ([192, 168, 0, 0], 16, "a private address"),
        ([198, 18, 0, 0], 15, "an address for measurements"),
        ([198, 51, 100, 0], 24, "an address for documentation"),
        ([203, 0, 113, 0], 24, "an address for documentation"),
        ([224, 0, 0, 0], 4, "a multicast address"),
        ([240, 0, 0, 0], 4, "a reserved address"),
    ];
    NETS.iter()
        .find(|(net, len, _)| Ipv4Net::new((*net).into(), *len).is_ok_and(|net| net.contains(&addr)))
        .map(|(.., kind)| *kind)
}

/// Only 2000::/3 is handed out; what in it stands for an IPv4 address or is special is refused too.
fn kind_of_v6(addr: Ipv6Addr) -> Option<&'static str> {
    if let Some(v4) = addr.to_ipv4_mapped() {
        return kind_of_v4(v4);
    }
    const NETS: &[(Ipv6Addr, u8, &str)] = &[
        (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
        (Ipv6Addr::UNSPECIFIED, 128, "an address of this machine"),
        (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private address"),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
        (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
        (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32, "an address that stands for one of IPv4"),
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved address"),
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address for documentation"),
        (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "an address that stands for one of IPv4"),
        (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address for documentation"),
    ];
    let special = NETS.iter().find(|(net, len, _)| Ipv6Net::new(*net, *len).is_ok_and(|net| net.contains(&addr)));
    let is_global = addr.segments()[0] & 0xe000 == 0x2000;
    special.map(|(.., kind)| *kind).or((!is_global).then_some("a reserved address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_inside_is_refused_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "0.0.0.0",
            "0",
            "10.0.0.5",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:5]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::a00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fd00::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[100::1]",
            "localhost",
            "LOCALHOST.",
            "api.localhost",
            "metadata.google.internal",
            "printer.local",
            "db",
            "１２７.0.0.1",
        ] {
            let refused = Target::parse(&format!("https://{host}/hook"), false).expect_err(host);
            assert_eq!(refused.code, "forbidden_target", "{host}: {}", refused.message);
            assert!(Target::parse(&format!("http://{host}:8443/hook"), true).is_ok(), "{host}");
        }
        let words = Target::parse("https://10.0.0.5/", false).expect_err("private").message;
        assert!(words.starts_with("10.0.0.5 is a private address."), "{words}");
    }

    #[test]
    fn what_is_public_is_let_through() {
        for url in [
            "https://example.com/hooks?a=b",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1::1]:8443/x",
            "https://172.32.0.1/",
        ] {
            assert!(Target::parse(url, false).is_ok(), "{url}");
        }
        assert_eq!(Target::parse(" https://Example.COM ", false).expect("a URL").as_str(), "https://example.com/");
    }

    #[test]
    fn a_url_that_is_none_for_a_webhook_is_told_why() {
        for (url, code) in [
            ("", "invalid_url"),
            ("example.com", "invalid_url"),
            ("ftp://example.com", "invalid_url"),
            ("file:///etc/passwd", "invalid_url"),
            ("http://example.com", "https_required"),
            ("https://ada:secret@example.com", "credentials_in_url"),
            ("https://example.com/#x", "invalid_url"),
            ("https://example.com:22/", "forbidden_target"),
            ("https://example.com:25/", "forbidden_target"),
        ] {
            assert_eq!(Target::parse(url, false).expect_err(url).code, code, "{url}");
        }
        assert_eq!(
            Target::parse(&format!("https://example.com/{}", "a".repeat(2048)), false).expect_err("long").code,
            "too_long"
        );
    }
}
