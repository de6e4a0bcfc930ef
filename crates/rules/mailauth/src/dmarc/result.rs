//! What DMARC has to say about a message, and why.

use std::fmt;

use mailstead_dns::{Authenticity, LookupErrorKind};
use mailstead_names::Domain;

use super::record::{Policy, Record};
use super::walk::PolicySource;
use crate::Evidence;

/// What authenticates a domain (RFC 9989 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// SPF, of MAIL FROM alone (§4.4.2). With a null path that is the name given in EHLO (RFC 7208 §2.4).
    Spf,
    /// A DKIM signature, by its `d=` (§4.4.1).
    Dkim,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mechanism::Spf => "SPF",
            Mechanism::Dkim => "DKIM",
        })
    }
}

/// How a mechanism ended, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It passed: the domain is an Authenticated Identifier.
    Pass,
    /// It may pass another time.
    TempError,
    /// Anything else: fail, softfail, neutral, none, permerror, refused by policy.
    Fail,
}

/// A domain with what a mechanism says about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// Which one.
    pub mechanism: Mechanism,
    /// The domain that it authenticates, or would.
    pub domain: Domain,
    /// How it ended.
    pub outcome: Outcome,
}

/// How near a domain is to the Author Domain (RFC 9989 §3.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alignment {
    /// It is the same.
    Strict,
    /// It is of the same organisation, and the record is content with that.
    Relaxed,
    /// Neither.
    None,
    /// It is not known, because names could not be looked up.
    Undecided,
    /// Nobody needs to know: the mechanism did not pass, or there is no policy.
    Irrelevant,
}

/// An [`Identifier`] with its alignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aligned {
    /// As it was given.
    pub identifier: Identifier,
    /// How it stands to the Author Domain.
    pub alignment: Alignment,
}

impl Aligned {
    /// Whether this alone makes DMARC pass.
    pub fn passes(&self) -> bool {
        self.identifier.outcome == Outcome::Pass && matches!(self.alignment, Alignment::Strict | Alignment::Relaxed)
    }
}

/// The result proper (RFC 9989 §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// An aligned identifier is authenticated.
    Pass,
    /// No record applies.
    None,
    /// No aligned identifier is authenticated.
    Fail,
    /// It cannot be decided, not even later.
    PermError,
    /// It cannot be decided now.
    TempError,
}

impl Status {
    /// The word for Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::None => "none",
            Status::Fail => "fail",
            Status::PermError => "permerror",
            Status::TempError => "temperror",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tag that a policy is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyTag {
    /// `p`
    Policy,
    /// `sp`, for a name below that of the record
    SubdomainPolicy,
    /// `np`, for one that does not exist
    NonexistentPolicy,
    /// None: the record has no valid policy, but wants reports, and works as `p=none` (RFC 9989 §4.10.1).
    Absent,
}

/// The record that applies, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPolicy {
    /// The DMARC Policy Domain: where the record was found (RFC 9989 §3.2.5).
    pub domain: Domain,
    /// How this domain relates to the Author Domain.
    pub source: PolicySource,
    /// The record.
    pub record: Record,
    /// The tag that counts for this message.
    pub tag: PolicyTag,
    /// What that tag says.
    pub published: Policy,
    /// What is left of it in test mode. This is what a message that fails is to be treated by.
    pub effective: Policy,
}

/// Why a result is as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is no address with a domain in From (RFC 9989 §5.3.1).
    #[error("no domain in From")]
    NoAuthorDomain,
    /// There are several; the one that comes off worst is told here (RFC 9989 §11.5).
    #[error("{} domains in From", .0.len())]
    SeveralAuthorDomains(Vec<Domain>),
    /// There are so many that not all were looked at (RFC 9989 §11.5).
    #[error("too many domains in From")]
    TooManyAuthorDomains,
    /// No record applies to this domain.
    #[error("no DMARC record for {0}")]
    NoRecord(Domain),
    /// A name has several records, which count as none (RFC 9989 §4.10).
    #[error("several DMARC records at {0}, all ignored")]
    SeveralRecords(Domain),
    /// The record has no policy and asks for no reports, so it asks for nothing (RFC 9989 §4.10.1).
    #[error("the record of {0} has no policy")]
    NoPolicy(Domain),
    /// The record has no valid policy, and asks for reports: `p=none` (RFC 9989 §4.10.1).
    #[error("the record of {0} has no valid policy, and counts as p=none")]
    PolicyDefaulted(Domain),
    /// The policy of the record makes no sense, and it asks for no reports (RFC 9989 §4.10.1).
    #[error("the policy of the record of {0} is malformed")]
    PolicyMalformed(Domain),
    /// Records of this name could not be looked up.
    #[error("looking up {name}: {kind}")]
    LookupFailed {
        /// The name.
        name: Domain,
        /// Why.
        kind: LookupErrorKind,
    },
    /// A mechanism passed for an aligned domain.
    #[error("{mechanism} passed for {domain}, aligned")]
    Aligned {
        /// Which.
        mechanism: Mechanism,
        /// For which domain.
        domain: Domain,
    },
    /// A mechanism passed, but for a domain that is not aligned.
    #[error("{mechanism} passed for {domain}, not aligned")]
    NotAligned {
        /// Which.
        mechanism: Mechanism,
        /// For which domain.
        domain: Domain,
    },
    /// A mechanism might have passed for a domain that is, or may be, aligned.
    #[error("{mechanism} undecided for {domain}")]
    Undecided {
        /// Which.
        mechanism: Mechanism,
        /// For which domain.
        domain: Domain,
    },
    /// No mechanism passed.
    #[error("neither SPF nor DKIM passed")]
    Unauthenticated,
    /// More domains than are compared with the Author Domain.
    #[error("too many authenticated domains")]
    TooManyIdentifiers,
    /// The Author Domain does not exist (RFC 9989 §3.2.13).
    #[error("{0} does not exist")]
    NonexistentDomain(Domain),
    /// The owner is testing: one level less than published (RFC 9989 §4.7 `t`).
    #[error("{0} is in test mode")]
    Testing(Domain),
}

/// What DMARC says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmarcResult {
    /// The result proper.
    pub status: Status,
    /// What the owner of the domain wants done with this message. More than [`Policy::None`] only where it failed.
    ///
    /// Whether to do so is the receiver's choice. A message should not be rejected for this reason alone (RFC 9989
    /// §5.4), as mailing lists and forwarders break alignment.
    pub disposition: Policy,
    /// The Author Domain that this is about. Nothing where From has no domain.
    pub author: Option<Domain>,
    /// The policy that applies. Nothing where there is none, or where it is not known.
    pub policy: Option<AppliedPolicy>,
    /// The Organizational Domain of the Author Domain, where it had to be found out.
    pub organizational_domain: Option<Domain>,
    /// Every identifier given, with its alignment.
    pub identifiers: Vec<Aligned>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What was looked up.
    pub evidence: Evidence,
}

impl DmarcResult {
    /// Whether DNSSEC proved everything that this rests on here: all names looked at for records, found or not. Whether
    /// it proved what SPF and DKIM rest on is told by their results.
    pub fn authenticity(&self) -> Authenticity {
        self.evidence.authenticity()
    }

    /// Whether this mechanism passed for an aligned domain.
    pub fn is_aligned(&self, mechanism: Mechanism) -> bool {
        self.identifiers.iter().any(|aligned| aligned.identifier.mechanism == mechanism && aligned.passes())
    }

    /// Whether it is worth asking the sender to try again: it cannot be decided now, and the policy, as far as known,
    /// asks for more than nothing.
    pub fn is_worth_deferring(&self) -> bool {
        let policy = self.policy.as_ref();
        self.status == Status::TempError && policy.is_none_or(|policy| policy.effective != Policy::None)
    }
}
