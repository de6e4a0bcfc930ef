//! The cryptography of DKIM and ARC as traits, and their implementation by the library that TLS uses.
//!
//! SHA-256, RSASSA-PKCS1-v1_5 (RFC 6376 §3.3.2, RFC 8301) and Ed25519 (RFC 8463). There is no SHA-1: what was signed with
//! it is recognised and never passes (RFC 8301 §3.1).

use std::fmt;
use std::sync::Arc;

use mailstead_names::Secret;

mod pem;
mod public_key;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc_rs;

#[cfg(feature = "aws-lc-rs")]
pub use self::aws_lc_rs::AwsLcRs;
pub use pem::{generate_pem, read_pem, read_public_pem};
pub(crate) use public_key::LEAST_RSA_BITS;
pub use public_key::{PublicKey, PublicKeyError, RsaPublicKey};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A SHA-256 computation under way.
pub trait Sha256: Send + Sync {
    /// Adds octets.
    fn update(&mut self, octets: &[u8]);

    /// A second computation that begins with everything added so far.
    fn fork(&self) -> Box<dyn Sha256>;

    /// The digest of everything added.
    fn finish(self: Box<Self>) -> Digest;
}

/// What came of checking a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The key made the signature.
    Valid,
    /// It did not, or key or signature are malformed.
    Invalid,
}

/// The types of keys (RFC 6376 §3.6.1, RFC 8463 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA; keys that are generated have 2048 bits (RFC 8301 §3.2).
    Rsa,
    /// Ed25519
    Ed25519,
}

impl KeyType {
    /// The name in key records and algorithms.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a private key is written in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateKeyForm {
    /// `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5958).
    Pkcs8,
    /// `RSAPrivateKey` (RFC 8017 §A.1.2).
    Pkcs1,
}

/// Why there is no private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// There is no PEM block of a private key, or it is damaged.
    #[error("not a private key in PEM form")]
    Pem,
    /// The key is encrypted, and nobody is here to ask for the password.
    #[error("the private key is encrypted")]
    Encrypted,
    /// Neither RSA nor Ed25519, malformed, or an RSA key of fewer than 2048 bits (RFC 8301 §3.2).
    #[error("the private key is malformed, too short or of a type that DKIM does not use")]
    Rejected,
    /// The library could not make one.
    #[error("generating a key failed")]
    Generation,
}

/// The private key could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signing failed")]
pub struct SigningFailed;

/// A private key, wherever it is kept.
pub trait PrivateKey: fmt::Debug + Send + Sync {
    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs a digest: as the digest of RSASSA-PKCS1-v1_5 with SHA-256, or as the message of Ed25519 (RFC 8463 §3).
    ///
    /// # Errors
    /// When the key cannot be used, now or at all.
    fn sign(&self, digest: &Digest) -> Result<Vec<u8>, SigningFailed>;
}

/// Digests, signatures and keys.
pub trait Crypto: fmt::Debug + Send + Sync {
    /// Begins a SHA-256 computation.
    fn sha256(&self) -> Box<dyn Sha256>;

    /// Checks the signature of a digest; see [`PrivateKey::sign`].
    ///
    /// RSA keys may have 1024 to 8192 bits. Callers have checked that.
    fn verify(&self, key: &PublicKey, digest: &Digest, signature: &[u8]) -> Verdict;

    /// Reads a private key.
    ///
    /// # Errors
    /// When it cannot be used for signing.
    fn private_key(&self, form: PrivateKeyForm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, PrivateKeyError>;

    /// Makes a private key, in the form of PKCS#8.
    ///
    /// # Errors
    /// When the library fails.
    fn generate(&self, key_type: KeyType) -> Result<Secret<Vec<u8>>, PrivateKeyError>;
}
