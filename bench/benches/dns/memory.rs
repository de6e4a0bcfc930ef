//! What names in the caches take: by what the system says that the processes have grown, beside what they count
//! themselves. Unbound keeps the signatures too, to pass them on; ours has no use for them once they are checked.

use serde_json::{Value, json};

use crate::client::{self, Extent};
use crate::figures::{Figures, progress};
use crate::front::Front;
use crate::unbound::Unbound;
use crate::zones::Zones;
use crate::{Options, Outcome, rounded};

/// Names that figures are told for.
const NAMES: f64 = 100_000.0;

/// Octets for each name, told for many.
fn megabytes(name_octets: f64) -> Value {
    rounded(name_octets * NAMES / f64::from(1 << 20))
}

/// Says how many octets unbound has grown for each name.
pub(crate) fn of_unbound(options: &Options, zones: &Zones, unbound: &Unbound, figures: &mut Figures) -> Outcome<f64> {
    progress("memory of unbound");
    let now = || -> Outcome<(f64, f64)> {
        let counted = unbound.counted("mem.cache.rrset")? + unbound.counted("mem.cache.message")?;
        Ok((unbound.process().resident()? as f64, counted))
    };
    let before = now()?;
    client::ask(unbound.address, &zones.hosts, options.askers, Extent::Once)?;
    let after = now()?;
    let names = options.cached as f64;
    let name_octets = (after.0 - before.0) / names;
    figures.add("unbound: growth by 100,000 names, MB", megabytes(name_octets));
    figures.add("  by its own count of sets and messages, MB", megabytes((after.1 - before.1) / names));
    Ok(name_octets)
}

/// The same of ours, beside the weight of its cache, by which the cache keeps its bound.
pub(crate) fn of_ours(
    options: &Options,
    zones: &Zones,
    front: &mut Front,
    peer: Option<f64>,
    figures: &mut Figures,
) -> Outcome<()> {
    progress("memory of ours");
    let before = (front.statistics()?, front.process().resident()? as f64);
    client::ask(front.address, &zones.hosts, options.askers, Extent::Once)?;
    let after = (front.statistics()?, front.process().resident()? as f64);
    let grown = |what: &str| after.0[what].as_f64().unwrap_or_default() - before.0[what].as_f64().unwrap_or_default();
    let (names, resident) = (options.cached as f64, after.1 - before.1);
    figures.add("ours: growth by 100,000 names, MB", megabytes(resident / names));
    if let Some(peer) = peer {
        figures.add("  as a multiple of unbound's", rounded(resident / names / peer));
    }
    figures.add("  by the weight of the cache, MB", megabytes(grown("octets") / names));
    figures.add("  octets of an entry, as grown", json!((resident / grown("entries")).round()));
    figures.add("  octets of an entry, as weighed", json!((grown("octets") / grown("entries")).round()));
    Ok(())
}
