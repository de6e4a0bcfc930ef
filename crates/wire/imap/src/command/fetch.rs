//! Arguments of FETCH: RFC 9051 §6.4.5, RFC 3516 (BINARY), RFC 7162 (MODSEQ, CHANGEDSINCE, VANISHED).

use super::Numbering;
use crate::MessageSet;

/// Arguments of FETCH and UID FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Plain or UID form.
    pub numbering: Numbering,
    /// Messages asked about.
    pub set: MessageSet,
    /// Items asked for, each once, macros expanded. UID is not added for UID FETCH.
    pub attributes: Vec<FetchAttribute>,
    /// CHANGEDSINCE (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// VANISHED (RFC 7162 §3.2.6): only ever with UID FETCH and CHANGEDSINCE.
    pub vanished: bool,
}

/// Whether fetching an item sets `\Seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeenEffect {
    /// `BODY[...]`, `BINARY[...]`, `RFC822`, `RFC822.TEXT`
    Sets,
    /// `BODY.PEEK[...]`, `BINARY.PEEK[...]`
    Peek,
}

/// An item of a FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchAttribute {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `UID`
    Uid,
    /// `MODSEQ`
    ModSeq,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822` (RFC 3501)
    Rfc822,
    /// `RFC822.HEADER` (RFC 3501)
    Rfc822Header,
    /// `RFC822.TEXT` (RFC 3501)
    Rfc822Text,
    /// `BODY`: the structure without extension data
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY[section]<partial>`
    Section {
        /// Which octets.
        section: Section,
        /// A range of them.
        partial: Option<Partial>,
        /// `BODY` or `BODY.PEEK`.
        seen: SeenEffect,
    },
    /// `BINARY[part]<partial>` (RFC 3516): content with its transfer encoding removed
    Binary {
        /// Part number; empty for the whole message.
        part: Vec<u32>,
        /// A range of the decoded octets.
        partial: Option<Partial>,
        /// `BINARY` or `BINARY.PEEK`.
        seen: SeenEffect,
    },
    /// `BINARY.SIZE[part]`
    BinarySize {
        /// Part number; empty for the whole message.
        part: Vec<u32>,
    },
}

impl FetchAttribute {
    /// Whether fetching this sets `\Seen` (RFC 9051 §6.4.5).
    #[must_use]
    pub fn seen_effect(&self) -> SeenEffect {
        match self {
            FetchAttribute::Section { seen, .. } | FetchAttribute::Binary { seen, .. } => *seen,
            FetchAttribute::Rfc822 | FetchAttribute::Rfc822Text => SeenEffect::Sets,
            _ => SeenEffect::Peek,
        }
    }
}

/// `[section]`: a part and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// Part number; empty for the whole message.
    pub part: Vec<u32>,
    /// What of the part; absent means its whole content (with the header only if it is the message itself).
    pub text: Option<SectionText>,
}

/// The named pieces of a part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (...)`
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (...)`
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`
    Text,
    /// `MIME`; only with a part number
    Mime,
}

/// `<offset.count>`: a range of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// First octet, from 0.
    pub offset: u64,
    /// How many at most; not 0.
    pub count: u64,
}
