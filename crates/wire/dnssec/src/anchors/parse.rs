//! Trust anchors as text: DS and DNSKEY records as in zone files, which is how they are published and what other
//! resolvers are configured with.

use mailstead_dns::zonefile::{self, ZoneRecord, ZonefileError};
use mailstead_dns::{Ds, Record, Rtype};

use super::{Anchor, Anchors};
use crate::{Dnskey, algorithm_name, digest_name, is_supported_algorithm, is_supported_digest};

/// Why a text gives no trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorsError {
    /// It cannot be read.
    #[error(transparent)]
    Zonefile(#[from] ZonefileError),
    /// A record is none that could be used.
    #[error("line {line}: {fault}")]
    Unusable {
        /// Number of the line, from 1.
        line: usize,
        /// Why.
        fault: AnchorFault,
    },
    /// There is no record, which would switch validation off.
    #[error("there is no trust anchor: expected are DS or DNSKEY records")]
    Empty,
}

/// Why a record is no trust anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorFault {
    /// It has another type.
    #[error("{0} records are no trust anchors, only DS and DNSKEY records are")]
    Type(Rtype),
    /// The key is of an algorithm that is not checked.
    #[error("keys of algorithm {0} ({name}) are not supported", name = algorithm_name(*.0))]
    Algorithm(u8),
    /// The digest is of a type that is not checked.
    #[error("digests of type {0} ({name}) are not supported", name = digest_name(*.0))]
    DigestType(u8),
    /// The digest is cut, or something else.
    #[error("the digest has {found} octets, but {name} has {expected}", name = digest_name(*.digest_type))]
    DigestLength {
        /// Type of the digest.
        digest_type: u8,
        /// How many octets it has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The key has been revoked.
    #[error("the key has the flag REVOKE, so it is no trust anchor")]
    Revoked,
    /// The key is none of a zone (RFC 4034 §2.1).
    #[error("the key is none of a zone: that has the flag 256 and protocol 3")]
    NotZoneKey,
}

impl Anchors {
    /// Reads trust anchors: DS and DNSKEY records in the form of zone files, of one zone or several.
    ///
    /// # Errors
    /// When anything in it cannot be used, because a trust anchor that is passed over in silence would be missed only
    /// when the others are gone; and when there is none.
    pub fn parse(text: &str) -> Result<Anchors, AnchorsError> {
        let mut anchors = Anchors::default();
        for record in zonefile::records(text) {
            let record = record?;
            let unusable = |fault| AnchorsError::Unusable { line: record.line, fault };
            let zone = anchors.zones.entry(record.owner.clone()).or_default();
            let anchor = zone.get_or_insert_with(|| Anchor::new(record.owner.clone()));
            match read(&record).map_err(unusable)? {
                Voucher::Ds(ds) if !anchor.ds.contains(&ds) => anchor.ds.push(ds),
                Voucher::Key(key) if !anchor.keys.contains(&key) => anchor.keys.push(key),
                Voucher::Ds(_) | Voucher::Key(_) => {}
            }
        }
        if anchors.zones.is_empty() { Err(AnchorsError::Empty) } else { Ok(anchors) }
    }
}

enum Voucher {
    Ds(Ds),
    Key(Dnskey),
}

fn read(record: &ZoneRecord) -> Result<Voucher, AnchorFault> {
    let other = AnchorFault::Type(record.rtype);
    match record.rtype {
        Rtype::DS => {
            let Some(Record::Ds(ds)) = record.record() else { return Err(other) };
            check_algorithm(ds.algorithm)?;
            let expected = match ds.digest_type {
                digest_type if !is_supported_digest(digest_type) => return Err(AnchorFault::DigestType(digest_type)),
                // RFC 6605 §2
                4 => 48,
                // RFC 4509 §2.2
                _ => 32,
            };
            if ds.digest.len() != expected {
                let (digest_type, found) = (ds.digest_type, ds.digest.len());
                return Err(AnchorFault::DigestLength { digest_type, expected, found });
            }
            Ok(Voucher::Ds(ds))
        }
        Rtype::DNSKEY => {
            let key = Dnskey::from_data(&record.data).ok_or(other)?;
            check_algorithm(key.algorithm)?;
            match key {
                key if key.is_revoked() => Err(AnchorFault::Revoked),
                key if !key.is_usable() => Err(AnchorFault::NotZoneKey),
                key => Ok(Voucher::Key(key)),
            }
        }
        _ => Err(other),
    }
}

fn check_algorithm(algorithm: u8) -> Result<(), AnchorFault> {
    if is_supported_algorithm(algorithm) { Ok(()) } else { Err(AnchorFault::Algorithm(algorithm)) }
}
