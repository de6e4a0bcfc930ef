//! Look-ups a second and what each costs, with nothing known and with everything known.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::client::{self, Extent, Pass};
use crate::figures::{Figures, progress};
use crate::front::Front;
use crate::library::{self, Mode, Place};
use crate::process::Process;
use crate::unbound::Unbound;
use crate::zones::Zones;
use crate::{Options, Outcome, memory, rounded};

/// The addresses of resolvers while they are measured.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 60), Ipv4Addr::new(192, 0, 2, 61)];

/// What was measured of one way to resolve.
#[derive(Debug, Clone, Copy)]
struct Measured {
    rate: f64,
    /// Milliseconds of processor time for 1,000 look-ups: the resolver's own, and that of whom it asks to resolve.
    own: f64,
    behind: f64,
}

/// Asks, and sees what that has cost the resolver, and the one behind it.
fn watched(own: Process, behind: Option<Process>, ask: impl FnOnce() -> Outcome<Pass>) -> Outcome<Measured> {
    let used = || Ok::<_, Box<dyn std::error::Error>>((own.cpu()?, behind.map_or(Ok(Duration::ZERO), Process::cpu)?));
    let before = used()?;
    let Pass { lookups, elapsed } = ask()?;
    let after = used()?;
    let for_thousand = |time: Duration| time.as_secs_f64() * 1e6 / lookups as f64;
    Ok(Measured {
        rate: lookups as f64 / elapsed.as_secs_f64(),
        own: for_thousand(after.0 - before.0),
        behind: for_thousand(after.1 - before.1),
    })
}

/// With nothing known, and again.
#[derive(Debug, Clone, Copy)]
struct Both {
    cold: Measured,
    warm: Measured,
    /// Questions over UDP for each look-up with nothing known.
    questions: f64,
}

fn by_udp(
    options: &Options,
    zones: &Zones,
    server: SocketAddr,
    own: Process,
    behind: Option<Process>,
) -> Outcome<(Measured, Measured)> {
    let ask = |extent| move || client::ask(server, &zones.mixed, options.askers, extent);
    let cold = watched(own, behind, ask(Extent::Once))?;
    let warm = watched(own, behind, ask(Extent::For(options.time())))?;
    Ok((cold, warm))
}

/// What ours is compared with: unbound with one thread.
#[derive(Debug, Clone, Copy)]
struct Peer {
    both: Both,
    /// Octets of resident memory for each cached name.
    name_octets: f64,
}

/// Measures all ways to resolve, one after the other.
pub(crate) fn measure(options: &Options, zones: &Zones, figures: &mut Figures) -> Outcome<()> {
    zones.lab.add_addresses(ADDRESSES.map(IpAddr::from));
    let mut peer = None;
    if options.wants("unbound") {
        peer = Some(unbound(options, zones, 1, figures)?);
        unbound(options, zones, 2, figures)?;
    }
    if options.wants("recursing") {
        by_ours(options, zones, Mode::Recurse, peer, figures)?;
    }
    if options.wants("validating") {
        // Here unbound is at work as well: a ratio would compare nothing.
        by_ours(options, zones, Mode::Validate, None, figures)?;
    }
    Ok(())
}

fn unbound(options: &Options, zones: &Zones, threads: usize, figures: &mut Figures) -> Outcome<Peer> {
    let name = format!("unbound, threads: {threads}");
    progress(&name);
    let unbound = Unbound::start(&zones.lab, address(0), threads)?;
    let (cold, warm) = by_udp(options, zones, unbound.address, unbound.process(), None)?;
    let questions = unbound.counted("num.query.udpout")? / options.names as f64;
    let both = Both { cold, warm, questions };
    tell(figures, &name, "by UDP", both, None);
    let name_octets = if threads == 1 { memory::of_unbound(options, zones, &unbound, figures)? } else { 0.0 };
    Ok(Peer { both, name_octets })
}

/// What our resolver needs to know; and the unbound that it asks, knowing nothing yet, where it asks one.
fn place(zones: &Zones, mode: Mode) -> Outcome<(Place, Option<Unbound>)> {
    let unbound = match mode {
        Mode::Recurse => None,
        Mode::Validate => Some(Unbound::start(&zones.lab, address(0), 1)?),
    };
    let server = unbound.as_ref().map(|unbound| unbound.address);
    let (root_hints, trust_anchor) = (zones.lab.root_hints(), zones.lab.trust_anchor());
    Ok((Place { mode, server, root_hints, trust_anchor }, unbound))
}

fn by_ours(options: &Options, zones: &Zones, mode: Mode, peer: Option<Peer>, figures: &mut Figures) -> Outcome<()> {
    let name = match mode {
        Mode::Recurse => "ours, recursing",
        Mode::Validate => "ours, validating",
    };
    progress(name);
    let names = options.names as f64;
    {
        let (place, unbound) = place(zones, mode)?;
        let mut front = Front::start(address(1), &place)?;
        let behind = unbound.as_ref().map(Unbound::process);
        let (cold, warm) = by_udp(options, zones, front.address, front.process(), behind)?;
        let questions = front.statistics()?["questions"].as_f64().unwrap_or_default() / names;
        tell(figures, name, "by UDP", Both { cold, warm, questions }, peer);
        if mode == Mode::Recurse {
            memory::of_ours(options, zones, &mut front, peer.map(|peer| peer.name_octets), figures)?;
        }
    }
    let (place, unbound) = place(zones, mode)?;
    let behind = unbound.as_ref().map(Unbound::process);
    let runtime = tokio::runtime::Runtime::new()?;
    let resolver = place.resolver()?;
    let mixed: Arc<[_]> = zones.mixed.as_slice().into();
    let ask = |extent| library::ask(&runtime, &resolver, &mixed, options.askers, extent);
    let cold = watched(Process::own(), behind, || ask(Extent::Once))?;
    let questions = resolver.statistics().udp_queries as f64 / names;
    let warm = watched(Process::own(), behind, || ask(Extent::For(options.time())))?;
    tell(figures, name, "as a library", Both { cold, warm, questions }, peer);
    Ok(())
}

fn address(place: usize) -> SocketAddr {
    SocketAddr::new(ADDRESSES[place].into(), 53)
}

fn tell(figures: &mut Figures, name: &str, how: &str, both: Both, peer: Option<Peer>) {
    for (state, measured, peer) in
        [("cold", both.cold, peer.map(|peer| peer.both.cold)), ("warm", both.warm, peer.map(|peer| peer.both.warm))]
    {
        figures.add(format!("{name}, {how}, {state}: look-ups, 1/s"), rounded(measured.rate));
        if let Some(peer) = peer {
            figures.add("  rate, as a multiple of unbound's with 1 thread", rounded(measured.rate / peer.rate));
        }
        figures.add("  processor time of 1,000, ms", rounded(measured.own));
        if let Some(peer) = peer {
            figures.add("  processor time, as a multiple of unbound's", rounded(measured.own / peer.own));
        }
        if measured.behind > 0.0 {
            figures.add("  of unbound, which it asks, ms", rounded(measured.behind));
        }
        if state == "cold" {
            figures.add("  questions over UDP for a look-up", json!((both.questions * 100.0).round() / 100.0));
        }
    }
}
