//! Zones and answers made to cost: KeyTrap (CVE-2023-50387), iterated hashes (CVE-2023-50868), names of 127 labels,
//! responses as large as they can be, aliases in circles. Whatever comes, a look-up costs no more than `work` says, and
//! what it finds is true.

use std::fmt::Write;

use mailstead_dns::{Message, Name, Question, Rcode, RrSet, Rrsig, Rtype};
use mailstead_dnssec::{
    Budget, Content, Delegation, Dnskey, Insecure, MOST_DIGESTS, MOST_HASH_ROUNDS, MOST_ITERATIONS, MOST_SIGNATURES,
    Place, Proof, Step, Stop, Vouchers, Work, delegation, key_set, validate, zone_keys,
};
use mailstead_testkit::{KeyLayout, SignedWorld, ZonePlan};

use crate::crypto::Counting;
use crate::handmade::{Hashing, Key, NOW, Trusted, Zone, address, check_keys, key_response, name, response, set};
use crate::walker::{Failure, MOST_ALIASES, Walk, Walker, by_servers};
use crate::yardstick::Yardstick;

const RECORDS: &str = "@ MX 10 mx\nmx A 192.0.2.1\n*.wild A 192.0.2.2\nalias CNAME mx\nold DNAME wild";

fn question(text: &str, rtype: Rtype) -> Question {
    Question { name: name(text), rtype }
}

/// Looks up with nothing known yet, and holds the work that was really done against the limits and the budget.
fn resolve(world: &SignedWorld, question: &Question) -> Walk {
    let crypto = Counting::default();
    let walker = Walker::new(world, &crypto, |question| by_servers(world, question));
    let walk = walker.resolve(question);
    check_work(&crypto, &walk.budget);
    // For each alias a question of its own, and two for each label on the way.
    assert!(walker.asked.get() <= (MOST_ALIASES + 1) * (1 + 2 * 128), "{}", walker.asked.get());
    walk
}

fn check_work(crypto: &Counting, budget: &Budget) {
    let [signatures, digests, hash_blocks] = crypto.take();
    assert_eq!((signatures, hash_blocks), (budget.signatures_spent(), budget.hash_rounds_spent()));
    assert!(signatures <= MOST_SIGNATURES && digests <= MOST_DIGESTS && hash_blocks <= MOST_HASH_ROUNDS);
}

/// Reads one response with a zone that is known.
fn read(zone: &Zone, about: &Name, rtype: Rtype, response: &Message) -> (Result<Step, Stop>, Budget) {
    let crypto = Counting::default();
    let mut budget = Budget::default();
    let mut work = Work { crypto: &crypto, now: NOW, budget: &mut budget };
    let outcome = validate(about, rtype, Place::First, response, &Trusted(&[zone], &[]), &mut work);
    check_work(&crypto, &budget);
    (outcome, budget)
}

/// The response as it arrives.
fn sent(mut response: Message, name: &Name, rtype: Rtype) -> Message {
    response.question = Question { name: name.clone(), rtype };
    let octets = response.to_octets().expect("it fits into 64 KB");
    Message::parse(&octets).unwrap()
}

#[test]
fn keytrap_costs_no_more_than_the_limits() {
    use KeyLayout::{Combined, Split};
    let mut exhausted = 0;
    for (algorithm, layout, extra_ds) in [(8, Split, 0), (13, Combined, 0), (15, Split, 20), (15, Combined, 0)] {
        let trap = ZonePlan::signed("trap").algorithms(&[algorithm]).layout(layout).records(RECORDS);
        let world = SignedWorld::builder()
            // More of each than are tried.
            .zone(trap.nsec3(10, b"x").colliding_keys(6).garbage_signatures(12).extra_ds(extra_ds))
            .zone(ZonePlan::signed("sub.trap").records(RECORDS))
            .build();
        let yardstick = Yardstick::new(&world);
        for about in ["mx.trap", "absent.trap", "x.old.trap", "mx.sub.trap"] {
            let walk = resolve(&world, &question(about, Rtype::A));
            assert_eq!(yardstick.lies(Rtype::A, &walk), None);
            // Nobody gets an answer out of such a zone, the good signatures being the last.
            assert!(matches!(walk.failure, Some(Failure::TooMuchWork | Failure::Bogus(_))), "{walk:?}");
            exhausted += usize::from(walk.failure == Some(Failure::TooMuchWork));
        }
    }
    assert!(exhausted >= 4, "{exhausted}");
}

#[test]
fn keys_that_share_a_tag_by_chance_do_no_harm() {
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").records(RECORDS).colliding_keys(1).garbage_signatures(1).extra_ds(2))
        .zone(ZonePlan::signed("sub.test").records(RECORDS).colliding_keys(2).nsec3(0, b""))
        .build();
    let yardstick = Yardstick::new(&world);
    for asked in world.questions() {
        assert_eq!(yardstick.difference(&asked, &resolve(&world, &asked)), None, "{asked:?}");
    }
}

#[test]
fn digests_are_counted() {
    for extra in [60, 70, 1_000] {
        let world = SignedWorld::builder().zone(ZonePlan::signed("test").records(RECORDS).extra_ds(extra)).build();
        let walk = resolve(&world, &question("mx.test", Rtype::A));
        if extra < MOST_DIGESTS as usize {
            assert!(walk.is_secure(), "{walk:?}");
        } else {
            assert!(walk.is_secure() || walk.failure == Some(Failure::TooMuchWork), "{walk:?}");
        }
    }
}

/// As many labels as fit in front of an apex.
fn deep(apex: &str, first: &str) -> Name {
    let mut name = Name::parse(apex).unwrap();
    while let Some(longer) = name.prepend(b"a") {
        name = longer;
    }
    name.parent().unwrap().prepend(first.as_bytes()).unwrap()
}

#[test]
fn names_of_127_labels_hashed_150_times() {
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("t").records(RECORDS).nsec3(MOST_ITERATIONS, b""))
        .zone(ZonePlan::signed("salted.test").records(RECORDS).nsec3(MOST_ITERATIONS, &[0xff; 255]))
        .zone(ZonePlan::signed("many.test").records(RECORDS).nsec3(2_500, b""))
        .zone(ZonePlan::signed("aliases.test").records(&format!("deep CNAME {}", deep("t", "a"))))
        .build();
    // A single one is within what is allowed.
    let longest = deep("t", "a");
    assert_eq!(longest.label_count(), 127);
    let walk = resolve(&world, &Question { name: longest, rtype: Rtype::A });
    assert!(walk.is_secure(), "{:?}", walk.failure);
    assert!((15_000..MOST_HASH_ROUNDS).contains(&walk.budget.hash_rounds_spent()));
    // With a long salt each round is worth five.
    let walk = resolve(&world, &Question { name: deep("salted.test", "a"), rtype: Rtype::A });
    assert_eq!(walk.failure, Some(Failure::TooMuchWork));
    let walk = resolve(&world, &question("absent.salted.test", Rtype::A));
    assert!(walk.is_secure(), "{walk:?}");
    // What is not followed costs nothing.
    let walk = resolve(&world, &Question { name: deep("many.test", "a"), rtype: Rtype::A });
    let excess = Insecure::Nsec3Iterations { zone: name("many.test"), iterations: 2_500 };
    assert_eq!(walk.end().map(|step| &step.proof), Some(&Proof::Insecure(excess)));
    assert_eq!(walk.budget.hash_rounds_spent(), 0);
    // Nor does it matter who leads there.
    let walk = resolve(&world, &question("deep.aliases.test", Rtype::A));
    assert!(walk.is_secure() && walk.steps.len() == 2, "{:?}", walk.failure);
}

#[test]
fn stripped_records_of_deep_names_end_somewhere() {
    // Whether there is a zone cut above is asked label by label.
    let deepest = deep("test", "a");
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").record(deepest.clone(), 300, Rtype::A, [192, 0, 2, 1]).nsec3(150, b""))
        .build();
    let crypto = Counting::default();
    let walker = Walker::new(&world, &crypto, |question| {
        let mut message = world.respond(question, true);
        if question.name == deepest {
            message.answer.iter_mut().for_each(|set| set.signatures.clear());
        }
        message
    });
    let walk = walker.resolve(&Question { name: deepest.clone(), rtype: Rtype::A });
    check_work(&crypto, &walk.budget);
    assert_eq!(walk.failure, Some(Failure::TooMuchWork));
    assert!(walker.asked.get() < 130, "{}", walker.asked.get());
}

#[test]
fn proofs_of_thousands_of_records() {
    let zone = Zone::new("example");
    let mut apex = zone.matching(Hashing::PLAIN, "example", &[Rtype::SOA]);
    let span = zone.covering(Hashing::PLAIN, "n.example");
    // One owner, one signature, as many records as fit.
    let data = apex.data[0].clone();
    apex.data =
        (0..550_u16).map(|place| [&data[..6], &[0; 18], &place.to_be_bytes(), &data[26..]].concat().into()).collect();
    apex.data.push(data);
    apex.data.sort_unstable();
    let apex = zone.sign(RrSet { signatures: Vec::new(), ..apex });
    let longest = deep("n.example", "a");
    let wildcard = zone.covering(Hashing::PLAIN, "*.example");
    let claim = sent(response(Rcode::NXDOMAIN, &[], &[&apex, &span, &wildcard]), &longest, Rtype::A);
    let (outcome, budget) = read(&zone, &longest, Rtype::A, &claim);
    assert!(matches!(outcome, Ok(Step { content: Content::Absent(_), .. })), "{outcome:?}");
    assert_eq!(budget.signatures_spent(), 3);
    // Many owners with many signatures.
    let spoil = |mut set: RrSet| {
        let signature = set.signatures[0].clone();
        set.signatures = vec![signature; 15];
        set.signatures.iter_mut().for_each(|signature| signature.signature[0] ^= 1);
        set
    };
    let sets: Vec<_> = (0..25).map(|place| spoil(zone.nsec(&format!("{place}.example"), "example", &[]))).collect();
    let claim = response(Rcode::NXDOMAIN, &[], &sets.iter().collect::<Vec<_>>());
    let (outcome, budget) = read(&zone, &name("n.example"), Rtype::A, &sent(claim, &name("n.example"), Rtype::A));
    assert!(outcome.is_err());
    // Eight records, eight signatures.
    assert_eq!(budget.signatures_spent(), 64);
}

#[test]
fn responses_as_large_as_they_can_be() {
    let zone = Zone::new("example");
    let about = name("www.example");
    let fill = |rtype, length: usize, count: usize| {
        let data =
            |place: usize| [&place.to_be_bytes()[8 - length.min(8)..], &vec![1; length.saturating_sub(8)]].concat();
        RrSet { data: (0..count).map(|place| data(place).into()).collect(), ..set("www.example", rtype, &[]) }
    };
    // Each record takes 23 octets besides its data.
    for (rtype, length, count) in [(Rtype::TXT, 240, 245), (Rtype::A, 4, 2_400), (Rtype::TXT, 65_000, 1)] {
        let signed = zone.sign(fill(rtype, length, count));
        let message = sent(response(Rcode::NOERROR, &[&signed], &[]), &about, rtype);
        let (outcome, budget) = read(&zone, &about, rtype, &message);
        let Ok(Step { content: Content::Records(found), proof: Proof::Secure { .. }, .. }) = outcome else {
            panic!("{length}: {outcome:?}")
        };
        assert_eq!((found.data.len(), budget.signatures_spent()), (count, 1));
    }
    // As many signatures as fit.
    let mut signed = zone.sign(address("www.example"));
    let signature = signed.signatures[0].clone();
    signed.signatures = vec![signature; 450];
    signed.signatures.iter_mut().for_each(|signature| signature.signature[0] ^= 1);
    let message = sent(response(Rcode::NOERROR, &[&signed], &[]), &about, Rtype::A);
    let (outcome, budget) = read(&zone, &about, Rtype::A, &message);
    assert!(outcome.is_err() && budget.signatures_spent() == 8, "{outcome:?}");
    // By as many zones as fit. No more than two of them are asked for.
    let labels = ["a"; 110].join(".");
    let long = name(&format!("{labels}.example"));
    let mut set = RrSet { owner: long.clone(), ..address("example") };
    let template = zone.key.sign(&zone.apex, &set, |_| {});
    set.signatures =
        (0..=long.label_count()).map(|count| Rrsig { signer: long.ancestor(count), ..template.clone() }).collect();
    let message = sent(response(Rcode::NOERROR, &[&set], &[]), &long, Rtype::A);
    assert!(read(&zone, &long, Rtype::A, &message).0.is_err());
}

/// As many keys with the tag of this one: its words in another order.
fn colliding(key: &Key, count: usize) -> Vec<Dnskey> {
    let words = key.record.public_key.chunks(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let permuted = |place: usize| {
        let mut words = words.clone();
        words.rotate_left(place % 16);
        words.swap(0, 1 + place / 16 % 15);
        words.concat().into()
    };
    let keys: Vec<_> = (0..count).map(|place| Dnskey { public_key: permuted(place), ..key.record.clone() }).collect();
    assert!(keys.iter().all(|other| other.key_tag() == key.record.key_tag()));
    keys
}

#[test]
fn of_keys_with_one_tag_three_are_tried() {
    let apex = name("example");
    let key = Key::new(1, 257);
    let mut message = key_response(&apex, &[&key], &[]);
    let keys = &mut message.answer[0];
    keys.data.extend(colliding(&key, 20).iter().map(|other| Box::from(other.to_data())));
    keys.data.sort_unstable();
    keys.signatures = vec![key.sign(&apex, keys, |_| {})];
    let anchor = [key.record.clone()];
    let keys = check_keys(&apex, Vouchers::Anchor(&[], &anchor), &message).unwrap();
    assert_eq!(keys.tags().count(), 21);
    let zone = Zone { apex, key: Key::new(1, 257), keys: keys.into() };
    let mut set = zone.sign(address("www.example"));
    set.signatures[0].signature[0] ^= 1;
    let (outcome, budget) = read(&zone, &set.owner, Rtype::A, &response(Rcode::NOERROR, &[&set], &[]));
    assert!(outcome.is_err());
    assert_eq!(budget.signatures_spent(), 3);
}

#[test]
fn a_set_of_keys_as_large_as_it_can_be() {
    let zone = name("example");
    let key = Key::new(1, 257);
    let records = colliding(&key, 240);
    let mut message = key_response(&zone, &[&key], &[]);
    let keys = &mut message.answer[0];
    keys.data.extend(records.iter().map(|record| Box::from(record.to_data())));
    keys.data.sort_unstable();
    keys.data.dedup();
    let signature = key.sign(&zone, keys, |_| {});
    let garbage = Rrsig { signature: [1; 64].into(), ..signature.clone() };
    keys.signatures = vec![garbage; 300];
    keys.signatures.push(signature);
    let message = sent(message, &zone, Rtype::DNSKEY);

    let crypto = Counting::default();
    let mut budget = Budget::default();
    let outcome = key_set(&zone, &message, &mut Work { crypto: &crypto, now: NOW, budget: &mut budget });
    assert_eq!(outcome, Err(Stop::TooMuchWork));
    check_work(&crypto, &budget);

    let anchors = [records[0].clone(), key.record.clone()];
    let mut budget = Budget::default();
    let vouchers = Vouchers::Anchor(&[], &anchors);
    let mut work = Work { crypto: &crypto, now: NOW, budget: &mut budget };
    assert!(zone_keys(&zone, vouchers, &message, &mut work).is_err());
    check_work(&crypto, &budget);
}

#[test]
fn delegations_as_dear_as_they_can_be() {
    let parent = Zone::new("example");
    let crypto = Counting::default();
    let spend = |message: &Message| {
        let mut budget = Budget::default();
        let mut work = Work { crypto: &crypto, now: NOW, budget: &mut budget };
        let outcome = delegation(&name("sub.example"), &parent.keys, message, &mut work);
        check_work(&crypto, &budget);
        outcome
    };
    let data = |place: u16| [&place.to_be_bytes()[..], &[15, 2], &[0; 32]].concat().into();
    let ds = RrSet { data: (0..1_050).map(data).collect(), ..set("sub.example", Rtype::DS, &[]) };
    let message = sent(response(Rcode::NOERROR, &[&parent.sign(ds)], &[]), &name("sub.example"), Rtype::DS);
    assert!(matches!(spend(&message), Ok((Delegation::Signed(ds), _)) if ds.len() == 1_050));
    let dear = Hashing { iterations: MOST_ITERATIONS, salt: &[1; 255], ..Hashing::PLAIN };
    let records = [
        parent.matching(dear, "example", &[Rtype::SOA]),
        parent.covering(dear, "sub.example"),
        parent.covering(dear, "*.example"),
    ];
    let message = response(Rcode::NXDOMAIN, &[], &records.each_ref());
    assert!(matches!(spend(&message), Ok((Delegation::NoName, _))));
}

#[test]
fn aliases_in_circles_and_without_end() {
    let mut long = String::new();
    for place in 0..40 {
        let _ = writeln!(long, "n{place} CNAME n{}", place + 1);
    }
    let records = format!(
        "loop CNAME pool\npool CNAME loop\nself CNAME self\ngrow DNAME more.grow\nback DNAME forth\nforth DNAME back\n{long}"
    );
    let world = SignedWorld::builder()
        .zone(ZonePlan::signed("test").records(&records))
        .zone(ZonePlan::unsigned("plain.test").records(&records))
        .build();
    let starts = ["loop", "pool", "self", "www.grow", "a.b.back", "n0", "n20"];
    for about in starts.iter().flat_map(|start| [format!("{start}.test"), format!("{start}.plain.test")]) {
        let walk = resolve(&world, &question(&about, Rtype::MX));
        assert_eq!(walk.failure, Some(Failure::AliasLoop), "{about}");
        assert!(walk.steps.len() <= MOST_ALIASES + 1);
    }
    // The last twelve of the chain are few enough.
    assert!(resolve(&world, &question("n28.test", Rtype::MX)).is_secure());
}
