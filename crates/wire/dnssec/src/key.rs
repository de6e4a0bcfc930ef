//! Keys of zones (RFC 4034 §2) and the digests by which a parent vouches for them (§5).

use mailstead_dns::{Ds, Name};

use crate::Crypto;

/// A DNSKEY record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dnskey {
    /// Flags.
    pub flags: u16,
    /// Always 3.
    pub protocol: u8,
    /// Algorithm.
    pub algorithm: u8,
    /// The key in the form of its algorithm.
    pub public_key: Box<[u8]>,
}

impl Dnskey {
    const ZONE: u16 = 0x0100;
    const REVOKE: u16 = 0x0080;
    const SECURE_ENTRY_POINT: u16 = 0x0001;

    /// From the data of a record.
    pub fn from_data(data: &[u8]) -> Option<Dnskey> {
        let (&[high, low, protocol, algorithm], public_key) = data.split_first_chunk()?;
        Some(Dnskey { flags: u16::from_be_bytes([high, low]), protocol, algorithm, public_key: public_key.into() })
    }

    /// The data of the record.
    pub fn to_data(&self) -> Vec<u8> {
        let [high, low] = self.flags.to_be_bytes();
        let mut data = vec![high, low, self.protocol, self.algorithm];
        data.extend_from_slice(&self.public_key);
        data
    }

    /// Whether signatures by this key count at all: it is a zone key, not revoked, of protocol 3 (RFC 4034 §2.1,
    /// RFC 5011 §2.1).
    pub fn is_usable(&self) -> bool {
        self.flags & Dnskey::ZONE != 0 && !self.is_revoked() && self.protocol == 3
    }

    /// Whether the key's owner has withdrawn it (RFC 5011 §2.1).
    pub fn is_revoked(&self) -> bool {
        self.flags & Dnskey::REVOKE != 0
    }

    /// Whether it is meant as an entry point, as keys that others point to are (RFC 4034 §2.1.1). Of no meaning for
    /// validation.
    pub fn is_secure_entry_point(&self) -> bool {
        self.flags & Dnskey::SECURE_ENTRY_POINT != 0
    }

    /// The same key withdrawn.
    #[must_use]
    pub fn revoked(&self) -> Dnskey {
        Dnskey { flags: self.flags | Dnskey::REVOKE, ..self.clone() }
    }

    /// The same key before it was withdrawn.
    pub(crate) fn unrevoked(&self) -> Dnskey {
        Dnskey { flags: self.flags & !Dnskey::REVOKE, ..self.clone() }
    }

    /// The tag by which signatures and digests name it (RFC 4034 appendix B). Not unique.
    pub fn key_tag(&self) -> u16 {
        let data = self.to_data();
        if self.algorithm == 1 {
            // Appendix B.1: of RSA/MD5 keys, the upper 16 of the lower 24 bits of the modulus.
            let end = data.len().saturating_sub(1);
            return match data.get(end.saturating_sub(2)..end) {
                Some(&[high, low]) => u16::from_be_bytes([high, low]),
                _ => 0,
            };
        }
        let sum: u32 = data
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => u32::from(u16::from_be_bytes([high, low])),
                [high] => u32::from(high) << 8,
                _ => 0,
            })
            .sum();
        ((sum + (sum >> 16)) & 0xffff) as u16
    }

    /// The DS record of this key in the zone `owner` (RFC 4034 §5.1.4); `None` for digests that cannot be made.
    pub fn digest(&self, owner: &Name, digest_type: u8, crypto: &dyn Crypto) -> Option<Ds> {
        let mut data = owner.as_wire().to_vec();
        data.extend(self.to_data());
        Some(Ds {
            key_tag: self.key_tag(),
            algorithm: self.algorithm,
            digest_type,
            digest: crypto.digest(digest_type, &data)?,
        })
    }
}

/// The mnemonic of an algorithm, for people (RFC 8624 §3.1).
pub fn algorithm_name(algorithm: u8) -> &'static str {
    match algorithm {
        1 => "RSAMD5",
        3 => "DSA",
        5 => "RSASHA1",
        6 => "DSA-NSEC3-SHA1",
        7 => "RSASHA1-NSEC3-SHA1",
        8 => "RSASHA256",
        10 => "RSASHA512",
        12 => "ECC-GOST",
        13 => "ECDSAP256SHA256",
        14 => "ECDSAP384SHA384",
        15 => "ED25519",
        16 => "ED448",
        253 => "PRIVATEDNS",
        254 => "PRIVATEOID",
        _ => "unknown",
    }
}

/// The mnemonic of a digest type, for people (RFC 8624 §3.3).
pub fn digest_name(digest_type: u8) -> &'static str {
    match digest_type {
        1 => "SHA-1",
        2 => "SHA-256",
        3 => "GOST",
        4 => "SHA-384",
        _ => "unknown",
    }
}
