//! Results of verifying a signature (RFC 8601 §2.7.1) and the reasons for them.

use std::fmt;

use mailstead_dns::LookupErrorKind;

use super::KeyRecordError;
use crate::crypto::KeyType;
use crate::taglist::TagListError;

/// The result for a signature, or for a message (RFC 8601 §2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// There is no signature, or one that counts as none because its key is for tests (RFC 6376 §3.6.1, `t=y`).
    None,
    /// The signature is good.
    Pass,
    /// It is not: message or signature are not what was signed.
    Fail,
    /// It is good but says too little to be acceptable.
    Policy,
    /// It cannot be read, or uses what nobody here knows.
    Neutral,
    /// It could not be verified this time.
    TempError,
    /// It can never be verified.
    PermError,
}

impl Status {
    /// The word for Authentication-Results.
    pub fn name(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Policy => "policy",
            Status::Neutral => "neutral",
            Status::TempError => "temperror",
            Status::PermError => "permerror",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a signature does not pass. `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The field is longer than any that makes sense.
    #[error("signature field too long")]
    FieldTooLong,
    /// The field is not a tag-list.
    #[error("signature syntax error: {0}")]
    TagList(TagListError),
    /// A tag that must be there is not (§6.1.1).
    #[error("signature without {0}=")]
    MissingTag(&'static str),
    /// A tag has a value that it cannot have (§6.1.1).
    #[error("malformed {0}= in signature")]
    BadTag(&'static str),
    /// Not version 1 (§3.5, `v=`).
    #[error("unknown signature version")]
    Version,
    /// An algorithm that does not exist (§3.3.4).
    #[error("unknown signature algorithm")]
    UnknownAlgorithm,
    /// A canonicalization that does not exist (§3.4).
    #[error("unknown canonicalization")]
    UnknownCanonicalization,
    /// The key is only to be had in unknown ways (§3.5, `q=`).
    #[error("unknown query method")]
    UnknownQueryMethod,
    /// Whoever checks did not hash the body beforehand; a mistake of the program.
    #[error("body not hashed")]
    BodyNotHashed,

    /// rsa-sha1 (RFC 8301 §3.1).
    #[error("historic algorithm rsa-sha1")]
    HistoricAlgorithm,
    /// The From field is not signed (§6.1.1).
    #[error("From not signed")]
    FromNotSigned,
    /// The domain of `i=` is neither that of `d=` nor below it (§6.1.1).
    #[error("domain of i= not within d=")]
    DomainMismatch,
    /// The signature has expired (§6.1.1).
    #[error("signature expired")]
    Expired,
    /// The domain of `d=` belongs to many (§6.1.1).
    #[error("signed by a public suffix")]
    PublicSuffix,
    /// Selector and domain make no name that the DNS could have.
    #[error("selector and domain too long")]
    KeyName,
    /// There is no key (§6.1.2 step 3).
    #[error("no key for signature")]
    NoKey,
    /// There is a record which is no key (§6.1.2 step 5).
    #[error("key syntax error: {0}")]
    KeyRecord(KeyRecordError),
    /// The key is not for mail (§3.6.1, `s=`).
    #[error("key not for this service")]
    KeyService,
    /// The key does not allow SHA-256 (§6.1.2 step 6).
    #[error("inappropriate hash algorithm")]
    KeyHash,
    /// The key has been revoked (§6.1.2 step 7).
    #[error("key revoked")]
    KeyRevoked,
    /// The key is of another type than the algorithm of the signature (§6.1.2 step 8).
    #[error("inappropriate key algorithm: the key is {0}")]
    KeyType(KeyType),
    /// An RSA key of fewer than 1024 bits (RFC 8301 §3.2).
    #[error("key too short: {0} bits")]
    KeyTooShort(usize),
    /// The key allows no subdomain in `i=` (§3.6.1, `t=s`).
    #[error("key not for subdomains in i=")]
    KeyStrict,

    /// The key could not be looked up (§6.1.2 step 2).
    #[error("key unavailable: {0}")]
    KeyUnavailable(LookupErrorKind),

    /// The body is not what was signed (§6.1.3 step 3).
    #[error("body hash did not verify")]
    BodyHash,
    /// The body has fewer octets than were signed (§3.5, `l=`).
    #[error("body shorter than l=")]
    BodyTooShort,
    /// The header is not what was signed, or the key is another one (§6.1.3 step 4).
    #[error("signature did not verify")]
    Signature,

    /// Not all of the body is signed, or need not be (§8.2).
    #[error("body length limited by l=")]
    BodyLength,
    /// The Subject can be changed or added.
    #[error("Subject not signed")]
    SubjectNotSigned,
    /// There are more fields From or Subject than are signed (§8.15).
    #[error("not all {0} fields signed")]
    FieldAdded(&'static str),
}

impl Reason {
    /// The result that it leads to.
    ///
    /// RFC 6376 knows only PERMFAIL for most of them; RFC 8601 §2.7.1 distinguishes syntax errors and what could not be
    /// processed (neutral) from other permanent errors.
    pub fn status(&self) -> Status {
        match self {
            Reason::FieldTooLong
            | Reason::TagList(_)
            | Reason::MissingTag(_)
            | Reason::BadTag(_)
            | Reason::Version
            | Reason::UnknownAlgorithm
            | Reason::UnknownCanonicalization
            | Reason::UnknownQueryMethod
            | Reason::BodyNotHashed => Status::Neutral,
            Reason::HistoricAlgorithm
            | Reason::FromNotSigned
            | Reason::DomainMismatch
            | Reason::Expired
            | Reason::PublicSuffix
            | Reason::KeyName
            | Reason::NoKey
            | Reason::KeyRecord(_)
            | Reason::KeyService
            | Reason::KeyHash
            | Reason::KeyRevoked
            | Reason::KeyType(_)
            | Reason::KeyTooShort(_)
            | Reason::KeyStrict => Status::PermError,
            Reason::KeyUnavailable(_) => Status::TempError,
            Reason::BodyHash | Reason::BodyTooShort | Reason::Signature => Status::Fail,
            Reason::BodyLength | Reason::SubjectNotSigned | Reason::FieldAdded(_) => Status::Policy,
        }
    }
}
