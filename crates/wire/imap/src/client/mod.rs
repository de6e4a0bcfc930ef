//! The client's side: a strict reader of responses (RFC 9051 §7, §9).
//!
//! Made for tests, tools and benchmarks rather than for mail programs: whatever breaks the grammar is an error, and FETCH
//! items are handed out as generic [`Value`]s. Names and sets come as the same types that the encoder takes.

mod parse;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::command::StatusItem;
use crate::response::{Condition, ESearch};
use crate::{Error, MailboxName, NameEncoding, UidSet};

/// A piece of data in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `NIL`
    Nil,
    /// An atom, number or flag, as written.
    Atom(String),
    /// A quoted string or literal.
    String(Vec<u8>),
    /// A parenthesised list; the adjacent bodies of a multipart are elements like any others.
    List(Vec<Value>),
}

impl Value {
    /// The number that an atom is.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        self.as_atom()?.parse().ok()
    }

    /// The text of an atom.
    #[must_use]
    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Value::Atom(text) => Some(text),
            _ => None,
        }
    }

    /// The octets of a string or atom.
    #[must_use]
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(text) => Some(text.as_bytes()),
            Value::String(octets) => Some(octets),
            Value::Nil | Value::List(_) => None,
        }
    }

    /// The elements of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }
}

/// As on the wire, with every string quoted and octets outside UTF-8 replaced: for messages and comparisons in tests.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("NIL"),
            Value::Atom(text) => f.write_str(text),
            Value::String(octets) => write!(f, "\"{}\"", String::from_utf8_lossy(octets)),
            Value::List(values) => {
                f.write_str("(")?;
                for (index, value) in values.iter().enumerate() {
                    let space = if index > 0 { " " } else { "" };
                    write!(f, "{space}{value}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// `+ text`
    Continue(String),
    /// OK, NO, BAD, PREAUTH, BYE
    Status(Status),
    /// `* CAPABILITY ...`
    Capability(Vec<String>),
    /// `* ENABLED ...`
    Enabled(Vec<String>),
    /// `* ID ...`
    Id(Value),
    /// `* FLAGS (...)`
    Flags(Vec<String>),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT`
    Recent(u32),
    /// `* n EXPUNGE`
    Expunge(u32),
    /// `* n FETCH (...)`
    Fetch(Fetch),
    /// `* VANISHED ...`
    Vanished {
        /// `(EARLIER)`
        earlier: bool,
        /// The UIDs that are gone.
        uids: UidSet,
    },
    /// `* SEARCH ...`
    Search {
        /// Sequence numbers or UIDs.
        numbers: Vec<u32>,
        /// `(MODSEQ n)`
        modseq: Option<u64>,
    },
    /// `* ESEARCH ...`
    ESearch(ESearch),
    /// `* LIST ...`
    List(ListEntry),
    /// `* LSUB ...`
    Lsub(ListEntry),
    /// `* STATUS ...`
    MailboxStatus {
        /// The mailbox.
        mailbox: MailboxName,
        /// Items with their values; `None` is NIL.
        items: Vec<(StatusItem, Option<u64>)>,
    },
    /// `* NAMESPACE ...`: personal, other users', shared
    Namespace(Vec<Value>),
}

/// A status response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Absent in untagged responses.
    pub tag: Option<String>,
    /// OK, NO, BAD, PREAUTH or BYE.
    pub condition: Condition,
    /// Response code: its name in upper case, and its arguments.
    pub code: Option<(String, Vec<Value>)>,
    /// Text for people.
    pub text: String,
}

/// A FETCH response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Message sequence number.
    pub sequence: u32,
    /// Items in the order sent, each with its name as written, such as `BODY[1.MIME]<0>`.
    pub items: Vec<(String, Value)>,
}

impl Fetch {
    /// The value of an item, by its name without regard to case.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&Value> {
        self.items.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// An entry of LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Attributes with their backslashes.
    pub attributes: Vec<String>,
    /// Hierarchy delimiter.
    pub delimiter: Option<char>,
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Extended data items, their names in upper case.
    pub extended: Vec<(String, Value)>,
}

/// Reads responses from a stream of octets.
#[derive(Debug, Default)]
pub struct Reader {
    octets: Vec<u8>,
    consumed: usize,
    names: NameEncoding,
}

impl Reader {
    /// A reader at the greeting.
    #[must_use]
    pub fn new() -> Reader {
        Reader::default()
    }

    /// How mailbox names are encoded from now on: UTF-8 after ENABLE of IMAP4rev2 or UTF8=ACCEPT.
    pub fn set_names(&mut self, names: NameEncoding) {
        self.names = names;
    }

    /// Adds received octets.
    pub fn feed(&mut self, octets: &[u8]) {
        self.octets.drain(..self.consumed.min(self.octets.len()));
        self.consumed = 0;
        self.octets.extend_from_slice(octets);
    }

    /// The next response; `None` until it is complete.
    ///
    /// # Errors
    /// If the octets are not a response. The reader then stays where it is.
    pub fn next_response(&mut self) -> Result<Option<Response>, Error> {
        let unread = self.octets.get(self.consumed..).unwrap_or_default();
        match parse::response(unread, self.names) {
            Ok((response, length)) => {
                self.consumed += length;
                Ok(Some(response))
            }
            Err(Error::Incomplete) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
