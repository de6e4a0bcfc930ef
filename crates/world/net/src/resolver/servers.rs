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
/// So many silences in a row from servers of one family, while the other one works, are no coincidence: there is a route
/// by name only. Each new zone would cost a wait otherwise.
const FAMILY_SILENCES: u32 = 10;

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

    /// How fast it is taken to be. One that was silent just now is at best as fast as the wait for it is long.
    fn speed(&self) -> Duration {
        let smoothed = self.smoothed.unwrap_or(UNKNOWN);
        if self.silences > 0 { smoothed.max(self.wait) } else { smoothed }
    }
}

/// What is known of all addresses of a family.
#[derive(Debug, Default)]
struct Family {
    no_route_until: Option<Instant>,
    silences: u32,
    last_answer: Option<Instant>,
}

impl Family {
    fn has_no_route(&self, now: Instant) -> bool {
        self.no_route_until.is_some_and(|until| until > now)
    }
}

#[derive(Debug)]
struct State {
    servers: Bounded<SocketAddr, Server>,
    v4: Family,
    v6: Family,
}

impl State {
    /// The family of the address, and the other one.
    fn families(&mut self, address: SocketAddr) -> (&mut Family, &mut Family) {
        if address.is_ipv4() { (&mut self.v4, &mut self.v6) } else { (&mut self.v6, &mut self.v4) }
    }
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
        Servers {
            state: Mutex::new(State { servers: Bounded::new(capacity), v4: Family::default(), v6: Family::default() }),
        }
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
            let mut of = |address: &SocketAddr| {
                if state.families(*address).0.has_no_route(now) {
                    return (Standing::NoRoute, UNKNOWN);
                }
                match state.servers.get(address, now) {
                    Some(server) => (server.standing(zone, now), server.speed()),
                    None => (Standing::Fit, UNKNOWN),
                }
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
        self.lock().families(address).0.has_no_route(Instant::now())
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
        let mut state = self.lock();
        *state.families(address).0 = Family { last_answer: Some(Instant::now()), ..Family::default() };
    }

    /// No response came to a question asked at this instant, or the network said that none will.
    pub(crate) fn silent(&self, address: SocketAddr, asked: Instant) {
        let counts = self.note(address, |server, now| {
            // Questions that were under way together are silent together; that counts once.
            if server.last_silence.is_some_and(|last| asked < last) {
                return false;
            }
            server.last_silence = Some(now);
            server.silences = server.silences.saturating_add(1);
            server.wait = (server.wait * 2).min(MOST_WAIT);
            if let Some(further) = server.silences.checked_sub(SILENCES) {
                let rest = FIRST_REST.saturating_mul(1_u32.checked_shl(further).unwrap_or(u32::MAX));
                server.rests_until = Some(now + rest.min(LONGEST_REST));
            }
            true
        });
        if counts {
            self.family_silent(address);
        }
    }

    fn family_silent(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut state = self.lock();
        let (own, other) = state.families(address);
        own.silences = own.silences.saturating_add(1);
        // Where both are silent nothing is wrong with the one, and where there is but one it is all we have.
        let other_works = other.last_answer.is_some_and(|last| now.duration_since(last) < NO_ROUTE);
        if own.silences >= FAMILY_SILENCES && other_works {
            own.no_route_until = Some(now + NO_ROUTE);
        }
    }

    /// Nobody waits any more for the response to a question asked this long ago: another server was faster.
    pub(crate) fn abandoned(&self, address: SocketAddr, waited: Duration) {
        let is_late = self.note(address, |server, _| {
            let is_late = waited >= server.wait;
            // It takes at least so long, and may have to give up its place to faster ones.
            if waited > server.smoothed.unwrap_or(LEAST_WAIT) {
                server.measure(waited);
            }
            is_late
        });
        if is_late {
            self.family_silent(address);
        }
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
        self.lock().families(address).0.no_route_until = Some(Instant::now() + NO_ROUTE);
    }
}

#[cfg(test)]
mod tests;
