//! Replies: a code, an enhanced status, and text (RFC 5321 §4.2, RFC 2034, RFC 3463).
//!
//! ```text
//! Reply-line   = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF     ; RFC 5321 §4.2
//! Reply-code   = %x32-35 %x30-35 %x30-39
//! status-code  = class "." subject "." detail                                                  ; RFC 3463 §2
//! ```

use std::fmt;

use mailstead_names::{EnhancedStatus, StatusClass};

/// Longest reply line written, without CRLF (RFC 5321 §4.5.3.1.5).
const LINE_MAX: usize = 510;
/// Text is broken at the first space after this column.
const BREAK_AFTER: usize = 400;
/// Longest reply line accepted from a server; generous, since many ignore the limit.
const RECEIVED_LINE_MAX: usize = 8192;
/// Most lines accepted in one reply.
const RECEIVED_LINES_MAX: usize = 500;

/// What the first digit of a code says (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// 2yz: done.
    Completion,
    /// 3yz: waiting for more.
    Intermediate,
    /// 4yz: try again later.
    Transient,
    /// 5yz: do not repeat.
    Permanent,
}

/// A reply, as sent by a server or received by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three-digit code.
    pub code: u16,
    /// The enhanced status, where the line carries one.
    pub status: Option<EnhancedStatus>,
    /// Text, one element a line, without code and status. Never empty in a received reply.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply with an enhanced status; line breaks in `text` make several lines.
    pub fn new(code: u16, status: EnhancedStatus, text: impl AsRef<str>) -> Reply {
        Reply { status: Some(status), ..Reply::plain(code, text) }
    }

    /// A reply without an enhanced status, as RFC 2034 §4 requires for 220 greetings, EHLO and 3yz.
    pub fn plain(code: u16, text: impl AsRef<str>) -> Reply {
        Reply { code, status: None, lines: text.as_ref().lines().map(str::to_owned).collect() }
    }

    /// The meaning of the first digit; a code out of range counts as permanent.
    pub fn severity(&self) -> Severity {
        match self.code / 100 {
            2 => Severity::Completion,
            3 => Severity::Intermediate,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }

    /// Whether the code is 2yz.
    pub fn is_completion(&self) -> bool {
        self.severity() == Severity::Completion
    }

    /// Whether the code is 4yz or 5yz.
    pub fn is_error(&self) -> bool {
        matches!(self.severity(), Severity::Transient | Severity::Permanent)
    }

    /// All text on one line.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The same reply with ` (mark)` at the end of its text.
    #[must_use]
    pub fn marked(mut self, mark: &str) -> Reply {
        match self.lines.last_mut() {
            Some(last) => {
                last.push_str(" (");
                last.push_str(mark);
                last.push(')');
            }
            None => self.lines.push(format!("({mark})")),
        }
        self
    }

    /// Appends the wire form to `out`, wrapping long lines and replacing control characters.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let prefix = self.status.map(|status| format!("{status} ")).unwrap_or_default();
        let text: Vec<String> =
            self.lines.iter().map(|line| line.replace(|c: char| c.is_control() && c != '\t', "?")).collect();
        let mut pieces: Vec<&str> =
            text.iter().flat_map(|line| wrap(line, LINE_MAX - "NNN-".len() - prefix.len())).collect();
        if pieces.is_empty() {
            pieces.push("");
        }
        let last = pieces.len() - 1;
        for (index, piece) in pieces.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}{prefix}{piece}\r\n", self.code).as_bytes());
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        for line in &self.lines {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// Cuts `line` into pieces of at most `max` octets: at a space after [`BREAK_AFTER`] where there is one.
fn wrap(line: &str, max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while rest.len() > max {
        let window = rest.floor_char_boundary(max);
        let space = rest.as_bytes().iter().take(window + 1).skip(BREAK_AFTER).position(|&octet| octet == b' ');
        let (cut, resume) = space.map_or((window, window), |offset| (BREAK_AFTER + offset, BREAK_AFTER + offset + 1));
        pieces.push(rest.get(..cut).unwrap_or_default());
        rest = rest.get(resume..).unwrap_or_default();
    }
    pieces.push(rest);
    pieces
}

/// A reply that follows no grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The line has no code, or something else than space or hyphen after it.
    #[error("malformed reply line {0:?}")]
    Malformed(String),
    /// The lines of one reply have different codes.
    #[error("reply codes {0} and {1} in one reply")]
    MixedCodes(u16, u16),
    /// A line or the whole reply is too long.
    #[error("reply too long")]
    TooLong,
}

/// Puts reply lines together.
#[derive(Clone, Debug, Default)]
pub struct ReplyParser {
    buffer: Vec<u8>,
    partial: Option<Reply>,
}

impl ReplyParser {
    /// A parser at the start of a reply.
    pub fn new() -> ReplyParser {
        ReplyParser::default()
    }

    /// Adds octets from the server.
    pub fn receive(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Octets received and not yet taken as a reply.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next complete reply, or `None` when more octets are needed.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer) else {
                return if self.buffer.len() > RECEIVED_LINE_MAX { Err(ReplyError::TooLong) } else { Ok(None) };
            };
            if end > RECEIVED_LINE_MAX {
                return Err(ReplyError::TooLong);
            }
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            if let Some(reply) = self.line(&text)? {
                return Ok(Some(reply));
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<Option<Reply>, ReplyError> {
        let malformed = || ReplyError::Malformed(line.chars().take(200).collect());
        let (digits, rest) = line.split_at_checked(3).ok_or_else(malformed)?;
        let code: u16 = digits.parse().map_err(|_| malformed())?;
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) || !(200..600).contains(&code) {
            return Err(malformed());
        }
        let (continued, text) = match rest.split_at_checked(1) {
            None => (false, ""),
            Some((" ", text)) => (false, text),
            Some(("-", text)) => (true, text),
            Some(_) => return Err(malformed()),
        };
        let (status, text) = split_status(code, text);
        let reply = match self.partial.take() {
            None => Reply { code, status, lines: vec![text.to_owned()] },
            Some(partial) if partial.code != code => return Err(ReplyError::MixedCodes(partial.code, code)),
            Some(partial) if partial.lines.len() >= RECEIVED_LINES_MAX => return Err(ReplyError::TooLong),
            Some(mut partial) => {
                partial.status = partial.status.or(status);
                partial.lines.push(text.to_owned());
                partial
            }
        };
        if continued {
            self.partial = Some(reply);
            return Ok(None);
        }
        Ok(Some(reply))
    }
}

/// Takes an enhanced status off the text. One whose class contradicts the code is text (RFC 2034 §4).
fn split_status(code: u16, text: &str) -> (Option<EnhancedStatus>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let class = match code / 100 {
        2 => StatusClass::Success,
        4 => StatusClass::PersistentTransient,
        _ => StatusClass::Permanent,
    };
    match word.parse::<EnhancedStatus>() {
        Ok(status) if status.class() == class => (Some(status), rest),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(wire: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let mut parser = ReplyParser::new();
        parser.receive(wire);
        parser.next_reply()
    }

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_carries_code_and_status() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), "no such user\nask the postmaster");
        assert_eq!(encoded(&reply), "550-5.1.1 no such user\r\n550 5.1.1 ask the postmaster\r\n");
        assert_eq!(parse(encoded(&reply).as_bytes()), Ok(Some(reply)));
    }

    #[test]
    fn marks_the_last_line() {
        let reply = Reply::new(451, EnhancedStatus::new(4, 3, 0), "error\nprocessing").marked("abc");
        assert_eq!(encoded(&reply), "451-4.3.0 error\r\n451 4.3.0 processing (abc)\r\n");
    }

    #[test]
    fn long_text_is_wrapped_at_a_space() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 7, 1), "word ".repeat(300));
        let wire = encoded(&reply);
        assert!(wire.lines().count() > 2);
        assert!(wire.lines().all(|line| line.len() <= LINE_MAX));
        assert_eq!(wire.lines().map(|line| &line[10..]).collect::<Vec<_>>().join(" "), "word ".repeat(300));
        let unbroken = encoded(&Reply::plain(250, "\u{e9}".repeat(600)));
        assert!(unbroken.lines().all(|line| line.len() <= LINE_MAX));
    }

    #[test]
    fn text_cannot_break_out_of_its_line() {
        assert_eq!(encoded(&Reply::plain(250, "a\rb\u{0}c")), "250 a?b?c\r\n");
        assert_eq!(encoded(&Reply::plain(250, "")), "250 \r\n");
    }

    #[test]
    fn status_of_another_class_is_text() {
        let reply = parse(b"250 4.1.1 fine\r\n").unwrap().unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (None, "4.1.1 fine"));
        assert_eq!(parse(b"250\r\n").unwrap().unwrap().lines, [""]);
    }

    #[test]
    fn malformed_replies() {
        for bad in ["", "25", "2x0 a", "99 a", "600 a", "250_a", "+50 a", "\u{e9}50 a"] {
            assert!(matches!(parse(format!("{bad}\r\n").as_bytes()), Err(ReplyError::Malformed(_))), "{bad:?}");
        }
        assert_eq!(parse(b"250-a\r\n251 b\r\n"), Err(ReplyError::MixedCodes(250, 251)));
        assert_eq!(parse(&[b'2'; RECEIVED_LINE_MAX + 1]), Err(ReplyError::TooLong));
        assert_eq!(parse(&b"250-a\r\n".repeat(RECEIVED_LINES_MAX + 1)), Err(ReplyError::TooLong));
    }

    proptest! {
        #[test]
        fn a_prefix_is_incomplete_and_the_whole_round_trips(text in "[a-z ]{1,40}(\n[a-z ]{1,40}){0,3}", cut in 0usize..200) {
            let reply = Reply::new(451, EnhancedStatus::new(4, 4, 0), text);
            let wire = encoded(&reply);
            prop_assert_eq!(parse(&wire.as_bytes()[..cut.min(wire.len() - 1)]), Ok(None));
            prop_assert_eq!(parse(wire.as_bytes()), Ok(Some(reply)));
        }
    }
}
