//! A file sealed under a passphrase: argon2id makes the key, XChaCha20-Poly1305 seals it in chunks (the STREAM construction),
//! so that chunks can be neither changed, left out, moved nor cut off at the end.

use std::io::{self, ErrorKind, Read, Write};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{KeyInit, Payload};
use zeroize::Zeroizing;

use super::fill_random;

const MAGIC: &[u8; 24] = b"keyrack sealed backup 1\n";
const SALT_LEN: usize = 16;
/// What the cipher's nonce has besides the counter of the chunks.
const NONCE_LEN: usize = 19;
const HEADER_LEN: usize = MAGIC.len() + SALT_LEN + NONCE_LEN;
const CHUNK: usize = 64 * 1024;
const TAG_LEN: usize = 16;
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// Whether a file begins as [`seal`] writes it.
pub fn is_sealed(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MAGIC)
}

pub fn seal(passphrase: &str, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut header = [0; HEADER_LEN];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    fill_random(&mut header[MAGIC.len()..]);
    to.write_all(&header)?;
    let (cipher, nonce) = parts(passphrase, &header);
    let mut sealer = EncryptorBE32::from_aead(cipher, &nonce.into());
    let (mut chunk, mut next) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut len = fill(&mut from, &mut chunk)?;
    loop {
        // Only the last chunk is sealed as the last one, so it takes a look ahead to know it.
        let more = if len == CHUNK { fill(&mut from, &mut next)? } else { 0 };
        let payload = Payload { msg: &chunk[..len], aad: &header };
        if more == 0 {
            let sealed = sealer.encrypt_last(payload).map_err(|_| io::Error::other("the file is too long to be sealed"))?;
            return to.write_all(&sealed);
        }
        let sealed = sealer.encrypt_next(payload).map_err(|_| io::Error::other("the file is too long to be sealed"))?;
        to.write_all(&sealed)?;
        std::mem::swap(&mut chunk, &mut next);
        len = more;
    }
}

/// `InvalidData` when the passphrase is another one, or the file is not as it was sealed.
pub fn open(passphrase: &str, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let wrong = || io::Error::from(ErrorKind::InvalidData);
    let mut header = [0; HEADER_LEN];
    from.read_exact(&mut header).map_err(|_| wrong())?;
    if !is_sealed(&header) {
        return Err(wrong());
    }
    let (cipher, nonce) = parts(passphrase, &header);
    let mut opener = DecryptorBE32::from_aead(cipher, &nonce.into());
    let (mut chunk, mut next) = (vec![0; CHUNK + TAG_LEN], vec![0; CHUNK + TAG_LEN]);
    let mut len = fill(&mut from, &mut chunk)?;
    loop {
        let more = if len == chunk.len() { fill(&mut from, &mut next)? } else { 0 };
        let payload = Payload { msg: &chunk[..len], aad: &header };
        if more == 0 {
            let clear = Zeroizing::new(opener.decrypt_last(payload).map_err(|_| wrong())?);
            return to.write_all(&clear);
        }
        let clear = Zeroizing::new(opener.decrypt_next(payload).map_err(|_| wrong())?);
        to.write_all(&clear)?;
        std::mem::swap(&mut chunk, &mut next);
        len = more;
    }
}

fn parts(passphrase: &str, header: &[u8; HEADER_LEN]) -> (XChaCha20Poly1305, [u8; NONCE_LEN]) {
    let (salt, nonce) = header[MAGIC.len()..].split_at(SALT_LEN);
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("these are within argon2's bounds");
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .expect("the salt and the key have lengths that argon2 takes");
    let mut prefix = [0; NONCE_LEN];
    prefix.copy_from_slice(nonce);
    (XChaCha20Poly1305::new((&*key).into()), prefix)
}

/// Reads until the buffer is full or the source is at its end.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match from.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(clear: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        seal("correct horse", clear, &mut sealed).expect("seals");
        sealed
    }

    fn opened(passphrase: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut clear = Vec::new();
        open(passphrase, sealed, &mut clear).map(|()| clear)
    }

    #[test]
    fn files_of_every_length_open_as_they_were_sealed() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let clear: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            assert_eq!(opened("correct horse", &sealed(&clear)).expect("opens"), clear, "{len}");
        }
    }

    #[test]
    fn another_passphrase_and_every_damage_are_told() {
        let whole = sealed(&vec![7; CHUNK + 100]);
        assert!(opened("correct house", &whole).is_err());
        assert!(opened("correct horse", &whole[..HEADER_LEN + CHUNK + TAG_LEN]).is_err(), "cut off after a chunk");
        assert!(opened("correct horse", &whole[..20]).is_err());
        for at in [0, MAGIC.len(), HEADER_LEN, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(opened("correct horse", &changed).is_err(), "{at}");
        }
    }
}
