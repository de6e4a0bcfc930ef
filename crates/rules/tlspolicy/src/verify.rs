//! Certificates of servers: DANE and PKIX are both evaluated, always; what must hold is decided elsewhere.

use crate::report::FailureReason;

/// What a server's certificate proved, and what not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The chain to a trusted root, the time and the name (RFC 6125).
    pub pkix: Result<(), CertificateFailure>,
    /// A TLSA record and what it asks for; `None` where there were no usable records.
    pub dane: Option<Result<Matched, CertificateFailure>>,
}

/// The TLSA record that a certificate matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The record.
    pub record: mailstead_dns::Tlsa,
}

/// Why a certificate does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFailure {
    /// As it is reported.
    pub reason: FailureReason,
    /// In words, for a person.
    pub detail: String,
}
