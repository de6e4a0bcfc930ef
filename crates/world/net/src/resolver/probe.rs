//! Whether a resolver lets DNSSEC through: found out by questions that must have signed answers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mailstead_dns::{Message, Name, Question, Rtype};
use mailstead_dnssec::{
    Bogus, Budget, Delegation, Insecure, SignatureFault, Stop, Work, ZoneKeys, delegation, zone_keys,
};
use mailstead_runtime::{Deadline, join_all};

use super::core::Core;
use super::resolv_conf::ResolvConf;
use super::route::Active;
use super::upstream::Upstream;

/// Longest wait for a resolver, and for the root, while it is being tried. Both together take less than a look-up may.
const PATIENCE: Duration = Duration::from_secs(6);

/// Neighbours of a name that are tried to find a signed one.
const MOST_NEIGHBOURS: usize = 4;

/// Why a resolver cannot be used for validation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolverFault {
    /// It does not answer.
    Silent(String),
    /// It answers, but with failures.
    Fails(String),
    /// It strips DNSSEC: the keys of the root come without signatures, or not at all.
    StripsSignatures,
    /// It strips DNSSEC: proofs of absence do not come.
    StripsProofs,
    /// It strips DNSSEC: DS records do not come.
    StripsDelegations,
    /// Signatures are not valid at this time: the clock may be wrong.
    WrongTime(Bogus),
    /// What comes does not fit the trust anchors.
    WrongKeys(Bogus),
}

impl fmt::Display for ResolverFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolverFault::Silent(detail) if detail.is_empty() => f.write_str("does not answer"),
            ResolverFault::Silent(detail) => write!(f, "does not answer ({detail})"),
            ResolverFault::Fails(detail) => write!(f, "fails when asked for DNSSEC ({detail})"),
            ResolverFault::StripsSignatures => f.write_str("strips DNSSEC from its answers (no signatures)"),
            ResolverFault::StripsProofs => f.write_str("strips DNSSEC from its answers (no proofs of absence)"),
            ResolverFault::StripsDelegations => f.write_str("strips DNSSEC from its answers (no DS records)"),
            ResolverFault::WrongTime(bogus) => write!(f, "gives signatures that are not valid now ({bogus})"),
            ResolverFault::WrongKeys(bogus) => write!(f, "gives keys that are not trusted ({bogus})"),
        }
    }
}

impl ResolverFault {
    /// Whether the time is what is wrong.
    pub(super) fn is_of_time(&self) -> bool {
        matches!(self, ResolverFault::WrongTime(_))
    }

    /// The same without the address of the resolver, which is told anyway.
    fn of(self, resolver: IpAddr) -> ResolverFault {
        let shorten = |detail: String| detail.replace(&format!("{resolver} "), "");
        match self {
            ResolverFault::Silent(detail) => ResolverFault::Silent(shorten(detail)),
            ResolverFault::Fails(detail) => ResolverFault::Fails(shorten(detail)),
            other => other,
        }
    }
}

/// What is wrong with the root servers, in words that follow their name.
#[derive(Debug)]
pub(super) struct OfRoot<'a>(pub(super) &'a ResolverFault);

impl fmt::Display for OfRoot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ResolverFault::Silent(detail) => write!(f, "do not answer ({detail})"),
            ResolverFault::Fails(detail) => write!(f, "fail when asked for DNSSEC ({detail})"),
            ResolverFault::StripsSignatures => {
                f.write_str("seem to send no signatures; somebody on the way strips them")
            }
            ResolverFault::StripsProofs => f.write_str("seem to prove no absence; somebody on the way strips proofs"),
            ResolverFault::StripsDelegations => {
                f.write_str("seem to have no DS records; somebody on the way strips them")
            }
            ResolverFault::WrongTime(bogus) => write!(f, "give signatures that are not valid now ({bogus})"),
            ResolverFault::WrongKeys(bogus) => write!(f, "give keys that are not trusted ({bogus})"),
        }
    }
}

impl Core {
    /// Tries each of the resolvers.
    pub(super) async fn probe_all(&self, conf: &ResolvConf) -> Vec<(SocketAddr, Option<ResolverFault>)> {
        let probes = conf.nameservers.iter().map(|server| async move {
            let route = self.router.forward(conf, vec![*server], Active::Validate);
            let fault = self.probe(&*route.upstream).await.err();
            (*server, fault.map(|fault| fault.of(server.ip())))
        });
        join_all(probes).await
    }

    /// Tries one way: keys of a trust anchor, a proof of absence, and a delegation.
    pub(super) async fn probe(&self, upstream: &dyn Upstream) -> Result<(), ResolverFault> {
        let deadline = Deadline::after(PATIENCE);
        let anchors = self.anchors.current();
        let Some(anchor) = anchors.iter().next() else { return Ok(()) };
        let mut budget = Budget::default();
        let mut work = Work { crypto: &*self.crypto, now: self.seconds(), budget: &mut budget };
        let ask = |name: Name, rtype| async move {
            upstream.fetch(&Question { name, rtype }, 0, deadline).await.map_err(ResolverFault::from)
        };

        let response = ask(anchor.zone.clone(), Rtype::DNSKEY).await?;
        let vouchers = anchor.vouchers();
        let keys = match zone_keys(&anchor.zone, vouchers, &response, &mut work) {
            Ok(keys) => keys,
            Err(Stop::Bogus(bogus)) => return Err(key_fault(bogus)),
            Err(_) => return Err(ResolverFault::StripsSignatures),
        };

        // A name that does not exist, by all that chance allows.
        let label = self.random.word(12);
        let Some(nobody) = anchor.zone.prepend(label.as_bytes()) else { return Ok(()) };
        let response = ask(nobody.clone(), Rtype::DS).await?;
        if let Err(stop) = delegation(&nobody, &keys, &response, &mut work) {
            return Err(time_or(stop, ResolverFault::StripsProofs));
        }

        // What stands next to nobody in the zone does exist, and most of it is signed.
        let mut neighbour = next_below(&response, &keys);
        for _ in 0..MOST_NEIGHBOURS {
            let Some(child) = neighbour else { break };
            let response = ask(child.clone(), Rtype::DS).await?;
            match delegation(&child, &keys, &response, &mut work) {
                Ok((Delegation::Unsigned(Insecure::UnsignedDelegation { .. }) | Delegation::SameZone, _)) => {
                    neighbour = next_below(&response, &keys);
                }
                Ok(_) => break,
                Err(stop) => return Err(time_or(stop, ResolverFault::StripsDelegations)),
            }
        }
        Ok(())
    }
}

fn key_fault(bogus: Bogus) -> ResolverFault {
    if is_of_time(&bogus) {
        ResolverFault::WrongTime(bogus)
    } else if bogus.is_something_missing() {
        ResolverFault::StripsSignatures
    } else {
        ResolverFault::WrongKeys(bogus)
    }
}

/// What is wrong when a proof does not hold: the time, where it is that. Zones sign their keys for longer than the rest,
/// so that a clock may be right for the keys and wrong for everything else.
fn time_or(stop: Stop, other: ResolverFault) -> ResolverFault {
    match stop {
        Stop::Bogus(bogus) if is_of_time(&bogus) => ResolverFault::WrongTime(bogus),
        _ => other,
    }
}

fn is_of_time(bogus: &Bogus) -> bool {
    let fault =
        |fault: &SignatureFault| matches!(fault, SignatureFault::Expired { .. } | SignatureFault::NotYetValid { .. });
    matches!(bogus, Bogus::Signature { fault: found, .. } if fault(found))
}

/// The next name just below the zone, as NSEC records of a proof name it.
fn next_below(response: &Message, keys: &ZoneKeys) -> Option<Name> {
    let nexts = response.authority.iter().filter(|set| set.rtype == Rtype::NSEC);
    nexts
        .filter_map(|set| Some(Name::from_wire(set.data.first()?)?.0))
        .find(|next| next.parent().as_ref() == Some(&keys.zone))
}
