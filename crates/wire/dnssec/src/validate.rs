//! One step of an answer: what a response says about a name and a type, and whether that is proved.
//!
//! An answer through aliases is a chain of such steps; each has its own proof, because an alias in an unsigned zone may
//! lead into a signed one and the other way round. Whoever resolves takes the steps one by one, and brings the
//! [`Trust`] in the zones that each step asks for.

use mailstead_dns::{Existence, HopKind, Message, Name, Rcode, Record, RecordType, RrSet, Rrsig, Rtype};

use crate::denial::{self, Denial};
use crate::signature::{self, Signed};
use crate::work::TooMuchWork;
use crate::{Bogus, Insecure, Work, ZoneKeys};

/// Whether a zone can prove anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is signed, and these are its keys.
    Secure(std::sync::Arc<ZoneKeys>),
    /// It is not, or not in a way that can be followed.
    Insecure(Insecure),
}

/// Of what the trust is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of the zone with this very apex, which signatures name.
    Apex(Name),
    /// Of whatever zone this name lies in.
    Enclosing(Name),
}

/// Tells the trust in zones that is known by now.
pub trait Zones {
    /// The trust, or why there can be none. `None` where that has to be found out first.
    fn trust(&self, scope: &Scope) -> Option<Result<Trust, Bogus>>;

    /// The zone of the closest trust anchor at or above a name. To be told by those who have more than one: zones above
    /// it could otherwise make the name insecure by leaving open what there is (RFC 5155 §9.2).
    fn anchor(&self, name: &Name) -> Option<Name> {
        let _ = name;
        None
    }
}

/// Why validation does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The trust in this zone is needed. Ask again when it is known.
    Need(Scope),
    /// The response ends before this step: an alias whose target has to be asked for on its own.
    Unanswered,
    /// It should be proved and is not.
    Bogus(Bogus),
    /// It would take too much work to know.
    TooMuchWork,
}

impl From<TooMuchWork> for Stop {
    fn from(_: TooMuchWork) -> Stop {
        Stop::TooMuchWork
    }
}

/// What a response says about a name and a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There are records.
    Records(RrSet),
    /// The name is an alias.
    Alias {
        /// Of which name.
        to: Name,
        /// By which kind of record.
        kind: HopKind,
    },
    /// There is nothing.
    Absent(Existence),
}

/// How it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By the signature of a zone with a chain of trust.
    Secure {
        /// The zone.
        zone: Name,
        /// Signature over the records; `None` where the proof is that of absence, which takes several.
        signed: Option<Signed>,
    },
    /// Not at all, and rightly so.
    Insecure(Insecure),
}

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What there is.
    pub content: Content,
    /// How it is proved.
    pub proof: Proof,
    /// How long it may be kept, in seconds; zero: not at all.
    pub ttl: u32,
}

/// Which step of an answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The name that the response was asked for.
    First,
    /// A name that aliases in the same response lead to.
    Later,
}

/// What a response says about a name and a type, and how it is proved.
///
/// # Errors
/// [`Stop`]; none of them says anything about the name.
pub fn validate(
    name: &Name,
    rtype: Rtype,
    place: Place,
    response: &Message,
    zones: &dyn Zones,
    work: &mut Work<'_>,
) -> Result<Step, Stop> {
    let mut step = Validation { name, rtype, response, zones, work };
    if let Some(set) = step.dname() {
        let alias = step.alias_by_dname(set)?;
        return Ok(if rtype == Rtype::CNAME { made_by_dname(name, alias) } else { alias });
    }
    if let Some(set) = step.records() {
        let (proof, ttl) = step.prove_set(set)?;
        return Ok(Step { content: Content::Records(set.clone()), proof, ttl });
    }
    if rtype != Rtype::CNAME
        && let Some(set) = step.cname()
    {
        let to = target(set).ok_or_else(|| step.wrong_alias())?;
        let (proof, ttl) = step.prove_set(set)?;
        return Ok(Step { content: Content::Alias { to, kind: HopKind::Cname }, proof, ttl });
    }
    step.absent(place)
}

struct Validation<'a, 'w> {
    name: &'a Name,
    rtype: Rtype,
    response: &'a Message,
    zones: &'a dyn Zones,
    work: &'a mut Work<'w>,
}

impl<'a> Validation<'a, '_> {
    fn records(&self) -> Option<&'a RrSet> {
        let found = Message::find(&self.response.answer, self.name, self.rtype);
        // A referral answers a question for DS records in its authority section.
        let referred = || Message::find(&self.response.authority, self.name, Rtype::DS);
        found.or_else(|| if self.rtype == Rtype::DS { referred() } else { None })
    }

    fn cname(&self) -> Option<&'a RrSet> {
        Message::find(&self.response.answer, self.name, Rtype::CNAME)
    }

    /// The DNAME above the name that the answer is made by. A CNAME of the name with a signature of its own, or records
    /// of the very type, would be no work of a DNAME (RFC 6672 §3.1, §5.3.1).
    fn dname(&self) -> Option<&'a RrSet> {
        let is_made = self.cname().is_none_or(|cname| cname.signatures.is_empty());
        let has_records = self.rtype != Rtype::CNAME && self.records().is_some();
        let mut sets = self.response.answer.iter();
        let dname = |set: &&RrSet| set.rtype == Rtype::DNAME && self.name.is_below(&set.owner) && !set.data.is_empty();
        if is_made && !has_records { sets.find(dname) } else { None }
    }

    fn alias_by_dname(&mut self, set: &RrSet) -> Result<Step, Stop> {
        let base = target(set).ok_or_else(|| self.wrong_alias())?;
        let to = self.name.substitute(&set.owner, &base).ok_or_else(|| self.wrong_alias())?;
        if self.cname().is_some_and(|cname| target(cname).as_ref() != Some(&to)) {
            return Err(self.wrong_alias());
        }
        let (proof, ttl) = self.prove_set(set)?;
        // What is above a zone with a trust anchor of its own cannot make it insecure.
        if matches!(proof, Proof::Insecure(_)) && matches!(self.home(self.name, self.rtype)?, Trust::Secure(_)) {
            return Err(self.wrong_alias());
        }
        Ok(Step { content: Content::Alias { to, kind: HopKind::Dname }, proof, ttl })
    }

    fn wrong_alias(&self) -> Stop {
        Stop::Bogus(Bogus::WrongAlias { name: self.name.clone() })
    }

    fn trust(&self, scope: Scope) -> Result<Result<Trust, Bogus>, Stop> {
        self.zones.trust(&scope).ok_or(Stop::Need(scope))
    }

    /// The trust in the zone that records of this type at this name belong to.
    fn home(&self, owner: &Name, rtype: Rtype) -> Result<Trust, Stop> {
        // DS records belong to the zone above.
        let within = if rtype == Rtype::DS { owner.parent() } else { None };
        let scope = Scope::Enclosing(within.unwrap_or_else(|| owner.clone()));
        self.trust(scope)?.map_err(Stop::Bogus)
    }

    /// Whether the name's chain of trust begins below this zone, which then cannot make the name insecure.
    fn is_anchored_below(&self, zone: &Name) -> bool {
        // DS records belong to the zone above.
        let within = if self.rtype == Rtype::DS { self.name.parent() } else { None };
        let anchor = self.zones.anchor(within.as_ref().unwrap_or(self.name));
        anchor.is_some_and(|anchor| anchor.is_below(zone))
    }

    fn prove_set(&mut self, set: &RrSet) -> Result<(Proof, u32), Stop> {
        // What there is instead of DS records is the parent's as well: a name with an alias is nobody's apex.
        let instead = self.rtype == Rtype::DS && set.owner == *self.name;
        let rtype = if instead { Rtype::DS } else { set.rtype };
        let mut fault = None;
        for signer in signers_above(&set.owner, rtype, set.signatures.iter()) {
            let keys = match self.trust(Scope::Apex(signer.clone()))? {
                Ok(Trust::Secure(keys)) => keys,
                // What the name's own zone is worth is decided below.
                Ok(Trust::Insecure(_)) => continue,
                Err(bogus) => {
                    fault.get_or_insert(bogus);
                    continue;
                }
            };
            match self.prove_set_by(set, &keys) {
                Err(Stop::Bogus(bogus)) => fault = Some(bogus),
                other => return other,
            }
        }
        match self.home(&set.owner, rtype)? {
            Trust::Insecure(insecure) => Ok((Proof::Insecure(insecure), set.ttl)),
            Trust::Secure(_) => Err(Stop::Bogus(fault.unwrap_or_else(|| Bogus::Signature {
                name: set.owner.clone(),
                rtype: set.rtype,
                fault: crate::SignatureFault::Missing,
            }))),
        }
    }

    fn prove_set_by(&mut self, set: &RrSet, keys: &ZoneKeys) -> Result<(Proof, u32), Stop> {
        let signed = signature::verify(set, keys, self.work)?;
        let mut ttl = signed.ttl;
        if let Some(base) = &signed.wildcard_base {
            let authority = &self.response.authority;
            let (open, proof_ttl) = denial::of_closer_name(&set.owner, set.rtype, base, keys, authority, self.work)?;
            ttl = ttl.min(proof_ttl);
            if let Some(insecure) = open {
                if self.is_anchored_below(&keys.zone) {
                    let name = self.name.clone();
                    return Err(Stop::Bogus(Bogus::WildcardProofMissing { name, rtype: self.rtype }));
                }
                return Ok((Proof::Insecure(insecure), ttl));
            }
        }
        Ok((Proof::Secure { zone: keys.zone.clone(), signed: Some(signed) }, ttl))
    }

    fn absent(&mut self, place: Place) -> Result<Step, Stop> {
        let existence = match self.response.rcode {
            Rcode::NXDOMAIN => Existence::NxDomain,
            _ => Existence::NoData,
        };
        let soa = self.negative_ttl();
        let mut fault = None;
        let signers = denial::signers(self.name, self.rtype, &self.response.authority);
        if place == Place::Later && soa.is_none() && signers.is_empty() {
            return Err(Stop::Unanswered);
        }
        for signer in signers {
            let keys = match self.trust(Scope::Apex(signer.clone()))? {
                Ok(Trust::Secure(keys)) => keys,
                Ok(Trust::Insecure(_)) => continue,
                Err(bogus) => {
                    fault.get_or_insert(bogus);
                    continue;
                }
            };
            match denial::of(self.name, self.rtype, &keys, &self.response.authority, self.work) {
                Ok((Denial::Unproved(_), _)) if self.is_anchored_below(&keys.zone) => {
                    fault = Some(Bogus::ProofWrong { name: self.name.clone(), rtype: self.rtype });
                }
                Ok((denial, proof_ttl)) => {
                    let ttl = soa.unwrap_or(proof_ttl).min(proof_ttl);
                    let secure = Proof::Secure { zone: keys.zone.clone(), signed: None };
                    let (existence, proof) = match denial {
                        Denial::NoData { .. } => (Existence::NoData, secure),
                        Denial::NxDomain => (Existence::NxDomain, secure),
                        // As likely a referral to where the alias leads.
                        Denial::Unproved(_) if place == Place::Later && soa.is_none() => return Err(Stop::Unanswered),
                        Denial::Unproved(insecure) => (existence, Proof::Insecure(insecure)),
                    };
                    return Ok(Step { content: Content::Absent(existence), proof, ttl });
                }
                Err(Stop::Bogus(bogus)) => fault = Some(bogus),
                Err(stop) => return Err(stop),
            }
        }
        match self.home(self.name, self.rtype)? {
            // What proofs there are may be those of the alias, or of the referral to where it leads.
            Trust::Insecure(_) if place == Place::Later && soa.is_none() => Err(Stop::Unanswered),
            Trust::Insecure(insecure) => Ok(Step {
                content: Content::Absent(existence),
                proof: Proof::Insecure(insecure),
                // RFC 2308 §5: without SOA it is not to be kept.
                ttl: soa.unwrap_or(0),
            }),
            // A server may leave the proof to the question for the target itself.
            Trust::Secure(_) if place == Place::Later && fault.is_none() => Err(Stop::Unanswered),
            Trust::Secure(_) => {
                let missing = || Bogus::ProofMissing { name: self.name.clone(), rtype: self.rtype };
                Err(Stop::Bogus(fault.unwrap_or_else(missing)))
            }
        }
    }

    /// How long absence may be kept: the lesser of the SOA's TTL and its last field (RFC 2308 §5). `None` without an SOA
    /// of a zone that the name lies in.
    fn negative_ttl(&self) -> Option<u32> {
        let set = self
            .response
            .authority
            .iter()
            .find(|set| set.rtype == Rtype::SOA && self.name.is_within(&set.owner) && !set.data.is_empty())?;
        match Record::from_data(RecordType::Soa, set.data.first()?)? {
            Record::Soa(soa) => Some(soa.minimum.min(set.ttl)),
            _ => None,
        }
    }
}

/// The CNAME that a DNAME makes, for those who ask for it.
fn made_by_dname(name: &Name, alias: Step) -> Step {
    let Content::Alias { to, .. } = &alias.content else { return alias };
    let set = RrSet {
        owner: name.clone(),
        rtype: Rtype::CNAME,
        ttl: alias.ttl,
        data: vec![to.as_wire().into()],
        signatures: Vec::new(),
    };
    Step { content: Content::Records(set), ..alias }
}

/// Where the only record of a set points to.
fn target(set: &RrSet) -> Option<Name> {
    match set.data.as_slice() {
        [data] => Name::from_wire(data).map(|(name, _)| name),
        _ => None,
    }
}

/// More zones that claim to have signed the same records are not asked.
const MOST_SIGNERS: usize = 2;

/// The zones that claim, by these signatures, to have signed something about `name`; the closest first.
pub(crate) fn signers_above<'s>(
    name: &Name,
    rtype: Rtype,
    signatures: impl Iterator<Item = &'s Rrsig>,
) -> Vec<&'s Name> {
    // RFC 4035 §5.3.1: at or above the owner; above it for DS records, which belong to the parent.
    let may_sign = |zone: &Name| {
        if rtype == Rtype::DS && !name.is_root() { name.is_below(zone) } else { name.is_within(zone) }
    };
    let mut signers: Vec<&Name> = Vec::new();
    for signature in signatures {
        if may_sign(&signature.signer) && !signers.contains(&&signature.signer) {
            signers.push(&signature.signer);
            // Far more than honest answers have; the rest is not worth sorting.
            if signers.len() > 2 * MOST_SIGNERS {
                break;
            }
        }
    }
    signers.sort_by_key(|zone| std::cmp::Reverse(zone.label_count()));
    signers.truncate(MOST_SIGNERS);
    signers
}
