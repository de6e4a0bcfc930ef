//! Look-ups that end without an answer.

use std::fmt;

use mailstead_names::Domain;

use crate::{ExtendedError, RecordType};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LookupErrorKind {
    /// Signatures are wrong, missing or expired (RFC 4035 §4.3).
    #[error("DNSSEC validation failed")]
    Bogus,
    /// Nobody answered in time.
    #[error("timed out")]
    Timeout,
    /// A server failed without saying more (SERVFAIL).
    #[error("server failure")]
    ServerFailure,
    /// A server does not want to answer (REFUSED, NOTAUTH and others).
    #[error("refused")]
    Refused,
    /// No server could be reached.
    #[error("network error")]
    Network,
    /// The answer makes no sense.
    #[error("malformed answer")]
    Malformed,
    /// Aliases in a circle, or too many of them.
    #[error("too many aliases")]
    AliasLoop,
    /// There is no resolver to ask, or it cannot do what is asked of it.
    #[error("no usable resolver")]
    NoResolver,
    /// Answering would cost more work than is allowed for one answer.
    #[error("too much work")]
    WorkLimit,
}

/// A look-up without an answer. All of them may end otherwise another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupError {
    /// Why.
    pub kind: LookupErrorKind,
    /// The name asked for.
    pub name: Domain,
    /// The type asked for.
    pub record_type: RecordType,
    /// What else is known, in words; may be empty.
    pub detail: String,
    /// What servers and validation had to remark.
    pub extended_errors: Vec<ExtendedError>,
}

impl LookupError {
    /// An error of which no more is known.
    pub fn new(kind: LookupErrorKind, name: &Domain, record_type: RecordType) -> LookupError {
        LookupError { kind, name: name.clone(), record_type, detail: String::new(), extended_errors: Vec::new() }
    }

    /// The same error with an explanation.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> LookupError {
        self.detail = detail.into();
        self
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "looking up {} {}: {}", self.record_type, self.name, self.kind)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        for extended in &self.extended_errors {
            write!(f, "; {extended}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LookupError {}
