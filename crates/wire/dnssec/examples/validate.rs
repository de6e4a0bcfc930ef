//! Validates an answer without a network: `cargo run -p mailstead-dnssec --example validate -- mx.shop.test TLSA`.
//!
//! All that a resolver adds to this is sending the questions, keeping what it finds, and following aliases. Here a small
//! signed world in memory stands for the servers; its messages come as octets, as they do from the network.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use mailstead_dns::{Message, Name, Question, RecordType, Rtype};
use mailstead_dnssec::{
    Anchors, AwsLcRs, Bogus, Budget, Closest, Content, Delegation, Insecure, Place, Proof, Scope, Stop, Trust,
    Vouchers, Work, ZoneKeys, Zones, delegation, validate, zone_keys,
};
use mailstead_testkit::{START, SignedWorld, ZonePlan};

/// The DNS of this example.
fn servers() -> SignedWorld {
    let records = "@ MX 10 mx\nmx A 192.0.2.25\n_25._tcp.mx TLSA 3 1 1 abcdef\n*.list MX 10 mx";
    SignedWorld::builder()
        .zone(ZonePlan::signed("shop.test").records(records).nsec3(0, b""))
        .zone(ZonePlan::unsigned("plain.test").records(records))
        .build()
}

/// Asks, and finds out about zones.
struct Resolver {
    servers: SignedWorld,
    anchors: Anchors,
    budget: Budget,
}

impl Resolver {
    /// Sends a question and reads the response.
    fn ask(&self, name: &Name, rtype: Rtype) -> Message {
        let question = Question { name: name.clone(), rtype };
        let octets = self.servers.respond(&question, true).to_octets().unwrap_or_default();
        Message::parse(&octets).expect("what this world sends can be read")
    }

    fn work(&mut self) -> Work<'_> {
        Work { crypto: &AwsLcRs, now: START as u64, budget: &mut self.budget }
    }

    /// Follows the chain of trust from the anchor down, one label at a time. A resolver keeps what it finds on the way.
    fn trust(&mut self, scope: &Scope) -> Result<Trust, Stop> {
        let (Scope::Apex(target) | Scope::Enclosing(target)) = scope;
        let anchor = match self.anchors.closest(target, START as u64) {
            Closest::Anchor(anchor) => anchor.clone(),
            _ => return Ok(Trust::Insecure(Insecure::NoAnchor)),
        };
        let mut keys = self.keys(&anchor.zone, anchor.vouchers())?;
        for count in anchor.zone.label_count() + 1..=target.label_count() {
            let name = target.ancestor(count);
            let response = self.ask(&name, Rtype::DS);
            let (found, _) = delegation(&name, &keys, &response, &mut self.work())?;
            println!("  {name} below {}: {}", keys.zone, describe(&found));
            match found {
                Delegation::Signed(ds) => keys = self.keys(&name, Vouchers::Ds(&ds))?,
                Delegation::Unsigned(insecure) => return Ok(Trust::Insecure(insecure)),
                Delegation::SameZone => {}
                Delegation::NoName => break,
            }
        }
        if matches!(scope, Scope::Apex(apex) if *apex != keys.zone) {
            return Err(Stop::Bogus(Bogus::NoSuchZone { zone: target.clone() }));
        }
        Ok(Trust::Secure(Arc::new(keys)))
    }

    fn keys(&mut self, zone: &Name, vouchers: Vouchers<'_>) -> Result<ZoneKeys, Stop> {
        let response = self.ask(zone, Rtype::DNSKEY);
        zone_keys(zone, vouchers, &response, &mut self.work())
    }
}

fn describe(delegation: &Delegation) -> &'static str {
    match delegation {
        Delegation::Signed(_) => "a signed zone",
        Delegation::Unsigned(_) => "an unsigned zone",
        Delegation::SameZone => "no zone of its own",
        Delegation::NoName => "does not exist",
    }
}

/// What is known about zones by now.
struct Known(HashMap<Scope, Result<Trust, Bogus>>);

impl Zones for Known {
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>> {
        self.0.get(scope).cloned()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "_25._tcp.mx.shop.test".to_owned());
    let record_type = arguments.next().unwrap_or_else(|| "TLSA".to_owned());
    let name = Name::parse(&name).ok_or("no name")?;
    let rtype = RecordType::parse(&record_type).map(Rtype::from).ok_or("no such type of records")?;

    let servers = servers();
    // Others begin with `Anchors::root()`.
    let anchors = Anchors::parse(&servers.anchor_text())?;
    let mut resolver = Resolver { servers, anchors, budget: Budget::default() };

    let response = resolver.ask(&name, rtype);
    let mut known = Known(HashMap::new());
    let step = loop {
        match validate(&name, rtype, Place::First, &response, &known, &mut resolver.work()) {
            Err(Stop::Need(scope)) => {
                println!("whether to trust {scope:?}:");
                let trust = match resolver.trust(&scope) {
                    Ok(trust) => Ok(trust),
                    Err(Stop::Bogus(bogus)) => Err(bogus),
                    Err(stop) => return Err(format!("{stop:?}").into()),
                };
                known.0.insert(scope, trust);
            }
            Err(Stop::Bogus(bogus)) => return Err(bogus.into()),
            Err(stop) => return Err(format!("{stop:?}").into()),
            Ok(step) => break step,
        }
    };
    match &step.content {
        Content::Records(set) => println!("{} has {} records of type {rtype}", set.owner, set.data.len()),
        // Each name on the way to the records is validated by itself; the same response may have the next step.
        Content::Alias { to, .. } => println!("{name} is an alias of {to}"),
        Content::Absent(existence) => println!("{name} {rtype}: {existence:?}"),
    }
    match &step.proof {
        Proof::Secure { zone, .. } => println!("secure, proved by {zone}, for {} seconds", step.ttl),
        Proof::Insecure(reason) => println!("insecure: {reason}"),
    }
    println!("{} signatures checked", resolver.budget.signatures_spent());
    Ok(())
}
