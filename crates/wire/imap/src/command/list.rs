//! Arguments of LIST and STATUS: RFC 9051 §6.3.9 and §6.3.11, RFC 5258, RFC 5819, RFC 6154.

use std::fmt;

/// Arguments of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Selection options; `None` for a LIST without the parenthesised list.
    pub select: Option<ListSelect>,
    /// Context of the patterns.
    pub reference: String,
    /// One or more patterns with `*` and `%`, decoded like mailbox names.
    pub patterns: Vec<String>,
    /// Return options; `None` without RETURN.
    pub returns: Option<ListReturn>,
}

impl List {
    /// Whether this is an extended LIST (RFC 5258 §3): it has options or a list of patterns.
    /// Only the basic form treats an empty pattern as a question for the hierarchy delimiter.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.select.is_some() || self.returns.is_some() || self.patterns.len() > 1
    }
}

/// Selection options: which mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelect {
    /// SUBSCRIBED: subscribed names, also ones that do not exist.
    pub subscribed: bool,
    /// REMOTE: also mailboxes on other servers.
    pub remote: bool,
    /// RECURSIVEMATCH: also parents of matches; only ever with SUBSCRIBED or SPECIAL-USE.
    pub recursive_match: bool,
    /// SPECIAL-USE: only mailboxes with a special use (RFC 6154 §2).
    pub special_use: bool,
}

/// Return options: what about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// CHILDREN
    pub children: bool,
    /// SPECIAL-USE
    pub special_use: bool,
    /// STATUS (...) (RFC 5819)
    pub status: Vec<StatusItem>,
}

/// A special use of a mailbox (RFC 6154 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
    /// Another, by its name without the backslash.
    Other(String),
}

impl SpecialUse {
    pub(crate) fn from_name(name: &str) -> SpecialUse {
        const NAMED: [(&str, SpecialUse); 7] = [
            ("all", SpecialUse::All),
            ("archive", SpecialUse::Archive),
            ("drafts", SpecialUse::Drafts),
            ("flagged", SpecialUse::Flagged),
            ("junk", SpecialUse::Junk),
            ("sent", SpecialUse::Sent),
            ("trash", SpecialUse::Trash),
        ];
        NAMED
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or_else(|| SpecialUse::Other(name.to_owned()), |(_, known)| known)
    }
}

impl fmt::Display for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            SpecialUse::All => "All",
            SpecialUse::Archive => "Archive",
            SpecialUse::Drafts => "Drafts",
            SpecialUse::Flagged => "Flagged",
            SpecialUse::Junk => "Junk",
            SpecialUse::Sent => "Sent",
            SpecialUse::Trash => "Trash",
            SpecialUse::Other(name) => name,
        };
        write!(f, "\\{name}")
    }
}

/// An item of STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE` (RFC 8438)
    Size,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
}

impl StatusItem {
    pub(crate) const NAMED: [(&'static str, StatusItem); 9] = [
        ("MESSAGES", StatusItem::Messages),
        ("UIDNEXT", StatusItem::UidNext),
        ("UIDVALIDITY", StatusItem::UidValidity),
        ("UNSEEN", StatusItem::Unseen),
        ("DELETED", StatusItem::Deleted),
        ("SIZE", StatusItem::Size),
        ("RECENT", StatusItem::Recent),
        ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
        ("APPENDLIMIT", StatusItem::AppendLimit),
    ];

    /// The item's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, item)| *item == self).map_or("", |(name, _)| name)
    }
}
