//! The numbers of the limits, window borders, exemption, and release of what was counted.

use std::time::Duration;

use mailstead_testkit::ManualClock;
use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn connections(settings: ConnectionLimitSettings) -> (Arc<ConnectionLimits>, ManualClock) {
    let clock = ManualClock::new();
    (ConnectionLimits::new(settings, clock.shared()), clock)
}

fn network(address: &str, prefix: u8) -> Network {
    Network::around(ip(address), prefix)
}

#[test]
fn networks_are_cut_to_their_prefix() {
    for (address, prefix, shown) in [
        ("192.0.2.77", 24, "192.0.2.0/24"),
        ("192.0.2.77", 0, "0.0.0.0/0"),
        ("192.0.2.77", 99, "192.0.2.77/32"),
        ("2001:db8:1:2:3::", 48, "2001:db8:1::/48"),
        ("::1", 128, "::1/128"),
        ("ffff::", 0, "::/0"),
    ] {
        assert_eq!(network(address, prefix).to_string(), shown);
    }
    let mapped = ip("::ffff:192.0.2.9");
    assert!(network("192.0.2.0", 24).contains(mapped));
    assert!(!network("::", 0).contains(mapped));
}

#[test]
fn the_rate_of_one_address_then_of_its_networks() {
    let open = PerClass([u32::MAX; 3]);
    let (limits, clock) = connections(ConnectionLimitSettings { open, ..Default::default() });
    let take = |address: &str, times: u32| (0..times).filter(|_| limits.admit(ip(address)).is_ok()).count();
    assert_eq!(take("192.0.2.1", 301), 300);
    // The rest of the /26 shares 900, the rest of the /21 shares 2700.
    assert_eq!((take("192.0.2.2", 301), take("192.0.2.3", 301), take("192.0.2.4", 301)), (300, 300, 0));
    assert_eq!(take("192.0.2.64", 1), 1);
    assert_eq!(limits.admit(ip("192.0.2.1")).unwrap_err(), Excess::Rate);
    // START is a whole minute; the next one counts anew.
    clock.advance(Duration::from_secs(59));
    assert_eq!(take("192.0.2.1", 1), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(take("192.0.2.1", 301), 300);
}

#[test]
fn open_connections_count_until_dropped() {
    let (limits, _clock) = connections(ConnectionLimitSettings::default());
    let mut held: Vec<_> = (0..30).map(|_| limits.admit(ip("2001:db8::1")).unwrap()).collect();
    assert_eq!(limits.admit(ip("2001:db8::ffff")).unwrap_err(), Excess::Open, "the same /64");
    held.pop();
    held.push(limits.admit(ip("2001:db8::2")).unwrap());
    assert!(limits.admit(ip("2001:db8:0:1::1")).is_ok(), "another /64 of the same /48");
    drop(held);
    assert!(lock(&limits.counts).open.0.is_empty());
}

#[test]
fn exempt_networks_are_not_counted() {
    let exempt = vec![network("127.0.0.0", 8)];
    let (limits, _clock) = connections(ConnectionLimitSettings { exempt: exempt.clone(), ..Default::default() });
    let held: Vec<_> = (0..1000).map(|_| limits.admit(ip("127.0.0.1")).unwrap()).collect();
    assert_eq!(held.len(), 1000);
    let failures = AuthFailures::new(AuthFailureSettings { exempt, ..Default::default() }, ManualClock::new().shared());
    (0..1000).for_each(|_| failures.failed(ip("127.0.0.1")));
    assert!(failures.may_try(ip("127.0.0.1")));
}

#[test]
fn all_together_are_bounded_too() {
    let exempt = vec![network("127.0.0.0", 8)];
    let (limits, _clock) = connections(ConnectionLimitSettings { all_open: 3, exempt, ..Default::default() });
    let held = ["127.0.0.1", "192.0.2.1", "2001:db8::1"].map(|address| limits.admit(ip(address)).unwrap());
    assert_eq!(limits.admit(ip("198.51.100.1")).unwrap_err(), Excess::Open);
    assert_eq!(limits.admit(ip("127.0.0.1")).unwrap_err(), Excess::Open);
    drop(held);
    assert!(limits.admit(ip("127.0.0.1")).is_ok());
    assert_eq!(lock(&limits.counts).all_open, 0);
}

#[test]
fn failures_per_minute_and_per_day() {
    let clock = ManualClock::new();
    let failures = AuthFailures::new(AuthFailureSettings::default(), clock.shared());
    let guess = |times: u32| {
        (0..times)
            .filter(|_| {
                let may = failures.may_try(ip("192.0.2.1"));
                if may {
                    failures.failed(ip("192.0.2.1"));
                }
                may
            })
            .count()
    };
    for minute in 0..6 {
        assert_eq!(guess(20), if minute < 5 { 10 } else { 0 }, "50 a day");
        clock.advance(Duration::from_secs(60));
    }
    clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(guess(20), 10);
}

#[test]
fn success_forgives_the_address_but_not_its_neighbours() {
    let failures = AuthFailures::new(AuthFailureSettings::default(), ManualClock::new().shared());
    for host in 1..=3 {
        (0..10).for_each(|_| failures.failed(ip(&format!("192.0.2.{host}"))));
    }
    assert!(!failures.may_try(ip("192.0.2.4")), "the /26 is full");
    failures.succeeded(ip("192.0.2.1"));
    assert!(failures.may_try(ip("192.0.2.1")));
    assert!(failures.may_try(ip("192.0.2.4")));
    assert!(!failures.may_try(ip("192.0.2.2")));
}

proptest! {
    /// An address is inside every network around it, and outside when a bit of the prefix differs.
    #[test]
    fn around_contains(bits: u32, prefix in 1u8..=32, flip in 0u8..32) {
        let network = Network::around(IpAddr::V4(bits.into()), prefix);
        prop_assert!(network.contains(IpAddr::V4(bits.into())));
        let other = Ipv4Addr::from_bits(bits ^ (1 << (31 - flip)));
        prop_assert_eq!(network.contains(other.into()), flip >= prefix);
    }
}
