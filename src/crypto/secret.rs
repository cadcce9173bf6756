//! Secrets that Keyrack makes: a prefix that tells the kind, 256 random bits, and a checksum that tells a typing error
//! before any look-up. Kept as SHA-256 alone: there is nothing to guess in 256 random bits, so no slow hash is needed.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::fill_random;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_BYTES: usize = 32;
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// What a secret begins with: letters and digits, closed by an underscore, so that a double click selects it all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    pub const MAX_LEN: usize = 16;
    /// The prefixes of the other kinds.
    pub const RESERVED: &[&str] =
        &[Kind::AccessToken.prefix(), Kind::RefreshToken.prefix(), Kind::AuthorizationCode.prefix(), Kind::ClientSecret.prefix()];

    pub fn parse(text: &str) -> Result<Self, String> {
        let shaped = text.len() >= 2
            && text.len() <= Self::MAX_LEN
            && text.ends_with('_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !shaped {
            return Err(format!("`{text}`: a prefix has 1 to 15 letters and digits and ends in `_`, for example kr_"));
        }
        if Self::RESERVED.contains(&text) {
            return Err(format!("`{text}` is the prefix of another kind of secret; choose another, for example kr_"));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What secret scanners look for.
    pub fn pattern(&self) -> String {
        format!("{}[0-9A-Za-z]{{{}}}", self.0, RANDOM_CHARS + CHECK_CHARS)
    }
}

/// The secrets of OAuth; each kind is told by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AccessToken,
    RefreshToken,
    AuthorizationCode,
    ClientSecret,
}

impl Kind {
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "kro_",
            Self::RefreshToken => "krr_",
            Self::AuthorizationCode => "krc_",
            Self::ClientSecret => "krs_",
        }
    }

    pub fn generate(self) -> Secret {
        Secret::generate(&Prefix(self.prefix().into()))
    }

    /// The hash of what may be such a secret: one of this kind, without a typing error.
    pub fn hash_of(self, text: &str) -> Option<SecretHash> {
        (has_form(text, self.prefix()) && has_checksum(text)).then(|| SecretHash::of(text))
    }
}

/// A secret in the clear. Never printed; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn generate(prefix: &Prefix) -> Self {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        fill_random(random.as_mut());
        Self::from_random(prefix.as_str(), &random)
    }

    fn from_random(prefix: &str, random: &[u8; RANDOM_BYTES]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + RANDOM_CHARS + CHECK_CHARS));
        text.push_str(prefix);
        push_base62(&mut text, random, RANDOM_CHARS);
        let check = crc32fast::hash(text.as_bytes());
        push_base62(&mut text, &check.to_be_bytes(), CHECK_CHARS);
        Self(text)
    }

    /// The text itself: for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }

    /// What people recognise the secret by: prefix, `…` and the last four characters.
    pub fn hint(&self) -> String {
        hint_of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hint of a text that has the length of a secret; of a shorter one nothing but `…`.
pub fn hint_of(text: &str) -> String {
    let prefix = text.len().checked_sub(RANDOM_CHARS + CHECK_CHARS).and_then(|end| text.get(..end)).unwrap_or_default();
    let last = text.len().checked_sub(4).and_then(|start| text.get(start..)).filter(|_| !prefix.is_empty()).unwrap_or_default();
    format!("{prefix}…{last}")
}

/// Whether a presented text can be a secret of ours: its last six characters are the checksum of all before.
pub fn has_checksum(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shortest = 2 + RANDOM_CHARS + CHECK_CHARS;
    if bytes.len() < shortest || bytes.len() > Prefix::MAX_LEN + RANDOM_CHARS + CHECK_CHARS {
        return false;
    }
    let (body, check) = bytes.split_at(bytes.len() - CHECK_CHARS);
    let mut rest = crc32fast::hash(body);
    check.iter().rev().all(|&digit| {
        let expected = BASE62[(rest % 62) as usize];
        rest /= 62;
        digit == expected
    })
}

/// Whether a text is written as secrets with this prefix are, whatever its checksum.
pub fn has_form(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    rest.len() == RANDOM_CHARS + CHECK_CHARS && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The SHA-256 of a secret: what is stored, and what is looked up by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl Hash for SecretHash {
    // Any eight bytes of a SHA-256 are as good as all of it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl SecretHash {
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHash({}…)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

/// A random token for a cookie or a form: 256 bits in base64url.
pub fn random_token() -> Zeroizing<String> {
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    fill_random(random.as_mut());
    Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(random.as_ref()))
}

/// Crockford's base32: no I, L, O or U to mistake.
const TYPEABLE: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RECOVERY_CHARS: usize = 24;

/// Twelve characters that can be typed: `7Q4K-M2XD-9FWP`, 60 random bits.
pub fn typeable_code() -> String {
    let mut random = [0; 12];
    fill_random(&mut random);
    let mut code = String::with_capacity(14);
    for (n, byte) in random.iter().enumerate() {
        if n > 0 && n % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(TYPEABLE[usize::from(byte & 31)]));
    }
    code
}

/// A typed code as it was made: upper case, dashes where they belong, look-alikes mended.
pub fn normalize_code(typed: &str) -> Option<String> {
    let plain: Vec<char> = mended(typed).chars().collect();
    if plain.len() != 12 || !plain.iter().all(char::is_ascii_alphanumeric) {
        return None;
    }
    Some(plain.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// A recovery code: 24 characters, 120 random bits, so that a plain hash of it can be kept.
pub fn recovery_code() -> Zeroizing<String> {
    let mut random = Zeroizing::new([0; RECOVERY_CHARS]);
    fill_random(random.as_mut());
    let chars: Zeroizing<String> =
        Zeroizing::new(random.iter().map(|byte| char::from(TYPEABLE[usize::from(byte & 31)])).collect());
    grouped_by_six(&chars)
}

/// A typed recovery code as it was made.
pub fn normalize_recovery_code(typed: &str) -> Option<Zeroizing<String>> {
    let plain = mended(typed);
    (plain.len() == RECOVERY_CHARS && plain.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| grouped_by_six(&plain))
}

fn grouped_by_six(chars: &str) -> Zeroizing<String> {
    let groups: Vec<&str> = (0..chars.len()).step_by(6).map(|at| &chars[at..at + 6]).collect();
    Zeroizing::new(groups.join("-"))
}

/// Upper case, without blanks and dashes, look-alikes mended.
fn mended(typed: &str) -> Zeroizing<String> {
    let kept = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    Zeroizing::new(
        kept.map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect(),
    )
}

fn push_base62(out: &mut String, big_endian: &[u8], chars: usize) {
    let mut number = Zeroizing::new(big_endian.to_vec());
    let mut digits = Zeroizing::new(vec![b'0'; chars]);
    for slot in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *slot = BASE62[rest as usize];
    }
    out.extend(digits.iter().map(|&digit| char::from(digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_promised_form() {
        let secret = Secret::generate(&Prefix::parse("kr_").expect("a prefix"));
        let text = secret.expose();
        assert_eq!(text.len(), 3 + 43 + 6);
        assert!(has_checksum(text));
        assert!(text[3..].bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(secret.hint(), format!("kr_…{}", &text[48..]));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn known_bits_give_known_characters() {
        let zeros = Secret::from_random("kr_", &[0; 32]);
        assert_eq!(&zeros.expose()[..46], format!("kr_{}", "0".repeat(43)));
        // 2^256 - 1 in base 62, left-padded to 43, by an independent big-integer library.
        let ones = Secret::from_random("kr_", &[0xff; 32]);
        assert_eq!(&ones.expose()[3..46], "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    }

    #[test]
    fn any_changed_character_breaks_the_checksum() {
        let secret = Secret::generate(&Prefix::parse("ak_live_").expect("a prefix"));
        for n in 0..secret.expose().len() {
            let mut changed = secret.expose().to_owned().into_bytes();
            changed[n] = if changed[n] == b'x' { b'y' } else { b'x' };
            assert!(!has_checksum(std::str::from_utf8(&changed).expect("ascii")), "character {n}");
        }
        for text in ["", "kr_", "kr_123456789", "é".repeat(26).as_str(), "x".repeat(5000).as_str()] {
            assert!(!has_checksum(text));
        }
    }

    #[test]
    fn prefixes_are_checked() {
        for good in ["kr_", "ak_live_", "re_", "mit_"] {
            assert!(Prefix::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "_", "kr", "kr-", "ü_", "kro_", "a_very_long_prefix_"] {
            assert!(Prefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = typeable_code();
        assert_eq!(code.len(), 14);
        assert_eq!(normalize_code(&code.to_lowercase().replace('-', " ")), Some(code));
        assert_eq!(normalize_code("oil0-0000-0000").as_deref(), Some("0110-0000-0000"));
        assert_eq!(normalize_code("short"), None);
    }
}
