//! The world of the lab: its authorities and its zones, from a root of its own down.

mod algorithms;
mod alias;
mod broken;
mod denial;
mod servers;
mod tree;

use super::zone::Zone;
pub use servers::{Authority, Kind, Manner};

/// What most zones have: a mail domain with the records that a mail server looks up.
pub(super) const MAIL: &str = r#"
@ A 203.0.113.1
@ MX 10 mx
@ TXT "v=spf1 mx -all"
www A 203.0.113.2
www AAAA 2001:db8:ff::2
mx A 203.0.113.3
_25._tcp.mx TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
_mta-sts TXT "v=STSv1; id=20240101T000000"
web CNAME www
*.wild A 203.0.113.4
"#;

/// What is asked about a zone that has [`MAIL`]; about everything else more is asked.
pub(super) const ABOUT_MAIL: &[(&str, &str)] = &[
    ("@", "MX"),
    ("@", "CAA"),
    ("www", "A"),
    ("www", "TXT"),
    ("mx", "AAAA"),
    ("_25._tcp.mx", "TLSA"),
    ("_mta-sts", "TXT"),
    ("web", "AAAA"),
    ("any.wild", "A"),
    ("any.wild", "MX"),
    ("_tcp.mx", "A"),
    ("nowhere", "A"),
    ("_25._tcp.nowhere", "TLSA"),
    ("below.www", "A"),
];

/// Authorities and zones.
#[derive(Debug)]
pub struct World {
    /// The servers.
    pub authorities: Vec<Authority>,
    /// The zones; the root is the first.
    pub zones: Vec<Zone>,
}

impl World {
    /// All of it.
    pub(crate) fn whole() -> Self {
        let zones =
            [tree::zones(), algorithms::zones(), denial::zones(), alias::zones(), broken::zones(), servers::zones()];
        Self { authorities: servers::authorities(), zones: zones.concat() }
    }

    /// Keeps only these zones and what is above them.
    pub fn keep(&mut self, names: &[&str]) {
        self.zones.retain(|zone| names.iter().any(|name| zone.encloses(name)));
    }

    /// The authority of a name.
    #[track_caller]
    pub fn authority(&self, name: &str) -> &Authority {
        self.authorities
            .iter()
            .find(|authority| authority.name == name)
            .unwrap_or_else(|| panic!("no authority {name}"))
    }

    /// The zone that a name is in: the deepest that encloses it.
    pub fn zone_of(&self, name: &str) -> &Zone {
        let enclosing = self.zones.iter().filter(|zone| zone.encloses(name));
        enclosing.max_by_key(|zone| zone.name.trim_end_matches('.').len()).expect("the root encloses every name")
    }

    /// The zone above a zone; `None` for the root.
    pub fn parent(&self, zone: &Zone) -> Option<&Zone> {
        if zone.name == "." {
            return None;
        }
        Some(match zone.name.split_once('.') {
            Some((_, "")) | None => self.zone_of("."),
            Some((_, above)) => self.zone_of(above),
        })
    }

    /// The zones directly below a zone.
    pub(crate) fn children<'a>(&'a self, zone: &'a Zone) -> impl Iterator<Item = &'a Zone> {
        // Most zones have no child, which is seen sooner than what the parent of each zone is.
        let below = self.zones.iter().filter(|child| zone.encloses(&child.name));
        below.filter(|child| self.parent(child).is_some_and(|parent| parent.name == zone.name))
    }
}
