//! Limits per network: how fast and how many connections, how many failed authentications.
//!
//! Every remote address belongs to three nested classes (IPv4 /32, /26, /21; IPv6 /64, /48, /32), each
//! with its own limit, so that neither one host nor one provider's network can crowd out the rest. Rates
//! are counted in fixed windows aligned to the wall clock. Exempt networks are neither counted nor refused:
//! behind a proxy or in a test bench all clients come from one address.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailstead_runtime::Clock;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of this prefix length around `address`. Lengths beyond the address count as all of it.
    #[must_use]
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        match address {
            IpAddr::V4(address) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Network { base: Ipv4Addr::from_bits(address.to_bits() & mask).into(), prefix }
            }
            IpAddr::V6(address) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Network { base: Ipv6Addr::from_bits(address.to_bits() & mask).into(), prefix }
            }
        }
    }

    /// Whether the address lies in this network. An IPv4 address inside IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && Network::around(address, self.prefix).base == self.base
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The three classes of an address, narrowest first.
fn classes(address: IpAddr) -> [Network; 3] {
    let address = address.to_canonical();
    let prefixes = if address.is_ipv4() { [32, 26, 21] } else { [64, 48, 32] };
    prefixes.map(|prefix| Network::around(address, prefix))
}

/// One limit for each of the three classes, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerClass(pub [u32; 3]);

/// Connections per minute unless configured otherwise.
pub const CONNECTION_RATE: PerClass = PerClass([300, 900, 2700]);
/// Connections open at the same time unless configured otherwise.
pub const OPEN_CONNECTIONS: PerClass = PerClass([30, 90, 270]);
/// Connections open at the same time from everywhere together unless configured otherwise.
pub const ALL_OPEN_CONNECTIONS: u32 = 2000;
/// Failed authentications per minute unless configured otherwise.
pub const AUTH_FAILURES_PER_MINUTE: PerClass = PerClass([10, 30, 90]);
/// Failed authentications per day unless configured otherwise.
pub const AUTH_FAILURES_PER_DAY: PerClass = PerClass([50, 150, 450]);

/// Counts per network, with nothing kept for networks at zero.
#[derive(Debug, Default)]
struct Counts(HashMap<Network, u32>);

impl Counts {
    fn of(&self, network: Network) -> u32 {
        self.0.get(&network).copied().unwrap_or(0)
    }

    fn has_room(&self, address: IpAddr, limits: PerClass) -> bool {
        classes(address).into_iter().zip(limits.0).all(|(network, limit)| self.of(network) < limit)
    }

    fn add(&mut self, address: IpAddr) {
        for network in classes(address) {
            let count = self.0.entry(network).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn subtract(&mut self, address: IpAddr, amount: u32) {
        for network in classes(address) {
            if let Some(count) = self.0.get_mut(&network) {
                *count = count.saturating_sub(amount);
                if *count == 0 {
                    self.0.remove(&network);
                }
            }
        }
    }
}

/// Counts that start anew with every window of the wall clock.
#[derive(Debug)]
struct Window {
    seconds: i64,
    limits: PerClass,
    index: i64,
    counts: Counts,
}

impl Window {
    fn new(seconds: i64, limits: PerClass) -> Self {
        Window { seconds, limits, index: i64::MIN, counts: Counts::default() }
    }

    /// The counts of the window in which `now` lies.
    fn at(&mut self, now: i64) -> &mut Counts {
        let index = now.div_euclid(self.seconds);
        if self.index != index {
            self.index = index;
            self.counts = Counts::default();
        }
        &mut self.counts
    }

    fn has_room(&mut self, address: IpAddr, now: i64) -> bool {
        let limits = self.limits;
        self.at(now).has_room(address, limits)
    }
}

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * 60;

fn is_exempt(exempt: &[Network], address: IpAddr) -> bool {
    exempt.iter().any(|network| network.contains(address))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while counts are changed half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Excess {
    /// Too many new connections in this minute.
    Rate,
    /// Too many connections at the same time.
    Open,
}

/// The numbers for [`ConnectionLimits`].
#[derive(Debug, Clone)]
pub struct ConnectionLimitSettings {
    /// New connections per minute.
    pub rate: PerClass,
    /// Connections at the same time.
    pub open: PerClass,
    /// Connections at the same time from everywhere together, exempt networks included: what the machine's memory
    /// and file descriptors are for.
    pub all_open: u32,
    /// Networks without limits of their own.
    pub exempt: Vec<Network>,
}

impl Default for ConnectionLimitSettings {
    fn default() -> Self {
        ConnectionLimitSettings {
            rate: CONNECTION_RATE,
            open: OPEN_CONNECTIONS,
            all_open: ALL_OPEN_CONNECTIONS,
            exempt: Vec::new(),
        }
    }
}

/// Admits connections.
#[derive(Debug)]
pub struct ConnectionLimits {
    settings: ConnectionLimitSettings,
    clock: Arc<dyn Clock>,
    counts: Mutex<ConnectionCounts>,
}

#[derive(Debug)]
struct ConnectionCounts {
    rate: Window,
    open: Counts,
    all_open: u32,
}

/// One admitted connection; it counts as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection {
    limits: Arc<ConnectionLimits>,
    /// `None` for exempt networks, which are counted only among all.
    address: Option<IpAddr>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut counts = lock(&self.limits.counts);
        counts.all_open -= 1;
        if let Some(address) = self.address {
            counts.open.subtract(address, 1);
        }
    }
}

impl ConnectionLimits {
    /// Limits with these numbers.
    #[must_use]
    pub fn new(settings: ConnectionLimitSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let rate = Window::new(MINUTE, settings.rate);
        Arc::new(ConnectionLimits {
            settings,
            clock,
            counts: Mutex::new(ConnectionCounts { rate, open: Counts::default(), all_open: 0 }),
        })
    }

    /// Counts one more connection from this address, or says why it is one too many.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<OpenConnection, Excess> {
        let address = Some(address).filter(|address| !is_exempt(&self.settings.exempt, *address));
        let now = self.clock.now().as_second();
        let mut counts = lock(&self.counts);
        if let Some(address) = address {
            if !counts.rate.has_room(address, now) {
                return Err(Excess::Rate);
            }
            counts.rate.at(now).add(address);
        }
        let has_room = address.is_none_or(|address| counts.open.has_room(address, self.settings.open));
        if !has_room || counts.all_open >= self.settings.all_open {
            return Err(Excess::Open);
        }
        if let Some(address) = address {
            counts.open.add(address);
        }
        counts.all_open += 1;
        Ok(OpenConnection { limits: Arc::clone(self), address })
    }
}

/// The numbers for [`AuthFailures`].
#[derive(Debug, Clone)]
pub struct AuthFailureSettings {
    /// Failures per minute.
    pub per_minute: PerClass,
    /// Failures per day.
    pub per_day: PerClass,
    /// Networks without limits.
    pub exempt: Vec<Network>,
}

impl Default for AuthFailureSettings {
    fn default() -> Self {
        AuthFailureSettings { per_minute: AUTH_FAILURES_PER_MINUTE, per_day: AUTH_FAILURES_PER_DAY, exempt: Vec::new() }
    }
}

/// Counts failed authentications over all protocols.
#[derive(Debug)]
pub struct AuthFailures {
    exempt: Vec<Network>,
    clock: Arc<dyn Clock>,
    windows: Mutex<[Window; 2]>,
}

impl AuthFailures {
    /// Limits with these numbers.
    #[must_use]
    pub fn new(settings: AuthFailureSettings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let windows = [Window::new(MINUTE, settings.per_minute), Window::new(DAY, settings.per_day)];
        Arc::new(AuthFailures { exempt: settings.exempt, clock, windows: Mutex::new(windows) })
    }

    /// Whether somebody at this address may still try.
    #[must_use]
    pub fn may_try(&self, address: IpAddr) -> bool {
        let now = self.clock.now().as_second();
        is_exempt(&self.exempt, address) || lock(&self.windows).iter_mut().all(|window| window.has_room(address, now))
    }

    /// Counts a failure.
    pub fn failed(&self, address: IpAddr) {
        if is_exempt(&self.exempt, address) {
            return;
        }
        let now = self.clock.now().as_second();
        for window in lock(&self.windows).iter_mut() {
            window.at(now).add(address);
        }
    }

    /// Forgets the failures of this address, which has just shown that it belongs to somebody; the wider
    /// classes lose only what it contributed.
    pub fn succeeded(&self, address: IpAddr) {
        let now = self.clock.now().as_second();
        let [narrowest, ..] = classes(address);
        for window in lock(&self.windows).iter_mut() {
            let counts = window.at(now);
            let contributed = counts.of(narrowest);
            counts.subtract(address, contributed);
        }
    }
}

#[cfg(test)]
mod tests;
