//! Trust anchors: where chains of trust begin (RFC 4033 §2, RFC 4035 §4.4), and where the operator wants none to
//! reach (RFC 7646).
//!
//! The root's anchors are built in, as IANA publishes them. How keys replace each other without anybody's help is
//! [`crate::rfc5011`]'s.

mod parse;

use std::collections::BTreeMap;

use mailstead_dns::{Ds, Name};

use crate::{Crypto, Dnskey, Vouchers, is_supported_digest};

pub use parse::{AnchorFault, AnchorsError};

/// Algorithm of both keys of the root, RSASHA256.
const ROOT_ALGORITHM: u8 = 8;
/// Digest type of IANA's anchors, SHA-256.
const ROOT_DIGEST_TYPE: u8 = 2;

/// The key-signing keys of the root by their tags and digests, as in <https://data.iana.org/root-anchors/root-anchors.xml>:
/// KSK-2017, and KSK-2024, which has been in the root zone since January 2025 to take over.
const ROOT: [(u16, [u8; 32]); 2] = [
    (
        20326,
        [
            0xe0, 0x6d, 0x44, 0xb8, 0x0b, 0x8f, 0x1d, 0x39, 0xa9, 0x5c, 0x0b, 0x0d, 0x7c, 0x65, 0xd0, 0x84, 0x58, 0xe8,
            0x80, 0x40, 0x9b, 0xbc, 0x68, 0x34, 0x57, 0x10, 0x42, 0x37, 0xc7, 0xf8, 0xec, 0x8d,
        ],
    ),
    (
        38696,
        [
            0x68, 0x3d, 0x2d, 0x0a, 0xcb, 0x8c, 0x9b, 0x71, 0x2a, 0x19, 0x48, 0xb2, 0x7f, 0x74, 0x12, 0x19, 0x29, 0x8d,
            0x0a, 0x45, 0x0d, 0x61, 0x2c, 0x48, 0x3a, 0xf4, 0x44, 0xa4, 0xc0, 0xfb, 0x2b, 0x16,
        ],
    ),
];

/// The trust anchors of one zone. One match is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The zone.
    pub zone: Name,
    /// Digests of keys.
    pub ds: Vec<Ds>,
    /// Keys.
    pub keys: Vec<Dnskey>,
}

impl Anchor {
    /// No anchors yet.
    pub fn new(zone: Name) -> Anchor {
        Anchor { zone, ds: Vec::new(), keys: Vec::new() }
    }

    /// Whether nothing could match.
    pub fn is_empty(&self) -> bool {
        self.ds.is_empty() && self.keys.is_empty()
    }

    /// Whether this key of the zone is a trust anchor. A revoked one never is (RFC 5011 §2.1).
    pub fn vouches_for(&self, key: &Dnskey, crypto: &dyn Crypto) -> bool {
        key.is_usable()
            && (self.keys.contains(key) || self.ds.iter().any(|ds| is_digest_of(ds, key, &self.zone, crypto)))
    }

    /// As what the keys of the zone are proved by.
    pub fn vouchers(&self) -> Vouchers<'_> {
        Vouchers::Anchor(&self.ds, &self.keys)
    }
}

/// Whether the digest is one of this key in this zone.
pub(crate) fn is_digest_of(ds: &Ds, key: &Dnskey, zone: &Name, crypto: &dyn Crypto) -> bool {
    ds.algorithm == key.algorithm
        && is_supported_digest(ds.digest_type)
        && ds.key_tag == key.key_tag()
        && key.digest(zone, ds.digest_type, crypto).is_some_and(|made| made.digest == ds.digest)
}

/// What is closest above a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closest<'a> {
    /// A chain of trust begins here.
    Anchor(&'a Anchor),
    /// The operator wants everything from this zone down to count as unsigned (RFC 7646).
    Negative(&'a Name),
    /// A chain of trust would begin here, but all keys of this zone have been revoked (RFC 5011 §5), and no anchor is
    /// above it. Nothing below can be proved, and nothing may be taken as unsigned.
    Withdrawn(&'a Name),
    /// Nothing: validation has nowhere to begin (RFC 4033 §5, "indeterminate").
    None,
}

/// Trust anchors of all zones, and negative ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anchors {
    /// Without an anchor where all have been revoked.
    zones: BTreeMap<Name, Option<Anchor>>,
    /// Zones that are not validated, until these times in seconds since 1970.
    negative: BTreeMap<Name, u64>,
}

impl Anchors {
    /// Those of the root that are built in.
    pub fn root() -> Anchors {
        let ds = ROOT.map(|(key_tag, digest)| Ds {
            key_tag,
            algorithm: ROOT_ALGORITHM,
            digest_type: ROOT_DIGEST_TYPE,
            digest: digest.to_vec(),
        });
        let mut anchors = Anchors::default();
        anchors.set(Anchor { ds: ds.into(), ..Anchor::new(Name::root()) });
        anchors
    }

    /// The anchors of each zone; those whose keys have all been revoked are left out.
    pub fn iter(&self) -> impl Iterator<Item = &Anchor> {
        self.zones.values().flatten()
    }

    /// Puts these anchors in place of those that the zone has.
    pub fn set(&mut self, anchor: Anchor) {
        self.zones.insert(anchor.zone.clone(), Some(anchor));
    }

    /// Takes all anchors of a zone away. RFC 5011 §5 has the zone treated "as if the trust point was never configured",
    /// which without an anchor above means that everything becomes insecure. Whoever relies on DANE would not notice;
    /// so names below are then bogus until somebody brings new anchors. With an anchor above, that one counts, as in
    /// the RFC.
    pub fn withdraw(&mut self, zone: Name) {
        self.zones.insert(zone, None);
    }

    /// Leaves everything from this zone down unvalidated until a time in seconds since 1970. RFC 7646 §2.1: there must
    /// be an end; §4: it should be no more than a week ahead.
    pub fn distrust(&mut self, zone: Name, until: u64) {
        self.negative.insert(zone, until);
    }

    /// The zones that are not validated, and until when (RFC 7646 §3.1: people should be able to learn of them).
    pub fn negative(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.negative.iter().map(|(zone, until)| (zone, *until))
    }

    /// Where the chain of trust for a name begins, `now` in seconds since 1970. The closest anchor counts, so that a
    /// zone below a negative anchor is validated where it has one of its own (RFC 7646 §1.1); of both in one place it is
    /// the negative one (§3).
    ///
    /// DS records belong to the parent: ask with the parent's name for them.
    pub fn closest(&self, name: &Name, now: u64) -> Closest<'_> {
        let depth = |zone: &Name| name.is_within(zone).then(|| zone.label_count());
        let anchor = self.iter().filter_map(|anchor| Some((depth(&anchor.zone)?, anchor))).max_by_key(|(at, _)| *at);
        let negative = self.negative.iter().filter(|(_, until)| now < **until);
        let negative = negative.filter_map(|(zone, _)| Some((depth(zone)?, zone))).max_by_key(|(at, _)| *at);
        match (anchor, negative) {
            (Some((at, _)), Some((negative_at, zone))) if negative_at >= at => Closest::Negative(zone),
            (Some((_, anchor)), _) => Closest::Anchor(anchor),
            (None, Some((_, zone))) => Closest::Negative(zone),
            (None, None) => {
                let withdrawn = self.zones.iter().filter(|(zone, anchor)| anchor.is_none() && name.is_within(zone));
                let withdrawn = withdrawn.map(|(zone, _)| zone).max_by_key(|zone| zone.label_count());
                withdrawn.map_or(Closest::None, Closest::Withdrawn)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
