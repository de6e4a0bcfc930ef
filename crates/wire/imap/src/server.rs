//! Framing of a client's byte stream into commands.

use crate::command::{Append, Request, Tag};
use crate::{Code, NameEncoding};

/// Limits on what a client may send (a command that breaks one is answered BAD).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Octets in a line, and in all lines of a command, literals not counted.
    pub line: usize,
    /// Octets in one literal, APPEND's message not counted.
    pub literal: u64,
    /// Octets in all literals of a command.
    pub literals_total: u64,
    /// Literals in a command.
    pub literals_count: usize,
    /// Octets of a refused non-synchronising APPEND literal that are read and thrown away to keep the connection.
    pub discard: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line: 16 * 1024,
            literal: 100_000,
            literals_total: 1_000_000,
            literals_count: 1000,
            discard: 1_000_000,
        }
    }
}

/// What the client sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A complete command.
    Command(Request),
    /// A synchronising literal is announced and acceptable: send `+ `, the session does the rest.
    ContinueLiteral,
    /// An APPEND up to its message: call [`Session::accept_append`] or [`Session::refuse_append`].
    Append(Append),
    /// Octets of the accepted message.
    AppendData(Vec<u8>),
    /// The accepted APPEND is complete and well formed: all octets have come. Act and answer.
    AppendEnd,
    /// The accepted APPEND turned out malformed after its message: throw the message away and answer BAD.
    AppendFailed(Rejection),
    /// A line asked for by [`Session::expect_authenticate_line`].
    AuthenticateLine(AuthenticateLine),
    /// DONE: IDLE is over.
    Done,
    /// Answer BAD with this; the session goes on.
    Rejected(Rejection),
    /// Answer BAD (if there is a tag) or `BYE`, and close: the stream can no longer be followed.
    Fatal(Rejection),
}

/// Why input was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Tag to answer to; without one the BAD is untagged.
    pub tag: Option<Tag>,
    /// Response code.
    pub code: Option<Code>,
    /// What was wrong, in words for the client's author.
    pub text: String,
}

/// A client's line within AUTHENTICATE (RFC 9051 §6.2.2).
#[derive(Debug)]
pub enum AuthenticateLine {
    /// Decoded data.
    Data(mailstead_names::Secret<Vec<u8>>),
    /// `*`: the client gives up.
    Cancelled,
    /// Not base64: answer BAD.
    Invalid,
}

/// What to do with the message of an APPEND that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Answer with a tagged NO or BAD; the session goes on (and throws away what the client sends of the message).
    GoesOn,
    /// The client is sending more than may be thrown away: answer and close.
    MustClose,
}

/// Frames a session's input. Feed octets, then take events until there are none.
#[derive(Debug)]
pub struct Session {
    _todo: (),
}

impl Session {
    /// A session at its start, before the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Session {
        todo!("{limits:?}")
    }

    /// Adds received octets.
    pub fn feed(&mut self, octets: &[u8]) {
        todo!("{octets:?}")
    }

    /// The next event, or `None` until more octets are fed. Answer one event before asking for the next:
    /// a command may change how the input after it is read.
    pub fn next_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// The session has enabled IMAP4rev2 or UTF8=ACCEPT: mailbox names are UTF-8 from now on.
    pub fn set_names(&mut self, names: NameEncoding) {
        todo!("{names:?}")
    }

    /// Takes the message of the APPEND just announced. True: send a continuation request first.
    pub fn accept_append(&mut self) -> bool {
        todo!()
    }

    /// Does not take the message of the APPEND just announced.
    pub fn refuse_append(&mut self) -> Refusal {
        todo!()
    }

    /// The next line is the client's part of an AUTHENTICATE exchange.
    pub fn expect_authenticate_line(&mut self) {
        todo!()
    }

    /// The next line must be DONE: after the continuation request of IDLE.
    pub fn expect_done(&mut self) {
        todo!()
    }

    /// Takes the octets fed and not yet consumed. After STARTTLS these were sent in the clear and must be refused.
    pub fn take_unread(&mut self) -> Vec<u8> {
        todo!()
    }
}
