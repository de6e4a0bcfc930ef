//! Many askers at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::LookupErrorKind;
use mailstead_testkit::SignedWorld;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::core::{MOST_LOOKUPS, Outcome};
use super::super::{DnsMode, DnsResolver};
use super::world::*;

fn spawn(resolver: &DnsResolver, text: String) -> JoinHandle<Outcome> {
    let resolver = resolver.clone();
    tokio::spawn(async move { look_up(&resolver, &text).await })
}

/// A world whose every answer takes a tenth of a second.
fn world() -> Arc<World> {
    let world = World::with(SignedWorld::example().build(), honest);
    world.delay(".", Duration::from_millis(100));
    world
}

fn sorted(mut log: Vec<String>) -> Vec<String> {
    log.sort();
    log
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_want_the_same_cause_the_questions_of_one() {
    for mode in [DnsMode::Validate, DnsMode::Recurse, DnsMode::Unvalidated] {
        let world = world();
        let one = world.resolver(|options| options.mode = mode);
        one.way().await.unwrap();
        world.asked();
        assert!(look_up(&one, "absent.salted.test MX").await.is_ok());
        let expected = sorted(world.log());
        let resolver = world.resolver(|options| options.mode = mode);
        resolver.way().await.unwrap();
        world.asked();
        let crowd: Vec<_> = (0..100).map(|_| spawn(&resolver, "absent.salted.test MX".into())).collect();
        for asker in crowd {
            assert!(tell(&asker.await.unwrap()).ends_with("secure: no such name"));
        }
        assert_eq!(sorted(world.log()), expected, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_names_of_a_zone_need_its_chain_of_trust_once() {
    let world = world();
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    world.asked();
    let crowd: Vec<_> = (0..100).map(|number| spawn(&resolver, format!("x{number}.wild.hashed.test MX"))).collect();
    for asker in crowd {
        assert_eq!(tell(&asker.await.unwrap()), "secure: 5 mx.hashed.test.");
    }
    let mut counts = HashMap::new();
    for text in world.log() {
        *counts.entry(text).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert_eq!(counts.len(), 100 + 5, "keys of three zones, DS records of two");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_takes_nothing_from_the_others() {
    let world = world();
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    let first = spawn(&resolver, "mx.test A".into());
    sleep(Duration::from_millis(50)).await;
    let second = spawn(&resolver, "mx.test A".into());
    sleep(Duration::from_millis(150)).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(tell(&second.await.unwrap()), "secure: 192.0.2.25");
    // What nobody waits for any more is found out all the same.
    let alone = spawn(&resolver, "mx.hashed.test A".into());
    sleep(Duration::from_millis(50)).await;
    alone.abort();
    sleep(Duration::from_secs(5)).await;
    world.asked();
    assert_eq!(told(&resolver, "mx.hashed.test A").await, "secure: 192.0.2.25");
    assert_eq!(world.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_zone_delays_nobody_else() {
    let world = World::with(SignedWorld::example().build(), honest);
    world.delay("plain.test", Duration::from_millis(1400));
    let resolver = world.resolver(|_| {});
    resolver.way().await.unwrap();
    let slow: Vec<_> = (0..200).map(|number| spawn(&resolver, format!("x{number}.plain.test A"))).collect();
    sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    assert_eq!(told(&resolver, "mx.hashed.test A").await, "secure: 192.0.2.25");
    assert_eq!(told(&resolver, "outside.test MX").await.split(':').next(), Some("insecure"), "which leads there");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(1400) && waited < Duration::from_secs(6), "{waited:?}");
    let start = Instant::now();
    assert_eq!(told(&resolver, "mx.salted.test A").await, "secure: 192.0.2.25");
    assert_eq!(start.elapsed(), Duration::ZERO);
    for asker in slow {
        assert!(asker.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn more_look_ups_than_can_wait_are_told_so() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    told(&resolver, "mx.test A").await;
    world.delay(".", Duration::from_secs(1));
    let crowd: Vec<_> = (0..MOST_LOOKUPS).map(|number| spawn(&resolver, format!("x{number}.a{number} A"))).collect();
    sleep(Duration::from_millis(10)).await;
    let error = look_up(&resolver, "mx.plain.test A").await.unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (LookupErrorKind::WorkLimit, "too many look-ups are waiting"));
    assert_eq!((error.name, error.record_type.to_string().as_str()), (domain("mx.plain.test"), "A"));
    // Who wants what is being found out, or is known, is welcome.
    let joined = spawn(&resolver, "x0.a0 A".into());
    assert_eq!(told(&resolver, "mx.test A").await, "insecure: 192.0.2.25");
    assert!(joined.await.unwrap().is_ok());
    for asker in crowd {
        assert!(asker.await.unwrap().is_ok());
    }
    assert_eq!(told(&resolver, "mx.plain.test A").await, "insecure: 192.0.2.25", "and that was not kept");
}
