//! Resolvers that do not let DNSSEC through: each kind is found out, named, and not relied upon.

use std::io;

use mailstead_dns::{LookupErrorKind, MessageError, Question, Rcode, Rtype};
use mailstead_testkit::{SignedWorld, ZonePlan};

use super::super::exchange::{Asking, ExchangeError};
use super::super::{Active, DnsMode, NoWay, Notice, ResolverFault};
use super::world::*;

type Stripper = Box<dyn Fn(&World, &Question, Asking) -> Reply + Send + Sync>;

fn is_proof(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::NSEC | Rtype::NSEC3)
}

/// What is met in home routers, hotels and on machines.
fn strippers() -> Vec<(&'static str, Stripper)> {
    vec![
        ("takes signatures off", Box::new(changed(drop_signatures))),
        (
            "knows no EDNS",
            Box::new(|world, question, asking| {
                let mut message = honest(world, question, Asking { flags: Default::default(), ..asking })?.unwrap();
                message.edns = None;
                Some(Ok(message))
            }),
        ),
        (
            "knows no keys",
            Box::new(changed(|message| {
                if message.question.rtype == Rtype::DNSKEY {
                    empty(message, Rcode::NOERROR);
                }
            })),
        ),
        ("leaves proofs out", Box::new(changed(|message| retain(message, |set| !is_proof(set.rtype))))),
        ("leaves authority sections out", Box::new(changed(|message| message.authority.clear()))),
        (
            "denies what it denies without proof",
            Box::new(changed(|message| {
                if message.rcode == Rcode::NXDOMAIN {
                    message.authority.clear();
                }
            })),
        ),
        (
            "sends everybody to its search page",
            Box::new(changed(|message| {
                if message.rcode == Rcode::NXDOMAIN {
                    empty(message, Rcode::NOERROR);
                }
            })),
        ),
        ("leaves DS records out", Box::new(changed(|message| retain(message, |set| set.rtype != Rtype::DS)))),
        (
            "knows no type of number 43",
            Box::new(changed(|message| {
                if message.question.rtype == Rtype::DS && message.rcode == Rcode::NOERROR {
                    empty(message, Rcode::NOTIMP);
                }
            })),
        ),
        (
            "fails at DO",
            Box::new(|world, question, asking| {
                if asking.flags.dnssec_ok {
                    saying(Rcode::SERVFAIL)(world, question, asking)
                } else {
                    honest(world, question, asking)
                }
            }),
        ),
        ("fails at EDNS", Box::new(saying(Rcode::FORMERR))),
        ("refuses", Box::new(saying(Rcode::REFUSED))),
        ("mangles", Box::new(|_, _, _| Some(Err(ExchangeError::Malformed(MessageError::Data))))),
        (
            "is not there",
            Box::new(|_, _, _| {
                let (kind, text) = (io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)".into());
                Some(Err(ExchangeError::Network { kind, text }))
            }),
        ),
        ("is silent", Box::new(silent)),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_kind_is_named_and_names_are_resolved_from_the_root() {
    let mut texts = Vec::new();
    for (what, stripper) in strippers() {
        let world = World::with(SignedWorld::example().build(), stripper);
        let resolver = world.resolver(|options| options.mode = DnsMode::Automatic);
        let (active, notice) = resolver.way().await.unwrap();
        assert_eq!(active, Active::Recurse, "{what}");
        let Some(Notice::Recursing { faults }) = &notice else { panic!("{what}: {notice:?}") };
        assert_eq!(faults[0].0, servers(&[RESOLVER])[0]);
        texts.push(format!("{what}: {}", faults[0].1));
        assert!(
            notice
                .as_ref()
                .unwrap()
                .to_string()
                .starts_with(&format!("the resolver {RESOLVER} {}; names are", faults[0].1))
        );
        world.asked();
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25", "{what}");
        assert_eq!(told(&resolver, "absent.hashed.test A").await, "secure: no such name", "{what}");
        let usual = servers(&[RESOLVER])[0].ip();
        assert!(world.asked().iter().all(|asked| asked.server != usual), "{what}");
    }
    insta::assert_snapshot!(texts.join("\n"), @r"
    takes signatures off: strips DNSSEC from its answers (no signatures)
    knows no EDNS: strips DNSSEC from its answers (no signatures)
    knows no keys: strips DNSSEC from its answers (no signatures)
    leaves proofs out: strips DNSSEC from its answers (no proofs of absence)
    leaves authority sections out: strips DNSSEC from its answers (no proofs of absence)
    denies what it denies without proof: strips DNSSEC from its answers (no proofs of absence)
    sends everybody to its search page: strips DNSSEC from its answers (no proofs of absence)
    leaves DS records out: strips DNSSEC from its answers (no DS records)
    knows no type of number 43: fails when asked for DNSSEC (says NOTIMP)
    fails at DO: fails when asked for DNSSEC (says SERVFAIL)
    fails at EDNS: fails when asked for DNSSEC (says FORMERR)
    refuses: fails when asked for DNSSEC (says REFUSED)
    mangles: fails when asked for DNSSEC (sent a malformed response: the data of a record is malformed)
    is not there: does not answer (Connection refused (os error 111))
    is silent: does not answer (timed out)
    ");
}

#[tokio::test(start_paused = true)]
async fn the_notice_names_all_resolvers() {
    let world = World::with(SignedWorld::example().build(), changed(drop_signatures));
    let resolver = world.resolver(|options| {
        options.mode = DnsMode::Automatic;
        options.servers = asking(&[RESOLVER, ANOTHER]);
    });
    insta::assert_snapshot!(resolver.way().await.unwrap().1.unwrap(), @r#"the resolver 192.0.2.53 strips DNSSEC from its answers (no signatures) and the resolver 192.0.2.54 does not answer (timed out); names are resolved from the root servers instead (mode "recurse")"#);
}

#[tokio::test(start_paused = true)]
async fn none_is_used_when_the_root_is_not_allowed() {
    let mut texts = Vec::new();
    for (what, stripper) in strippers() {
        let world = World::with(SignedWorld::example().build(), stripper);
        let resolver = world.resolver(|_| {});
        let no_way = resolver.way().await.unwrap_err();
        assert!(matches!(&no_way, NoWay::Resolvers { faults } if faults.len() == 1), "{what}: {no_way:?}");
        let error = look_up(&resolver, "mx.test A").await.unwrap_err();
        assert_eq!((error.kind, &error.detail), (LookupErrorKind::NoResolver, &no_way.to_string()), "{what}");
        let usual = servers(&[RESOLVER])[0].ip();
        assert!(world.asked().iter().all(|asked| asked.server == usual), "{what}: nobody else is asked");
        texts.push(error.to_string());
    }
    insta::assert_snapshot!(texts[0], @r#"looking up A mx.test: no usable resolver: DNSSEC cannot be validated: the resolver 192.0.2.53 strips DNSSEC from its answers (no signatures); use another resolver, or set mode = "recurse" in [dns]"#);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_without_ds_record_is_not_taken_for_a_proof_that_they_come_through() {
    let zones = SignedWorld::example().zone(ZonePlan::unsigned("aaa")).build();
    let world = World::with(zones, changed(|message| retain(message, |set| set.rtype != Rtype::DS)));
    let no_way = world.resolver(|_| {}).way().await.unwrap_err();
    let NoWay::Resolvers { faults } = &no_way else { panic!("{no_way:?}") };
    assert_eq!(faults[0].1, ResolverFault::StripsDelegations);
}

#[tokio::test(start_paused = true)]
async fn the_word_of_a_stripping_resolver_counts_for_nothing() {
    let world = World::with(
        SignedWorld::example().build(),
        changed(|message| {
            drop_signatures(message);
            message.flags.authentic_data = true;
        }),
    );
    let resolver = world.resolver(|_| {});
    assert!(resolver.way().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn keys_of_somebody_else_are_no_keys() {
    let world = World::with(SignedWorld::example().build(), honest);
    let other = SignedWorld::example().keys(3).build();
    world.set(RESOLVER, move |_, question, asking| Some(Ok(other.respond(question, asking.flags.dnssec_ok))));
    let resolver = world.resolver(|options| options.mode = DnsMode::Automatic);
    let (active, notice) = resolver.way().await.unwrap();
    assert_eq!(active, Active::Recurse);
    let Some(Notice::Recursing { faults }) = notice else { panic!("{notice:?}") };
    assert!(matches!(faults[0].1, ResolverFault::WrongKeys(_)), "{faults:?}");
    insta::assert_snapshot!(
        faults[0].1,
        @"gives keys that are not trusted (the root has none of the keys that are trust anchors)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_root_with_nsec3_and_one_with_unsigned_neighbours_can_be_tried_as_well() {
    let hashed = SignedWorld::builder().zone(ZonePlan::signed(".").nsec3(0, b""));
    let unsigned = (b'a'..=b'z').fold(SignedWorld::builder(), |builder, letter| {
        builder.zone(ZonePlan::unsigned(&char::from(letter).to_string()))
    });
    let alone = SignedWorld::builder().zone(ZonePlan::signed(".").records("www A 192.0.2.1"));
    for zones in [hashed, unsigned, alone] {
        let world = World::with(zones.build(), honest);
        assert_eq!(world.resolver(|_| {}).way().await, Ok((Active::Validate, None)));
    }
}

#[tokio::test(start_paused = true)]
async fn honest_and_validating_resolvers_pass() {
    for validates in [false, true] {
        let world = World::with(SignedWorld::example().build(), honest);
        if validates {
            world.set(RESOLVER, validating(Explains::Why));
        }
        let resolver = world.resolver(|options| options.mode = DnsMode::Automatic);
        assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
        // With CD nothing is held back, and the reason is found here.
        let error = look_up(&resolver, "mx.flawed.test AAAA").await.unwrap_err();
        assert_eq!((error.kind, error.extended_errors[0].code), (LookupErrorKind::Bogus, 7));
    }
}
