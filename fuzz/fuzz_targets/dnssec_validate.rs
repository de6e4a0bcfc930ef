//! Genuine responses of a signed world, taken apart, put together in other ways and spoiled as the input says: what is
//! called secure is true, and what can be proved is never taken for unsigned. No signature but the genuine ones is valid.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use mailstead_dns::{Existence, Message, Name, Question, Rcode, Record, RecordType, RrSet, Rtype};
use mailstead_dnssec::{
    Anchor, AwsLcRs, Bogus, Budget, Content, Crypto, Delegation, Insecure, Place, Proof, Scope, Step, Stop, Trust,
    Verdict, Vouchers, Work, ZoneKeys, Zones, delegation, key_set, validate, zone_keys,
};
use mailstead_testkit::{End, START, Security, SignedWorld, ZonePlan};

const NOW: u64 = START as u64;

const RECORDS: &str = r#"
@ MX 10 mx
* A 192.0.2.1
mx A 192.0.2.2
a.b.c A 192.0.2.3
*.c TXT "below a name that is there"
*.b.c CNAME mx
red DNAME mx
alias CNAME mx
"#;

fn world() -> SignedWorld {
    let zone = |apex: &str| ZonePlan::signed(apex).algorithms(&[15]).records(RECORDS);
    let mut builder = SignedWorld::builder()
        .zone(zone("names"))
        .zone(zone("hashes").nsec3(1, b"x"))
        .zone(zone("optout").nsec3_opt_out(0, b""));
    for above in ["names", "hashes", "optout"] {
        builder = builder
            .zone(zone(&format!("sub.{above}")))
            .zone(zone(&format!("hashed.c.{above}")).nsec3(0, b""))
            .zone(ZonePlan::unsigned(&format!("plain.{above}")).records(RECORDS))
            .zone(ZonePlan::unsigned(&format!("ent.ent.{above}")).records(RECORDS));
    }
    builder.build()
}

/// Knows which signatures are genuine: those that it has been shown while it learns.
#[derive(Debug, Default)]
struct Genuine {
    known: Mutex<HashSet<u64>>,
    hasher: RandomState,
    has_learned: std::sync::atomic::AtomicBool,
}

impl Crypto for Genuine {
    fn verify(&self, algorithm: u8, public_key: &[u8], message: &[u8], signature: &[u8]) -> Verdict {
        let entry = self.hasher.hash_one((algorithm, public_key, message, signature));
        if self.has_learned.load(std::sync::atomic::Ordering::Relaxed) {
            return if self.known.lock().unwrap().contains(&entry) { Verdict::Valid } else { Verdict::Invalid };
        }
        let verdict = AwsLcRs.verify(algorithm, public_key, message, signature);
        if verdict == Verdict::Valid {
            self.known.lock().unwrap().insert(entry);
        }
        verdict
    }

    fn digest(&self, digest_type: u8, data: &[u8]) -> Option<Vec<u8>> {
        AwsLcRs.digest(digest_type, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        AwsLcRs.sha1(data)
    }
}

/// What is known about a zone beginning at a name.
#[derive(Clone)]
enum Cut {
    Zone(Arc<ZoneKeys>),
    Unsigned(Insecure),
    SameZone,
    NoName,
}

/// What there is at one name.
struct Truth {
    security: Security,
    content: Option<Content>,
}

struct Stage {
    world: SignedWorld,
    crypto: Genuine,
    root: Arc<ZoneKeys>,
    responses: Vec<Message>,
    truths: Vec<Truth>,
    cuts: Mutex<HashMap<Name, Cut>>,
}

static STAGE: LazyLock<Stage> = LazyLock::new(Stage::new);

impl Stage {
    fn new() -> Stage {
        let world = world();
        let crypto = Genuine::default();
        let (root, ds) = world.anchor();
        let ds = ds.iter().filter_map(|data| match Record::from_data(RecordType::Ds, data) {
            Some(Record::Ds(ds)) => Some(ds),
            _ => None,
        });
        let anchor = Anchor { ds: ds.collect(), ..Anchor::new(root.clone()) };
        let response = world.respond(&Question { name: root.clone(), rtype: Rtype::DNSKEY }, true);
        let root = zone_keys(&root, anchor.vouchers(), &response, &mut work(&crypto, &mut Budget::default())).unwrap();
        let responses: Vec<_> = world.questions().iter().map(|question| world.respond(question, true)).collect();
        let truths = responses.iter().map(|response| truth(&world, &response.question)).collect();
        let root = Arc::new(root);
        let stage = Stage { world, crypto, root, responses, truths, cuts: Mutex::default() };
        for (response, truth) in stage.responses.iter().zip(&stage.truths) {
            let Question { name, rtype } = &response.question;
            let mut budget = Budget::default();
            let step = validate(name, *rtype, Place::First, response, &stage, &mut work(&stage.crypto, &mut budget));
            match step {
                Ok(step) => assert!(truth.security != Security::Secure || matches!(step.proof, Proof::Secure { .. })),
                Err(stop) => assert_eq!(truth.security, Security::Bogus, "{name} {rtype}: {stop:?}"),
            }
        }
        stage.crypto.has_learned.store(true, std::sync::atomic::Ordering::Relaxed);
        stage
    }

    /// What untouched responses prove about a name.
    fn cut(&self, name: &Name, parent: &ZoneKeys) -> Result<Cut, Stop> {
        if let Some(cut) = self.cuts.lock().unwrap().get(name) {
            return Ok(cut.clone());
        }
        let ask = |rtype| self.world.respond(&Question { name: name.clone(), rtype }, true);
        let mut budget = Budget::default();
        let mut work = work(&self.crypto, &mut budget);
        let cut = match delegation(name, parent, &ask(Rtype::DS), &mut work)?.0 {
            Delegation::Signed(ds) => {
                Cut::Zone(Arc::new(zone_keys(name, Vouchers::Ds(&ds), &ask(Rtype::DNSKEY), &mut work)?))
            }
            Delegation::Unsigned(insecure) => Cut::Unsigned(insecure),
            Delegation::SameZone => Cut::SameZone,
            Delegation::NoName => Cut::NoName,
        };
        self.cuts.lock().unwrap().insert(name.clone(), cut.clone());
        Ok(cut)
    }
}

impl Zones for Stage {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        let (Scope::Apex(target) | Scope::Enclosing(target)) = scope;
        let mut keys = Arc::clone(&self.root);
        for count in 1..=target.label_count() {
            match self.cut(&target.ancestor(count), &keys) {
                Ok(Cut::Zone(below)) => keys = below,
                Ok(Cut::Unsigned(insecure)) => return Some(Ok(Trust::Insecure(insecure))),
                Ok(Cut::SameZone) => {}
                Ok(Cut::NoName) => break,
                Err(Stop::Bogus(bogus)) => return Some(Err(bogus)),
                // Of names that nobody asks about, the genuine signatures are not known.
                Err(_) => return Some(Err(Bogus::NoSuchZone { zone: target.clone() })),
            }
        }
        Some(match scope {
            Scope::Apex(apex) if keys.zone != *apex => Err(Bogus::NoSuchZone { zone: apex.clone() }),
            _ => Ok(Trust::Secure(keys)),
        })
    }
}

fn work<'a>(crypto: &'a Genuine, budget: &'a mut Budget) -> Work<'a> {
    Work { crypto, now: NOW, budget }
}

fn truth(world: &SignedWorld, question: &Question) -> Truth {
    let truth = world.truth(question, NOW as u32);
    if let Some(alias) = truth.chain.first() {
        let content = Content::Alias { to: alias.to.clone(), kind: alias.kind };
        return Truth { security: alias.security, content: Some(content) };
    }
    let content = match truth.end {
        End::Records(set) => Some(Content::Records(RrSet { ttl: 0, ..set })),
        End::NoData => Some(Content::Absent(Existence::NoData)),
        End::NxDomain => Some(Content::Absent(Existence::NxDomain)),
        End::TooLong | End::AliasLoop | End::Unreachable => None,
    };
    let security = if content.is_some() { truth.end_security } else { Security::Bogus };
    Truth { security, content }
}

/// The input, octet by octet.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn octet(&mut self) -> Option<u8> {
        let (&octet, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(octet)
    }

    fn below(&mut self, bound: usize) -> Option<usize> {
        let wide = if bound > 256 { self.octet()? } else { 0 };
        let number = usize::from(wide) << 8 | usize::from(self.octet()?);
        (bound > 0).then(|| number % bound)
    }

    /// A response near this one, or any.
    fn response<'s>(&mut self, stage: &'s Stage, place: usize) -> Option<&'s Message> {
        let offset = self.octet()? as i8;
        match offset {
            i8::MIN => stage.responses.get(self.below(stage.responses.len())?),
            _ => stage.responses.get(place.checked_add_signed(offset.into())?),
        }
    }

    fn set<'m>(&mut self, message: &'m mut Message) -> Option<&'m mut RrSet> {
        let count = message.answer.len() + message.authority.len();
        let place = self.below(count)?;
        message.answer.iter_mut().chain(&mut message.authority).nth(place)
    }
}

/// Does one thing to a message; nothing when the script ends.
fn spoil(script: &mut Script<'_>, stage: &Stage, place: usize, message: &mut Message) -> Option<()> {
    let name = message.question.name.clone();
    match script.octet()? % 14 {
        0 => message.answer.extend(script.response(stage, place)?.answer.iter().cloned()),
        1 => message.authority.extend(script.response(stage, place)?.authority.iter().cloned()),
        2 => {
            let other = script.response(stage, place)?;
            message.answer.extend(other.answer.get(script.below(other.answer.len())?).cloned());
        }
        3 => {
            let other = script.response(stage, place)?;
            message.authority.extend(other.authority.get(script.below(other.authority.len())?).cloned());
        }
        4 => drop(message.answer.remove(script.below(message.answer.len())?)),
        5 => drop(message.authority.remove(script.below(message.authority.len())?)),
        6 => message.rcode = if script.octet()? % 2 == 0 { Rcode::NOERROR } else { Rcode::NXDOMAIN },
        7 => script.set(message)?.owner = name,
        8 => script.set(message)?.owner = name.ancestor(script.below(name.label_count() + 1)?),
        9 => {
            let set = script.set(message)?;
            let record = script.below(set.data.len())?;
            let data = set.data.get_mut(record)?;
            let octet = script.below(data.len())?;
            *data.get_mut(octet)? ^= 1 << (script.octet()? % 8);
        }
        10 => {
            let set = script.set(message)?;
            let which = script.below(set.signatures.len())?;
            let signature = set.signatures.get_mut(which)?;
            match script.octet()? % 8 {
                0 => signature.labels = script.octet()? % 8,
                1 => signature.original_ttl ^= 1 << (script.octet()? % 32),
                2 => signature.expiration ^= 1 << (script.octet()? % 32),
                3 => signature.inception ^= 1 << (script.octet()? % 32),
                4 => signature.key_tag ^= 1 << (script.octet()? % 16),
                5 => signature.algorithm = script.octet()?,
                6 => signature.signer = name.ancestor(script.below(name.label_count() + 1)?),
                _ => signature.type_covered = Rtype(script.octet()?.into()),
            }
        }
        11 => script.set(message)?.signatures.clear(),
        12 => std::mem::swap(&mut message.answer, &mut message.authority),
        _ => {
            let set = script.set(message)?;
            match script.octet()? % 3 {
                0 => set.ttl = script.octet()?.into(),
                1 => set.rtype = Rtype(script.octet()?.into()),
                _ => drop(set.data.pop()),
            }
        }
    }
    Some(())
}

fn check_step(truth: &Truth, step: &Step) {
    match &step.proof {
        Proof::Secure { .. } => {
            let content = match &step.content {
                Content::Records(set) => Content::Records(RrSet { ttl: 0, signatures: Vec::new(), ..set.clone() }),
                other => other.clone(),
            };
            assert!(truth.security == Security::Secure && truth.content.as_ref() == Some(&content), "{step:#?}");
        }
        Proof::Insecure(_) => assert_eq!(truth.security, Security::Insecure, "{step:#?}"),
    }
}

fn check_delegation(stage: &Stage, truth: &Truth, name: &Name, delegation: &Delegation) {
    let is_apex = stage.world.apexes().any(|apex| apex == name);
    let is_true = match (delegation, &truth.content) {
        (Delegation::Signed(ds), Some(Content::Records(set))) => ds.len() == set.data.len() && is_apex,
        (Delegation::Unsigned(Insecure::OptOut { .. }), _) => truth.security == Security::Insecure,
        (Delegation::Unsigned(_), content) => is_apex && matches!(content, Some(Content::Absent(_))),
        (Delegation::SameZone, _) => !is_apex,
        (Delegation::NoName, content) => *content == Some(Content::Absent(Existence::NxDomain)),
        _ => false,
    };
    assert!(is_true, "{name}: {delegation:?}");
}

fn check_keys(stage: &Stage, name: &Name, message: &Message) {
    let question = Question { name: name.clone(), rtype: Rtype::DNSKEY };
    let own = stage.world.respond(&question, true);
    let own = Message::find(&own.answer, name, Rtype::DNSKEY).map(|set| set.data.clone()).unwrap_or_default();
    let entries = stage.world.entry_keys(name);
    let anchors: Vec<_> = entries.iter().filter_map(|data| mailstead_dnssec::Dnskey::from_data(data)).collect();
    let mut budget = Budget::default();
    let mut work = work(&stage.crypto, &mut budget);
    if let Ok(keys) = zone_keys(name, Vouchers::Anchor(&[], &anchors), message, &mut work) {
        assert_eq!(keys.tags().count(), own.len());
    }
    if let Ok(Some(found)) = key_set(name, message, &mut work) {
        assert!(found.keys.iter().all(|key| own.contains(&key.to_data().into())));
    }
}

fuzz_target!(
    init: LazyLock::force(&STAGE),
    |data: &[u8]| {
        let stage = &*STAGE;
        let mut script = Script(data);
        let Some(place) = script.below(stage.responses.len()) else { return };
        let (mut message, truth) = (stage.responses[place].clone(), &stage.truths[place]);
        let order = if script.octet().is_some_and(|octet| octet % 4 == 0) { Place::Later } else { Place::First };
        while spoil(&mut script, stage, place, &mut message).is_some() {}

        let Question { name, rtype } = &message.question;
        let mut budget = Budget::default();
        let step = validate(name, *rtype, order, &message, stage, &mut work(&stage.crypto, &mut budget));
        if let Ok(step) = step {
            check_step(truth, &step);
        }
        match *rtype {
            Rtype::DS if !name.is_root() => {
                let within = Scope::Enclosing(name.parent().unwrap_or_else(Name::root));
                if let Some(Ok(Trust::Secure(parent))) = stage.trust(&within) {
                    let mut budget = Budget::default();
                    let found = delegation(name, &parent, &message, &mut work(&stage.crypto, &mut budget));
                    if let Ok((found, _)) = found {
                        check_delegation(stage, truth, name, &found);
                    }
                }
            }
            Rtype::DNSKEY => check_keys(stage, name, &message),
            _ => {}
        }
    }
);
