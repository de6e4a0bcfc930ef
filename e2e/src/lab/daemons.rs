//! Other people's servers: the authorities with NSD, BIND and Knot, and unbound as the resolver that is asked what is
//! true.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::inside::program;
use super::oracle::ask;
use super::proxy::Via;
use super::sign;
use super::wire::{Message, Name, Type};
use super::world::{Authority, Kind, World};
use super::zone::Zone;
use crate::{bounded, run};

/// The longest that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program in the foreground, with its log in `folder`.
    fn start(name: &str, label: &str, folder: &Path, words: &[&str]) -> Self {
        // AppArmor's profiles go by path and know only the folders of Debian's own servers: a copy is not confined.
        let copy = folder.join(format!("{label}.{name}"));
        fs::copy(program(name), &copy).expect("copy a server");
        let log = folder.join(format!("{label}.log"));
        let file = File::create(&log).expect("a log");
        let child = Command::new(copy)
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
        Self { child, log }
    }

    /// Waits until the server answers for a zone, over UDP and TCP.
    fn await_answer(&mut self, server: SocketAddr, zone: &str) {
        let start = Instant::now();
        for via in [Via::Udp, Via::Tcp] {
            let answered = || {
                let query = Message::query(1, &Name::of(zone), Type::SOA, Message::RD);
                ask(server, &query, via, Duration::from_millis(500)).is_ok_and(|answer| !answer.sections[0].is_empty())
            };
            while !answered() {
                let ended = self.child.try_wait().expect("wait for a server");
                if ended.is_some() || start.elapsed() > PATIENCE {
                    let log = fs::read_to_string(&self.log).unwrap_or_default();
                    panic!("{} does not answer for {zone}: {ended:?}\n{log}", self.log.display());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts every authority that is a program and has a zone, and waits for all of them.
pub(crate) fn authorities(world: &World, folder: &Path) -> Vec<Daemon> {
    let mut started: Vec<(Daemon, Vec<&Authority>)> = Vec::new();
    let busy = || world.authorities.iter().filter(|authority| !held(world, authority).is_empty());
    for authority in busy() {
        let daemon = match authority.kind {
            Kind::Nsd => nsd(world, authority, folder),
            Kind::Knot => knot(world, authority, folder),
            _ => continue,
        };
        started.push((daemon, vec![authority]));
    }
    let views: Vec<&Authority> = busy().filter(|authority| authority.kind == Kind::Named).collect();
    if !views.is_empty() {
        started.push((named(world, &views, folder), views));
    }
    for (daemon, authorities) in &mut started {
        for authority in authorities {
            let zone = held(world, authority).pop().expect("an authority has a zone");
            for address in &authority.addresses {
                daemon.await_answer(SocketAddr::new(*address, 53), &zone.name);
            }
        }
    }
    started.into_iter().map(|(daemon, _)| daemon).collect()
}

/// Lets the programs read their zones again, and waits until those that have this one give its serial number.
pub(crate) fn reload(world: &World, zone: &Zone, daemons: &[Daemon]) {
    for daemon in daemons {
        run(Command::new("kill").args(["-HUP", &daemon.child.id().to_string()])).success();
    }
    let query = Message::query(1, &Name::of(&zone.name), Type::SOA, Message::RD);
    let holds = |authority: &&Authority| held(world, authority).iter().any(|held| held.name == zone.name);
    for address in world.authorities.iter().filter(holds).flat_map(|authority| &authority.addresses) {
        let server = SocketAddr::new(*address, 53);
        bounded("a server to read its zone again", || {
            let answer = ask(server, &query, Via::Udp, Duration::from_millis(500)).ok()?;
            let data = answer.sections[0].first()?.text();
            data.split_whitespace().any(|field| field == zone.serial.to_string()).then_some(())
        });
    }
}

/// The zones that an authority has.
fn held<'a>(world: &'a World, authority: &Authority) -> Vec<&'a Zone> {
    let holders = |zone: &&Zone| {
        let holders = if !zone.holders.is_empty() { &zone.holders } else { &zone.servers };
        holders.contains(&authority.name)
    };
    world.zones.iter().filter(holders).collect()
}

fn nsd(world: &World, authority: &Authority, folder: &Path) -> Daemon {
    let label = authority.name;
    // Debian's NSD is built to answer a client only so often.
    let mut text = format!(
        "server:\n server-count: 1\n username: \"\"\n chroot: \"\"\n zonesdir: \"{folder}\"\n database: \"\"\n\
         pidfile: \"{folder}/{label}.pid\"\n xfrdfile: \"{folder}/{label}.xfrd\"\n xfrdir: \"{folder}\"\n\
         zonelistfile: \"{folder}/{label}.list\"\n rrl-ratelimit: 0\n tcp-count: 100\n",
        folder = folder.display()
    );
    for address in &authority.addresses {
        let _ = writeln!(text, " ip-address: {address}");
    }
    text += "remote-control:\n control-enable: no\n";
    for zone in held(world, authority) {
        let file = sign::file_of(folder, zone);
        let _ = writeln!(text, "zone:\n name: \"{}\"\n zonefile: \"{}\"", zone.name, file.display());
    }
    let file = folder.join(format!("{label}.conf"));
    fs::write(&file, text).expect("write a configuration");
    Daemon::start("nsd", label, folder, &["-d", "-c", &file.display().to_string()])
}

fn named(world: &World, authorities: &[&Authority], folder: &Path) -> Daemon {
    let list =
        |addresses: &mut dyn Iterator<Item = &IpAddr>| addresses.fold(String::new(), |l, a| l + &format!("{a}; "));
    let all = || authorities.iter().flat_map(|authority| &authority.addresses);
    let mut text = format!(
        "options {{ directory \"{folder}\"; managed-keys-directory \"{folder}\"; pid-file none; session-keyfile none;\n\
         lock-file none; recursion no; notify no; dnssec-validation no; empty-zones-enable no; check-integrity no;\n\
         check-names primary ignore; listen-on {{ {four} }}; listen-on-v6 {{ {six} }}; interface-interval 0; }};\n\
         controls {{ }};\n",
        folder = folder.display(),
        four = list(&mut all().filter(|address| address.is_ipv4())),
        six = list(&mut all().filter(|address| address.is_ipv6())),
    );
    for authority in authorities {
        let own = list(&mut authority.addresses.iter());
        let _ = writeln!(text, "view \"{}\" {{ match-destinations {{ {own} }};", authority.name);
        for zone in held(world, authority) {
            let file = sign::file_of(folder, zone);
            let _ = writeln!(text, "zone \"{}\" {{ type primary; file \"{}\"; }};", zone.name, file.display());
        }
        text += "};\n";
    }
    let file = folder.join("named.conf");
    fs::write(&file, text).expect("write a configuration");
    Daemon::start("named", "views", folder, &["-g", "-n", "1", "-c", &file.display().to_string()])
}

fn knot(world: &World, authority: &Authority, folder: &Path) -> Daemon {
    let zone = held(world, authority).into_iter().next().expect("a zone for Knot");
    let listen: Vec<String> = authority.addresses.iter().map(ToString::to_string).collect();
    let file = sign::knot(zone, folder, &listen);
    Daemon::start("knotd", authority.name, folder, &["-c", &file.display().to_string()])
}

/// Whether a resolver of the lab validates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// It does, from the lab's trust anchor.
    Validating,
    /// It passes on what it finds.
    Plain,
}

/// Starts unbound, recursing from the lab's root, and waits for it.
pub(crate) fn unbound(folder: &Path, label: &str, addresses: &[IpAddr], resolver: Resolver) -> Daemon {
    let modules = match resolver {
        Resolver::Validating => "validator iterator",
        Resolver::Plain => "iterator",
    };
    // Of 2 s at most, so that what is dead is given up within seconds; 800 ms are still not too slow.
    // With minimised names unbound 1.17 takes the answer to the minimised question, of type A, for one of type CNAME.
    let mut text = format!(
        "server:\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n\
         verbosity: 1\n num-threads: 1\n do-daemonize: no\n module-config: \"{modules}\"\n ede: yes\n\
         root-hints: \"{folder}/root.hints\"\n trust-anchor-file: \"{folder}/root.ds\"\n\
         do-not-query-localhost: no\n access-control: 0.0.0.0/0 allow\n access-control: ::/0 allow\n\
         qname-minimisation: no\n infra-cache-max-rtt: 2000\n aggressive-nsec: no\n",
        folder = folder.display()
    );
    // Unbound answers the names of addresses for documentation itself unless told not to (RFC 6303 §4.2).
    text += " unblock-lan-zones: yes\n insecure-lan-zones: no\n";
    for tree in ["2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa."] {
        let _ = writeln!(text, " local-zone: {tree} nodefault");
    }
    text += " local-zone: 8.b.d.0.1.0.0.2.ip6.arpa. nodefault\n local-zone: test. nodefault\n";
    for address in addresses {
        let _ = writeln!(text, " interface: {address}");
    }
    text += "remote-control:\n control-enable: no\n";
    let file = folder.join(format!("{label}.conf"));
    fs::write(&file, text).expect("write a configuration");
    let mut daemon = Daemon::start("unbound", label, folder, &["-d", "-c", &file.display().to_string()]);
    for address in addresses {
        daemon.await_answer(SocketAddr::new(*address, 53), ".");
    }
    daemon
}
