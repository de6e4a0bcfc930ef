//! What came out, and why (RFC 7208 §2.6).

use std::fmt;
use std::str::FromStr;

use mailstead_dns::{Authenticity, LookupError};
use mailstead_names::Domain;

use super::{Directive, Identity, SyntaxError};
use crate::Evidence;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpfResult {
    /// There is no domain to ask, or it says nothing (§2.6.1).
    None,
    /// The domain does not want to say (§2.6.2). To be treated like [`SpfResult::None`].
    Neutral,
    /// The client is authorized (§2.6.3).
    Pass,
    /// The client is not authorized (§2.6.4).
    Fail,
    /// The client is probably not authorized (§2.6.5).
    SoftFail,
    /// It is not known, and may be known later (§2.6.6).
    TempError,
    /// The domain's records cannot be made sense of (§2.6.7).
    PermError,
}

impl SpfResult {
    const ALL: [SpfResult; 7] = [
        SpfResult::None,
        SpfResult::Neutral,
        SpfResult::Pass,
        SpfResult::Fail,
        SpfResult::SoftFail,
        SpfResult::TempError,
        SpfResult::PermError,
    ];

    /// As in Received-SPF (§9.1) and Authentication-Results (RFC 8601 §2.7.2).
    pub fn as_str(self) -> &'static str {
        match self {
            SpfResult::None => "none",
            SpfResult::Neutral => "neutral",
            SpfResult::Pass => "pass",
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::TempError => "temperror",
            SpfResult::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is not the name of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a result of SPF")]
pub struct UnknownResult;

impl FromStr for SpfResult {
    type Err = UnknownResult;

    /// In any case of letters.
    fn from_str(text: &str) -> Result<SpfResult, UnknownResult> {
        SpfResult::ALL.into_iter().find(|result| result.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownResult)
    }
}

/// The result of a check with all that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What came out.
    pub result: SpfResult,
    /// What was checked.
    pub identity: Identity,
    /// The mailbox that was checked, as it is written in protocols; see [`Query::mailbox`](super::Query::mailbox).
    pub mailbox: String,
    /// Whose record was asked for, unless the client gave no domain.
    pub domain: Option<Domain>,
    /// Why.
    pub reason: Reason,
    /// What the domain has to say about a failure.
    pub explanation: Option<Explanation>,
    /// Whether DNSSEC proved every answer. Without any question nothing was proved.
    pub authenticity: Authenticity,
    /// What was asked and answered, in this order.
    pub evidence: Evidence,
}

impl Verdict {
    /// The directive that matched; nothing where none did. Of a record that includes another, the one that includes.
    pub fn directive(&self) -> Option<&Directive> {
        match &self.reason {
            Reason::Matched(trail) => trail.first().map(|matched| &matched.directive),
            _ => None,
        }
    }

    /// The mechanism that matched, as text: `default` where there was a record and none of its mechanisms did
    /// (§9.1), nothing where no record could be evaluated.
    pub fn mechanism(&self) -> Option<String> {
        match &self.reason {
            Reason::Default => Some("default".to_owned()),
            _ => self.directive().map(|directive| directive.mechanism.to_string()),
        }
    }

    /// Why the check could not be made, in words; only for [`SpfResult::TempError`] and [`SpfResult::PermError`].
    pub fn problem(&self) -> Option<String> {
        match &self.reason {
            Reason::Lookup(error) => Some(error.to_string()),
            Reason::Problem(problem) => Some(problem.to_string()),
            _ => None,
        }
    }
}

/// Why a result is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A directive matched, by another one in an included record where there is a second entry, and so on. Never
    /// empty.
    Matched(Vec<Matched>),
    /// No directive matched, so the result is neutral (§4.7).
    Default,
    /// The client gave no domain of several labels: none (§4.3).
    NoDomain,
    /// The domain does not exist: none (§4.3).
    NoSuchDomain,
    /// The domain has no record: none (§4.5).
    NoRecord,
    /// A question was not answered: a temporary error (§4.4, §5).
    Lookup(LookupError),
    /// A record cannot be evaluated: a permanent error.
    Problem(Problem),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Matched(trail) => trail.iter().enumerate().try_for_each(|(depth, matched)| {
                let link = if depth == 0 { "" } else { ", because " };
                write!(f, "{link}{} has {}", matched.domain, matched.directive)
            }),
            Reason::Default => f.write_str("no mechanism matched"),
            Reason::NoDomain => f.write_str("not a domain of several labels"),
            Reason::NoSuchDomain => f.write_str("the domain does not exist"),
            Reason::NoRecord => f.write_str("the domain has no SPF record"),
            Reason::Lookup(error) => error.fmt(f),
            Reason::Problem(problem) => problem.fmt(f),
        }
    }
}

/// A directive that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// In whose record.
    pub domain: Domain,
    /// Which one.
    pub directive: Directive,
}

/// Why a record cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A domain has more than one record (§4.5).
    #[error("{0} has several SPF records")]
    SeveralRecords(Domain),
    /// A record contains an error (§4.6).
    #[error("syntax error in the record of {domain}: {error}")]
    Syntax {
        /// Whose record it is.
        domain: Domain,
        /// The error.
        error: SyntaxError,
    },
    /// A domain that is included has no record (§5.2).
    #[error("{0} is included but has no SPF record")]
    IncludedNothing(Domain),
    /// A domain that is redirected to has no record (§6.1).
    #[error("{0} is redirected to but has no SPF record")]
    RedirectedNowhere(Domain),
    /// What is included or redirected to is not a domain once its macros are expanded (§5.2, §6.1).
    #[error("the record of {0} includes or redirects to something that is not a domain")]
    NotADomain(Domain),
    /// More than [`MOST_LOOKUP_TERMS`](super::MOST_LOOKUP_TERMS) terms cause look-ups (§4.6.4).
    #[error("more than {} terms that cause DNS look-ups", super::MOST_LOOKUP_TERMS)]
    TooManyLookups,
    /// More than [`MOST_VOID_LOOKUPS`](super::MOST_VOID_LOOKUPS) terms look up what does not exist (§4.6.4).
    #[error("more than {} terms that look up what does not exist", super::MOST_VOID_LOOKUPS)]
    TooManyVoidLookups,
    /// A domain has more than [`MOST_EXCHANGERS`](super::MOST_EXCHANGERS) mail exchangers (§4.6.4).
    #[error("{0} has more than {most} mail exchangers", most = super::MOST_EXCHANGERS)]
    TooManyExchangers(Domain),
}

/// What a domain has to say about a failure (§6.2). Not our words: who repeats them should say whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whose words they are.
    pub domain: Domain,
    /// Printable ASCII, at most [`MOST_EXPLANATION`](super::MOST_EXPLANATION) characters.
    pub text: String,
}
