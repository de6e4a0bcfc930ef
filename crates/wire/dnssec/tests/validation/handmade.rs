//! Zones signed by hand, wrongly where that is wanted: their key signs whatever it is given.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use mailstead_dns::{Flags, Message, Name, Question, Rcode, RrSet, Rrsig, Rtype};
use mailstead_dnssec::{
    AwsLcRs, Bogus, Budget, Content, Dnskey, Insecure, Nsec3Parameters, Place, Proof, Scope, Step, Stop, Trust,
    Vouchers, Work, ZoneKeys, Zones, nsec3_hash, validate, zone_keys,
};
use mailstead_testkit::START;

/// The time of most tests: seconds since 1970.
pub(crate) const NOW: u64 = START as u64;
/// How long signatures are valid before and after it.
pub(crate) const HOUR: u32 = 3_600;
/// TTL of everything.
pub(crate) const TTL: u32 = 600;
const ED25519: u8 = 15;

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Any address will do.
pub(crate) fn address(owner: &str) -> RrSet {
    set(owner, Rtype::A, &[192, 0, 2, 1])
}

pub(crate) fn set(owner: &str, rtype: Rtype, data: &[u8]) -> RrSet {
    RrSet { owner: name(owner), rtype, ttl: TTL, data: vec![data.into()], signatures: Vec::new() }
}

/// A CNAME or DNAME.
pub(crate) fn alias(owner: &str, rtype: Rtype, target: &str) -> RrSet {
    set(owner, rtype, name(target).as_wire())
}

/// A key pair with its record.
#[derive(Debug)]
pub(crate) struct Key {
    pair: Ed25519KeyPair,
    pub(crate) record: Dnskey,
}

impl Key {
    /// The same for the same seed.
    pub(crate) fn new(seed: u8, flags: u16) -> Key {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public_key = pair.public_key().as_ref().into();
        Key { pair, record: Dnskey { flags, protocol: 3, algorithm: ED25519, public_key } }
    }

    /// The signature that is to be, without itself.
    pub(crate) fn unsigned(&self, zone: &Name, set: &RrSet) -> Rrsig {
        Rrsig {
            type_covered: set.rtype,
            algorithm: self.record.algorithm,
            labels: own_labels(set) as u8,
            original_ttl: set.ttl,
            expiration: NOW as u32 + HOUR,
            inception: NOW as u32 - HOUR,
            key_tag: self.record.key_tag(),
            signer: zone.clone(),
            signature: Box::default(),
        }
    }

    /// Signs for a zone, after changing what the signature says about itself.
    pub(crate) fn sign(&self, zone: &Name, set: &RrSet, change: impl FnOnce(&mut Rrsig)) -> Rrsig {
        let mut signature = self.unsigned(zone, set);
        change(&mut signature);
        let owner = match usize::from(signature.labels) {
            labels if labels < own_labels(set) => set.owner.ancestor(labels).wildcard().unwrap(),
            _ => set.owner.clone(),
        };
        let mut signed = signature.signed_prefix();
        for data in &set.data {
            signed.extend_from_slice(owner.as_wire());
            signed.extend(set.rtype.0.to_be_bytes());
            signed.extend([0, 1]);
            signed.extend(signature.original_ttl.to_be_bytes());
            signed.extend((data.len() as u16).to_be_bytes());
            signed.extend_from_slice(data);
        }
        Rrsig { signature: self.pair.sign(&signed).as_ref().into(), ..signature }
    }
}

/// RFC 4034 §3.1.3: the asterisk of a wildcard does not count.
fn own_labels(set: &RrSet) -> usize {
    set.owner.label_count() - usize::from(set.owner.is_wildcard())
}

/// A zone with one key.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) key: Key,
    pub(crate) keys: Arc<ZoneKeys>,
}

impl Zone {
    pub(crate) fn new(apex: &str) -> Zone {
        let apex = name(apex);
        let key = Key::new(apex.as_wire().iter().fold(0, |sum, octet| sum ^ octet), 257);
        let response = key_response(&apex, &[&key], &[&key]);
        let anchor = [key.record.clone()];
        let keys = check_keys(&apex, Vouchers::Anchor(&[], &anchor), &response).unwrap();
        Zone { apex, key, keys: Arc::new(keys) }
    }

    pub(crate) fn sign(&self, set: RrSet) -> RrSet {
        self.sign_as(set, |_| {})
    }

    /// Signs after changing what the signature says about itself.
    pub(crate) fn sign_as(&self, mut set: RrSet, change: impl FnOnce(&mut Rrsig)) -> RrSet {
        set.signatures.push(self.key.sign(&self.apex, &set, change));
        set
    }

    /// See [`Key::unsigned`].
    pub(crate) fn unsigned(&self, set: &RrSet) -> Rrsig {
        self.key.unsigned(&self.apex, set)
    }

    pub(crate) fn nsec(&self, owner: &str, next: &str, types: &[Rtype]) -> RrSet {
        let data = [name(next).as_wire(), &bitmap(types)].concat();
        self.sign(set(owner, Rtype::NSEC, &data))
    }

    /// A record under this hash with the next one given.
    pub(crate) fn nsec3(&self, hashing: Hashing<'_>, hash: [u8; 20], next: [u8; 20], types: &[Rtype]) -> RrSet {
        let Hashing { algorithm, flags, iterations, salt } = hashing;
        let [high, low] = iterations.to_be_bytes();
        let fixed = [algorithm, flags, high, low, salt.len() as u8];
        let data = [&fixed, salt, &[20], &next, &bitmap(types)].concat();
        let owner = self.apex.prepend(&base32hex(&hash)).unwrap();
        self.sign(set(&owner.to_string(), Rtype::NSEC3, &data))
    }

    /// The record of a name that there is.
    pub(crate) fn matching(&self, hashing: Hashing<'_>, about: &str, types: &[Rtype]) -> RrSet {
        let hash = hashing.hash(about);
        self.nsec3(hashing, hash, moved(hash, 1), types)
    }

    /// A record whose span is just this name's hash.
    pub(crate) fn covering(&self, hashing: Hashing<'_>, about: &str) -> RrSet {
        let hash = hashing.hash(about);
        self.nsec3(hashing, moved(hash, -1), moved(hash, 1), &[Rtype::A])
    }
}

/// How NSEC3 records are hashed, and their flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashing<'a> {
    pub(crate) algorithm: u8,
    pub(crate) flags: u8,
    pub(crate) iterations: u16,
    pub(crate) salt: &'a [u8],
}

impl Hashing<'_> {
    /// What RFC 9276 §3.1 asks for.
    pub(crate) const PLAIN: Hashing<'static> = Hashing { algorithm: 1, flags: 0, iterations: 0, salt: &[] };
    pub(crate) const OPT_OUT: Hashing<'static> = Hashing { flags: 1, ..Hashing::PLAIN };

    pub(crate) fn hash(self, about: &str) -> [u8; 20] {
        let Hashing { iterations, salt, .. } = self;
        nsec3_hash(&name(about), Nsec3Parameters { iterations, salt }, &AwsLcRs)
    }
}

/// The hash before or after.
fn moved(mut hash: [u8; 20], by: i8) -> [u8; 20] {
    for octet in hash.iter_mut().rev() {
        let (sum, overflowed) = octet.overflowing_add_signed(by);
        *octet = sum;
        if !overflowed {
            break;
        }
    }
    hash
}

/// RFC 4034 §4.1.2, for types below 256.
fn bitmap(types: &[Rtype]) -> Vec<u8> {
    let mut bits = [0_u8; 32];
    types.iter().for_each(|rtype| bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8));
    if types.is_empty() { Vec::new() } else { [&[0, 32], bits.as_slice()].concat() }
}

/// RFC 4648 §7 without padding, 20 octets to 32 characters.
pub(crate) fn base32hex(hash: &[u8; 20]) -> Vec<u8> {
    let digits = hash.chunks(5).flat_map(|chunk| {
        let bits = chunk.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
        (0..8).map(move |digit| b"0123456789abcdefghijklmnopqrstuv"[(bits >> (35 - 5 * digit)) as usize & 31])
    });
    digits.collect()
}

pub(crate) fn response(rcode: Rcode, answer: &[&RrSet], authority: &[&RrSet]) -> Message {
    let sets = |section: &[&RrSet]| section.iter().map(|set| (*set).clone()).collect();
    Message {
        id: 0,
        flags: Flags { response: true, ..Flags::default() },
        rcode,
        question: Question { name: Name::root(), rtype: Rtype::A },
        answer: sets(answer),
        authority: sets(authority),
        additional: Vec::new(),
        edns: None,
    }
}

/// The keys of a zone with signatures by some.
pub(crate) fn key_response(zone: &Name, keys: &[&Key], signers: &[&Key]) -> Message {
    let mut data: Vec<Box<[u8]>> = keys.iter().map(|key| key.record.to_data().into()).collect();
    data.sort_unstable();
    let mut set = RrSet { owner: zone.clone(), rtype: Rtype::DNSKEY, ttl: TTL, data, signatures: Vec::new() };
    set.signatures = signers.iter().map(|key| key.sign(zone, &set, |_| {})).collect();
    response(Rcode::NOERROR, &[&set], &[])
}

pub(crate) fn check_keys(zone: &Name, vouchers: Vouchers<'_>, response: &Message) -> Result<ZoneKeys, Stop> {
    let mut budget = Budget::default();
    zone_keys(zone, vouchers, response, &mut Work { crypto: &AwsLcRs, now: NOW, budget: &mut budget })
}

/// The zones that there are, each with an anchor, and delegations that are not signed; whatever is outside is insecure.
pub(crate) struct Trusted<'a>(pub(crate) &'a [&'a Zone], pub(crate) &'a [&'a str]);

impl Trusted<'_> {
    fn closest(&self, name: &Name) -> Option<&Zone> {
        let zones = self.0.iter().filter(|zone| name.is_within(&zone.apex));
        zones.max_by_key(|zone| zone.apex.label_count()).copied()
    }
}

impl Zones for Trusted<'_> {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        let (Scope::Apex(name) | Scope::Enclosing(name)) = scope;
        let zone = self.closest(name);
        let labels = zone.map_or(0, |zone| zone.apex.label_count());
        let mut unsigned = self.1.iter().map(|text| Name::parse(text).unwrap());
        if let Some(zone) = unsigned.rfind(|cut| name.is_within(cut) && cut.label_count() > labels) {
            return Some(Ok(Trust::Insecure(Insecure::UnsignedDelegation { zone })));
        }
        Some(match (zone, scope) {
            (None, _) => Ok(Trust::Insecure(Insecure::NoAnchor)),
            (Some(zone), Scope::Apex(apex)) if zone.apex != *apex => Err(Bogus::NoSuchZone { zone: apex.clone() }),
            (Some(zone), _) => Ok(Trust::Secure(Arc::clone(&zone.keys))),
        })
    }

    fn anchor(&self, name: &Name) -> Option<Name> {
        self.closest(name).map(|zone| zone.apex.clone())
    }
}

/// Validates at [`NOW`].
pub(crate) fn read(zones: &[&Zone], about: &str, rtype: Rtype, response: &Message) -> Result<Step, Stop> {
    read_at(NOW, zones, about, rtype, response)
}

pub(crate) fn read_at(now: u64, zones: &[&Zone], about: &str, rtype: Rtype, response: &Message) -> Result<Step, Stop> {
    let mut budget = Budget::default();
    let mut work = Work { crypto: &AwsLcRs, now, budget: &mut budget };
    validate(&name(about), rtype, Place::First, response, &Trusted(zones, &[]), &mut work)
}

/// Validates what comes with an alias to the name; `plain.example` is not signed.
pub(crate) fn read_on(zones: &[&Zone], about: &str, rtype: Rtype, response: &Message) -> Result<Step, Stop> {
    let mut budget = Budget::default();
    let mut work = Work { crypto: &AwsLcRs, now: NOW, budget: &mut budget };
    validate(&name(about), rtype, Place::Later, response, &Trusted(zones, &["plain.example"]), &mut work)
}

/// What is secure; nothing where it is insecure.
pub(crate) fn proved(step: Result<Step, Stop>) -> Option<Content> {
    let step = step.unwrap();
    matches!(step.proof, Proof::Secure { .. }).then_some(step.content)
}

pub(crate) fn insecurity(step: Result<Step, Stop>) -> Insecure {
    match step.unwrap().proof {
        Proof::Insecure(insecure) => insecure,
        Proof::Secure { .. } => panic!("it is secure"),
    }
}

pub(crate) fn bogus<T: std::fmt::Debug>(outcome: Result<T, Stop>) -> Bogus {
    match outcome {
        Err(Stop::Bogus(bogus)) => bogus,
        other => panic!("it is not bogus: {other:?}"),
    }
}
