//! What the DNS says of a destination and of each of its hosts, with the DNSSEC status of every step: the facts that
//! [`plan`](mailstead_tlspolicy::plan::plan) looks at, and the addresses to connect to.
//!
//! Hosts of a domain are found as RFC 5321 §5.1 says, where DANE applies as RFC 7672 §2.2 says. Nothing is decided here but
//! that there is nobody to deliver to.

use std::net::IpAddr;
use std::sync::Arc;

use mailstead_dns::{Answer, Authenticity, Existence, LookupError, LookupErrorKind, Mx, Resolver, Tlsa};
use mailstead_names::{Domain, Host as HostName};
use mailstead_runtime::{BoxFuture, Random};
pub use mailstead_tlspolicy::facts::StsState;
use mailstead_tlspolicy::facts::{
    Destination, Host, MxRecords, NextHop, TlsaState, lookup_failure, tlsa_lookup_failure,
};
use mailstead_tlspolicy::plan::{AttributedPolicy, Scope, Terms, TlsResult};
use mailstead_tlspolicy::tlsa::{AddressChain, InsecureMx, Purpose, TlsaBaseDomain, tlsa_candidates, to_be_tried};

use crate::outcome::{Failure, Remote};
use crate::route::{Carrier, Families, NextHop as Relay};

/// The port of mail between servers (RFC 5321 §4.5.4.2).
pub const SMTP_PORT: u16 = 25;
/// Hosts of a domain that are looked at, the most preferred ones. RFC 5321 §5.1 lets a client limit them.
const MOST_HOSTS: usize = 20;

/// Knows the MTA-STS policies of domains.
pub trait StsPolicies: std::fmt::Debug + Send + Sync {
    /// What is in force for a domain now.
    fn state<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, StsState>;
}

/// What this server is, to know itself among the hosts of a domain (RFC 5321 §5.1). The default is nobody, for who only
/// looks.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Our name, where we are a server.
    pub hostname: Option<Domain>,
    /// The addresses that we take mail at.
    pub addresses: Vec<IpAddr>,
}

/// Looks facts up.
#[derive(Debug, Clone)]
pub struct Gatherer {
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// MTA-STS policies.
    pub sts: Arc<dyn StsPolicies>,
    /// Order among hosts of one preference.
    pub random: Arc<dyn Random>,
    /// Ourselves.
    pub own: Own,
    /// Whether DANE is used for hosts whose names DNSSEC does not prove.
    pub insecure_mx: InsecureMx,
}

/// A destination with its hosts in the order in which they are to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// For the plan.
    pub destination: Destination,
    /// At least one.
    pub hosts: Vec<Exchange>,
    /// Exchanges of MX records that are no names of hosts, and are left out.
    pub unusable: Vec<String>,
}

/// A host that takes the mail of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// As in the MX record, or the domain itself.
    pub name: HostName,
    /// Of the MX record.
    pub preference: Option<u16>,
}

/// A host with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// For the plan.
    pub host: Host,
    /// Its addresses, IPv6 first; at least one.
    pub addresses: Vec<IpAddr>,
    /// How they were found; `None` for a host that is an address.
    pub chain: Option<AddressChain>,
}

/// Why nobody can be delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nobody {
    /// For the sender.
    pub failure: Failure,
    /// For reports.
    pub results: Vec<TlsResult>,
    /// Whether the host is this server: then those after it are not tried either (RFC 5321 §5.1).
    pub is_ours: bool,
}

impl Nobody {
    fn because(failure: Failure) -> Box<Nobody> {
        Box::new(Nobody { failure, results: Vec::new(), is_ours: false })
    }

    fn ours(name: impl std::fmt::Display) -> Box<Nobody> {
        let text = format!("{name} is this server, which does not know the domain: mail for it would go in circles");
        Box::new(Nobody { is_ours: true, ..*Nobody::because(Failure::permanent(4, 6, text)) })
    }

    /// The host has addresses, only none that we may connect to. The operator may choose another way.
    fn of_other_family(host: &HostName, families: Families) -> Box<Nobody> {
        let text = format!("{host} has no {} address, and this route takes no other", families.name());
        let remote = Remote { host: host.clone(), ip: None };
        Nobody::because(Failure::temporary(4, 4, text).at(&remote))
    }

    /// A look-up without an answer. What DNSSEC has found wrong is reported to the recipient's domain.
    fn undecided(what: &str, error: &LookupError, domain: Option<&Domain>) -> Box<Nobody> {
        let failure = Failure::temporary(4, 3, format!("Looking up {what} failed: {}", words(error)));
        let policy = |domain: &Domain| AttributedPolicy {
            domain: domain.clone(),
            scope: Scope::RecipientDomain,
            terms: Terms::NoPolicyFound,
        };
        let reported = domain.filter(|_| error.kind == LookupErrorKind::Bogus || !error.extended_errors.is_empty());
        let results = reported
            .map(|domain| TlsResult { policy: policy(domain), failure: Some(lookup_failure(error)) })
            .into_iter()
            .collect();
        Box::new(Nobody { results, ..*Nobody::because(failure) })
    }
}

/// A look-up error for a person.
fn words(error: &LookupError) -> String {
    let extended: Vec<String> = error.extended_errors.iter().map(ToString::to_string).collect();
    let details = std::iter::once(error.detail.clone()).chain(extended).filter(|text| !text.is_empty());
    let details = details.collect::<Vec<_>>().join("; ");
    if details.is_empty() { error.kind.to_string() } else { format!("{} ({details})", error.kind) }
}

impl Found {
    /// A relay is its own only host. That it is the right one, the operator says.
    fn relay(relay: &Relay) -> Found {
        let destination = Destination {
            next_hop: NextHop::Route(relay.security),
            mx: MxRecords::Implicit(Authenticity::Secure),
            sts: StsState::NotFound,
        };
        let hosts = vec![Exchange { name: relay.host.clone(), preference: None }];
        Found { destination, hosts, unusable: Vec::new() }
    }
}

impl Gatherer {
    /// Where mail for this domain or address goes: to its relay or to its servers.
    ///
    /// # Errors
    /// As [`Gatherer::destination`].
    pub(crate) async fn found(&self, carrier: Carrier<'_>, recipients: &HostName) -> Result<Found, Box<Nobody>> {
        match carrier {
            Carrier::Relay(relay) => Ok(Found::relay(relay)),
            Carrier::Direct(_) => self.destination(recipients).await,
        }
    }

    /// Where mail for this domain or address goes.
    ///
    /// # Errors
    /// [`Nobody`], for good where the domain does not exist or takes no mail.
    pub async fn destination(&self, recipients: &HostName) -> Result<Found, Box<Nobody>> {
        let domain = match recipients {
            HostName::Domain(domain) => domain,
            HostName::Ip(ip) => return self.literal(*ip),
        };
        let answer = self.resolver.records::<Mx>(domain).await;
        let answer =
            answer.map_err(|error| Nobody::undecided(&format!("the servers of {domain}"), &error, Some(domain)))?;
        if answer.existence == Existence::NxDomain {
            let name = answer.final_name(domain);
            let text = if name == domain {
                format!("The domain {domain} does not exist")
            } else {
                format!("The domain {domain} is an alias of {name}, which does not exist")
            };
            return Err(Nobody::because(Failure::permanent(1, 2, text)));
        }
        let authenticity = answer.authenticity();
        let expanded = Some(answer.final_name(domain)).filter(|name| *name != domain).cloned();
        let (hosts, unusable, mx) = if answer.records.is_empty() {
            let host = Exchange { name: HostName::Domain(domain.clone()), preference: None };
            (vec![host], Vec::new(), MxRecords::Implicit(authenticity))
        } else {
            let (hosts, unusable) = self.exchanges(domain, answer)?;
            (hosts, unusable, MxRecords::Explicit(authenticity))
        };
        let next_hop = NextHop::Domain { name: domain.clone(), expanded };
        let sts = self.sts.state(domain).await;
        Ok(Found { destination: Destination { next_hop, mx, sts }, hosts, unusable })
    }

    fn literal(&self, ip: IpAddr) -> Result<Found, Box<Nobody>> {
        if self.own.addresses.contains(&ip) {
            return Err(Nobody::ours(ip));
        }
        let destination = Destination {
            next_hop: NextHop::Address(ip),
            mx: MxRecords::Implicit(Authenticity::Insecure),
            sts: StsState::NotFound,
        };
        let hosts = vec![Exchange { name: HostName::Ip(ip), preference: None }];
        Ok(Found { destination, hosts, unusable: Vec::new() })
    }

    /// Hosts by preference, in any order within one (RFC 5321 §5.1).
    fn exchanges(&self, domain: &Domain, answer: Answer<Mx>) -> Result<(Vec<Exchange>, Vec<String>), Box<Nobody>> {
        if let [only] = answer.records.as_slice()
            && only.is_null()
        {
            let text = format!("The domain {domain} takes no mail: its MX record says so (RFC 7505)");
            return Err(Nobody::because(Failure::permanent(1, 10, text)));
        }
        let (mut hosts, mut unusable) = (Vec::new(), Vec::new());
        for Mx { preference, exchange } in answer.records {
            match exchange.domain() {
                Some(name) => hosts.push((preference, self.random.number(), name.clone())),
                None => unusable.push(exchange.to_string()),
            }
        }
        hosts.sort();
        // What is as far away as ourselves, or farther, would send the mail to us.
        let is_ours = |name: &Domain| Some(name) == self.own.hostname.as_ref();
        let ours =
            hosts.iter().find(|(.., name)| is_ours(name)).map(|(preference, _, name)| (*preference, name.clone()));
        hosts.retain(|(preference, ..)| ours.as_ref().is_none_or(|(ours, _)| preference < ours));
        hosts.truncate(MOST_HOSTS);
        if hosts.is_empty() {
            return Err(match ours {
                Some((_, name)) => Nobody::ours(name),
                None => {
                    let text = format!("The MX records of {domain} name no host: {}", unusable.join(", "));
                    Nobody::because(Failure::temporary(4, 4, text))
                }
            });
        }
        let exchange = |(preference, _, name)| Exchange { name: HostName::Domain(name), preference: Some(preference) };
        Ok((hosts.into_iter().map(exchange).collect(), unusable))
    }

    /// What is known of one of the hosts of a destination: its addresses of these families, and then the TLSA records where DNSSEC proves
    /// the addresses (RFC 7672 §2.2.2).
    ///
    /// # Errors
    /// [`Nobody`]: the host has no such address, nobody knows, or it is this server.
    pub async fn host(
        &self,
        destination: &Destination,
        exchange: &Exchange,
        families: Families,
    ) -> Result<HostFacts, Box<Nobody>> {
        let name = match &exchange.name {
            HostName::Domain(name) => name,
            HostName::Ip(ip) if !families.admit(ip) => return Err(Nobody::of_other_family(&exchange.name, families)),
            HostName::Ip(ip) => {
                let host = Host { name: exchange.name.clone(), tlsa: TlsaState::Absent };
                return Ok(HostFacts { host, addresses: vec![*ip], chain: None });
            }
        };
        let reported = match &destination.next_hop {
            NextHop::Domain { name, .. } => Some(name),
            NextHop::Address(_) | NextHop::Route(_) => None,
        };
        let remote = Remote { host: exchange.name.clone(), ip: None };
        let at_host = |nobody: Box<Nobody>| Box::new(Nobody { failure: nobody.failure.at(&remote), ..*nobody });
        let answer = self.resolver.addresses(name).await;
        let answer = answer.map_err(|error| at_host(Nobody::undecided(&format!("{name}"), &error, reported)))?;
        if answer.records.is_empty() {
            let failure = match (&destination.next_hop, destination.mx) {
                (NextHop::Domain { .. }, MxRecords::Implicit(_)) => {
                    Failure::permanent(4, 4, format!("{name} has neither MX records nor an address"))
                }
                // A mistake in a record that somebody will correct.
                _ => Failure::temporary(4, 4, format!("{name} has no address")),
            };
            return Err(at_host(Nobody::because(failure)));
        }
        if reported.is_some() && answer.records.iter().any(|ip| self.own.addresses.contains(ip)) {
            return Err(at_host(Nobody::ours(name)));
        }
        let chain = AddressChain::of(&answer);
        let addresses: Vec<IpAddr> = answer.records.into_iter().filter(|ip| families.admit(ip)).collect();
        if addresses.is_empty() {
            return Err(Nobody::of_other_family(&exchange.name, families));
        }
        let tlsa = match destination.next_hop {
            NextHop::Domain { .. } => self.tlsa(destination.mx, name, &chain).await,
            NextHop::Address(_) | NextHop::Route(_) => TlsaState::Absent,
        };
        let host = Host { name: exchange.name.clone(), tlsa };
        Ok(HostFacts { host, addresses, chain: Some(chain) })
    }

    /// The first base domain with secure records (RFC 7672 §2.2.3). A look-up without an answer is the end: what is not
    /// known must not be taken for absence (§2.1.2).
    async fn tlsa(&self, mx: MxRecords, host: &Domain, chain: &AddressChain) -> TlsaState {
        for base in tlsa_candidates(mx, self.insecure_mx, host, chain) {
            // A name that is too long has no records.
            let Ok(name) = base.record_name(SMTP_PORT) else { continue };
            match self.resolver.records::<Tlsa>(&name).await {
                Err(error) => return TlsaState::Failed { reason: tlsa_lookup_failure(&error), base },
                Ok(answer) if answer.is_secure() && !answer.records.is_empty() => return found(base, answer.records),
                Ok(_) => {}
            }
        }
        TlsaState::Absent
    }
}

fn found(base: TlsaBaseDomain, records: Vec<Tlsa>) -> TlsaState {
    let usable = to_be_tried(&records, Purpose::Smtp);
    if usable.is_empty() { TlsaState::Unusable { base, records } } else { TlsaState::Usable { base, records: usable } }
}

#[cfg(test)]
mod tests;
