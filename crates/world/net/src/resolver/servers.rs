//! What is known of each server: how fast it is, whether it answers at all, for what it is of no use, and how many
//! questions are with it.
//!
//! Speed is estimated as TCP does it (RFC 6298). A server that stays silent is passed over for a growing time, so
//! that questions go to those that answer; it is never given up for good. Nothing here asks anybody.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailstead_dns::Name;
use mailstead_runtime::{Deadline, Expired, Random};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::bounded::Bounded;

/// Servers remembered. Some 300 octets each.
const MOST_SERVERS: usize = 10_000;
/// What was known is forgotten when nothing new has been learnt for this long: servers get repaired.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// The wait before anything is known: longer than a way around the world and back.
const INITIAL_WAIT: Duration = Duration::from_millis(400);
/// Below it, a server that has to think for once would be asked twice.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// Above it, a response is of no use to whoever asked in the first place.
const MOST_WAIT: Duration = Duration::from_secs(5);
/// A response may come this much later than the wait after which somebody else is asked too.
const PATIENCE: u32 = 4;
/// But at least this is what the way to the server and the server's own work may take. Nobody waits for it in vain:
/// others are asked meanwhile.
const LEAST_PATIENCE: Duration = Duration::from_millis(2500);

/// Servers this much slower than the fastest are as good: whom we ask shall not be predictable (RFC 5452 §4.4).
const AS_GOOD: Duration = Duration::from_millis(150);
/// What we take for the speed of a server that we do not know: it is worth a try next to fast ones.
const UNKNOWN: Duration = Duration::from_millis(100);

/// Silences in a row before a server is passed over: single packets get lost.
const SILENCES: u32 = 3;
/// How long it is passed over at first; the time doubles with each further silence.
const FIRST_REST: Duration = Duration::from_secs(5);
/// It never rests longer.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// How long a server counts as lame for a zone.
const LAME: Duration = Duration::from_secs(15 * 60);
/// The same after SERVFAIL, which a server also says when it is starting or reloading.
const FAILING: Duration = Duration::from_secs(30);
/// Zones remembered per server for which it is lame; the oldest goes.
const MOST_LAME_ZONES: usize = 32;

/// Questions that may be with one server at a time. One that is slow then holds no more than a fifth of the sockets.
const OUTSTANDING: usize = 50;

/// How long a family of addresses counts as without route.
const NO_ROUTE: Duration = Duration::from_secs(60);

/// What speaks for or against asking a server. The better come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Nothing against it.
    Fit,
    /// It has been silent too often of late.
    Resting,
    /// It does not serve the zone.
    Lame,
    /// This machine has no route for addresses of this family.
    NoRoute,
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// After this, somebody else should be asked too.
    pub(crate) ask_others: Duration,
    /// After this, no response is to be expected any more.
    pub(crate) give_up: Duration,
}

/// Why a server counts as lame for a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lame {
    /// It does not serve the zone.
    NotServing,
    /// It failed (SERVFAIL).
    Failing,
}

#[derive(Debug)]
struct Server {
    smoothed: Option<Duration>,
    variation: Duration,
    wait: Duration,
    silences: u32,
    last_silence: Option<Instant>,
    rests_until: Option<Instant>,
    lame: Vec<(Name, Instant)>,
    no_edns: bool,
    places: Arc<Semaphore>,
}

impl Server {
    fn new() -> Self {
        Server {
            smoothed: None,
            variation: Duration::ZERO,
            wait: INITIAL_WAIT,
            silences: 0,
            last_silence: None,
            rests_until: None,
            lame: Vec::new(),
            no_edns: false,
            places: Arc::new(Semaphore::new(OUTSTANDING)),
        }
    }

    /// RFC 6298 §2. Each question has its own id and port, so it is always clear which one a response belongs to.
    fn measure(&mut self, taken: Duration) {
        let (smoothed, variation) = match self.smoothed {
            None => (taken, taken / 2),
            Some(smoothed) => ((smoothed * 7 + taken) / 8, (self.variation * 3 + smoothed.abs_diff(taken)) / 4),
        };
        (self.smoothed, self.variation) = (Some(smoothed), variation);
        self.wait = (smoothed + variation * 4).clamp(LEAST_WAIT, MOST_WAIT);
    }

    fn standing(&self, zone: &Name, now: Instant) -> Standing {
        if self.lame.iter().any(|(lame, until)| lame == zone && *until > now) {
            Standing::Lame
        } else if self.rests_until.is_some_and(|until| until > now) {
            Standing::Resting
        } else {
            Standing::Fit
        }
    }
}

#[derive(Debug)]
struct State {
    servers: Bounded<SocketAddr, Server>,
    /// Until when IPv4 and IPv6 count as without route.
    no_route: [Option<Instant>; 2],
}

/// What is known of servers.
#[derive(Debug)]
pub(crate) struct Servers {
    state: Mutex<State>,
}

impl Servers {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        Servers::with_capacity(MOST_SERVERS)
    }

    fn with_capacity(capacity: usize) -> Self {
        Servers { state: Mutex::new(State { servers: Bounded::new(capacity), no_route: [None; 2] }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something about a server.
    fn note<T>(&self, address: SocketAddr, note: impl FnOnce(&mut Server, Instant) -> T) -> T {
        let now = Instant::now();
        let mut state = self.lock();
        if state.servers.get(&address, now).is_none() {
            state.servers.insert(address, Server::new(), now + MEMORY);
        }
        state.servers.set_expiry(&address, now + MEMORY);
        match state.servers.get(&address, now) {
            Some(server) => note(server, now),
            None => note(&mut Server::new(), now),
        }
    }

    /// Reads what is known of a server.
    fn read<T>(&self, address: SocketAddr, read: impl FnOnce(&Server) -> T) -> T {
        match self.lock().servers.get(&address, Instant::now()) {
            Some(server) => read(server),
            None => read(&Server::new()),
        }
    }

    /// The servers in the order in which to ask them about this zone.
    pub(crate) fn rank(
        &self,
        zone: &Name,
        addresses: &[SocketAddr],
        random: &(dyn Random + 'static),
    ) -> Vec<(SocketAddr, Standing)> {
        let now = Instant::now();
        let mut ranked: Vec<_> = {
            let mut state = self.lock();
            let no_route = state.no_route;
            let routed = |address: &SocketAddr| no_route[family(*address)].is_none_or(|until| until <= now);
            let mut of = |address: &SocketAddr| match state.servers.get(address, now) {
                _ if !routed(address) => (Standing::NoRoute, UNKNOWN),
                Some(server) => (server.standing(zone, now), server.smoothed.unwrap_or(UNKNOWN)),
                None => (Standing::Fit, UNKNOWN),
            };
            addresses.iter().map(|address| (*address, of(address), random.number())).collect()
        };
        let fastest = ranked.iter().map(|(_, (_, speed), _)| *speed).min().unwrap_or_default();
        ranked.sort_by_key(|(_, (standing, speed), chance)| {
            let slower = if *speed <= fastest + AS_GOOD { Duration::ZERO } else { *speed };
            (*standing, slower, *chance)
        });
        ranked.into_iter().map(|(address, (standing, _), _)| (address, standing)).collect()
    }

    /// How long to wait for this server.
    pub(crate) fn waits(&self, address: SocketAddr) -> Waits {
        let ask_others = self.read(address, |server| server.wait);
        Waits { ask_others, give_up: (ask_others * PATIENCE).clamp(LEAST_PATIENCE, MOST_WAIT) }
    }

    /// Whether to ask without EDNS.
    pub(crate) fn lacks_edns(&self, address: SocketAddr) -> bool {
        self.read(address, |server| server.no_edns)
    }

    /// Whether addresses of this family are without route.
    pub(crate) fn has_no_route(&self, address: SocketAddr) -> bool {
        self.lock().no_route[family(address)].is_some_and(|until| until > Instant::now())
    }

    /// A place among the questions that are with this server, if one is free.
    pub(crate) fn place(&self, address: SocketAddr) -> Option<OwnedSemaphorePermit> {
        self.note(address, |server, _| Arc::clone(&server.places)).try_acquire_owned().ok()
    }

    /// The same, waiting until one is.
    ///
    /// # Errors
    /// When that is not before the deadline.
    pub(crate) async fn wait_for_place(
        &self,
        address: SocketAddr,
        deadline: Deadline,
    ) -> Result<OwnedSemaphorePermit, Expired> {
        let places = self.note(address, |server, _| Arc::clone(&server.places));
        // The semaphore is never closed.
        deadline.bound(places.acquire_owned()).await?.map_err(|_| Expired)
    }

    /// A response came, whatever it says, after this time.
    pub(crate) fn answered(&self, address: SocketAddr, taken: Duration) {
        self.note(address, |server, _| {
            server.measure(taken);
            (server.silences, server.rests_until) = (0, None);
        });
    }

    /// No response came to a question asked at this instant, or the network said that none will.
    pub(crate) fn silent(&self, address: SocketAddr, asked: Instant) {
        self.note(address, |server, now| {
            // Questions that were under way together are silent together; that counts once.
            if server.last_silence.is_some_and(|last| asked < last) {
                return;
            }
            server.last_silence = Some(now);
            server.silences = server.silences.saturating_add(1);
            server.wait = (server.wait * 2).min(MOST_WAIT);
            if let Some(further) = server.silences.checked_sub(SILENCES) {
                let rest = FIRST_REST.saturating_mul(1_u32.checked_shl(further).unwrap_or(u32::MAX));
                server.rests_until = Some(now + rest.min(LONGEST_REST));
            }
        });
    }

    /// Nobody waits any more for the response to a question asked this long ago: another server was faster.
    pub(crate) fn abandoned(&self, address: SocketAddr, waited: Duration) {
        self.note(address, |server, _| {
            // It takes at least so long, and may have to give up its place to faster ones.
            if waited > server.smoothed.unwrap_or(LEAST_WAIT) {
                server.measure(waited);
            }
        });
    }

    /// The server is of no use for this zone.
    pub(crate) fn lame(&self, address: SocketAddr, zone: &Name, why: Lame) {
        self.note(address, |server, now| {
            server.lame.retain(|(lame, until)| lame != zone && *until > now);
            if server.lame.len() >= MOST_LAME_ZONES {
                server.lame.remove(0);
            }
            let life = match why {
                Lame::NotServing => LAME,
                Lame::Failing => FAILING,
            };
            server.lame.push((zone.clone(), now + life));
        });
    }

    /// The server does not understand EDNS.
    pub(crate) fn without_edns(&self, address: SocketAddr) {
        self.note(address, |server, _| server.no_edns = true);
    }

    /// There is no route for addresses of this family.
    pub(crate) fn no_route(&self, address: SocketAddr) {
        self.lock().no_route[family(address)] = Some(Instant::now() + NO_ROUTE);
    }
}

fn family(address: SocketAddr) -> usize {
    usize::from(address.is_ipv6())
}

#[cfg(test)]
mod tests {
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
            let order: Vec<_> =
                servers.rank(&zone("example"), &addresses, &random).into_iter().map(|at| at.0).collect();
            assert_eq!(order[3..], [server(3), server(4)]);
            first.insert(order[0]);
        }
        assert_eq!(first.len(), 3, "the fastest, one as good, and one unknown");
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
}
