//! The server's side of a session, without I/O: frames a client's octets into commands (RFC 9051 §2.2, §4.3).
//!
//! A command is a line, or several joined by literals. [`Session`] finds its end, asks for synchronising literals, takes
//! non-synchronising ones (RFC 7888), enforces [`Limits`], and streams the message of an APPEND instead of holding it.
//! What a command means in the current state, and all timeouts, are the engine's concern.

#[cfg(test)]
mod tests;

use std::fmt;

use memchr::memchr;

use crate::command::{Append, AppendForm, Request, Tag};
use crate::parse::{self, Cursor, LiteralHeader, Parsed, Synchronisation};
use crate::{Code, Error, NameEncoding};

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

/// Octets of a line beyond its limit that are read and thrown away to keep the connection.
const SKIP_LIMIT: usize = 1_000_000;

/// No line end with a literal header in front of it is longer: `~{9223372036854775807+}` CRLF.
const LITERAL_HEADER_MAX: usize = 32;

/// Frames a session's input. Feed octets, then take events until there are none.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    names: NameEncoding,
    input: Input,
    frame: Frame,
    state: State,
    /// Nothing has been understood yet: the client may not be speaking IMAP at all.
    fresh: bool,
}

/// How far the command at the start of the buffer has been framed.
#[derive(Debug, Default)]
struct Frame {
    /// Where the current line starts: behind the last literal, which may not be there yet.
    line_start: usize,
    /// Up to where a line end has been looked for.
    searched: usize,
    /// Octets of earlier lines.
    lines: usize,
    /// Number and octets of literals so far.
    literals: usize,
    literal_octets: u64,
    /// Whether one of them did not wait for a continuation request.
    unasked: bool,
}

#[derive(Debug)]
enum State {
    /// At a command or within one.
    Command,
    /// Within a line that is too long.
    TooLong { tag: Option<Tag>, skipped: usize },
    /// APPEND is announced and not yet accepted or refused.
    AppendAnnounced { message: Message, sync: Synchronisation },
    /// Within the message of an accepted APPEND.
    AppendData(Message),
    /// Behind it.
    AppendTail(Message),
    /// Within the message of a refused APPEND.
    Discard { remaining: u64 },
    /// Behind it.
    DiscardTail,
    /// At a line of AUTHENTICATE.
    Authenticate,
    /// In IDLE.
    Idle,
    /// After a fatal event.
    Closed,
}

#[derive(Debug)]
struct Message {
    tag: Tag,
    form: AppendForm,
    remaining: u64,
    /// A NUL came where none may be.
    nul: bool,
}

/// Octets fed and not yet consumed. They may hold a password, so that debug output has none of them.
#[derive(Default)]
struct Input {
    octets: Vec<u8>,
    /// How many of them have been consumed: they are only removed when more are fed, so that many small commands in one
    /// read do not each move the rest.
    consumed: usize,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.unread().len())
    }
}

impl Input {
    fn feed(&mut self, octets: &[u8]) {
        self.octets.drain(..self.consumed.min(self.octets.len()));
        self.consumed = 0;
        self.octets.extend_from_slice(octets);
    }

    fn unread(&self) -> &[u8] {
        self.octets.get(self.consumed..).unwrap_or_default()
    }

    /// Up to `limit` octets from the front.
    fn take(&mut self, limit: u64) -> Vec<u8> {
        let unread = self.unread();
        let length = usize::try_from(limit).map_or(unread.len(), |limit| limit.min(unread.len()));
        if self.consumed == 0 && length == self.octets.len() {
            return std::mem::take(&mut self.octets);
        }
        let taken = unread.get(..length).unwrap_or_default().to_vec();
        self.consumed += length;
        taken
    }

    /// The same, or `None` if there are none.
    fn take_some(&mut self, limit: u64) -> Option<Vec<u8>> {
        if self.unread().is_empty() { None } else { Some(self.take(limit)) }
    }
}

impl Session {
    /// A session at its start, before the greeting.
    #[must_use]
    pub fn new(limits: Limits) -> Session {
        Session {
            limits,
            names: NameEncoding::default(),
            input: Input::default(),
            frame: Frame::default(),
            state: State::Command,
            fresh: true,
        }
    }

    /// Adds received octets.
    pub fn feed(&mut self, octets: &[u8]) {
        self.input.feed(octets);
    }

    /// The session has enabled IMAP4rev2 or UTF8=ACCEPT: mailbox names are UTF-8 from now on.
    pub fn set_names(&mut self, names: NameEncoding) {
        self.names = names;
    }

    /// Takes the message of the APPEND just announced. True: the client waits for a continuation request.
    pub fn accept_append(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Command) {
            State::AppendAnnounced { message, sync } => {
                self.state = State::AppendData(message);
                sync == Synchronisation::Waits
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Does not take the message of the APPEND just announced.
    pub fn refuse_append(&mut self) -> Refusal {
        let State::AppendAnnounced { message, sync } = &self.state else { return Refusal::GoesOn };
        let (state, refusal) = match sync {
            // The client sees the tagged answer instead of a continuation request and sends nothing.
            Synchronisation::Waits => (State::Command, Refusal::GoesOn),
            Synchronisation::DoesNotWait if message.remaining <= self.limits.discard => {
                (State::Discard { remaining: message.remaining }, Refusal::GoesOn)
            }
            Synchronisation::DoesNotWait => (State::Closed, Refusal::MustClose),
        };
        self.state = state;
        refusal
    }

    /// The next line is the client's part of an AUTHENTICATE exchange.
    pub fn expect_authenticate_line(&mut self) {
        self.state = State::Authenticate;
    }

    /// The next line must be DONE: after the continuation request of IDLE.
    pub fn expect_done(&mut self) {
        self.state = State::Idle;
    }

    /// Takes the octets fed and not yet consumed. After STARTTLS these were sent in the clear and must be refused.
    pub fn take_unread(&mut self) -> Vec<u8> {
        self.frame = Frame::default();
        self.input.take(u64::MAX)
    }

    /// The next event, or `None` until more octets are fed. Answer one event before asking for the next:
    /// a command may change how the input after it is read.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match &mut self.state {
                State::Command => return self.next_command(),
                State::TooLong { .. } => return self.skip_long_line(),
                State::AppendAnnounced { .. } | State::Closed => return None,
                State::AppendData(message) if message.remaining > 0 => {
                    let octets = self.input.take_some(message.remaining)?;
                    message.remaining -= octets.len() as u64;
                    message.nul |= message.form == AppendForm::Literal && octets.contains(&0);
                    return Some(Event::AppendData(octets));
                }
                State::AppendData(_) => {
                    if let State::AppendData(message) = std::mem::replace(&mut self.state, State::Command) {
                        self.state = State::AppendTail(message);
                    }
                }
                State::AppendTail(_) => return self.append_tail(),
                State::Discard { remaining: 0 } => self.state = State::DiscardTail,
                State::Discard { remaining } => *remaining -= self.input.take_some(*remaining)?.len() as u64,
                State::DiscardTail => match self.take_line()? {
                    Ok(line) if announces_unasked_literal(&line) => return Some(self.fatal(None, None, UNFOLLOWABLE)),
                    Ok(_) => self.state = State::Command,
                    Err(event) => return Some(event),
                },
                State::Authenticate => return self.authenticate_line(),
                State::Idle => return self.idle_line(),
            }
        }
    }

    fn next_command(&mut self) -> Option<Event> {
        loop {
            // Whatever cannot begin a tag (TLS, for one) is not IMAP, and may never send a line end.
            if self.fresh && self.input.unread().first().is_some_and(|octet| !parse::is_tag_char(*octet)) {
                return Some(self.not_imap());
            }
            let start = self.frame.line_start;
            let from = self.frame.searched.max(start);
            let found = memchr(b'\n', self.input.unread().get(from..)?);
            let end = found.map_or(self.input.unread().len(), |at| from + at + 1);
            self.frame.searched = end;
            if self.frame.lines + (end - start) > self.limits.line {
                return self.line_too_long();
            }
            found?;
            let header = LiteralHeader::ending(self.input.unread().get(start..end)?);
            let Some(header) = header else { return Some(self.complete(end)) };
            if let Some(event) = self.literal(header, end) {
                return Some(event);
            }
        }
    }

    /// The command ends at `end`.
    fn complete(&mut self, end: usize) -> Event {
        let unasked = self.frame.unasked;
        let octets = self.take_command(end);
        match parse::command(&octets, self.names) {
            Ok(Parsed::Request(request)) => {
                self.fresh = false;
                Event::Command(request)
            }
            Ok(Parsed::Append(append, _)) => self.reject(Some(append.tag), None, "APPEND without a message"),
            Err(failure) => self.syntax_error(&octets, failure, unasked),
        }
    }

    /// A literal is announced at the end of the line that ends at `end`.
    fn literal(&mut self, header: LiteralHeader, end: usize) -> Option<Event> {
        let waits = header.sync == Synchronisation::Waits;
        // Parsing what there is, before the client sends more, is worth it where the client waits. Where it does not
        // wait, the complete command is parsed once; APPEND must be known before its message comes.
        if waits || self.is_append(end) {
            let prefix = self.input.unread().get(..end).unwrap_or_default();
            match parse::command(prefix, self.names) {
                Ok(Parsed::Append(append, sync)) => {
                    self.take_command(end);
                    self.fresh = false;
                    let message =
                        Message { tag: append.tag.clone(), form: append.form, remaining: append.size, nul: false };
                    self.state = State::AppendAnnounced { message, sync };
                    return Some(Event::Append(append));
                }
                Err(failure) if failure.error == Error::Incomplete => {}
                Ok(Parsed::Request(_)) => {
                    return Some(self.complete(end));
                }
                // Grammatical, so it is a message that follows: it can be thrown away.
                Err(parse::Failure { tag, error: error @ Error::Value { .. } })
                    if !waits && header.size <= self.limits.discard =>
                {
                    self.take_command(end);
                    self.state = State::Discard { remaining: header.size };
                    return Some(self.reject(tag, None, error.to_string()));
                }
                Err(failure) => {
                    let unasked = self.frame.unasked || !waits;
                    let octets = self.take_command(end);
                    return Some(self.syntax_error(&octets, failure, unasked));
                }
            }
        }
        self.frame.literals += 1;
        self.frame.literal_octets = self.frame.literal_octets.saturating_add(header.size);
        if header.size > self.limits.literal
            || self.frame.literals > self.limits.literals_count
            || self.frame.literal_octets > self.limits.literals_total
        {
            let tag = tag_of(self.input.unread());
            let text = "literals too large or too many";
            if !waits {
                return Some(self.fatal(tag, Some(Code::TooBig), text));
            }
            self.take_command(end);
            return Some(self.reject(tag, Some(Code::TooBig), text));
        }
        self.frame.lines += end - self.frame.line_start;
        // The limits have been checked, so the size is small.
        self.frame.line_start = end.saturating_add(usize::try_from(header.size).unwrap_or(usize::MAX));
        self.frame.unasked |= !waits;
        waits.then_some(Event::ContinueLiteral)
    }

    /// Whether the command, of which the octets up to `end` are known, is an APPEND.
    fn is_append(&self, end: usize) -> bool {
        let mut words = self.input.unread().get(..end).unwrap_or_default().split(|octet| *octet == b' ');
        words.next();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"APPEND"))
    }

    /// Removes the command that ends at `end` from the buffer.
    fn take_command(&mut self, end: usize) -> Vec<u8> {
        self.frame = Frame::default();
        self.input.take(end as u64)
    }

    fn syntax_error(&mut self, octets: &[u8], failure: parse::Failure, unasked: bool) -> Event {
        if self.fresh && !looks_like_imap(octets) {
            return self.not_imap();
        }
        self.fresh = false;
        let parse::Failure { tag, error } = failure;
        // What is not grammatical may not have been a command with literals at all, and what follows not commands.
        if unasked && !matches!(error, Error::Value { .. }) {
            return self.fatal(tag, None, error.to_string());
        }
        self.reject(tag, None, error.to_string())
    }

    fn reject(&self, tag: Option<Tag>, code: Option<Code>, text: impl Into<String>) -> Event {
        Event::Rejected(Rejection { tag, code, text: text.into() })
    }

    fn fatal(&mut self, tag: Option<Tag>, code: Option<Code>, text: impl Into<String>) -> Event {
        self.state = State::Closed;
        self.take_unread();
        Event::Fatal(Rejection { tag, code, text: text.into() })
    }

    fn not_imap(&mut self) -> Event {
        self.fatal(None, None, "please try again speaking IMAP")
    }

    fn line_too_long(&mut self) -> Option<Event> {
        self.state = State::TooLong { tag: tag_of(self.input.unread()), skipped: 0 };
        self.input.take(self.frame.line_start as u64);
        self.frame = Frame::default();
        self.skip_long_line()
    }

    /// Throws away the rest of a line that is too long, and answers at its end: a client that waits for its literal to be
    /// asked for sends no more, one that does not wait cannot be followed.
    fn skip_long_line(&mut self) -> Option<Event> {
        let State::TooLong { tag, skipped } = &mut self.state else { return None };
        let tag = tag.clone();
        let text = "command line too long";
        let Some(end) = memchr(b'\n', self.input.unread()) else {
            let surplus = self.input.unread().len().saturating_sub(LITERAL_HEADER_MAX);
            self.input.take(surplus as u64);
            *skipped += surplus;
            return (*skipped > SKIP_LIMIT).then(|| self.fatal(tag, Some(Code::TooBig), text));
        };
        let line = self.input.take(end as u64 + 1);
        if announces_unasked_literal(&line) {
            return Some(self.fatal(tag, Some(Code::TooBig), text));
        }
        self.state = State::Command;
        Some(self.reject(tag, Some(Code::TooBig), text))
    }

    /// What stands between the message of an accepted APPEND and the end of the command.
    fn append_tail(&mut self) -> Option<Event> {
        let line = match self.take_line()? {
            Ok(line) => line,
            Err(event) => return Some(event),
        };
        let State::AppendTail(message) = std::mem::replace(&mut self.state, State::Command) else { return None };
        let expected: &[u8] = if message.form == AppendForm::Utf8 { b")\r\n" } else { b"\r\n" };
        let problem = if line != expected {
            if announces_unasked_literal(&line) {
                return Some(self.fatal(Some(message.tag), None, UNFOLLOWABLE));
            }
            "expected the end of the command after the message"
        } else if message.nul {
            // RFC 9051 §4.3.1: only literal8 may hold NUL.
            "NUL in the message: it must be sent as a binary literal (\"~{\")"
        } else {
            return Some(Event::AppendEnd);
        };
        Some(Event::AppendFailed(Rejection { tag: Some(message.tag), code: None, text: problem.to_owned() }))
    }

    /// A whole line from the front of the buffer, or a fatal event if it is too long.
    fn take_line(&mut self) -> Option<Result<Vec<u8>, Event>> {
        match memchr(b'\n', self.input.unread()) {
            Some(end) if end < self.limits.line => Some(Ok(self.input.take(end as u64 + 1))),
            None if self.input.unread().len() <= self.limits.line => None,
            _ => Some(Err(self.fatal(None, Some(Code::TooBig), "line too long"))),
        }
    }

    fn authenticate_line(&mut self) -> Option<Event> {
        let line = match self.take_line()? {
            Ok(line) => line,
            Err(event) => return Some(event),
        };
        self.state = State::Command;
        Some(Event::AuthenticateLine(match without_line_end(&line) {
            // RFC 9051 §6.2.2
            b"*" => AuthenticateLine::Cancelled,
            text => parse::base64(text).map_or(AuthenticateLine::Invalid, AuthenticateLine::Data),
        }))
    }

    fn idle_line(&mut self) -> Option<Event> {
        let line = match self.take_line()? {
            Ok(line) => line,
            Err(event) => return Some(event),
        };
        self.state = State::Command;
        if without_line_end(&line).eq_ignore_ascii_case(b"DONE") {
            return Some(Event::Done);
        }
        Some(self.reject(None, None, "expected DONE"))
    }
}

const UNFOLLOWABLE: &str = "a literal that was not asked for, where none can be";

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether the client goes on with a literal at once, which in an erroneous command cannot be told from new commands.
fn announces_unasked_literal(line: &[u8]) -> bool {
    LiteralHeader::ending(line).is_some_and(|header| header.sync == Synchronisation::DoesNotWait)
}

fn tag_of(command: &[u8]) -> Option<Tag> {
    let octets = Cursor::new(command).take_while(parse::is_tag_char).ok()?;
    Tag::new(std::str::from_utf8(octets).ok()?)
}

/// Whether a first line that does not parse has at least the shape of a command: `tag SP 1*ALPHA ...`.
fn looks_like_imap(line: &[u8]) -> bool {
    let mut words = without_line_end(line).split(|octet| *octet == b' ');
    let tag = words.next().is_some_and(|word| !word.is_empty() && word.iter().all(|octet| parse::is_tag_char(*octet)));
    let is_name_char = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    let name = words.next().is_some_and(|word| !word.is_empty() && word.iter().all(is_name_char));
    tag && name
}
