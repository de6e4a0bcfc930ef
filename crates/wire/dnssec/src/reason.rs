//! Why something is insecure, and why something is bogus: reasons as data, with words for people and the codes of
//! extended errors (RFC 8914 §4) for programs.

use std::fmt;

use mailstead_dns::{ExtendedError, Name, Rtype};

use crate::{algorithm_name, digest_name};

/// Why nothing proves a piece of data although nothing is wrong with it (RFC 4033 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Insecure {
    /// There is no trust anchor at or above the name.
    NoAnchor,
    /// The operator wants everything below this name to be taken as unsigned (RFC 7646).
    NegativeAnchor {
        /// The name.
        zone: Name,
    },
    /// The parent proves that it has no DS record for this zone (RFC 4035 §5.2).
    UnsignedDelegation {
        /// The zone.
        zone: Name,
    },
    /// The name falls into a span of opted-out delegations, where absence is not proved (RFC 5155 §9.2).
    OptOut {
        /// The name.
        name: Name,
    },
    /// All DS records of this zone have algorithms that are not supported (RFC 4035 §5.2).
    UnsupportedAlgorithms {
        /// The zone.
        zone: Name,
        /// Their algorithms.
        algorithms: Vec<u8>,
    },
    /// The DS records of this zone whose algorithms are supported have digests that are not (RFC 4509 §3).
    UnsupportedDigests {
        /// The zone.
        zone: Name,
        /// Their digest types.
        digest_types: Vec<u8>,
    },
    /// The zone hashes its names more often than is worth following (RFC 9276 §3.2).
    Nsec3Iterations {
        /// The zone.
        zone: Name,
        /// How often.
        iterations: u16,
    },
}

impl Insecure {
    /// As an extended error, where it is more than a zone that is not signed.
    pub fn extended_error(&self) -> Option<ExtendedError> {
        let code = match self {
            Insecure::UnsupportedAlgorithms { .. } => 1,
            Insecure::UnsupportedDigests { .. } => 2,
            Insecure::Nsec3Iterations { .. } => 27,
            Insecure::NoAnchor
            | Insecure::NegativeAnchor { .. }
            | Insecure::UnsignedDelegation { .. }
            | Insecure::OptOut { .. } => return None,
        };
        Some(ExtendedError { code, text: self.to_string() })
    }
}

impl fmt::Display for Insecure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, numbers: &[u8], name: fn(u8) -> &'static str| {
            numbers.iter().enumerate().try_for_each(|(place, number)| {
                let comma = if place == 0 { " " } else { ", " };
                write!(f, "{comma}{number} ({})", name(*number))
            })
        };
        match self {
            Insecure::NoAnchor => f.write_str("no trust anchor is configured for the name"),
            Insecure::NegativeAnchor { zone } => write!(f, "{zone} is configured not to be validated"),
            Insecure::UnsignedDelegation { zone } => write!(f, "{zone} is not signed"),
            Insecure::OptOut { name } => write!(f, "{name} is among names that its zone leaves unsigned (opt-out)"),
            Insecure::UnsupportedAlgorithms { zone, algorithms } => {
                write!(f, "{zone} is signed with unsupported algorithms only:")?;
                list(f, algorithms, algorithm_name)
            }
            Insecure::UnsupportedDigests { zone, digest_types } => {
                write!(f, "the parent of {zone} vouches for it with unsupported digests only:")?;
                list(f, digest_types, digest_name)
            }
            Insecure::Nsec3Iterations { zone, iterations } => {
                write!(f, "{zone} proves absence with {iterations} NSEC3 iterations, more than are followed")
            }
        }
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureFault {
    /// There is none, or none by the zone.
    Missing,
    /// All are of algorithms that are not supported, though the zone promises others by its DS records.
    Unsupported,
    /// It has expired.
    Expired {
        /// How many seconds ago.
        ago: u32,
    },
    /// It is not valid yet.
    NotYetValid {
        /// In how many seconds.
        ahead: u32,
    },
    /// The zone has no key of this tag and algorithm.
    NoKey {
        /// The tag.
        key_tag: u16,
        /// The algorithm.
        algorithm: u8,
    },
    /// It is not a signature of these records by this key.
    Wrong {
        /// The tag of the key.
        key_tag: u16,
        /// The algorithm.
        algorithm: u8,
    },
    /// Its fields contradict the records (RFC 4035 §5.3.1).
    Mismatch,
}

/// Why something is bogus: it should be proved and is not (RFC 4033 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bogus {
    /// No signature over these records counts.
    Signature {
        /// Whose records.
        name: Name,
        /// Their type.
        rtype: Rtype,
        /// What is wrong with the signature that came closest.
        fault: SignatureFault,
    },
    /// A zone whose parent has DS records for it gives no keys.
    KeysMissing {
        /// The zone.
        zone: Name,
    },
    /// None of the keys of the zone is one that its parent, or the trust anchor, vouches for.
    NoTrustedKey {
        /// The zone.
        zone: Name,
    },
    /// All trust anchors of this zone have been revoked, and none is above it (RFC 5011 §5).
    AnchorsWithdrawn {
        /// The zone.
        zone: Name,
    },
    /// No proof came that there is nothing.
    ProofMissing {
        /// Of which there is said to be nothing.
        name: Name,
        /// Of which type.
        rtype: Rtype,
    },
    /// What came as proof does not prove that there is nothing.
    ProofWrong {
        /// Of which there is said to be nothing.
        name: Name,
        /// Of which type.
        rtype: Rtype,
    },
    /// Records made from a wildcard come without the proof that the name itself does not exist (RFC 4035 §5.3.4).
    WildcardProofMissing {
        /// The name.
        name: Name,
        /// The type.
        rtype: Rtype,
    },
    /// Signatures name a zone that is none.
    NoSuchZone {
        /// What they name.
        zone: Name,
    },
    /// An alias is not the one that the DNAME above it makes.
    WrongAlias {
        /// The alias.
        name: Name,
    },
}

impl Bogus {
    /// As an extended error.
    pub fn extended_error(&self) -> ExtendedError {
        let code = match self {
            Bogus::Signature { fault, .. } => match fault {
                SignatureFault::Missing => 10,
                SignatureFault::Expired { .. } => 7,
                SignatureFault::NotYetValid { .. } => 8,
                SignatureFault::NoKey { .. } => 9,
                SignatureFault::Unsupported | SignatureFault::Wrong { .. } | SignatureFault::Mismatch => 6,
            },
            Bogus::KeysMissing { .. } | Bogus::NoTrustedKey { .. } | Bogus::AnchorsWithdrawn { .. } => 9,
            Bogus::ProofMissing { .. } | Bogus::WildcardProofMissing { .. } => 12,
            Bogus::ProofWrong { .. } | Bogus::NoSuchZone { .. } | Bogus::WrongAlias { .. } => 6,
        };
        ExtendedError { code, text: self.to_string() }
    }

    /// Whether it looks as if somebody on the way leaves out what DNSSEC adds.
    pub fn is_something_missing(&self) -> bool {
        matches!(
            self,
            Bogus::Signature { fault: SignatureFault::Missing, .. }
                | Bogus::KeysMissing { .. }
                | Bogus::ProofMissing { .. }
                | Bogus::WildcardProofMissing { .. }
        )
    }
}

impl fmt::Display for Bogus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bogus::Signature { name, rtype, fault } => match fault {
                SignatureFault::Missing => write!(f, "the {rtype} records of {name} are not signed, but should be"),
                SignatureFault::Unsupported => {
                    write!(f, "the {rtype} records of {name} are signed with unsupported algorithms only")
                }
                SignatureFault::Expired { ago } => {
                    write!(f, "the signature over the {rtype} records of {name} expired {} ago", Span(*ago))
                }
                SignatureFault::NotYetValid { ahead } => write!(
                    f,
                    "the signature over the {rtype} records of {name} is not valid for another {}; check the clock",
                    Span(*ahead)
                ),
                SignatureFault::NoKey { key_tag, algorithm } => write!(
                    f,
                    "the {rtype} records of {name} are signed by key {key_tag} ({}), which the zone does not have",
                    algorithm_name(*algorithm)
                ),
                SignatureFault::Wrong { key_tag, algorithm } => write!(
                    f,
                    "the signature over the {rtype} records of {name} by key {key_tag} ({}) is wrong",
                    algorithm_name(*algorithm)
                ),
                SignatureFault::Mismatch => {
                    write!(f, "the signature over the {rtype} records of {name} is one over other records")
                }
            },
            Bogus::KeysMissing { zone } => write!(f, "{zone} should be signed, but gives no keys"),
            Bogus::NoTrustedKey { zone } if zone.is_root() => {
                f.write_str("the root has none of the keys that are trust anchors")
            }
            Bogus::NoTrustedKey { zone } => write!(f, "{zone} has none of the keys that its parent vouches for"),
            Bogus::AnchorsWithdrawn { zone } => {
                write!(f, "all trust anchors of {zone} have been revoked; bring new ones")
            }
            Bogus::ProofMissing { name, rtype } => {
                write!(f, "there is said to be no {rtype} record of {name}, without proof")
            }
            Bogus::ProofWrong { name, rtype } => {
                write!(f, "there is said to be no {rtype} record of {name}, and the proof does not hold")
            }
            Bogus::WildcardProofMissing { name, rtype } => {
                write!(
                    f,
                    "the {rtype} records of {name} come from a wildcard, without proof that it may stand for the name"
                )
            }
            Bogus::NoSuchZone { zone } => write!(f, "signatures name the zone {zone}, which does not exist"),
            Bogus::WrongAlias { name } => write!(f, "{name} is an alias of another name than its DNAME record says"),
        }
    }
}

impl std::error::Error for Bogus {}

/// Seconds in the largest unit that fits.
struct Span(u32);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds @ 0..=119 => (seconds, "second"),
            seconds @ 120..=7_199 => (seconds / 60, "minute"),
            seconds @ 7_200..=172_799 => (seconds / 3_600, "hour"),
            seconds => (seconds / 86_400, "day"),
        };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}
