//! PKCE (RFC 7636): whoever redeems a code must be the one who asked for it. Of its two methods only `S256`.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What came with the request for a code: the hash of a verifier that only the client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// A SHA-256 in base64url has 43 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        is_hash.then(|| Self(text.to_owned()))
    }

    /// Of the verifier.
    pub fn of(verifier: &str) -> Self {
        Self(BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 7636 §4.6
    pub fn is_met_by(&self, verifier: &str) -> bool {
        is_verifier(verifier) && Self::of(verifier).0.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

/// RFC 7636 §4.1: a shorter one could be guessed.
pub fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_holds() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").expect("a challenge");
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXj"));
    }

    #[test]
    fn verifiers_and_challenges_have_their_form() {
        assert!(is_verifier(&"a".repeat(43)) && is_verifier(&"~".repeat(128)));
        for bad in ["a".repeat(42), "a".repeat(129), "a b".repeat(20), "é".repeat(30), String::new()] {
            assert!(!is_verifier(&bad), "{bad}");
        }
        for bad in ["", "short", &"a".repeat(44), &"+".repeat(43), &"=".repeat(43)] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
