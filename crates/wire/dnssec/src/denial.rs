//! Proofs that there is nothing (RFC 4035 §5.4, RFC 5155 §8, RFC 6840 §4).
//!
//! The proof decides what is absent, whatever the response code says.

mod bitmap;
mod nsec;
mod nsec3;

pub use nsec3::{MOST_ITERATIONS, Nsec3Parameters, nsec3_hash};

use mailstead_dns::{Name, RrSet, Rtype};

use crate::signature;
use crate::work::MOST_PROOF_RECORDS;
use crate::{Bogus, Insecure, Stop, Work, ZoneKeys};
use bitmap::Types;

/// What records of a zone prove about a name and a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The name exists, or a wildcard stands for it, without records of the type.
    NoData {
        /// Whether another zone begins at the name.
        is_delegation: bool,
    },
    /// Neither the name nor a wildcard that could stand for it exists.
    NxDomain,
    /// The records are genuine, but leave it open by their nature.
    Unproved(Insecure),
}

/// What the records of an authority section prove about there being no `rtype` at `name`, and for how many seconds.
/// `keys` are those of the zone that the name lies in.
pub(crate) fn of(
    name: &Name,
    rtype: Rtype,
    keys: &ZoneKeys,
    authority: &[RrSet],
    work: &mut Work<'_>,
) -> Result<(Denial, u32), Stop> {
    let claim = Claim { name, rtype };
    let (proof, ttl) = Proof::gather(claim, keys, authority, work)?;
    let denial = match &proof {
        Proof::Nsec(records) => nsec::prove(claim, records),
        Proof::Nsec3(chain) => chain.prove(claim, work)?,
    };
    denial.map(|denial| (denial, ttl)).ok_or_else(|| claim.wrong())
}

/// Whether it is proved that a wildcard below `base` may stand for `name`: that nothing closer exists (RFC 4035 §5.3.4,
/// RFC 5155 §8.8). `Some` reason where the records are genuine but leave it open.
pub(crate) fn of_closer_name(
    name: &Name,
    rtype: Rtype,
    base: &Name,
    keys: &ZoneKeys,
    authority: &[RrSet],
    work: &mut Work<'_>,
) -> Result<(Option<Insecure>, u32), Stop> {
    let claim = Claim { name, rtype };
    let missing = || Stop::Bogus(Bogus::WildcardProofMissing { name: name.clone(), rtype });
    let (proof, ttl) = match Proof::gather(claim, keys, authority, work) {
        Err(Stop::Bogus(Bogus::ProofMissing { .. })) => return Err(missing()),
        other => other?,
    };
    let open = match &proof {
        Proof::Nsec(records) => nsec::prove_wildcard(claim, base, records).then_some(None),
        Proof::Nsec3(chain) => chain.prove_wildcard(claim, base, work)?,
    };
    open.map(|open| (open, ttl)).ok_or_else(missing)
}

/// That there are no records of this type at this name.
#[derive(Debug, Clone, Copy)]
struct Claim<'a> {
    name: &'a Name,
    rtype: Rtype,
}

impl Claim<'_> {
    fn wrong(&self) -> Stop {
        Stop::Bogus(Bogus::ProofWrong { name: self.name.clone(), rtype: self.rtype })
    }

    /// Whether the record at the very name, with these types, proves the claim; if so, what about it.
    fn no_data(&self, types: &Types<'_>) -> Option<Denial> {
        if types.has(self.rtype) || types.has(Rtype::CNAME) {
            return None;
        }
        let is_delegation = types.is_delegation();
        // RFC 6840 §4.1: at a delegation the parent speaks of DS alone; and of DS the child does not speak, but for the
        // root, which has no parent.
        let speaks =
            if self.rtype == Rtype::DS { !types.has(Rtype::SOA) || self.name.is_root() } else { !is_delegation };
        speaks.then_some(Denial::NoData { is_delegation })
    }
}

/// The records of a proof, their signatures checked.
enum Proof<'a> {
    Nsec(Vec<nsec::Nsec<'a>>),
    Nsec3(nsec3::Chain<'a>),
}

impl<'a> Proof<'a> {
    /// The records that the zone has signed, and how long they may be kept.
    fn gather(
        claim: Claim<'_>,
        keys: &'a ZoneKeys,
        authority: &'a [RrSet],
        work: &mut Work<'_>,
    ) -> Result<(Proof<'a>, u32), Stop> {
        let mut nsec = Vec::new();
        let mut nsec3 = nsec3::Chain::new(&keys.zone);
        let mut ttl = u32::MAX;
        let mut fault = None;
        for set in authority.iter().filter(|set| is_of_zone(set, &keys.zone)).take(MOST_PROOF_RECORDS) {
            let signed = match signature::verify(set, keys, work) {
                Ok(signed) => signed,
                Err(Stop::Bogus(bogus)) => {
                    fault = Some(bogus);
                    continue;
                }
                Err(stop) => return Err(stop),
            };
            // A record that a wildcard has multiplied says nothing about the names that it was multiplied to.
            if signed.wildcard_base.is_some() {
                continue;
            }
            for data in &set.data {
                if set.rtype == Rtype::NSEC {
                    nsec.extend(nsec::Nsec::read(&set.owner, &keys.zone, data));
                } else {
                    nsec3.add(&set.owner, data);
                }
            }
            ttl = ttl.min(signed.ttl);
        }
        if !nsec.is_empty() {
            return Ok((Proof::Nsec(nsec), ttl));
        }
        if !nsec3.is_empty() {
            return Ok((Proof::Nsec3(nsec3), ttl));
        }
        let missing = || Bogus::ProofMissing { name: claim.name.clone(), rtype: claim.rtype };
        Err(Stop::Bogus(fault.unwrap_or_else(missing)))
    }
}

/// Whether this is a record of a proof that claims to be signed by the zone.
fn is_of_zone(set: &RrSet, zone: &Name) -> bool {
    matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3)
        && !set.data.is_empty()
        && set.owner.is_within(zone)
        && set.signatures.iter().any(|signature| signature.signer == *zone)
}

/// The zones that claim to have signed a proof about `name`, the closest first.
pub(crate) fn signers<'a>(name: &Name, rtype: Rtype, authority: &'a [RrSet]) -> Vec<&'a Name> {
    let proofs =
        authority.iter().filter(|set| matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3)).take(2 * MOST_PROOF_RECORDS);
    crate::validate::signers_above(name, rtype, proofs.flat_map(|set| &set.signatures))
}
