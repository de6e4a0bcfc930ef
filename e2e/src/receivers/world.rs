//! From the table to what is started: addresses, certificates, zones, servers and policies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::authority::{Authority, Certificate, Identity};
use super::policy_host::{Page, PolicyHosts};
use super::receiver::Receiver;
use super::scenario::{By, Host, Named, Of, Policy, Reach, Scenario, Served, Shown, Site, Tlsa};
use crate::lab::{Dates, Keys, Signer, Zone};

/// Where the policies are.
const POLICIES: Ipv4Addr = v4(251);
/// Where nothing listens.
const DEAD: (Ipv4Addr, Ipv6Addr) = (v4(252), v6(252));

/// Addresses that the lab's own servers do not use.
const fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number)
}

const fn v6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x25, 0, 0, 0, 0, number)
}

/// What each zone has, and which servers there are.
pub(super) struct Plan {
    public: Authority,
    private: Authority,
    another: Identity,
    /// The records of each zone.
    texts: BTreeMap<&'static str, String>,
    receivers: Vec<Receiver>,
}

impl Plan {
    pub(super) fn new(scenarios: &[Scenario]) -> Self {
        let another = Identity::self_signed(&["another.test"], Dates::Current);
        let (public, private) = (Authority::new("public"), Authority::new("private"));
        let mut plan = Self { public, private, another, texts: BTreeMap::new(), receivers: Vec::new() };
        let zones: Vec<&'static str> =
            scenarios.iter().flat_map(|one| one.zones.iter().map(|(name, _)| *name)).collect();
        for scenario in scenarios {
            for (number, host) in scenario.hosts.iter().enumerate() {
                plan.host(&zones, host);
                // A domain without MX records is its own server.
                if host.name != scenario.domain {
                    let exchange = host.alias.unwrap_or(&host.name);
                    plan.record(&zones, scenario.domain, &format!("MX {} {exchange}.", 10 * (number + 1)));
                }
            }
            if let Some(policy) = &scenario.policy {
                let address = if policy.site == Site::Closed { DEAD.0 } else { POLICIES };
                plan.record(&zones, &format!("mta-sts.{}", scenario.domain), &format!("A {address}"));
                if let Some(record) = policy.record {
                    plan.record(&zones, &format!("_mta-sts.{}", scenario.domain), &format!("TXT \"{record}\""));
                }
            }
            plan.texts.entry(scenario.domain).or_default().push_str(scenario.records);
        }
        plan
    }

    /// A server with its records.
    fn host(&mut self, zones: &[&'static str], host: &Host) {
        let number = u8::try_from(self.receivers.len()).expect("a few servers") + 1;
        assert!(number < 250, "no more addresses");
        let identity = self.identity(&host.name, host.shown);
        let mut addresses = Vec::new();
        for reach in &host.reach {
            let (address, alive): (IpAddr, bool) = match reach {
                Reach::V4 => (v4(number).into(), true),
                Reach::V6 => (v6(number.into()).into(), true),
                Reach::DeadV4 => (DEAD.0.into(), false),
                Reach::DeadV6 => (DEAD.1.into(), false),
            };
            let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
            self.record(zones, &host.name, &format!("{rtype} {address}"));
            if alive {
                addresses.push(address);
            }
        }
        if let Some(alias) = host.alias {
            self.record(zones, alias, &format!("CNAME {}.", host.name));
        }
        for tlsa in &host.tlsa {
            let name = format!("_25._tcp.{}", tlsa.host.unwrap_or(&host.name));
            self.record(zones, &name, &format!("TLSA {}", self.tlsa(*tlsa, &identity)));
        }
        self.receivers.push(Receiver { name: host.name.clone(), addresses, offer: host.offer, identity });
    }

    /// Adds a record to the zone that its name is in.
    fn record(&mut self, zones: &[&'static str], name: &str, data: &str) {
        let within =
            |zone: &&&'static str| name == **zone || name.strip_suffix(**zone).is_some_and(|rest| rest.ends_with('.'));
        let zone =
            zones.iter().filter(within).max_by_key(|zone| zone.len()).unwrap_or_else(|| panic!("{name} is in no zone"));
        let owner = name.strip_suffix(zone).map(|rest| rest.trim_end_matches('.')).filter(|rest| !rest.is_empty());
        let _ = writeln!(self.texts.entry(zone).or_default(), "{} {data}", owner.unwrap_or("@"));
    }

    fn identity(&self, host: &str, shown: Shown) -> Identity {
        let Shown { by, named, dates, sent } = shown;
        let names = match named {
            Named::Host => [host],
            Named::Other => ["other.test"],
        };
        match by {
            By::Public => self.public.issue(&names, dates, sent),
            By::Private => self.private.issue(&names, dates, sent),
            By::Itself => Identity::self_signed(&names, dates),
        }
    }

    fn tlsa(&self, tlsa: Tlsa, identity: &Identity) -> String {
        let certificate = match tlsa.of {
            Of::Leaf | Of::Shortened => identity.leaf(),
            Of::Intermediate => self.private.intermediate(),
            Of::Anchor => self.private.anchor(),
            Of::Another => self.another.leaf(),
        };
        let (usage, selector, matching) = tlsa.kind;
        let mut data = certificate.tlsa(usage, selector, matching);
        if tlsa.of == Of::Shortened {
            data.truncate(data.len() - 2);
        }
        data
    }

    /// The authority that senders trust.
    pub(super) fn authority(&self) -> &Certificate {
        self.public.anchor()
    }

    /// The addresses of all servers, and those where nothing listens.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let used = self.receivers.iter().flat_map(|receiver| receiver.addresses.iter().copied());
        used.chain([POLICIES.into(), DEAD.0.into(), DEAD.1.into()]).collect()
    }

    /// The zones of the scenarios, whose records may be kept for a second, so that changes are seen at once.
    pub(super) fn zones(&self, scenarios: &[Scenario]) -> Vec<Zone> {
        let mut zones = Vec::new();
        for scenario in scenarios {
            for (name, served) in &scenario.zones {
                let mut zone = Zone::new(&format!("{name}."), "alpha").ttl(1);
                if *served != Served::Unsigned {
                    zone = zone.signed(Signer::Ldns, Keys::Csk(13));
                }
                if *served == Served::Lame {
                    zone = zone.held_by(&["nobody"]);
                }
                if *name == scenario.domain {
                    zone.spoils.clone_from(&scenario.spoils);
                }
                zones.push(zone.text(self.texts.get(name).map_or("", String::as_str)));
            }
        }
        zones
    }

    /// Starts the web servers of the policies.
    pub(super) fn policies(&self, scenarios: &[Scenario]) -> PolicyHosts {
        let hosts = PolicyHosts::start(POLICIES.into());
        for (scenario, policy) in scenarios.iter().filter_map(|one| Some((one, one.policy.as_ref()?))) {
            let host = format!("mta-sts.{}", scenario.domain);
            let shown = if let Site::Shows(shown) = policy.site { shown } else { Shown::by(By::Public) };
            hosts.put(&host, &self.identity(&host, shown), page(policy));
        }
        hosts
    }

    /// The servers.
    pub(super) fn receivers(self) -> Vec<Receiver> {
        self.receivers
    }
}

fn page(policy: &Policy) -> Page {
    match policy.site {
        Site::Good | Site::Closed | Site::Shows(_) => Page::Policy(policy.text()),
        Site::Error(code) => Page::Error(code),
        Site::Moved => Page::Moved("https://mta-sts.sts-good.test/.well-known/mta-sts.txt".to_owned()),
        Site::Html => Page::Html(policy.text()),
        Site::Malformed => Page::Policy("<html>not found</html>\n".to_owned()),
    }
}
