//! What can be wrong with a record.

use std::fmt;

/// A term shown to people is cut to this many characters.
const MOST_SHOWN: usize = 60;

/// Text that is not a record, or not a part of one. The whole record counts for nothing then (RFC 7208 §4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The first term that is wrong, in printable ASCII; cut where it is long.
    pub term: String,
    /// What is wrong with it.
    pub kind: SyntaxErrorKind,
}

impl SyntaxError {
    pub(super) fn new(term: &str, kind: SyntaxErrorKind) -> SyntaxError {
        let mut shown: String = term.chars().flat_map(char::escape_default).take(MOST_SHOWN + 1).collect();
        if shown.len() > MOST_SHOWN {
            shown.truncate(MOST_SHOWN);
            shown.push_str("...");
        }
        SyntaxError { term: shown, kind }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.term.is_empty() { write!(f, "{}", self.kind) } else { write!(f, "{}: {}", self.term, self.kind) }
    }
}

impl std::error::Error for SyntaxError {}

/// What is wrong with a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// The text does not begin with `v=spf1` (§4.5).
    #[error("not an SPF record")]
    Version,
    /// A character that no record may contain (§3.1, §7.1).
    #[error("character that is not allowed in a record")]
    Character,
    /// Neither one of the mechanisms of §5 nor a modifier.
    #[error("unknown mechanism")]
    UnknownMechanism,
    /// An argument where there may be none, or in a form that the mechanism does not have.
    #[error("unexpected argument")]
    Argument,
    /// No domain where there must be one.
    #[error("domain missing")]
    MissingDomain,
    /// A domain-spec that ends neither in a macro nor in a dot and a top-level label (§7.1).
    #[error("not a domain of several labels")]
    DomainEnd,
    /// A domain-spec whose last label is a number, which most often is an address after `a:` or `mx:`.
    #[error("the last label of a domain is not a number; addresses are written with ip4: and ip6:")]
    NumericDomain,
    /// A percent sign that begins no macro, or a macro that is not one (§7.1, §7.3).
    #[error("malformed macro")]
    Macro,
    /// One of the macro letters c, r and t outside of an explanation (§7.2).
    #[error("macro that is only allowed in explanations")]
    ExplanationMacro,
    /// An address that is not one of the family (§5.6).
    #[error("malformed address")]
    Address,
    /// A prefix length that is not a number from 0 to 32 or 128, without leading zeros (§5.6).
    #[error("malformed prefix length")]
    PrefixLength,
    /// `redirect` or `exp` more than once (§6).
    #[error("modifier given twice")]
    DuplicateModifier,
}
