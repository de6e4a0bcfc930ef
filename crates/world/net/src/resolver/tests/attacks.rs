//! Somebody on the way who forges responses: once in vain, always without being believed.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use mailstead_dns::{Authenticity, Existence, LookupErrorKind, Name, Question, Rcode, Record};
use mailstead_testkit::{Adversary, End, START, Security, SeededRandom, SignedWorld, Tamper};

use super::super::DnsResolver;
use super::super::core::Outcome;
use super::super::exchange::Transport;
use super::world::*;

fn example() -> SignedWorld {
    SignedWorld::example().build()
}

/// The servers and ways by which this was asked.
fn ways(world: &World, what: &str) -> Vec<(String, Transport)> {
    let asked = world.asked();
    let of_it = asked.iter().filter(|asked| asked.what() == what);
    of_it.map(|asked| (asked.server.to_string(), asked.asking.transport)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_forged_answer_is_asked_for_again_over_tcp() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    world.once("mx.test A", spoil_signatures);
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    let usual = RESOLVER.to_owned();
    assert_eq!(ways(&world, "mx.test. A"), [(usual.clone(), Transport::UdpFirst), (usual, Transport::TcpOnly)]);
}

#[tokio::test(start_paused = true)]
async fn a_forged_answer_is_asked_for_again_of_another_resolver() {
    let world = World::with(example(), honest);
    world.set(ANOTHER, honest);
    let resolver = world.resolver(|options| options.servers = asking(&[RESOLVER, ANOTHER]));
    world.once("mx.test A", |message| message.answer[0].data[0] = [203, 0, 113, 66].into());
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    assert_eq!(
        ways(&world, "mx.test. A"),
        [(RESOLVER.to_owned(), Transport::UdpFirst), (ANOTHER.to_owned(), Transport::TcpOnly)]
    );
}

#[tokio::test(start_paused = true)]
async fn forged_keys_ds_records_and_denials_are_asked_for_again() {
    for (forged, asked, outcome) in [
        (". DNSKEY", "mx.hashed.test A", "secure: 192.0.2.25"),
        ("test DNSKEY", "mx.hashed.test A", "secure: 192.0.2.25"),
        ("hashed.test DS", "mx.hashed.test A", "secure: 192.0.2.25"),
        ("hashed.test DNSKEY", "mx.hashed.test A", "secure: 192.0.2.25"),
        ("plain.test DS", "mx.plain.test A", "insecure: 192.0.2.25"),
        ("absent.test A", "absent.test A", "secure: no such name"),
        ("any.wild.test MX", "any.wild.test MX", "secure: 5 mx.test."),
        ("twice.test A", "twice.test A", "secure: => away.test => mx.hashed.test; secure 192.0.2.25"),
    ] {
        let world = World::with(example(), honest);
        let resolver = world.resolver(|_| {});
        resolver.way().await.unwrap();
        world.once(forged, spoil_signatures);
        assert_eq!(told(&resolver, asked).await, outcome, "{forged}");
        world.asked();
        resolver.core.cache.clear();
        world.once(forged, |message| {
            drop_signatures(message);
            message.authority.clear();
        });
        assert_eq!(told(&resolver, asked).await, outcome, "{forged} without proofs");
        assert_eq!(ways(&world, &what(&question(forged))).len(), 2, "{forged}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_bogus_twice_is_bogus() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    world.once("mx.test A", spoil_signatures);
    world.once("mx.test A", spoil_signatures);
    let error = look_up(&resolver, "mx.test A").await.unwrap_err();
    assert_eq!((error.kind, error.extended_errors[0].code), (LookupErrorKind::Bogus, 6));
    assert_eq!(ways(&world, "mx.test. A").len(), 2, "and not asked for a third time");
}

#[tokio::test(start_paused = true)]
async fn when_the_second_answer_does_not_come_the_first_one_counts() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    world.once("mx.test A", spoil_signatures);
    world.once("mx.test A", |message| empty(message, Rcode::SERVFAIL));
    assert_eq!(look_up(&resolver, "mx.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_an_answer_may_be_forged_too() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    // The alias is genuine, what follows is not; the name that it leads to is then asked for by itself.
    world.once("www.test A", |message| {
        let set = message.answer.iter_mut().find(|set| set.owner == name("host.test")).unwrap();
        set.data = vec![[203, 0, 113, 66].into()];
    });
    assert_eq!(told(&resolver, "www.test A").await, "secure: => host.test; secure 192.0.2.1, 192.0.2.2");
    let log = world.log();
    assert!(log.contains(&"host.test. A".to_owned()), "{log:?}");
}

/// What is claimed without being so, if anything is: a step that is called secure and is another one, or one that is
/// called insecure and could be proved.
fn fooled(zones: &SignedWorld, question: &Question, outcome: &Outcome) -> Option<String> {
    let Ok(answer) = outcome else { return None };
    let ends = answer.chain.iter().map(|hop| Name::from(&hop.to));
    let names: Vec<Name> = std::iter::once(question.name.clone()).chain(ends).collect();
    for (place, name) in names.iter().enumerate() {
        let truth = zones.truth(&Question { name: name.clone(), rtype: question.rtype }, START as u32);
        let security = truth.chain.first().map_or(truth.end_security, |alias| alias.security);
        let (claimed, is_true) = match answer.chain.get(place) {
            Some(hop) => {
                let is_true = truth.chain.first().is_some_and(|alias| alias.to == Name::from(&hop.to));
                (hop.authenticity, is_true)
            }
            None => {
                let is_true = truth.chain.is_empty()
                    && match (&truth.end, answer.existence) {
                        (End::NoData, Existence::NoData) | (End::NxDomain, Existence::NxDomain) => true,
                        (End::Records(set), Existence::Found) => {
                            let kind = question.rtype.record_type().unwrap();
                            let mut data: Vec<_> =
                                set.data.iter().filter_map(|data| Record::from_data(kind, data)).collect();
                            let mut records = answer.records.clone();
                            data.sort_by_key(ToString::to_string);
                            records.sort_by_key(ToString::to_string);
                            records == data
                        }
                        _ => false,
                    };
                (answer.record_authenticity, is_true)
            }
        };
        match claimed {
            Authenticity::Secure if security != Security::Secure || !is_true => {
                return Some(format!("{name} is not so, or only {security:?}"));
            }
            Authenticity::Insecure if security != Security::Insecure => {
                return Some(format!("{name} is {security:?} and not insecure"));
            }
            Authenticity::Secure | Authenticity::Insecure => {}
        }
    }
    None
}

/// Questions of every kind.
const QUESTIONS: [&str; 14] = [
    "test MX",
    "mx.hashed.test A",
    "twice.test A",
    "outside.test A",
    "absent.test A",
    "host.salted.test MX",
    "any.wild.hashed.test MX",
    "host.old.test A",
    "mx.plain.test A",
    "absent.optout.test A",
    "mx.plain.optout.test A",
    "_25._tcp.mx.two.test TLSA",
    "nowhere.hashed.test A",
    "mx.flawed.test A",
];

async fn check(world: &World, resolver: &DnsResolver, text: &str, by: &dyn std::fmt::Display) -> Outcome {
    let outcome = look_up(resolver, text).await;
    if let Some(claim) = fooled(&world.zones(), &question(text), &outcome) {
        panic!("{text}: {claim}; {} ({by})", tell(&outcome));
    }
    outcome
}

#[tokio::test(start_paused = true)]
async fn no_way_to_tamper_with_answers_makes_anything_believed_that_is_not_so() {
    let tamper = Arc::new(Tamper::new(&example()));
    let mut done = BTreeMap::new();
    for way in Tamper::ways() {
        let world = World::with(example(), honest);
        let resolver = world.resolver(|_| {});
        resolver.way().await.unwrap();
        let tampering = Arc::clone(&tamper);
        world.set(RESOLVER, move |world, question, asking| {
            let message = honest(world, question, asking)?.unwrap();
            let seed = question.name.as_wire().iter().map(|octet| u64::from(*octet)).sum::<u64>();
            let tampered = tampering.apply_way(way, &message, &SeededRandom::new(seed));
            Some(Ok(tampered.unwrap_or(message)))
        });
        for text in QUESTIONS {
            let failed = check(&world, &resolver, text, &way).await.is_err();
            *done.entry(failed).or_insert(0) += 1;
        }
    }
    assert!(done[&true] > 200 && done[&false] > 50, "some is told all the same: {done:?}");
}

#[tokio::test(start_paused = true)]
async fn no_adversary_with_a_plan_is_believed() {
    let tamper = Arc::new(Tamper::new(&example()));
    let mut answered = 0;
    for seed in 0..120 {
        let adversary = Adversary::new(Arc::clone(&tamper), seed);
        let world = World::with(example(), honest);
        let resolver = world.resolver(|_| {});
        resolver.way().await.unwrap();
        let plan = format!("seed {seed}: he {}, {}", adversary.plan(), adversary.zone());
        let zone = adversary.zone().to_string();
        world.set(RESOLVER, move |_, question, _| Some(Ok(adversary.respond(question).0)));
        let zone = zone.trim_end_matches('.');
        let mut questions = vec![QUESTIONS[seed as usize % QUESTIONS.len()].to_owned()];
        if !zone.is_empty() {
            let prefixes = ["mx.", "www.", "absent.", "any.wild."];
            questions.extend(prefixes.map(|prefix| format!("{prefix}{zone} A")));
        }
        for text in questions {
            answered += u32::from(check(&world, &resolver, &text, &plan).await.is_ok());
        }
    }
    assert!(answered > 50, "some is told all the same: {answered}");
}

#[tokio::test(start_paused = true)]
async fn who_forges_the_first_response_to_every_question_keeps_no_answer_away() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    let tamper = Tamper::new(&example());
    let met = Mutex::new(HashSet::new());
    world.set(RESOLVER, move |world, question, asking| {
        let message = honest(world, question, asking)?.unwrap();
        let mut met = met.lock().unwrap();
        let seed = met.len() as u64;
        Some(Ok(if met.insert(what(question)) { tamper.apply(&message, &SeededRandom::new(seed)).0 } else { message }))
    });
    for text in QUESTIONS.iter().filter(|text| !text.contains("flawed")) {
        let outcome = check(&world, &resolver, text, &"the first of each").await;
        assert!(outcome.is_ok(), "{text}: {}", tell(&outcome));
    }
}
