//! Public keys by which clients are known, as they stand in certificates.
//!
//! ```text
//! SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }    RFC 5280 §4.1
//! RSAPublicKey         ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }                       RFC 8017 §A.1.1
//! ```
//!
//! Whether somebody holds the private half is not decided here, and neither is whose key it is.

use std::fmt;

use mailstead_names::KeyFingerprint;
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, SubjectPublicKeyInfoDer, alg_id};
use rustls::server::ParsedCertificate;
use sha2::{Digest as _, Sha256};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// With less an RSA key can be broken (RFC 9325 §4.4), with more nobody checks its signatures.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What a key is. Written like `rsa-2048`, `ecdsa-p256`, `ed25519`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA with so many bits.
    Rsa(usize),
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Rsa(bits) => write!(f, "rsa-{bits}"),
            KeyKind::EcdsaP256 => f.write_str("ecdsa-p256"),
            KeyKind::EcdsaP384 => f.write_str("ecdsa-p384"),
            KeyKind::EcdsaP521 => f.write_str("ecdsa-p521"),
            KeyKind::Ed25519 => f.write_str("ed25519"),
        }
    }
}

/// Why nobody can be known by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not a certificate of X.509 version 3.
    #[error("this is not a certificate of X.509 version 3")]
    Certificate,
    /// It is not a public key.
    #[error("this is not a public key")]
    Malformed,
    /// It is of a kind whose signatures are not checked here.
    #[error("keys of this kind are not used; use ECDSA on P-256, P-384 or P-521, Ed25519 or RSA")]
    Kind,
    /// The RSA key has too few bits, or far too many.
    #[error("RSA keys need from 2048 to 8192 bits, this one has {0}")]
    Bits(usize),
}

/// A public key that is strong enough to know somebody by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    info: SubjectPublicKeyInfoDer<'static>,
    kind: KeyKind,
}

impl PublicKey {
    /// The key in a certificate. Nothing else of the certificate is looked at.
    ///
    /// # Errors
    /// When the certificate cannot be read, or the key cannot be used.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, KeyError> {
        let parsed = ParsedCertificate::try_from(certificate).map_err(|_| KeyError::Certificate)?;
        Self::from_info(parsed.subject_public_key_info())
    }

    /// A key from the DER of its SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is none, or cannot be used.
    pub fn from_der(info: &[u8]) -> Result<Self, KeyError> {
        Self::from_info(SubjectPublicKeyInfoDer::from(info).into_owned())
    }

    fn from_info(info: SubjectPublicKeyInfoDer<'static>) -> Result<Self, KeyError> {
        let kind = kind(&info)?;
        Ok(PublicKey { info, kind })
    }

    /// Its SubjectPublicKeyInfo as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.info
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::new(Sha256::digest(&self.info).into())
    }
}

/// The algorithms whose keys are always of the same size.
const CURVES: [(AlgorithmIdentifier, KeyKind); 4] = [
    (alg_id::ECDSA_P256, KeyKind::EcdsaP256),
    (alg_id::ECDSA_P384, KeyKind::EcdsaP384),
    (alg_id::ECDSA_P521, KeyKind::EcdsaP521),
    (alg_id::ED25519, KeyKind::Ed25519),
];

fn kind(info: &[u8]) -> Result<KeyKind, KeyError> {
    let (algorithm, key) = parts(info).ok_or(KeyError::Malformed)?;
    if algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
        let bits = modulus_bits(key).ok_or(KeyError::Malformed)?;
        return if RSA_BITS.contains(&bits) { Ok(KeyKind::Rsa(bits)) } else { Err(KeyError::Bits(bits)) };
    }
    let curve = CURVES.iter().find(|(known, _)| known.as_ref() == algorithm);
    curve.map(|(_, kind)| *kind).ok_or(KeyError::Kind)
}

/// The content of the algorithm, and the key in the words of that algorithm.
fn parts(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, []) = take(SEQUENCE, info)? else { return None };
    let (algorithm, rest) = take(SEQUENCE, fields)?;
    match take(BIT_STRING, rest)? {
        // Keys are whole octets: no bit of the last one is unused.
        ([0, key @ ..], []) => Some((algorithm, key)),
        _ => None,
    }
}

fn modulus_bits(key: &[u8]) -> Option<usize> {
    let (numbers, []) = take(SEQUENCE, key)? else { return None };
    let (modulus, rest) = take(INTEGER, numbers)?;
    let (_, []) = take(INTEGER, rest)? else { return None };
    let zeroes = modulus.iter().take_while(|octet| **octet == 0).count();
    let modulus = modulus.get(zeroes..)?;
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// The content of an element with this tag, and what follows it.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Two octets of length are far more than any key here needs.
        0x81 | 0x82 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::*;

    /// An RSA key of so many bits that nobody holds the other half of.
    fn rsa(bits: usize) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82], &length[..], content].concat()
        };
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        let numbers = [element(INTEGER, &[&[0], &modulus[..]].concat()), element(INTEGER, &[1, 0, 1])].concat();
        let key = [&[0], &element(SEQUENCE, &numbers)[..]].concat();
        let algorithm = element(SEQUENCE, alg_id::RSA_ENCRYPTION.as_ref());
        element(SEQUENCE, &[algorithm, element(BIT_STRING, &key)].concat())
    }

    #[test]
    fn kinds_and_sizes() {
        for (algorithm, kind) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "ecdsa-p256"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "ecdsa-p384"),
            (&rcgen::PKCS_ECDSA_P521_SHA512, "ecdsa-p521"),
            (&rcgen::PKCS_ED25519, "ed25519"),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let key = PublicKey::from_der(&pair.subject_public_key_info()).unwrap();
            assert_eq!(key.kind().to_string(), kind);
            let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
            assert_eq!(PublicKey::of_certificate(certificate.der()), Ok(key));
        }
        for (bits, kind) in [
            (1024, Err(KeyError::Bits(1024))),
            (2047, Err(KeyError::Bits(2047))),
            (2048, Ok(KeyKind::Rsa(2048))),
            (4096, Ok(KeyKind::Rsa(4096))),
            (8192, Ok(KeyKind::Rsa(8192))),
            (8193, Err(KeyError::Bits(8193))),
        ] {
            assert_eq!(PublicKey::from_der(&rsa(bits)).map(|key| key.kind()), kind);
        }
    }

    /// The digest by `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum`.
    #[test]
    fn the_fingerprint_is_that_of_tlsa_records() {
        let pem = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElsnLwENdJ+ClllpY2Gu7tPK5b3Tf
uD4QwYMX4aCqugpl3AawSMsRh9MRzERBd12PF3JpzGSbMFgt2YAf/r8kQg==
-----END PUBLIC KEY-----
";
        let info = <SubjectPublicKeyInfoDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(pem.as_bytes());
        let key = PublicKey::from_der(&info.unwrap()).unwrap();
        assert_eq!(key.fingerprint().to_string(), "6258b8ddb613424dd130e0ee4e18b28e99a682c1ced6b18d1c77c9acf0020c12");
    }

    #[test]
    fn what_is_no_key_says_so() {
        let key = rsa(2048);
        assert_eq!(PublicKey::from_der(b""), Err(KeyError::Malformed));
        assert_eq!(PublicKey::from_der(&key[..key.len() - 1]), Err(KeyError::Malformed));
        assert_eq!(PublicKey::from_der(&[&key[..], b"x"].concat()), Err(KeyError::Malformed));
        let mut other = key.clone();
        // Within the object identifier of the algorithm.
        other[12] ^= 1;
        assert_eq!(PublicKey::from_der(&other), Err(KeyError::Kind));
        assert_eq!(PublicKey::of_certificate(&CertificateDer::from(key)), Err(KeyError::Certificate));
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = PublicKey::from_der(&octets);
            let _ = PublicKey::of_certificate(&CertificateDer::from(octets));
        }

        /// One octet of a good key changed: it is an RSA key of a good size still, or is refused.
        #[test]
        fn damage_is_noticed_or_harmless(at in 0_usize..294, octet in any::<u8>()) {
            let mut key = rsa(2048);
            key[at] = octet;
            if let Ok(key) = PublicKey::from_der(&key) {
                prop_assert!(matches!(key.kind(), KeyKind::Rsa(bits) if RSA_BITS.contains(&bits)), "{}", key.kind());
            }
        }
    }
}
