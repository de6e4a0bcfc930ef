//! A private DNS: a signed root, top-level domains and zones of every kind below it, on other people's servers, in
//! namespaces of the test's own, with unbound as the resolver whose verdicts are the measure.
//!
//! [`inside`] takes a test into its namespaces; there [`Lab::start`] signs the zones and starts the servers. Servers have
//! addresses for documentation (RFC 5737, RFC 3849), which look public. What is in the zones is told in `world`, what is
//! asked about them in `questions`. [`Proxy`] stands between a client and a server; a [`Cell`] is a place from which only
//! a part of the lab is seen.

mod cell;
mod daemons;
mod fronts;
mod inside;
mod oracle;
mod proxy;
mod questions;
mod sign;
mod spoil;
mod stripper;
mod wire;
mod world;
mod zone;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

pub use cell::{Cell, Sight};
pub use daemons::Resolver;
pub use inside::{inside, inside_program};
pub use oracle::{Answer, Existence, Oracle, ask};
pub use proxy::{Course, Meddler, Proxy, Via};
pub use questions::Question;
pub use stripper::Stripper;
pub use wire::{Message, Name, Record, Type};
pub use world::{Authority, Kind, Manner, World};
pub use zone::{Dates, Denial, Ds, Expect, Field, Keys, Signer, Spoil, Verdict, Zone};

use daemons::Daemon;
use inside::ResolvConf;

/// Where the oracle listens.
const ORACLE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// Where it listens as well, as a resolver on the same machine does.
const LOCAL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// The running lab. Its servers end, and its files go, when it is dropped.
#[derive(Debug)]
pub struct Lab {
    // Servers before the folder: they write into it until they end.
    resolvers: Mutex<Vec<Daemon>>,
    _fronts: Vec<fronts::Front>,
    authorities: Vec<Daemon>,
    keys: sign::Keyring,
    world: World,
    oracle: Oracle,
    resolv_conf: ResolvConf,
    folder: TempDir,
}

impl Lab {
    /// Signs the zones and starts all servers. Only within [`inside`].
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// The same after a change of the world: zones of the test's own, or fewer of them, which start faster.
    #[track_caller]
    pub fn start_with(alter: impl FnOnce(&mut World)) -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let path = folder.path();
        let mut world = World::whole();
        alter(&mut world);
        let own = [ORACLE, Ipv4Addr::new(192, 0, 2, 54)].map(IpAddr::V4);
        let proxies = (100..=199).map(|number| Ipv4Addr::new(192, 0, 2, number).into());
        let servers = world.authorities.iter().flat_map(|authority| authority.addresses.clone());
        inside::add_addresses(own.into_iter().chain(proxies).chain(servers));
        let resolv_conf = ResolvConf::new(path);
        let keys = sign::make(&world, path);
        fs::write(path.join("root.ds"), sign::anchor(&keys)).expect("write the trust anchor");
        fs::write(path.join("root.hints"), hints(&world)).expect("write the hints");
        let authorities = daemons::authorities(&world, path);
        let _fronts = fronts::start(&world);
        let addresses = [IpAddr::V4(ORACLE), IpAddr::V4(LOCAL)];
        let resolvers = Mutex::new(vec![daemons::unbound(path, "oracle", &addresses, Resolver::Validating)]);
        let oracle = Oracle::new(SocketAddr::new(ORACLE.into(), 53));
        Self { resolvers, _fronts, authorities, keys, world, oracle, resolv_conf, folder }
    }

    /// The resolver whose verdicts are the measure.
    pub fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// The same resolver on an address of the loopback.
    pub fn local_resolver(&self) -> IpAddr {
        LOCAL.into()
    }

    /// Starts one more resolver, at `192.0.2.54`; it has an empty cache.
    #[track_caller]
    pub fn resolver(&self, resolver: Resolver) -> SocketAddr {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 54));
        let daemon = daemons::unbound(self.folder.path(), "second", &[address], resolver);
        self.resolvers.lock().expect("no panic within the lock").push(daemon);
        SocketAddr::new(address, 53)
    }

    /// Zones and authorities.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Changes a zone while its servers run, and waits until they have the new one. Its keys stay; resolvers may keep
    /// what they know for the zone's TTL.
    #[track_caller]
    pub fn change(&mut self, name: &str, alter: impl FnOnce(&mut Zone)) {
        let zone =
            self.world.zones.iter_mut().find(|zone| zone.name == name).unwrap_or_else(|| panic!("no zone {name}"));
        alter(zone);
        zone.serial += 1;
        let zone = self.world.zones.iter().find(|zone| zone.name == name).expect("it is there");
        sign::sign(&self.world, zone, &self.keys, self.folder.path());
        daemons::reload(&self.world, zone, &self.authorities);
    }

    /// Every question about the zones.
    pub fn questions(&self) -> Vec<Question> {
        questions::all(&self.world)
    }

    /// The names and addresses of the root's servers, as in the usual `named.root`.
    pub fn root_hints(&self) -> PathBuf {
        self.folder.path().join("root.hints")
    }

    /// The root's DS records.
    pub fn trust_anchor(&self) -> PathBuf {
        self.folder.path().join("root.ds")
    }

    /// Where the zone files and the logs of the servers are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets `/etc/resolv.conf` name these servers.
    pub fn resolv_conf(&self, servers: &[IpAddr]) {
        self.resolv_conf.servers(servers);
    }

    /// Gives the lab more addresses, for servers of a test.
    pub fn add_addresses(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        inside::add_addresses(addresses);
    }

    /// An address for a [`Proxy`] of a test: `192.0.2.100` to `192.0.2.199`.
    #[track_caller]
    pub fn address(&self, number: u8) -> IpAddr {
        assert!((100..=199).contains(&number), "addresses for proxies end in 100 to 199");
        Ipv4Addr::new(192, 0, 2, number).into()
    }
}

fn hints(world: &World) -> String {
    let root = world.zones.iter().find(|zone| zone.name == ".").expect("a root");
    let mut text = String::new();
    for host in &root.hosts {
        text += &format!(". 3600000 NS {host}\n");
    }
    for line in root.lines().filter(|line| matches!(line.rtype, "A" | "AAAA")) {
        text += &format!("{}. 3600000 {} {}\n", line.owner, line.rtype, line.data);
    }
    text
}
