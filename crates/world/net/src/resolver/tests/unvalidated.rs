//! Answers that nobody proves (mode "unvalidated").

use mailstead_dns::LookupErrorKind;
use mailstead_testkit::SignedWorld;

use super::super::{Active, DnsMode};
use super::world::*;

#[tokio::test(start_paused = true)]
async fn everything_is_insecure_whatever_the_resolver_says() {
    let world = World::with(SignedWorld::example().build(), changed(|message| message.flags.authentic_data = true));
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    for (question, outcome) in [
        ("mx.test A", "insecure: 192.0.2.25"),
        ("twice.test A", "insecure: -> away.test -> mx.hashed.test; insecure 192.0.2.25"),
        ("host.old.test A", "insecure: dname -> host.new.test; insecure 192.0.2.6"),
        ("absent.test A", "insecure: no such name"),
        ("mx.test MX", "insecure: no data"),
        ("mx.flawed.test A", "insecure: 192.0.2.25"),
    ] {
        assert_eq!(told(&resolver, question).await, outcome, "{question}");
    }
    assert_eq!(resolver.way().await, Ok((Active::Unvalidated, None)));
}

#[tokio::test(start_paused = true)]
async fn one_plain_question_is_all_that_is_asked() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    told(&resolver, "twice.test A").await;
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    let flags = asked[0].asking.flags;
    assert!(flags.recursion_desired && !flags.authentic_data && !flags.checking_disabled && !flags.dnssec_ok);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_validates_is_heard_when_it_finds_something_bogus() {
    let world = World::with(SignedWorld::example().build(), validating(Explains::Why));
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    assert_eq!(look_up(&resolver, "flawed.test MX").await.unwrap_err().kind, LookupErrorKind::Bogus);
}
