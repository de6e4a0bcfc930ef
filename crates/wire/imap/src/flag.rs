//! Message flags: the system flags of RFC 9051 §2.3.2, keywords, and `\Recent` of RFC 3501.

use std::fmt;

/// A message flag. System flags are recognised without regard to case; keywords keep the case they came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// `\Recent`, only ever set by the server and only shown to IMAP4rev1 sessions (RFC 3501 §2.3.2).
    Recent,
    /// `\*` in PERMANENTFLAGS: new keywords can be created.
    Wildcard,
    /// A keyword, such as `$Forwarded`.
    Keyword(String),
    /// A flag-extension: its name without the backslash.
    Extension(String),
}

impl Flag {
    /// The system flags a client can set.
    pub const SYSTEM: [Flag; 5] = [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft];

    /// The system flag, or else the extension, with this name (given without its backslash).
    pub(crate) fn from_backslash_name(name: &str) -> Flag {
        const NAMED: [(&str, Flag); 6] = [
            ("answered", Flag::Answered),
            ("flagged", Flag::Flagged),
            ("deleted", Flag::Deleted),
            ("seen", Flag::Seen),
            ("draft", Flag::Draft),
            ("recent", Flag::Recent),
        ];
        NAMED
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or_else(|| Flag::Extension(name.to_owned()), |(_, flag)| flag)
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flag::Answered => f.write_str("\\Answered"),
            Flag::Flagged => f.write_str("\\Flagged"),
            Flag::Deleted => f.write_str("\\Deleted"),
            Flag::Seen => f.write_str("\\Seen"),
            Flag::Draft => f.write_str("\\Draft"),
            Flag::Recent => f.write_str("\\Recent"),
            Flag::Wildcard => f.write_str("\\*"),
            Flag::Keyword(name) => f.write_str(name),
            Flag::Extension(name) => write!(f, "\\{name}"),
        }
    }
}
