//! Server responses as values (RFC 9051 §7), except FETCH, whose items are encoded one by one
//! because they may be large: see [`crate::encode::FetchItem`].

use std::borrow::Cow;

use crate::command::{SpecialUse, StatusItem, Tag};
use crate::{Flag, MailboxName, UidSet};

/// A response line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// OK, NO, BAD, PREAUTH, BYE; tagged when it completes a command.
    Status(StatusResponse),
    /// `+ text`: the client may go on.
    Continue(String),
    /// `* CAPABILITY ...`
    Capability(Vec<Cow<'static, str>>),
    /// `* ENABLED ...` (RFC 5161)
    Enabled(Vec<Cow<'static, str>>),
    /// `* ID (...)` (RFC 2971); `None` is NIL
    Id(Option<Vec<IdField>>),
    /// `* FLAGS (...)`
    Flags(Vec<Flag>),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT` (RFC 3501)
    Recent(u32),
    /// `* n EXPUNGE`
    Expunge(u32),
    /// `* VANISHED uids` (RFC 7162 §3.2.10); written as several lines of at most 4 KB
    Vanished {
        /// `(EARLIER)`: reported on request, not happening now.
        earlier: bool,
        /// The UIDs that are gone.
        uids: UidSet,
    },
    /// `* SEARCH n n` (RFC 3501 §7.2.5), with MODSEQ of RFC 7162 §3.1.5
    Search {
        /// Sequence numbers or UIDs.
        numbers: Vec<u32>,
        /// Highest mod-sequence of the messages found.
        modseq: Option<u64>,
    },
    /// `* ESEARCH ...` (RFC 4731)
    ESearch(ESearch),
    /// `* LIST ...`
    List(ListEntry),
    /// `* LSUB ...` (RFC 3501)
    Lsub(ListEntry),
    /// `* STATUS ...`
    MailboxStatus {
        /// The mailbox.
        mailbox: MailboxName,
        /// Items with their values; `None` is NIL (APPENDLIMIT without limit).
        items: Vec<(StatusItem, Option<u64>)>,
    },
    /// `* NAMESPACE (("" "/")) NIL NIL`: one personal namespace at the root.
    Namespace,
}

/// A field of ID with its value; `None` is NIL.
pub type IdField = (Cow<'static, str>, Option<Cow<'static, str>>);

/// Conditions of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Success or information.
    Ok,
    /// The command failed.
    No,
    /// The command was not understood or not allowed here.
    Bad,
    /// Greeting: already authenticated.
    PreAuth,
    /// The connection is about to close.
    Bye,
}

impl Condition {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Condition::Ok => "OK",
            Condition::No => "NO",
            Condition::Bad => "BAD",
            Condition::PreAuth => "PREAUTH",
            Condition::Bye => "BYE",
        }
    }
}

/// `[tag / "*"] SP condition SP resp-text`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResponse {
    /// The command completed; absent for an untagged response.
    pub tag: Option<Tag>,
    /// OK, NO, BAD, PREAUTH or BYE.
    pub condition: Condition,
    /// Machine-readable reason.
    pub code: Option<Code>,
    /// Text for people; CR and LF are written as spaces.
    pub text: Cow<'static, str>,
}

impl Response {
    /// A tagged response.
    pub fn tagged(tag: &Tag, condition: Condition, code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Response {
        Response::Status(StatusResponse { tag: Some(tag.clone()), condition, code, text: text.into() })
    }

    /// An untagged status response.
    pub fn untagged(condition: Condition, code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Response {
        Response::Status(StatusResponse { tag: None, condition, code, text: text.into() })
    }
}

/// Response codes: RFC 9051 §7.1, RFC 5530, and those of the extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `ALERT`
    Alert,
    /// `ALREADYEXISTS`
    AlreadyExists,
    /// `APPENDUID uidvalidity uid` (RFC 4315)
    AppendUid {
        /// UIDVALIDITY of the destination.
        uid_validity: u32,
        /// UID given to the message.
        uid: u32,
    },
    /// `AUTHENTICATIONFAILED`
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`
    AuthorizationFailed,
    /// `BADCHARSET (US-ASCII UTF-8)`
    BadCharset,
    /// `CANNOT`
    Cannot,
    /// `CAPABILITY ...`
    Capability(Vec<Cow<'static, str>>),
    /// `CLIENTBUG`
    ClientBug,
    /// `CLOSED` (RFC 7162 §3.2.11)
    Closed,
    /// `CONTACTADMIN`
    ContactAdmin,
    /// `COPYUID uidvalidity from to` (RFC 4315): the pairs in the order of the source UIDs
    CopyUid {
        /// UIDVALIDITY of the destination.
        uid_validity: u32,
        /// UIDs in the source, ascending.
        from: UidSet,
        /// UIDs in the destination, ascending, the nth belonging to the nth of `from`.
        to: UidSet,
    },
    /// `CORRUPTION`
    Corruption,
    /// `DOWNGRADED uids` (RFC 6858 §3): messages shown as surrogates with ASCII headers
    Downgraded(UidSet),
    /// `EXPIRED`
    Expired,
    /// `EXPUNGEISSUED`
    ExpungeIssued,
    /// `HASCHILDREN`
    HasChildren,
    /// `HIGHESTMODSEQ n` (RFC 7162)
    HighestModSeq(u64),
    /// `INUSE`
    InUse,
    /// `LIMIT`
    Limit,
    /// `MODIFIED set` (RFC 7162 §3.1.3)
    Modified(UidSet),
    /// `NOMODSEQ` (RFC 7162)
    NoModSeq,
    /// `NONEXISTENT`
    NonExistent,
    /// `NOPERM`
    NoPerm,
    /// `NOTSAVED` (RFC 5182)
    NotSaved,
    /// `OVERQUOTA`
    OverQuota,
    /// `PARSE`
    Parse,
    /// `PERMANENTFLAGS (...)`
    PermanentFlags(Vec<Flag>),
    /// `PRIVACYREQUIRED`
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG`
    ServerBug,
    /// `TOOBIG` (RFC 4469, RFC 7889)
    TooBig,
    /// `TRYCREATE`
    TryCreate,
    /// `UIDNEXT n`
    UidNext(u32),
    /// `UIDNOTSTICKY`
    UidNotSticky,
    /// `UIDVALIDITY n`
    UidValidity(u32),
    /// `UNAVAILABLE`
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516)
    UnknownCte,
    /// `UNSEEN n` (RFC 3501)
    Unseen(u32),
    /// `USEATTR` (RFC 6154)
    UseAttr,
}

/// An extended search result. An empty one still tells the client that nothing matched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ESearch {
    /// The search command's tag.
    pub tag: Option<Tag>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// MIN
    pub min: Option<u32>,
    /// MAX
    pub max: Option<u32>,
    /// ALL; an empty set is left out (RFC 4731 §3.1)
    pub all: Option<UidSet>,
    /// COUNT
    pub count: Option<u32>,
    /// MODSEQ (RFC 7162 §3.1.5)
    pub modseq: Option<u64>,
}

/// An entry of LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Attributes, each once.
    pub attributes: Vec<ListAttribute>,
    /// The mailbox.
    pub mailbox: MailboxName,
    /// `CHILDINFO ("SUBSCRIBED")` (RFC 5258 §3.5): the selection options that matched below this mailbox.
    pub child_info: Vec<ChildInfo>,
    /// `OLDNAME` (RFC 9051 §6.3.9.7).
    pub old_name: Option<MailboxName>,
}

/// Selection options that CHILDINFO can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildInfo {
    /// `"SUBSCRIBED"`
    Subscribed,
    /// `"SPECIAL-USE"`
    SpecialUse,
}

/// Attributes of a mailbox in LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListAttribute {
    /// `\NonExistent`
    NonExistent,
    /// `\Noselect`
    NoSelect,
    /// `\Noinferiors`
    NoInferiors,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Marked`
    Marked,
    /// `\Unmarked`
    Unmarked,
    /// `\Subscribed`
    Subscribed,
    /// `\Remote`
    Remote,
    /// `\Sent`, ...
    SpecialUse(SpecialUse),
}
