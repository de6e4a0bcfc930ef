//! The smallest resolver that the validator can be driven by: it asks a function instead of servers, keeps what it finds
//! about zones, and follows aliases step by step.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use mailstead_dns::{Message, Name, Question, Rcode, Record, RecordType, Rtype};
use mailstead_dnssec::{
    Anchor, Anchors, Bogus, Budget, Closest, Content, Crypto, Delegation, Dnskey, Insecure, Place, Proof, Scope, Step,
    Stop, Trust, Vouchers, Work, ZoneKeys, Zones, delegation, validate, zone_keys,
};
use mailstead_testkit::{START, SignedWorld};

/// Longest chain of aliases that is followed.
pub(crate) const MOST_ALIASES: usize = 12;

/// Why a look-up ends without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    Bogus(Bogus),
    TooMuchWork,
    Unanswered,
    AliasLoop,
    /// The server itself has failed.
    Rcode(Rcode),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        match stop {
            Stop::Bogus(bogus) => Failure::Bogus(bogus),
            Stop::TooMuchWork => Failure::TooMuchWork,
            Stop::Need(_) | Stop::Unanswered => Failure::Unanswered,
        }
    }
}

/// What is known about a zone beginning at a name.
#[derive(Debug, Clone)]
enum Cut {
    Zone(Arc<ZoneKeys>),
    Unsigned(Insecure),
    SameZone,
    NoName,
    Failed(Failure),
}

/// What came of a look-up.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The names passed, with what was found there.
    pub(crate) steps: Vec<(Name, Step)>,
    /// Why there is no further step, if the last one is not the end.
    pub(crate) failure: Option<Failure>,
    /// What was spent, keys of zones included.
    pub(crate) budget: Budget,
}

impl Walk {
    /// The last step, where it is the end of everything.
    pub(crate) fn end(&self) -> Option<&Step> {
        let last = self.steps.last().filter(|_| self.failure.is_none());
        last.map(|(_, step)| step)
    }

    /// Whether a resolver would call the answer secure.
    pub(crate) fn is_secure(&self) -> bool {
        self.end().is_some() && self.steps.iter().all(|(_, step)| matches!(step.proof, Proof::Secure { .. }))
    }
}

/// Where responses come from.
pub(crate) type Respond<'a> = dyn Fn(&Question) -> Message + 'a;

/// A resolver that keeps what it finds about zones.
pub(crate) struct Walker<'a> {
    respond: Box<Respond<'a>>,
    crypto: &'a dyn Crypto,
    pub(crate) now: u64,
    pub(crate) anchors: Anchors,
    cuts: RefCell<HashMap<Name, Cut>>,
    /// How many questions have been asked.
    pub(crate) asked: Cell<usize>,
}

impl<'a> Walker<'a> {
    /// Begins at the world's root, at the time that it is signed for.
    pub(crate) fn new(
        world: &SignedWorld,
        crypto: &'a dyn Crypto,
        respond: impl Fn(&Question) -> Message + 'a,
    ) -> Walker<'a> {
        let (zone, data) = world.anchor();
        let mut anchor = Anchor::new(zone);
        for data in data {
            let Some(Record::Ds(ds)) = Record::from_data(RecordType::Ds, &data) else { panic!("no DS record") };
            anchor.ds.push(ds);
        }
        let mut anchors = Anchors::default();
        anchors.set(anchor);
        Walker {
            respond: Box::new(respond),
            crypto,
            now: START as u64,
            anchors,
            cuts: RefCell::default(),
            asked: Cell::new(0),
        }
    }

    /// Takes the entry keys of a zone as trust anchors of their own.
    pub(crate) fn trust_keys(&mut self, world: &SignedWorld, zone: &Name) {
        let keys = world.entry_keys(zone);
        let keys = keys.iter().filter_map(|data| Dnskey::from_data(data)).collect();
        self.anchors.set(Anchor { keys, ..Anchor::new(zone.clone()) });
        self.cuts.borrow_mut().clear();
    }

    /// Drops what is known about zones from this name down.
    pub(crate) fn forget(&self, name: &Name) {
        self.cuts.borrow_mut().retain(|other, _| !other.is_within(name));
    }

    /// Nothing yet.
    pub(crate) fn known(&self) -> Known<'_> {
        Known { trust: HashMap::new(), anchors: &self.anchors, now: self.now }
    }

    /// Looks up, with one budget for everything that is not known yet.
    pub(crate) fn resolve(&self, question: &Question) -> Walk {
        let mut walk = Walk { steps: Vec::new(), failure: None, budget: Budget::default() };
        let mut known = self.known();
        let mut response = None;
        let mut current = question.clone();
        loop {
            let step = match self.next(&current, &mut response, &mut known, &mut walk.budget) {
                Ok(step) => step,
                Err(failure) => {
                    walk.failure = Some(failure);
                    return walk;
                }
            };
            let target = match &step.content {
                Content::Alias { to, .. } => Some(to.clone()),
                Content::Records(_) | Content::Absent(_) => None,
            };
            walk.steps.push((current.name.clone(), step));
            let Some(target) = target else { return walk };
            if walk.steps.len() > MOST_ALIASES || walk.steps.iter().any(|(name, _)| *name == target) {
                walk.failure = Some(Failure::AliasLoop);
                return walk;
            }
            current.name = target;
        }
    }

    /// The next step out of the response at hand, or out of another.
    fn next(
        &self,
        question: &Question,
        response: &mut Option<Message>,
        known: &mut Known<'_>,
        budget: &mut Budget,
    ) -> Result<Step, Failure> {
        if let Some(message) = response.as_ref() {
            match self.read(question, Place::Later, message, known, budget) {
                Err(Failure::Unanswered | Failure::Bogus(_)) => {}
                other => return other,
            }
        }
        let message = self.ask(question)?;
        let step = self.read(question, Place::First, &message, known, budget);
        *response = Some(message);
        step
    }

    /// One step of a response.
    pub(crate) fn read(
        &self,
        question: &Question,
        place: Place,
        response: &Message,
        known: &mut Known<'_>,
        budget: &mut Budget,
    ) -> Result<Step, Failure> {
        // Two zones for a set, two for a proof, and the one that the name is in.
        for _ in 0..6 {
            let mut work = Work { crypto: self.crypto, now: self.now, budget };
            match validate(&question.name, question.rtype, place, response, known, &mut work) {
                Err(Stop::Need(scope)) => {
                    let trust = self.trust(&scope, budget)?;
                    let before = known.trust.insert(scope, trust);
                    assert!(before.is_none(), "asked twice for {before:?}");
                }
                other => return Ok(other?),
            }
        }
        panic!("{question:?} needs one zone after the other");
    }

    fn ask(&self, question: &Question) -> Result<Message, Failure> {
        self.asked.set(self.asked.get() + 1);
        let message = (self.respond)(question);
        match message.rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN => Ok(message),
            other => Err(Failure::Rcode(other)),
        }
    }

    /// The trust in a zone, from the closest anchor down, label by label.
    pub(crate) fn trust(&self, scope: &Scope, budget: &mut Budget) -> Result<Result<Trust, Bogus>, Failure> {
        let (Scope::Apex(target) | Scope::Enclosing(target)) = scope;
        let anchor = match self.anchors.closest(target, self.now) {
            Closest::Anchor(anchor) => anchor,
            Closest::Negative(zone) => return Ok(Ok(Trust::Insecure(Insecure::NegativeAnchor { zone: zone.clone() }))),
            Closest::Withdrawn(zone) => return Ok(Err(Bogus::AnchorsWithdrawn { zone: zone.clone() })),
            Closest::None => return Ok(Ok(Trust::Insecure(Insecure::NoAnchor))),
        };
        let anchored = |budget: &mut Budget| self.keys(&anchor.zone, anchor.vouchers(), budget);
        let Cut::Zone(mut keys) = self.cut(&anchor.zone, budget, anchored)? else {
            return Ok(Err(Bogus::NoTrustedKey { zone: anchor.zone.clone() }));
        };
        for count in anchor.zone.label_count() + 1..=target.label_count() {
            let name = target.ancestor(count);
            match self.cut(&name, budget, |budget| self.below(&name, &keys, budget))? {
                Cut::Zone(below) => keys = below,
                Cut::Unsigned(insecure) => return Ok(Ok(Trust::Insecure(insecure))),
                Cut::SameZone => {}
                Cut::NoName => break,
                Cut::Failed(Failure::Bogus(bogus)) => return Ok(Err(bogus)),
                Cut::Failed(failure) => return Err(failure),
            }
        }
        if matches!(scope, Scope::Apex(zone) if *zone != keys.zone) {
            return Ok(Err(Bogus::NoSuchZone { zone: target.clone() }));
        }
        Ok(Ok(Trust::Secure(keys)))
    }

    /// What is kept about a name, or found out now. That the work of one look-up was too much is not kept.
    fn cut(
        &self,
        name: &Name,
        budget: &mut Budget,
        find_out: impl FnOnce(&mut Budget) -> Result<Cut, Failure>,
    ) -> Result<Cut, Failure> {
        if let Some(cut) = self.cuts.borrow().get(name) {
            return Ok(cut.clone());
        }
        let cut = match find_out(budget) {
            Ok(cut) => cut,
            Err(Failure::TooMuchWork) => return Err(Failure::TooMuchWork),
            Err(failure) => Cut::Failed(failure),
        };
        self.cuts.borrow_mut().insert(name.clone(), cut.clone());
        Ok(cut)
    }

    fn below(&self, name: &Name, parent: &ZoneKeys, budget: &mut Budget) -> Result<Cut, Failure> {
        let response = self.ask(&Question { name: name.clone(), rtype: Rtype::DS })?;
        let mut work = Work { crypto: self.crypto, now: self.now, budget };
        let (delegation, _) = delegation(name, parent, &response, &mut work)?;
        match delegation {
            Delegation::Signed(ds) => self.keys(name, Vouchers::Ds(&ds), budget),
            Delegation::Unsigned(insecure) => Ok(Cut::Unsigned(insecure)),
            Delegation::SameZone => Ok(Cut::SameZone),
            Delegation::NoName => Ok(Cut::NoName),
        }
    }

    fn keys(&self, zone: &Name, vouchers: Vouchers<'_>, budget: &mut Budget) -> Result<Cut, Failure> {
        let response = self.ask(&Question { name: zone.clone(), rtype: Rtype::DNSKEY })?;
        let mut work = Work { crypto: self.crypto, now: self.now, budget };
        Ok(Cut::Zone(Arc::new(zone_keys(zone, vouchers, &response, &mut work)?)))
    }
}

/// The trust in zones that a look-up has needed.
pub(crate) struct Known<'w> {
    trust: HashMap<Scope, Result<Trust, Bogus>>,
    anchors: &'w Anchors,
    now: u64,
}

impl Zones for Known<'_> {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        self.trust.get(scope).cloned()
    }

    fn anchor(&self, name: &Name) -> Option<Name> {
        match self.anchors.closest(name, self.now) {
            Closest::Anchor(anchor) => Some(anchor.zone.clone()),
            Closest::Negative(_) | Closest::Withdrawn(_) | Closest::None => None,
        }
    }
}

/// The response of the servers of the zone that a name is in, as whoever resolves from the root gets it: an alias out of
/// the zone is where it ends.
pub(crate) fn by_servers(world: &SignedWorld, question: &Question) -> Message {
    let holds = |apex: &&Name| {
        // DS records are the parent's (RFC 4035 §3.1.4.1).
        let is_parent = question.rtype == Rtype::DS && !question.name.is_root();
        if is_parent { question.name.is_below(apex) } else { question.name.is_within(apex) }
    };
    let apex = world.apexes().filter(holds).max_by_key(|apex| apex.label_count());
    world.authority(apex.expect("the root has every name"), question, true)
}
