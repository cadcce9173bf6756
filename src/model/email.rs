//! Email addresses: kept as typed, compared without regard to case.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::error::Problem;
use super::name::is_invisible;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email {
    typed: String,
    canonical: String,
}

impl Email {
    /// The longest address that SMTP can carry (RFC 5321 §4.5.3.1.3).
    pub const MAX_BYTES: usize = 254;

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::new("invalid_email", "Enter an email address, for example ada@example.com.");
        let typed: String = text.trim_matches(' ').nfc().collect();
        if typed.is_empty() {
            return Err(Problem::new("required", "Enter an email address."));
        }
        let too_long = || Problem::new("too_long", format!("An email address has at most {} bytes.", Self::MAX_BYTES));
        if typed.len() > Self::MAX_BYTES {
            return Err(too_long());
        }
        let (local, domain) = typed.rsplit_once('@').ok_or_else(wrong)?;
        // Some letters take more bytes in lower case.
        let lower: String = local.to_lowercase().nfc().collect();
        if !is_local_part(local) || !is_local_part(&lower) {
            return Err(wrong());
        }
        let domain = canonical_domain(domain).ok_or_else(wrong)?;
        let canonical = format!("{lower}@{domain}");
        // A domain of other letters takes more bytes in ASCII.
        if canonical.len() > Self::MAX_BYTES {
            return Err(too_long());
        }
        Ok(Self { typed, canonical })
    }

    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// What addresses are compared by: local part in lower case, domain as IDNA ASCII in lower case.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The name to show for someone who gave none.
    pub fn local_part(&self) -> &str {
        self.typed.rsplit_once('@').map_or(self.typed.as_str(), |(local, _)| local)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

// A dot-atom of RFC 5321 §4.1.2, with the letters of other scripts (RFC 6531). Quoted local parts are refused: nobody
// has one, and they carry spaces and control characters.
fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || (!c.is_ascii() && !c.is_whitespace());
    !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| allowed(c) && !is_invisible(c))
}

fn canonical_domain(domain: &str) -> Option<String> {
    let domain = idna::domain_to_ascii_strict(domain).ok()?.to_ascii_lowercase();
    let well_formed = domain.len() <= 253
        && domain.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        // A name without a dot is one of the own network's: `admin@localhost` is somebody.
        && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    well_formed.then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_do_not_tell_addresses_apart() {
        let canonical = |text: &str| Email::parse(text).expect("an address").canonical().to_owned();
        assert_eq!(canonical("Ada@Example.COM"), canonical("ada@example.com"));
        assert_eq!(canonical("jos\u{e9}@example.com"), canonical("jose\u{301}@example.com"));
        assert_eq!(canonical("a@b\u{fc}cher.example"), "a@xn--bcher-kva.example");
    }

    #[test]
    fn what_is_typed_is_kept() {
        assert_eq!(Email::parse(" Ada+x@Example.com ").expect("an address").as_str(), "Ada+x@Example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@x\n",
            "a@exa mple.com",
            "a@-x.com",
            "a@x..com",
            "a..b@example.com",
            ".a@example.com",
            "\"a b\"@example.com",
            "a@example.com\u{202e}",
            "a@[127.0.0.1]",
            "a@example.com.",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(64))).is_ok());
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }
}
