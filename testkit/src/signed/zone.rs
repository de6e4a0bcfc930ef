//! A zone: its records, the records that DNSSEC adds to them, and signatures (RFC 4034 §3, §4 and §6, RFC 4035 §2,
//! RFC 5155 §3 and §7.1). Answering from it is `step`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::OnceLock;

use aws_lc_rs::digest;
use mailstead_dns::{Name, RrSet, Rrsig, Rtype};

use super::key::{Role, ZoneKey, octets};
use super::plan::{DEFAULT_TTL, Denial, Flaw, KeyLayout, Vouching, Window, ZonePlan};
use super::text::{self, NSEC3PARAM};

/// SHA-1, the only hash of NSEC3 (RFC 5155 §11).
const HASH_SHA1: u8 = 1;
/// What the hash of a name looks like.
pub(super) type Hash = [u8; 20];

/// A set of records of a zone. Signatures are made when they are asked for.
#[derive(Debug)]
pub(super) struct StoredSet {
    /// The name that the records are about: of NSEC3 records, the one whose hash is their owner.
    pub(super) about: Name,
    /// The records; not their signatures.
    pub(super) set: RrSet,
    signatures: OnceLock<Vec<Rrsig>>,
}

impl StoredSet {
    fn new(about: Name, owner: Name, ttl: u32, rtype: Rtype, data: Vec<Box<[u8]>>) -> StoredSet {
        let set = RrSet { owner, rtype, ttl, data, signatures: Vec::new() };
        StoredSet { about, set, signatures: OnceLock::new() }
    }
}

#[derive(Debug)]
pub(super) struct Zone {
    pub(super) plan: ZonePlan,
    pub(super) keys: Vec<ZoneKey>,
    /// Every owner with its sets, glue included.
    pub(super) nodes: BTreeMap<Name, BTreeMap<Rtype, StoredSet>>,
    /// The NSEC3 records by hash.
    pub(super) hashed: BTreeMap<Hash, StoredSet>,
    /// Where the zone's server is.
    pub(super) server: Ipv4Addr,
}

impl Zone {
    /// The zone before anybody delegates from it.
    pub(super) fn new(plan: ZonePlan, seed: u64, server: Ipv4Addr) -> Zone {
        let roles: &[Role] = match plan.layout {
            KeyLayout::Split => &[Role::KeySigning, Role::ZoneSigning],
            KeyLayout::Combined => &[Role::Combined],
        };
        let mut keys = Vec::new();
        if plan.signed || plan.vouching != Vouching::Absent {
            for algorithm in &plan.algorithms {
                for role in roles {
                    let mut key = ZoneKey::derive(&plan.apex, *role, *algorithm, seed);
                    key.flags ^= plan.flag_changes;
                    keys.push(key);
                }
            }
        }
        let mut zone = Zone { plan, keys, nodes: BTreeMap::new(), hashed: BTreeMap::new(), server };
        for entry in std::mem::take(&mut zone.plan.entries) {
            zone.insert(&entry.owner, entry.ttl, entry.rtype, entry.data.clone());
            zone.plan.entries.push(entry);
        }
        let apex = zone.apex().clone();
        let host = apex.prepend(b"ns").expect("there is room for a server's name");
        if zone.stored(&apex, Rtype::NS).is_none() {
            zone.insert(&apex, DEFAULT_TTL, Rtype::NS, host.as_wire().into());
            zone.insert(&host, DEFAULT_TTL, Rtype::A, server.octets().into());
        }
        if zone.stored(&apex, Rtype::SOA).is_none() {
            let numbers = [1_u32, 3600, 600, 86_400, DEFAULT_TTL].map(u32::to_be_bytes);
            let data = [host.as_wire(), host.as_wire(), numbers.as_flattened()].concat();
            zone.insert(&apex, DEFAULT_TTL, Rtype::SOA, data.into());
        }
        zone
    }

    pub(super) fn apex(&self) -> &Name {
        &self.plan.apex
    }

    fn insert(&mut self, owner: &Name, ttl: u32, rtype: Rtype, data: Box<[u8]>) {
        assert!(owner.is_within(self.apex()), "{owner} is not in the zone {}", self.apex());
        let stored = self
            .nodes
            .entry(owner.clone())
            .or_default()
            .entry(rtype)
            .or_insert_with(|| StoredSet::new(owner.clone(), owner.clone(), ttl, rtype, Vec::new()));
        stored.set.ttl = stored.set.ttl.min(ttl);
        stored.set.data.push(data);
        stored.set.data.sort_unstable();
        stored.set.data.dedup();
    }

    /// Adds the delegation to a zone below: NS, glue, DS.
    pub(super) fn delegate(&mut self, child: &Zone) {
        let servers = child.stored(child.apex(), Rtype::NS).into_iter().flat_map(|stored| stored.set.data.clone());
        for data in servers {
            let target = Name::from_wire(&data).map(|(name, _)| name);
            self.insert(child.apex(), DEFAULT_TTL, Rtype::NS, data);
            for rtype in [Rtype::A, Rtype::AAAA] {
                let Some(stored) = target.as_ref().and_then(|target| child.stored(target, rtype)) else { continue };
                for data in &stored.set.data {
                    self.insert(&stored.set.owner, stored.set.ttl, rtype, data.clone());
                }
            }
        }
        for data in child.ds() {
            self.insert(child.apex(), DEFAULT_TTL, Rtype::DS, data.into());
        }
    }

    /// The data of the DS records that the parent has, right or wrong.
    pub(super) fn ds(&self) -> Vec<Vec<u8>> {
        if self.plan.vouching == Vouching::Absent {
            return Vec::new();
        }
        let mut records = Vec::new();
        for key in self.keys.iter().filter(|key| key.role != Role::ZoneSigning) {
            for digest_type in &self.plan.digest_types {
                let mut data = key.ds(self.apex(), *digest_type);
                if self.plan.vouching != Vouching::Correct
                    && let Some(last) = data.last_mut()
                {
                    *last ^= 1;
                }
                if self.plan.vouching == Vouching::UnknownKey {
                    data[0] ^= 0x55;
                }
                records.push(data);
            }
            for salt in 0..self.plan.extra_ds as u64 {
                let mut data = key.ds(self.apex(), 2);
                data.splice(4.., octets(b"digest", salt, 32));
                records.push(data);
            }
        }
        records
    }

    /// Adds the records of DNSSEC, once all delegations are there.
    pub(super) fn finish(&mut self) {
        for (name, sets) in &self.nodes {
            let alone = !sets.contains_key(&Rtype::CNAME) || sets.len() == 1;
            assert!(alone, "{name} is an alias and has other records (RFC 1034 §3.6.2)");
            let below = |other: &Name| other.is_below(name);
            let has_descendant = self.nodes.range(name.clone()..).nth(1).is_some_and(|(other, _)| below(other));
            let occludes = sets.contains_key(&Rtype::DNAME) && has_descendant;
            assert!(!occludes, "there are names below the DNAME {name} (RFC 6672 §2.4)");
        }
        if !self.plan.signed {
            return;
        }
        let apex = self.apex().clone();
        let mut keys: Vec<_> = self.keys.iter().map(ZoneKey::dnskey).collect();
        keys.extend(self.keys.iter().flat_map(|key| key.colliding(self.plan.colliding_keys)));
        for data in keys {
            self.insert(&apex, DEFAULT_TTL, Rtype::DNSKEY, data.into());
        }
        match self.plan.denial.clone() {
            Denial::Nsec => self.chain_names(),
            Denial::Nsec3 { iterations, salt, opt_out } => self.chain_hashes(iterations, &salt, opt_out),
        }
    }

    /// The names in the zone that are not below a delegation.
    fn authoritative(&self) -> impl Iterator<Item = (&Name, &BTreeMap<Rtype, StoredSet>)> {
        self.nodes.iter().filter(|(name, _)| self.cut(name).is_none_or(|cut| cut == **name))
    }

    /// The topmost delegation at or above a name.
    pub(super) fn cut(&self, name: &Name) -> Option<Name> {
        let depths = self.apex().label_count() + 1..=name.label_count();
        depths.map(|depth| name.ancestor(depth)).find(|name| self.stored(name, Rtype::NS).is_some())
    }

    /// How long absence may be kept, in seconds (RFC 9077 §3).
    fn negative_ttl(&self) -> u32 {
        let soa = self.stored(self.apex(), Rtype::SOA).map(|stored| &stored.set);
        let minimum = soa.and_then(|soa| soa.data.first()?.last_chunk()).map(|minimum| u32::from_be_bytes(*minimum));
        soa.map_or(DEFAULT_TTL, |soa| soa.ttl).min(minimum.unwrap_or(DEFAULT_TTL))
    }

    /// RFC 4034 §4.
    fn chain_names(&mut self) {
        let ttl = self.negative_ttl();
        let chain: Vec<_> = self
            .authoritative()
            .map(|(name, sets)| {
                let is_cut = self.cut(name).is_some();
                let kept = sets.keys().copied().filter(|rtype| !is_cut || matches!(*rtype, Rtype::NS | Rtype::DS));
                (name.clone(), kept.chain([Rtype::RRSIG, Rtype::NSEC]).collect::<BTreeSet<_>>())
            })
            .collect();
        let next = chain.iter().map(|(name, _)| name.clone()).cycle().skip(1).take(chain.len());
        let next: Vec<_> = next.collect();
        for ((name, types), next) in chain.into_iter().zip(next) {
            let data = [next.as_wire(), &text::bitmap(types)].concat();
            self.insert(&name, ttl, Rtype::NSEC, data.into());
        }
    }

    /// RFC 5155 §7.1.
    fn chain_hashes(&mut self, iterations: u16, salt: &[u8], opt_out: bool) {
        let ttl = self.negative_ttl();
        let apex = self.apex().clone();
        let [high, low] = iterations.to_be_bytes();
        let parameters = [&[HASH_SHA1, 0, high, low, salt.len() as u8], salt].concat();
        self.insert(&apex, 0, NSEC3PARAM, parameters.into());
        let has_wildcards = self.nodes.keys().any(Name::is_wildcard);
        let mut names = BTreeMap::<Name, BTreeSet<Rtype>>::new();
        for (name, sets) in self.authoritative() {
            let is_cut = self.cut(name).is_some();
            let left_out = opt_out && is_cut && !sets.contains_key(&Rtype::DS);
            // Names above it that have no records. Those that lead to a delegation that is left out may be left out
            // too, unless a wildcard would seem to apply below them then.
            if !left_out || has_wildcards {
                for depth in apex.label_count()..name.label_count() {
                    names.entry(name.ancestor(depth)).or_default();
                }
            }
            if left_out {
                continue;
            }
            let kept = sets.keys().copied().filter(|rtype| !is_cut || matches!(*rtype, Rtype::NS | Rtype::DS));
            let types = names.entry(name.clone()).or_default();
            types.extend(kept);
            if !is_cut || types.contains(&Rtype::DS) {
                types.insert(Rtype::RRSIG);
            }
        }
        let chain: BTreeMap<Hash, _> =
            names.into_iter().map(|(name, types)| (hash(&name, iterations, salt), (name, types))).collect();
        let next = chain.keys().copied().cycle().skip(1).take(chain.len());
        let next: Vec<_> = next.collect();
        for ((hash, (about, types)), next) in chain.into_iter().zip(next) {
            let owner = apex.prepend(&text::base32hex(&hash)).expect("there is room for a hash");
            let data = nsec3_data(opt_out, iterations, salt, &next, types);
            self.hashed.insert(hash, StoredSet::new(about, owner, ttl, Rtype::NSEC3, vec![data.into()]));
        }
    }

    /// A set as it stands in the zone.
    pub(super) fn stored(&self, owner: &Name, rtype: Rtype) -> Option<&StoredSet> {
        self.nodes.get(owner)?.get(&rtype)
    }

    /// Whether there are records at the name or below it.
    pub(super) fn exists(&self, name: &Name) -> bool {
        self.nodes.range(name.clone()..).next().is_some_and(|(other, _)| other.is_within(name))
    }

    /// The set with its signatures.
    pub(super) fn fetch(&self, stored: &StoredSet) -> RrSet {
        let signatures = stored.signatures.get_or_init(|| self.signatures(stored)).clone();
        RrSet { signatures, ..stored.set.clone() }
    }

    /// Whether the set is one that is signed (RFC 4035 §2.2).
    fn is_signed(&self, set: &RrSet) -> bool {
        let at_cut = || matches!(set.rtype, Rtype::DS | Rtype::NSEC);
        self.plan.signed && self.cut(&set.owner).is_none_or(|cut| cut == set.owner && at_cut())
    }

    /// What is wrong with the signatures over a set.
    pub(super) fn flaw(&self, about: &Name, rtype: Rtype) -> Option<Flaw> {
        self.plan.flaws.iter().find(|(name, kind, _)| name == about && *kind == rtype).map(|(.., flaw)| *flaw)
    }

    fn signatures(&self, stored: &StoredSet) -> Vec<Rrsig> {
        if !self.is_signed(&stored.set) {
            return Vec::new();
        }
        let extra: usize = self
            .plan
            .extra_signatures
            .iter()
            .filter(|(name, rtype, _)| *name == stored.about && *rtype == stored.set.rtype)
            .map(|(.., count)| count)
            .sum();
        let mut signatures = Vec::new();
        for key in self.signers(stored.set.rtype) {
            for salt in 0..(self.plan.garbage_signatures + extra) as u64 {
                let like = self.unsigned(key, &stored.set, self.plan.window);
                signatures.push(Rrsig { signature: key.garbage(salt).into(), ..like });
            }
        }
        let flaw = self.flaw(&stored.about, stored.set.rtype);
        if flaw == Some(Flaw::Missing) {
            return signatures;
        }
        for key in self.signers(stored.set.rtype) {
            let window = match flaw {
                Some(Flaw::Expired) => Window::PAST,
                Some(Flaw::NotYetValid) => Window::FUTURE,
                _ => self.plan.window,
            };
            let mut signature = self.unsigned(key, &stored.set, window);
            match flaw {
                Some(Flaw::WrongSigner) => {
                    signature.signer = self.apex().prepend(b"other").unwrap_or_else(Name::root);
                }
                Some(Flaw::UnknownKey) => signature.key_tag ^= 0x5555,
                _ => {}
            }
            let mut signature = signed_by(key, signature, &stored.set);
            if flaw == Some(Flaw::Corrupt) {
                let middle = signature.signature.len() / 2;
                signature.signature[middle] ^= 0x10;
            }
            signatures.push(signature);
        }
        signatures
    }

    /// Signatures over any set at all, as whoever has the keys of the zone can make them.
    pub(super) fn sign(&self, set: &RrSet) -> Vec<Rrsig> {
        self.signers(set.rtype).map(|key| signed_by(key, self.unsigned(key, set, self.plan.window), set)).collect()
    }

    /// The keys that sign records of this type.
    fn signers(&self, rtype: Rtype) -> impl Iterator<Item = &ZoneKey> {
        let not = if rtype == Rtype::DNSKEY { Role::ZoneSigning } else { Role::KeySigning };
        self.keys.iter().filter(move |key| key.role != not)
    }

    fn unsigned(&self, key: &ZoneKey, set: &RrSet, window: Window) -> Rrsig {
        Rrsig {
            type_covered: set.rtype,
            algorithm: key.algorithm,
            // RFC 4034 §3.1.3: neither the root nor the asterisk counts.
            labels: (set.owner.label_count() - usize::from(set.owner.is_wildcard())) as u8,
            original_ttl: set.ttl,
            expiration: window.expiration,
            inception: window.inception,
            key_tag: key.tag(),
            signer: self.apex().clone(),
            signature: Box::default(),
        }
    }

    /// Every set of the zone, the one with the SOA record first.
    pub(super) fn sets(&self) -> Vec<RrSet> {
        let all = self.nodes.values().flat_map(BTreeMap::values).chain(self.hashed.values());
        let mut sets: Vec<_> = all.map(|stored| self.fetch(stored)).collect();
        sets.sort_by_key(|set| set.rtype != Rtype::SOA);
        sets
    }
}

/// RFC 4034 §3.1.8.1.
pub(super) fn signed_by(key: &ZoneKey, signature: Rrsig, set: &RrSet) -> Rrsig {
    let mut data = signature.signed_prefix();
    for record in &set.data {
        data.extend_from_slice(set.owner.as_wire());
        data.extend(set.rtype.0.to_be_bytes());
        data.extend([0, 1]);
        data.extend(signature.original_ttl.to_be_bytes());
        data.extend((record.len() as u16).to_be_bytes());
        data.extend_from_slice(record);
    }
    Rrsig { signature: key.sign(&data).into(), ..signature }
}

/// RFC 5155 §5.
pub(super) fn hash(name: &Name, iterations: u16, salt: &[u8]) -> Hash {
    let mut input = name.as_wire().to_vec();
    let mut hash = [0; 20];
    for _ in 0..=iterations {
        input.extend_from_slice(salt);
        hash.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &input).as_ref());
        input.clear();
        input.extend(hash);
    }
    hash
}

/// RFC 5155 §3.2.
pub(super) fn nsec3_data(
    opt_out: bool,
    iterations: u16,
    salt: &[u8],
    next: &Hash,
    types: impl IntoIterator<Item = Rtype>,
) -> Vec<u8> {
    let [high, low] = iterations.to_be_bytes();
    let fixed = [HASH_SHA1, u8::from(opt_out), high, low, salt.len() as u8];
    [&fixed, salt, &[next.len() as u8], next, &text::bitmap(types)].concat()
}
