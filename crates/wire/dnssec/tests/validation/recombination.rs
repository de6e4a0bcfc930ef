//! Everything in a response is genuine, but it belongs to other questions: records and proofs of the same zone and of
//! those around it, in any combination. Nobody needs a key for that. What is called secure is true all the same.

use std::cell::Cell;

use mailstead_dns::{Existence, Message, Name, Question, Rcode, Record, RecordType, RrSet, Rtype};
use mailstead_dnssec::{
    Budget, Content, Crypto, Delegation, Insecure, Place, Proof, Scope, Trust, Verdict, Work, delegation,
};
use mailstead_testkit::{Security, SignedWorld, ZonePlan};

use crate::crypto::{Always, Remembering};
use crate::walker::Walker;
use crate::yardstick::Yardstick;

/// What proofs can be confused about: wildcards above and beside delegations, names that only others make exist, names
/// below aliases, signed and unsigned zones of the same shape.
const RECORDS: &str = r#"
@ MX 10 mx
* MX 20 mx
* A 192.0.2.1
mx A 192.0.2.2
a.b.c A 192.0.2.3
*.c TXT "below a name that is there"
*.b.c CNAME mx
*.x.*.c A 192.0.2.4
red DNAME mx
to DNAME plain
alias CNAME mx
"#;

/// Zones of each kind of denial, with a zone of each kind below.
pub(crate) fn world() -> SignedWorld {
    let zone = |apex: &str| ZonePlan::signed(apex).algorithms(&[15]).records(RECORDS);
    let mut builder = SignedWorld::builder()
        .zone(zone("names"))
        .zone(zone("hashes").nsec3(0, b""))
        .zone(zone("salted").nsec3(2, b"salt"))
        .zone(zone("optout").nsec3_opt_out(0, b""));
    for above in ["names", "hashes", "salted", "optout"] {
        builder = builder
            .zone(zone(&format!("sub.{above}")))
            .zone(zone(&format!("hashed.c.{above}")).nsec3(0, b""))
            .zone(ZonePlan::unsigned(&format!("plain.{above}")).records(RECORDS))
            .zone(ZonePlan::unsigned(&format!("ent.ent.{above}")).records(RECORDS));
    }
    builder.build()
}

/// Random choices, the same for the same seed (SplitMix64).
struct Dice(Cell<u64>);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(Cell::new(seed))
    }

    /// A number below the bound.
    fn below(&self, bound: usize) -> usize {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// What an attacker has seen.
struct Seen<'w> {
    world: &'w SignedWorld,
    responses: Vec<Message>,
}

impl Seen<'_> {
    fn all(world: &SignedWorld) -> Seen<'_> {
        let responses = world.questions().iter().map(|question| world.respond(question, true)).collect();
        Seen { world, responses }
    }

    /// A response to a question whose name is not far from that of another.
    fn near<'s>(&'s self, place: usize, dice: &Dice) -> &'s Message {
        // Questions are in canonical order, and zones after their parents.
        const REACH: usize = 40;
        match dice.below(8) {
            0 => &self.responses[dice.below(self.responses.len())],
            // The zone above: what it says about this name, and about the delegation.
            1 => {
                let name = &self.responses[place].question.name;
                let above = name.ancestor(dice.below(name.label_count() + 1));
                let found = self.responses.iter().find(|response| response.question.name == above);
                found.unwrap_or(&self.responses[place])
            }
            _ => {
                let least = place.saturating_sub(REACH);
                let most = (place + REACH).min(self.responses.len() - 1);
                &self.responses[least + dice.below(most - least + 1)]
            }
        }
    }

    /// A response to this question that is made of those to others.
    fn compose(&self, place: usize, dice: &Dice) -> Message {
        let mut message = self.responses[place].clone();
        let name = message.question.name.clone();
        if dice.below(2) == 0 {
            message.rcode = if dice.below(2) == 0 { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        }
        keep_some(&mut message.answer, dice);
        keep_some(&mut message.authority, dice);
        for _ in 0..dice.below(4) {
            let mut other = self.near(place, dice).clone();
            keep_some(&mut other.answer, dice);
            keep_some(&mut other.authority, dice);
            // Under the name asked for: as if a wildcard had made the records, or the proof were about the name.
            match dice.below(6) {
                0 | 1 => other.answer.iter_mut().for_each(|set| set.owner = name.clone()),
                2 => other.authority.iter_mut().for_each(|set| set.owner = name.clone()),
                _ => {}
            }
            message.answer.append(&mut other.answer);
            message.authority.append(&mut other.authority);
        }
        message
    }
}

fn keep_some(sets: &mut Vec<RrSet>, dice: &Dice) {
    let share = dice.below(4);
    sets.retain(|_| dice.below(4) <= share);
}

/// Reads this many responses. Says what was false, and how many were proved.
fn read_recombined(seen: &Seen<'_>, crypto: &dyn Crypto, seeds: std::ops::Range<u64>) -> (Vec<String>, usize) {
    let walker = Walker::new(seen.world, crypto, |question| seen.world.respond(question, true));
    let yardstick = Yardstick::new(seen.world);
    let (mut lies, mut proved) = (Vec::new(), 0);
    for seed in seeds {
        let dice = Dice::new(seed);
        let message = seen.compose(dice.below(seen.responses.len()), &dice);
        let Question { name, rtype } = &message.question;
        let (mut known, mut budget) = (walker.known(), Budget::default());
        let place = if seed % 4 == 0 { Place::Later } else { Place::First };
        let Ok(step) = walker.read(&message.question, place, &message, &mut known, &mut budget) else { continue };
        proved += usize::from(matches!(step.proof, Proof::Secure { .. }));
        lies.extend(yardstick.lie(name, *rtype, &step).map(|lie| format!("{seed}: {message:#?}\n{lie}")));
    }
    (lies, proved)
}

/// Asks this many responses what they prove about delegations. Says what was false, and how many proved something.
fn delegate_recombined(seen: &Seen<'_>, crypto: &dyn Crypto, seeds: std::ops::Range<u64>) -> (Vec<String>, usize) {
    let walker = Walker::new(seen.world, crypto, |question| seen.world.respond(question, true));
    let yardstick = Yardstick::new(seen.world);
    let about_ds = |place: &usize| {
        let asked = &seen.responses[*place].question;
        asked.rtype == Rtype::DS && !asked.name.is_root()
    };
    let is_apex = |name: &Name| seen.world.apexes().any(|apex| apex == name);
    let (zones, others): (Vec<_>, Vec<_>) =
        (0..seen.responses.len()).filter(about_ds).partition(|place| is_apex(&seen.responses[*place].question.name));
    let (mut lies, mut proved) = (Vec::new(), 0);
    for seed in seeds {
        let dice = Dice::new(seed);
        let places = if seed % 2 == 0 { &zones } else { &others };
        let message = seen.compose(places[dice.below(places.len())], &dice);
        let name = &message.question.name;
        let mut budget = Budget::default();
        let within = Scope::Enclosing(name.parent().unwrap());
        let Ok(Ok(Trust::Secure(parent))) = walker.trust(&within, &mut budget) else { continue };
        let mut budget = Budget::default();
        let mut work = Work { crypto, now: walker.now, budget: &mut budget };
        let Ok((delegation, _)) = delegation(name, &parent, &message, &mut work) else { continue };
        proved += 1;
        let truth = yardstick.at(name, Rtype::DS);
        let is_apex = is_apex(name);
        let is_true = match (&delegation, &truth.content) {
            (Delegation::Signed(ds), Some(Content::Records(set))) => {
                set.data.iter().all(|data| match Record::from_data(RecordType::Ds, data) {
                    Some(Record::Ds(one)) => ds.contains(&one),
                    _ => false,
                }) && ds.len() == set.data.len()
            }
            (Delegation::Unsigned(Insecure::OptOut { .. }), _) => truth.security == Security::Insecure,
            (Delegation::Unsigned(_), content) => is_apex && matches!(content, Some(Content::Absent(_))),
            (Delegation::SameZone, _) => !is_apex,
            (Delegation::NoName, content) => *content == Some(Content::Absent(Existence::NxDomain)),
            _ => false,
        };
        if !is_true {
            lies.push(format!("{seed}: {message:#?}\n{delegation:?}\nbut the truth is {truth:#?}"));
        }
    }
    (lies, proved)
}

#[test]
fn genuine_records_in_any_combination_prove_nothing_false() {
    let world = world();
    let seen = Seen::all(&world);
    let (lies, proved) = read_recombined(&seen, &Remembering::default(), 0..40_000);
    assert!(lies.is_empty(), "{} lies, the first is {}", lies.len(), lies[0]);
    assert!(proved > 8_000, "{proved}");
}

#[test]
fn genuine_records_in_any_combination_hide_no_zone() {
    let world = world();
    let seen = Seen::all(&world);
    let (lies, proved) = delegate_recombined(&seen, &Remembering::default(), 0..20_000);
    assert!(lies.is_empty(), "{} lies, the first is {}", lies.len(), lies[0]);
    assert!(proved > 5_000, "{proved}");
}

#[test]
fn records_under_other_names_would_be_found_out() {
    let world = world();
    let seen = Seen::all(&world);
    let credulous = Always(Verdict::Valid);
    let (lies, _) = read_recombined(&seen, &credulous, 0..4_000);
    assert!(lies.len() > 5, "{}", lies.len());
    let (lies, _) = delegate_recombined(&seen, &credulous, 0..4_000);
    assert!(!lies.is_empty());
}
