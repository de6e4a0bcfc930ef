//! Untouched responses: every question of the world gets the truth, whoever answers it.

use std::collections::BTreeSet;

use mailstead_dns::{Message, Name, Question, Rtype};
use mailstead_dnssec::{Bogus, Budget, Insecure, MOST_ITERATIONS, Proof};
use mailstead_testkit::{Flaw, START, Security, SignedWorld, Vouching, ZonePlan};

use crate::crypto::Remembering;
use crate::recombination;
use crate::walker::{Failure, Walker, by_servers};
use crate::yardstick::Yardstick;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn question(text: &str, rtype: Rtype) -> Question {
    Question { name: name(text), rtype }
}

/// Asks everything and holds it against the truth. Says how many answers were secure, insecure and none.
fn ask_everything(world: &SignedWorld, respond: impl Fn(&Question) -> Message) -> [usize; 3] {
    let crypto = Remembering::default();
    let walker = Walker::new(world, &crypto, respond);
    let yardstick = Yardstick::new(world);
    let (mut secure, mut insecure, mut failed) = (0, 0, 0);
    let mut wrong = Vec::new();
    let questions = world.questions();
    for question in &questions {
        let walk = walker.resolve(question);
        match walk.end() {
            None => failed += 1,
            Some(_) if walk.is_secure() => secure += 1,
            Some(_) => insecure += 1,
        }
        if let Some(difference) = yardstick.difference(question, &walk) {
            wrong.push(format!("{question:?}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong, the first is {}", wrong.len(), wrong[0]);
    let zones: BTreeSet<&Name> = world.apexes().collect();
    let asked: BTreeSet<&Name> = questions.iter().map(|question| &question.name).collect();
    assert!(zones.len() > 20 && zones.is_subset(&asked));
    [secure, insecure, failed]
}

#[test]
fn every_question_to_a_resolver_gets_the_truth() {
    let world = SignedWorld::example().build();
    let counts = ask_everything(&world, |question| world.respond(question, true));
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
}

#[test]
fn every_question_to_the_servers_themselves_gets_the_truth() {
    let world = SignedWorld::example().build();
    let counts = ask_everything(&world, |question| by_servers(&world, question));
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
}

#[test]
fn wildcards_beside_delegations_get_the_truth() {
    let world = recombination::world();
    let [secure, insecure, failed] = ask_everything(&world, |question| by_servers(&world, question));
    assert!(secure > 1_000 && insecure > 1_000 && failed == 0, "{secure} {insecure} {failed}");
}

#[test]
fn honest_look_ups_need_but_a_part_of_the_budget() {
    let world = SignedWorld::example().build();
    let crypto = Remembering::default();
    let mut most = Budget::default();
    for question in world.questions().iter().step_by(13) {
        // From the root on, with nothing known yet.
        let walk = Walker::new(&world, &crypto, |question| world.respond(question, true)).resolve(question);
        if walk.budget.signatures_spent() > most.signatures_spent() {
            most = walk.budget;
        }
    }
    assert!((10..=30).contains(&most.signatures_spent()), "{}", most.signatures_spent());
}

#[test]
fn zones_that_hash_too_often_are_insecure_where_it_matters() {
    // RFC 9276 §3.2.
    let records = "www A 192.0.2.1\n*.wild A 192.0.2.2\nnot.zone A 192.0.2.3";
    let zone = |apex: &str, iterations| ZonePlan::signed(apex).records(records).nsec3(iterations, b"salt");
    let world = SignedWorld::builder()
        .zone(zone("few.test", MOST_ITERATIONS))
        .zone(zone("many.test", MOST_ITERATIONS + 1))
        .zone(ZonePlan::signed("below.many.test").records(records))
        .zone(ZonePlan::unsigned("plain.many.test").records(records))
        .build();
    let crypto = Remembering::default();
    let walker = Walker::new(&world, &crypto, |question| world.respond(question, true));
    let yardstick = Yardstick::new(&world);
    for asked in world.questions().iter().filter(|asked| asked.name.is_within(&name("many.test"))) {
        let walk = walker.resolve(asked);
        let truth = world.truth(asked, START as u32);
        let step = walk.end().unwrap_or_else(|| panic!("{asked:?}: {walk:?}"));
        let excess = Insecure::Nsec3Iterations { zone: name("many.test"), iterations: MOST_ITERATIONS + 1 };
        if truth.iterations > MOST_ITERATIONS {
            assert_eq!(step.proof, Proof::Insecure(excess), "{asked:?}");
        } else {
            assert_eq!(walk.is_secure(), truth.security() == Security::Secure, "{asked:?}: {walk:?}");
        }
    }
    for asked in world.questions().iter().filter(|asked| asked.name.is_within(&name("few.test"))) {
        assert_eq!(yardstick.difference(asked, &walker.resolve(asked)), None);
    }
}

#[test]
fn the_soa_beside_a_proof_is_not_part_of_it() {
    // By decision 0010: RFC 4035 §5.4 does not make it one.
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").records("www A 192.0.2.1").flaw("@", Rtype::SOA, Flaw::Corrupt))
        .build();
    let crypto = Remembering::default();
    let walker = Walker::new(&world, &crypto, |question| world.respond(question, true));
    let absent = question("absent.test", Rtype::A);
    assert_eq!(world.truth(&absent, START as u32).security(), Security::Bogus);
    assert!(walker.resolve(&absent).is_secure());
    // Asked for as itself it is like any other.
    let soa = walker.resolve(&question("test", Rtype::SOA));
    assert!(matches!(soa.failure, Some(Failure::Bogus(Bogus::Signature { .. }))), "{soa:?}");
}

#[test]
fn a_name_made_too_long_by_a_dname_is_no_answer() {
    // RFC 6672 §2.2: YXDOMAIN.
    let world = SignedWorld::example().build();
    let crypto = Remembering::default();
    let walker = Walker::new(&world, &crypto, |question| world.respond(question, true));
    let long = format!("{}.long.test", ["a"; 112].join("."));
    let walk = walker.resolve(&question(&long, Rtype::A));
    assert_eq!(walk.failure, Some(Failure::Bogus(Bogus::WrongAlias { name: name(&long) })));
}

#[test]
fn an_island_is_secure_for_those_who_have_its_anchor() {
    // RFC 4035 §4.4, RFC 6840 appendix C.
    let world = SignedWorld::builder()
        .zone(ZonePlan::unsigned("plain"))
        .zone(ZonePlan::signed("island.plain").records("www A 192.0.2.1").vouching(Vouching::Absent))
        .build();
    let asked = question("www.island.plain", Rtype::A);
    let crypto = Remembering::default();
    let mut walker = Walker::new(&world, &crypto, |question| world.respond(question, true));
    let insecure = Proof::Insecure(Insecure::UnsignedDelegation { zone: name("plain") });
    assert_eq!(walker.resolve(&asked).end().unwrap().proof, insecure);
    walker.trust_keys(&world, &name("island.plain"));
    assert!(walker.resolve(&asked).is_secure());
    walker.anchors.distrust(name("island.plain"), START as u64 + 60);
    assert!(!walker.resolve(&asked).is_secure());
}
