//! Codes of authenticator apps: RFC 6238 with what every app understands, SHA-1, six digits, thirty seconds.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use totp_rs::{Builder, Secret};
use zeroize::Zeroizing;

use super::fill_random;

const SEED_LEN: usize = 20;
const STEP_SECONDS: i64 = 30;

/// What an app counts from. Printed by nothing; wiped when dropped.
pub struct Seed(Zeroizing<[u8; SEED_LEN]>);

impl Seed {
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; SEED_LEN]);
        fill_random(bytes.as_mut());
        Self(bytes)
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// As [`Self::to_text`] wrote it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(&Zeroizing::new(BASE32_NOPAD.decode(text.as_bytes()).ok()?))
    }

    /// 32 characters of base32: what is typed where no camera is at hand.
    pub fn to_text(&self) -> String {
        BASE32_NOPAD.encode(self.as_bytes())
    }

    /// What the app reads from the picture.
    pub fn uri(&self, issuer: &str, email: &str) -> String {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let (issuer, email) = (encode(issuer), encode(email));
        format!("otpauth://totp/{issuer}:{email}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30", self.to_text())
    }

    /// The step that this code belongs to, if it is that of now or of the one before or after.
    pub fn step_of(&self, code: &str, unix_seconds: i64) -> Option<i64> {
        let totp = Builder::new().with_secret(Secret::new_stack(*self.0)).with_skew(1).build().ok()?;
        totp.check(code, u64::try_from(unix_seconds).ok()?).and_then(|step| i64::try_from(step).ok())
    }

    /// The code of a moment, as an app shows it.
    pub fn code_at(&self, unix_seconds: i64) -> String {
        let totp = Builder::new().with_secret(Secret::new_stack(*self.0)).build().expect("a seed of 160 bits and six digits");
        totp.generate(u64::try_from(unix_seconds - unix_seconds % STEP_SECONDS).unwrap_or_default()).to_string()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 6238, appendix B, of which six digits are used here.
    #[test]
    fn the_published_vectors_hold() {
        let seed = Seed::from_bytes(b"12345678901234567890").expect("a seed");
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(seed.code_at(at), code);
            assert_eq!(seed.step_of(code, at), Some(at / 30));
            assert_eq!(seed.step_of(code, at + 30), Some(at / 30), "a step late");
            assert_eq!(seed.step_of(code, at + 60), None, "two steps late");
        }
    }

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        let seed = Seed::generate();
        assert_eq!(Seed::parse(&seed.to_text()).expect("a seed").as_bytes(), seed.as_bytes());
        assert!(seed.uri("Keyrack", "ada+x@example.com").starts_with("otpauth://totp/Keyrack:ada%2Bx%40example.com?secret="));
        assert_eq!(format!("{seed:?}"), "Seed(…)");
        for wrong in ["", "AAAA", "not base32!"] {
            assert!(Seed::parse(wrong).is_none(), "{wrong}");
        }
    }
}
