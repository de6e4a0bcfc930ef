//! Why a name was refused.

/// Why text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Nothing there.
    #[error("empty domain name")]
    Empty,
    /// Two dots in a row, or a dot at the beginning.
    #[error("empty label in domain name")]
    EmptyLabel,
    /// The name ends in a dot. Names in mail are always absolute and written without it (RFC 5321 §2.3.5).
    #[error("domain name ends in a dot")]
    TrailingDot,
    /// A label has more than 63 octets in its ASCII form (RFC 1035 §2.3.4).
    #[error("label in domain name longer than 63 octets")]
    LabelTooLong,
    /// The name has more than 253 octets in its ASCII form (RFC 1035 §2.3.4).
    #[error("domain name longer than 253 octets")]
    TooLong,
    /// A label begins or ends with a hyphen, or a character is not allowed, or an internationalised label is invalid.
    #[error("invalid character or label in domain name")]
    Invalid,
    /// The last label is a number, so this is an IP address or the wreck of one.
    #[error("an IP address is not a domain name")]
    Address,
}

/// Why text is not a local part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalpartError {
    /// More than 128 octets.
    #[error("local part longer than 128 octets")]
    TooLong,
    /// A control character, which not even quoting makes legal.
    #[error("control character in local part")]
    Control,
}

/// Why text was refused by one of the parsers of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that does not follow the grammar.
    #[error("expected {expected} at offset {at}")]
    Syntax {
        /// Offset in octets of the first one that does not fit.
        at: usize,
        /// What the grammar wants there.
        expected: &'static str,
    },
    /// The domain is not one.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The local part is not one.
    #[error(transparent)]
    Localpart(#[from] LocalpartError),
}
