//! Authorities that want us to work, to believe or to reach what they may not.

use mailstead_dns::{ExtendedError, Rcode};

use super::super::*;
use super::world::*;

const EVIL: &str = "192.0.2.66";

fn recursor(world: World) -> (Arc<World>, Recursor) {
    let world = Arc::new(world);
    let recursor = world.recursor(Limits::default());
    (world, recursor)
}

/// The root delegates evil.example, victim.example and good.example.
fn world() -> World {
    World::new(
        "evil.example NS ns.evil.example\nns.evil.example A 192.0.2.66\nvictim.example NS ns.victim.example\n\
         ns.victim.example A 192.0.2.3\ngood.example NS ns.good.example\nns.good.example A 192.0.2.4",
    )
    .zone(&["192.0.2.3"], "victim.example", "www.victim.example A 198.51.100.1")
    .zone(&["192.0.2.4"], "good.example", "www.good.example A 198.51.100.2")
}

#[tokio::test(start_paused = true)]
async fn servers_that_need_each_other_are_found_out_at_once() {
    let (world, recursor) = recursor(World::new("a.example NS ns.b.example\nb.example NS ns.a.example"));
    let started = Instant::now();
    let error = fetch(&recursor, "www.a.example A", 0).await.unwrap_err();
    assert_eq!((error.kind, started.elapsed()), (LookupErrorKind::ServerFailure, Duration::ZERO));
    assert!(error.detail.contains("ns.b.example. could not be looked up"), "{}", error.detail);
    assert!(world.log().len() < 10);

    let (_world, recursor) = self::recursor(World::new("a.example NS ns.a.example"));
    let error = fetch(&recursor, "www.a.example A", 0).await.unwrap_err();
    assert_eq!(
        error.detail,
        "no server of a.example. has an address that can be asked: ns.a.example. has no address in its parent zone"
    );
    assert_eq!(error.extended_errors, [ExtendedError { code: 22, text: "at a.example.".into() }]);
}

#[tokio::test(start_paused = true)]
async fn servers_behind_servers_are_bounded_in_depth() {
    // z0 is served from z1, which is served from z2, and so on; only of the last server there is an address, which the
    // root gives to the last two zones.
    let chain = |length: usize| {
        let links = (0..length).map(|number| format!("z{number}.example NS ns.z{}.example", number + 1));
        let end = format!("z{length}.example NS ns.z{length}.example\nns.z{length}.example A {EVIL}");
        let mut world = World::new(&links.chain([end]).collect::<Vec<_>>().join("\n"));
        for number in 0..=length {
            let zone = format!("z{number}.example");
            world = world.zone(&[EVIL], &zone, &format!("ns.{zone} A {EVIL}\nwww.{zone} A 198.51.100.1"));
        }
        world
    };
    let (_world, recursor) = recursor(chain(6));
    fetch(&recursor, "www.z0.example A", 0).await.unwrap();
    let (_world, recursor) = self::recursor(chain(7));
    let error = fetch(&recursor, "www.z0.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::WorkLimit, "{}", error.detail);
}

#[tokio::test(start_paused = true)]
async fn a_circle_with_a_way_out_is_no_obstacle() {
    let (_world, recursor) = recursor(
        World::new(
            "a.example NS ns.b.example\na.example NS ns.good.example\nb.example NS ns.a.example\n\
                    good.example NS ns.good.example\nns.good.example A 192.0.2.4",
        )
        .zone(&["192.0.2.4"], "good.example", "ns.good.example A 192.0.2.4")
        .zone(&["192.0.2.4"], "a.example", "www.a.example A 198.51.100.1\nns.a.example A 192.0.2.9")
        .zone(&["192.0.2.9"], "b.example", "www.b.example A 198.51.100.2"),
    );
    assert_eq!(told(&fetch(&recursor, "www.b.example A", 0).await.unwrap().answer), ["www.b.example. A"]);
}

#[tokio::test(start_paused = true)]
async fn a_referral_to_a_thousand_names_makes_few_questions() {
    // CVE-2020-8616: all of them lie in the victim's zone, and none exists.
    let (world, recursor) = recursor(world().odd(EVIL, |question, _| {
        let servers: Vec<_> = (0..1000).map(|number| format!("x.evil.example NS n{number}.victim.example")).collect();
        let servers: Vec<_> = servers.iter().map(String::as_str).collect();
        Some(Ok(referral(question, &servers, &[])))
    }));
    let error = fetch(&recursor, "www.x.evil.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::ServerFailure);
    let to_victim = world.log().iter().filter(|line| line.starts_with("192.0.2.3 ")).count();
    assert_eq!(to_victim, 12, "six names, two types each");
}

#[tokio::test(start_paused = true)]
async fn a_tree_of_referrals_stays_within_the_budget() {
    // Each server has names that lead to further zones of the same kind, and so on.
    let (world, recursor) = recursor(world().odd(EVIL, |question, _| {
        let label = question.name.label_count();
        let zone = question.name.clone();
        let server = |number| format!("{zone} NS ns.{label}-{number}.evil.example");
        let servers = [0, 1, 2, 3].map(server);
        Some(Ok(referral(question, &servers.each_ref().map(String::as_str), &[])))
    }));
    let error = fetch(&recursor, "www.x.evil.example A", 0).await.unwrap_err();
    assert!(matches!(error.kind, LookupErrorKind::WorkLimit | LookupErrorKind::ServerFailure), "{error:?}");
    assert!(world.log().len() <= 60);
}

/// A referral to whatever was asked for, on the same server: one label deeper each time.
fn deeper(question: &Question) -> Message {
    let zone = &question.name;
    referral(question, &[&format!("{zone} NS ns.{zone}")], &[&format!("ns.{zone} A {EVIL}")])
}

#[tokio::test(start_paused = true)]
async fn questions_for_one_response_are_bounded() {
    let limits = Limits { questions: 5, ..Limits::default() };
    let world = Arc::new(world().odd(EVIL, |question, _| Some(Ok(deeper(question)))));
    let recursor = world.recursor(limits);
    let error = fetch(&recursor, "a.b.c.d.e.f.g.evil.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::WorkLimit);
    assert_eq!(error.detail, "5 questions were not enough to find a.b.c.d.e.f.g.evil.example. A");
    assert_eq!(world.log().len(), 5);
    // The next response has a budget of its own.
    fetch(&recursor, "www.good.example A", 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn referrals_are_bounded() {
    let world = Arc::new(world().odd(EVIL, |question, _| Some(Ok(deeper(question)))));
    let recursor = world.recursor(Limits { referrals: 4, ..Limits::default() });
    let error = fetch(&recursor, "a.b.c.d.e.f.g.evil.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::WorkLimit);
    assert_eq!(error.detail, "4 referrals were not enough to find a.b.c.d.e.f.g.evil.example. A");
}

#[tokio::test(start_paused = true)]
async fn a_zone_speaks_for_itself_only() {
    let (world, recursor) = recursor(world().odd(EVIL, |question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        message.answer = [
            "www.evil.example CNAME www.victim.example",
            "www.victim.example A 192.0.2.66",
            "other.evil.example A 192.0.2.66",
            "example DNAME evil.example",
        ]
        .map(set)
        .to_vec();
        message.authority =
            ["victim.example NS ns.evil.example", "victim.example NSEC x", "evil.example NSEC x"].map(set).to_vec();
        message.additional = ["ns.victim.example A 192.0.2.66"].map(set).to_vec();
        Some(Ok(message))
    }));
    let message = fetch(&recursor, "www.evil.example A", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["www.evil.example. CNAME"]);
    assert_eq!(told(&message.authority), ["evil.example. NSEC"]);
    assert_eq!(told(&message.additional), [""; 0]);
    world.log();
    let message = fetch(&recursor, "www.victim.example A", 0).await.unwrap();
    assert_eq!(message.answer, [set("www.victim.example A 198.51.100.1")]);
    assert_eq!(world.log().last().unwrap(), "192.0.2.3 www.victim.example. A");
}

#[tokio::test(start_paused = true)]
async fn glue_from_outside_is_not_believed() {
    // The referral is proper, the address in it is somebody else's business.
    let (world, recursor) = recursor(world().odd(EVIL, |question, _| {
        Some(Ok(referral(question, &["x.evil.example NS www.victim.example"], &["www.victim.example A 192.0.2.66"])))
    }));
    let error = fetch(&recursor, "www.x.evil.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Timeout, "nobody is at the victim's real address");
    let log = world.log();
    assert!(log.contains(&"198.51.100.1 www.x.evil.example. A".to_owned()), "{log:?}");
    assert!(!log.contains(&"192.0.2.66 www.x.evil.example. A".to_owned()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn glue_holds_for_its_zone_alone() {
    // Within the bailiwick of the zone above, which is wrong about it all the same.
    let (world, recursor) = recursor(
        World::new("org NS ns.org\nns.org A 192.0.2.2")
            .zone(
                &["192.0.2.2"],
                "org",
                "example.org NS ns.good.org\nns.good.org A 192.0.2.9\ngood.org NS a.good.org\na.good.org A 192.0.2.4",
            )
            .zone(&["192.0.2.4"], "good.org", "ns.good.org A 192.0.2.3"),
    );
    fetch(&recursor, "www.example.org A", 0).await.unwrap_err();
    let message = fetch(&recursor, "ns.good.org A", 0).await.unwrap();
    assert_eq!(message.answer, [set("ns.good.org A 192.0.2.3")]);
    assert!(world.log().contains(&"192.0.2.9 www.example.org. A".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn private_addresses_are_not_asked() {
    let (world, recursor) = recursor(world().odd(EVIL, |question, _| {
        Some(Ok(referral(
            question,
            &["x.evil.example NS a.evil.example", "x.evil.example NS b.evil.example"],
            &["a.evil.example A 127.0.0.1", "a.evil.example AAAA ::1", "b.evil.example A 10.0.0.1"],
        )))
    }));
    let error = fetch(&recursor, "www.x.evil.example A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::ServerFailure);
    assert_eq!(
        error.detail,
        "no server of x.evil.example. has an address that can be asked: 127.0.0.1 is not allowed (a loopback address), \
         ::1 is not allowed (a loopback address), 10.0.0.1 is not allowed (a private address)"
    );
    assert!(world.asked().iter().all(|asked| AddressPolicy::Public.check(asked.server).is_ok()));
}
