//! The root's keys change (RFC 5011), and the resolver keeps up.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Name, Rtype};
use mailstead_dnssec::{AwsLcRs, Closest, Dnskey};
use mailstead_runtime::Clock;
use mailstead_testkit::{PausedClock, START, SignedWorld, SignedWorldBuilder, Window, ZonePlan};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::super::anchors::AnchorStore;
use super::super::{DnsMode, DnsResolver, ZoneFinding};
use super::world::*;

const DAY: u64 = 86_400;

/// Zones whose signatures are valid for a year.
fn zones(root: ZonePlan) -> SignedWorldBuilder {
    let year = Window { inception: START as u32 - 86_400, expiration: START as u32 + 365 * 86_400 };
    SignedWorld::builder().zone(root).zone(ZonePlan::signed("test").records("mx A 192.0.2.25")).window(year)
}

/// Before anything changes; afterwards; and in between, where the old key signs both.
struct Rollover {
    before: SignedWorld,
    between: SignedWorld,
    after: SignedWorld,
}

fn rollover() -> Rollover {
    let before = zones(ZonePlan::signed(".")).build();
    let after = zones(ZonePlan::signed(".")).keys(2).build();
    let root = after
        .entry_keys(&Name::root())
        .into_iter()
        .fold(ZonePlan::signed("."), |plan, key| plan.record(Name::root(), 3600, Rtype::DNSKEY, key));
    Rollover { before, between: zones(root).build(), after }
}

/// A resolver that keeps what it learns in this file, where the root's anchor is that of `before`.
fn following(world: &Arc<World>, file: &Path, clock: Arc<dyn Clock>, mode: DnsMode) -> DnsResolver {
    let configured = mailstead_dnssec::Anchors::parse(&rollover().before.anchor_text()).unwrap();
    let now = clock.now().as_second() as u64;
    let anchors = AnchorStore::following(file.to_owned(), configured, Arc::new(AwsLcRs), now).unwrap();
    let mut options = world.options();
    options.mode = mode;
    world.assemble(options, anchors, clock)
}

fn maintain(resolver: &DnsResolver) -> JoinHandle<()> {
    let resolver = resolver.clone();
    tokio::spawn(async move { resolver.maintain().await })
}

/// Whether the anchors of the resolver vouch for the keys of this root.
fn trusts(resolver: &DnsResolver, zones: &SignedWorld) -> bool {
    let anchors = resolver.core.anchors.current();
    let Closest::Anchor(anchor) = anchors.closest(&Name::root(), START as u64) else { return false };
    let keys = zones.entry_keys(&Name::root());
    keys.iter().all(|key| anchor.vouches_for(&Dnskey::from_data(key).unwrap(), &AwsLcRs))
}

/// Long enough for the first look at the keys.
async fn first_look() {
    sleep(Duration::from_secs(11)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_root_becomes_an_anchor_after_its_hold_down() {
    let Rollover { before, between, after } = rollover();
    for mode in [DnsMode::Validate, DnsMode::Recurse] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("anchors");
        let world = World::with(before.clone(), honest);
        let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
        let resolver = following(&world, &file, Arc::clone(&clock), mode);
        let maintenance = maintain(&resolver);
        first_look().await;
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("state=VALID") && !text.contains("state=ADDPEND"), "{text}");
        world.replace_zones(between.clone());
        // The keys are looked at again after half their time to live, an hour at least.
        sleep(Duration::from_secs(3600)).await;
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("state=ADDPEND"), "{text}");
        assert!(trusts(&resolver, &before) && !trusts(&resolver, &after));
        advance(Duration::from_secs(29 * DAY)).await;
        sleep(Duration::from_secs(1)).await;
        assert!(!trusts(&resolver, &after), "not yet");
        advance(Duration::from_secs(DAY)).await;
        sleep(Duration::from_secs(3600)).await;
        assert!(trusts(&resolver, &before) && trusts(&resolver, &after), "without a restart");
        world.replace_zones(after.clone());
        advance(Duration::from_secs(DAY)).await;
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25", "{mode:?}");
        maintenance.abort();

        // And after one.
        let again = following(&world, &file, clock, mode);
        assert!(trusts(&again, &after));
        assert_eq!(told(&again, "mx.test A").await, "secure: 192.0.2.25", "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_the_hold_down_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anchors");
    let Rollover { between, after, .. } = rollover();
    let world = World::with(between, honest);
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    for days in [20, 11] {
        let resolver = following(&world, &file, Arc::clone(&clock), DnsMode::Validate);
        let maintenance = maintain(&resolver);
        first_look().await;
        assert!(!trusts(&resolver, &after));
        maintenance.abort();
        advance(Duration::from_secs(days * DAY)).await;
    }
    let resolver = following(&world, &file, clock, DnsMode::Validate);
    let maintenance = maintain(&resolver);
    first_look().await;
    assert!(trusts(&resolver, &after));
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn keys_that_no_anchor_has_signed_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anchors");
    let Rollover { before, after, .. } = rollover();
    let world = World::with(before.clone(), honest);
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    let resolver = following(&world, &file, clock, DnsMode::Validate);
    let maintenance = maintain(&resolver);
    first_look().await;
    let text = fs::read_to_string(&file).unwrap();
    world.replace_zones(after.clone());
    for _ in 0..40 {
        advance(Duration::from_secs(DAY)).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(trusts(&resolver, &before) && !trusts(&resolver, &after));
    assert_eq!(look_up(&resolver, "mx.test A").await.unwrap_err().kind, LookupErrorKind::Bogus);
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn a_root_without_any_key_left_makes_names_bogus_and_not_insecure() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anchors");
    let world = World::with(rollover().before, honest);
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    let resolver = following(&world, &file, Arc::clone(&clock), DnsMode::Validate);
    let maintenance = maintain(&resolver);
    first_look().await;
    // What is known when the next look reveals it must be proved again.
    sleep(Duration::from_secs(3590)).await;
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    world.replace_zones(zones(ZonePlan::signed(".").revoked_keys()).build());
    sleep(Duration::from_secs(20)).await;
    for resolver in [&resolver, &following(&world, &file, clock, DnsMode::Validate)] {
        let error = look_up(resolver, "mx.test A").await.unwrap_err();
        assert_eq!((error.kind, error.extended_errors[0].code), (LookupErrorKind::Bogus, 9));
        assert_eq!(error.detail, "all trust anchors of . have been revoked; bring new ones");
        let question = question("mx.test A").name.to_domain().unwrap();
        let trace = resolver.trace(&question, mailstead_dns::RecordType::A).await;
        assert!(matches!(trace.failed_at.as_slice(), [zone] if matches!(zone.finding, ZoneFinding::Bogus(_))));
    }
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_counts_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("below").join("anchors");
    let world = World::with(rollover().before, honest);
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    let resolver = following(&world, &file, clock, DnsMode::Validate);
    let maintenance = maintain(&resolver);
    first_look().await;
    assert!(!file.exists());
    fs::create_dir(directory.path().join("below")).unwrap();
    sleep(Duration::from_secs(DAY)).await;
    assert!(fs::read_to_string(&file).unwrap().contains("state=VALID"));
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_at_keys_where_nobody_relies_on_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anchors");
    let world = World::with(rollover().before, honest);
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    let resolver = following(&world, &file, clock, DnsMode::Unvalidated);
    let maintenance = maintain(&resolver);
    sleep(Duration::from_secs(DAY)).await;
    assert!(!file.exists() && world.asked().is_empty());
    maintenance.abort();
}
