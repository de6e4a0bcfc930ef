//! Zones that are made to cost something.

use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Message, Name, Question, Rcode, Rtype};
use mailstead_testkit::{SignedWorld, ZonePlan};
use tokio::time::Instant;

use super::super::DnsMode;
use super::super::exchange::Asking;
use super::world::*;

/// A resolver that follows aliases within one zone only and gives up on none, as authorities do.
fn stepwise(world: &World, question: &Question, asking: Asking) -> Reply {
    let zones = world.zones();
    let within =
        |apex: &&Name| question.name.is_within(apex) && !(question.rtype == Rtype::DS && question.name == **apex);
    let apex = zones.apexes().filter(within).max_by_key(|apex| apex.label_count()).cloned();
    Some(Ok(zones.authority(&apex.unwrap_or_else(Name::root), question, asking.flags.dnssec_ok)))
}

#[tokio::test(start_paused = true)]
async fn aliases_in_a_circle_end() {
    let zones = SignedWorld::builder()
        .zone(
            ZonePlan::signed("test")
                .records("self CNAME self\nloop CNAME pool\npool CNAME loop\nto CNAME a.plain.test."),
        )
        .zone(ZonePlan::unsigned("plain.test").records("a CNAME to.test.\n"))
        .build();
    let world = World::with(zones, stepwise);
    for mode in [DnsMode::Validate, DnsMode::Recurse, DnsMode::Unvalidated] {
        let resolver = world.resolver(|options| options.mode = mode);
        for (question, end) in [("self.test A", "self.test."), ("loop.test A", "loop.test."), ("to.test A", "to.test.")]
        {
            let error = look_up(&resolver, question).await.unwrap_err();
            assert_eq!((error.kind, error.detail), (LookupErrorKind::AliasLoop, format!("at {end}")), "{mode:?}");
        }
        // It costs nothing more to say so again.
        world.asked();
        assert_eq!(look_up(&resolver, "pool.test A").await.unwrap_err().kind, LookupErrorKind::AliasLoop);
        assert_eq!(world.asked().len(), 0, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn twelve_aliases_are_followed_and_no_more() {
    let mut chain: String = (0..13).map(|number| format!("a{number} CNAME a{}\n", number + 1)).collect();
    chain.push_str("a13 A 192.0.2.1");
    let world = World::with(SignedWorld::builder().zone(ZonePlan::signed("test").records(&chain)).build(), honest);
    for mode in [DnsMode::Validate, DnsMode::Recurse, DnsMode::Unvalidated] {
        let resolver = world.resolver(|options| options.mode = mode);
        let error = look_up(&resolver, "a0.test A").await.unwrap_err();
        assert_eq!((error.kind, error.detail.as_str()), (LookupErrorKind::AliasLoop, "at a13.test."), "{mode:?}");
        let answer = look_up(&resolver, "a1.test A").await.unwrap();
        assert_eq!((answer.chain.len(), answer.records.len()), (12, 1), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_as_long_as_messages_can_be_are_read() {
    let long: String = (0..60)
        .map(|number| {
            format!(
                "long TXT \"{number}-{}\" \"{}\" \"{}\" \"{}\"\n",
                "x".repeat(240),
                "x".repeat(250),
                "x".repeat(250),
                "x".repeat(250)
            )
        })
        .collect();
    let many: String = (0..2_600).map(|number| format!("n TXT {number}\n")).collect();
    let zones = SignedWorld::builder().zone(ZonePlan::signed("test").records(&long).records(&many)).build();
    let world = World::with(zones, honest);
    let resolver = world.resolver(|_| {});
    let answer = look_up(&resolver, "long.test TXT").await.unwrap();
    assert_eq!((answer.records.len(), answer.is_secure()), (60, true));
    let answer = look_up(&resolver, "n.test TXT").await.unwrap();
    assert_eq!((answer.records.len(), answer.is_secure()), (2_600, true));
    assert!(resolver.statistics().cache_octets > 100_000, "and they count");
    world.asked();
    assert_eq!(look_up(&resolver, "n.test TXT").await.unwrap().records.len(), 2_600);
    assert_eq!(world.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn signatures_and_keys_that_fit_many_times_over_end_in_a_limit_of_work() {
    let aliases = "a CNAME b\nb CNAME c\nc CNAME d\nd CNAME e\ne A 192.0.2.1";
    let zones = SignedWorld::builder()
        // Few enough of both that each set can be proved, at the price of some twenty signatures each.
        .zone(ZonePlan::signed("trap.test").records(aliases).colliding_keys(2).garbage_signatures(7))
        // As the attack has it (CVE-2023-50387).
        .zone(ZonePlan::signed("keytrap.test").records(aliases).colliding_keys(60).garbage_signatures(60))
        .zone(ZonePlan::signed("dstrap.test").records(aliases).colliding_keys(60).extra_ds(60))
        .zone(ZonePlan::signed("good.test").records("www A 192.0.2.1"))
        .build();
    let world = World::with(zones, honest);
    let resolver = world.resolver(|_| {});
    let error = look_up(&resolver, "a.trap.test A").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::WorkLimit, "{error}");
    assert_eq!(error.detail, "validating the answer would take more work than is allowed");
    world.asked();
    assert_eq!(look_up(&resolver, "a.trap.test A").await.unwrap_err().kind, LookupErrorKind::WorkLimit);
    assert_eq!(world.asked().len(), 0, "it is remembered");
    assert_eq!(told(&resolver, "d.trap.test A").await, "secure: => e.trap.test; secure 192.0.2.1");
    for question in ["e.keytrap.test A", "absent.keytrap.test A", "e.dstrap.test A"] {
        let error = look_up(&resolver, question).await.unwrap_err();
        assert!(matches!(error.kind, LookupErrorKind::WorkLimit | LookupErrorKind::Bogus), "{question}: {error}");
    }
    assert_eq!(told(&resolver, "www.good.test A").await, "secure: 192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn zones_below_zones_end_in_a_limit_of_work() {
    let mut builder = SignedWorld::builder();
    let mut apex = "test".to_owned();
    for _ in 0..14 {
        builder = builder.zone(ZonePlan::signed(&apex).algorithms(&[15]).records("www A 192.0.2.1"));
        apex = format!("d.{apex}");
    }
    let world = World::with(builder.build(), honest);
    let resolver = world.resolver(|_| {});
    let deep = |levels: usize| format!("www.{}test A", "d.".repeat(levels));
    assert_eq!(told(&resolver, &deep(11)).await, "secure: 192.0.2.1");
    let error = look_up(&resolver, &deep(12)).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::WorkLimit, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_alias_of_what_is_no_name_for_mail_is_told() {
    let zones = SignedWorld::builder()
        .zone(ZonePlan::signed("test").records("odd CNAME a\\032b\nroot CNAME .\nstar CNAME *\na\\032b A 192.0.2.1"))
        .build();
    let world = World::with(zones, honest);
    let resolver = world.resolver(|_| {});
    for (question, target) in [("odd.test A", "a\\032b.test."), ("root.test A", "."), ("star.test A", "*.test.")] {
        let error = look_up(&resolver, question).await.unwrap_err();
        let detail = format!("{target} is no domain name that mail can use");
        assert_eq!((error.kind, error.detail), (LookupErrorKind::Malformed, detail));
    }
    assert_eq!(told(&resolver, "odd.test CNAME").await, "secure: a\\032b.test.");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_in_a_timeout() {
    for servers in [&[RESOLVER][..], &[RESOLVER, ANOTHER, "192.0.2.55"]] {
        let world = World::with(SignedWorld::example().build(), honest);
        let resolver = world.resolver(|options| options.servers = asking(servers));
        servers.iter().for_each(|server| world.set(server, honest));
        told(&resolver, "mx.test A").await;
        servers.iter().for_each(|server| world.set(server, silent));
        let start = Instant::now();
        let error = look_up(&resolver, "host.test A").await.unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::Timeout);
        assert!(servers.iter().all(|server| error.detail.contains(&format!("{server} timed out"))), "{error}");
        assert!(start.elapsed() <= Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_of_many_slow_steps_ends_when_patience_does() {
    let aliases: String = (0..12).map(|number| format!("a{number} CNAME a{}\n", number + 1)).collect();
    let zones = SignedWorld::builder().zone(ZonePlan::unsigned("test").records(&aliases)).build();
    // One step in each response.
    let world = World::with(
        zones,
        changed(|message: &mut Message| {
            if message.question.rtype == Rtype::A {
                let first = message.question.name.clone();
                message.answer.retain(|set| set.owner == first);
                message.authority.clear();
                message.rcode = Rcode::NOERROR;
            }
        }),
    );
    let resolver = world.resolver(|options| {
        options.mode = DnsMode::Unvalidated;
        options.patience = Duration::from_secs(10);
    });
    world.delay("test", Duration::from_millis(1400));
    let start = Instant::now();
    let error = look_up(&resolver, "a0.test A").await.unwrap_err();
    assert_eq!((error.kind, start.elapsed()), (LookupErrorKind::Timeout, Duration::from_secs(10)));
    assert_eq!(error.name, domain("a0.test"));
    // What was found out is kept, so that the next one gets further.
    tokio::time::advance(Duration::from_secs(5)).await;
    world.asked();
    assert_eq!(told(&resolver, "a0.test A").await.matches("->").count(), 12);
    assert!(world.asked().len() < 8);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_something_else_is_none() {
    let zones = SignedWorld::example().build();
    let other = zones.respond(&question("host.test A"), true);
    let world = World::with(zones, honest);
    let resolver = world.resolver(|_| {});
    for _ in 0..2 {
        let other = other.answer.clone();
        world.once("mx.test A", move |message| message.answer = other);
    }
    let error = look_up(&resolver, "mx.test A").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus);
    assert_eq!(error.detail, "there is said to be no A record of mx.test., without proof");
}
