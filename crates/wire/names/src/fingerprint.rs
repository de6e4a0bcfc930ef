//! Names of public keys.

use std::fmt::{self, Write as _};

use crate::Error;

/// The SHA-256 of a public key as it stands in a certificate (SubjectPublicKeyInfo, RFC 5280 §4.1): the same number as in
/// a TLSA record `3 1 1` (RFC 6698 §2.1), whatever certificates the key is in.
///
/// Written as 64 hexadecimal digits; colons between octets, as OpenSSL puts them, are read too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint([u8; KeyFingerprint::OCTETS]);

impl KeyFingerprint {
    /// Its length in octets.
    pub const OCTETS: usize = 32;

    /// The fingerprint with this digest.
    pub const fn new(digest: [u8; KeyFingerprint::OCTETS]) -> KeyFingerprint {
        KeyFingerprint(digest)
    }

    /// The digest.
    pub const fn octets(&self) -> &[u8; KeyFingerprint::OCTETS] {
        &self.0
    }

    /// Reads a fingerprint, in either case of letters.
    ///
    /// # Errors
    /// [`Error::Syntax`] where something else stands than two digits for each octet.
    pub fn parse(text: &str) -> Result<KeyFingerprint, Error> {
        let octets = text.as_bytes();
        // The first colon decides, so that they are everywhere or nowhere.
        let step = if octets.get(2) == Some(&b':') { 3 } else { 2 };
        let mut digest = [0; KeyFingerprint::OCTETS];
        for (index, octet) in digest.iter_mut().enumerate() {
            let at = index * step;
            let digit = |at: usize| {
                let value = octets.get(at).and_then(|digit| char::from(*digit).to_digit(16));
                value.ok_or(Error::Syntax { at, expected: "64 hexadecimal digits" })
            };
            let value = digit(at)? << 4 | digit(at + 1)?;
            *octet = u8::try_from(value).unwrap_or_default();
            let between = at + 2;
            if step == 3 && index + 1 < KeyFingerprint::OCTETS && octets.get(between) != Some(&b':') {
                return Err(Error::Syntax { at: between, expected: "a colon" });
            }
        }
        let end = KeyFingerprint::OCTETS * step - usize::from(step == 3);
        if octets.len() == end {
            Ok(KeyFingerprint(digest))
        } else {
            Err(Error::Syntax { at: end, expected: "the end after 64 hexadecimal digits" })
        }
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(2 * KeyFingerprint::OCTETS);
        for octet in &self.0 {
            write!(text, "{octet:02x}")?;
        }
        f.pad(&text)
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_fingerprint() {
        let good = "0123456789abcdef".repeat(4);
        let at = |text: &str| match KeyFingerprint::parse(text).unwrap_err() {
            Error::Syntax { at, .. } => at,
            other => panic!("{other}"),
        };
        assert!(KeyFingerprint::parse(&good).is_ok());
        assert_eq!(at(""), 0);
        assert_eq!(at("0g"), 1);
        assert_eq!(at(&good[..63]), 63);
        assert_eq!(at(&format!("{good}0")), 64);
        assert_eq!(at(&good.replacen("45", "4é", 1)), 5);
        assert_eq!(at(&format!("01:{}", &good[2..])), 5);
        assert_eq!(at(&vec!["ab"; 33].join(":")), 95);
    }

    proptest! {
        #[test]
        fn every_spelling_is_read(digest in any::<[u8; 32]>()) {
            let fingerprint = KeyFingerprint::new(digest);
            let text = fingerprint.to_string();
            let pairs: Vec<&str> = (0..32).map(|index| &text[2 * index..2 * index + 2]).collect();
            for spelled in [text.clone(), text.to_uppercase(), pairs.join(":")] {
                prop_assert_eq!(KeyFingerprint::parse(&spelled), Ok(fingerprint));
            }
        }

        #[test]
        fn nothing_panics_and_what_is_read_is_written_alike(text in "[0-9a-fA-F:é]{0,100}") {
            if let Ok(fingerprint) = KeyFingerprint::parse(&text) {
                prop_assert_eq!(fingerprint.to_string(), text.replace(':', "").to_lowercase());
            }
        }
    }
}
