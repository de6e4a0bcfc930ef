use mailstead_testkit::SeededRandom;
use tokio::time::advance;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 53))
}

fn zone(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn ranked(servers: &Servers, numbers: &[u8]) -> Vec<(u8, Standing)> {
    let addresses: Vec<_> = numbers.iter().map(|number| server(*number)).collect();
    let ranked = servers.rank(&zone("example"), &addresses, &SeededRandom::new(1));
    let number = |address: SocketAddr| addresses.iter().position(|other| *other == address).unwrap();
    ranked.into_iter().map(|(address, standing)| (numbers[number(address)], standing)).collect()
}

#[tokio::test(start_paused = true)]
async fn waits_follow_the_measured_times() {
    let servers = Servers::new();
    let unknown = Waits { ask_others: INITIAL_WAIT, give_up: LEAST_PATIENCE };
    assert_eq!(servers.waits(server(1)), unknown);
    servers.answered(server(1), MILLISECOND * 100);
    assert_eq!(servers.waits(server(1)).ask_others, MILLISECOND * 300);
    for _ in 0..50 {
        servers.answered(server(1), MILLISECOND * 100);
    }
    let steady = servers.waits(server(1));
    assert!(steady.ask_others < MILLISECOND * 102, "{steady:?}");
    assert_eq!(steady.give_up, LEAST_PATIENCE);
    for _ in 0..50 {
        servers.answered(server(1), MILLISECOND);
    }
    assert_eq!(servers.waits(server(1)).ask_others, LEAST_WAIT);
    for _ in 0..50 {
        servers.answered(server(1), MILLISECOND * 9000);
    }
    assert_eq!(servers.waits(server(1)), Waits { ask_others: MOST_WAIT, give_up: MOST_WAIT });
    advance(MEMORY).await;
    assert_eq!(servers.waits(server(1)), unknown, "forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_silent_rest_for_a_growing_time() {
    let servers = Servers::new();
    let silent = || servers.silent(server(1), Instant::now());
    silent();
    assert_eq!(servers.waits(server(1)).ask_others, INITIAL_WAIT * 2);
    advance(MILLISECOND).await;
    silent();
    advance(MILLISECOND).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)], "two may get lost");
    silent();
    assert_eq!(ranked(&servers, &[1, 2]), [(2, Standing::Fit), (1, Standing::Resting)]);
    assert_eq!(servers.waits(server(1)).ask_others, INITIAL_WAIT * 8);
    advance(FIRST_REST).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)]);
    silent();
    advance(FIRST_REST * 2 - MILLISECOND).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Resting)]);
    advance(MILLISECOND).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)]);
    for _ in 0..100 {
        silent();
        advance(MILLISECOND).await;
    }
    advance(LONGEST_REST - MILLISECOND * 2).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Resting)]);
    servers.answered(server(1), MILLISECOND);
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_silent_together_counts_once() {
    let servers = Servers::new();
    let asked = Instant::now();
    advance(MILLISECOND).await;
    for _ in 0..50 {
        servers.silent(server(1), asked);
    }
    assert_eq!(servers.waits(server(1)).ask_others, INITIAL_WAIT * 2);
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)]);
}

#[tokio::test(start_paused = true)]
async fn fast_ones_come_first_and_equals_by_chance() {
    let servers = Servers::new();
    for (number, taken) in [(1, 20), (2, 160), (3, 171), (4, 300)] {
        servers.answered(server(number), MILLISECOND * taken);
    }
    let addresses = [4, 3, 2, 1, 9].map(server);
    let mut first = std::collections::HashSet::new();
    let random = SeededRandom::new(1);
    for _ in 0..50 {
        let order: Vec<_> = servers.rank(&zone("example"), &addresses, &random).into_iter().map(|at| at.0).collect();
        assert_eq!(order[3..], [server(3), server(4)]);
        first.insert(order[0]);
    }
    assert_eq!(first.len(), 3, "the fastest, one as good, and one unknown");
    // One that was silent is as fast as the wait for it at best.
    servers.silent(server(9), Instant::now());
    assert_eq!(ranked(&servers, &[9, 4, 1]).last(), Some(&(9, Standing::Fit)));
    // One that was waited for in vain loses its place.
    servers.abandoned(server(1), MILLISECOND * 4000);
    assert_eq!(ranked(&servers, &[1, 2]).first(), Some(&(2, Standing::Fit)));
}

#[tokio::test(start_paused = true)]
async fn lame_for_one_zone_only_and_not_for_ever() {
    let servers = Servers::new();
    servers.lame(server(1), &zone("example"), Lame::NotServing);
    servers.lame(server(2), &zone("example"), Lame::Failing);
    servers.lame(server(3), &zone("example.org"), Lame::NotServing);
    assert_eq!(ranked(&servers, &[1, 3]), [(3, Standing::Fit), (1, Standing::Lame)]);
    assert_eq!(ranked(&servers, &[2]), [(2, Standing::Lame)]);
    advance(FAILING).await;
    assert_eq!(ranked(&servers, &[2, 1]), [(2, Standing::Fit), (1, Standing::Lame)]);
    for number in 0..MOST_LAME_ZONES {
        servers.lame(server(1), &zone(&format!("z{number}.example")), Lame::NotServing);
    }
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)], "bounded");
    servers.lame(server(1), &zone("example"), Lame::NotServing);
    advance(LAME).await;
    assert_eq!(ranked(&servers, &[1]), [(1, Standing::Fit)]);
}

#[tokio::test(start_paused = true)]
async fn families_without_route_come_last_for_a_minute() {
    let servers = Servers::new();
    let six: SocketAddr = "[2001:db8::1]:53".parse().unwrap();
    servers.no_route(six);
    let order = servers.rank(&zone("example"), &[six, server(1)], &SeededRandom::new(1));
    assert_eq!(order, [(server(1), Standing::Fit), (six, Standing::NoRoute)]);
    assert!(servers.has_no_route(six) && !servers.has_no_route(server(1)));
    advance(NO_ROUTE).await;
    assert!(!servers.has_no_route(six));
    servers.no_route(six);
    servers.answered(six, MILLISECOND);
    assert!(!servers.has_no_route(six), "there is one after all");
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_silent_while_the_other_works_has_no_route() {
    let six = |number: u32| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number as u16], 53));
    let servers = Servers::new();
    let fall_silent = |count| (0..count).for_each(|number| servers.silent(six(number), Instant::now()));
    fall_silent(FAMILY_SILENCES);
    assert!(!servers.has_no_route(six(1)), "nothing is known to work better");
    servers.answered(server(1), MILLISECOND);
    servers.answered(six(1), MILLISECOND);
    fall_silent(FAMILY_SILENCES - 1);
    assert!(!servers.has_no_route(six(1)));
    fall_silent(1);
    assert!(servers.has_no_route(six(1)) && !servers.has_no_route(server(1)));
    // Tried again after a while; one more silence is enough then.
    advance(NO_ROUTE).await;
    servers.answered(server(1), MILLISECOND);
    assert!(!servers.has_no_route(six(1)));
    fall_silent(1);
    assert!(servers.has_no_route(six(1)));
}

#[tokio::test(start_paused = true)]
async fn places_are_bounded() {
    let servers = Servers::new();
    let mut places: Vec<_> = (0..OUTSTANDING).map(|_| servers.place(server(1)).unwrap()).collect();
    assert!(servers.place(server(1)).is_none());
    assert!(servers.place(server(2)).is_some());
    let waited = servers.wait_for_place(server(1), Deadline::after(MILLISECOND * 10)).await;
    assert_eq!(waited.unwrap_err(), Expired);
    places.pop();
    assert!(servers.wait_for_place(server(1), Deadline::after(MILLISECOND)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_servers_is_bounded() {
    let servers = Servers::with_capacity(3);
    for number in 0..10 {
        servers.without_edns(server(number));
    }
    assert_eq!(servers.lock().servers.len(), 3);
    assert!(servers.lacks_edns(server(9)) && !servers.lacks_edns(server(0)));
}
