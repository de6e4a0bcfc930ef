//! Every status response that this server gives: condition, response code and text, in one place.
//!
//! RFC 9051 §7.1 (conditions and codes), RFC 5530 (further codes), RFC 3516 (UNKNOWN-CTE), RFC 4315 (APPENDUID,
//! COPYUID), RFC 5182 (NOTSAVED), RFC 7162 (HIGHESTMODSEQ, MODIFIED, CLOSED). How they are written is the wire crate's
//! business.

use std::borrow::Cow;
use std::io;

use mailstead_imap::response::Condition;
use mailstead_imap::{Code, UidSet};
use mailstead_login::Refusal;
use mailstead_store::{self as store, ModSeq, UidValidity};

/// A status response before it is known to which command it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) condition: Condition,
    pub(crate) code: Option<Code>,
    pub(crate) text: Cow<'static, str>,
}

/// Why a command handler stopped early.
#[derive(Debug)]
pub(crate) enum Interrupt {
    /// The command is answered with this.
    Reply(Reply),
    /// The handler has answered the command itself.
    Answered,
    /// The connection ends.
    Close(Close),
}

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum Close {
    /// LOGOUT was answered.
    Logout,
    /// The client went away, or the connection failed.
    Gone(io::Error),
    /// We end it, with this BYE.
    Bye(Reply),
}

/// What a command handler returns: the tagged reply, or why there is none yet.
pub(crate) type Outcome<T = Reply> = Result<T, Interrupt>;

const fn reply(condition: Condition, code: Option<Code>, text: &'static str) -> Reply {
    Reply { condition, code, text: Cow::Borrowed(text) }
}

const fn no(code: Code, text: &'static str) -> Reply {
    reply(Condition::No, Some(code), text)
}

const fn bad(text: &'static str) -> Reply {
    reply(Condition::Bad, None, text)
}

const fn bye(text: &'static str) -> Reply {
    reply(Condition::Bye, None, text)
}

/// An OK without code.
pub(crate) const fn ok(text: &'static str) -> Reply {
    reply(Condition::Ok, None, text)
}

// The connection as a whole.
pub(crate) const GREETING: Reply = ok("Mailstead ready");
pub(crate) const PREAUTH: Reply = reply(Condition::PreAuth, None, "Mailstead ready, logged in by your certificate");
pub(crate) const BYE_LOGOUT: Reply = bye("logging out");
pub(crate) const BYE_INACTIVE: Reply = bye("inactive for too long");
pub(crate) const BYE_SHUTDOWN: Reply = bye("server is shutting down");
pub(crate) const BYE_NOT_IMAP: Reply = bye("this is an IMAP server");
pub(crate) const BYE_TOO_MANY_MISTAKES: Reply = bye("too many malformed commands");
pub(crate) const BYE_TOO_MANY_FAILURES: Reply = bye("too many failed logins");
pub(crate) const BYE_MAILBOX_GONE: Reply = bye("the selected mailbox was deleted");
pub(crate) const BYE_RATE: Reply = bye("too many new connections from your network");
pub(crate) const BYE_OPEN: Reply = bye("too many open connections from your network");
pub(crate) const BYE_AUTHENTICATION_RATE: Reply = bye("too many failed logins from your network");
pub(crate) const BYE_INTERNAL: Reply = bye("internal error");

// States (RFC 9051 §3).
pub(crate) const NOT_AUTHENTICATED: Reply = bad("log in first");
pub(crate) const ALREADY_AUTHENTICATED: Reply = bad("already logged in");
pub(crate) const NOTHING_SELECTED: Reply = bad("no mailbox is selected");
pub(crate) const UNSUPPORTED: Reply = bad("command not supported");

// STARTTLS and logging in (RFC 9051 §6.2).
pub(crate) const START_TLS: Reply = ok("begin TLS negotiation now");
pub(crate) const TLS_ACTIVE: Reply = bad("TLS is active already");
pub(crate) const NO_TLS: Reply = reply(Condition::No, None, "TLS is not configured");
pub(crate) const PRIVACY_REQUIRED: Reply = no(Code::PrivacyRequired, "use TLS first");
pub(crate) const MECHANISM_UNSUPPORTED: Reply = no(Code::Cannot, "mechanism not supported");
pub(crate) const AUTHENTICATION_FAILED: Reply = no(Code::AuthenticationFailed, "authentication failed");
pub(crate) const UNKNOWN_KEY: Reply = no(Code::AuthenticationFailed, "no certificate with a known key was shown");
pub(crate) const AUTHORIZATION_FAILED: Reply = no(Code::AuthorizationFailed, "not authorized to act as that user");
pub(crate) const CHANNEL_BINDING: Reply =
    no(Code::AuthenticationFailed, "channel binding does not match, the connection may be intercepted");
/// With the operator's message in place of the text.
pub(crate) const LOGIN_DISABLED: Reply = no(Code::ContactAdmin, "login disabled");
pub(crate) const AUTHENTICATION_UNAVAILABLE: Reply =
    no(Code::Unavailable, "cannot check credentials at the moment, try again later");
pub(crate) const AUTHENTICATION_CANCELLED: Reply = bad("authentication cancelled");
pub(crate) const AUTHENTICATION_MALFORMED: Reply = bad("malformed authentication data");

/// The successful end of LOGIN and AUTHENTICATE tells the new capabilities (RFC 9051 §7.1, CAPABILITY).
pub(crate) fn logged_in(capabilities: Vec<Cow<'static, str>>) -> Reply {
    Reply { code: Some(Code::Capability(capabilities)), ..ok("logged in") }
}

// Selected mailbox (RFC 9051 §6.3.2, RFC 7162 §3.1.2, §3.2.5).
pub(crate) const CLOSED: Reply = reply(Condition::Ok, Some(Code::Closed), "previous mailbox closed");
pub(crate) const SELECTED: Reply = reply(Condition::Ok, Some(Code::ReadWrite), "mailbox selected");
pub(crate) const EXAMINED: Reply = reply(Condition::Ok, Some(Code::ReadOnly), "mailbox selected for reading only");
pub(crate) const READ_ONLY: Reply = no(Code::ReadOnly, "the mailbox is open for reading only");
pub(crate) const QRESYNC_NOT_ENABLED: Reply = bad("QRESYNC must be enabled first");

pub(crate) fn highest_modseq(modseq: ModSeq) -> Reply {
    Reply { code: Some(Code::HighestModSeq(number(modseq))), ..ok("highest mod-sequence") }
}

pub(crate) fn uid_validity(validity: UidValidity) -> Reply {
    Reply { code: Some(Code::UidValidity(validity.0)), ..ok("UIDs valid") }
}

pub(crate) fn uid_next(uid: u32) -> Reply {
    Reply { code: Some(Code::UidNext(uid)), ..ok("predicted next UID") }
}

pub(crate) fn unseen(number: u32) -> Reply {
    Reply { code: Some(Code::Unseen(number)), ..ok("first unseen message") }
}

// Mailboxes (RFC 9051 §6.3).
pub(crate) const NO_MAILBOX: Reply = no(Code::NonExistent, "no such mailbox");
pub(crate) const TRY_CREATE: Reply = no(Code::TryCreate, "no such mailbox");
pub(crate) const MAILBOX_EXISTS: Reply = no(Code::AlreadyExists, "mailbox exists already");
pub(crate) const HAS_CHILDREN: Reply = no(Code::HasChildren, "mailbox has children");
pub(crate) const INBOX: Reply = no(Code::Cannot, "not possible with Inbox");
pub(crate) const USE_ATTRIBUTE: Reply = no(Code::UseAttr, "special use not supported");

// Messages.
pub(crate) const NUMBER_OUT_OF_RANGE: Reply = bad("message number out of range");
pub(crate) const EXPUNGE_ISSUED: Reply = no(Code::ExpungeIssued, "some of the messages no longer exist");
pub(crate) const FETCH_EXPUNGED: Reply =
    no(Code::ExpungeIssued, "some of the messages no longer exist; the others were sent");
pub(crate) const UNKNOWN_CTE: Reply = no(Code::UnknownCte, "unknown content transfer encoding; other items were sent");
pub(crate) const UNREADABLE: Reply = no(Code::ServerBug, "some items could not be read; the others were sent");
pub(crate) const NOTHING_COPIED: Reply = ok("nothing to copy");
pub(crate) const SAME_MAILBOX: Reply = no(Code::Cannot, "source and destination are the same mailbox");
pub(crate) const BAD_CHARSET: Reply = no(Code::BadCharset, "charset not supported");
pub(crate) const CHARSET_WITH_UTF8: Reply = bad("no CHARSET after UTF8=ACCEPT is enabled");
pub(crate) const TOO_BIG: Reply = no(Code::TooBig, "message too large");
pub(crate) const OVER_QUOTA: Reply = no(Code::OverQuota, "over quota");
pub(crate) const EMPTY_MESSAGE: Reply = reply(Condition::No, None, "empty message: append cancelled");
pub(crate) const UTF8_NEEDED: Reply =
    no(Code::Cannot, "a message with UTF-8 header fields needs ENABLE UTF8=ACCEPT and the UTF8 data item");
pub(crate) const UTF8_NOT_ENABLED: Reply = bad("UTF8=ACCEPT must be enabled first");
pub(crate) const BAD_FLAG: Reply = bad("invalid flag");

/// RFC 6858 §3: which messages were shown with ASCII headers in place of their own.
pub(crate) fn downgraded(uids: UidSet) -> Reply {
    Reply { code: Some(Code::Downgraded(uids)), ..ok("FETCH completed") }
}

/// RFC 7162 §3.1.3: OK even when messages failed the test, with their numbers or UIDs.
pub(crate) fn modified(failed: UidSet) -> Reply {
    Reply { code: Some(Code::Modified(failed)), ..ok("conditional STORE failed for some messages") }
}

pub(crate) fn append_uid(validity: UidValidity, uid: u32) -> Reply {
    Reply { code: Some(Code::AppendUid { uid_validity: validity.0, uid }), ..ok("APPEND completed") }
}

pub(crate) fn copy_uid(validity: UidValidity, from: UidSet, to: UidSet, text: &'static str) -> Reply {
    Reply { code: Some(Code::CopyUid { uid_validity: validity.0, from, to }), ..ok(text) }
}

/// A BAD from the grammar.
pub(crate) fn rejected(code: Option<Code>, text: String) -> Reply {
    Reply { condition: Condition::Bad, code, text: text.into() }
}

/// A mod-sequence for the wire: 63 bits, never negative.
pub(crate) fn number(modseq: ModSeq) -> u64 {
    modseq.0.unsigned_abs()
}

/// A mod-sequence from the wire.
pub(crate) fn modseq(number: u64) -> ModSeq {
    ModSeq(i64::try_from(number).unwrap_or(i64::MAX))
}

impl From<Reply> for Interrupt {
    fn from(reply: Reply) -> Self {
        Interrupt::Reply(reply)
    }
}

impl From<Close> for Interrupt {
    fn from(close: Close) -> Self {
        Interrupt::Close(close)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Mechanism => MECHANISM_UNSUPPORTED,
            Refusal::EncryptionRequired => PRIVACY_REQUIRED,
            Refusal::Credentials => AUTHENTICATION_FAILED,
            Refusal::UnknownKey => UNKNOWN_KEY,
            Refusal::Authorization => AUTHORIZATION_FAILED,
            Refusal::ChannelBinding => CHANNEL_BINDING,
            Refusal::Aborted => AUTHENTICATION_CANCELLED,
            Refusal::Malformed(_) => AUTHENTICATION_MALFORMED,
            Refusal::Disabled(message) => Reply { text: message.into(), ..LOGIN_DISABLED },
            _ => AUTHENTICATION_UNAVAILABLE,
        }
    }
}

impl From<store::Error> for Interrupt {
    fn from(error: store::Error) -> Self {
        Interrupt::Reply(error.into())
    }
}

impl From<store::Error> for Reply {
    fn from(error: store::Error) -> Self {
        use store::Error;
        match error {
            Error::NoMailbox => NO_MAILBOX,
            Error::NoMessage => EXPUNGE_ISSUED,
            Error::MailboxExists => MAILBOX_EXISTS,
            Error::HasChildren => HAS_CHILDREN,
            Error::Inbox => INBOX,
            Error::MailboxName(why) => no(Code::Cannot, why),
            Error::SameMailbox => SAME_MAILBOX,
            Error::UidsExhausted => no(Code::Limit, "the mailbox has no UID left"),
            Error::TooManyKeywords => no(Code::Limit, "too many keywords"),
            Error::OverQuota => OVER_QUOTA,
            Error::DiskFull => no(Code::Unavailable, "no space left on the server, try again later"),
            Error::Corrupt(_) => no(Code::Corruption, "stored data is damaged; tell the administrator"),
            Error::NoAccount => no(Code::Unavailable, "the account is no longer available"),
            Error::Closed | Error::Conflict => no(Code::Unavailable, "temporarily not possible, try again later"),
            _ => no(Code::ServerBug, "internal error"),
        }
    }
}

/// The destination of an APPEND, COPY or MOVE that does not exist can be created (RFC 9051 §6.3.12, §6.4.7).
pub(crate) fn to_destination(error: store::Error) -> Interrupt {
    match error {
        store::Error::NoMailbox => TRY_CREATE.into(),
        other => other.into(),
    }
}
