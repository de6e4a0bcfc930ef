//! Servers that are slow, silent, lame or old, and what is remembered of them.

use std::io;

use mailstead_dns::{ExtendedError, MessageError, Rcode};
use tokio::time::advance;

use super::super::*;
use super::world::*;
use crate::resolver::exchange::{Asking, ExchangeError, NameCase, Transport};
use crate::resolver::upstream::Reach;

const ONE: &str = "192.0.2.3";
const TWO: &str = "192.0.2.4";

/// example.org on two servers, next to example.net on another; the root delegates both.
fn world() -> World {
    World::new(
        "example.org NS ns1.example.org\nexample.org NS ns2.example.org\nns1.example.org A 192.0.2.3\n\
         ns2.example.org A 192.0.2.4\nexample.net NS ns.example.net\nns.example.net A 192.0.2.5",
    )
    .zone(&[ONE, TWO], "example.org", "www.example.org A 198.51.100.1\nexample.org MX 10mx")
    .zone(&["192.0.2.5"], "example.net", "www.example.net A 198.51.100.2")
}

fn recursor(world: World) -> (Arc<World>, Recursor) {
    let world = Arc::new(world);
    let recursor = world.recursor(Limits::default());
    (world, recursor)
}

fn saying(rcode: Rcode) -> impl Fn(&Question, Asking) -> Reply + Send + Sync {
    move |question, _| Some(Ok(empty(question, rcode)))
}

/// The servers that were asked this.
fn servers(world: &World, text: &str) -> Vec<String> {
    world.log().into_iter().filter_map(|line| Some(line.strip_suffix(text)?.trim_end().to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn another_server_helps_where_one_is_lame_and_it_is_remembered() {
    let upward = |question: &Question, _| Some(Ok(referral(question, &[". NS ns.root"], &["ns.root A 192.0.2.1"])));
    let sideways = |question: &Question, _| Some(Ok(referral(question, &["net NS ns.example.net"], &[])));
    let itself = |question: &Question, _| Some(Ok(referral(question, &["example.org NS ns1.example.org"], &[])));
    let beside = |question: &Question, _| Some(Ok(referral(question, &["mail.example.org NS ns1.example.org"], &[])));
    let cached = |question: &Question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        message.flags.authoritative = false;
        message.answer.push(set("www.example.org A 198.51.100.9"));
        Some(Ok(message))
    };
    let parent = |question: &Question, _| {
        let mut message = empty(question, Rcode::NXDOMAIN);
        message.authority.push(set("org SOA soa"));
        Some(Ok(message))
    };
    let truncated = |question: &Question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        message.flags.truncated = true;
        Some(Ok(message))
    };
    let malformed = |_: &Question, _| Some(Err(ExchangeError::Malformed(MessageError::Name)));
    let unreachable = |_: &Question, _| {
        Some(Err(ExchangeError::Network { kind: io::ErrorKind::ConnectionRefused, text: "refused".into() }))
    };
    type Odd = Box<dyn Fn(&Question, Asking) -> Reply + Send + Sync>;
    // What the server does, and whether that makes it lame from then on.
    let cases: Vec<(&str, Odd, bool)> = vec![
        ("upward", Box::new(upward), true),
        ("sideways", Box::new(sideways), true),
        ("itself", Box::new(itself), true),
        ("beside", Box::new(beside), true),
        ("cached", Box::new(cached), true),
        ("parent", Box::new(parent), true),
        ("refused", Box::new(saying(Rcode::REFUSED)), true),
        ("servfail", Box::new(saying(Rcode::SERVFAIL)), true),
        ("rcode 9", Box::new(saying(Rcode(9))), true),
        ("truncated", Box::new(truncated), false),
        ("malformed", Box::new(malformed), false),
        ("unreachable", Box::new(unreachable), false),
    ];
    for (what, odd, is_remembered) in cases {
        let (world, recursor) = recursor(world().odd(ONE, odd));
        // Chance decides who is asked first; until both have been, there is nothing to remember.
        let mut tries = 0;
        while !world.log().iter().any(|line| *line == format!("{ONE} www.example.org. A")) {
            let message = fetch(&recursor, "www.example.org A", 0).await.unwrap();
            assert_eq!(message.answer, [set("www.example.org A 198.51.100.1")], "{what}");
            tries += 1;
            assert!(tries < 50, "{what}");
        }
        if is_remembered {
            for _ in 0..20 {
                fetch(&recursor, "example.org MX", 0).await.unwrap();
            }
            assert_eq!(servers(&world, "example.org. MX"), vec![TWO; 20], "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_nobody_helps_it_is_told_who_did_what() {
    let (world, recursor) = recursor(world().silent(ONE).odd(TWO, |question, _| {
        let mut message = empty(question, Rcode::REFUSED);
        message.edns.as_mut().unwrap().extended_errors.push(ExtendedError { code: 18, text: "not you".into() });
        Some(Ok(message))
    }));
    let error = fetch(&recursor, "www.example.org A", 0).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Refused);
    let detail = error.detail;
    assert!(detail.starts_with("none of the 2 servers of example.org. answered: 192.0.2."), "{detail}");
    assert!(detail.contains("192.0.2.3 timed out") && detail.contains("192.0.2.4 refused"), "{detail}");
    let codes: Vec<_> = error.extended_errors.iter().map(|error| error.code).collect();
    assert_eq!((codes, error.reach), (vec![22, 18], None));
    // The one that refused has been asked once, the silent one several times, the last time in plain letters.
    let asked: Vec<_> =
        world.asked().into_iter().filter(|asked| asked.question.name == name("www.example.org")).collect();
    let of = |server| asked.iter().filter(move |asked| asked.server == ip(server));
    assert_eq!((of(TWO).count(), of(ONE).count()), (1, 3));
    assert_eq!(of(ONE).next_back().unwrap().asking.case, NameCase::AsIs);
}

#[tokio::test(start_paused = true)]
async fn a_silent_root_is_told_from_a_silent_zone() {
    let (_world, silent) = recursor(world().silent(ONE).silent(TWO));
    let error = fetch(&silent, "www.example.org A", 0).await.unwrap_err();
    assert_eq!((error.kind, error.reach), (LookupErrorKind::Timeout, Some(Reach::Zone(name("example.org")))));

    let (world, silent) = recursor(world().silent(ROOT));
    let started = Instant::now();
    let error = fetch(&silent, "www.example.org A", 0).await.unwrap_err();
    assert_eq!((error.kind, error.reach), (LookupErrorKind::Timeout, Some(Reach::Root)));
    assert_eq!(error.detail, "the only root server did not answer: 192.0.2.1 timed out");
    assert_eq!(world.log(), vec!["192.0.2.1 . NS"; 3]);
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lost_packet_is_sent_again() {
    let lost = std::sync::atomic::AtomicBool::new(false);
    let (world, recursor) = recursor(world().odd("192.0.2.5", move |question, _| {
        let mut message = empty(question, Rcode::NOERROR);
        message.answer.push(set("www.example.net A 198.51.100.2"));
        lost.swap(true, Ordering::Relaxed).then_some(Ok(message))
    }));
    let started = Instant::now();
    fetch(&recursor, "www.example.net A", 0).await.unwrap();
    assert_eq!(servers(&world, "www.example.net. A").len(), 2);
    assert_eq!(started.elapsed().as_millis(), 400, "as soon as the response is late");
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_is_listened_to_while_another_is_asked() {
    // Nobody but the slow one answers, later than somebody else would be asked.
    let (world, recursor) = recursor(world().slow(ONE, 900).silent(TWO));
    let started = Instant::now();
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(1400), "{:?}", started.elapsed());
    assert!(servers(&world, "www.example.org. A").len() >= 2);
    // From now on it is known that this one answers, and what to expect of it.
    let started = Instant::now();
    fetch(&recursor, "example.org MX", 0).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(1400));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_outrun_loses_its_place() {
    let (world, recursor) = recursor(world().slow(ONE, 900).slow(TWO, 10));
    let mut tries = 0;
    while !world.log().contains(&format!("{ONE} www.example.org. A")) {
        fetch(&recursor, "www.example.org A", 0).await.unwrap();
        tries += 1;
        assert!(tries < 50, "an unknown server is tried now and then");
    }
    for _ in 0..20 {
        fetch(&recursor, "example.org MX", 0).await.unwrap();
    }
    assert_eq!(servers(&world, "example.org. MX"), vec![TWO; 20]);
}

#[tokio::test(start_paused = true)]
async fn long_waits_do_not_keep_others_from_being_asked() {
    let (world, recursor) = recursor(world().slow(ONE, 900).slow(TWO, 900));
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    // Both are known to be slow now, the one that was asked second to be the faster one of them. It dies.
    let asked = servers(&world, "www.example.org. A");
    assert_ne!(asked[0], asked[1]);
    world.change(&asked[1], |_, _| None);
    let started = Instant::now();
    fetch(&recursor, "example.org MX", 0).await.unwrap();
    assert_eq!(servers(&world, "example.org. MX"), [asked[1].clone(), asked[0].clone()]);
    assert_eq!(started.elapsed().as_millis(), 500 + 900);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_takes_long_is_not_waited_for() {
    // The name of the server has an IPv4 address, and its zone never answers for IPv6.
    let (_world, recursor) = recursor(
        World::new("example.com NS ns.example.net\nexample.net NS ns1.example.net\nns1.example.net A 192.0.2.5")
            .odd("192.0.2.5", |asked, _| {
                let mut message = empty(asked, Rcode::NOERROR);
                message.answer.push(set("ns.example.net A 192.0.2.6"));
                (asked.rtype == question("x A").rtype).then_some(Ok(message))
            })
            .zone(&["192.0.2.6"], "example.com", "www.example.com A 198.51.100.2"),
    );
    let started = Instant::now();
    fetch(&recursor, "www.example.com A", 0).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_slow_zone_does_not_delay_another() {
    let (_world, recursor) = recursor(world().slow(ONE, 2000).slow(TWO, 2000));
    // The way is known, so that only the zones' own servers matter.
    fetch(&recursor, "www.example.net A", 0).await.unwrap();
    fetch(&recursor, "www.example.org A", 0).await.unwrap();
    let recursor = Arc::new(recursor);
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..500 {
        let recursor = Arc::clone(&recursor);
        slow.spawn(async move { fetch(&recursor, &format!("n{number}.example.org A"), 0).await.is_ok() });
    }
    tokio::task::yield_now().await;
    let started = Instant::now();
    fetch(&recursor, "www.example.net A", 0).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    slow.abort_all();
}

#[tokio::test(start_paused = true)]
async fn questions_with_one_server_are_bounded() {
    let (world, recursor) = recursor(world().slow("192.0.2.5", 100));
    fetch(&recursor, "www.example.net A", 0).await.unwrap();
    world.log();
    let recursor = Arc::new(recursor);
    let mut all = tokio::task::JoinSet::new();
    for number in 0..200 {
        let recursor = Arc::clone(&recursor);
        all.spawn(async move { fetch(&recursor, &format!("n{number}.example.net A"), 0).await.is_ok() });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.log().len(), 50);
    // The others wait for a place, and get it.
    assert!(all.join_all().await.into_iter().all(|is_ok| is_ok));
}

#[tokio::test(start_paused = true)]
async fn edns_is_left_out_where_it_is_not_understood() {
    for (rcode, has_opt) in [(Rcode::FORMERR, false), (Rcode::NOTIMP, false), (Rcode::BADVERS, true)] {
        let (world, recursor) = recursor(world().odd("192.0.2.5", move |question, asking| {
            let mut message = empty(question, if asking.flags.no_edns { Rcode::NOERROR } else { rcode });
            message.edns = message.edns.filter(|_| has_opt && !asking.flags.no_edns);
            Some(Ok(message))
        }));
        fetch(&recursor, "www.example.net A", 0).await.unwrap();
        fetch(&recursor, "example.net MX", 0).await.unwrap();
        let asked = world.asked().into_iter().filter(|asked| asked.server == ip("192.0.2.5"));
        assert_eq!(asked.map(|asked| asked.asking.flags.no_edns).collect::<Vec<_>>(), [false, true, true], "{rcode}");
    }
    // Without EDNS it is an error like others.
    let (world, recursor) = recursor(world().odd("192.0.2.5", |question, _| {
        let message = Message { edns: None, ..empty(question, Rcode::FORMERR) };
        Some(Ok(message))
    }));
    assert_eq!(fetch(&recursor, "www.example.net A", 0).await.unwrap_err().kind, LookupErrorKind::Refused);
    assert_eq!(servers(&world, "www.example.net. A").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn further_attempts_ask_somebody_else_or_another_way() {
    let (world, recursor) = recursor(world());
    for attempt in 0..3 {
        fetch(&recursor, "www.example.org A", attempt).await.unwrap();
    }
    let asked: Vec<_> =
        world.asked().into_iter().filter(|asked| asked.question.name == name("www.example.org")).collect();
    // The root's server has been asked for the whole name by none of them, since the cut was known.
    let asked: Vec<_> = asked.into_iter().filter(|asked| asked.server != ip(ROOT)).collect();
    assert_eq!(asked.len(), 3);
    assert_ne!(asked[0].server, asked[1].server);
    let transports: Vec<_> = asked.iter().map(|asked| asked.asking.transport).collect();
    assert_eq!(transports, [Transport::UdpFirst, Transport::UdpFirst, Transport::TcpOnly]);
    // It concerns this question only.
    fetch(&recursor, "example.org MX", 1).await.unwrap();
    assert_eq!(world.asked()[0].asking.transport, Transport::UdpFirst);
}

#[tokio::test(start_paused = true)]
async fn families_without_route_are_left_alone_for_a_while() {
    let world = World::new(
        "example.org NS ns.example.org\nns.example.org AAAA 2001:db8::3\nns.example.org A 192.0.2.3\n\
         example.com NS ns.example.net\nexample.net NS ns1.example.net\nns1.example.net A 192.0.2.5",
    )
    .zone(&[ONE], "example.org", "www.example.org A 198.51.100.1")
    .zone(&["192.0.2.5"], "example.net", "ns.example.net A 192.0.2.6")
    .zone(&["192.0.2.6"], "example.com", "www.example.com A 198.51.100.2")
    .odd("2001:db8::3", |_, _| {
        Some(Err(ExchangeError::Network { kind: io::ErrorKind::NetworkUnreachable, text: "no route".into() }))
    });
    let (world, recursor) = recursor(world);
    let over_v6 = |world: &World| world.asked().iter().filter(|asked| asked.server.is_ipv6()).count();
    let mut tries = 0;
    while over_v6(&world) == 0 {
        fetch(&recursor, "www.example.org A", 0).await.unwrap();
        tries += 1;
        assert!(tries < 50);
    }
    for _ in 0..20 {
        fetch(&recursor, "www.example.org A", 0).await.unwrap();
    }
    assert_eq!(over_v6(&world), 0);
    // Addresses of no use are not looked up either.
    fetch(&recursor, "www.example.com A", 0).await.unwrap();
    assert!(!world.log().iter().any(|line| line.ends_with(" AAAA")));
    advance(Duration::from_secs(60)).await;
    let mut tries = 0;
    while over_v6(&world) == 0 {
        fetch(&recursor, "www.example.org A", 0).await.unwrap();
        tries += 1;
        assert!(tries < 50, "it is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_family_costs_little_and_then_nothing() {
    // Every zone has more addresses of the family that leads nowhere.
    let records = (0..40).map(|number| {
        let six = |server| format!("ns.z{number}.example AAAA 2001:db8:{number}::{server}\n");
        let six: String = (1..=4).map(six).collect();
        format!("z{number}.example NS ns.z{number}.example\nns.z{number}.example A 192.0.2.5\n{six}")
    });
    let mut world = World::new(&records.collect::<String>());
    for number in 0..40 {
        let zone = format!("z{number}.example");
        world = world.zone(&["192.0.2.5"], &zone, &format!("www.{zone} A 198.51.100.2"));
    }
    let (world, recursor) = recursor(world);
    let started = Instant::now();
    for number in 0..40 {
        let zone_started = Instant::now();
        fetch(&recursor, &format!("www.z{number}.example A"), 0).await.unwrap();
        assert!(zone_started.elapsed() <= Duration::from_secs(2), "at worst four others first");
        // Time for what was not waited for to count.
        advance(Duration::from_millis(1)).await;
    }
    let over_v6 = world.asked().iter().filter(|asked| asked.server.is_ipv6()).count();
    assert!((10..=14).contains(&over_v6), "{over_v6}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_network_down_is_told() {
    let down = |_: &Question, _| {
        Some(Err(ExchangeError::Network { kind: io::ErrorKind::NetworkUnreachable, text: "no route".into() }))
    };
    let (world, recursor) = recursor(world().odd(ROOT, down));
    let error = fetch(&recursor, "www.example.org A", 0).await.unwrap_err();
    assert_eq!((error.kind, error.reach), (LookupErrorKind::Network, Some(Reach::Root)));
    assert_eq!(error.detail, "the only root server did not answer: 192.0.2.1 could not be reached (no route)");
    assert_eq!(error.extended_errors.iter().map(|error| error.code).collect::<Vec<_>>(), [22, 23]);
    // As soon as it is back, so are we.
    world.change(ROOT, |question, _| Some(Ok(referral(question, &["net NS ns.net"], &["ns.net A 192.0.2.5"]))));
    world.change("192.0.2.5", saying(Rcode::NOERROR));
    fetch(&recursor, "www.net A", 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shortage_of_sockets_is_not_held_against_the_server() {
    let (world, recursor) = recursor(world().odd("192.0.2.5", |_, _| Some(Err(ExchangeError::NoSocket))));
    for _ in 0..5 {
        let error = fetch(&recursor, "www.example.net A", 0).await.unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::Timeout);
        assert!(error.detail.contains("too many questions are under way"), "{}", error.detail);
    }
    world.change("192.0.2.5", saying(Rcode::NOERROR));
    world.log();
    fetch(&recursor, "www.example.net A", 0).await.unwrap();
    assert_eq!(world.log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds() {
    let (_world, recursor) = recursor(world().silent(ONE).silent(TWO));
    let started = Instant::now();
    let asked = question("www.example.org A");
    let error = recursor.fetch(&asked, 0, Deadline::after(Duration::from_millis(700))).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_millis(700));
    assert_eq!(error.kind, LookupErrorKind::Timeout);
    assert!(error.detail.ends_with("; time was up"), "{}", error.detail);
    assert!(error.detail.contains("192.0.2.3 timed out"), "{}", error.detail);
}
