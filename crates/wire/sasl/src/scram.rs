//! SCRAM keys and verifiers (RFC 5802 §3, RFC 7677).
//!
//! ```text
//! SaltedPassword  := Hi(Normalize(password), salt, i)
//! ClientKey       := HMAC(SaltedPassword, "Client Key")
//! StoredKey       := H(ClientKey)
//! ServerKey       := HMAC(SaltedPassword, "Server Key")
//! ClientSignature := HMAC(StoredKey, AuthMessage)
//! ClientProof     := ClientKey XOR ClientSignature
//! ServerSignature := HMAC(ServerKey, AuthMessage)
//! ```

pub(crate) mod message;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mailstead_names::Secret;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Error, prepare};

/// Octets of salt in every verifier made here. Fake ones must be no exception.
pub const SALT_LEN: usize = 16;

/// The hash function of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802): for clients that know nothing better.
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
}

impl ScramHash {
    /// The mechanism's name without -PLUS.
    pub const fn mechanism_name(self) -> &'static str {
        match self {
            ScramHash::Sha1 => "SCRAM-SHA-1",
            ScramHash::Sha256 => "SCRAM-SHA-256",
        }
    }

    const fn output_len(self) -> usize {
        match self {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
        }
    }

    pub(crate) fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            ScramHash::Sha1 => Sha1::digest(data).to_vec(),
            ScramHash::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        // HMAC takes keys of any length, so the error arm is never reached.
        match self {
            ScramHash::Sha1 => {
                Hmac::<Sha1>::new_from_slice(key).map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
            }
            ScramHash::Sha256 => {
                Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
            }
        }
        .unwrap_or_default()
    }
}

/// `SaltedPassword`, from which both sides get their keys.
pub(crate) struct SaltedPassword {
    hash: ScramHash,
    key: Secret<Vec<u8>>,
}

impl SaltedPassword {
    pub(crate) fn new(hash: ScramHash, password: &Secret<String>, salt: &[u8], iterations: u32) -> SaltedPassword {
        let password = prepare::scram_password(password.expose());
        let password = password.expose().as_bytes();
        let mut key = vec![0; hash.output_len()];
        match hash {
            ScramHash::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key),
            ScramHash::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key),
        }
        SaltedPassword { hash, key: Secret::new(key) }
    }

    fn client_key(&self) -> Vec<u8> {
        self.hash.hmac(self.key.expose(), b"Client Key")
    }

    pub(crate) fn server_key(&self) -> Vec<u8> {
        self.hash.hmac(self.key.expose(), b"Server Key")
    }

    fn stored_key(&self) -> Vec<u8> {
        self.hash.hash(&self.client_key())
    }

    pub(crate) fn client_proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let signature = self.hash.hmac(&self.stored_key(), auth_message);
        xor(&self.client_key(), &signature)
    }
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// What a server keeps of a password for SCRAM. Whoever steals it can play the server, but must guess the password to
/// play the client.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Which hash it is for.
    pub hash: ScramHash,
    /// How often the hash is applied: what makes guessing expensive.
    pub iterations: u32,
    /// Random octets, [`SALT_LEN`] of them.
    pub salt: Vec<u8>,
    /// `StoredKey`.
    pub stored_key: Vec<u8>,
    /// `ServerKey`.
    pub server_key: Vec<u8>,
}

impl ScramVerifier {
    /// From a password. Takes time in proportion to `iterations`: tens of milliseconds for the usual numbers, so not on
    /// a thread that serves connections.
    pub fn derive(hash: ScramHash, password: &Secret<String>, salt: &[u8], iterations: u32) -> ScramVerifier {
        let salted = SaltedPassword::new(hash, password, salt, iterations);
        ScramVerifier {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: salted.stored_key(),
            server_key: salted.server_key(),
        }
    }

    /// For a user that does not exist: the same one each time, so that repeated attempts look like those for a user
    /// that exists, and matched by no password. `key` is a secret of the server that outlives restarts; `iterations`
    /// must be what real verifiers have.
    pub fn fake(hash: ScramHash, key: &[u8], username: &str, iterations: u32) -> ScramVerifier {
        let octets = |what: &str, len: usize| {
            let input = format!("{} {what}\0{username}", hash.mechanism_name());
            let mut octets = ScramHash::Sha256.hmac(key, input.as_bytes());
            octets.truncate(len);
            octets
        };
        ScramVerifier {
            hash,
            iterations,
            salt: octets("salt", SALT_LEN),
            stored_key: octets("stored key", hash.output_len()),
            server_key: octets("server key", hash.output_len()),
        }
    }

    /// Text for keeping: `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>` with base64 (RFC 5803 §3).
    pub fn to_text(&self) -> String {
        let base64 = |octets: &[u8]| BASE64_STANDARD.encode(octets);
        format!(
            "{}${}:{}${}:{}",
            self.hash.mechanism_name(),
            self.iterations,
            base64(&self.salt),
            base64(&self.stored_key),
            base64(&self.server_key)
        )
    }

    /// What [`ScramVerifier::to_text`] gave.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_text(text: &str) -> Result<ScramVerifier, Error> {
        let parse = || {
            let mut fields = text.split('$');
            let hash = match fields.next()? {
                "SCRAM-SHA-1" => ScramHash::Sha1,
                "SCRAM-SHA-256" => ScramHash::Sha256,
                _ => return None,
            };
            let (iterations, salt) = fields.next()?.split_once(':')?;
            let (stored_key, server_key) = fields.next()?.split_once(':')?;
            let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
            let verifier = ScramVerifier {
                hash,
                iterations: iterations.parse().ok()?,
                salt: decode(salt)?,
                stored_key: decode(stored_key)?,
                server_key: decode(server_key)?,
            };
            let len = hash.output_len();
            let fits = verifier.stored_key.len() == len && verifier.server_key.len() == len && fields.next().is_none();
            fits.then_some(verifier)
        };
        parse().ok_or(Error::Malformed("stored verifier"))
    }

    /// Checks a client's proof (RFC 5802 §3): `H(ClientProof XOR ClientSignature)` must be `StoredKey`.
    pub(crate) fn verify(&self, auth_message: &[u8], proof: &[u8]) -> Result<(), Error> {
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        if proof.len() != signature.len() {
            return Err(Error::Credentials);
        }
        let client_key = xor(proof, &signature);
        let matches = self.hash.hash(&client_key).ct_eq(&self.stored_key);
        if matches.into() { Ok(()) } else { Err(Error::Credentials) }
    }

    pub(crate) fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramVerifier({}, {} iterations)", self.hash.mechanism_name(), self.iterations)
    }
}
