//! Tampering that is what it says, and the same for the same seed.

use super::*;
use crate::SeededRandom;

#[test]
fn the_same_seed_tampers_alike() {
    let world = SignedWorld::example().build();
    let (one, other) = (Tamper::new(&world), Tamper::new(&world));
    let questions = world.questions();
    let mut ways = BTreeSet::new();
    for (seed, asked) in (0..).zip(questions.iter().step_by(11)) {
        let message = world.respond(asked, true);
        let (tampered, done) = one.apply(&message, &SeededRandom::new(seed));
        let (again, done_again) = other.apply(&message, &SeededRandom::new(seed));
        assert_ne!(tampered, message);
        assert_eq!(done, done_again);
        // Signatures by ECDSA are never the same twice; all else is.
        assert_eq!(owners(&tampered.answer), owners(&again.answer));
        assert_eq!(owners(&tampered.authority), owners(&again.authority));
        assert_eq!(Message::parse(&tampered.to_octets().unwrap()), Ok(tampered));
        ways.extend(done);
    }
    assert!(ways.len() > 30, "{ways:?}");
}

#[test]
fn every_way_to_tamper_finds_something_to_do() {
    let world = SignedWorld::example().build();
    let tamper = Tamper::new(&world);
    let questions = world.questions();
    for way in Tamper::ways() {
        let applies = |(seed, asked): (u64, &Question)| {
            tamper.apply_way(way, &world.respond(asked, true), &SeededRandom::new(seed)).is_some()
        };
        let some = (0..).zip(questions.iter().step_by(5)).any(applies);
        assert!(some, "{way}");
    }
    let names: BTreeSet<_> = Tamper::ways().collect();
    assert_eq!(names.len(), Tamper::ways().count());
    assert!(tamper.apply_way("no such way", &world.respond(&questions[0], true), &SeededRandom::new(0)).is_none());
}

#[test]
fn the_attackers_world_is_signed_but_not_by_the_zones_keys() {
    let world = SignedWorld::example().build();
    let tamper = Tamper::new(&world);
    let asked = question("mx.test", Rtype::A);
    let forged = tamper.apply_way(
        "the response of a world with the attacker's keys",
        &world.respond(&asked, true),
        &SeededRandom::new(1),
    );
    let set = &forged.unwrap().answer[0];
    assert_eq!(valid_signatures(&tamper.forged, set), 1);
    assert_eq!(valid_signatures(&world, set), 0);
    let End::Records(truth) = world.truth(&asked, NOW).end else { panic!("there are records") };
    assert_ne!(set.data, truth.data);
    // What is replayed is false, and the true keys have signed it.
    let old = tamper.past.respond(&asked, true);
    assert_eq!(valid_signatures(&world, &old.answer[0]), 1);
    assert_ne!(old.answer[0].data, truth.data);
    assert!(old.answer[0].signatures[0].expiration < NOW);
    assert_eq!(tamper.stripped.truth(&asked, NOW).end, tamper.forged.truth(&asked, NOW).end);
}

#[test]
fn an_adversary_keeps_to_his_plan() {
    let world = SignedWorld::example().build();
    let tamper = Arc::new(Tamper::new(&world));
    let questions = world.questions();
    let mut plans = BTreeSet::new();
    for seed in 0..100 {
        let adversary = Adversary::new(tamper.clone(), seed);
        if !plans.insert(adversary.plan()) {
            continue;
        }
        let of_zone = questions.iter().filter(|asked| asked.name.is_within(adversary.zone()));
        let mut lies = 0;
        for asked in of_zone.step_by(5).take(40) {
            let (message, done) = adversary.respond(asked);
            let (again, _) = adversary.respond(asked);
            assert_eq!((owners(&message.answer), message.rcode), (owners(&again.answer), again.rcode));
            assert_eq!(message.question, *asked);
            lies += usize::from(!done.is_empty());
        }
        assert!(lies > 0 || adversary.plan().contains("DS records"), "{}: {}", adversary.plan(), adversary.zone());
    }
    assert_eq!(plans.len(), 14);
}
