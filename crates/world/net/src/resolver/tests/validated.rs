//! Answers whose proofs are checked here.

use mailstead_dns::{LookupErrorKind, Message, Question, Rcode, Rtype};
use mailstead_dnssec::{Anchors, MOST_ITERATIONS};
use mailstead_testkit::{Flaw, START, SignedWorld, Vouching, ZonePlan};

use super::super::{DnsMode, TrustAnchors};
use super::world::*;

fn example() -> SignedWorld {
    SignedWorld::example().build()
}

#[tokio::test(start_paused = true)]
async fn secure_records_of_all_algorithms() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for (zone, mx) in [
        ("test", "secure: 10 mx.test., 20 mx.hashed.test."),
        ("hashed.test", "secure: 10 mx.hashed.test., 20 mx.hashed.test."),
        ("salted.test", "secure: 10 mx.salted.test., 20 mx.hashed.test."),
        ("optout.test", "secure: 10 mx.optout.test., 20 mx.hashed.test."),
        ("two.test", "secure: 10 mx.two.test., 20 mx.hashed.test."),
    ] {
        assert_eq!(told(&resolver, &format!("{zone} MX")).await, mx);
    }
    let tlsa = format!("secure: 3 1 1 {}", "0123456789abcdef".repeat(4));
    assert_eq!(told(&resolver, "_25._tcp.mx.salted.test TLSA").await, tlsa);
}

#[tokio::test(start_paused = true)]
async fn questions_set_cd_and_do_and_not_ad() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    told(&resolver, "absent.plain.test MX").await;
    let asked = world.asked();
    assert!(asked.len() > 4, "{asked:?}");
    for asked in asked {
        let flags = asked.asking.flags;
        assert!(flags.recursion_desired && flags.checking_disabled && flags.dnssec_ok, "{asked:?}");
        assert!(!flags.authentic_data && !flags.no_edns, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn unsigned_zones_are_insecure_and_need_no_reason() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    assert_eq!(told(&resolver, "host.plain.test A").await, "insecure: 192.0.2.1, 192.0.2.2");
    // Signed, but nobody vouches for it; signed below an unsigned one; left out by opt-out.
    assert_eq!(told(&resolver, "mx.island.test A").await, "insecure: 192.0.2.25");
    assert_eq!(told(&resolver, "mx.below.plain.test A").await, "insecure: 192.0.2.25");
    assert_eq!(told(&resolver, "mx.plain.optout.test A").await, "insecure: 192.0.2.25");
    assert_eq!(told(&resolver, "mx.deep.ent.optout.test A").await, "insecure: 192.0.2.25");
    assert_eq!(told(&resolver, "absent.plain.test A").await, "insecure: no such name");
    assert_eq!(told(&resolver, "host.plain.test MX").await, "insecure: no data");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_followed_is_insecure_and_says_why() {
    let many = ZonePlan::signed("many.test").nsec3(MOST_ITERATIONS + 1, b"").records("www A 192.0.2.1");
    let world = World::with(SignedWorld::example().zone(many).build(), honest);
    let resolver = world.resolver(|_| {});
    for (question, code, text) in [
        ("mx.unknown.test A", 1, "unknown.test. is signed with unsupported algorithms only: 200 (unknown)"),
        (
            "mx.digest.test A",
            2,
            "the parent of digest.test. vouches for it with unsupported digests only: 200 (unknown)",
        ),
        ("absent.many.test A", 27, "many.test. proves absence with 151 NSEC3 iterations, more than are followed"),
    ] {
        let answer = look_up(&resolver, question).await.unwrap();
        assert!(!answer.is_secure(), "{question}");
        let errors: Vec<_> = answer.extended_errors.iter().map(|error| (error.code, error.text.as_str())).collect();
        assert_eq!(errors, [(code, text)], "{question}");
    }
    assert_eq!(told(&resolver, "www.many.test A").await, "secure: 192.0.2.1", "for what is there no hash is needed");
}

#[tokio::test(start_paused = true)]
async fn bogus_says_which_record_and_why() {
    let zones = SignedWorld::example()
        .zone(ZonePlan::signed("mute.test").records("mx A 192.0.2.1").flaw("mx", Rtype::NSEC, Flaw::Missing))
        .zone(ZonePlan::signed("nozonekey.test").records("mx A 192.0.2.1").no_zone_keys())
        .zone(ZonePlan::signed("nozone.test").records("mx.other A 192.0.2.1").flaw(
            "mx.other",
            Rtype::A,
            Flaw::WrongSigner,
        ));
    let world = World::with(zones.build(), honest);
    let resolver = world.resolver(|_| {});
    for (question, code, words) in [
        ("flawed.test MX", 6, "the signature over the MX records of flawed.test. by key "),
        ("mx.flawed.test AAAA", 7, "the signature over the AAAA records of mx.flawed.test. expired 30 days ago"),
        ("mx.other.nozone.test A", 6, "signatures name the zone other.nozone.test., which does not exist"),
        ("mx.expired.test A", 7, "the signature over the DNSKEY records of expired.test. expired 30 days ago"),
        ("mx.early.test A", 8, "the signature over the DNSKEY records of early.test. is not valid for another 30 days"),
        ("www.flawed.test A", 9, "the CNAME records of www.flawed.test. are signed by key "),
        ("mx.otherds.test A", 9, "otherds.test. has none of the keys that its parent vouches for"),
        ("mx.wrongds.test A", 9, "wrongds.test. has none of the keys that its parent vouches for"),
        ("mx.revoked.test A", 9, "revoked.test. has none of the keys that its parent vouches for"),
        ("mx.nozonekey.test A", 9, "nozonekey.test. has none of the keys that its parent vouches for"),
        ("mx.nokeys.test A", 9, "nokeys.test. should be signed, but gives no keys"),
        ("mx.flawed.test A", 10, "the A records of mx.flawed.test. are not signed, but should be"),
        ("mx.mute.test MX", 12, "there is said to be no DS record of mx.mute.test., without proof"),
    ] {
        let error = look_up(&resolver, question).await.unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::Bogus, "{question}: {error}");
        assert!(error.detail.starts_with(words), "{question}: {error}");
        let errors: Vec<_> = error.extended_errors.iter().map(|error| error.code).collect();
        assert_eq!(errors, [code], "{question}: {error}");
        assert_eq!(error.extended_errors[0].text, error.detail, "{question}");
        assert_eq!(format!("{} {}", error.name, error.record_type), question);
    }
}

#[tokio::test(start_paused = true)]
async fn absence_without_proof_is_bogus() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for (question, words) in [
        ("host.test MX", "there is said to be no MX record of host.test., without proof"),
        ("absent.hashed.test A", "there is said to be no A record of absent.hashed.test., without proof"),
    ] {
        for _ in 0..2 {
            world.once(question, |message| message.authority.clear());
        }
        let error = look_up(&resolver, question).await.unwrap_err();
        assert_eq!((error.kind, error.detail.as_str()), (LookupErrorKind::Bogus, words));
        assert_eq!(error.extended_errors[0].code, 12);
    }
    // Below a name that is proved not to exist nobody need be asked for zones.
    for _ in 0..2 {
        world.once("a.b.c.absent.test A", |message| message.authority.clear());
    }
    assert_eq!(look_up(&resolver, "a.b.c.absent.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
    let log = world.log();
    assert!(log.contains(&"absent.test. DS".to_owned()) && !log.contains(&"c.absent.test. DS".to_owned()), "{log:?}");
    // Proof of something else.
    let other = world.zones().respond(&Question { name: name("b.absent.test"), rtype: Rtype::A }, true);
    for _ in 0..2 {
        let authority = other.authority.clone();
        world.once("mx.test MX", move |message| message.authority = authority);
    }
    let error = look_up(&resolver, "mx.test MX").await.unwrap_err();
    assert_eq!(error.detail, "there is said to be no MX record of mx.test., and the proof does not hold");
    assert_eq!(error.extended_errors[0].code, 6);
}

#[tokio::test(start_paused = true)]
async fn absence_is_proved_by_both_kinds_of_records() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for zone in ["test", "hashed.test", "salted.test", "two.test"] {
        assert_eq!(told(&resolver, &format!("absent.{zone} MX")).await, "secure: no such name");
        assert_eq!(told(&resolver, &format!("host.{zone} MX")).await, "secure: no data");
        // A name that only others below it make exist.
        assert_eq!(told(&resolver, &format!("b.c.{zone} MX")).await, "secure: no data");
    }
    // RFC 5155 §9.2: among opted-out delegations nobody knows.
    assert_eq!(told(&resolver, "absent.optout.test MX").await, "insecure: no such name");
    assert_eq!(told(&resolver, "host.optout.test MX").await, "secure: no data");
}

#[tokio::test(start_paused = true)]
async fn the_proof_counts_and_not_the_code() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    world.once("host.test MX", |message| message.rcode = Rcode::NXDOMAIN);
    assert_eq!(told(&resolver, "host.test MX").await, "secure: no data");
    world.once("absent.test MX", |message| message.rcode = Rcode::NOERROR);
    assert_eq!(told(&resolver, "absent.test MX").await, "secure: no such name");
}

#[tokio::test(start_paused = true)]
async fn aliases_lead_where_they_lead() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for (question, outcome) in [
        ("www.test A", "secure: => host.test; secure 192.0.2.1, 192.0.2.2"),
        ("twice.test A", "secure: => away.test => mx.hashed.test; secure 192.0.2.25"),
        ("outside.test A", "insecure: => host.plain.test; insecure 192.0.2.1, 192.0.2.2"),
        ("away.plain.test A", "insecure: -> mx.hashed.test; secure 192.0.2.25"),
        ("nowhere.test A", "secure: => absent.test; secure no such name"),
        ("www.test MX", "secure: => host.test; secure no data"),
        ("nowhere.plain.test A", "insecure: -> absent.plain.test; insecure no such name"),
        ("away.test CNAME", "secure: mx.hashed.test."),
    ] {
        assert_eq!(told(&resolver, question).await, outcome, "{question}");
    }
    let error = look_up(&resolver, "outside.flawed.test A").await;
    assert_eq!(tell(&error), "insecure: => host.plain.test; insecure 192.0.2.1, 192.0.2.2");
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_leads_to_something_bogus_is_bogus() {
    let zones = SignedWorld::example().zone(ZonePlan::signed("lead.test").records("to CNAME mx.flawed.test."));
    let world = World::with(zones.build(), honest);
    let error = look_up(&world.resolver(|_| {}), "to.lead.test A").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus);
    assert_eq!(error.detail, "the A records of mx.flawed.test. are not signed, but should be");
    assert_eq!(error.name, domain("to.lead.test"));
}

#[tokio::test(start_paused = true)]
async fn a_dname_makes_aliases_of_its_own_kind() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    assert_eq!(told(&resolver, "host.old.test A").await, "secure: dname => host.new.test; secure 192.0.2.6");
    assert_eq!(told(&resolver, "mx.far.test A").await, "secure: dname => mx.salted.test; secure 192.0.2.25");
    assert_eq!(told(&resolver, "x.old.test A").await, "secure: dname => x.new.test; secure no such name");
    assert_eq!(
        told(&resolver, "host.old.plain.test A").await,
        "insecure: dname -> host.new.plain.test; insecure 192.0.2.6"
    );
    assert_eq!(told(&resolver, "host.old.test CNAME").await, "secure: host.new.test.");
    // The name that it would make is too long (RFC 6672 §2.2).
    let label = "x".repeat(61);
    let long = format!("{label}.{label}.{label}.long.test A");
    assert_eq!(look_up(&resolver, &long).await.unwrap_err().kind, LookupErrorKind::Bogus);
}

#[tokio::test(start_paused = true)]
async fn a_dname_whose_alias_says_something_else_is_bogus() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for _ in 0..2 {
        world.once("host.old.test A", |message| {
            let cname = message.answer.iter_mut().find(|set| set.rtype == Rtype::CNAME).unwrap();
            cname.data = vec![name("mx.test").as_wire().into()];
        });
    }
    let error = look_up(&resolver, "host.old.test A").await.unwrap_err();
    assert_eq!(error.detail, "host.old.test. is an alias of another name than its DNAME record says");
}

#[tokio::test(start_paused = true)]
async fn wildcards_come_with_proof_that_they_may_stand_for_the_name() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for zone in ["test", "hashed.test", "salted.test"] {
        let text = format!("secure: 5 mx.{zone}.");
        assert_eq!(told(&resolver, &format!("any.wild.{zone} MX")).await, text);
        assert_eq!(told(&resolver, &format!("any.wild.{zone} A")).await, "secure: no data");
        assert_eq!(
            told(&resolver, &format!("any.many.{zone} A")).await,
            format!("secure: => mx.{zone}; secure 192.0.2.25")
        );
    }
    let without_proof = |message: &mut Message| message.authority.clear();
    for _ in 0..2 {
        world.once("other.wild.test MX", without_proof);
    }
    let error = look_up(&resolver, "other.wild.test MX").await.unwrap_err();
    assert_eq!(error.extended_errors[0].code, 12);
    assert!(error.detail.contains("other.wild.test. come from a wildcard, without proof"), "{error}");
    // A wildcard's records, with its genuine proof, for a name that has records of its own.
    let stolen = world.zones().respond(&Question { name: name("any.wild.test"), rtype: Rtype::TXT }, true);
    for _ in 0..2 {
        let stolen = stolen.clone();
        world.once("host.wild.test TXT", move |message| {
            (message.answer, message.authority) = (stolen.answer, stolen.authority);
            message.answer[0].owner = name("host.wild.test");
        });
    }
    let error = look_up(&resolver, "host.wild.test TXT").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_follows_no_aliases_is_asked_for_each() {
    let first_only = changed(|message| {
        if message.answer.len() > 1 {
            let first = message.question.name.clone();
            message.answer.retain(|set| set.owner == first);
            message.authority.clear();
            message.rcode = Rcode::NOERROR;
        }
    });
    let world = World::with(example(), move |world, question, asking| first_only(world, question, asking));
    let resolver = world.resolver(|_| {});
    assert_eq!(told(&resolver, "twice.test A").await, "secure: => away.test => mx.hashed.test; secure 192.0.2.25");
    let log = world.log();
    assert!(["twice.test. A", "away.test. A", "mx.hashed.test. A"].iter().all(|text| log.contains(&(*text).into())));
}

#[tokio::test(start_paused = true)]
async fn aliases_of_one_answer_cost_one_question() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    told(&resolver, "twice.test A").await;
    let log = world.log();
    assert_eq!(log.iter().filter(|text| text.ends_with(" A")).count(), 1, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn without_anchors_everything_is_insecure() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|options| options.anchors = TrustAnchors::Fixed(Anchors::default()));
    assert_eq!(told(&resolver, "host.test A").await, "insecure: 192.0.2.1, 192.0.2.2");
    assert_eq!(told(&resolver, "flawed.test MX").await, "insecure: 10 mx.flawed.test., 20 mx.hashed.test.");
}

#[tokio::test(start_paused = true)]
async fn negative_anchors_excuse_their_zone_until_they_end() {
    let world = World::with(example(), honest);
    let resolver =
        world.resolver(|options| options.negative_anchors = vec![(name("flawed.test"), START as u64 + 3600)]);
    assert_eq!(told(&resolver, "flawed.test MX").await, "insecure: 10 mx.flawed.test., 20 mx.hashed.test.");
    assert_eq!(told(&resolver, "test MX").await, "secure: 10 mx.test., 20 mx.hashed.test.");
    tokio::time::advance(std::time::Duration::from_secs(3600)).await;
    assert_eq!(look_up(&resolver, "flawed.test MX").await.unwrap_err().kind, LookupErrorKind::Bogus);
}

#[tokio::test(start_paused = true)]
async fn a_zone_can_be_trusted_by_an_anchor_of_its_own() {
    let zones = example();
    let anchors = Anchors::parse(&zones.entry_keys_text(&name("island.test"))).unwrap();
    let world = World::with(zones, honest);
    let resolver = world.resolver(|options| options.anchors = TrustAnchors::Fixed(anchors));
    assert_eq!(told(&resolver, "mx.island.test A").await, "secure: 192.0.2.25");
    assert_eq!(told(&resolver, "mx.test A").await, "insecure: 192.0.2.25");
}

#[tokio::test(start_paused = true)]
async fn what_the_parent_leaves_open_counts_for_nothing_below_an_anchor() {
    let island = ZonePlan::signed("isle.optout.test").records("mx A 192.0.2.25\n*.wild A 192.0.2.4");
    let zones = SignedWorld::example().zone(island.vouching(Vouching::Absent)).build();
    let text = zones.anchor_text() + &zones.entry_keys_text(&name("isle.optout.test"));
    let anchors = Anchors::parse(&text).unwrap();
    // That among unsigned delegations nobody knows (RFC 5155 §9.2) is genuine, and no answer.
    let open = zones.respond(&question("isle.optout.test DS"), true);
    let world = World::with(zones, honest);
    let resolver = world.resolver(|options| options.anchors = TrustAnchors::Fixed(anchors));
    assert_eq!(told(&resolver, "mx.isle.optout.test A").await, "secure: 192.0.2.25");
    assert_eq!(told(&resolver, "mx.optout.test A").await, "secure: 192.0.2.25");
    assert_eq!(told(&resolver, "isle.optout.test DS").await, "insecure: no data", "this is the parent's");
    for rcode in [Rcode::NXDOMAIN, Rcode::NOERROR] {
        resolver.core.cache.clear();
        for _ in 0..2 {
            let authority = open.authority.clone();
            world.once("mx.isle.optout.test A", move |message| {
                empty(message, rcode);
                message.authority = authority;
            });
        }
        let error = look_up(&resolver, "mx.isle.optout.test A").await.expect_err("it is secure or nothing");
        assert_eq!(error.kind, LookupErrorKind::Bogus);
    }
}

#[tokio::test(start_paused = true)]
async fn the_authorities_say_the_same_without_a_resolver() {
    let world = World::new(example());
    let resolver = world.resolver(|options| options.mode = DnsMode::Recurse);
    for (question, outcome) in [
        ("test MX", "secure: 10 mx.test., 20 mx.hashed.test."),
        ("twice.test A", "secure: => away.test => mx.hashed.test; secure 192.0.2.25"),
        ("outside.test A", "insecure: => host.plain.test; insecure 192.0.2.1, 192.0.2.2"),
        ("mx.far.test A", "secure: dname => mx.salted.test; secure 192.0.2.25"),
        ("any.wild.hashed.test MX", "secure: 5 mx.hashed.test."),
        ("absent.salted.test A", "secure: no such name"),
        ("mx.deep.ent.optout.test A", "insecure: 192.0.2.25"),
        ("mx.unknown.test A", "insecure: 192.0.2.25 (1)"),
        ("loop.test A", "too many aliases: at loop.test."),
    ] {
        assert_eq!(told(&resolver, question).await, outcome, "{question}");
    }
    let error = look_up(&resolver, "mx.expired.test A").await.unwrap_err();
    assert_eq!((error.kind, error.extended_errors[0].code), (LookupErrorKind::Bogus, 7));
}
