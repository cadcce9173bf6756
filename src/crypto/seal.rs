//! Sealing what has to be read again: seeds of second factors, secrets that webhooks are signed with. XChaCha20-Poly1305
//! under a master key that is kept outside the database, so that a copy of the database alone gives none of it away.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::fill_random;

const FORMAT: u8 = 1;
const NONCE_LEN: usize = 24;
const HEADER_LEN: usize = 1 + MasterKeyId::LEN + NONCE_LEN;

/// 256 random bits. Printed by nothing; wiped when dropped.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    id: MasterKeyId,
}

/// Tells master keys apart without telling anything about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterKeyId([u8; Self::LEN]);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("sealed under the master key {found}, but the one at hand is {have}")]
    OtherKey { found: MasterKeyId, have: MasterKeyId },
    #[error("a sealed value is damaged, or stands where it does not belong")]
    Damaged,
}

impl MasterKey {
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(bytes.as_mut());
        Self::from_bytes(bytes)
    }

    /// As [`Self::to_text`] wrote it.
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = Zeroizing::new(HEXLOWER.decode(text.trim().as_bytes()).ok()?);
        Some(Self::from_bytes(Zeroizing::new(decoded.as_slice().try_into().ok()?)))
    }

    /// 64 hexadecimal digits: what the file holds.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(self.bytes.as_ref()))
    }

    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new().chain_update(b"keyrack master key id").chain_update(bytes.as_ref()).finalize();
        let mut id = [0; MasterKeyId::LEN];
        id.copy_from_slice(&digest[..MasterKeyId::LEN]);
        Self { bytes, id: MasterKeyId(id) }
    }

    pub fn id(&self) -> MasterKeyId {
        self.id
    }

    /// `place` names the row and the column, such as `webhook_endpoints.secret:wh_…`: what was sealed for one place
    /// does not open in another.
    pub fn seal(&self, place: &str, clear: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce);
        let payload = Payload { msg: clear, aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("a few bytes are not too many for the cipher");
        [&[FORMAT], self.id.0.as_slice(), &nonce, &sealed].concat()
    }

    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or(SealError::Damaged)?;
        let (id, nonce) = header[1..].split_at(MasterKeyId::LEN);
        if header[0] != FORMAT {
            return Err(SealError::Damaged);
        }
        if id != self.id.0 {
            let found = MasterKeyId(id.try_into().map_err(|_| SealError::Damaged)?);
            return Err(SealError::OtherKey { found, have: self.id });
        }
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| SealError::Damaged)?;
        let payload = Payload { msg: body, aad: place.as_bytes() };
        self.cipher().decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| SealError::Damaged)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKeyId {
    const LEN: usize = 4;

    pub fn parse(text: &str) -> Option<Self> {
        let decoded = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(decoded.as_slice().try_into().ok()?))
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let key = MasterKey::generate();
        let sealed = key.seal("totp:1", b"seed");
        assert_eq!(key.open("totp:1", &sealed).unwrap().as_slice(), b"seed");
        assert_eq!(key.open("totp:2", &sealed).unwrap_err(), SealError::Damaged);
        assert_ne!(key.seal("totp:1", b"seed"), sealed, "another nonce each time");
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let key = MasterKey::generate();
        let sealed = key.seal("p", b"a secret");
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(key.open("p", &changed).is_err(), "byte {n}");
            assert!(key.open("p", &sealed[..n]).is_err(), "cut after {n}");
        }
    }

    #[test]
    fn another_master_key_is_told_from_damage() {
        let (one, two) = (MasterKey::generate(), MasterKey::generate());
        let expected = SealError::OtherKey { found: one.id(), have: two.id() };
        assert_eq!(two.open("p", &one.seal("p", b"x")).unwrap_err(), expected);
    }

    #[test]
    fn the_text_of_a_key_reads_back_and_debug_hides_it() {
        let key = MasterKey::generate();
        let again = MasterKey::parse(&format!("{}\n", *key.to_text())).unwrap();
        assert_eq!(again.id(), key.id());
        assert_eq!(MasterKeyId::parse(&key.id().to_string()), Some(key.id()));
        assert!(!format!("{key:?}").contains(&*key.to_text()));
        for broken in ["", "00", "zz", &"0".repeat(63), &"0".repeat(66)] {
            assert!(MasterKey::parse(broken).is_none(), "{broken}");
        }
    }
}
