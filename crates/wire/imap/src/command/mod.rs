//! The commands of RFC 9051 §6 and of the extensions listed at the crate's root, as values.
//!
//! APPEND is not here: its message is streamed, see [`crate::server::Event::Append`].

mod fetch;
mod list;
mod search;

pub use fetch::{Fetch, FetchAttribute, Partial, Section, SectionText, SeenEffect};
pub use list::{List, ListReturn, ListSelect, SpecialUse, StatusItem};
pub use search::{Charset, DateField, DateRelation, ModSeqEntry, ModSeqEntryKind, Search, SearchKey, SearchReturn};

use std::fmt;

use mailstead_names::Secret;

use crate::{Flag, MailboxName, MessageSet, UidSet};

/// A command's tag: 1*ASTRING-CHAR without `+`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// `None` unless `text` is a tag.
    #[must_use]
    pub fn new(text: &str) -> Option<Tag> {
        let valid = !text.is_empty() && text.bytes().all(crate::parse::is_tag_char);
        valid.then(|| Tag(text.to_owned()))
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A complete command with its tag.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identifies the response that completes this command.
    pub tag: Tag,
    /// What is asked.
    pub command: Command,
}

/// Whether a command's message set, and the numbers in its answer, are message sequence numbers or UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// Message sequence numbers: `FETCH`.
    Sequence,
    /// Unique identifiers: `UID FETCH`.
    Uid,
}

/// A command with its arguments.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    // Any state (RFC 9051 §6.1).
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971): `None` for NIL, otherwise field-value pairs in the order given.
    Id(Option<Vec<(String, Option<String>)>>),

    // Not authenticated (§6.2).
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE; the client's later lines come as [`crate::server::Event::AuthenticateLine`].
    Authenticate {
        /// SASL mechanism, in upper case.
        mechanism: String,
        /// Decoded initial response (RFC 4959); empty for `=`.
        initial_response: Option<Secret<Vec<u8>>>,
    },
    /// LOGIN
    Login {
        /// User name.
        user: String,
        /// Password.
        password: Secret<String>,
    },

    // Authenticated (§6.3).
    /// ENABLE (RFC 5161): capability names in upper case.
    Enable(Vec<String>),
    /// SELECT and EXAMINE
    Select(Select),
    /// CREATE, with `(USE (...))` of RFC 6154 §3
    Create {
        /// The new mailbox.
        mailbox: MailboxName,
        /// Special uses it is to have.
        special_use: Vec<SpecialUse>,
    },
    /// DELETE
    Delete(MailboxName),
    /// RENAME
    Rename {
        /// Existing name.
        from: MailboxName,
        /// New name.
        to: MailboxName,
    },
    /// SUBSCRIBE
    Subscribe(MailboxName),
    /// UNSUBSCRIBE
    Unsubscribe(MailboxName),
    /// LIST, extended (RFC 5258) or not
    List(List),
    /// LSUB (RFC 3501 §6.3.9)
    Lsub {
        /// Context of the pattern.
        reference: String,
        /// Pattern with `*` and `%`.
        pattern: String,
    },
    /// NAMESPACE
    Namespace,
    /// STATUS
    Status {
        /// Mailbox asked about.
        mailbox: MailboxName,
        /// Items asked for, each once, in the order asked.
        items: Vec<StatusItem>,
    },
    /// IDLE; ends with [`crate::server::Event::Done`].
    Idle,

    // Selected (§6.4).
    /// CHECK (RFC 3501 §6.4.1)
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE
    Expunge,
    /// UID EXPUNGE
    UidExpunge(MessageSet),
    /// SEARCH and UID SEARCH
    Search(Search),
    /// FETCH and UID FETCH
    Fetch(Fetch),
    /// STORE and UID STORE
    Store(Store),
    /// COPY and UID COPY
    Copy(Transfer),
    /// MOVE and UID MOVE
    Move(Transfer),
}

/// Arguments of SELECT and EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Mailbox to open.
    pub mailbox: MailboxName,
    /// EXAMINE opens read-only.
    pub access: Access,
    /// The CONDSTORE parameter (RFC 7162 §3.1.8).
    pub condstore: bool,
    /// The QRESYNC parameter (RFC 7162 §3.2.5).
    pub qresync: Option<Qresync>,
}

/// How a mailbox is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

/// What a client knows about a mailbox it opens (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qresync {
    /// UIDVALIDITY that the rest is about.
    pub uid_validity: u32,
    /// Highest mod-sequence the client has seen.
    pub modseq: u64,
    /// UIDs the client knows; absent means all.
    pub known_uids: Option<UidSet>,
    /// Message sequence numbers and the UIDs they had, both ascending and of equal length (§3.2.5.2).
    pub known_sequences: Option<(UidSet, UidSet)>,
}

/// Arguments of STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// STORE or UID STORE.
    pub numbering: Numbering,
    /// Messages to change.
    pub set: MessageSet,
    /// UNCHANGEDSINCE (RFC 7162 §3.1.3).
    pub unchanged_since: Option<u64>,
    /// What to do with `flags`.
    pub action: StoreAction,
    /// `.SILENT`: the client does not want the new flags back.
    pub silent: bool,
    /// The flags; never `\Recent` or `\*`.
    pub flags: Vec<Flag>,
}

/// FLAGS, +FLAGS or -FLAGS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Arguments of COPY and MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Plain or UID form.
    pub numbering: Numbering,
    /// Messages to transfer.
    pub set: MessageSet,
    /// Destination.
    pub mailbox: MailboxName,
}

/// What precedes the message of an APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The command's tag.
    pub tag: Tag,
    /// Destination.
    pub mailbox: MailboxName,
    /// Flags the message is to have.
    pub flags: Vec<Flag>,
    /// Internal date; absent means now.
    pub date: Option<jiff::Timestamp>,
    /// Size of the message in octets.
    pub size: u64,
    /// In which form the message comes.
    pub form: AppendForm,
}

/// The forms of a message literal in APPEND.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendForm {
    /// `{n}`: no NUL octets (RFC 9051 §4.3.1), which the session checks.
    Literal,
    /// `~{n}` (RFC 3516 §4.4)
    Binary,
    /// `UTF8 (~{n} ...)`: the message has UTF-8 header fields (RFC 6855 §4)
    Utf8,
}
