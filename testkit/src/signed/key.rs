//! Keys of zones and what they sign: RFC 4034 §2, §5 and appendix B, RFC 5702, RFC 6605, RFC 8080.
//!
//! Keys are made from the zone's name and a seed, so that they are the same in every run; RSA keys are not, and are
//! shared by the zones of a process, because making one takes long.

use std::sync::OnceLock;

use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use mailstead_dns::Name;

/// The flag of keys that sign zones.
const ZONE: u16 = 0x0100;
/// The flag of keys that have been withdrawn.
const REVOKE: u16 = 0x0080;
/// The flag of keys that the parent vouches for.
const SECURE_ENTRY_POINT: u16 = 0x0001;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The keys.
    KeySigning,
    /// The rest.
    ZoneSigning,
    /// Both.
    Combined,
}

impl Role {
    fn flags(self) -> u16 {
        if self == Role::ZoneSigning { ZONE } else { ZONE | SECURE_ENTRY_POINT }
    }
}

#[derive(Debug)]
enum Pair {
    Rsa(&'static RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key of a zone.
#[derive(Debug)]
pub(super) struct ZoneKey {
    pub(super) role: Role,
    pub(super) algorithm: u8,
    pub(super) flags: u16,
    public: Vec<u8>,
    pair: Pair,
}

impl ZoneKey {
    /// The key of this zone, role and algorithm among those that belong to the seed.
    pub(super) fn derive(apex: &Name, role: Role, algorithm: u8, seed: u64) -> ZoneKey {
        if let 8 | 10 = algorithm {
            // Owner and attacker must not share one.
            let place = usize::from(role == Role::ZoneSigning) + 2 * usize::from(seed % 2 == 1);
            let pair = rsa_pair(place);
            return ZoneKey { role, algorithm, flags: role.flags(), public: rsa_public(pair), pair: Pair::Rsa(pair) };
        }
        (0_u32..)
            .find_map(|attempt| {
                let mut label = apex.as_wire().to_vec();
                label.extend([role as u8, algorithm]);
                label.extend(seed.to_be_bytes());
                label.extend(attempt.to_be_bytes());
                let secret = digest::digest(&digest::SHA384, &label);
                ZoneKey::from_secret(role, algorithm, secret.as_ref())
            })
            .expect("most secrets make a key")
    }

    /// The key with this secret: of its octets as many are used as the algorithm takes.
    pub(super) fn from_secret(role: Role, algorithm: u8, secret: &[u8]) -> Option<ZoneKey> {
        let (public, pair) = match algorithm {
            13 | 14 => {
                let (agreement, signing) = if algorithm == 13 {
                    (&ECDH_P256, &ECDSA_P256_SHA256_FIXED_SIGNING)
                } else {
                    (&ECDH_P384, &ECDSA_P384_SHA384_FIXED_SIGNING)
                };
                let secret = secret.get(..if algorithm == 13 { 32 } else { 48 })?;
                let public = PrivateKey::from_private_key(agreement, secret).ok()?.compute_public_key().ok()?;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, secret, public.as_ref()).ok()?;
                // RFC 6605 §4: without the octet that says that the point is not compressed.
                (public.as_ref().get(1..)?.to_vec(), Pair::Ecdsa(pair))
            }
            // Of algorithms that do not exist, the octets are of no meaning.
            _ => {
                let pair = Ed25519KeyPair::from_seed_unchecked(secret.get(..32)?).ok()?;
                (pair.public_key().as_ref().to_vec(), Pair::Ed25519(pair))
            }
        };
        Some(ZoneKey { role, algorithm, flags: role.flags(), public, pair })
    }

    /// Whether validation may use the key at all.
    pub(super) fn is_usable(&self) -> bool {
        self.flags & ZONE != 0 && self.flags & REVOKE == 0
    }

    /// The data of the DNSKEY record.
    pub(super) fn dnskey(&self) -> Vec<u8> {
        dnskey(self.flags, self.algorithm, &self.public)
    }

    pub(super) fn tag(&self) -> u16 {
        key_tag(&self.dnskey())
    }

    /// The data of a DS record (RFC 4034 §5.1).
    pub(super) fn ds(&self, owner: &Name, digest_type: u8) -> Vec<u8> {
        let algorithm = match digest_type {
            1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            4 => &digest::SHA384,
            _ => &digest::SHA256,
        };
        let digest = digest::digest(algorithm, &[owner.as_wire(), &self.dnskey()].concat());
        let [high, low] = self.tag().to_be_bytes();
        [&[high, low, self.algorithm, digest_type], digest.as_ref()].concat()
    }

    pub(super) fn sign(&self, data: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = if self.algorithm == 10 { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
                pair.sign(encoding, &SystemRandom::new(), data, &mut signature).expect("the key signs");
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&SystemRandom::new(), data).expect("the key signs").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(data).as_ref().to_vec(),
        }
    }

    /// A signature that the key has not made, of the form of those it makes, so that it takes as long to check.
    pub(super) fn garbage(&self, salt: u64) -> Vec<u8> {
        let length = match &self.pair {
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::Ecdsa(_) if self.algorithm == 14 => 96,
            Pair::Ecdsa(_) | Pair::Ed25519(_) => 64,
        };
        let mut signature = octets(b"signature", salt, length);
        match &self.pair {
            // Below the modulus; and below the order of the curve, in big and in little endian.
            Pair::Rsa(_) => signature[0] = 0,
            Pair::Ecdsa(_) => (signature[0], signature[length / 2]) = (1, 1),
            Pair::Ed25519(_) => signature[length - 1] = 0,
        }
        signature
    }

    /// The data of other keys with the same tag and algorithm.
    pub(super) fn colliding(&self, count: usize) -> Vec<Vec<u8>> {
        (0_u64..).filter_map(|salt| self.collide(salt)).take(count).collect()
    }

    fn collide(&self, salt: u64) -> Option<Vec<u8>> {
        let wanted = self.tag();
        if let Pair::Rsa(pair) = &self.pair {
            // Any odd number will do as a modulus; the word to fit stands somewhere inside.
            let mut modulus = octets(b"modulus", salt, pair.public_modulus_len());
            modulus[0] |= 0x80;
            *modulus.last_mut()? |= 1;
            modulus[100..102].fill(0);
            let mut data = dnskey(self.flags, self.algorithm, &rsa_components(&modulus, &[1, 0, 1]));
            let word = fit(&data, wanted, 0..=u16::MAX)?;
            // Four octets of flags, protocol and algorithm, four of the exponent with its length.
            data[108..110].copy_from_slice(&word.to_be_bytes());
            return Some(data);
        }
        // Other keys are points, which cannot be fitted. But flags without a meaning must be ignored (RFC 4034 §2.1.1).
        let secret = octets(b"collide", salt, 48);
        let other = ZoneKey::from_secret(self.role, self.algorithm, &secret)?;
        let flags = (0..=u16::MAX).filter(|flags| flags & (ZONE | REVOKE | SECURE_ENTRY_POINT) == self.flags);
        let flags = fit(&dnskey(0, self.algorithm, &other.public), wanted, flags)?;
        Some(dnskey(flags, self.algorithm, &other.public))
    }
}

fn dnskey(flags: u16, algorithm: u8, public: &[u8]) -> Vec<u8> {
    let [high, low] = flags.to_be_bytes();
    [&[high, low, 3, algorithm], public].concat()
}

/// The sum of the octets in pairs (RFC 4034 appendix B).
fn sum(data: &[u8]) -> u32 {
    data.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))).sum()
}

fn fold(sum: u32) -> u16 {
    (sum + (sum >> 16)) as u16
}

/// The tag of a key by its data.
pub(super) fn key_tag(dnskey: &[u8]) -> u16 {
    fold(sum(dnskey))
}

/// The word that, put where there are zeroes, gives this tag.
fn fit(data: &[u8], wanted: u16, mut words: impl Iterator<Item = u16>) -> Option<u16> {
    let rest = sum(data);
    words.find(|word| fold(rest + u32::from(*word)) == wanted)
}

/// Octets that look random and are always the same.
pub(super) fn octets(purpose: &[u8], salt: u64, length: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    for block in 0_u64.. {
        if octets.len() >= length {
            break;
        }
        let input = [purpose, &salt.to_be_bytes(), &block.to_be_bytes()].concat();
        octets.extend_from_slice(digest::digest(&digest::SHA256, &input).as_ref());
    }
    octets.truncate(length);
    octets
}

fn rsa_pair(place: usize) -> &'static RsaKeyPair {
    static PAIRS: [OnceLock<RsaKeyPair>; 4] = [const { OnceLock::new() }; 4];
    PAIRS[place].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"))
}

fn rsa_public(pair: &RsaKeyPair) -> Vec<u8> {
    // RSAPublicKey is a SEQUENCE of the two INTEGERs modulus and exponent (RFC 8017 §A.1.1).
    let der = pair.public_key().as_ref();
    let sequence = der_contents(&mut &der[..]);
    let mut rest = sequence;
    let modulus = der_contents(&mut rest);
    let exponent = der_contents(&mut rest);
    // An INTEGER whose first bit is set has a zero octet in front.
    rsa_components(modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// RFC 3110 §2.
fn rsa_components(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    [&[exponent.len() as u8], exponent, modulus].concat()
}

/// The contents of the first DER value, which is taken off.
fn der_contents<'a>(der: &mut &'a [u8]) -> &'a [u8] {
    let (length, start) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let octets = usize::from(long & 0x7f);
            let length = der[2..2 + octets].iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            (length, 2 + octets)
        }
    };
    let (value, rest) = der.split_at(start + length);
    *der = rest;
    &value[start..]
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use mailstead_dns::Rtype;

    use super::*;
    use crate::signed::text;

    fn base64(text: &str) -> Vec<u8> {
        BASE64.decode(text.replace(char::is_whitespace, "")).unwrap()
    }

    /// Secret, algorithm, DNSKEY, DS as the RFCs print them.
    fn check(secret: &str, algorithm: u8, owner: &str, public: &str, ds: &str) -> ZoneKey {
        let key = ZoneKey::from_secret(Role::KeySigning, algorithm, &base64(secret)).unwrap();
        assert_eq!(key.dnskey(), dnskey(257, algorithm, &base64(public)));
        let printed = text::entry(&format!("@ DS {ds}"), &Name::parse(owner).unwrap()).unwrap();
        assert_eq!(key.ds(&printed.owner, printed.data[3]), *printed.data);
        assert_eq!(printed.data[..2], key.tag().to_be_bytes());
        key
    }

    #[test]
    fn keys_of_rfc_6605() {
        check(
            "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
            13,
            "example.net",
            "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
        );
        check(
            "WURgWHCcYIYUPWgeLmiPY2DJJk02vgrmTfitxgqcL4vwW7BOrbawVmVe0d9V94SR",
            14,
            "example.net",
            "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6\
             Glur8I/mlVNgF6W/qTI37m40",
            "10771 14 4 72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
        );
    }

    #[test]
    fn keys_and_signatures_of_rfc_8080() {
        let examples = [
            (
                "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
                "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
                "3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
            ),
            (
                "DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=",
                "zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
                "35217 15 2 401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c",
            ),
        ];
        for (secret, public, ds) in examples {
            check(secret, 15, "example.com", public, ds);
        }
    }

    #[test]
    fn colliding_keys_have_the_tag_and_are_others() {
        let apex = Name::parse("example").unwrap();
        for (role, algorithm) in [(Role::Combined, 13), (Role::ZoneSigning, 15), (Role::KeySigning, 8)] {
            let key = ZoneKey::derive(&apex, role, algorithm, 0);
            let mut others = key.colliding(5);
            assert!(others.iter().all(|data| key_tag(data) == key.tag() && data[3] == algorithm));
            assert!(others.iter().all(|data| data[0] & 1 == 1 && data[1] & 0x80 == 0), "they are zone keys");
            others.push(key.dnskey());
            others.sort();
            others.dedup();
            assert_eq!(others.len(), 6);
        }
    }

    #[test]
    fn seeds_have_keys_of_their_own() {
        let apex = Name::parse("example").unwrap();
        for algorithm in [8, 13, 14, 15] {
            let key = |seed| ZoneKey::derive(&apex, Role::Combined, algorithm, seed).dnskey();
            assert_eq!(key(0), key(0));
            assert_ne!(key(0), key(1));
        }
        let printed = text::entry("@ DNSKEY 257 3 15 AAAA", &apex).unwrap();
        assert_eq!((printed.rtype, &*printed.data), (Rtype::DNSKEY, [1, 1, 3, 15, 0, 0, 0].as_slice()));
    }
}
