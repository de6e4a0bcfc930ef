//! The cryptography that validation needs, as a trait, and its implementation by the library that TLS uses.

/// What came of checking a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The key made the signature.
    Valid,
    /// It did not, or key or signature are malformed.
    Invalid,
}

/// Signatures and digests. The algorithms that validation counts as supported are 8, 10, 13, 14 and 15 (RFC 8624
/// §3.1), the digests 2 and 4 (§3.3); those must be there.
pub trait Crypto: std::fmt::Debug + Send + Sync {
    /// Checks a signature. Key and signature have the forms of RFC 3110, RFC 5702, RFC 6605 and RFC 8080.
    fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict;

    /// The digest of a DS record's type; `None` for types that are not supported.
    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>>;

    /// SHA-1, which NSEC3 hashes with (RFC 5155 §11).
    fn sha1(&self, data: &[u8]) -> [u8; 20];
}

#[cfg(feature = "aws-lc-rs")]
pub use provider::AwsLcRs;
#[cfg(feature = "aws-lc-rs")]
mod provider {
    use aws_lc_rs::digest;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    use super::{Crypto, Verdict};

    /// Cryptography by aws-lc-rs.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct AwsLcRs;

    impl Crypto for AwsLcRs {
        fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict {
            let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
                UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
            };
            let valid = match algorithm {
                8 => rsa(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, public_key, message, signature),
                10 => rsa(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, public_key, message, signature),
                // RFC 6605 §4: the point without the octet that says that it is not compressed.
                13 => by(&ECDSA_P256_SHA256_FIXED, &[&[4], public_key].concat()),
                14 => by(&ECDSA_P384_SHA384_FIXED, &[&[4], public_key].concat()),
                15 => by(&ED25519, public_key),
                _ => false,
            };
            if valid { Verdict::Valid } else { Verdict::Invalid }
        }

        fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
            let algorithm = match digest_type {
                2 => &digest::SHA256,
                4 => &digest::SHA384,
                _ => return None,
            };
            Some(digest::digest(algorithm, data).as_ref().to_vec())
        }

        fn sha1(&self, data: &[u8]) -> [u8; 20] {
            let mut hash = [0; 20];
            let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
            hash.copy_from_slice(digest.as_ref());
            hash
        }
    }

    fn rsa(parameters: &'static RsaParameters, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Some((n, e)) = rsa_components(public_key) else { return false };
        RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
    }

    /// Modulus and exponent (RFC 3110 §2): the length of the exponent in one octet, or in two after a zero octet.
    fn rsa_components(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&first, rest) = public_key.split_first()?;
        let (length, rest) = match first {
            0 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), rest)
            }
            length => (usize::from(length), rest),
        };
        let (e, n) = rest.split_at_checked(length)?;
        // Leading zeroes are not allowed (RFC 3110 §2) but met; the library does not take them.
        let strip = |number: &'_ [u8]| number.iter().position(|octet| *octet != 0).unwrap_or(number.len());
        Some((n.get(strip(n)..)?, e.get(strip(e)..)?))
    }
}
