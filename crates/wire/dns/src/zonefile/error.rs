//! What is wrong with a zone file, and where.

use crate::Rtype;
use crate::zonefile::{MAX_RECORDS, MAX_TEXT};

/// A mistake in a zone file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ZonefileError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The mistake.
    pub kind: ZonefileErrorKind,
}

/// What is wrong. Words of the file are cut when they are long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZonefileErrorKind {
    /// More text than is read.
    #[error("the text is longer than {MAX_TEXT} octets")]
    TextTooLong,
    /// More records than are read.
    #[error("there are more than {MAX_RECORDS} records")]
    TooManyRecords,
    /// Something that cannot be seen.
    #[error("there is a control character; write it as \\DDD, with its number in three decimal digits")]
    ControlCharacter,
    /// A backslash that stands before nothing, or before a number that is no octet.
    #[error("a backslash must stand before a character or before three digits up to 255")]
    Escape,
    /// A string without end.
    #[error("a string is not closed; strings end on the line where they begin")]
    UnclosedString,
    /// A quotation mark where no string begins.
    #[error("a quotation mark stands within a word; write \\\" for the mark itself, or a blank between strings")]
    QuotationMark,
    /// A group without end.
    #[error("the parenthesis that opens here is not closed")]
    UnclosedParenthesis,
    /// The end of a group that has not begun.
    #[error("a parenthesis closes that was not opened")]
    UnopenedParenthesis,
    /// `$INCLUDE` and what other programs have invented.
    #[error("{0} is not supported; there are only $ORIGIN and $TTL")]
    Directive(String),
    /// The first record has no owner.
    #[error("the record has no owner: its line begins with a blank, and no record stands before it")]
    NoOwner,
    /// A relative name without anything that it is relative to.
    #[error("the name {0} does not end in a dot, so it needs an $ORIGIN before it")]
    NoOrigin(String),
    /// No name.
    #[error("{0} is no name: labels have 1 to 63 octets, a name at most 255")]
    Name(String),
    /// A name in letters that the DNS does not have.
    #[error("the name {0} must be written in ASCII, internationalised labels as xn--...")]
    NameNotAscii(String),
    /// Another class than IN.
    #[error("class {0} is not supported, only IN")]
    Class(String),
    /// No TTL.
    #[error("{0} is no TTL: that is a number of seconds up to 2147483647")]
    Ttl(String),
    /// No type.
    #[error("{0} is no type of records that is known here; write TYPE and its number")]
    Type(String),
    /// A type that messages have, but zones have not.
    #[error("{0} is not a type that records of a zone have")]
    NotData(Rtype),
    /// A type whose data has no form of its own here.
    #[error("the data of {0} records must be written in the form \\# LENGTH HEX (RFC 3597)")]
    GenericOnly(Rtype),
    /// The record ends too early.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// The record goes on where it should end.
    #[error("{0} is too much, the record is complete before it")]
    Surplus(String),
    /// No number, or too large a one.
    #[error("{word} is no {what}: that is a number up to {most}")]
    Number {
        /// What is there.
        word: String,
        /// What should be there.
        what: &'static str,
        /// The largest that is possible.
        most: u32,
    },
    /// No IP address of this type.
    #[error("{word} is no address of {rtype} records")]
    Address {
        /// What is there.
        word: String,
        /// The type.
        rtype: Rtype,
    },
    /// A string that its record has no room for.
    #[error("a string is longer than 255 octets; cut it into several")]
    StringTooLong,
    /// A CAA property of other characters (RFC 8659 §4.1).
    #[error("{0} is no CAA property: that is letters and digits")]
    CaaTag(String),
    /// No hexadecimal digits, or an odd number of them.
    #[error("the {0} must be pairs of hexadecimal digits")]
    Hex(&'static str),
    /// No base64.
    #[error("the {0} must be base64")]
    Base64(&'static str),
    /// The length says something else than there is (RFC 3597 §5).
    #[error("there are {found} octets of data where {stated} are announced")]
    Length {
        /// What is announced.
        stated: u16,
        /// What is there.
        found: usize,
    },
    /// Data that is not what this type has.
    #[error("this cannot be the data of a record of type {0}")]
    Unfit(Rtype),
    /// More data than a record can have.
    #[error("the record has more than 65535 octets of data")]
    DataTooLong,
}
