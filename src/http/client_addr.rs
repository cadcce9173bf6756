//! Who is calling: the peer, or the client that a trusted proxy vouches for. Used instead of actix's
//! `connection_info`, which believes whatever a client sends.

use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr {
    /// Never a v4-mapped v6 address.
    pub ip: IpAddr,
    /// The connection came from a trusted proxy.
    pub via_proxy: bool,
    /// The trusted proxy tells over what its client came, and not who that is.
    pub unnamed: bool,
    /// The client used HTTPS: to us, or to the trusted proxy that says so.
    pub https: bool,
    /// There were `X-Forwarded-*` headers: whoever is connected asks for somebody else.
    pub forwarded: bool,
    /// There were, and the peer is not trusted to send them.
    pub ignored_forwarding: bool,
}

impl ClientAddr {
    /// The client is on this machine. A proxy on this machine that tells of its client, but not who that is, is not one.
    pub fn is_local(&self) -> bool {
        self.ip.is_loopback() && !self.unnamed
    }
}

/// Derives the client from the peer, from whether it speaks TLS to us, and from the values of `X-Forwarded-For` and `X-Forwarded-Proto`, in the order in
/// which they came. `Forwarded` is not read: proxies pass on what a client put there.
pub fn client_addr<'h>(
    trusted: &[IpNet],
    peer: IpAddr,
    over_tls: bool,
    forwarded_for: impl Iterator<Item = &'h [u8]>,
    forwarded_proto: impl Iterator<Item = &'h [u8]>,
) -> ClientAddr {
    let peer = peer.to_canonical();
    let (mut forwarded_for, mut forwarded_proto) = (forwarded_for.peekable(), forwarded_proto.peekable());
    let forwarded = forwarded_for.peek().is_some() || forwarded_proto.peek().is_some();
    if !is_trusted(trusted, peer) {
        return ClientAddr {
            ip: peer,
            via_proxy: false,
            unnamed: false,
            https: over_tls,
            forwarded,
            ignored_forwarding: forwarded,
        };
    }
    let unnamed = forwarded_for.peek().is_none() && forwarded_proto.peek().is_some();
    // The nearest proxy's word is the last one; those before it are hearsay.
    let https = match forwarded_proto.last() {
        Some(value) => value.rsplit(|&byte| byte == b',').next().is_some_and(|p| p.trim_ascii().eq_ignore_ascii_case(b"https")),
        None => over_tls,
    };
    ClientAddr { ip: walk(trusted, peer, forwarded_for), via_proxy: true, unnamed, https, forwarded, ignored_forwarding: false }
}

/// From the nearest hop outwards: each trusted one vouches for the one before it, and the first that is not trusted
/// is the client. What is no address ends the walk, for whoever wrote it was not one of our proxies.
fn walk<'h>(trusted: &[IpNet], peer: IpAddr, values: impl Iterator<Item = &'h [u8]>) -> IpAddr {
    let values: SmallVec<[&[u8]; 4]> = values.collect();
    let hops = values.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    let mut nearest = peer;
    for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
        let Some(addr) = parse_hop(hop) else { break };
        nearest = addr;
        if !is_trusted(trusted, addr) {
            break;
        }
    }
    nearest
}

/// An address as proxies write it: bare, or with a port (`203.0.113.7:4711`, `[2001:db8::1]:4711`).
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|addr: std::net::SocketAddr| addr.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port).map(|addr: IpAddr| addr.to_canonical())
}

fn is_trusted(trusted: &[IpNet], addr: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(&addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().expect("a network")).collect()
    }

    fn derive(trusted: &[&str], peer: &str, forwarded_for: &[&str], proto: &[&str]) -> ClientAddr {
        let peer = peer.parse().expect("an address");
        let bytes = |values: &'static [&'static str]| values.iter().map(|value| value.as_bytes());
        let leak = |values: &[&str]| -> &'static [&'static str] {
            values.iter().map(|v| &*v.to_string().leak()).collect::<Vec<_>>().leak()
        };
        client_addr(&nets(trusted), peer, false, bytes(leak(forwarded_for)), bytes(leak(proto)))
    }

    fn ip(trusted: &[&str], peer: &str, forwarded_for: &[&str]) -> String {
        derive(trusted, peer, forwarded_for, &[]).ip.to_string()
    }

    #[test]
    fn without_trusted_proxies_only_the_peer_counts() {
        let client = derive(&[], "198.51.100.9", &["203.0.113.7"], &["https"]);
        assert_eq!(client.ip.to_string(), "198.51.100.9");
        assert!(!client.https && !client.via_proxy && client.ignored_forwarding);
        assert!(!derive(&[], "198.51.100.9", &[], &[]).ignored_forwarding);
    }

    #[test]
    fn a_proxy_on_this_machine_does_not_make_its_clients_local() {
        assert!(derive(&[], "127.0.0.1", &[], &[]).is_local());
        assert!(derive(&["127.0.0.0/8"], "127.0.0.1", &[], &[]).is_local());
        assert!(derive(&["127.0.0.0/8"], "127.0.0.1", &["127.0.0.1"], &["http"]).is_local());
        assert!(!derive(&["127.0.0.0/8"], "127.0.0.1", &[], &["http"]).is_local());
        assert!(!derive(&["127.0.0.0/8"], "127.0.0.1", &["203.0.113.7"], &[]).is_local());
    }

    #[test]
    fn a_peer_outside_the_networks_is_not_believed() {
        let client = derive(&["10.0.0.0/8"], "198.51.100.9", &["203.0.113.7"], &["https"]);
        assert_eq!(client.ip.to_string(), "198.51.100.9");
        assert!(!client.https && client.ignored_forwarding);
    }

    #[test]
    fn a_trusted_proxy_vouches_for_its_client_alone() {
        assert_eq!(ip(&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        // What the client wrote itself stands to the left of what the proxy added.
        assert_eq!(ip(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(ip(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(ip(&["10.0.0.0/8"], "10.0.0.1", &["10.0.0.9, 1.2.3.4, 203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_its_first_stranger() {
        let trusted = ["10.0.0.0/8", "2001:db8:ffff::/48"];
        assert_eq!(ip(&trusted, "10.0.0.1", &["203.0.113.7, 2001:db8:ffff::2", "10.0.0.3"]), "203.0.113.7");
        assert_eq!(ip(&trusted, "10.0.0.1", &["10.0.0.4, 10.0.0.3"]), "10.0.0.4", "all trusted: the farthest");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(ip(&trusted, "10.0.0.1", &["203.0.113.7, unknown, 10.0.0.3"]), "10.0.0.3");
        assert_eq!(ip(&trusted, "10.0.0.1", &["203.0.113.7, <script>"]), "10.0.0.1");
        assert_eq!(ip(&trusted, "10.0.0.1", &[" , ,, "]), "10.0.0.1");
        assert_eq!(ip(&trusted, "10.0.0.1", &["203.0.113.7, 999.1.1.1"]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        let trusted = ["10.0.0.0/8"];
        for (written, read) in [
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("\t203.0.113.7 ", "203.0.113.7"),
        ] {
            assert_eq!(ip(&trusted, "10.0.0.1", &[written]), read, "{written}");
        }
        assert_eq!(ip(&trusted, "::ffff:10.0.0.1", &["203.0.113.7"]), "203.0.113.7", "a dual-stack socket's peer");
        assert_eq!(ip(&[], "::ffff:10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_nearest_proxy_says_whether_it_was_https() {
        let https = |proto: &[&str]| derive(&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.7"], proto).https;
        assert!(https(&["https"]) && https(&["HTTPS "]) && https(&["http, https"]) && https(&["http", "https"]));
        assert!(!https(&[]) && !https(&["http"]) && !https(&["https, http"]) && !https(&["https", "http"]));
        assert!(!https(&["httpsx"]) && !https(&["https,"]));
    }

    #[test]
    fn a_proxy_that_speaks_tls_to_us_still_says_what_its_client_spoke() {
        let https = |peer: &str, proto: &[&'static [u8]]| {
            let (trusted, peer) = (nets(&["10.0.0.0/8"]), peer.parse().expect("an address"));
            client_addr(&trusted, peer, true, std::iter::empty(), proto.iter().copied()).https
        };
        assert!(https("198.51.100.9", &[]) && https("198.51.100.9", &[b"http"]), "who is not trusted is not asked");
        assert!(https("10.0.0.1", &[]) && https("10.0.0.1", &[b"https"]) && !https("10.0.0.1", &[b"http"]));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_client_writes_hides_its_address(lines in proptest::collection::vec(r"[0-9a-f.:\[\], x]{0,40}", 0..4)) {
            // A proxy appends to the last line, or adds a line.
            let trusted = nets(&["10.0.0.0/8"]);
            let peer = "10.0.0.1".parse().expect("an address");
            let mut appended = lines.clone();
            match appended.last_mut() {
                Some(last) => *last += ", 203.0.113.7",
                None => appended.push("203.0.113.7".into()),
            }
            let mut added = lines;
            added.push("203.0.113.7".into());
            for sent in [appended, added] {
                let values = sent.iter().map(|line| line.as_bytes());
                let client = client_addr(&trusted, peer, false, values, std::iter::empty());
                proptest::prop_assert_eq!(client.ip.to_string(), "203.0.113.7");
            }
        }
    }
}
