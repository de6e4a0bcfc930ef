//! What is asked in the lab, and what a validator must find: made from the zones, so that each new zone and record is
//! asked for without a word more.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{ABOUT_MAIL, MAIL, World};
use super::zone::{Denial, Line, Verdict, Zone};

/// The types that a mail server asks for.
const TYPES: &[&str] = &["A", "AAAA", "MX", "TXT", "TLSA", "SRV", "CAA", "PTR", "CNAME"];

/// Names that no rule below makes.
const MORE: &[(&str, &str)] = &[
    ("A", "nowhere."),
    ("MX", "nowhere.nowhere."),
    ("NS", "servers."),
    ("SOA", "www.nsec.example."),
    ("NS", "www.nsec3.example."),
    ("DS", "www.nsec.example."),
    ("DS", "nowhere.nsec3.example."),
    ("DS", "nowhere.optout."),
    ("A", "nowhere.optout."),
    ("MX", "deep.nowhere.optout."),
    ("CNAME", "www.d1.alias.example."),
    ("CNAME", "mail.d3.alias.test."),
    ("TLSA", "_25._tcp.mx.d1.alias.example."),
    ("TLSA", "_25._tcp.mx2.d3.alias.example."),
    ("TLSA", "_25._tcp.mx.dexpired.alias.example."),
    ("PTR", "9.113.0.203.in-addr.arpa."),
    ("PTR", "0.203.in-addr.arpa."),
    ("PTR", "9.9.in-addr.arpa."),
    ("PTR", "9.100.51.198.in-addr.arpa."),
    ("PTR", "9.9.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
    ("TXT", "a.very.deep.name.that.does.not.exist.anywhere.nsec3.example."),
    ("MX", "any.wild.NSEC.Example."),
    ("AAAA", "WWW.MIXEDCASE.EXAMPLE."),
];

/// A question of the lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The zone that the answer comes from, before any alias.
    pub zone: String,
    /// The name, with the last dot.
    pub name: String,
    /// The type, by its name.
    pub rtype: String,
    /// What a validator that knows what the lab's oracle knows must find.
    pub expected: Verdict,
}

/// Every question, in an order that does not change.
pub(crate) fn all(world: &World) -> Vec<Question> {
    let names = world.zones.iter().map(|zone| (zone.name.as_str(), names(world, zone))).collect();
    let known = Known { world, names };
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    for zone in &world.zones {
        known.about(zone, &mut |name, rtype| {
            asked.insert((name.to_owned(), rtype.to_owned()));
        });
    }
    asked.extend(MORE.iter().map(|(rtype, name)| ((*name).to_owned(), (*rtype).to_owned())));
    let question = |(name, rtype): (String, String)| {
        let lower = name.to_ascii_lowercase();
        let expected = known.expected(&lower, &rtype, 0);
        Question { zone: answering(world, &lower, &rtype).name.clone(), name, rtype, expected }
    };
    let mut questions: Vec<Question> = asked.into_iter().map(question).collect();
    questions.sort();
    questions
}

/// The world, and the names that exist in each of its zones.
struct Known<'a> {
    world: &'a World,
    names: BTreeMap<&'a str, BTreeSet<String>>,
}

impl Known<'_> {
    /// Asks about one zone.
    fn about(&self, zone: &Zone, ask: &mut dyn FnMut(&str, &str)) {
        ask(&zone.name, "SOA");
        if zone.sparing {
            return ask(&zone.full("www"), "A");
        }
        ask(&zone.name, "NS");
        ask(&zone.name, "DS");
        if zone.text.contains(MAIL) {
            ABOUT_MAIL.iter().for_each(|(owner, rtype)| ask(&zone.full(owner), rtype));
        }
        let text = zone.text.replace(MAIL, "");
        let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in Zone::lines_of(&text) {
            owners.entry(line.owner).or_default().insert(line.rtype);
        }
        for (owner, types) in &owners {
            let name = zone.full(owner);
            if types.contains("DNAME") {
                ask(&name, "A");
                ["www", "nowhere", "any.wild"].iter().for_each(|below| ask(&format!("{below}.{name}"), "A"));
                ask(&format!("_mta-sts.{name}"), "TXT");
                continue;
            }
            let mut wanted: Vec<&str> = types.iter().copied().filter(|rtype| TYPES.contains(rtype)).collect();
            // Another for each name.
            let seed = name.bytes().map(usize::from).sum::<usize>() % TYPES.len();
            if types.contains("CNAME") {
                // The alias itself only now and then.
                wanted.truncate(usize::from(seed.is_multiple_of(3)));
                wanted.push(if owner.contains("_tcp") { "TLSA" } else { "A" });
                wanted.push("TXT");
            } else {
                // One type that is not there.
                wanted.extend(TYPES.iter().cycle().skip(seed).find(|rtype| !types.contains(*rtype)));
            }
            for rtype in wanted {
                ask(&name, rtype);
                if let Some(rest) = name.strip_prefix("*.") {
                    ask(&format!("any.{rest}"), rtype);
                    ask(&format!("some.where.{rest}"), rtype);
                }
            }
        }
        if owners.is_empty() {
            return;
        }
        let empty = |name: &&String| !zone.lines().any(|line| is_at(zone, &line, name));
        self.names[zone.name.as_str()].iter().filter(empty).for_each(|name| ask(name, "A"));
        // Before the first name, after the last, below a name that does not exist, and below one that does.
        for (name, rtype) in [("-", "TXT"), ("nowhere", "A"), ("deep.er.nowhere", "MX"), ("zzzz", "AAAA")] {
            ask(&zone.full(name), rtype);
        }
        ask(&zone.full("_25._tcp.nowhere"), "TLSA");
        ask(&zone.full("below.www"), "A");
    }

    /// What is to be found, after so many steps of aliases.
    fn expected(&self, name: &str, rtype: &str, steps: usize) -> Verdict {
        // Nobody follows aliases for ever; chains of more than eight, which some do not follow, are not in the lab.
        if steps > 16 {
            return Verdict::Error;
        }
        let zone = answering(self.world, name, rtype);
        let expect = zone.expect;
        if let Some(verdict) = judged(zone, name, rtype) {
            return verdict;
        }
        if let Some((owner, target)) = subtree(zone, name) {
            let to = format!("{}{target}", name.strip_suffix(&owner).unwrap_or_default());
            return expect.positive.max(self.expected(&to, rtype, steps + 1));
        }
        if rtype == "DS" && self.world.zones.iter().any(|child| child.name == name && name != ".") {
            let child = self.world.zone_of(name);
            let opted_out = matches!(zone.signing, Some((_, _, Denial::Nsec3 { opt_out: true, .. }, _)));
            return match (child.ds == super::zone::Ds::Absent, opted_out) {
                (false, _) => expect.positive,
                (true, true) => expect.nodata.max(Verdict::Insecure),
                (true, false) => expect.nodata,
            };
        }
        let names = &self.names[zone.name.as_str()];
        let (found, present, absent) = if names.contains(name) {
            (name.to_owned(), expect.positive, expect.nodata)
        } else {
            (wildcard(zone, names, name), expect.wildcard, expect.wildcard_nodata)
        };
        if !names.contains(&found) {
            return expect.nxdomain;
        }
        let at = |wanted: &str| zone.lines().find(|line| is_at(zone, line, &found) && line.rtype == wanted);
        let apex = found == zone.name && matches!(rtype, "SOA" | "NS");
        if apex || (hosts(zone).contains(&found) && matches!(rtype, "A" | "AAAA")) {
            return present;
        }
        let worth = |line: &Line<'_>| line.verdict.unwrap_or(present);
        match (at(rtype), at("CNAME")) {
            (Some(line), _) => worth(&line),
            (None, Some(line)) => {
                let target = if line.data.ends_with('.') { line.data.to_owned() } else { zone.full(line.data) };
                worth(&line).max(self.expected(&target.to_ascii_lowercase(), rtype, steps + 1))
            }
            (None, None) => absent,
        }
    }
}

/// The names that exist in a zone: those of its own records, of the cuts below it, and the empty ones between.
fn names(world: &World, zone: &Zone) -> BTreeSet<String> {
    let mut names = zone.names();
    names.extend(hosts(zone));
    for child in world.children(zone) {
        let mut above = child.name.split_once('.').map(|(_, above)| above);
        while let Some(name) = above.filter(|name| *name != zone.name && !name.is_empty() && zone.encloses(name)) {
            names.insert(name.to_owned());
            above = name.split_once('.').map(|(_, above)| above);
        }
    }
    names
}

/// The names of a zone's servers in it.
fn hosts(zone: &Zone) -> Vec<String> {
    let named = if zone.hosts.is_empty() { zone.servers.len() } else { 0 };
    ["ns", "ns2"].iter().take(named).map(|host| zone.full(host)).collect()
}

/// The zone that answers: for DS the parent (RFC 4035 §3.1.4.1).
fn answering<'a>(world: &'a World, name: &str, rtype: &str) -> &'a Zone {
    let zone = world.zone_of(name);
    if rtype == "DS" && zone.name == name { world.parent(zone).unwrap_or(zone) } else { zone }
}

/// The verdict that the zone names for this very question.
fn judged(zone: &Zone, name: &str, rtype: &str) -> Option<Verdict> {
    let judged =
        zone.judged.iter().find(|(owner, wanted, _)| zone.full(owner) == name && [rtype, "*"].contains(wanted));
    judged.map(|(_, _, verdict)| *verdict)
}

fn is_at(zone: &Zone, line: &Line<'_>, name: &str) -> bool {
    zone.full(line.owner).eq_ignore_ascii_case(name)
}

/// The DNAME above a name: its owner and its target (RFC 6672 §2.2).
fn subtree(zone: &Zone, name: &str) -> Option<(String, String)> {
    let mut dnames = zone.lines().filter(|line| line.rtype == "DNAME");
    let line = dnames.find(|line| name.ends_with(&format!(".{}", zone.full(line.owner))))?;
    let target = if line.data.ends_with('.') { line.data.to_owned() } else { zone.full(line.data) };
    Some((zone.full(line.owner), target))
}

/// The wildcard that would answer for a name that does not exist (RFC 4592 §3.3.1): below its closest encloser.
fn wildcard(zone: &Zone, names: &BTreeSet<String>, name: &str) -> String {
    let mut above = name;
    while let Some((_, next)) = above.split_once('.') {
        above = if next.is_empty() { "." } else { next };
        if names.contains(above) || above == zone.name {
            break;
        }
    }
    if above == "." { "*.".to_owned() } else { format!("*.{above}") }
}
