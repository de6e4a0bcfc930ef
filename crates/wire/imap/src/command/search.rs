//! Arguments of SEARCH: RFC 9051 §6.4.4, RFC 4731 and 5182 (RETURN), RFC 7162 §3.1.5 (MODSEQ).

use jiff::civil::Date;

use super::Numbering;
use crate::{Flag, MessageSet};

/// Arguments of SEARCH and UID SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Plain or UID form.
    pub numbering: Numbering,
    /// Return options; `None` without RETURN, then the answer is an untagged SEARCH (for IMAP4rev1).
    pub returns: Option<SearchReturn>,
    /// The charset of the strings.
    pub charset: Charset,
    /// What to look for; several keys become [`SearchKey::And`].
    pub key: SearchKey,
}

/// The CHARSET argument (RFC 9051 §6.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charset {
    /// Not given: the strings are UTF-8.
    Unspecified,
    /// US-ASCII or UTF-8.
    Utf8,
    /// Any other, to be answered `NO [BADCHARSET (...)]`; the strings of the keys are then meaningless.
    Unsupported(String),
}

/// Result options (RFC 4731 §3.1, RFC 5182 §2). `RETURN ()` arrives as `all` (RFC 4731 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL
    pub all: bool,
    /// COUNT
    pub count: bool,
    /// SAVE
    pub save: bool,
}

/// A search key. `UN...` keys, NEW and OLD are expressed with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKey {
    /// ALL
    All,
    /// A message sequence set.
    Sequence(MessageSet),
    /// UID and a set.
    Uid(MessageSet),
    /// ANSWERED, SEEN, ..., KEYWORD, RECENT: the flag is set.
    Has(Flag),
    /// UNANSWERED, UNSEEN, ..., UNKEYWORD, OLD: the flag is not set.
    Lacks(Flag),
    /// BCC, CC, FROM, SUBJECT, TO and HEADER: the field contains the value. An empty value asks for the field's presence.
    Header {
        /// Field name.
        field: String,
        /// Substring, UTF-8.
        value: String,
    },
    /// BODY: the text of the body contains this.
    Body(String),
    /// TEXT: the header or the text of the body contains this.
    Text(String),
    /// LARGER: more octets than this.
    Larger(u64),
    /// SMALLER: fewer octets than this.
    Smaller(u64),
    /// BEFORE, ON, SINCE and their SENT forms.
    Date {
        /// Which date.
        field: DateField,
        /// On which side.
        relation: DateRelation,
        /// The day; times and zones are disregarded.
        date: Date,
    },
    /// MODSEQ (RFC 7162 §3.1.5): the mod-sequence is at least this.
    ModSeq {
        /// A metadata item, whose own mod-sequence a server may keep.
        entry: Option<ModSeqEntry>,
        /// The least mod-sequence.
        at_least: u64,
    },
    /// NOT
    Not(Box<SearchKey>),
    /// OR, with the ORs directly within it: at least two keys, any matches.
    Or(Vec<SearchKey>),
    /// A parenthesised list, or the list of a whole command: all match.
    And(Vec<SearchKey>),
}

impl SearchKey {
    /// Whether this key or one inside it satisfies `test`.
    pub fn any(&self, test: &impl Fn(&SearchKey) -> bool) -> bool {
        test(self)
            || match self {
                SearchKey::Not(key) => key.any(test),
                SearchKey::Or(keys) | SearchKey::And(keys) => keys.iter().any(|key| key.any(test)),
                _ => false,
            }
    }

    /// Whether MODSEQ occurs: such a search enables CONDSTORE (RFC 7162 §3.1).
    #[must_use]
    pub fn uses_modseq(&self) -> bool {
        self.any(&|key| matches!(key, SearchKey::ModSeq { .. }))
    }
}

/// Which date a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateField {
    /// The internal date.
    Internal,
    /// The Date header field.
    Sent,
}

/// How a date is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateRelation {
    /// Earlier than the day.
    Before,
    /// Within the day.
    On,
    /// Within or later than the day.
    Since,
}

/// The entry of a MODSEQ key: `"/flags/\\Seen" all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModSeqEntry {
    /// Entry name.
    pub name: String,
    /// `priv`, `shared` or `all`.
    pub kind: ModSeqEntryKind,
}

/// The entry-type-req of RFC 7162 §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModSeqEntryKind {
    /// `priv`
    Private,
    /// `shared`
    Shared,
    /// `all`
    All,
}
