//! The way from the root to an answer.

use mailstead_dns::Rcode;
use tokio::time::advance;

use super::super::*;
use super::world::*;
use crate::resolver::exchange::{NameCase, Transport};

const ORG: &str = "192.0.2.2";
const EXAMPLE: &str = "192.0.2.3";

/// org, and example.org below it.
fn world() -> World {
    World::new("org NS ns.org\nns.org A 192.0.2.2")
        .zone(
            &[ORG],
            "org",
            "org NS ns.org\nns.org A 192.0.2.2\nexample.org NS ns.example.org\nns.example.org A 192.0.2.3",
        )
        .zone(
            &[EXAMPLE],
            "example.org",
            "a.b.example.org MX 10mx\nwww.example.org A 198.51.100.1\nwww.example.org AAAA 2001:db8::1\n\
             x.y.z.example.org TXT text",
        )
}

fn recursor(world: World) -> (Arc<World>, Recursor) {
    let world = Arc::new(world);
    let recursor = world.recursor(Limits::default());
    (world, recursor)
}

#[tokio::test(start_paused = true)]
async fn names_are_minimised_on_the_way_down() {
    let (world, recursor) = recursor(world());
    let message = fetch(&recursor, "a.b.example.org MX", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["a.b.example.org. MX"]);
    assert_eq!((message.rcode, &message.question), (Rcode::NOERROR, &question("a.b.example.org MX")));
    assert_eq!(
        world.log(),
        [
            "192.0.2.1 . NS",
            "192.0.2.1 org. A",
            "192.0.2.2 example.org. A",
            "192.0.2.3 b.example.org. A",
            "192.0.2.3 a.b.example.org. MX",
        ]
    );
    // Zone cuts are known from now on, and names without one.
    fetch(&recursor, "a.b.example.org TXT", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.3 a.b.example.org. TXT"]);
    fetch(&recursor, "other.org A", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.2 other.org. A"]);
    advance(UNCUT).await;
    fetch(&recursor, "a.b.example.org TXT", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.3 b.example.org. A", "192.0.2.3 a.b.example.org. TXT"]);
    advance(Duration::from_secs(u64::from(TTL))).await;
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert_eq!(world.log().len(), 4, "priming, org, example.org, and the question");
}

#[tokio::test(start_paused = true)]
async fn questions_have_do_and_no_rd_and_mixed_letters() {
    let (world, recursor) = recursor(world());
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    for asked in world.asked() {
        let flags = asked.asking.flags;
        assert!(flags.dnssec_ok && !flags.recursion_desired && !flags.checking_disabled && !flags.no_edns);
        assert_eq!((asked.asking.case, asked.asking.transport), (NameCase::Mixed, Transport::UdpFirst));
    }
}

#[tokio::test(start_paused = true)]
async fn absence_comes_with_its_soa() {
    let (_world, recursor) = recursor(world());
    let message = fetch(&recursor, "www.example.org MX", 0).await.unwrap();
    assert_eq!((message.rcode, told(&message.authority)), (Rcode::NOERROR, vec!["example.org. SOA".to_owned()]));
    let message = fetch(&recursor, "no.example.org A", 0).await.unwrap();
    assert_eq!((message.rcode, told(&message.authority)), (Rcode::NXDOMAIN, vec!["example.org. SOA".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_denial_on_the_way_is_believed_only_with_proof() {
    // A server that denies names which have nothing but others below, as many do.
    let denying = |with_proof: bool| {
        world().odd(EXAMPLE, move |question, _| {
            let mut message = empty(question, Rcode::NOERROR);
            if *question == super::world::question("x.y.z.example.org TXT") {
                message.answer.push(set("x.y.z.example.org TXT text"));
            } else {
                message.rcode = Rcode::NXDOMAIN;
                message.authority.push(set("example.org SOA soa"));
                if with_proof {
                    message.authority.push(signed("example.org NSEC proof"));
                }
            }
            Some(Ok(message))
        })
    };
    let (world, unsigned) = recursor(denying(false));
    let message = fetch(&unsigned, "x.y.z.example.org TXT", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["x.y.z.example.org. TXT"]);
    assert_eq!(world.log()[3..], ["192.0.2.3 z.example.org. A", "192.0.2.3 x.y.z.example.org. TXT"]);

    let (world, signed) = recursor(denying(true));
    let message = fetch(&signed, "x.y.z.example.org TXT", 0).await.unwrap();
    assert_eq!((message.rcode, &message.question), (Rcode::NXDOMAIN, &question("x.y.z.example.org TXT")));
    assert_eq!(told(&message.authority), ["example.org. SOA", "example.org. NSEC"]);
    assert_eq!(world.log()[3..], ["192.0.2.3 z.example.org. A"]);
    // Should the proof turn out bad, the next attempt asks for the whole name.
    let message = fetch(&signed, "x.y.z.example.org TXT", 1).await.unwrap();
    assert_eq!((message.rcode, world.log()), (Rcode::NOERROR, vec!["192.0.2.3 x.y.z.example.org. TXT".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_error_on_the_way_leads_to_the_whole_name() {
    for rcode in [Rcode::REFUSED, Rcode::SERVFAIL, Rcode::NOTIMP] {
        let (world, recursor) = recursor(world().odd(EXAMPLE, move |question, _| {
            let mut message = empty(question, rcode);
            if question.name == name("x.y.z.example.org") {
                message.rcode = Rcode::NOERROR;
                message.answer.push(set("x.y.z.example.org TXT text"));
            }
            Some(Ok(message))
        }));
        let message = fetch(&recursor, "x.y.z.example.org TXT", 0).await.unwrap();
        assert_eq!(told(&message.answer), ["x.y.z.example.org. TXT"]);
        assert_eq!(world.log()[3..], ["192.0.2.3 z.example.org. A", "192.0.2.3 x.y.z.example.org. TXT"], "{rcode}");
    }
}

#[tokio::test(start_paused = true)]
async fn parent_and_child_on_one_server() {
    // The server of uk serves co.uk too, so that nobody refers to it.
    let (world, recursor) = recursor(
        World::new("uk NS ns.uk\nns.uk A 192.0.2.2")
            .zone(&[ORG], "uk", "co.uk NS ns.uk\nns.uk A 192.0.2.2")
            .zone(&[ORG], "co.uk", "co.uk NS ns.uk\nexample.co.uk NS ns.example.co.uk\nns.example.co.uk A 192.0.2.3")
            .zone(&[EXAMPLE], "example.co.uk", "example.co.uk MX 10mx"),
    );
    let message = fetch(&recursor, "example.co.uk MX", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["example.co.uk. MX"]);
    assert_eq!(
        world.log()[1..],
        ["192.0.2.1 uk. A", "192.0.2.2 co.uk. A", "192.0.2.2 example.co.uk. MX", "192.0.2.3 example.co.uk. MX"]
    );
}

#[tokio::test(start_paused = true)]
async fn servers_without_glue_are_looked_up_and_kept() {
    let (world, recursor) = recursor(
        World::new("org NS ns.org\nns.org A 192.0.2.2\nnet NS ns.net\nns.net A 192.0.2.4")
            .zone(&[ORG], "org", "example.org NS ns.host.net")
            .zone(&["192.0.2.4"], "net", "host.net NS ns.host.net\nns.host.net A 192.0.2.5")
            .zone(&["192.0.2.5"], "host.net", "ns.host.net A 192.0.2.3")
            .zone(&[EXAMPLE], "example.org", "www.example.org A 198.51.100.1\nexample.org MX 10mx"),
    );
    let message = fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["www.example.org. A"]);
    let log = world.log();
    for asked in ["192.0.2.1 net. A", "192.0.2.5 ns.host.net. A", "192.0.2.5 ns.host.net. AAAA"] {
        assert!(log.iter().any(|line| line == asked), "{asked}: {log:?}");
    }
    assert_eq!(log.last().unwrap(), "192.0.2.3 www.example.org. A");
    fetch(&recursor, "example.org MX", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.3 example.org. MX"]);
}

#[tokio::test(start_paused = true)]
async fn aliases_are_followed_within_the_zone_only() {
    let (_world, recursor) = recursor(
        World::new("org NS ns.org\nns.org A 192.0.2.2")
            .zone(&[ORG], "org", "example.org NS ns.example.org\nns.example.org A 192.0.2.3")
            .zone(
                &[EXAMPLE],
                "example.org",
                "in.example.org CNAME www.example.org\nwww.example.org A 198.51.100.1\nold.example.org DNAME new.example.org\n\
                 a.new.example.org A 198.51.100.2\nout.example.org CNAME www.example.net\n\
                 gone.example.org CNAME no.example.org\nloop.example.org CNAME pool.example.org\n\
                 pool.example.org CNAME loop.example.org",
            ),
    );
    for (asked, answer, rcode) in [
        ("in.example.org A", vec!["in.example.org. CNAME", "www.example.org. A"], Rcode::NOERROR),
        ("in.example.org CNAME", vec!["in.example.org. CNAME"], Rcode::NOERROR),
        (
            "a.old.example.org A",
            vec!["old.example.org. DNAME", "a.old.example.org. CNAME", "a.new.example.org. A"],
            Rcode::NOERROR,
        ),
        ("out.example.org A", vec!["out.example.org. CNAME"], Rcode::NOERROR),
        ("gone.example.org A", vec!["gone.example.org. CNAME"], Rcode::NXDOMAIN),
        ("loop.example.org A", vec!["loop.example.org. CNAME", "pool.example.org. CNAME"], Rcode::NOERROR),
    ] {
        let message = fetch(&recursor, asked, 0).await.unwrap();
        assert_eq!(
            (told(&message.answer), message.rcode),
            (answer.iter().map(|&s| s.into()).collect(), rcode),
            "{asked}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dname_on_the_way_holds_for_the_whole_name() {
    let (world, recursor) = recursor(world().odd(EXAMPLE, |question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        if question.name.is_below(&name("old.example.org")) {
            message.answer.push(set("old.example.org DNAME new.example"));
        }
        Some(Ok(message))
    }));
    let message = fetch(&recursor, "a.b.c.old.example.org A", 0).await.unwrap();
    assert_eq!(told(&message.answer), ["old.example.org. DNAME"]);
    assert_eq!(
        world.log()[3..],
        ["192.0.2.3 old.example.org. A", "192.0.2.3 c.old.example.org. A", "192.0.2.3 a.b.c.old.example.org. A"]
    );
}

#[tokio::test(start_paused = true)]
async fn ds_is_asked_of_the_parent() {
    let (world, recursor) = recursor(world());
    // Nothing known: the cut is found on the way, and the last question goes to the parent.
    fetch(&recursor, "example.org DS", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.1 . NS", "192.0.2.1 org. A", "192.0.2.2 example.org. DS"]);
    // The delegation is known, and its own servers are not asked.
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    world.log();
    let message = fetch(&recursor, "example.org DS", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.2 example.org. DS"], "the referral said nothing of DS");
    assert_eq!(told(&message.authority), ["org. SOA"]);
    // Above every cut there is none.
    let error = fetch(&recursor, ". DS", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::ServerFailure);
    assert_eq!(world.log(), [""; 0]);
}

/// org refers to example.org with these sets in the authority section besides.
fn referring(proofs: &'static [&'static str]) -> World {
    world().odd(ORG, move |question, _| {
        let mut message = referral(question, &["example.org NS ns.example.org"], &["ns.example.org A 192.0.2.3"]);
        message.authority.extend(proofs.iter().map(|text| signed(text)));
        Some(Ok(message))
    })
}

#[tokio::test(start_paused = true)]
async fn ds_is_known_from_the_referral() {
    let (world, recursor) = recursor(referring(&["example.org DS digest", "sub.example.org DS other", "com NSEC no"]));
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    world.log();
    advance(Duration::from_secs(600)).await;
    let message = fetch(&recursor, "example.org DS", 0).await.unwrap();
    assert_eq!(world.log(), [""; 0], "no question");
    assert_eq!((message.rcode, &message.question), (Rcode::NOERROR, &question("example.org DS")));
    assert_eq!(told(&message.authority), ["example.org. DS"]);
    assert_eq!((message.authority[0].ttl, message.authority[0].signatures.len()), (TTL - 600, 1));
    // Not when it has turned out bad, and not beyond its time.
    fetch(&recursor, "example.org DS", 1).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.2 example.org. DS"]);

    let (world, recursor) = self::recursor(referring(&["org NSEC none", "x.org NSEC none"]));
    // The server answers the question for DS with a referral too.
    let message = fetch(&recursor, "example.org DS", 0).await.unwrap();
    assert_eq!(told(&message.authority), ["org. NSEC", "x.org. NSEC"]);
    assert_eq!(world.log().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_root_is_primed_and_the_hints_remain() {
    // The hint's server names another one for the root.
    let root = "org NS ns.org\nns.org A 192.0.2.2";
    let (world, recursor) = recursor(
        world()
            .odd(ROOT, |question, _| {
                let mut message = empty(question, Rcode::NOERROR);
                message.answer.push(set(". NS new.root"));
                message.additional.push(set("new.root A 192.0.2.8"));
                (question.name.is_root()).then_some(Ok(message))
            })
            .zone(&["192.0.2.8"], ".", root),
    );
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert_eq!(world.log()[..2], ["192.0.2.1 . NS", "192.0.2.8 org. A"]);
    // When those fail, the hints serve again.
    advance(FRESH).await;
    world.change("192.0.2.8", |_, _| None);
    world.change(ROOT, |question, _| Some(Ok(referral(question, &["net NS ns.net"], &["ns.net A 192.0.2.3"]))));
    world.change(EXAMPLE, |question, _| Some(Ok(empty(question, Rcode::NOERROR))));
    fetch(&recursor, "example.net A", 0).await.unwrap();
    let log = world.log();
    assert_eq!(log[log.len() - 2..], ["192.0.2.1 net. A", "192.0.2.3 example.net. A"], "{log:?}");
    assert!(log.len() <= 5, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_cannot_be_primed_is_used_all_the_same() {
    let (world, recursor) = recursor(world().odd(ROOT, |question, _| {
        let refused = empty(question, Rcode::REFUSED);
        let message = referral(question, &["org NS ns.org"], &["ns.org A 192.0.2.2"]);
        Some(Ok(if question.name.is_root() { refused } else { message }))
    }));
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    fetch(&recursor, "example.net A", 0).await.unwrap_err();
    let primings = || world.log().iter().filter(|line| line.ends_with(" . NS")).count();
    assert_eq!(primings(), 1);
    advance(PRIMING_PAUSE).await;
    fetch(&recursor, "example.com A", 0).await.unwrap_err();
    assert_eq!(primings(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_has_moved_is_found_again() {
    let (world, recursor) = recursor(world());
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    let moved =
        |question: &Question| referral(question, &["example.org NS ns.example.org"], &["ns.example.org A 192.0.2.7"]);
    world.change(ORG, move |question, _| Some(Ok(moved(question))));
    world.change(EXAMPLE, |question, _| Some(Ok(empty(question, Rcode::REFUSED))));
    world.change("192.0.2.7", |question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        message.answer.push(set("www.example.org A 198.51.100.7"));
        Some(Ok(message))
    });
    // Learnt only now, it is not asked for again.
    assert_eq!(fetch(&recursor, "www.example.org A", 0).await.unwrap_err().kind, LookupErrorKind::Refused);
    advance(FRESH).await;
    world.log();
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert_eq!(
        world.log(),
        ["192.0.2.3 www.example.org. A", "192.0.2.2 example.org. A", "192.0.2.7 www.example.org. A"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_zone_does_not_outlive_its_parent() {
    // The delegation of org is about to end, that of example.org is meant to last.
    let (world, recursor) = recursor(world().odd(ROOT, |question, _| {
        let mut message = referral(question, &["org NS ns.org"], &["ns.org A 192.0.2.2"]);
        message.authority[0].ttl = 100;
        Some(Ok(message))
    }));
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    world.log();
    advance(Duration::from_secs(99)).await;
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert_eq!(world.log(), ["192.0.2.3 www.example.org. A"]);
    advance(Duration::from_secs(1)).await;
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert!(world.log().contains(&"192.0.2.1 org. A".to_owned()));
}
