//! Everything that [`plan`](crate::plan::plan) may look at: a destination, one of its hosts, and what a message demands.
//!
//! Facts are gathered before a connection is made. What could not be found out is a fact too, and never the same as
//! absence.

use std::net::IpAddr;
use std::sync::Arc;

use mailstead_dns::{Authenticity, LookupError, LookupErrorKind, Tlsa};
use mailstead_names::{Domain, Host as HostName};
use serde::{Deserialize, Serialize};

use crate::report::{FailureReason, ResultType};
use crate::sts::Policy;
use crate::tlsa::TlsaBaseDomain;

/// Where mail for some recipients goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What the hosts were found by.
    pub next_hop: NextHop,
    /// Whether the names of the hosts are authentic.
    pub mx: MxRecords,
    /// The MTA-STS policy of the recipient's domain, as it was written in the address (RFC 8461 §3.1).
    pub sts: StsState,
}

/// What the hosts were found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHop {
    /// The domain of the recipients.
    Domain {
        /// As in the address.
        name: Domain,
        /// What its MX records stand under, where that is another name: the domain is an alias.
        expanded: Option<Domain>,
    },
    /// An address literal in the recipient's address.
    Address(IpAddr),
    /// A relay that the operator has set, for which no policy of a recipient's domain applies.
    Route(RouteSecurity),
}

/// How to talk with a configured relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteSecurity {
    /// TLS if offered, without looking at the certificate; else in the clear.
    Opportunistic,
    /// STARTTLS with a verified certificate.
    StartTls,
    /// TLS from the start, with a verified certificate (RFC 8314).
    Implicit,
    /// In the clear.
    Plaintext,
}

/// How the hosts of a domain were found, and whether DNSSEC proves it: the weakest of the aliases on the way and of the
/// records, or of the proof that there are none (RFC 7672 §2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MxRecords {
    /// By MX records.
    Explicit(Authenticity),
    /// There are none: the domain is its own host (RFC 5321 §5.1).
    Implicit(Authenticity),
}

impl MxRecords {
    /// Whether DNSSEC proves the names of the hosts.
    #[must_use]
    pub fn authenticity(self) -> Authenticity {
        match self {
            MxRecords::Explicit(authenticity) | MxRecords::Implicit(authenticity) => authenticity,
        }
    }
}

/// What is known of the MTA-STS policy of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StsState {
    /// There is none.
    NotFound,
    /// This one is in force, fresh or from the cache.
    Policy {
        /// The policy.
        policy: Arc<Policy>,
        /// Why an older one is used than might be there now, to be reported.
        fallback: Option<FailureReason>,
    },
    /// There should be one, which could not be had, and no cached one is left: RFC 8461 §3.3 takes it for none.
    FetchFailed(FailureReason),
    /// The DNS does not say whether there is one, and no cached one is left.
    Undecided(FailureReason),
}

/// One host of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As in the MX record; what the certificate is for.
    pub name: HostName,
    /// Its TLSA records.
    pub tlsa: TlsaState,
}

/// What is known of the TLSA records of a host, over all base domains that may have them (RFC 7672 §2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsaState {
    /// There are none that DNSSEC proves, or DANE does not apply to this host.
    Absent,
    /// Secure ones, some of which can be used.
    Usable {
        /// Where they are.
        base: TlsaBaseDomain,
        /// Those that can be used.
        records: Vec<Tlsa>,
    },
    /// Secure ones, none of which can be used.
    Unusable {
        /// Where they are.
        base: TlsaBaseDomain,
        /// All of them.
        records: Vec<Tlsa>,
    },
    /// Nobody knows: forged, or no answer (RFC 7672 §2.1.2).
    Failed {
        /// Where they would be.
        base: TlsaBaseDomain,
        /// As it is reported.
        reason: FailureReason,
    },
}

/// What the transport must grant a message. Set once, when it is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Demand {
    /// TLS towards the recipient's server.
    pub requirement: TlsRequirement,
    /// Whether it may go in the clear where TLS is not required.
    pub plaintext: Plaintext,
}

impl Default for Demand {
    /// Opportunistic TLS, the habit of mail (RFC 7435).
    fn default() -> Demand {
        Demand { requirement: TlsRequirement::Opportunistic, plaintext: Plaintext::Allowed }
    }
}

impl Demand {
    /// What a notice about the message demands: it is protected as its message was (RFC 8689 §5).
    #[must_use]
    pub fn of_notice(self) -> Demand {
        match self.requirement {
            TlsRequirement::RequireTls => self,
            TlsRequirement::Opportunistic | TlsRequirement::TlsRequiredNo => Demand::default(),
        }
    }
}

/// Which TLS the sender asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsRequirement {
    /// Whatever the destination's policies say.
    Opportunistic,
    /// REQUIRETLS (RFC 8689 §4): verified TLS on every hop, or a notice.
    RequireTls,
    /// `TLS-Required: No` (RFC 8689 §3): deliver even where policies would not.
    TlsRequiredNo,
}

/// Whether a message may be sent without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plaintext {
    /// It may.
    Allowed,
    /// It must not.
    Forbidden,
}

/// A look-up of TLSA records that gave no answer, as it is reported (RFC 8460 §4.3.2.1).
#[must_use]
pub fn tlsa_lookup_failure(error: &LookupError) -> FailureReason {
    let result = match error.kind {
        LookupErrorKind::Bogus | LookupErrorKind::ServerFailure => ResultType::DnssecInvalid,
        _ => ResultType::TlsaInvalid,
    };
    FailureReason::with_code(result, lookup_code(error))
}

/// A look-up of hosts that gave no answer, as it is reported.
#[must_use]
pub fn lookup_failure(error: &LookupError) -> FailureReason {
    let result = match error.kind {
        LookupErrorKind::Bogus => ResultType::DnssecInvalid,
        _ => ResultType::ValidationFailure,
    };
    FailureReason::with_code(result, lookup_code(error))
}

/// What the server says of itself (RFC 8914) tells most; else the kind of error.
fn lookup_code(error: &LookupError) -> String {
    let (prefix, words) = match error.extended_errors.first() {
        Some(extended) => (format!("dns-extended-error-{}", extended.code), extended.words().to_owned()),
        None => ("dns".to_owned(), error.kind.to_string()),
    };
    let words: Vec<String> = words.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    format!("{prefix}-{}", words.join("-"))
}
