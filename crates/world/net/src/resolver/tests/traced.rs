//! How an answer came about.

use mailstead_dns::LookupErrorKind;
use mailstead_dnssec::{Bogus, Insecure};
use mailstead_testkit::{START, SignedWorld};

use super::super::{Active, DnsMode, DnsResolver, Evidence, Trace, ZoneFinding, ZoneTrace};
use super::world::*;

async fn trace(resolver: &DnsResolver, text: &str) -> Trace {
    let question = question(text);
    resolver.trace(&question.name.to_domain().unwrap(), question.rtype.record_type().unwrap()).await
}

/// Zones as `apex signed` and so on.
fn findings(zones: &[ZoneTrace]) -> Vec<String> {
    let word = |finding: &ZoneFinding| match finding {
        ZoneFinding::Signed(keys) => format!("signed by {}", keys.vouched.len()),
        ZoneFinding::Insecure(reason) => format!("insecure: {reason}"),
        ZoneFinding::Bogus(reason) => format!("bogus: {reason}"),
        ZoneFinding::Unknown(reason) => format!("unknown: {reason}"),
    };
    zones.iter().map(|zone| format!("{} {}", zone.zone, word(&zone.finding))).collect()
}

fn example() -> SignedWorld {
    SignedWorld::example().build()
}

#[tokio::test(start_paused = true)]
async fn a_secure_answer_shows_the_zones_from_the_anchor_on() {
    for mode in [DnsMode::Validate, DnsMode::Recurse] {
        let world = World::with(example(), honest);
        let trace = trace(&world.resolver(|options| options.mode = mode), "mx.two.test A").await;
        assert_eq!(trace.active, Some(if mode == DnsMode::Validate { Active::Validate } else { Active::Recurse }));
        assert_eq!(tell(&trace.outcome), "secure: 192.0.2.25");
        let [step] = trace.steps.as_slice() else { panic!("{trace:?}") };
        assert_eq!(step.name, name("mx.two.test"));
        assert_eq!(findings(&step.zones), [". signed by 1", "test. signed by 1", "two.test. signed by 2"]);
        let Evidence::Proved { zone, signed: Some(signed) } = &step.evidence else { panic!("{:?}", step.evidence) };
        assert_eq!((zone, &signed.zone), (&name("two.test"), &name("two.test")));
        assert_eq!(step.evidence.to_string(), "signed by two.test.");
        assert!(trace.failed_at.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_insecure_answer_shows_where_trust_ends_and_why() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    for (question, end) in [
        ("mx.plain.test A", "plain.test. insecure: plain.test. is not signed"),
        ("mx.below.plain.test A", "plain.test. insecure: plain.test. is not signed"),
        (
            "mx.unknown.test A",
            "unknown.test. insecure: unknown.test. is signed with unsupported algorithms only: 200 (unknown)",
        ),
    ] {
        let trace = trace(&resolver, question).await;
        let [step] = trace.steps.as_slice() else { panic!("{trace:?}") };
        assert_eq!(findings(&step.zones), [". signed by 1", "test. signed by 1", end]);
        assert!(matches!(step.evidence, Evidence::Insecure(_)), "{:?}", step.evidence);
        assert!(trace.outcome.is_ok_and(|answer| !answer.is_secure()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bogus_answer_shows_the_zones_where_it_ended() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    let at_zone = trace(&resolver, "mx.expired.test A").await;
    assert!(at_zone.steps.is_empty());
    let expired = "expired.test. bogus: the signature over the DNSKEY records of expired.test. expired 30 days ago";
    assert_eq!(findings(&at_zone.failed_at), [". signed by 1", "test. signed by 1", expired]);
    assert!(matches!(&at_zone.failed_at[2].finding, ZoneFinding::Bogus(Bogus::Signature { .. })));
    assert_eq!(at_zone.outcome.unwrap_err().kind, LookupErrorKind::Bogus);
    // The zone is well, its record is not.
    let at_record = trace(&resolver, "mx.flawed.test A").await;
    assert_eq!(findings(&at_record.failed_at), [". signed by 1", "test. signed by 1", "flawed.test. signed by 1"]);
    assert_eq!(at_record.outcome.unwrap_err().kind, LookupErrorKind::Bogus);
}

#[tokio::test(start_paused = true)]
async fn each_alias_is_a_step_with_zones_of_its_own() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    let trace = trace(&resolver, "away.plain.test A").await;
    let [alias, end] = trace.steps.as_slice() else { panic!("{trace:?}") };
    assert_eq!((&alias.name, &end.name), (&name("away.plain.test"), &name("mx.hashed.test")));
    assert_eq!(findings(&alias.zones)[2], "plain.test. insecure: plain.test. is not signed");
    assert_eq!(findings(&end.zones)[2], "hashed.test. signed by 1");
    assert_eq!(tell(&trace.outcome), "insecure: -> mx.hashed.test; secure 192.0.2.25");
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_leads_to_something_bogus_shows_both() {
    let zones = SignedWorld::example()
        .zone(mailstead_testkit::ZonePlan::signed("lead.test").records("to CNAME mx.expired.test."));
    let world = World::with(zones.build(), honest);
    let trace = trace(&world.resolver(|_| {}), "to.lead.test A").await;
    assert_eq!(trace.steps.len(), 1);
    assert_eq!(findings(&trace.steps[0].zones)[2], "lead.test. signed by 1");
    assert!(findings(&trace.failed_at)[2].starts_with("expired.test. bogus"));
}

#[tokio::test(start_paused = true)]
async fn absence_is_a_step_too() {
    let world = World::with(example(), honest);
    let trace = trace(&world.resolver(|_| {}), "absent.hashed.test A").await;
    let [step] = trace.steps.as_slice() else { panic!("{trace:?}") };
    assert_eq!(step.evidence, Evidence::Proved { zone: name("hashed.test"), signed: None });
    assert_eq!(findings(&step.zones).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_excuses_is_shown_as_that() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|options| options.negative_anchors = vec![(name("test"), START as u64 + 3600)]);
    let trace = trace(&resolver, "mx.test A").await;
    assert_eq!(findings(&trace.steps[0].zones), ["test. insecure: test. is configured not to be validated"]);
    assert_eq!(trace.steps[0].evidence, Evidence::Insecure(Insecure::NegativeAnchor { zone: name("test") }));
}

#[tokio::test(start_paused = true)]
async fn where_somebody_else_validates_there_are_no_zones() {
    let world = World::new(example());
    world.set(LOCAL, validating(Explains::Why));
    let resolver = world.resolver(|options| {
        options.mode = DnsMode::TrustAd;
        options.servers = asking(&[LOCAL]);
    });
    let trace = trace(&resolver, "outside.test A").await;
    assert_eq!(trace.active, Some(Active::TrustAd));
    let evidence: Vec<_> = trace.steps.iter().map(|step| (&step.evidence, step.zones.len())).collect();
    assert_eq!(evidence, [(&Evidence::Vouched, 0), (&Evidence::NotVouched, 0)]);
    assert!(world.asked().iter().all(|asked| !asked.what().contains("DNSKEY")));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_way_there_is_nothing_but_the_reason() {
    let world = World::with(example(), silent);
    let trace = trace(&world.resolver(|_| {}), "mx.test A").await;
    assert!(trace.active.is_none() && trace.steps.is_empty() && trace.failed_at.is_empty());
    assert_eq!(trace.outcome.unwrap_err().kind, LookupErrorKind::NoResolver);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_known_now_is_said() {
    let world = World::with(example(), honest);
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    world.once("hashed.test DNSKEY", |message| empty(message, mailstead_dns::Rcode::SERVFAIL));
    let trace = trace(&resolver, "mx.hashed.test A").await;
    assert_eq!(trace.outcome.unwrap_err().kind, LookupErrorKind::ServerFailure);
    let end = "hashed.test. unknown: server failure: 192.0.2.53 says SERVFAIL";
    assert_eq!(findings(&trace.failed_at), [". signed by 1", "test. signed by 1", end]);
}
