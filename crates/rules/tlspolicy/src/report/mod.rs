//! TLS reporting (RFC 8460): the vocabulary of results, the record that asks for reports, and the report.
//!
//! When reports are sent, and to whom, is elsewhere.

mod handshake;
mod model;
mod record;

use std::fmt;

pub use handshake::handshake_failure;
pub use model::{DateRange, FailureDetails, MAX_REPORT, Policy, PolicyReport, Report, ReportError, Summary};
pub use record::{Destination, RECORD_LABELS, Record, RecordError};

/// What went wrong, RFC 8460 §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResultType {
    /// The server does not offer STARTTLS, or refuses it.
    StartTlsNotSupported,
    /// The certificate is for other names than those that the policy wants.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate cannot be trusted for another reason.
    CertificateNotTrusted,
    /// Anything else; the reason code tells more.
    ValidationFailure,
    /// None of the TLSA records can be used.
    TlsaInvalid,
    /// The DNS gave no records that DNSSEC proves.
    DnssecInvalid,
    /// We are configured to demand DANE, and there are no TLSA records.
    DaneRequired,
    /// The MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// The MTA-STS policy is malformed.
    StsPolicyInvalid,
    /// The certificate of the policy's host cannot be trusted.
    StsWebpkiInvalid,
}

impl ResultType {
    /// All of them.
    const ALL: [ResultType; 11] = [
        ResultType::StartTlsNotSupported,
        ResultType::CertificateHostMismatch,
        ResultType::CertificateExpired,
        ResultType::CertificateNotTrusted,
        ResultType::ValidationFailure,
        ResultType::TlsaInvalid,
        ResultType::DnssecInvalid,
        ResultType::DaneRequired,
        ResultType::StsPolicyFetchError,
        ResultType::StsPolicyInvalid,
        ResultType::StsWebpkiInvalid,
    ];

    /// From the word of a report; `None` for one that RFC 8460 does not have.
    #[must_use]
    pub fn parse(word: &str) -> Option<ResultType> {
        ResultType::ALL.into_iter().find(|result| result.as_str() == word)
    }

    /// As in a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ResultType::StartTlsNotSupported => "starttls-not-supported",
            ResultType::CertificateHostMismatch => "certificate-host-mismatch",
            ResultType::CertificateExpired => "certificate-expired",
            ResultType::CertificateNotTrusted => "certificate-not-trusted",
            ResultType::ValidationFailure => "validation-failure",
            ResultType::TlsaInvalid => "tlsa-invalid",
            ResultType::DnssecInvalid => "dnssec-invalid",
            ResultType::DaneRequired => "dane-required",
            ResultType::StsPolicyFetchError => "sts-policy-fetch-error",
            ResultType::StsPolicyInvalid => "sts-policy-invalid",
            ResultType::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as it is reported: the type, and the `failure-reason-code` that tells more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureReason {
    /// The `result-type`.
    pub result: ResultType,
    /// The `failure-reason-code`, a short word in small letters; empty for none.
    pub code: String,
}

impl FailureReason {
    /// A failure with nothing more to tell.
    #[must_use]
    pub fn new(result: ResultType) -> FailureReason {
        FailureReason { result, code: String::new() }
    }

    /// A failure with its reason code.
    #[must_use]
    pub fn with_code(result: ResultType, code: impl Into<String>) -> FailureReason {
        FailureReason { result, code: code.into() }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.result.as_str())?;
        if !self.code.is_empty() {
            write!(f, " ({})", self.code)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_types_are_read_as_they_are_written() {
        for result in ResultType::ALL {
            assert_eq!(ResultType::parse(&result.to_string()), Some(result));
        }
        assert_eq!(ResultType::parse("gone-fishing"), None);
    }
}
