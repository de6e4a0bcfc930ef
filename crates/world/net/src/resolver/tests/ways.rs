//! By which way names are resolved: chosen, remembered, and chosen anew.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mailstead_dns::{LookupErrorKind, Rcode, Rtype};
use mailstead_testkit::{Flaw, ManualClock, START, SignedWorld, ZonePlan};
use tokio::time::{Instant, advance, sleep};

use super::super::{Active, DnsMode, DnsOptions, NoWay, ResolverFault, Servers};
use super::world::*;

fn example() -> SignedWorld {
    SignedWorld::example().build()
}

fn automatic(options: &mut DnsOptions) {
    options.mode = DnsMode::Automatic;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How often the root's keys were asked for, of these servers.
fn trials(world: &World, server: &str) -> usize {
    let server = servers(&[server])[0].ip();
    world.asked().iter().filter(|asked| asked.server == server && asked.what() == ". DNSKEY").count()
}

#[tokio::test(start_paused = true)]
async fn of_two_resolvers_the_good_one_is_used() {
    for stripping in [RESOLVER, ANOTHER] {
        let world = World::with(example(), honest);
        world.set(ANOTHER, honest);
        world.set(stripping, changed(drop_signatures));
        let resolver = world.resolver(|options| {
            automatic(options);
            options.servers = asking(&[RESOLVER, ANOTHER]);
        });
        assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
        world.asked();
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
        let stripping = servers(&[stripping])[0].ip();
        assert!(world.asked().iter().all(|asked| asked.server != stripping));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_ways_are_blocked_one_text_says_so() {
    let world = World::with(example(), silent);
    world.block_authorities();
    let resolver = world.resolver(automatic);
    let start = Instant::now();
    let no_way = resolver.way().await.unwrap_err();
    assert!(start.elapsed() <= seconds(12), "{:?}", start.elapsed());
    let silent = |fault: &ResolverFault| matches!(fault, ResolverFault::Silent(_));
    assert!(
        matches!(&no_way, NoWay::ResolversAndRoot { faults, root } if silent(&faults[0].1) && silent(root)),
        "{no_way:?}"
    );
    insta::assert_snapshot!(look_up(&resolver, "mx.test A").await.unwrap_err(), @"looking up A mx.test: no usable resolver: DNSSEC cannot be validated: the resolver 192.0.2.53 does not answer (timed out), and the root servers do not answer (the only root server did not answer: 198.51.100.1 timed out); allow port 53 to the internet, over UDP and TCP, or use another resolver");
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_way_is_remembered_for_a_while_and_then_tried_again() {
    let world = World::with(example(), changed(drop_signatures));
    world.block_authorities();
    let resolver = world.resolver(automatic);
    let error = look_up(&resolver, "mx.test A").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::NoResolver);
    world.asked();
    // Every look-up says the same, at once and without asking anybody.
    advance(seconds(19)).await;
    let start = Instant::now();
    let again = look_up(&resolver, "host.plain.test TXT").await.unwrap_err();
    assert_eq!((again.kind, again.detail), (LookupErrorKind::NoResolver, error.detail));
    assert_eq!((world.asked().len(), start.elapsed()), (0, Duration::ZERO));
    // The network is repaired meanwhile.
    world.set(RESOLVER, honest);
    advance(seconds(1)).await;
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_named() {
    let world = World::with(example(), honest);
    let mut texts = Vec::new();
    for days in [40, -40] {
        let clock = || Arc::new(ManualClock::at(Timestamp::from_second(START + days * 86_400).unwrap()));
        for mode in [DnsMode::Automatic, DnsMode::Validate] {
            let resolver = world.resolver_at(clock(), |options| options.mode = mode);
            let no_way = resolver.way().await.unwrap_err();
            let (NoWay::Resolvers { faults } | NoWay::ResolversAndRoot { faults, .. }) = &no_way else {
                panic!("{no_way:?}")
            };
            assert!(matches!(faults[0].1, ResolverFault::WrongTime(_)), "{faults:?}");
            texts.push(no_way.to_string());
        }
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    DNSSEC cannot be validated: the resolver 192.0.2.53 gives signatures that are not valid now (the signature over the DNSKEY records of . expired 19 days ago), and the root servers give signatures that are not valid now (the signature over the DNSKEY records of . expired 19 days ago); check the clock of this machine
    DNSSEC cannot be validated: the resolver 192.0.2.53 gives signatures that are not valid now (the signature over the DNSKEY records of . expired 19 days ago); check the clock of this machine; if it is right, use another resolver, or set mode = "recurse" in [dns]
    DNSSEC cannot be validated: the resolver 192.0.2.53 gives signatures that are not valid now (the signature over the DNSKEY records of . is not valid for another 33 days; check the clock), and the root servers give signatures that are not valid now (the signature over the DNSKEY records of . is not valid for another 33 days; check the clock); check the clock of this machine
    DNSSEC cannot be validated: the resolver 192.0.2.53 gives signatures that are not valid now (the signature over the DNSKEY records of . is not valid for another 33 days; check the clock); check the clock of this machine; if it is right, use another resolver, or set mode = "recurse" in [dns]
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_for_some_signatures_only_is_named_as_well() {
    // The root signs its keys for longer than the rest.
    let expired = |names: &[&str], rtype| {
        names.iter().fold(ZonePlan::signed("."), |plan, name| plan.flaw(name, rtype, Flaw::Expired))
    };
    for root in [expired(&["@", "ns", "test"], Rtype::NSEC), expired(&["test"], Rtype::DS)] {
        let world = World::with(SignedWorld::example().zone(root).build(), honest);
        let no_way = world.resolver(|_| {}).way().await.unwrap_err();
        let NoWay::Resolvers { faults } = &no_way else { panic!("{no_way:?}") };
        assert!(matches!(faults[0].1, ResolverFault::WrongTime(_)), "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_the_start_cause_one_trial() {
    let world = World::with(example(), honest);
    world.delay(".", Duration::from_millis(20));
    let resolver = world.resolver(automatic);
    let look_ups: Vec<_> = (0..50)
        .map(|number| {
            let resolver = resolver.clone();
            tokio::spawn(async move { told(&resolver, &format!("x{number}.wild.test MX")).await })
        })
        .collect();
    for look_up in look_ups {
        assert_eq!(look_up.await.unwrap(), "secure: 5 mx.test.");
    }
    // Once for the trial, and once for the chain of trust.
    assert_eq!(trials(&world, RESOLVER), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_begins_to_strip_is_found_out() {
    for what in ["signatures", "proofs", "everything"] {
        let world = World::with(example(), honest);
        let resolver = world.resolver(automatic);
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
        assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
        advance(seconds(3600)).await;
        world.set(
            RESOLVER,
            changed(move |message| match what {
                "signatures" => drop_signatures(message),
                "proofs" => message.authority.clear(),
                _ => {
                    drop_signatures(message);
                    message.authority.clear();
                }
            }),
        );
        // The answer comes all the same, by another way.
        assert_eq!(told(&resolver, "absent.test MX").await, "secure: no such name", "{what}");
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25", "{what}");
        let (active, notice) = resolver.way().await.unwrap();
        assert!(active == Active::Recurse && notice.is_some(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_when_a_resolver_begins_to_strip_wait_for_the_other_way() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(automatic);
    told(&resolver, "mx.test A").await;
    advance(seconds(3600)).await;
    world.set(RESOLVER, changed(drop_signatures));
    world.delay("wild.test", Duration::from_millis(50));
    world.delay(".", Duration::from_millis(30));
    world.asked();
    let look_ups: Vec<_> = (0..20)
        .map(|number| {
            let resolver = resolver.clone();
            tokio::spawn(async move {
                // One after the other, and some while others are being told that it is bogus.
                sleep(Duration::from_millis(number * 10)).await;
                told(&resolver, &format!("x{number}.wild.test MX")).await
            })
        })
        .collect();
    for look_up in look_ups {
        assert_eq!(look_up.await.unwrap(), "secure: 5 mx.test.");
    }
    assert_eq!(trials(&world, RESOLVER), 3, "twice for the chain of trust, once for the one trial");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_begins_to_strip_is_replaced_by_the_other_one() {
    let world = World::with(example(), honest);
    world.set(ANOTHER, honest);
    let resolver = world.resolver(|options| options.servers = asking(&[RESOLVER, ANOTHER]));
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    advance(seconds(3600)).await;
    world.set(RESOLVER, changed(drop_signatures));
    world.set(ANOTHER, silent);
    let error = look_up(&resolver, "mx.test A").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus, "there is no other way");
    world.set(ANOTHER, honest);
    advance(seconds(61)).await;
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
}

#[tokio::test(start_paused = true)]
async fn missing_proofs_of_single_domains_lead_to_one_trial_a_minute() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    advance(seconds(61)).await;
    world.asked();
    let mut counts = Vec::new();
    for _ in 0..8 {
        // Its signatures are missing for good.
        assert_eq!(look_up(&resolver, "mx.flawed.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
        let probes = world
            .asked()
            .iter()
            .filter(|asked| {
                asked.question.name.label_count() == 1
                    && asked.question.rtype == Rtype::DS
                    && asked.question.name != name("test")
            })
            .count();
        counts.push(usize::from(probes > 0));
        advance(seconds(31)).await;
    }
    assert_eq!(counts, [1, 0, 1, 0, 1, 0, 1, 0]);
    assert_eq!(resolver.way().await, Ok((Active::Validate, None)), "and it goes on as before");
}

#[tokio::test(start_paused = true)]
async fn wrong_signatures_are_no_reason_for_a_trial() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    told(&resolver, "mx.test A").await;
    advance(seconds(61)).await;
    world.asked();
    for question in ["flawed.test MX", "mx.flawed.test AAAA"] {
        assert_eq!(look_up(&resolver, question).await.unwrap_err().kind, LookupErrorKind::Bogus);
    }
    assert_eq!(trials(&world, RESOLVER), 0);
}

#[tokio::test(start_paused = true)]
async fn a_trial_takes_its_time_whatever_the_asker_has_left() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|options| {
        automatic(options);
        options.patience = Duration::from_millis(5500);
    });
    told(&resolver, "mx.test A").await;
    advance(seconds(3600)).await;
    // Answers about one name come late and without proofs. When that is known, there is little time left.
    world.delay("mx.test", Duration::from_millis(1400));
    world.delay(".", Duration::from_millis(300));
    for _ in 0..2 {
        world.once("mx.test A", drop_signatures);
    }
    world.asked();
    let start = Instant::now();
    assert_eq!(look_up(&resolver, "mx.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
    assert!(start.elapsed() > seconds(5), "{:?}", start.elapsed());
    assert_eq!(trials(&world, RESOLVER), 2, "for the chain of trust, and for the trial");
    assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_the_resolver_gets_another_chance() {
    let world = World::with(example(), changed(drop_signatures));
    let resolver = world.resolver(automatic);
    assert_eq!(resolver.way().await.unwrap().0, Active::Recurse);
    world.set(RESOLVER, honest);
    advance(seconds(3590)).await;
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    assert_eq!(trials(&world, RESOLVER), 1, "the first one");
    advance(seconds(10)).await;
    told(&resolver, "mx.hashed.test A").await;
    assert_eq!(trials(&world, RESOLVER), 1);
    assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_resolv_conf_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {RESOLVER}\n")).unwrap();
    let world = World::with(example(), honest);
    world.set(ANOTHER, honest);
    let resolver = world.resolver(|options| {
        automatic(options);
        options.servers = Servers::ResolvConf(file.clone());
    });
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    let maintained = resolver.clone();
    let maintenance = tokio::spawn(async move { maintained.maintain().await });
    sleep(seconds(31)).await;
    world.asked();
    told(&resolver, "mx.test A").await;
    assert_eq!(world.asked().len(), 0, "nothing has changed");

    fs::write(&file, format!("# moved\nnameserver {ANOTHER}\n")).unwrap();
    sleep(seconds(31)).await;
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    let asked = world.asked();
    assert!(asked.iter().any(|asked| asked.what() == "mx.test. A"), "what was known is forgotten");
    let another = servers(&[ANOTHER])[0].ip();
    assert!(asked.iter().all(|asked| asked.server == another), "{asked:?}");
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn without_resolv_conf_names_are_resolved_from_the_root_until_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    let world = World::with(example(), honest);
    let resolver = world.resolver(|options| {
        automatic(options);
        options.servers = Servers::ResolvConf(file.clone());
    });
    let (active, notice) = resolver.way().await.unwrap();
    assert_eq!(active, Active::Recurse);
    let text = notice.expect("it is said").to_string().replace(file.to_str().unwrap(), "FILE");
    insta::assert_snapshot!(text, @r#"cannot read FILE: No such file or directory (os error 2); names are resolved from the root servers instead (mode "recurse")"#);
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    let maintained = resolver.clone();
    let maintenance = tokio::spawn(async move { maintained.maintain().await });
    fs::write(&file, format!("nameserver {RESOLVER}\n")).unwrap();
    sleep(seconds(31)).await;
    assert_eq!(resolver.way().await, Ok((Active::Validate, None)));
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn without_resolv_conf_and_root_there_is_no_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("resolv.conf");
    let world = World::with(example(), honest);
    world.block_authorities();
    let mut texts = Vec::new();
    for mode in [DnsMode::Automatic, DnsMode::Validate, DnsMode::TrustAd, DnsMode::Unvalidated] {
        let resolver = world.resolver(|options| {
            options.mode = mode;
            options.servers = Servers::ResolvConf(file.clone());
        });
        let error = look_up(&resolver, "mx.test A").await.unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::NoResolver, "{mode:?}");
        texts.push(error.detail.replace(file.to_str().unwrap(), "FILE"));
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    cannot read FILE: No such file or directory (os error 2), and the root servers do not answer (the only root server did not answer: 198.51.100.1 timed out); name resolvers by `servers` in [dns], or allow port 53 to the internet, over UDP and TCP
    cannot read FILE: No such file or directory (os error 2); name resolvers by `servers` in [dns], or set mode = "recurse"
    cannot read FILE: No such file or directory (os error 2); name resolvers by `servers` in [dns], or set mode = "recurse"
    cannot read FILE: No such file or directory (os error 2); name resolvers by `servers` in [dns], or set mode = "recurse"
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_is_replaced_by_the_next_one_for_that_question() {
    let world = World::with(example(), honest);
    world.set(ANOTHER, honest);
    let resolver = world.resolver(|options| options.servers = asking(&[RESOLVER, ANOTHER]));
    resolver.way().await.unwrap();
    for behaviour in [0, 1] {
        match behaviour {
            0 => world.set(RESOLVER, saying(Rcode::SERVFAIL)),
            _ => world.set(RESOLVER, silent),
        }
        resolver.core.cache.clear();
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    }
}

#[tokio::test(start_paused = true)]
async fn reset_forgets_what_is_known_and_the_way() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    told(&resolver, "mx.test A").await;
    world.asked();
    resolver.reset();
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    assert_eq!(trials(&world, RESOLVER), 2);
}
