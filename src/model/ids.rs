//! Identifiers: TypeIDs (<https://github.com/jetify-com/typeid/tree/main/spec>), a prefix and a UUIDv7 in 26 characters
//! of base32. They sort by creation time and tell what they name.

use std::fmt;

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LEN: usize = 26;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &str = $prefix;

            /// A new id, later than every one this process made before.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// `None` for a text that can be no such id.
            pub fn parse(text: &str) -> Option<Self> {
                let suffix = text.strip_prefix($prefix)?.strip_prefix('_')?;
                decode(suffix).map(|bits| Self(Uuid::from_u128(bits)))
            }

            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl $name {
            /// Calls `then` with the text, which is made in place: an answer has several.
            pub fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
                const HEAD: &[u8] = concat!($prefix, "_").as_bytes();
                let mut text = [0; HEAD.len() + SUFFIX_LEN];
                text[..HEAD.len()].copy_from_slice(HEAD);
                text[HEAD.len()..].copy_from_slice(&encode(self.0.as_u128()));
                then(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.with_text(|text| f.write_str(text))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                self.with_text(|text| out.serialize_str(text))
            }
        }
    };
}

id!(UserId, "user");
id!(AccountId, "acct");
id!(ApiKeyId, "key");
id!(
    /// Names a session in a list; the cookie holds another secret.
    SessionId,
    "sess"
);
id!(
    /// Names a request in answers and in the log.
    RequestId,
    "req"
);
id!(AuditEventId, "evt");
id!(WebhookId, "wh");
id!(DeliveryId, "del");
id!(
    /// A program that asks users for access: the `client_id` of OAuth.
    ClientId,
    "client"
);
id!(
    /// What a user allowed a client, or a client's own access.
    GrantId,
    "grant"
);
id!(NoticeId, "note");

fn encode(bits: u128) -> [u8; SUFFIX_LEN] {
    let mut out = [0; SUFFIX_LEN];
    for (n, slot) in out.iter_mut().rev().enumerate() {
        *slot = ALPHABET[(bits >> (5 * n)) as usize & 31];
    }
    out
}

fn decode(text: &str) -> Option<u128> {
    // 26 characters hold 130 bits: a first character above 7 would overflow the 128.
    if text.len() != SUFFIX_LEN || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|&c| c == byte)?;
        Some(bits << 5 | digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The published vectors of the TypeID specification.
    #[test]
    fn the_published_vectors_hold() {
        for (text, uuid) in [
            ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
            ("7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ("0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
            ("01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ] {
            let uuid: Uuid = uuid.parse().expect("a uuid");
            assert_eq!(decode(text), Some(uuid.as_u128()));
            assert_eq!(encode(uuid.as_u128()), text.as_bytes());
        }
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        for text in [
            "",
            "123",
            "user_",
            "user_abc123",
            "key_01h455vb4pex5vsknk084sn02q",
            "user_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "user_01H455VB4PEX5VSKNK084SN02Q",
            "user_01h455vb4pex5vsknk084sn02é",
        ] {
            assert_eq!(UserId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_sort_by_creation() {
        let (first, second) = (UserId::new(), UserId::new());
        assert!(first < second && first.to_string() < second.to_string());
        assert_eq!(UserId::parse(&first.to_string()), Some(first));
    }
}
