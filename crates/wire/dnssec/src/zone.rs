//! From one zone to the next: delegations that a parent proves, and the keys of the zone below (RFC 4035 §5).

use mailstead_dns::{Ds, Message, Name, Record, RecordType, RrSet, Rtype};

use crate::denial::{self, Denial};
use crate::signature::{self, Signed};
use crate::{Bogus, Dnskey, Insecure, Stop, Work};

/// The algorithms whose signatures are checked (RFC 8624 §3.1). 5 and 7, which need SHA-1, count as unsupported
/// (RFC 9905).
pub fn is_supported_algorithm(algorithm: u8) -> bool {
    matches!(algorithm, 8 | 10 | 13 | 14 | 15)
}

/// The digests of DS records that are checked (RFC 8624 §3.3); SHA-1 counts as unsupported.
pub fn is_supported_digest(digest_type: u8) -> bool {
    matches!(digest_type, 2 | 4)
}

/// The keys of a zone, proved from above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneKeys {
    /// The zone.
    pub zone: Name,
    /// Usable keys with their tags.
    keys: Vec<(u16, Dnskey)>,
    /// The proof of the set of keys: who signed it, until when.
    pub signed: Signed,
    /// What vouched for the key that signed: the tags of the DS records or trust anchors that matched it.
    pub vouched: Vec<Voucher>,
}

/// What vouches for a key: a DS record or a trust anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voucher {
    /// Tag of the key.
    pub key_tag: u16,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// The digest type of the DS record; `None` where the key itself is the trust anchor.
    pub digest_type: Option<u8>,
}

impl ZoneKeys {
    /// The usable keys of this tag and algorithm.
    pub(crate) fn keys_of(&self, key_tag: u16, algorithm: u8) -> impl Iterator<Item = &Dnskey> {
        self.keys.iter().filter(move |(tag, key)| *tag == key_tag && key.algorithm == algorithm).map(|(_, key)| key)
    }

    /// Tag and algorithm of every usable key.
    pub fn tags(&self) -> impl Iterator<Item = (u16, u8)> + '_ {
        self.keys.iter().map(|(tag, key)| (*tag, key.algorithm))
    }
}

/// What vouches for the keys of a zone.
#[derive(Debug, Clone, Copy)]
pub enum Vouchers<'a> {
    /// DS records that the parent has signed.
    Ds(&'a [Ds]),
    /// A trust anchor: DS records and keys.
    Anchor(&'a [Ds], &'a [Dnskey]),
}

impl Vouchers<'_> {
    fn ds(&self) -> &[Ds] {
        match self {
            Vouchers::Ds(ds) | Vouchers::Anchor(ds, _) => ds,
        }
    }

    fn keys(&self) -> &[Dnskey] {
        match self {
            Vouchers::Ds(_) => &[],
            Vouchers::Anchor(_, keys) => keys,
        }
    }
}

/// Whether DS records can be followed at all, or why not (RFC 4035 §5.2, last paragraphs).
pub fn check_ds(zone: &Name, ds: &[Ds]) -> Result<(), Insecure> {
    let known: Vec<&Ds> = ds.iter().filter(|ds| is_supported_algorithm(ds.algorithm)).collect();
    if known.is_empty() {
        let algorithms = distinct(ds.iter().map(|ds| ds.algorithm));
        return Err(Insecure::UnsupportedAlgorithms { zone: zone.clone(), algorithms });
    }
    if !known.iter().any(|ds| is_supported_digest(ds.digest_type)) {
        let digest_types = distinct(known.iter().map(|ds| ds.digest_type));
        return Err(Insecure::UnsupportedDigests { zone: zone.clone(), digest_types });
    }
    Ok(())
}

fn distinct(numbers: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut numbers: Vec<u8> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The keys of a zone out of the response to a question for them, when somebody vouches for one that signed them all.
///
/// The caller has made sure by [`check_ds`] that the vouchers can be followed.
///
/// # Errors
/// When no key is vouched for, or none of those that are has signed the keys.
pub fn zone_keys(
    zone: &Name,
    vouchers: Vouchers<'_>,
    response: &Message,
    work: &mut Work<'_>,
) -> Result<ZoneKeys, Stop> {
    let missing = || Stop::Bogus(Bogus::KeysMissing { zone: zone.clone() });
    let set = Message::find(&response.answer, zone, Rtype::DNSKEY).ok_or_else(missing)?;
    let mut keys = Vec::new();
    for key in set.data.iter().filter_map(|data| Dnskey::from_data(data)) {
        // A revoked key is of no use for anything but its revocation.
        if key.is_usable() && is_supported_algorithm(key.algorithm) {
            keys.push((key.key_tag(), key));
        }
    }
    let mut vouched = Vec::new();
    let mut trusted = Vec::new();
    for (tag, key) in &keys {
        if let Some(voucher) = vouches(zone, vouchers, *tag, key, work)? {
            vouched.push(voucher);
            trusted.push((*tag, key.clone()));
        }
    }
    if trusted.is_empty() {
        return Err(Stop::Bogus(Bogus::NoTrustedKey { zone: zone.clone() }));
    }
    let unsigned = Signed { zone: zone.clone(), key_tag: 0, algorithm: 0, expiration: 0, ttl: 0, wildcard_base: None };
    let entry = ZoneKeys { zone: zone.clone(), keys: trusted, signed: unsigned, vouched };
    let signed = signature::verify(set, &entry, work)?;
    if signed.wildcard_base.is_some() {
        // Keys stand at the apex, which no wildcard can stand for.
        return Err(Stop::Bogus(Bogus::NoTrustedKey { zone: zone.clone() }));
    }
    Ok(ZoneKeys { keys, signed, ..entry })
}

/// The keys of a zone as it shows them, for those who follow their changes (RFC 5011).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// All of them, revoked ones too.
    pub keys: Vec<Dnskey>,
    /// Those whose own signature over the set is right and within its time.
    pub signers: Vec<Dnskey>,
    /// TTL of the set in its zone, in seconds; the least that a signature names.
    pub original_ttl: u32,
    /// When the first of the signatures expires: seconds since 1970 modulo 2^32.
    pub expiration: u32,
}

/// Which keys of a zone have signed them all. Whether one of them is trusted is for others to say. `None` where none has.
///
/// # Errors
/// When it takes too much work.
pub fn key_set(zone: &Name, response: &Message, work: &mut Work<'_>) -> Result<Option<KeySet>, Stop> {
    let Some(set) = Message::find(&response.answer, zone, Rtype::DNSKEY) else { return Ok(None) };
    let keys: Vec<Dnskey> = set.data.iter().filter_map(|data| Dnskey::from_data(data)).collect();
    // Made once: a response has room for thousands of keys and of signatures.
    let tags: Vec<u16> = keys.iter().map(Dnskey::key_tag).collect();
    let mut signers = Vec::new();
    let mut signatures = Vec::new();
    for signature in set.signatures.iter().filter(|signature| is_supported_algorithm(signature.algorithm)) {
        let tagged = keys.iter().zip(&tags).filter(|(_, tag)| **tag == signature.key_tag);
        for (key, _) in tagged {
            if !signers.contains(key) && signature::is_own(set, signature, key, work)? {
                signers.push(key.clone());
                signatures.push(signature);
            }
        }
    }
    let now = work.now as u32;
    let original_ttl = signatures.iter().map(|signature| signature.original_ttl).min();
    let expiration =
        signatures.iter().map(|signature| signature.expiration).min_by_key(|end| end.wrapping_sub(now) as i32);
    Ok(original_ttl.zip(expiration).map(|(original_ttl, expiration)| KeySet {
        keys,
        signers,
        original_ttl,
        expiration,
    }))
}

fn vouches(
    zone: &Name,
    vouchers: Vouchers<'_>,
    tag: u16,
    key: &Dnskey,
    work: &mut Work<'_>,
) -> Result<Option<Voucher>, Stop> {
    if vouchers.keys().contains(key) {
        return Ok(Some(Voucher { key_tag: tag, algorithm: key.algorithm, digest_type: None }));
    }
    for ds in vouchers.ds() {
        if ds.key_tag == tag && ds.algorithm == key.algorithm && is_supported_digest(ds.digest_type) {
            work.spend_digest()?;
            if key.digest(zone, ds.digest_type, work.crypto).is_some_and(|made| made.digest == ds.digest) {
                let digest_type = Some(ds.digest_type);
                return Ok(Some(Voucher { key_tag: tag, algorithm: key.algorithm, digest_type }));
            }
        }
    }
    Ok(None)
}

/// What a parent proves about a name below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// Another zone begins there, and these vouch for its keys.
    Signed(Vec<Ds>),
    /// Another zone begins there, or may begin there, that nothing vouches for.
    Unsigned(Insecure),
    /// The name belongs to the parent.
    SameZone,
    /// The name does not exist, and nothing below it.
    NoName,
}

/// What the response to a question for the DS records of `name` proves, and for how long in seconds. `parent` has the
/// keys of the zone that the name lies in.
///
/// # Errors
/// When it proves nothing.
pub fn delegation(
    name: &Name,
    parent: &ZoneKeys,
    response: &Message,
    work: &mut Work<'_>,
) -> Result<(Delegation, u32), Stop> {
    // The records stand in the authority section where a referral answers the question.
    let find = |rtype| {
        Message::find(&response.answer, name, rtype).or_else(|| Message::find(&response.authority, name, rtype))
    };
    if let Some(set) = find(Rtype::DS) {
        let signed = signature::verify(set, parent, work)?;
        if signed.wildcard_base.is_some() {
            return Err(Stop::Bogus(Bogus::ProofWrong { name: name.clone(), rtype: Rtype::DS }));
        }
        let ds = ds_records(set);
        return Ok(match check_ds(name, &ds) {
            Ok(()) => (Delegation::Signed(ds), signed.ttl),
            Err(insecure) => (Delegation::Unsigned(insecure), signed.ttl),
        });
    }
    // An alias is no zone (RFC 1034 §3.6.2), and neither is anything below a DNAME (RFC 6672 §2.4).
    let dname = |set: &&RrSet| set.rtype == Rtype::DNAME && name.is_below(&set.owner) && !set.data.is_empty();
    let alias = find(Rtype::CNAME).filter(|set| !set.signatures.is_empty());
    if let Some(set) = alias.or_else(|| response.answer.iter().find(dname)) {
        let signed = signature::verify(set, parent, work)?;
        let (open, ttl) = match &signed.wildcard_base {
            Some(base) => denial::of_closer_name(&set.owner, set.rtype, base, parent, &response.authority, work)?,
            None => (None, signed.ttl),
        };
        return Ok((open.map_or(Delegation::SameZone, Delegation::Unsigned), ttl.min(signed.ttl)));
    }
    let (denial, ttl) = denial::of(name, Rtype::DS, parent, &response.authority, work)?;
    let delegation = match denial {
        Denial::NoData { is_delegation: true } => {
            Delegation::Unsigned(Insecure::UnsignedDelegation { zone: name.clone() })
        }
        Denial::NoData { is_delegation: false } => Delegation::SameZone,
        Denial::NxDomain => Delegation::NoName,
        Denial::Unproved(insecure) => Delegation::Unsigned(insecure),
    };
    Ok((delegation, ttl))
}

fn ds_records(set: &RrSet) -> Vec<Ds> {
    set.data
        .iter()
        .filter_map(|data| match Record::from_data(RecordType::Ds, data) {
            Some(Record::Ds(ds)) => Some(ds),
            _ => None,
        })
        .collect()
}
