//! What is kept, for how long, and within which bound.

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{ExtendedError, LookupError, LookupErrorKind, Rcode, RecordType, RrSet, Rtype};
use mailstead_dnssec::{CLOCK_GRACE, Content, Insecure};
use mailstead_testkit::{START, SignedWorld, Window, ZonePlan};
use tokio::time::{Instant, advance};

use super::super::chain::Cut;
use super::super::link::{Evidence, Link};
use super::super::upstream::FetchError;
use super::super::{DnsMode, DnsResolver};
use super::world::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn zones() -> SignedWorld {
    SignedWorld::builder()
        .zone(ZonePlan::signed("test").records(
            "@ 3600 SOA ns ns 1 3600 600 86400 60\nwww 120 A 192.0.2.1\nzero 0 A 192.0.2.2\nweek 604800 A 192.0.2.3\n\
             one 30 CNAME hub\ntwo CNAME hub\nhub 100 CNAME end\nend 200 A 192.0.2.4\nend MX 10 end\n\
             fleeting 0 CNAME www\nspoilt A 192.0.2.5\nto CNAME spoilt\nthere CNAME spoilt",
        ))
        .zone(
            ZonePlan::signed("soon.test")
                .window(Window { expiration: START as u32 + 1000, ..Window::VALID })
                .records("www 3600 A 192.0.2.1"),
        )
        .zone(ZonePlan::signed("long.test").records("@ 86400 SOA ns ns 1 3600 600 86400 86400\nwww A 192.0.2.1"))
        .zone(ZonePlan::signed("brief.test").records("@ 20 SOA ns ns 1 3600 600 86400 3600\nwww A 192.0.2.1"))
        .build()
}

/// A world with a resolver that has been tried already.
async fn tried() -> (Arc<World>, DnsResolver) {
    let world = World::with(zones(), honest);
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    world.asked();
    (world, resolver)
}

/// The time to live of an answer, and whether anybody was asked for it.
async fn ttl(world: &World, resolver: &DnsResolver, text: &str) -> (u64, bool) {
    world.asked();
    let answer = look_up(resolver, text).await.unwrap();
    (answer.ttl.as_secs(), !world.asked().is_empty())
}

#[tokio::test(start_paused = true)]
async fn records_are_kept_as_long_as_they_live() {
    let (world, resolver) = tried().await;
    assert_eq!(ttl(&world, &resolver, "www.test A").await, (120, true));
    advance(seconds(20)).await;
    assert_eq!(ttl(&world, &resolver, "www.test A").await, (100, false));
    advance(seconds(99)).await;
    assert_eq!(ttl(&world, &resolver, "www.test A").await, (1, false));
    advance(seconds(1)).await;
    assert_eq!(ttl(&world, &resolver, "www.test A").await, (120, true));
}

#[tokio::test(start_paused = true)]
async fn records_are_not_kept_beyond_their_signature() {
    let (world, resolver) = tried().await;
    let left = 1000 + u64::from(CLOCK_GRACE);
    assert_eq!(ttl(&world, &resolver, "www.soon.test A").await, (left, true));
    advance(seconds(left - 1)).await;
    assert_eq!(ttl(&world, &resolver, "www.soon.test A").await, (1, false));
    advance(seconds(2)).await;
    let error = look_up(&resolver, "www.soon.test A").await.unwrap_err();
    assert_eq!((error.kind, error.extended_errors[0].code), (LookupErrorKind::Bogus, 7));
}

#[tokio::test(start_paused = true)]
async fn absence_is_kept_as_long_as_the_soa_says() {
    let (world, resolver) = tried().await;
    // RFC 2308 §5: the lesser of its last field and its own time to live.
    for (question, lives) in [("absent.test A", 60), ("www.test MX", 60), ("absent.brief.test A", 20)] {
        assert_eq!(ttl(&world, &resolver, question).await, (lives, true));
        advance(seconds(lives - 1)).await;
        assert_eq!(ttl(&world, &resolver, question).await, (1, false));
        advance(seconds(1)).await;
        assert_eq!(ttl(&world, &resolver, question).await, (lives, true));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_longer_than_a_day_and_absence_not_for_longer_than_three_hours() {
    let (world, resolver) = tried().await;
    assert_eq!(ttl(&world, &resolver, "week.test A").await, (86_400, true));
    assert_eq!(ttl(&world, &resolver, "absent.long.test A").await, (3 * 3600, true));
    advance(seconds(3 * 3600)).await;
    assert_eq!(ttl(&world, &resolver, "absent.long.test A").await, (3 * 3600, true));
    assert_eq!(ttl(&world, &resolver, "week.test A").await, (86_400 - 3 * 3600, false));
    advance(seconds(86_400 - 3 * 3600)).await;
    assert_eq!(ttl(&world, &resolver, "week.test A").await, (86_400, true));
}

#[tokio::test(start_paused = true)]
async fn what_lives_for_no_time_is_not_kept() {
    let (world, resolver) = tried().await;
    for _ in 0..2 {
        assert_eq!(ttl(&world, &resolver, "zero.test A").await, (0, true));
        assert_eq!(ttl(&world, &resolver, "fleeting.test A").await, (0, true));
    }
    // Without SOA absence is not kept either (RFC 2308 §5).
    world.set(RESOLVER, changed(|message| message.authority.clear()));
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    for _ in 0..2 {
        assert_eq!(ttl(&world, &resolver, "absent.test A").await, (0, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_exist_has_no_records_of_any_type() {
    let (world, resolver) = tried().await;
    told(&resolver, "absent.test A").await;
    world.asked();
    for record_type in RecordType::all() {
        assert_eq!(told(&resolver, &format!("absent.test {record_type}")).await, "secure: no such name");
    }
    assert_eq!(world.asked().len(), 0);
    // A name without records of one type may have others.
    told(&resolver, "www.test MX").await;
    assert_eq!(told(&resolver, "www.test A").await, "secure: 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_kept_once_for_all_who_lead_to_it_and_for_all_types() {
    let (world, resolver) = tried().await;
    told(&resolver, "one.test A").await;
    let entries = resolver.statistics().cache_entries;
    world.asked();
    assert_eq!(told(&resolver, "two.test A").await, "secure: => hub.test => end.test; secure 192.0.2.4");
    assert_eq!(resolver.statistics().cache_entries, entries + 1);
    assert_eq!(world.log(), ["two.test. A"]);
    assert_eq!(told(&resolver, "one.test MX").await, "secure: => hub.test => end.test; secure 10 end.test.");
    assert_eq!(world.log(), ["end.test. MX"]);
    assert_eq!(told(&resolver, "hub.test A").await, "secure: => end.test; secure 192.0.2.4");
    assert_eq!(world.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_step_has_its_own_life() {
    let (world, resolver) = tried().await;
    assert_eq!(ttl(&world, &resolver, "one.test A").await, (30, true));
    assert_eq!(ttl(&world, &resolver, "hub.test A").await, (100, false));
    advance(seconds(30)).await;
    assert_eq!(ttl(&world, &resolver, "end.test A").await, (170, false));
    assert_eq!(ttl(&world, &resolver, "one.test A").await, (30, true));
    assert_eq!(ttl(&world, &resolver, "hub.test A").await, (70, false), "this answer was not needed for it");
}

#[tokio::test(start_paused = true)]
async fn an_alias_itself_can_be_asked_for_before_and_after_it_is_followed() {
    let (world, resolver) = tried().await;
    told(&resolver, "one.test A").await;
    assert_eq!(told(&resolver, "one.test CNAME").await, "secure: hub.test.");
    world.asked();
    assert_eq!(told(&resolver, "one.test CNAME").await, "secure: hub.test.");
    assert_eq!(told(&resolver, "one.test A").await, "secure: => hub.test => end.test; secure 192.0.2.4");
    assert_eq!(world.asked().len(), 0);
    assert_eq!(told(&resolver, "two.test CNAME").await, "secure: hub.test.");
    assert_eq!(told(&resolver, "two.test A").await, "secure: => hub.test => end.test; secure 192.0.2.4");
}

#[tokio::test(start_paused = true)]
async fn failures_are_kept_for_five_seconds() {
    let (world, resolver) = tried().await;
    let kinds = [LookupErrorKind::ServerFailure, LookupErrorKind::Refused, LookupErrorKind::Timeout];
    for kind in kinds {
        match kind {
            LookupErrorKind::ServerFailure => world.set(RESOLVER, saying(Rcode::SERVFAIL)),
            LookupErrorKind::Refused => world.set(RESOLVER, saying(Rcode::REFUSED)),
            _ => world.set(RESOLVER, silent),
        }
        assert_eq!(look_up(&resolver, "www.test A").await.unwrap_err().kind, kind);
        // It will not help.
        world.set(RESOLVER, honest);
        world.asked();
        advance(Duration::from_millis(4999)).await;
        assert_eq!(look_up(&resolver, "www.test A").await.unwrap_err().kind, kind);
        assert_eq!(world.asked().len(), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(told(&resolver, "www.test A").await, "secure: 192.0.2.1");
        resolver.core.cache.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn failed_validation_is_kept_for_thirty_seconds_and_for_all_who_lead_to_it() {
    let (world, resolver) = tried().await;
    for _ in 0..2 {
        world.once("to.test A", |message| {
            message.answer.iter_mut().filter(|set| set.rtype == Rtype::A).for_each(|set| set.signatures.clear());
        });
        world.once("spoilt.test A", spoil_signatures);
    }
    assert_eq!(look_up(&resolver, "to.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
    world.asked();
    advance(Duration::from_millis(29_999)).await;
    for asked in ["spoilt.test", "to.test"] {
        let error = look_up(&resolver, &format!("{asked} A")).await.unwrap_err();
        assert_eq!((error.kind, &error.name), (LookupErrorKind::Bogus, &domain(asked)));
    }
    assert_eq!(world.asked().len(), 0);
    let error = look_up(&resolver, "there.test A").await.unwrap_err();
    assert_eq!((error.kind, &error.name), (LookupErrorKind::Bogus, &domain("there.test")));
    assert_eq!(world.log(), ["there.test. A"]);
    advance(Duration::from_millis(1)).await;
    assert_eq!(told(&resolver, "spoilt.test A").await, "secure: 192.0.2.5");
}

fn link(content: Content) -> Link {
    Link { content, evidence: Evidence::Insecure(Insecure::NoAnchor), ttl: 300, remarks: Vec::new() }
}

fn records(owner: &str, data: Vec<Box<[u8]>>) -> Link {
    let set = RrSet { owner: name(owner), rtype: Rtype::A, ttl: 300, data, signatures: Vec::new() };
    link(Content::Records(set))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_names_take_no_more_memory_than_allowed() {
    const LIMIT: u64 = 2 << 20;
    let world = World::with(zones(), honest);
    let resolver = world.resolver(|options| options.cache_octets = LIMIT);
    let (cache, now) = (&resolver.core.cache, Instant::now());
    let mut most = 0;
    for number in 0..100_000_u32 {
        let owner = format!("host-{number}.example.org");
        match number % 4 {
            0 => cache.keep_cut(&name(&owner), Cut::SameZone, seconds(300), now),
            1 => {
                let error = LookupError::new(LookupErrorKind::Bogus, &domain(&owner), RecordType::A);
                cache.keep_failure(&name(&owner), Rtype::A, error, seconds(30), now);
            }
            _ => {
                let address = number.to_be_bytes();
                cache.keep_link(&name(&owner), Rtype::A, records(&owner, vec![address.into()]), now);
            }
        }
        if number % 100 == 0 {
            most = most.max(resolver.statistics().cache_octets);
        }
    }
    let statistics = resolver.statistics();
    assert!(most <= LIMIT && most > LIMIT / 2, "{most}");
    assert!((3_000..7_000).contains(&statistics.cache_entries), "{statistics:?}");
    assert!(cache.link(&name("host-99999.example.org"), Rtype::A, now).is_some(), "the last one is there");
}

#[tokio::test(start_paused = true)]
async fn look_ups_of_many_names_evict_and_go_on() {
    const LIMIT: u64 = 256 << 10;
    let zones = zones().to_builder().zone(ZonePlan::unsigned("plain.test").records("* A 192.0.2.1"));
    let world = World::with(zones.build(), honest);
    let resolver = world.resolver(|options| {
        options.mode = DnsMode::Unvalidated;
        options.cache_octets = LIMIT;
    });
    for number in 0..2_000 {
        assert_eq!(told(&resolver, &format!("x{number}.plain.test A")).await, "insecure: 192.0.2.1");
        assert!(resolver.statistics().cache_octets <= LIMIT);
    }
    assert!(resolver.statistics().cache_entries < 1_000);
    assert_eq!(world.asked().len(), 2_000);
    for number in 0..2_000 {
        assert_eq!(told(&resolver, &format!("x{number}.plain.test A")).await, "insecure: 192.0.2.1");
    }
    assert!(world.asked().len() > 1_000, "most had been evicted");
}

#[tokio::test(start_paused = true)]
async fn everything_that_others_may_fill_counts() {
    let world = World::with(zones(), honest);
    let resolver = world.resolver(|_| {});
    let (cache, now) = (&resolver.core.cache, Instant::now());
    let mut before = 0;
    let mut grown = || {
        let octets = resolver.statistics().cache_octets;
        octets - std::mem::replace(&mut before, octets)
    };
    cache.keep_link(&name("a.test"), Rtype::A, records("a.test", vec![[0; 60_000].into()]), now);
    assert!(grown() > 60_000);
    let many = (0..3_000_u32).map(|number| number.to_be_bytes().into()).collect();
    cache.keep_link(&name("b.test"), Rtype::A, records("b.test", many), now);
    assert!(grown() > 3_000 * 20);
    let remark = |text: usize| ExtendedError { code: 15, text: "x".repeat(text) };
    let remarked = Link { remarks: vec![remark(500); 8], ..records("c.test", vec![[0; 4].into()]) };
    cache.keep_link(&name("c.test"), Rtype::A, remarked, now);
    assert!(grown() > 4_000);
    let mut error = LookupError::new(LookupErrorKind::Bogus, &domain("d.test"), RecordType::A);
    error.extended_errors = vec![remark(500); 8];
    cache.keep_failure(&name("d.test"), Rtype::A, error, seconds(30), now);
    assert!(grown() > 4_000);
    let mut error = FetchError::new(LookupErrorKind::Timeout, "x".repeat(1_000));
    error.extended_errors = vec![remark(500); 8];
    cache.keep_cut(&name("e.test"), Cut::Unknown(error), seconds(5), now);
    assert!(grown() > 5_000);
}
