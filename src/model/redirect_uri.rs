//! Where an authorization's answer may be sent: addresses that a client registered, compared byte by byte.

use std::fmt;

use url::{Host, Url};

use super::error::Problem;

/// An address that a client registered: https, or http on this machine alone, or a scheme of the client's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

impl RedirectUri {
    pub const MAX_LEN: usize = 2_000;

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let problem = |words: &str| {
            let shown: String = text.chars().take(80).collect();
            Problem::new("invalid_redirect_uri", format!("`{shown}`: {words}"))
        };
        if text.len() > Self::MAX_LEN {
            return Err(problem("a redirect URI has at most 2,000 characters."));
        }
        // What is compared byte by byte must have one way only to be written, and none that browsers read otherwise.
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}*".contains(&b)) {
            return Err(problem("write it in plain ASCII, without blanks, backslashes, quotes, braces or *."));
        }
        let url = Url::parse(text).map_err(|_| problem("write it in full, for example https://app.example.com/callback."))?;
        if text.contains('#') {
            return Err(problem("a redirect URI has no fragment. Take away the # and what follows it."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("a redirect URI has no user name or password."));
        }
        let is_plain = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:".contains(&b));
        if !url.host_str().is_none_or(is_plain) {
            return Err(problem("a host has letters, digits, dots and dashes."));
        }
        match url.scheme() {
            "https" | "http" if !text[url.scheme().len()..].starts_with("://") => {
                return Err(problem("write it in full, for example https://app.example.com/callback."));
            }
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => return Err(problem("http is for 127.0.0.1, [::1] and localhost alone. Use https.")),
            scheme if scheme.contains('.') => {}
            _ => return Err(problem("a scheme of your own contains a dot, for example com.example.app:/callback.")),
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address that was sent is this one. On this machine the port may be another (RFC 8252 §7.3).
    pub fn matches(&self, sent: &str) -> bool {
        if self.0 == sent {
            return true;
        }
        match (without_port(&self.0), without_port(sent)) {
            (Some(own), Some(other)) => own == other,
            _ => false,
        }
    }
}

/// The registered address that is most like one that was sent: most likely what was meant.
pub fn nearest<'a>(registered: &'a [RedirectUri], sent: &str) -> Option<&'a RedirectUri> {
    registered.iter().max_by(|a, b| strsim::jaro(&a.0, sent).total_cmp(&strsim::jaro(&b.0, sent)))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(addr)) => addr == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(addr)) => addr == std::net::Ipv6Addr::LOCALHOST,
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The host and what follows the port, for http on a loopback address.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    const HOSTS: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];
    let host = HOSTS.into_iter().find(|host| uri.starts_with(host))?;
    let rest = &uri[host.len()..];
    let Some(after) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = after.split_at(digits);
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_port && (rest.is_empty() || rest.starts_with(['/', '?']))).then_some((host, rest))
}

/// An address that matched a registered one, as it was sent: where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

impl Destination {
    /// Of what was sent, if one of the registered addresses matches it.
    pub fn of(registered: &[RedirectUri], sent: &str) -> Option<Self> {
        registered.iter().any(|uri| uri.matches(sent)).then(|| Self(sent.to_owned()))
    }

    /// A page of this server itself.
    pub fn own(uri: String) -> Self {
        Self(uri)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with an answer added to its own query (RFC 6749 §3.1.2).
    pub fn with<'a>(&self, answer: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
        let mut uri = self.0.clone();
        let mut joint = match uri.find('?') {
            None => "?",
            Some(at) if at + 1 == uri.len() || uri.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in answer {
            uri += joint;
            uri += name;
            uri.push('=');
            uri.extend(url::form_urlencoded::byte_serialize(value));
            joint = "&";
        }
        uri
    }

    /// What people know it by: `https://app.example.com`, or the scheme of an app.
    pub fn place(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => url.origin().ascii_serialization(),
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => self.0.clone(),
        }
    }

    /// How a content security policy names it. None: no policy can, as with an IPv6 address.
    pub fn csp_source(&self) -> Option<String> {
        let place = self.place();
        (!place.contains('[')).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|problem| panic!("{}", problem.message))
    }

    #[test]
    fn only_addresses_that_cannot_mislead_are_registered() {
        for good in [
            "https://app.example.com/callback",
            "https://app.example.com/cb?tenant=a",
            "https://app.example.com",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:8000/cb",
            "http://[::1]:8000/cb",
            "http://localhost:3000/cb",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            uri(good);
        }
        for bad in [
            "",
            "/callback",
            "app.example.com/callback",
            "http://app.example.com/callback",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost.evil.example/cb",
            "https://app.example.com/cb#part",
            "https://user@app.example.com/cb",
            "https://app.example.com\\@evil.example/cb",
            "https:app.example.com/cb",
            "https://app.example.com/a b",
            "https://*.example.com/cb",
            "https://app.example.com/\r\nX: y",
            "https://app.example.com;script-src/cb",
            "https://app.example.com,evil/cb",
            "https://äpp.example.com/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "myapp:/callback",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
        assert!(RedirectUri::parse(&format!("https://a.example/{}", "x".repeat(2_000))).is_err());
    }

    #[test]
    fn an_address_matches_itself_alone() {
        let own = uri("https://app.example.com/callback");
        assert!(own.matches("https://app.example.com/callback"));
        for other in [
            "https://app.example.com/callback/",
            "https://app.example.com/callback?x=1",
            "https://app.example.com/Callback",
            "https://APP.example.com/callback",
            "https://app.example.com:443/callback",
            "https://app.example.com/callback/../evil",
            "https://app.example.com/%63allback",
            "https://app.example.com.evil.example/callback",
            "https://app.example.com@evil.example/callback",
            "http://app.example.com/callback",
            "https://app.example.com/callback#x",
            "",
        ] {
            assert!(!own.matches(other), "{other}");
        }
    }

    #[test]
    fn on_this_machine_the_port_may_be_another() {
        for own in ["http://127.0.0.1/cb", "http://127.0.0.1:8000/cb"] {
            for sent in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
                assert!(uri(own).matches(sent), "{own} {sent}");
            }
            for sent in [
                "http://127.0.0.1:0/cb",
                "http://127.0.0.1:65536/cb",
                "http://127.0.0.1:/cb",
                "http://127.0.0.1:80a/cb",
                "http://127.0.0.1:80@evil.example/cb",
                "http://127.0.0.1.evil.example/cb",
                "http://127.0.0.1:8000/other",
                "http://[::1]:8000/cb",
                "http://localhost:8000/cb",
                "https://127.0.0.1:8000/cb",
            ] {
                assert!(!uri(own).matches(sent), "{own} {sent}");
            }
        }
        assert!(uri("http://[::1]/cb").matches("http://[::1]:9/cb"));
        assert!(!uri("http://localhost:3000/cb").matches("http://localhost:3001/cb"));
    }

    #[test]
    fn an_answer_is_added_to_the_query_that_is_there() {
        let with =
            |text: &str| Destination::own(text.into()).with([("code", b"a b&".as_slice()), ("state", b"\r\n\xff".as_slice())]);
        assert_eq!(with("https://a.example/cb"), "https://a.example/cb?code=a+b%26&state=%0D%0A%FF");
        assert_eq!(with("https://a.example/cb?x=1"), "https://a.example/cb?x=1&code=a+b%26&state=%0D%0A%FF");
        assert_eq!(with("https://a.example/cb?"), "https://a.example/cb?code=a+b%26&state=%0D%0A%FF");
        assert_eq!(with("com.example.app:/cb"), "com.example.app:/cb?code=a+b%26&state=%0D%0A%FF");
    }

    #[test]
    fn a_policy_names_the_place() {
        let source = |text: &str| Destination::own(text.into()).csp_source();
        assert_eq!(source("https://app.example.com/cb?x=1").as_deref(), Some("https://app.example.com"));
        assert_eq!(source("http://127.0.0.1:8000/cb").as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(source("com.example.app://cb/x").as_deref(), Some("com.example.app:"));
        assert_eq!(source("http://[::1]:8000/cb"), None);
    }
}
