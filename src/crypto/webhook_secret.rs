//! Signing as Standard Webhooks has it (<https://www.standardwebhooks.com>): `v1,` and the HMAC-SHA-256 over the
//! message's id, its time and its body.

use std::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::fill_random;

const PREFIX: &str = "whsec_";
const NEW_BYTES: usize = 32;

/// What a webhook's messages are signed with. Printed by no `Debug`; wiped when dropped.
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new(vec![0; NEW_BYTES]);
        fill_random(&mut bytes);
        Self(bytes)
    }

    /// `whsec_` and the base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?);
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// For sealing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For the one answer that shows it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(&self.0)))
    }

    /// `timestamp`: seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is one for an HMAC");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the specification.
    #[test]
    fn the_published_vector_holds() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        let of = |len: usize| WebhookSecret::parse(&format!("whsec_{}", BASE64.encode(&vec![7; len])));
        assert!(of(23).is_none() && of(24).is_some() && of(64).is_some() && of(65).is_none());
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all, by no means"] {
            assert!(WebhookSecret::parse(wrong).is_none(), "{wrong}");
        }
        let made = WebhookSecret::generate();
        assert_eq!(WebhookSecret::parse(&made.expose()).expect("a secret").as_bytes(), made.as_bytes());
        assert_eq!(format!("{made:?}"), "WebhookSecret(…)");
    }
}
