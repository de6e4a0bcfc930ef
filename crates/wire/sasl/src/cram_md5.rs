//! CRAM-MD5 (RFC 2195): `HMAC-MD5(password, challenge)`.
//!
//! ```text
//! challenge = "<" random "@" host ">"
//! response  = user name SP 32(%x30-39 / %x61-66)
//! ```
//!
//! A server has no way but to keep something from which responses can be made. What is kept here are the two MD5 states
//! after the first block of the inner and the outer hash (RFC 2195 §3): enough for this mechanism, but not the password.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::block_api::compress;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{Error, prepare};

const BLOCK: usize = 64;
/// The initial state (RFC 1321 §3.3).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// What a server keeps of a password for CRAM-MD5.
#[derive(Clone, PartialEq, Eq)]
pub struct CramMd5Secret {
    inner: [u32; 4],
    outer: [u32; 4],
}

impl CramMd5Secret {
    /// From the password.
    pub fn derive(password: &str) -> CramMd5Secret {
        let mut key = [0u8; BLOCK];
        if password.len() > BLOCK {
            key[..16].copy_from_slice(&Md5::digest(password.as_bytes()));
        } else {
            key[..password.len()].copy_from_slice(password.as_bytes());
        }
        // RFC 2104 §2
        let state = |pad: u8| {
            let mut state = INITIAL;
            compress(&mut state, &[key.map(|octet| octet ^ pad)]);
            state
        };
        CramMd5Secret { inner: state(0x36), outer: state(0x5c) }
    }

    /// For a user that does not exist: the same one each time, matched by no password.
    pub fn fake(key: &[u8], username: &str) -> CramMd5Secret {
        let mut octets = [0; 32];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
            mac.update(b"cram-md5\0");
            mac.update(username.as_bytes());
            octets.copy_from_slice(&mac.finalize().into_bytes());
        }
        CramMd5Secret::from_bytes(&octets)
    }

    /// For keeping.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut octets = [0; 32];
        for (word, chunk) in self.inner.iter().chain(&self.outer).zip(octets.chunks_exact_mut(4)) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        octets
    }

    /// What [`CramMd5Secret::to_bytes`] gave.
    pub fn from_bytes(octets: &[u8; 32]) -> CramMd5Secret {
        let mut words =
            octets.chunks_exact(4).map(|chunk| chunk.iter().rev().fold(0, |word, b| word << 8 | u32::from(*b)));
        let mut four = || std::array::from_fn(|_| words.next().unwrap_or_default());
        CramMd5Secret { inner: four(), outer: four() }
    }

    /// The response to a challenge, in hexadecimal.
    pub(crate) fn digest(&self, challenge: &[u8]) -> String {
        let inner = finish(self.inner, challenge);
        let outer = finish(self.outer, &inner);
        outer.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    pub(crate) fn verify(&self, challenge: &[u8], digest: &str) -> Result<(), Error> {
        let expected = self.digest(challenge);
        if expected.as_bytes().ct_eq(digest.as_bytes()).into() { Ok(()) } else { Err(Error::Credentials) }
    }
}

impl fmt::Debug for CramMd5Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CramMd5Secret(***)")
    }
}

/// Goes on from a state after one block, over the rest of the data and the padding (RFC 1321 §3.1, §3.2).
fn finish(mut state: [u32; 4], data: &[u8]) -> [u8; 16] {
    let mut padded = data.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK != BLOCK - 8 {
        padded.push(0);
    }
    let bits = ((BLOCK + data.len()) as u64).wrapping_mul(8);
    padded.extend_from_slice(&bits.to_le_bytes());
    let (blocks, _) = padded.as_chunks::<BLOCK>();
    compress(&mut state, blocks);
    let mut digest = [0; 16];
    for (word, chunk) in state.iter().zip(digest.chunks_exact_mut(4)) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// Splits a response into user name and digest. A user name may contain spaces.
pub(crate) fn parse(response: &[u8]) -> Result<(String, String), Error> {
    let text = std::str::from_utf8(response).map_err(|_| Error::Malformed("not UTF-8"))?;
    let (name, digest) = text.rsplit_once(' ').ok_or(Error::Malformed("CRAM-MD5 takes a user name and a digest"))?;
    Ok((prepare::username(name)?, digest.to_ascii_lowercase()))
}
