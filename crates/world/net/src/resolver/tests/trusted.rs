//! A resolver whose word is taken that it has validated (mode "trust-ad").

use mailstead_dns::{LookupErrorKind, Rcode};
use mailstead_testkit::SignedWorld;

use super::super::{Active, DnsMode, DnsOptions, NoWay, ResolvConf, Servers};
use super::world::*;

fn believing(addresses: &'static [&'static str]) -> impl Fn(&mut DnsOptions) {
    move |options| {
        options.mode = DnsMode::TrustAd;
        options.servers = asking(addresses);
    }
}

/// With a validating resolver on this machine.
fn world(explains: Explains) -> std::sync::Arc<World> {
    let world = World::new(SignedWorld::example().build());
    world.set(LOCAL, validating(explains));
    world
}

#[tokio::test(start_paused = true)]
async fn a_resolver_on_this_machine_is_believed() {
    for local in ["127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"] {
        let world = World::new(SignedWorld::example().build());
        world.set(local, validating(Explains::Why));
        let resolver = world.resolver(|options| {
            options.mode = DnsMode::TrustAd;
            options.servers = asking(&[local]);
        });
        assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25", "{local}");
        assert_eq!(told(&resolver, "mx.plain.test A").await, "insecure: 192.0.2.25", "{local}");
        assert_eq!(resolver.way().await, Ok((Active::TrustAd, None)));
    }
}

#[tokio::test(start_paused = true)]
async fn questions_set_ad_and_neither_do_nor_cd() {
    let world = world(Explains::Why);
    told(&world.resolver(believing(&[LOCAL])), "outside.test A").await;
    let asked = world.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        let flags = asked.asking.flags;
        assert!(flags.authentic_data && flags.recursion_desired, "{asked:?}");
        assert!(!flags.dnssec_ok && !flags.checking_disabled, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_elsewhere_is_not_believed_and_not_even_asked() {
    let world = World::with(SignedWorld::example().build(), validating(Explains::Why));
    let resolver = world.resolver(believing(&[RESOLVER, ANOTHER]));
    let no_way = resolver.way().await.unwrap_err();
    assert_eq!(no_way, NoWay::NotTrusted { servers: servers(&[RESOLVER, ANOTHER]) });
    insta::assert_snapshot!(look_up(&resolver, "mx.test A").await.unwrap_err(), @r#"looking up A mx.test: no usable resolver: mode "trust-ad" takes the word of resolvers on this machine only, but asks 192.0.2.53 and 192.0.2.54; add "options trust-ad" to resolv.conf if the way to it is safe, or choose another mode"#);
    assert_eq!(world.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn resolv_conf_can_vouch_for_a_resolver_elsewhere() {
    let world = World::with(SignedWorld::example().build(), validating(Explains::Why));
    let text = format!("nameserver {RESOLVER}\noptions trust-ad\n");
    let resolver = world.resolver(|options| {
        options.mode = DnsMode::TrustAd;
        options.servers = Servers::Fixed(ResolvConf::parse(&text));
    });
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25");
}

#[tokio::test(start_paused = true)]
async fn of_several_resolvers_only_those_on_this_machine_are_asked() {
    let world = world(Explains::Why);
    world.set(RESOLVER, changed(|message| message.flags.authentic_data = true));
    let resolver = world.resolver(believing(&[RESOLVER, LOCAL]));
    assert_eq!(told(&resolver, "mx.plain.test A").await, "insecure: 192.0.2.25");
    // Not even when the other one fails.
    world.set(LOCAL, saying(Rcode::SERVFAIL));
    assert_eq!(look_up(&resolver, "host.plain.test A").await.unwrap_err().kind, LookupErrorKind::ServerFailure);
    assert!(world.asked().iter().all(|asked| asked.server.is_loopback()));
}

#[tokio::test(start_paused = true)]
async fn ad_speaks_for_all_aliases_of_an_answer() {
    let world = world(Explains::Why);
    let resolver = world.resolver(believing(&[LOCAL]));
    assert_eq!(told(&resolver, "twice.test A").await, "secure: => away.test => mx.hashed.test; secure 192.0.2.25");
    assert_eq!(world.log(), ["twice.test. A"]);
}

#[tokio::test(start_paused = true)]
async fn without_ad_each_alias_is_asked_for_on_its_own() {
    let world = world(Explains::Why);
    let resolver = world.resolver(believing(&[LOCAL]));
    let outcome = "insecure: => host.plain.test; insecure 192.0.2.1, 192.0.2.2";
    assert_eq!(told(&resolver, "outside.test A").await, outcome);
    assert_eq!(world.log(), ["outside.test. A", "outside.test. CNAME"]);
    assert_eq!(told(&resolver, "away.plain.test A").await, "insecure: -> mx.hashed.test; secure 192.0.2.25");
    assert_eq!(world.log(), ["away.plain.test. A", "away.plain.test. CNAME", "mx.hashed.test. A"]);
    let outcome = "insecure: -> away.plain.test -> mx.hashed.test; secure 192.0.2.25";
    assert_eq!(told(&resolver, "twice.plain.test A").await, outcome, "of the second alias it is known already");
    let outcome = "insecure: dname -> host.new.plain.test; insecure 192.0.2.6";
    assert_eq!(told(&resolver, "host.old.plain.test A").await, outcome);
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_cannot_be_asked_for_is_not_vouched_for() {
    let world = world(Explains::Why);
    world.once("outside.test CNAME", |message| empty(message, Rcode::SERVFAIL));
    let resolver = world.resolver(believing(&[LOCAL]));
    assert_eq!(told(&resolver, "outside.test A").await, "insecure: -> host.plain.test; insecure 192.0.2.1, 192.0.2.2");
}

#[tokio::test(start_paused = true)]
async fn absence_is_as_secure_as_ad_says() {
    let world = world(Explains::Why);
    let resolver = world.resolver(believing(&[LOCAL]));
    assert_eq!(told(&resolver, "absent.test MX").await, "secure: no such name");
    assert_eq!(told(&resolver, "mx.test MX").await, "secure: no data");
    assert_eq!(told(&resolver, "absent.plain.test MX").await, "insecure: no such name");
    assert_eq!(told(&resolver, "nowhere.test A").await, "secure: => absent.test; secure no such name");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_said_to_be_one_of_validation_is_bogus() {
    let world = world(Explains::Why);
    let resolver = world.resolver(believing(&[LOCAL]));
    let error = look_up(&resolver, "flawed.test MX").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus);
    assert_eq!(error.detail, "127.0.0.1 says SERVFAIL");
    assert_eq!((error.extended_errors[0].code, error.extended_errors[0].text.as_str()), (6, "validation failure"));
    assert_eq!(world.log(), ["flawed.test. MX"], "nothing else need be asked");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cd_helps_against_is_bogus() {
    let world = world(Explains::Nothing);
    let resolver = world.resolver(believing(&[LOCAL]));
    let error = look_up(&resolver, "flawed.test MX").await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus);
    assert_eq!(error.detail, "the resolver has an answer, but only without validation (127.0.0.1 says SERVFAIL)");
    let asked = world.asked();
    let cd: Vec<_> = asked.iter().map(|asked| (asked.what(), asked.asking.flags.checking_disabled)).collect();
    assert_eq!(cd, [("flawed.test. MX".to_owned(), false), ("flawed.test. MX".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cd_does_not_help_against_is_none_of_validation() {
    let world = world(Explains::Nothing);
    let resolver = world.resolver(believing(&[LOCAL]));
    // An alias of itself, which this resolver gives up on.
    let error = look_up(&resolver, "loop.test A").await.unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (LookupErrorKind::ServerFailure, "127.0.0.1 says SERVFAIL"));
    assert_eq!(world.log(), ["loop.test. A", "loop.test. A"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_resolver_remarks_about_its_answer_is_passed_on() {
    let world = world(Explains::Why);
    let resolver = world.resolver(believing(&[LOCAL]));
    world.once("mx.test A", |message| {
        remark(message, 3, "older than it should be");
        remark(message, 29, "of no interest");
    });
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25 (3)");
    assert_eq!(told(&resolver, "mx.test A").await, "secure: 192.0.2.25 (3)", "out of the cache too");
}
