//! Domains that take mail with transport security of every kind: DANE, MTA-STS, REQUIRETLS, and what goes wrong with
//! them.
//!
//! [`scenarios`] is the table of what each domain publishes and which server is behind it. [`Receivers::start`] makes it
//! true within a [`Lab`]: zones with TLSA records, real servers with real certificates, and a web server for policies.
//! What must come of it is told by the tests; for every scenario, the table has the word of another sender, Postfix.

mod authority;
mod mailstead;
mod policy_host;
mod postfix;
mod receiver;
mod scenario;
mod scenarios;
mod scripted;
mod service;
mod world;

use std::fs;
use std::path::PathBuf;

pub use authority::{Authority, Certificate, Identity, Sent};
pub use mailstead::{Asks, Mailstead};
pub use policy_host::{Page, PolicyHosts};
pub use postfix::Postfix;
pub use receiver::{Offer, Receiver};
pub use scenario::{By, Host, Mode, Named, Of, Policy, Reach, Scenario, Served, Shown, Site, Tlsa, Verdict};
pub use scenarios::scenarios;
pub use scripted::Scripted;

use crate::bounded;
use crate::lab::{Lab, World};
use world::Plan;

/// The running world.
#[derive(Debug)]
pub struct Receivers {
    postfix: Postfix,
    scripted: Scripted,
    policies: PolicyHosts,
    lab: Lab,
    scenarios: Vec<Scenario>,
}

impl Receivers {
    /// Starts the lab with the domains of all scenarios, and all their servers; `alter` adds what is a test's own.
    /// Only within [`crate::lab::inside`].
    ///
    /// A sender may have the addresses of [`Lab::address`], and a zone below `test.`.
    #[track_caller]
    pub fn start(alter: impl FnOnce(&mut World)) -> Self {
        let scenarios = scenarios();
        let plan = Plan::new(&scenarios);
        let lab = Lab::start_with(|world| {
            world.keep(&["test."]);
            world.zones.retain(|zone| zone.name == "." || zone.name == "test.");
            world.zones.extend(plan.zones(&scenarios));
            alter(world);
        });
        lab.add_addresses(plan.addresses());
        lab.resolv_conf(&[lab.oracle().address().ip()]);
        fs::write(lab.folder().join("authority.pem"), plan.authority().pem()).expect("a certificate");
        let policies = plan.policies(&scenarios);
        let receivers = plan.receivers();
        let scripted = Scripted::start(&receivers);
        let postfix = Postfix::receive(&receivers);
        Self { postfix, scripted, policies, lab, scenarios }
    }

    /// The DNS behind it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Most of the servers.
    pub fn postfix(&self) -> &Postfix {
        &self.postfix
    }

    /// The web servers of the policies, each named `mta-sts.` and the domain.
    pub fn policies(&self) -> &PolicyHosts {
        &self.policies
    }

    /// The scenarios that are up.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// That of a domain.
    #[track_caller]
    pub fn scenario(&self, domain: &str) -> &Scenario {
        let mut found = self.scenarios.iter().filter(|scenario| scenario.domain == domain);
        found.next().unwrap_or_else(|| panic!("no scenario {domain}"))
    }

    /// The authority that senders trust, in PEM.
    pub fn authority_file(&self) -> PathBuf {
        self.lab.folder().join("authority.pem")
    }

    /// Lets a domain have another `_mta-sts` record from now on, or none, and its policy's host say something else.
    #[track_caller]
    pub fn change_policy(&mut self, domain: &str, record: Option<&str>, page: Page) {
        self.policies.change(&format!("mta-sts.{domain}"), page);
        self.lab.change(&format!("{domain}."), |zone| {
            let others = zone.text.lines().filter(|line| !line.starts_with("_mta-sts "));
            let mut text: String = others.flat_map(|line| [line, "\n"]).collect();
            text.extend(record.map(|record| format!("_mta-sts TXT \"{record}\"\n")));
            zone.text = text;
        });
    }

    /// What all servers took so far, in no order. The Received field of each message names the server and says `using
    /// TLSv1.3`, or another version, where it came with TLS.
    pub fn messages(&self) -> Vec<String> {
        [self.postfix.messages(), self.scripted.messages()].concat()
    }

    /// Waits for a message that has this in it.
    #[track_caller]
    pub fn await_message(&self, part: &str) -> String {
        bounded("a message to arrive", || self.messages().into_iter().find(|message| message.contains(part)))
    }
}
