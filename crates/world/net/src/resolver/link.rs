//! One step of an answer with what stands behind it, as it is kept and passed on.

use std::fmt;

use mailstead_dns::{Authenticity, ExtendedError, ExtendedErrorClass, Message, Name};
use mailstead_dnssec::{Content, Insecure, Proof, Signed, Step};

/// What stands behind a step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A chain of signatures from a trust anchor, checked here.
    Proved {
        /// The zone that signed.
        zone: Name,
        /// Its signature over the records; of proofs of absence, which take several, there is none.
        signed: Option<Signed>,
    },
    /// Nothing, and it is proved that there cannot be anything.
    Insecure(Insecure),
    /// A trusted resolver says that it has validated it (AD).
    Vouched,
    /// A trusted resolver does not say so.
    NotVouched,
    /// Nobody has looked.
    Unchecked,
}

impl Evidence {
    /// Whether it is secure.
    #[must_use]
    pub fn authenticity(&self) -> Authenticity {
        match self {
            Evidence::Proved { .. } | Evidence::Vouched => Authenticity::Secure,
            Evidence::Insecure(_) | Evidence::NotVouched | Evidence::Unchecked => Authenticity::Insecure,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Proved { zone, .. } => write!(f, "signed by {zone}"),
            Evidence::Insecure(reason) => reason.fmt(f),
            Evidence::Vouched => f.write_str("the resolver says that it is validated"),
            Evidence::NotVouched => f.write_str("the resolver does not say that it is validated"),
            Evidence::Unchecked => f.write_str("not validated"),
        }
    }
}

/// A step of an answer.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) content: Content,
    pub(super) evidence: Evidence,
    /// How long it may be kept, in seconds.
    pub(super) ttl: u32,
    /// What servers had to remark.
    pub(super) remarks: Vec<ExtendedError>,
}

impl Link {
    /// A step with its own proof.
    pub(super) fn proved(step: Step, response: &Message) -> Link {
        let evidence = match step.proof {
            Proof::Secure { zone, signed } => Evidence::Proved { zone, signed },
            Proof::Insecure(insecure) => Evidence::Insecure(insecure),
        };
        Link { content: step.content, evidence, ttl: step.ttl, remarks: remarks(response) }
    }

    /// A step that somebody else answers for, or nobody.
    pub(super) fn with_evidence(step: Step, evidence: Evidence, response: &Message) -> Link {
        Link { content: step.content, evidence, ttl: step.ttl, remarks: remarks(response) }
    }
}

/// The remarks of a server that matter to whoever reads the answer: that it is old, or not what the authority says.
fn remarks(response: &Message) -> Vec<ExtendedError> {
    let matters =
        |error: &&ExtendedError| matches!(error.class(), ExtendedErrorClass::Policy | ExtendedErrorClass::Stale);
    response.extended_errors().iter().filter(matters).cloned().collect()
}
