//! What came of a chain, and why (RFC 8617 §4.4, §5.2).

use std::fmt;

use mailstead_dns::Authenticity;
use mailstead_names::Domain;

use crate::Evidence;
use crate::dkim::{self, Selector};

/// The Chain Validation Status (§4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainStatus {
    /// There is no chain.
    None,
    /// There is one, and it is not valid.
    Fail,
    /// There is a valid one.
    Pass,
}

impl ChainStatus {
    const ALL: [ChainStatus; 3] = [ChainStatus::None, ChainStatus::Fail, ChainStatus::Pass];

    /// The word in `cv=` and in Authentication-Results.
    pub fn name(self) -> &'static str {
        match self {
            ChainStatus::None => "none",
            ChainStatus::Fail => "fail",
            ChainStatus::Pass => "pass",
        }
    }

    pub(super) fn parse(name: &str) -> Option<ChainStatus> {
        ChainStatus::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for ChainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three fields of a set (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// ARC-Authentication-Results
    Results,
    /// ARC-Message-Signature
    MessageSignature,
    /// ARC-Seal
    Seal,
}

impl FieldKind {
    /// In the order in which a seal covers them (§5.1.1).
    pub(super) const ALL: [FieldKind; 3] = [FieldKind::Results, FieldKind::MessageSignature, FieldKind::Seal];

    /// The name of the field.
    pub fn name(self) -> &'static str {
        match self {
            FieldKind::Results => "ARC-Authentication-Results",
            FieldKind::MessageSignature => "ARC-Message-Signature",
            FieldKind::Seal => "ARC-Seal",
        }
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a chain failed. Numbers are instances. `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// More than fifty sets (§4.2.1).
    #[error("too many ARC sets")]
    TooManySets,
    /// A field without an instance from 1 to 50 (§4.2.1).
    #[error("{0} without valid instance")]
    Instance(FieldKind),
    /// A set lacks a field, or all of them (§5.2 step 3).
    #[error("no {1} of instance {0}")]
    Missing(u8, FieldKind),
    /// A set has a field more than once (§5.2 step 3).
    #[error("more than one {1} of instance {0}")]
    Repeated(u8, FieldKind),
    /// Whoever sealed last says that the chain was already broken (§5.2 step 2).
    #[error("chain broken before instance {0}")]
    AlreadyFailed(u8),
    /// A seal says something else about the chain before it than it can at its place (§5.2 step 3).
    #[error("wrong cv= of instance {0}")]
    ChainStatus(u8),
    /// The last message signature does not verify (§5.2 step 4).
    #[error("message signature of instance {0}: {1}")]
    MessageSignature(u8, dkim::Reason),
    /// A seal does not verify (§5.2 step 6).
    #[error("seal of instance {0}: {1}")]
    Seal(u8, dkim::Reason),
}

/// A set: what somebody who handled the message says. Nothing of it is proved unless the chain passes, and then that the
/// sealer said so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// Its place in the chain, from 1.
    pub instance: u8,
    /// The domain of the seal.
    pub sealer: Option<Domain>,
    /// The selector of the seal.
    pub selector: Option<Selector>,
    /// The domain of the message signature, normally the same.
    pub signer: Option<Domain>,
    /// What the sealer found of the chain before (`cv=`).
    pub chain_status: Option<ChainStatus>,
    /// What the sealer found of the message: Authentication-Results without the name of the field and without instance,
    /// unfolded.
    pub results: String,
}

/// What came of the chain of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// The result.
    pub status: ChainStatus,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// The sets in the order in which they were added; none where the chain has not the structure of one.
    pub sets: Vec<Set>,
    /// The instance of the oldest message signature that is still valid, 0 for all of them (§5.2 step 5): since then
    /// nobody changed the message. Only where the chain passes.
    pub oldest_pass: Option<u8>,
    /// Whether DNSSEC proved all keys that were looked up.
    pub authenticity: Authenticity,
    /// What was asked for them.
    pub evidence: Evidence,
}

impl Chain {
    pub(super) fn none() -> Chain {
        Chain {
            status: ChainStatus::None,
            reason: None,
            sets: Vec::new(),
            oldest_pass: None,
            authenticity: Authenticity::Insecure,
            evidence: Evidence::default(),
        }
    }

    pub(super) fn failed(reason: Reason) -> Chain {
        Chain { status: ChainStatus::Fail, reason: Some(reason), ..Chain::none() }
    }
}
