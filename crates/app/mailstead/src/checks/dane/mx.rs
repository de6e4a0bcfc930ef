//! The mail servers of a domain, found as delivery finds them (RFC 7672), and what their certificates are worth.

use std::net::SocketAddr;
use std::sync::Arc;

use mailstead_dns::{Authenticity, Resolver, Tlsa};
use mailstead_names::{Domain, Host as HostName};
use mailstead_net::Dialer;
use mailstead_queue::facts::{Exchange, Found, Gatherer, HostFacts, Own, SMTP_PORT, StsPolicies, StsState};
use mailstead_queue::{Demand, Families, InsecureMx};
use mailstead_runtime::{BoxFuture, SystemRandom};
use mailstead_tlspolicy::facts::{MxRecords, NextHop, TlsaState};
use mailstead_tlspolicy::plan::{Way, plan};
use mailstead_tlspolicy::tlsa::{AddressChain, Purpose, usable};
use mailstead_tlspolicy::verify::Checks;
use rustls::RootCertStore;
use serde_json::{Value, json};

use super::dial::{Call, Connection, MOST_ADDRESSES, Verdict, objection, worst};
use super::report::{connection_json, connection_lines, text};
use crate::checks::Finding;
use crate::checks::options::transport::StartTls;
use crate::dns::{status, with_dnssec};

/// Whose servers to connect to.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) domain: Domain,
    /// Only this one.
    pub(super) host: Option<Domain>,
    pub(super) roots: Arc<RootCertStore>,
}

/// All that was found out.
#[derive(Debug)]
pub(super) struct Seen {
    domain: Domain,
    /// The hosts, or why there are none.
    hosts: Result<(Found, Vec<SeenHost>), String>,
}

/// One host.
#[derive(Debug)]
struct SeenHost {
    exchange: Exchange,
    /// Whether delivery would come to it.
    is_named: bool,
    /// Its addresses and records, or why there are none.
    facts: Result<HostFacts, String>,
    /// One for each address, where there are records that can be used.
    connections: Vec<Connection>,
}

/// MTA-STS is no matter of DANE.
#[derive(Debug)]
struct NoPolicies;

impl StsPolicies for NoPolicies {
    fn state<'a>(&'a self, _: &'a Domain) -> BoxFuture<'a, StsState> {
        Box::pin(std::future::ready(StsState::NotFound))
    }
}

/// Of all that led to addresses.
fn weakest(chain: &AddressChain) -> Authenticity {
    chain.alias.as_ref().map_or(chain.initial, |(_, authenticity)| chain.initial.min(*authenticity))
}

impl Mail {
    /// Looks up servers and their records, and connects to every address of those that have records to be checked.
    pub(super) async fn dial(&self, resolver: Arc<dyn Resolver>, dialer: &dyn Dialer) -> Seen {
        let gatherer = Gatherer {
            resolver,
            sts: Arc::new(NoPolicies),
            random: Arc::new(SystemRandom),
            own: Own::default(),
            insecure_mx: InsecureMx::default(),
        };
        let domain = self.domain.clone();
        let found = match gatherer.destination(&HostName::Domain(domain.clone())).await {
            Ok(found) => found,
            Err(nobody) => return Seen { domain, hosts: Err(nobody.failure.text) },
        };
        let mut hosts = Vec::new();
        for (exchange, is_named) in self.chosen(&found) {
            hosts.push(self.host(&gatherer, &found, exchange, is_named, dialer).await);
        }
        Seen { domain, hosts: Ok((found, hosts)) }
    }

    /// The hosts to connect to, and whether delivery would come to them.
    fn chosen(&self, found: &Found) -> Vec<(Exchange, bool)> {
        let Some(host) = &self.host else {
            return found.hosts.iter().map(|exchange| (exchange.clone(), true)).collect();
        };
        let name = HostName::Domain(host.clone());
        let named = found.hosts.iter().find(|exchange| exchange.name == name);
        vec![named.map_or((Exchange { name, preference: None }, false), |exchange| (exchange.clone(), true))]
    }

    async fn host(
        &self,
        gatherer: &Gatherer,
        found: &Found,
        exchange: Exchange,
        is_named: bool,
        dialer: &dyn Dialer,
    ) -> SeenHost {
        let facts = gatherer.host(&found.destination, &exchange, Families::Both).await;
        let facts = facts.map_err(|nobody| nobody.failure.text);
        let mut connections = Vec::new();
        if let Ok(facts) = &facts
            && let Some((server_name, checks)) = self.checks(found, facts)
        {
            for ip in facts.addresses.iter().take(MOST_ADDRESSES) {
                let (address, starttls) = (SocketAddr::new(*ip, SMTP_PORT), StartTls::Smtp);
                let call = Call { address, starttls, server_name: &server_name, checks: &checks };
                connections.push(call.connect(dialer).await);
            }
        }
        SeenHost { exchange, is_named, facts, connections }
    }

    /// What delivery would check certificates against, and the name that it would send, where there are records that can be
    /// used.
    fn checks(&self, found: &Found, facts: &HostFacts) -> Option<(HostName, Checks)> {
        let Way::Attempts(attempts) = plan(&found.destination, &facts.host, Demand::default()).way else { return None };
        let attempt = attempts.into_iter().next()?;
        let dane = attempt.dane?;
        let checks = Checks {
            roots: Arc::clone(&self.roots),
            name: attempt.pkix_name,
            records: dane.records,
            anchored_names: dane.names,
        };
        Some((attempt.server_name, checks))
    }
}

impl Seen {
    /// A match only where every host has one. Those that cannot be connected to count only where none can.
    fn verdict(&self) -> Verdict {
        let Ok((found, _)) = &self.hosts else { return Verdict::Unknown };
        self.hindrance().map_or(Verdict::Match, |host| host.verdict(found))
    }

    /// The first host that is no match.
    fn hindrance(&self) -> Option<&SeenHost> {
        let (found, hosts) = self.hosts.as_ref().ok()?;
        let first = |wanted: fn(Verdict) -> bool| hosts.iter().find(|host| wanted(host.verdict(found)));
        let reached = first(|verdict| !matches!(verdict, Verdict::Match | Verdict::Unreachable));
        let unreachable = || first(|verdict| verdict == Verdict::Unreachable);
        let nobody_matches = first(|verdict| verdict == Verdict::Match).is_none();
        reached.or_else(|| unreachable().filter(|_| nobody_matches))
    }

    /// Why the domain is not protected by DANE, in words.
    pub(super) fn objection(&self) -> Option<String> {
        match &self.hosts {
            Err(why) => Some(why.clone()),
            Ok((found, _)) => {
                let host = self.hindrance()?;
                Some(format!("{}: {}", host.name(), host.objection(found)?))
            }
        }
    }

    pub(super) fn shown(&self) -> Finding {
        let authenticity = match &self.hosts {
            Ok((found, _)) => found.destination.mx.authenticity(),
            Err(_) => Authenticity::Insecure,
        };
        let about = format!("DANE of the mail servers of {}", self.domain);
        let mut finding = Finding::result(self.verdict().as_str(), &about, authenticity);
        finding.put("domain", json!(self.domain.as_ascii()));
        finding.reasons(self.objection());
        let Ok((found, hosts)) = &self.hosts else { return finding };
        let is_implicit = matches!(found.destination.mx, MxRecords::Implicit(_));
        if let NextHop::Domain { expanded: Some(target), .. } = &found.destination.next_hop {
            finding.line(format_args!("{} is an alias of {target}", self.domain));
        }
        if is_implicit {
            finding.line("there are no MX records: the domain is its own server");
        }
        for exchange in &found.unusable {
            finding.line(format_args!("MX record that names no host: {exchange}"));
        }
        finding
            .put("mx", json!({ "status": status(authenticity), "implicit": is_implicit, "unusable": found.unusable }));
        let mut objects = Vec::new();
        for host in hosts {
            host.lines(found, &mut finding);
            objects.push(host.json(found));
        }
        finding.put("hosts", Value::Array(objects));
        finding
    }
}

impl SeenHost {
    fn name(&self) -> String {
        self.exchange.name.to_string()
    }

    fn verdict(&self, found: &Found) -> Verdict {
        let Ok(facts) = &self.facts else { return Verdict::Unknown };
        match &facts.host.tlsa {
            TlsaState::Usable { .. } => worst(&self.connections),
            TlsaState::Unusable { .. } => Verdict::Unusable,
            TlsaState::Failed { .. } => Verdict::Unknown,
            TlsaState::Absent if self.is_proved(found) => Verdict::NoRecords,
            TlsaState::Absent => Verdict::Insecure,
        }
    }

    /// Whether TLSA records would count here: DNSSEC proves the name and the addresses.
    fn is_proved(&self, found: &Found) -> bool {
        let chain = self.facts.as_ref().ok().and_then(|facts| facts.chain.as_ref());
        // RFC 7672 §2.2.2: what an alias leads to may be unsigned.
        let is_secure = chain.is_some_and(|chain| chain.initial == Authenticity::Secure);
        found.destination.mx.authenticity() == Authenticity::Secure && is_secure
    }

    fn objection(&self, found: &Found) -> Option<String> {
        let facts = match &self.facts {
            Ok(facts) => facts,
            Err(why) => return Some(why.clone()),
        };
        Some(match (self.verdict(found), &facts.host.tlsa) {
            (Verdict::Match, _) => return None,
            (_, TlsaState::Failed { reason, .. }) => format!("its TLSA records could not be looked up: {reason}"),
            (Verdict::Unusable, _) => "none of its TLSA records can be used".to_owned(),
            (Verdict::NoRecords, _) => "it has no TLSA records that DNSSEC proves".to_owned(),
            (Verdict::Insecure, _) if found.destination.mx.authenticity() == Authenticity::Insecure => {
                "DNSSEC does not prove that it is a server of the domain, so that TLSA records do not count".to_owned()
            }
            (Verdict::Insecure, _) => {
                "DNSSEC does not prove its addresses, so that TLSA records do not count".to_owned()
            }
            (Verdict::Unreachable, _) => "none of its addresses can be connected to".to_owned(),
            _ => return objection(&self.connections),
        })
    }

    /// The base domain and the records that count, or all where none does.
    fn records(&self) -> Option<(&Domain, &[Tlsa])> {
        match &self.facts.as_ref().ok()?.host.tlsa {
            TlsaState::Usable { base, records } | TlsaState::Unusable { base, records } => Some((&base.0, records)),
            TlsaState::Absent | TlsaState::Failed { .. } => None,
        }
    }

    fn lines(&self, found: &Found, finding: &mut Finding) {
        let preference = self.exchange.preference.map(|preference| format!(", preference {preference}"));
        let not_named = if self.is_named { "" } else { ", which the MX records do not name" };
        let verdict = self.verdict(found).as_str();
        finding.line(format_args!("{}{}{not_named}: {verdict}", self.name(), preference.unwrap_or_default()));
        match &self.facts {
            Err(why) => finding.line(format_args!("  {why}")),
            Ok(facts) => {
                let addresses: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
                let proved = facts.chain.as_ref().map_or("", |chain| with_dnssec(weakest(chain)));
                finding.line(format_args!("  addresses: {}, {proved}", addresses.join(", ")));
            }
        }
        if let Some((base, records)) = self.records() {
            finding.line(format_args!("  TLSA base domain: {base}"));
            for record in records {
                let used = usable(record, Purpose::Smtp).err().map(|why| format!(" (not used: {why})"));
                finding.line(format_args!("  TLSA {}{}", text(record), used.unwrap_or_default()));
            }
        }
        let mut connections = Finding::new("");
        self.connections
            .iter()
            .for_each(|connection| connection_lines(&mut connections, connection, &self.exchange.name));
        connections.text.lines().skip(1).for_each(|line| finding.line(line));
    }

    fn json(&self, found: &Found) -> Value {
        let facts = self.facts.as_ref().ok();
        let addresses = facts.map(|facts| {
            let records: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
            json!({ "records": records, "status": facts.chain.as_ref().map(|chain| status(weakest(chain))) })
        });
        let records = self.records();
        json!({
            "host": self.name(),
            "preference": self.exchange.preference,
            "named_by_mx": self.is_named,
            "result": self.verdict(found).as_str(),
            "detail": self.objection(found),
            "addresses": addresses,
            "tlsa_base_domain": records.map(|(base, _)| base.as_ascii()),
            "records": records.map(|(_, records)| records.iter().map(text).collect::<Vec<_>>()),
            "connections": self.connections.iter().map(connection_json).collect::<Vec<_>>(),
        })
    }
}
