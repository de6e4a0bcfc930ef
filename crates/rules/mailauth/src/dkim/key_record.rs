//! Key records (RFC 6376 §3.6.1, RFC 8463 §4.2), as they are in the DNS.
//!
//! ```abnf
//! key-v-tag = %x76 [FWS] "=" [FWS] %x44.4B.49.4D.31
//! key-h-tag = %x68 [FWS] "=" [FWS] key-h-tag-alg *( [FWS] ":" [FWS] key-h-tag-alg )
//! key-k-tag = %x6b [FWS] "=" [FWS] key-k-tag-type
//! key-n-tag = %x6e [FWS] "=" [FWS] qp-section
//! key-p-tag = %x70 [FWS] "=" [ [FWS] base64string]
//! key-s-tag = %x73 [FWS] "=" [FWS] key-s-tag-type *( [FWS] ":" [FWS] key-s-tag-type )
//! key-t-tag = %x74 [FWS] "=" [FWS] key-t-tag-flag *( [FWS] ":" [FWS] key-t-tag-flag )
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstead_dns::Txt;

use super::signature::BASE64;
use crate::crypto::{KeyType, PublicKey, PublicKeyError};
use crate::taglist::{TagList, TagListError, elements, without_space};

/// Longer records are not read: the longest key that is usable takes 1400 octets, and notes are to be used sparingly.
const MOST_OCTETS: usize = 8192;

/// Why a record is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRecordError {
    /// Longer than any key.
    #[error("record too long")]
    TooLong,
    /// Not a tag-list.
    #[error("{0}")]
    TagList(TagListError),
    /// Another version than DKIM1, or `v=` is not the first tag.
    #[error("unknown version")]
    Version,
    /// A type of key that nobody here knows.
    #[error("unknown key type")]
    KeyType,
    /// There is no `p=`.
    #[error("no public key")]
    NoKey,
    /// The key is not in base64.
    #[error("public key not in base64")]
    Base64,
    /// The key is not one.
    #[error("{0}")]
    PublicKey(PublicKeyError),
}

/// What is in `p=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A public key.
    Public(PublicKey),
    /// Nothing: there was a key of this type once.
    Revoked(KeyType),
}

/// A key record.
///
/// `Display` writes the text of the record, [`KeyRecord::to_txt`] the record with its strings, which in turn is written
/// as zone files want it:
///
/// ```
/// use mailstead_dns::Record;
/// use mailstead_mailauth::dkim::KeyRecord;
///
/// let key = KeyRecord::parse(b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
/// assert_eq!(
///     format!("brisbane._domainkey.example.org. TXT {}", Record::Txt(key.to_txt())),
///     r#"brisbane._domainkey.example.org. TXT "v=DKIM1;k=ed25519;p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=""#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The key (`p=`, `k=`).
    pub key: Key,
    /// The hash algorithms allowed (`h=`); `None` for all.
    pub hashes: Option<Vec<String>>,
    /// The services it is for (`s=`); `None` for all.
    pub services: Option<Vec<String>>,
    /// Flags (`t=`).
    pub flags: Vec<String>,
    /// Notes for people (`n=`), decoded.
    pub notes: Option<String>,
}

impl KeyRecord {
    /// A record for a key, without restrictions.
    pub fn new(key: PublicKey) -> KeyRecord {
        KeyRecord { key: Key::Public(key), hashes: None, services: None, flags: Vec::new(), notes: None }
    }

    /// Reads a record: the strings of a TXT record as one ([`Txt::joined`]).
    ///
    /// # Errors
    /// When it is not a key record, or one of a type that nobody here knows.
    pub fn parse(text: &[u8]) -> Result<KeyRecord, KeyRecordError> {
        if text.len() > MOST_OCTETS {
            return Err(KeyRecordError::TooLong);
        }
        let list = TagList::parse(text).map_err(KeyRecordError::TagList)?;
        // §3.6.1: if it is there, it is the first, and compared as a string.
        let first = list.tags().first().map(|tag| tag.name);
        if list.get("v").is_some_and(|version| version != "DKIM1" || first != Some("v")) {
            return Err(KeyRecordError::Version);
        }
        // A record for something else (wildcards) is better called that than "unknown key type".
        let octets = list.get("p").ok_or(KeyRecordError::NoKey)?;
        let key_type = match list.get("k").unwrap_or("rsa") {
            "rsa" => KeyType::Rsa,
            "ed25519" => KeyType::Ed25519,
            _ => return Err(KeyRecordError::KeyType),
        };
        let octets = BASE64.decode(without_space(octets).as_bytes()).map_err(|_| KeyRecordError::Base64)?;
        let key = if octets.is_empty() {
            Key::Revoked(key_type)
        } else {
            Key::Public(PublicKey::from_record(key_type, &octets).map_err(KeyRecordError::PublicKey)?)
        };
        let names = |tag: &str| list.get(tag).map(|value| elements(value).map(str::to_owned).collect::<Vec<_>>());
        Ok(KeyRecord {
            key,
            hashes: names("h"),
            services: names("s"),
            flags: names("t").unwrap_or_default(),
            notes: list.get("n").map(|notes| String::from_utf8_lossy(&super::signature::unquote(notes)).into_owned()),
        })
    }

    /// The public key; none when it is revoked.
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.key {
            Key::Public(key) => Some(key),
            Key::Revoked(_) => None,
        }
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match &self.key {
            Key::Public(key) => key.key_type(),
            Key::Revoked(key_type) => *key_type,
        }
    }

    /// Whether the key is for this service, `email` for instance. Records that name none are for all.
    pub fn allows_service(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.iter().any(|name| name == "*" || name == service))
    }

    /// Whether a hash algorithm may be used, `sha256` for instance.
    pub fn allows_hash(&self, hash: &str) -> bool {
        self.hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|name| name == hash))
    }

    /// Whether the domain is only testing DKIM (`t=y`).
    pub fn is_testing(&self) -> bool {
        self.flags.iter().any(|flag| flag == "y")
    }

    /// Whether `i=` may have no subdomain (`t=s`).
    pub fn is_strict(&self) -> bool {
        self.flags.iter().any(|flag| flag == "s")
    }

    /// The record, in strings of up to 255 octets (RFC 1035 §3.3.14, RFC 6376 §3.6.2.2).
    pub fn to_txt(&self) -> Txt {
        Txt::from(self.to_string().as_str())
    }
}

impl fmt::Display for KeyRecord {
    /// Defaults are left out, except `v=`, which is recommended, and `k=`, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=DKIM1;k={}", self.key_type())?;
        for (tag, values) in [("h", self.hashes.as_deref()), ("s", self.services.as_deref())] {
            if let Some(values) = values {
                write!(f, ";{tag}={}", values.join(":"))?;
            }
        }
        if !self.flags.is_empty() {
            write!(f, ";t={}", self.flags.join(":"))?;
        }
        if let Some(notes) = &self.notes {
            write!(f, ";n={}", super::signature::quote(notes))?;
        }
        let octets = self.public_key().map(PublicKey::to_record).unwrap_or_default();
        write!(f, ";p={}", STANDARD.encode(octets))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn refused(text: &str) -> KeyRecordError {
        KeyRecord::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn tags_have_the_defaults_of_the_rfc() {
        let key = KeyRecord::parse(format!("k=ed25519; p={ED25519}").as_bytes()).unwrap();
        assert_eq!((key.key_type(), key.public_key().unwrap().bits()), (KeyType::Ed25519, 256));
        assert!(key.allows_service("email") && key.allows_service("tlsrpt") && key.allows_hash("sha256"));
        assert!(!key.is_testing() && !key.is_strict());
        // Unknown tags, flags, services and hashes are ignored; g= has been withdrawn.
        let text = "v=DKIM1; g=; h=sha1 : sha256:md9; k=ed25519; s = other:email; t=y:\tx-1 :s; n=a=20b=3Bc; z=9;\
            p= 11qYAYKxCrfVS/7TyWQHOg7hc vPapiMlrwIaaPcHURo= ;";
        let key = KeyRecord::parse(text.as_bytes()).unwrap();
        assert!(key.allows_hash("sha256") && !key.allows_hash("sha512"));
        assert!(key.allows_service("email") && !key.allows_service("tlsrpt"));
        assert!(key.is_testing() && key.is_strict());
        assert_eq!(key.notes.as_deref(), Some("a b;c"));
        let written = key.to_string();
        assert_eq!(
            written,
            format!("v=DKIM1;k=ed25519;h=sha1:sha256:md9;s=other:email;t=y:x-1:s;n=a=20b=3Bc;p={ED25519}")
        );
        assert_eq!(KeyRecord::parse(written.as_bytes()), Ok(key));
    }

    #[test]
    fn records_that_are_no_keys_say_why() {
        assert_eq!(refused("v=spf1 -all"), KeyRecordError::Version);
        assert_eq!(refused(&format!("v=DKIM2; k=ed25519; p={ED25519}")), KeyRecordError::Version);
        assert_eq!(refused(&format!("v=DKIM1.0; k=ed25519; p={ED25519}")), KeyRecordError::Version);
        assert_eq!(refused(&format!("v=dkim1; k=ed25519; p={ED25519}")), KeyRecordError::Version);
        assert_eq!(refused(&format!("k=ed25519; v=DKIM1; p={ED25519}")), KeyRecordError::Version);
        assert_eq!(refused("some text"), KeyRecordError::TagList(TagListError::NoValue));
        assert_eq!(refused(""), KeyRecordError::NoKey);
        assert_eq!(refused("v=DKIM1; k=rsa"), KeyRecordError::NoKey);
        assert_eq!(refused("v=DKIM1; k=dsa; p=AAAA"), KeyRecordError::KeyType);
        assert_eq!(refused("v=DKIM1; p=A_-A"), KeyRecordError::Base64);
        assert_eq!(refused("v=DKIM1; p=AAAA"), KeyRecordError::PublicKey(PublicKeyError::Malformed));
        assert_eq!(refused(&format!("p={ED25519}")), KeyRecordError::PublicKey(PublicKeyError::Malformed));
        assert_eq!(refused(&format!("p={}", "A".repeat(1 << 20))), KeyRecordError::TooLong);
    }

    #[test]
    fn an_empty_key_is_revoked() {
        let key = KeyRecord::parse(b"v=DKIM1; p=").unwrap();
        assert_eq!((key.key.clone(), key.public_key()), (Key::Revoked(KeyType::Rsa), None));
        assert_eq!(key.to_string(), "v=DKIM1;k=rsa;p=");
    }

    #[test]
    fn long_records_are_several_strings() {
        let key = crate::crypto::RsaPublicKey::new(&[0xff; 512], &[1, 0, 1]).unwrap();
        let txt = KeyRecord::new(PublicKey::Rsa(key)).to_txt();
        assert_eq!(txt.strings.iter().map(Vec::len).collect::<Vec<_>>(), [255, 255, 242]);
        assert!(KeyRecord::parse(&txt.joined()).is_ok());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(text in "(v=DKIM1;)?([hkst]=[ -~]{0,40};){0,4}(n=(=20|=3B|[ -~])?[ -~]{0,20}=20;)?p=") {
            if let Ok(key) = KeyRecord::parse(text.as_bytes()) {
                prop_assert_eq!(KeyRecord::parse(&key.to_txt().joined()), Ok(key));
            }
        }
    }
}
