//! Why: what shaped a plan, and why a message cannot go somewhere, as values and in words.

use std::fmt;

use crate::facts::RouteSecurity;
use crate::report::FailureReason;

/// Why a host cannot have a message, or a connection cannot be used for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortfall {
    /// The enforced MTA-STS policy does not name the host.
    NotInStsPolicy,
    /// Nobody knows whether there is an MTA-STS policy.
    StsUndecided(FailureReason),
    /// Nobody knows whether there are TLSA records.
    TlsaLookupFailed(FailureReason),
    /// REQUIRETLS: neither DNSSEC nor an enforced MTA-STS policy proves that this is a host of the domain.
    HostNotAuthentic,
    /// The relay's setting has no encryption, and the message must not go without.
    NoEncryptionOnRoute,
    /// The server does not offer STARTTLS, or refuses it.
    NoStartTls,
    /// The handshake failed.
    TlsFailed(FailureReason),
    /// No TLSA record holds.
    DaneFailed(FailureReason),
    /// The certificate cannot be trusted, or is for another name.
    PkixFailed(FailureReason),
    /// The server does not offer REQUIRETLS.
    RequireTlsNotOffered,
    /// There was no connection, or none of the kind that was tried for.
    Unreachable,
}

impl Shortfall {
    /// Whether a rule stands in the way, and not only that something does not work.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        !matches!(self, Shortfall::Unreachable | Shortfall::TlsFailed(_) | Shortfall::NoStartTls)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortfall::NotInStsPolicy => {
                f.write_str("the MTA-STS policy of the recipient's domain is enforced and does not name this server")
            }
            Shortfall::StsUndecided(reason) => {
                write!(f, "the DNS does not say whether the recipient's domain has an MTA-STS policy: {reason}")
            }
            Shortfall::TlsaLookupFailed(reason) => {
                write!(f, "the TLSA records of this server could not be looked up, so it must not be used: {reason}")
            }
            Shortfall::HostNotAuthentic => f.write_str(
                "the message demands REQUIRETLS, and neither DNSSEC nor an enforced MTA-STS policy proves that this is a \
                 server of the recipient's domain",
            ),
            Shortfall::NoEncryptionOnRoute => {
                f.write_str("the message must be encrypted, and the relay is set to be used without TLS")
            }
            Shortfall::NoStartTls => f.write_str("the server does not offer TLS, which is needed here"),
            Shortfall::TlsFailed(reason) => write!(f, "TLS failed: {reason}"),
            Shortfall::DaneFailed(reason) => {
                write!(f, "the certificate does not fit the TLSA records of the server (DANE): {reason}")
            }
            Shortfall::PkixFailed(reason) => write!(f, "the certificate of the server cannot be trusted: {reason}"),
            Shortfall::RequireTlsNotOffered => {
                f.write_str("the message demands REQUIRETLS, which the server does not offer")
            }
            Shortfall::Unreachable => f.write_str("the server could not be reached"),
        }
    }
}

/// What shaped a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// `TLS-Required: No`: nothing is enforced.
    TlsRequiredNo,
    /// REQUIRETLS.
    RequireTls,
    /// The message must not go in the clear.
    PlaintextForbidden,
    /// There are usable TLSA records.
    DaneUsable,
    /// There are TLSA records, none of which can be used: TLS without a check (RFC 7672 §2.2).
    DaneUnusable,
    /// Nobody knows whether there are TLSA records.
    DaneUndecided(FailureReason),
    /// The names of the hosts are not proved by DNSSEC, so DANE does not apply.
    MxInsecure,
    /// There are no TLSA records.
    DaneAbsent,
    /// The MTA-STS policy is enforced.
    StsEnforced,
    /// The MTA-STS policy is in testing: only reported.
    StsTesting,
    /// The MTA-STS policy says that there is none.
    StsNone,
    /// The MTA-STS policy does not name this host.
    StsMismatch,
    /// A cached MTA-STS policy is used.
    StsFallback(FailureReason),
    /// The MTA-STS policy could not be had, which counts as none.
    StsUnavailable(FailureReason),
    /// Nobody knows whether there is an MTA-STS policy.
    StsUndecided(FailureReason),
    /// There is no MTA-STS policy.
    StsAbsent,
    /// The recipient's address names the host by its number: no policies.
    AddressLiteral,
    /// The operator's setting for a relay.
    Route(RouteSecurity),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Reason::TlsRequiredNo => "the sender asked for delivery even where TLS fails (TLS-Required: No)",
            Reason::RequireTls => "the sender demands verified TLS all the way (REQUIRETLS)",
            Reason::PlaintextForbidden => "the message must not go in the clear",
            Reason::DaneUsable => "TLSA records, proved by DNSSEC, say which certificate the server has (DANE)",
            Reason::DaneUnusable => {
                "there are TLSA records, none of which can be used: TLS is needed, with any certificate"
            }
            Reason::DaneUndecided(reason) => return write!(f, "TLSA records could not be looked up: {reason}"),
            Reason::MxInsecure => "the MX records are not signed, so DANE does not apply",
            Reason::DaneAbsent => "there are no TLSA records that DNSSEC proves",
            Reason::StsEnforced => "the recipient's domain enforces its MTA-STS policy",
            Reason::StsTesting => "the recipient's domain is testing its MTA-STS policy: failures are only reported",
            Reason::StsNone => "the recipient's domain has withdrawn its MTA-STS policy (mode none)",
            Reason::StsMismatch => "the MTA-STS policy does not name this server",
            Reason::StsFallback(reason) => return write!(f, "a cached MTA-STS policy is used: {reason}"),
            Reason::StsUnavailable(reason) => {
                return write!(f, "the MTA-STS policy could not be had, which counts as none: {reason}");
            }
            Reason::StsUndecided(reason) => {
                return write!(f, "the DNS does not say whether there is an MTA-STS policy: {reason}");
            }
            Reason::StsAbsent => "there is no MTA-STS policy",
            Reason::AddressLiteral => "the address names the server by number, so no policy applies",
            Reason::Route(RouteSecurity::Opportunistic) => "the relay is set to opportunistic TLS",
            Reason::Route(RouteSecurity::StartTls) => "the relay is set to STARTTLS with a verified certificate",
            Reason::Route(RouteSecurity::Implicit) => "the relay is set to TLS with a verified certificate",
            Reason::Route(RouteSecurity::Plaintext) => "the relay is set to be used without TLS",
        };
        f.write_str(text)
    }
}
