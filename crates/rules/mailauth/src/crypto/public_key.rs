//! Public keys, and the little of DER (ITU-T X.690) that RSA keys need.
//!
//! ```asn1
//! SubjectPublicKeyInfo ::= SEQUENCE { algorithm SEQUENCE { OBJECT IDENTIFIER, NULL }, subjectPublicKey BIT STRING }
//! RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
//! ```

use super::KeyType;

/// Shorter ones never make a signature valid (RFC 8301 §3.2).
pub(crate) const LEAST_RSA_BITS: usize = 1024;
/// Up to 4096 bits are obligatory (RFC 8301 §3.2). Twice that is met, and costs a tenth of a millisecond.
pub(crate) const MOST_RSA_BITS: usize = 8192;
/// The cost of checking a signature grows with the exponent. All that are in use fit, 65537 above all (RFC 6376 §3.3.2).
const MOST_EXPONENT_OCTETS: usize = 4;

/// `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 8017 §A.1).
const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-Ed25519`, 1.3.101.112 (RFC 8410 §3).
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Why octets are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not in the form of its type.
    #[error("malformed public key")]
    Malformed,
    /// An exponent with which checking would be slow or worthless.
    #[error("unusable public exponent")]
    Exponent,
    /// An RSA key beyond 8192 bits.
    #[error("public key too long")]
    TooLong,
    /// There is no PEM block of a public key, or it is damaged.
    #[error("not a public key in PEM form")]
    Pem,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PublicKey {
    /// RSA
    Rsa(RsaPublicKey),
    /// Ed25519 (RFC 8032 §5.1.5)
    Ed25519([u8; 32]),
}

/// An RSA key: an odd modulus and exponent without leading zeroes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl PublicKey {
    /// Reads the form of key records: for RSA a `SubjectPublicKeyInfo`, as all publish it, or an `RSAPublicKey`, as
    /// RFC 6376 §3.6.1 has it; for Ed25519 the bare octets (RFC 8463 §4.2).
    ///
    /// # Errors
    /// When it is not such a key. Short RSA keys are no error here.
    pub fn from_record(key_type: KeyType, octets: &[u8]) -> Result<PublicKey, PublicKeyError> {
        match key_type {
            KeyType::Rsa => RsaPublicKey::from_der(octets).map(PublicKey::Rsa),
            KeyType::Ed25519 => octets.try_into().map(PublicKey::Ed25519).map_err(|_| PublicKeyError::Malformed),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` of any of the types (RFC 8017 §A.1, RFC 8410 §4), or an `RSAPublicKey`.
    ///
    /// # Errors
    /// When it is none of them. Short RSA keys are no error here.
    pub fn from_der(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
        match ed25519_public_key_info(der) {
            Some(key) => PublicKey::from_record(KeyType::Ed25519, key),
            None => PublicKey::from_record(KeyType::Rsa, der),
        }
    }

    /// The form of key records: `SubjectPublicKeyInfo` or the bare octets.
    pub fn to_record(&self) -> Vec<u8> {
        match self {
            PublicKey::Rsa(key) => key.to_der(),
            PublicKey::Ed25519(key) => key.to_vec(),
        }
    }

    /// The type.
    pub fn key_type(&self) -> KeyType {
        match self {
            PublicKey::Rsa(_) => KeyType::Rsa,
            PublicKey::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// The size: bits of the modulus, or of the point.
    pub fn bits(&self) -> usize {
        match self {
            PublicKey::Rsa(key) => key.bits(),
            PublicKey::Ed25519(key) => key.len() * 8,
        }
    }
}

impl RsaPublicKey {
    /// From numbers in big-endian order; leading zeroes are dropped.
    ///
    /// # Errors
    /// When they cannot be the parts of an RSA key, or are too long.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<RsaPublicKey, PublicKeyError> {
        let strip = |number: &[u8]| {
            let zeroes = number.iter().take_while(|octet| **octet == 0).count();
            number.get(zeroes..).unwrap_or_default().to_vec()
        };
        let (modulus, exponent) = (strip(modulus), strip(exponent));
        if modulus.len() * 8 > MOST_RSA_BITS {
            return Err(PublicKeyError::TooLong);
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|octet| octet & 1 == 1);
        if !is_odd(&modulus) {
            return Err(PublicKeyError::Malformed);
        }
        if !is_odd(&exponent) || exponent == [1] || exponent.len() > MOST_EXPONENT_OCTETS {
            return Err(PublicKeyError::Exponent);
        }
        Ok(RsaPublicKey { modulus, exponent })
    }

    /// From a `SubjectPublicKeyInfo` or an `RSAPublicKey`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_der(der: &[u8]) -> Result<RsaPublicKey, PublicKeyError> {
        let (modulus, exponent) =
            subject_public_key_info(der).or_else(|| rsa_public_key(der)).ok_or(PublicKeyError::Malformed)?;
        RsaPublicKey::new(modulus, exponent)
    }

    /// As `SubjectPublicKeyInfo`.
    pub fn to_der(&self) -> Vec<u8> {
        let numbers = [integer(&self.modulus), integer(&self.exponent)].concat();
        // No unused bits, then the key.
        let key = [vec![0], element(SEQUENCE, &numbers)].concat();
        let algorithm = [element(OBJECT_IDENTIFIER, &RSA_ENCRYPTION), element(NULL, &[])].concat();
        element(SEQUENCE, &[element(SEQUENCE, &algorithm), element(BIT_STRING, &key)].concat())
    }

    /// The modulus in big-endian order, without leading zeroes.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent in big-endian order, without leading zeroes.
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        let unused = self.modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        self.modulus.len() * 8 - unused
    }
}

fn subject_public_key_info(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, []) = take(SEQUENCE, der)? else { return None };
    let (algorithm, rest) = take(SEQUENCE, fields)?;
    let (identifier, parameters) = take(OBJECT_IDENTIFIER, algorithm)?;
    // RFC 8017 §A.1: the parameters are NULL; they are sometimes left out.
    if identifier != RSA_ENCRYPTION || !(parameters.is_empty() || parameters == [NULL, 0]) {
        return None;
    }
    match take(BIT_STRING, rest)? {
        ([0, key @ ..], []) => rsa_public_key(key),
        _ => None,
    }
}

/// The octets of an Ed25519 key, whose algorithm has no parameters (RFC 8410 §3).
fn ed25519_public_key_info(der: &[u8]) -> Option<&[u8]> {
    let (fields, []) = take(SEQUENCE, der)? else { return None };
    let (algorithm, rest) = take(SEQUENCE, fields)?;
    match (take(OBJECT_IDENTIFIER, algorithm)?, take(BIT_STRING, rest)?) {
        ((identifier, []), ([0, key @ ..], [])) if identifier == ED25519 => Some(key),
        _ => None,
    }
}

fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, []) = take(SEQUENCE, der)? else { return None };
    let (modulus, rest) = take(INTEGER, fields)?;
    let (exponent, []) = take(INTEGER, rest)? else { return None };
    // Both are positive, so the sign bit is not set.
    let is_positive = |number: &[u8]| number.first().is_some_and(|octet| octet & 0x80 == 0);
    (is_positive(modulus) && is_positive(exponent)).then_some((modulus, exponent))
}

/// The content of an element with this tag, and what follows it.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Two octets of length are far more than any key here needs.
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Contents here have at most some 1100 octets, so two octets of length suffice.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut element = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    element.extend_from_slice(content);
    element
}

/// A positive INTEGER, with a zero in front where the sign bit would be set.
fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|octet| octet & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, number].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(bits: usize, exponent: &[u8]) -> Result<RsaPublicKey, PublicKeyError> {
        let mut modulus = vec![0xff; bits / 8];
        if !bits.is_multiple_of(8) {
            modulus.insert(0, (1 << (bits % 8)) - 1);
        }
        RsaPublicKey::new(&modulus, exponent)
    }

    #[test]
    fn sizes_are_those_of_the_modulus() {
        for bits in [512, 1023, 1024, 2048, 4096, 8192] {
            assert_eq!(key(bits, &[1, 0, 1]).unwrap().bits(), bits);
        }
        assert_eq!(PublicKey::Ed25519([0; 32]).bits(), 256);
    }

    #[test]
    fn keys_that_cost_too_much_or_are_worthless_are_refused() {
        assert_eq!(key(8200, &[3]), Err(PublicKeyError::TooLong));
        assert_eq!(key(8 * 1024 * 1024, &[3]), Err(PublicKeyError::TooLong));
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            assert_eq!(key(2048, exponent), Err(PublicKeyError::Exponent), "{exponent:?}");
        }
        assert_eq!(RsaPublicKey::new(&[0xff, 0xfe], &[3]), Err(PublicKeyError::Malformed));
        assert_eq!(RsaPublicKey::new(&[], &[3]), Err(PublicKeyError::Malformed));
    }

    #[test]
    fn both_forms_of_an_rsa_key_are_read() {
        let key = key(2048, &[1, 0, 1]).unwrap();
        let info = key.to_der();
        assert_eq!(info.len(), 294);
        assert_eq!(RsaPublicKey::from_der(&info), Ok(key.clone()));
        // The RSAPublicKey is what the bit string has in it.
        assert_eq!(RsaPublicKey::from_der(&info[24..]), Ok(key));
    }

    #[test]
    fn keys_of_other_forms_are_malformed() {
        let info = key(1024, &[3]).unwrap().to_der();
        for cut in 0..info.len() {
            assert_eq!(RsaPublicKey::from_der(&info[..cut]), Err(PublicKeyError::Malformed), "{cut}");
        }
        assert_eq!(RsaPublicKey::from_der(&[info.clone(), vec![0]].concat()), Err(PublicKeyError::Malformed));
        let other = info.iter().map(|octet| if *octet == 0xf7 { 0xf6 } else { *octet }).collect::<Vec<_>>();
        assert_eq!(RsaPublicKey::from_der(&other), Err(PublicKeyError::Malformed));
        assert_eq!(PublicKey::from_record(KeyType::Ed25519, &[0; 31]), Err(PublicKeyError::Malformed));
        assert_eq!(PublicKey::from_record(KeyType::Ed25519, &[7; 32]), Ok(PublicKey::Ed25519([7; 32])));
        // A negative modulus.
        assert_eq!(RsaPublicKey::from_der(&[0x30, 6, 2, 1, 0xff, 2, 1, 3]), Err(PublicKeyError::Malformed));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(der in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RsaPublicKey::from_der(&der);
        }

        #[test]
        fn what_is_written_is_read(mut modulus in proptest::collection::vec(any::<u8>(), 1..300), exponent in 1_u32..) {
            modulus.push(1);
            modulus[0] |= 1;
            let key = RsaPublicKey::new(&modulus, &(exponent | 2 | 1).to_be_bytes()).unwrap();
            prop_assert_eq!(RsaPublicKey::from_der(&key.to_der()), Ok(key));
        }
    }
}
