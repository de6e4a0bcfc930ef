//! Somebody on the path: whatever he does to responses, nothing false is called secure, and nothing that can be proved
//! is taken for unsigned.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use mailstead_dns::{Message, Question, Rtype};
use mailstead_dnssec::{Crypto, Verdict};
use mailstead_testkit::{Adversary, SeededRandom, SignedWorld, Tamper};

use crate::crypto::{Always, Remembering};
use crate::walker::{Failure, Walk, Walker};
use crate::yardstick::Yardstick;

/// What came of many look-ups.
#[derive(Debug, Default)]
struct Tally {
    look_ups: usize,
    /// In which something had been tampered with, and which found it out.
    caught: usize,
    secure: usize,
    lies: Vec<String>,
    ways: BTreeSet<&'static str>,
}

impl Tally {
    fn count(&mut self, yardstick: &Yardstick<'_>, question: &Question, walk: &Walk, done: &[&'static str]) {
        self.look_ups += 1;
        self.caught += usize::from(matches!(walk.failure, Some(Failure::Bogus(_))));
        self.secure += usize::from(walk.is_secure());
        self.ways.extend(done);
        if let Some(lie) = yardstick.lies(question.rtype, walk) {
            self.lies.push(format!("{done:?} of {question:?}: {lie}"));
        }
    }

    /// Nothing false, and enough of everything.
    fn check(&self, look_ups: usize) {
        let Tally { caught, secure, lies, .. } = self;
        assert!(lies.is_empty(), "{} lies, the first is {}", lies.len(), lies[0]);
        assert_eq!(self.look_ups, look_ups);
        assert!(*caught > look_ups / 5, "{caught} of {look_ups} were found out");
        assert!(*secure > look_ups / 100, "{secure} of {look_ups} did no harm");
    }
}

/// Draws this many questions, the same in every run.
fn draw(questions: &[Question], count: usize) -> impl Iterator<Item = (u64, &Question)> {
    // A prime that does not divide the number of questions: all of them come up in turn.
    let places = (0..count).map(|turn| turn * 1_009 % questions.len());
    (0..).zip(places.map(|place| &questions[place]))
}

/// Tampers with the answer to each question; all else is as it should be.
fn tamper_with_answers(world: &SignedWorld, tamper: &Tamper, crypto: &dyn Crypto, count: usize) -> Tally {
    let tampered: RefCell<Option<Message>> = RefCell::default();
    let walker = Walker::new(world, crypto, |question| match &*tampered.borrow() {
        Some(message) if message.question == *question => message.clone(),
        _ => world.respond(question, true),
    });
    let yardstick = Yardstick::new(world);
    let mut tally = Tally::default();
    for (seed, question) in draw(&world.questions(), count) {
        let (message, done) = tamper.apply(&world.respond(question, true), &SeededRandom::new(seed));
        tampered.replace(Some(message));
        tally.count(&yardstick, question, &walker.resolve(question), &done);
        // A question for DS records may be one of the chain too.
        walker.forget(&question.name);
    }
    tally
}

/// Tampers with the keys or DS records of a zone on the way to each question's name.
fn tamper_with_chains(world: &SignedWorld, tamper: &Tamper, crypto: &dyn Crypto, count: usize) -> Tally {
    let yardstick = Yardstick::new(world);
    let mut tally = Tally::default();
    for (seed, question) in draw(&world.questions(), count) {
        let random = SeededRandom::new(seed);
        let apexes: Vec<_> = world.apexes().filter(|apex| question.name.is_within(apex)).collect();
        let mut link = Question { name: apexes[seed as usize / 2 % apexes.len()].clone(), rtype: Rtype::DNSKEY };
        if seed % 2 == 0 && !link.name.is_root() {
            link.rtype = Rtype::DS;
        }
        let (message, done) = tamper.apply(&world.respond(&link, true), &random);
        let walker =
            Walker::new(
                world,
                crypto,
                |question| {
                    if *question == link { message.clone() } else { world.respond(question, true) }
                },
            );
        tally.count(&yardstick, question, &walker.resolve(question), &done);
    }
    tally
}

/// Asks each adversary about the zone that he is after.
fn ask_adversaries(
    world: &SignedWorld,
    tamper: &Arc<Tamper>,
    crypto: &dyn Crypto,
    seeds: std::ops::Range<u64>,
    each: usize,
) -> Tally {
    let yardstick = Yardstick::new(world);
    let questions = world.questions();
    let mut tally = Tally::default();
    for seed in seeds {
        let adversary = Adversary::new(Arc::clone(tamper), seed);
        let done = RefCell::new(Vec::new());
        let walker = Walker::new(world, crypto, |question| {
            let (message, did) = adversary.respond(question);
            done.borrow_mut().extend(did);
            message
        });
        let in_zone = |question: &&Question| question.name.is_within(adversary.zone());
        let about: Vec<_> = questions.iter().filter(in_zone).cloned().collect();
        for (_, question) in draw(&about, each) {
            let walk = walker.resolve(question);
            let done = std::mem::take(&mut *done.borrow_mut());
            tally.count(&yardstick, question, &walk, &done);
        }
    }
    tally
}

#[test]
fn tampering_with_answers_makes_nothing_false_secure() {
    let world = SignedWorld::example().build();
    let tamper = Tamper::new(&world);
    let tally = tamper_with_answers(&world, &tamper, &Remembering::default(), 5_000);
    tally.check(5_000);
    let all: BTreeSet<_> = Tamper::ways().collect();
    assert_eq!(tally.ways, all);
}

#[test]
fn tampering_with_keys_and_ds_records_makes_nothing_false_secure() {
    let world = SignedWorld::example().build();
    let tamper = Tamper::new(&world);
    tamper_with_chains(&world, &tamper, &Remembering::default(), 2_500).check(2_500);
}

#[test]
fn lies_that_fit_together_make_nothing_false_secure() {
    let world = SignedWorld::example().build();
    let tamper = Arc::new(Tamper::new(&world));
    ask_adversaries(&world, &tamper, &Remembering::default(), 0..125, 20).check(2_500);
}

#[test]
fn a_validator_that_believes_every_signature_would_be_found_out() {
    let world = SignedWorld::example().build();
    let tamper = Arc::new(Tamper::new(&world));
    let credulous = Always(Verdict::Valid);
    let answers = tamper_with_answers(&world, &tamper, &credulous, 1_000);
    // To have only the keys or only the DS records of a zone in one's hands is of little use.
    let chains = tamper_with_chains(&world, &tamper, &credulous, 2_500);
    let adversaries = ask_adversaries(&world, &tamper, &credulous, 0..30, 20);
    let lies = [answers, chains, adversaries].map(|tally| tally.lies.len());
    assert!(lies.iter().all(|lies| *lies > 0), "{lies:?}");
}
