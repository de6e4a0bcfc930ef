//! A small world of zones, signed and not, in memory: what resolvers and validators are tried on.
//!
//! [`ZonePlan`] says what a zone is like, flaws included; [`SignedWorld`] answers as a resolver or as the servers of
//! its zones do (RFC 4035 §3, RFC 5155 §7, RFC 6672), and knows the [`Truth`]: what there is and how far a validator
//! without limits can prove it. [`Tamper`] spoils single messages in every way that an attacker on the path can think
//! of, [`Adversary`] does so according to a plan. What must hold then: whatever a validator calls secure is true.
//!
//! ```
//! use mailstead_dns::{Name, Question, Rtype};
//! use mailstead_testkit::{SignedWorld, START, Security, ZonePlan};
//!
//! let world = SignedWorld::builder()
//!     .zone(ZonePlan::signed("example").nsec3(0, b"").records("@ MX 10 mx\nmx A 192.0.2.25"))
//!     .zone(ZonePlan::unsigned("plain.example").records("www A 192.0.2.80"))
//!     .build();
//! let question = Question { name: Name::parse("example").unwrap(), rtype: Rtype::MX };
//! let response = world.respond(&question, true);
//! assert_eq!(response.answer[0].signatures.len(), 1);
//! assert_eq!(world.truth(&question, START as u32).security(), Security::Secure);
//! ```
//!
//! Keys follow from the names of zones, so that signatures by Ed25519 are the same in every run, and tags of keys by
//! ECDSA too. Only RSA keys differ from process to process.

mod adversary;
mod example;
mod key;
mod plan;
mod step;
mod tamper;
mod text;
mod truth;
mod zone;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use mailstead_dns::{Edns, Flags, Message, Name, Question, Rcode, RrSet, Rtype, UDP_SIZE};

pub use adversary::Adversary;
pub use plan::{Denial, Flaw, KeyLayout, Vouching, Window, ZonePlan};
pub use step::End;
pub use tamper::Tamper;
pub use truth::{AliasTruth, Security, Truth};

use key::Role;
use step::{Next, Step};
use zone::Zone;

/// More aliases than this are not followed.
const MOST_ALIASES: usize = 16;

/// Zones to be. Clones are the beginnings of other versions of the same world.
#[derive(Debug, Clone, Default)]
pub struct SignedWorldBuilder {
    plans: Vec<ZonePlan>,
    seed: u64,
}

impl SignedWorldBuilder {
    /// Adds a zone, in place of any with the same apex.
    #[must_use]
    pub fn zone(mut self, plan: ZonePlan) -> SignedWorldBuilder {
        self.plans.retain(|other| other.apex != plan.apex);
        self.plans.push(plan);
        self
    }

    /// Uses other keys than those of seed 0. RSA keys are others only where one seed is odd and the other even.
    #[must_use]
    pub fn keys(mut self, seed: u64) -> SignedWorldBuilder {
        self.seed = seed;
        self
    }

    /// Signs all zones for this time. Together with other records, and with [`Window::PAST`], this makes the older
    /// version of a world: what it says was true once and is no longer valid.
    #[must_use]
    pub fn window(mut self, window: Window) -> SignedWorldBuilder {
        self.plans.iter_mut().for_each(|plan| plan.window = window);
        self
    }

    /// Changes every plan.
    fn map(self, change: impl Fn(ZonePlan) -> ZonePlan) -> SignedWorldBuilder {
        SignedWorldBuilder { plans: self.plans.into_iter().map(change).collect(), ..self }
    }

    /// The world. A signed root is made where none is given; each zone is delegated from the closest one above it.
    ///
    /// # Panics
    /// When the zones make no sense: records outside their zone, aliases beside other records, names below a DNAME.
    #[must_use]
    pub fn build(self) -> SignedWorld {
        let plans = match self.plans.iter().any(|plan| plan.apex.is_root()) {
            true => self.clone(),
            false => self.clone().zone(ZonePlan::signed(".")),
        };
        assert!(plans.plans.len() < 255, "there are addresses for 254 zones");
        let servers = (1..=254).map(|host| Ipv4Addr::new(198, 51, 100, host));
        let mut zones: BTreeMap<Name, Zone> = BTreeMap::new();
        for (plan, server) in plans.plans.into_iter().zip(servers) {
            zones.insert(plan.apex.clone(), Zone::new(plan, self.seed, server));
        }
        // From below, so that a zone knows its own servers' addresses before it is delegated to.
        for apex in zones.keys().rev().cloned().collect::<Vec<_>>() {
            let Some(child) = zones.remove(&apex) else { continue };
            if let Some(parent) = parent(&zones, &apex).cloned()
                && let Some(parent) = zones.get_mut(&parent)
            {
                parent.delegate(&child);
            }
            zones.insert(apex, child);
        }
        zones.values_mut().for_each(Zone::finish);
        SignedWorld { zones: Arc::new(zones), builder: Arc::new(self) }
    }
}

/// The zone that a zone is delegated from.
fn parent<'a>(zones: &'a BTreeMap<Name, Zone>, apex: &Name) -> Option<&'a Name> {
    let depths = (0..apex.label_count()).rev();
    depths.map(|depth| apex.ancestor(depth)).find_map(|name| zones.get_key_value(&name)).map(|(name, _)| name)
}

/// Zones that answer. Clones are the same world.
#[derive(Debug, Clone)]
pub struct SignedWorld {
    zones: Arc<BTreeMap<Name, Zone>>,
    builder: Arc<SignedWorldBuilder>,
}

impl SignedWorld {
    /// No zones yet.
    #[must_use]
    pub fn builder() -> SignedWorldBuilder {
        SignedWorldBuilder::default()
    }

    /// What this world was made of.
    pub fn to_builder(&self) -> SignedWorldBuilder {
        (*self.builder).clone()
    }

    /// The trust anchor of the root: its name and the data of its DS records, one for each algorithm and digest type.
    pub fn anchor(&self) -> (Name, Vec<Vec<u8>>) {
        let root = Name::root();
        let ds = self.zones.get(&root).map(Zone::ds).unwrap_or_default();
        (root, ds)
    }

    /// The same as lines of a zone file.
    pub fn anchor_text(&self) -> String {
        let (root, ds) = self.anchor();
        ds.iter().map(|data| text::line(&root, plan::DEFAULT_TTL, Rtype::DS, data) + "\n").collect()
    }

    /// The data of the DNSKEY records that a zone's parent vouches for, or should: those of the root make a trust
    /// anchor too.
    pub fn entry_keys(&self, apex: &Name) -> Vec<Vec<u8>> {
        let keys = self.zones.get(apex).into_iter().flat_map(|zone| &zone.keys);
        keys.filter(|key| key.role != Role::ZoneSigning).map(key::ZoneKey::dnskey).collect()
    }

    /// The same as lines of a zone file.
    pub fn entry_keys_text(&self, apex: &Name) -> String {
        let keys = self.entry_keys(apex);
        keys.iter().map(|data| text::line(apex, plan::DEFAULT_TTL, Rtype::DNSKEY, data) + "\n").collect()
    }

    /// The apexes of all zones in canonical order: the root is the first.
    pub fn apexes(&self) -> impl Iterator<Item = &Name> {
        self.zones.keys()
    }

    /// The address of the server `ns` of a zone.
    pub fn server(&self, apex: &Name) -> Option<Ipv4Addr> {
        self.zones.get(apex).map(|zone| zone.server)
    }

    /// The zone that the server at an address has.
    pub fn served_at(&self, address: Ipv4Addr) -> Option<&Name> {
        self.zones.iter().find(|(_, zone)| zone.server == address).map(|(apex, _)| apex)
    }

    /// The zone as a zone file, signatures included.
    pub fn zone_file(&self, apex: &Name) -> Option<String> {
        let mut file = String::new();
        for set in self.zones.get(apex)?.sets() {
            let records = set.data.iter().map(|data| text::line(&set.owner, set.ttl, set.rtype, data));
            let signatures = set
                .signatures
                .iter()
                .map(|signature| text::line(&set.owner, set.ttl, Rtype::RRSIG, &signature.to_data()));
            records.chain(signatures).for_each(|line| file.extend([line.as_str(), "\n"]));
        }
        Some(file)
    }

    /// One zone after the other, along aliases. The last step is the end.
    fn walk(&self, question: &Question) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut name = question.name.clone();
        loop {
            let mut step = self.step(&name, question.rtype);
            let alias = match &step.next {
                Next::Alias(target, _) => Some(target.clone()),
                Next::Referral(_) => {
                    step.next = Next::Done(End::Unreachable);
                    None
                }
                Next::Done(_) => None,
            };
            let too_many = alias.is_some() && steps.len() >= MOST_ALIASES;
            if too_many {
                step.next = Next::Done(End::AliasLoop);
            }
            steps.push(step);
            match alias {
                Some(target) if !too_many => name = target,
                _ => return steps,
            }
        }
    }

    /// The answer of the zone that the name is in.
    fn step(&self, name: &Name, rtype: Rtype) -> Step {
        let mut apex = Name::root();
        loop {
            let step = self.zones[&apex].step(name, rtype);
            match &step.next {
                Next::Referral(cut) if self.zones.contains_key(cut) => apex = cut.clone(),
                _ => return step,
            }
        }
    }

    /// What a resolver that does not validate answers (RFC 4035 §3.2.2: as for CD): the whole chain of aliases, with
    /// the proofs of every step; SERVFAIL where aliases go in circles or a zone is nowhere.
    pub fn respond(&self, question: &Question, dnssec_ok: bool) -> Message {
        let steps = self.walk(question);
        let end = steps.last().map_or(End::NxDomain, Step::end);
        let flags = Flags {
            response: true,
            recursion_desired: true,
            recursion_available: true,
            checking_disabled: true,
            ..Flags::default()
        };
        let mut message = empty(question, flags, end.rcode(), dnssec_ok);
        if message.rcode != Rcode::SERVFAIL {
            for step in steps {
                add(&mut message.answer, step.answer);
                add(&mut message.authority, step.authority);
            }
        }
        without_dnssec_unless_asked(message)
    }

    /// What a server that has only this zone answers: records, proofs, referrals with glue. It follows aliases within
    /// the zone; REFUSED for other names.
    pub fn authority(&self, apex: &Name, question: &Question, dnssec_ok: bool) -> Message {
        let flags = Flags { response: true, authoritative: true, ..Flags::default() };
        let mut message = empty(question, flags, Rcode::REFUSED, dnssec_ok);
        let zone = self.zones.get(apex).filter(|_| question.name.is_within(apex));
        let Some(zone) = zone else {
            message.flags.authoritative = false;
            return message;
        };
        message.rcode = Rcode::NOERROR;
        let mut name = question.name.clone();
        for _ in 0..=MOST_ALIASES {
            let step = zone.step(&name, question.rtype);
            add(&mut message.answer, step.answer);
            add(&mut message.authority, step.authority);
            add(&mut message.additional, step.additional);
            match step.next {
                Next::Alias(target, _) if target.is_within(apex) => name = target,
                Next::Alias(..) => break,
                Next::Referral(_) => {
                    message.flags.authoritative = !message.answer.is_empty();
                    break;
                }
                Next::Done(end) => {
                    message.rcode = end.rcode();
                    break;
                }
            }
        }
        without_dnssec_unless_asked(message)
    }

    /// Questions worth asking of this world: every name with the types it has and others; names that only others make
    /// exist, that do not exist, that wildcards make exist; the keys and DS records of every zone. Not for NSEC and
    /// NSEC3 records, about which servers and validators do not agree where they are not proofs.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut ask = |name: &Name, rtype| questions.push(Question { name: name.clone(), rtype });
        for (apex, zone) in &*self.zones {
            ask(apex, Rtype::DNSKEY);
            ask(apex, Rtype::DS);
            for (owner, sets) in &zone.nodes {
                let types = || sets.keys().copied().filter(|rtype| *rtype != Rtype::NSEC);
                let absent = [owner.prepend(b"absent"), owner.prepend(b"b.a").and_then(|name| name.prepend(b"c"))];
                let above = (apex.label_count()..owner.label_count()).map(|depth| owner.ancestor(depth));
                for name in absent.into_iter().flatten().chain(above).chain([owner.clone()]) {
                    [Rtype::A, Rtype::MX, Rtype::DS].into_iter().for_each(|rtype| ask(&name, rtype));
                    types().for_each(|rtype| ask(&name, rtype));
                }
                if let Some(sibling) = owner.parent().and_then(|parent| parent.prepend(b"sibling")) {
                    types().for_each(|rtype| ask(&sibling, rtype));
                }
            }
        }
        questions.sort_by(|a, b| (&a.name, a.rtype).cmp(&(&b.name, b.rtype)));
        questions.dedup();
        questions
    }
}

impl Step {
    fn end(&self) -> End {
        match &self.next {
            Next::Done(end) => end.clone(),
            Next::Alias(..) | Next::Referral(_) => End::Unreachable,
        }
    }
}

fn empty(question: &Question, flags: Flags, rcode: Rcode, dnssec_ok: bool) -> Message {
    Message {
        id: 0,
        flags,
        rcode,
        question: question.clone(),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        edns: Some(Edns { udp_size: UDP_SIZE, dnssec_ok, extended_errors: Vec::new() }),
    }
}

/// Adds sets that are not there yet.
fn add(section: &mut Vec<RrSet>, sets: Vec<RrSet>) {
    for set in sets {
        if !section.iter().any(|other| other.owner == set.owner && other.rtype == set.rtype) {
            section.push(set);
        }
    }
}

/// RFC 4035 §3.2.1: who does not say DO gets no records of DNSSEC but those asked for.
fn without_dnssec_unless_asked(mut message: Message) -> Message {
    if message.edns.as_ref().is_some_and(|edns| edns.dnssec_ok) {
        return message;
    }
    for section in [&mut message.answer, &mut message.authority, &mut message.additional] {
        section.iter_mut().for_each(|set| set.signatures.clear());
    }
    message.authority.retain(|set| !matches!(set.rtype, Rtype::DS | Rtype::NSEC | Rtype::NSEC3));
    message
}

#[cfg(test)]
mod tests;
