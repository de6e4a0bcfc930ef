//! Cryptography by aws-lc-rs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, Digest as LibraryDigest, SHA256};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use mailstead_names::Secret;

use super::{
    Crypto, Digest, KeyType, PrivateKey, PrivateKeyError, PrivateKeyForm, PublicKey, RsaPublicKey, Sha256,
    SigningFailed, Verdict,
};

/// Cryptography by aws-lc-rs.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsLcRs;

impl Crypto for AwsLcRs {
    fn sha256(&self) -> Box<dyn Sha256> {
        Box::new(Hash(Context::new(&SHA256)))
    }

    fn verify(&self, key: &PublicKey, digest: &Digest, signature: &[u8]) -> Verdict {
        let valid = match key {
            PublicKey::Rsa(key) => rsa(key, digest, signature),
            PublicKey::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(digest, signature).is_ok(),
        };
        if valid { Verdict::Valid } else { Verdict::Invalid }
    }

    fn private_key(&self, form: PrivateKeyForm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, PrivateKeyError> {
        if form == PrivateKeyForm::Pkcs8
            && let Ok(pair) = Ed25519KeyPair::from_pkcs8(der)
        {
            let octets = pair.public_key().as_ref().try_into().map_err(|_| PrivateKeyError::Rejected)?;
            return Ok(Arc::new(Ed25519 { pair, public_key: PublicKey::Ed25519(octets) }));
        }
        let pair = match form {
            PrivateKeyForm::Pkcs8 => RsaKeyPair::from_pkcs8(der),
            PrivateKeyForm::Pkcs1 => RsaKeyPair::from_der(der),
        };
        let pair = pair.map_err(|_| PrivateKeyError::Rejected)?;
        let public_key = RsaPublicKey::from_der(pair.public_key().as_ref()).map_err(|_| PrivateKeyError::Rejected)?;
        Ok(Arc::new(Rsa { pair, public_key: PublicKey::Rsa(public_key) }))
    }

    fn generate(&self, key_type: KeyType) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        // The first version of PKCS#8, which every program reads.
        let der: Pkcs8V1Der<'static> = match key_type {
            KeyType::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).and_then(|pair| pair.as_der()),
            KeyType::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.as_der()),
        }
        .map_err(|_| PrivateKeyError::Generation)?;
        Ok(Secret::new(der.as_ref().to_vec()))
    }
}

fn rsa(key: &RsaPublicKey, digest: &Digest, signature: &[u8]) -> bool {
    let components = RsaPublicKeyComponents { n: key.modulus(), e: key.exponent() };
    let verify = || {
        let key = components.to_parsed_public_key(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY).ok()?;
        key.verify_digest_sig(&LibraryDigest::import_less_safe(digest, &SHA256).ok()?, signature).ok()
    };
    verify().is_some()
}

struct Hash(Context);

impl Sha256 for Hash {
    fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    fn fork(&self) -> Box<dyn Sha256> {
        Box::new(Hash(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}

struct Rsa {
    pair: RsaKeyPair,
    public_key: PublicKey,
}

impl PrivateKey for Rsa {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, digest: &Digest) -> Result<Vec<u8>, SigningFailed> {
        let digest = LibraryDigest::import_less_safe(digest, &SHA256).map_err(|_| SigningFailed)?;
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).map_err(|_| SigningFailed)?;
        Ok(signature)
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rsa").field("bits", &self.public_key.bits()).finish_non_exhaustive()
    }
}

struct Ed25519 {
    pair: Ed25519KeyPair,
    public_key: PublicKey,
}

impl PrivateKey for Ed25519 {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, digest: &Digest) -> Result<Vec<u8>, SigningFailed> {
        self.pair.try_sign(digest).map(|signature| signature.as_ref().to_vec()).map_err(|_| SigningFailed)
    }
}

impl fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519").finish_non_exhaustive()
    }
}
