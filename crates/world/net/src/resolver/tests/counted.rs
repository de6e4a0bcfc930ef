//! What is counted.

use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Rcode};
use mailstead_runtime::{Supervisor, SystemClock, SystemRandom};
use mailstead_testkit::SignedWorld;
use tokio::net::UdpSocket;

use super::super::{DURATION_BOUNDS, DnsMode, DnsOptions, DnsResolver, OUTCOMES, ResolvConf, Servers, Statistics};
use super::world::*;

fn outcomes(resolver: &DnsResolver) -> Vec<(&'static str, u64)> {
    OUTCOMES.into_iter().zip(resolver.statistics().outcomes).filter(|(_, count)| *count > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn look_ups_by_their_outcome() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|_| {});
    assert_eq!(resolver.statistics(), Statistics::default());
    told(&resolver, "mx.test A").await;
    told(&resolver, "mx.test A").await;
    told(&resolver, "absent.test A").await;
    told(&resolver, "mx.plain.test A").await;
    told(&resolver, "away.plain.test A").await;
    told(&resolver, "mx.flawed.test A").await;
    world.set(RESOLVER, saying(Rcode::REFUSED));
    told(&resolver, "host.test A").await;
    world.set(RESOLVER, silent);
    told(&resolver, "www.test A").await;
    assert_eq!(outcomes(&resolver), [("secure", 3), ("insecure", 2), ("bogus", 1), ("timeout", 1), ("error", 1)]);
    let stuck = world.resolver(|_| {});
    told(&stuck, "mx.test A").await;
    assert_eq!(outcomes(&stuck), [("no-resolver", 1)]);
}

#[tokio::test(start_paused = true)]
async fn look_ups_by_the_time_they_took() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    world.delay("host.test", Duration::from_millis(5));
    world.delay("mx.test", Duration::from_millis(300));
    for question in ["test MX", "test MX", "host.test A", "mx.test A"] {
        assert!(look_up(&resolver, question).await.is_ok());
    }
    world.set(RESOLVER, silent);
    assert_eq!(look_up(&resolver, "www.test A").await.unwrap_err().kind, LookupErrorKind::Timeout);
    let statistics = resolver.statistics();
    let classes: Vec<_> = statistics.durations.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
    let class = |milliseconds| DURATION_BOUNDS.iter().position(|bound| *bound == milliseconds).unwrap();
    assert_eq!(classes, [(class(1), 2), (class(5), 1), (class(500), 1), (class(5_000), 1)]);
    assert_eq!(statistics.total, Duration::from_millis(5 + 300 + 4_500));
}

#[tokio::test(start_paused = true)]
async fn steps_that_were_known_and_those_that_were_not() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|_| {});
    let counts = || {
        let Statistics { cache_hits, cache_misses, .. } = resolver.statistics();
        (cache_hits, cache_misses)
    };
    told(&resolver, "twice.test A").await;
    assert_eq!(counts(), (0, 3));
    told(&resolver, "twice.test A").await;
    assert_eq!(counts(), (3, 3));
    told(&resolver, "away.test A").await;
    assert_eq!(counts(), (5, 3));
    told(&resolver, "twice.test MX").await;
    assert_eq!(counts(), (7, 4), "the aliases are known, the end is not");
    told(&resolver, "mx.flawed.test A").await;
    told(&resolver, "mx.flawed.test A").await;
    assert_eq!(counts(), (8, 5), "that it failed is known");
}

#[tokio::test(start_paused = true)]
async fn entries_and_the_memory_that_they_take() {
    let world = World::with(SignedWorld::example().build(), honest);
    let resolver = world.resolver(|options| options.mode = DnsMode::Unvalidated);
    told(&resolver, "twice.test A").await;
    let statistics = resolver.statistics();
    assert_eq!(statistics.cache_entries, 3);
    assert!((600..1500).contains(&statistics.cache_octets), "{statistics:?}");
    resolver.reset();
    let statistics = resolver.statistics();
    assert_eq!((statistics.cache_entries, statistics.cache_octets), (0, 0));
}

/// The response to a question for the address of a name.
fn response(question: &[u8]) -> Vec<u8> {
    // Without EDNS, which is the last eleven octets.
    let mut octets = question[..question.len() - 11].to_vec();
    octets[2] |= 0x80;
    (octets[7], octets[11]) = (1, 0);
    octets.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    octets
}

#[tokio::test]
async fn questions_on_the_wire() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let options = DnsOptions {
        mode: DnsMode::Unvalidated,
        servers: Servers::Fixed(ResolvConf::with_servers(vec![socket.local_addr().unwrap()])),
        ..DnsOptions::default()
    };
    let clock = Arc::new(SystemClock);
    let resolver = DnsResolver::new(options, clock, Arc::new(SystemRandom), Supervisor::new()).unwrap();
    let server = async {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let genuine = response(&buffer[..length]);
        let mut forged = genuine.clone();
        forged[0] ^= 1;
        socket.send_to(&forged, from).await.unwrap();
        socket.send_to(&genuine, from).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(told(&resolver, "www.test A"), server);
    assert_eq!(outcome, "insecure: 192.0.2.1");
    let Statistics { udp_queries, tcp_queries, timeouts, mismatched_replies, .. } = resolver.statistics();
    assert_eq!((udp_queries, tcp_queries, timeouts, mismatched_replies), (1, 0, 0, 1));
}
