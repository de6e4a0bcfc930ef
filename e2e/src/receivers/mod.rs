//! Domains that take mail with transport security of every kind: DANE, MTA-STS and what goes wrong with them.
//!
//! [`scenarios`] is the table of what each domain publishes and which server is behind it. [`Receivers::start`] makes it
//! true within a [`Lab`]: zones with TLSA records, and real servers with real certificates. What must come of it is told
//! by the tests; for every scenario, the table has the word of another sender, Postfix.

mod authority;
mod postfix;
mod scenario;
mod scenarios;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

pub use authority::{Authority, Certificate, Identity, Sent};
pub use postfix::{Offer, Postfix, Receiver};
pub use scenario::{By, Host, Named, Of, Scenario, Shown, Signing, Tlsa, Verdict};
pub use scenarios::scenarios;

use crate::lab::{Dates, Keys, Lab, Signer, World, Zone};

/// The first address of a server. Those below are for the clients and senders of tests.
const FIRST: u8 = 110;

/// The running world.
#[derive(Debug)]
pub struct Receivers {
    postfix: Postfix,
    lab: Lab,
    scenarios: Vec<Scenario>,
}

impl Receivers {
    /// Starts the lab with the domains of the scenarios, and all their servers. Only within [`crate::lab::inside`].
    #[track_caller]
    pub fn start(alter: impl FnOnce(&mut World)) -> Self {
        let scenarios = scenarios();
        let authorities = Authorities::new();
        let mut texts: BTreeMap<&'static str, String> = BTreeMap::new();
        let mut receivers = Vec::new();
        for host in scenarios.iter().flat_map(|scenario| &scenario.hosts) {
            let number = FIRST + u8::try_from(receivers.len()).expect("a few servers");
            let address = Ipv4Addr::new(192, 0, 2, number);
            let identity = authorities.identity(host);
            let (zone, owner) = place(&scenarios, &host.name);
            let text = texts.entry(zone).or_default();
            let _ = writeln!(text, "{owner} A {address}");
            for record in &host.tlsa {
                let _ = writeln!(text, "_25._tcp.{owner} TLSA {}", authorities.tlsa(*record, &identity));
            }
            let addresses = vec![IpAddr::V4(address)];
            receivers.push(Receiver { name: host.name.clone(), addresses, offer: host.offer, identity });
        }
        for scenario in &scenarios {
            let text = texts.entry(scenario.domain).or_default();
            for (number, host) in scenario.hosts.iter().enumerate() {
                let _ = writeln!(text, "@ MX {} {}.", 10 * (number + 1), host.name);
            }
        }
        let lab = Lab::start_with(|world| {
            world.keep(&["test.", "plain."]);
            for scenario in &scenarios {
                world.zones.extend(scenario.zones.iter().map(|(name, signing)| zone(scenario, name, *signing, &texts)));
            }
            alter(world);
        });
        lab.resolv_conf(&[lab.oracle().address().ip()]);
        fs::write(lab.folder().join("authority.pem"), authorities.public.anchor().pem()).expect("a certificate");
        let postfix = Postfix::start(&receivers);
        Self { postfix, lab, scenarios }
    }

    /// The DNS behind it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Who takes the mail.
    pub fn postfix(&self) -> &Postfix {
        &self.postfix
    }

    /// The scenarios that are up.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// The authority that senders trust, in PEM.
    pub fn authority_file(&self) -> PathBuf {
        self.lab.folder().join("authority.pem")
    }
}

/// Who issues the certificates.
struct Authorities {
    public: Authority,
    private: Authority,
    another: Identity,
}

impl Authorities {
    fn new() -> Self {
        let another = Identity::self_signed(&["another.test"], Dates::Current);
        Self { public: Authority::new("public"), private: Authority::new("private"), another }
    }

    fn identity(&self, host: &Host) -> Identity {
        let Shown { by, named, dates, sent } = host.shown;
        let names: &[&str] = match named {
            Named::Host => &[&host.name],
            Named::Other => &["other.test"],
        };
        match by {
            By::Public => self.public.issue(names, dates, sent),
            By::Private => self.private.issue(names, dates, sent),
            By::Itself => Identity::self_signed(names, dates),
        }
    }

    fn tlsa(&self, record: Tlsa, identity: &Identity) -> String {
        let certificate = match record.of {
            Of::Leaf => identity.leaf(),
            Of::Intermediate => self.private.intermediate(),
            Of::Anchor => self.private.anchor(),
            Of::Another => self.another.leaf(),
        };
        let (usage, selector, matching) = record.kind;
        certificate.tlsa(usage, selector, matching)
    }
}

/// The zone that a name is in, and the name relative to it.
fn place<'a>(scenarios: &[Scenario], name: &'a str) -> (&'static str, &'a str) {
    let zones = scenarios.iter().flat_map(|scenario| &scenario.zones);
    let found = zones.filter_map(|(zone, _)| {
        let rest = name.strip_suffix(zone)?;
        let owner = if rest.is_empty() { "@" } else { rest.strip_suffix('.')? };
        Some((*zone, owner))
    });
    found.max_by_key(|(zone, _)| zone.len()).unwrap_or_else(|| panic!("{name} is in no zone"))
}

fn zone(scenario: &Scenario, name: &str, signing: Signing, texts: &BTreeMap<&'static str, String>) -> Zone {
    let mut zone = Zone::new(&format!("{name}."), "alpha");
    if signing == Signing::Signed {
        zone = zone.signed(Signer::Ldns, Keys::Csk(13));
    }
    if name == scenario.domain {
        zone.spoils.clone_from(&scenario.spoils);
    }
    zone.text(texts.get(name).map_or("", String::as_str))
}
