//! The streaming scanner: octets in pieces of any size, one [`Structure`] out.
//!
//! It works line by line and holds, besides the tree, the header being read and the first octets of a line that is cut
//! by the end of a piece. A delimiter is an exact match of a boundary with optional trailing white space, so a boundary
//! that begins with another one is told apart:
//!
//! ```abnf
//! dash-boundary     := "--" boundary
//! delimiter         := CRLF dash-boundary                    ; RFC 2046 §5.1.1, the CRLF belongs to the delimiter
//! close-delimiter   := delimiter "--"
//! encapsulation     := delimiter transport-padding CRLF body-part
//! transport-padding := *LWSP-char
//! ```
//! Bare LF counts as a line end, since clients APPEND such messages; bare CR does not.

use crate::envelope::Envelope;
use crate::header::Fields;
use crate::structure::fields::{self, DefaultType};
use crate::structure::{Anomalies, Limits, Part, Structure, TransferEncoding};

/// Octets of a line that are compared with boundaries. RFC 2046 allows boundaries of 70; the rest is for padding.
const LINE_PREFIX: usize = 1024;
/// Longest boundary that is honoured.
const MAX_BOUNDARY: usize = 512;

/// Builds a [`Structure`] from octets in pieces. The result does not depend on how they are cut.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    anomalies: Anomalies,
    /// Octets taken so far.
    offset: u64,
    /// Lines ended so far.
    lines: u64,
    /// Open parts, the root first.
    open: Vec<Open>,
    parts: usize,
    headers_left: usize,
    /// Whether the innermost open part's header is being read; its octets are then in `header`.
    in_header: bool,
    header: Vec<u8>,
    /// Length of `header` at the start of the current line.
    header_line: usize,
    header_full: bool,
    /// The current line so far, where a piece ended inside it.
    partial: Partial,
    previous: PreviousLine,
}

#[derive(Debug, Default)]
struct Partial {
    prefix: Vec<u8>,
    length: u64,
    last: u8,
}

/// What closing a part needs to know of the line before a delimiter.
#[derive(Debug, Default, Clone, Copy)]
struct PreviousLine {
    line_end: u64,
    empty: bool,
}

#[derive(Debug)]
struct Open {
    part: Part,
    kind: Kind,
    lines_before_body: u64,
    default_type: DefaultType,
}

#[derive(Debug)]
enum Kind {
    /// Header being read, or a body without inner structure.
    Leaf,
    Message,
    /// Delimiters are looked for.
    Multipart(Vec<u8>),
    /// After the close-delimiter.
    Epilogue,
}

/// One complete line.
struct Line<'a> {
    start: u64,
    end: u64,
    /// Octets of the line end: 0, 1 or 2.
    line_end: u64,
    /// The first octets without the line end; all of them unless longer than [`LINE_PREFIX`].
    prefix: &'a [u8],
    whole: bool,
}

enum Delimiter {
    Next,
    Close,
}

impl Scanner {
    /// A scanner at the start of a message.
    #[must_use]
    pub fn new(limits: Limits) -> Scanner {
        Scanner {
            limits,
            anomalies: Anomalies::default(),
            offset: 0,
            lines: 0,
            open: vec![Open::at(0, 0, DefaultType::TextPlain)],
            parts: 1,
            headers_left: limits.headers_total,
            in_header: true,
            header: Vec::new(),
            header_line: 0,
            header_full: false,
            partial: Partial::default(),
            previous: PreviousLine::default(),
        }
    }

    /// Takes the next octets.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            let (piece, ended) = match memchr::memchr(b'\n', rest) {
                Some(at) => (&rest[..=at], true),
                None => (rest, false),
            };
            rest = &rest[piece.len()..];
            self.look(piece);
            self.offset += piece.len() as u64;
            if ended && self.partial.length == 0 {
                self.end_line(piece, piece.len() as u64, piece.len().checked_sub(2).map_or(0, |at| piece[at]));
                continue;
            }
            let mut partial = std::mem::take(&mut self.partial);
            let room = LINE_PREFIX.saturating_sub(partial.prefix.len()).min(piece.len());
            partial.prefix.extend_from_slice(&piece[..room]);
            partial.length += piece.len() as u64;
            let before_last = piece.len().checked_sub(2).map_or(partial.last, |at| piece[at]);
            partial.last = piece.last().copied().unwrap_or(partial.last);
            if ended {
                self.end_line(&partial.prefix, partial.length, before_last);
                partial.prefix.clear();
                partial.length = 0;
                partial.last = 0;
            }
            self.partial = partial;
        }
    }

    /// Octets taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.offset
    }

    /// Ends the message.
    #[must_use]
    pub fn finish(mut self) -> Structure {
        let partial = std::mem::take(&mut self.partial);
        if partial.length > 0 {
            let start = self.offset - partial.length;
            let whole = partial.prefix.len() as u64 == partial.length;
            self.line(&Line { start, end: self.offset, line_end: 0, prefix: &partial.prefix, whole });
        }
        if self.in_header && self.open.len() == 1 {
            self.anomalies.insert(Anomalies::NO_BODY);
        }
        while self.in_header {
            self.end_header(self.offset);
        }
        let mut root = None;
        while let Some(open) = self.open.pop() {
            let lines = self.lines.saturating_sub(open.lines_before_body);
            let part = self.close(open, self.offset, lines);
            match self.open.last_mut() {
                Some(parent) => parent.part.children.push(part),
                None => root = Some(part),
            }
        }
        Structure { root: root.unwrap_or_default(), size: self.offset, anomalies: self.anomalies }
    }

    /// Notes unusual octets, and keeps those of a header.
    fn look(&mut self, piece: &[u8]) {
        if !piece.is_ascii() {
            let here = if self.in_header { Anomalies::EIGHT_BIT_HEADER } else { Anomalies::EIGHT_BIT_BODY };
            self.anomalies.insert(here);
        }
        if !self.anomalies.contains(Anomalies::NUL) && memchr::memchr(0, piece).is_some() {
            self.anomalies.insert(Anomalies::NUL);
        }
        if self.in_header && !self.header_full {
            let limit = self.limits.header.min(self.headers_left);
            if self.header.len() + piece.len() > limit {
                self.header_full = true;
                self.header.truncate(self.header_line);
                self.anomalies.insert(Anomalies::HEADER_LIMIT);
            } else {
                self.header.extend_from_slice(piece);
            }
        }
    }

    /// A line of `length` octets ended with LF; `before` is the octet before it.
    fn end_line(&mut self, prefix: &[u8], length: u64, before: u8) {
        let line_end = if before == b'\r' { 2 } else { 1 };
        if line_end == 1 {
            self.anomalies.insert(Anomalies::BARE_LF);
        }
        let content = length - line_end;
        let kept = usize::try_from(content).unwrap_or(usize::MAX).min(prefix.len());
        let line = Line {
            start: self.offset - length,
            end: self.offset,
            line_end,
            prefix: &prefix[..kept],
            whole: kept as u64 == content,
        };
        self.line(&line);
    }

    fn line(&mut self, line: &Line<'_>) {
        match self.delimiter(line) {
            Some((level, delimiter)) => self.at_delimiter(level, &delimiter, line),
            None if self.in_header && line.prefix.is_empty() => {
                self.lines += 1;
                self.header.truncate(self.header_line);
                self.end_header(line.end);
                self.lines -= 1;
            }
            None => {}
        }
        self.lines += 1;
        self.header_line = self.header.len();
        self.previous = PreviousLine { line_end: line.line_end, empty: line.prefix.is_empty() };
    }

    /// Which open multipart, innermost first, this line delimits. RFC 2046 §5.1.2: an outer boundary ends whatever is
    /// unterminated inside.
    fn delimiter(&self, line: &Line<'_>) -> Option<(usize, Delimiter)> {
        let text = line.prefix.strip_prefix(b"--").filter(|_| line.whole)?;
        let text = trim_padding(text);
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let Kind::Multipart(boundary) = &open.kind else { return None };
            match text.strip_prefix(boundary.as_slice())? {
                b"" => Some((level, Delimiter::Next)),
                b"--" => Some((level, Delimiter::Close)),
                _ => None,
            }
        })
    }

    fn at_delimiter(&mut self, level: usize, delimiter: &Delimiter, line: &Line<'_>) {
        if self.in_header {
            // A part without an empty line after its header: all of it is header.
            self.header.truncate(self.header_line);
            while self.in_header {
                self.end_header(line.start);
            }
        }
        while self.open.len() > level + 1 {
            let Some(open) = self.open.pop() else { break };
            let lines = self.lines.saturating_sub(open.lines_before_body);
            // The line end before a delimiter belongs to it, unless the part's content is all header down to here.
            let part = if open.part.children.last().is_some_and(|child| child.body.end == line.start) {
                self.close(open, line.start, lines)
            } else {
                let end = line.start.saturating_sub(self.previous.line_end);
                self.close(open, end, lines.saturating_sub(u64::from(self.previous.empty)))
            };
            if let Some(parent) = self.open.last_mut() {
                parent.part.children.push(part);
            }
        }
        let Some(multipart) = self.open.last_mut() else { return };
        let full = self.parts >= self.limits.parts;
        match delimiter {
            Delimiter::Next if !full => {
                let default_type = if multipart.part.content_type.subtype == "digest" {
                    DefaultType::MessageRfc822
                } else {
                    DefaultType::TextPlain
                };
                self.begin(line.end, default_type);
            }
            Delimiter::Next | Delimiter::Close => {
                multipart.kind = Kind::Epilogue;
                if matches!(delimiter, Delimiter::Next) {
                    self.anomalies.insert(Anomalies::PART_LIMIT);
                }
            }
        }
    }

    /// Opens a part whose header starts at `start`.
    fn begin(&mut self, start: u64, default_type: DefaultType) {
        self.open.push(Open::at(start, self.lines, default_type));
        self.parts += 1;
        self.in_header = true;
        self.header.clear();
        self.header_line = 0;
        self.header_full = false;
    }

    /// The innermost header ended at `end`, where the body starts: decides what the part is.
    fn end_header(&mut self, end: u64) {
        self.in_header = false;
        let depth = self.open.len() - 1;
        let of_message = match depth.checked_sub(1).and_then(|parent| self.open.get(parent)) {
            Some(parent) => matches!(parent.kind, Kind::Message),
            None => true,
        };
        let header = std::mem::take(&mut self.header);
        self.headers_left = self.headers_left.saturating_sub(header.len());
        if Fields::new(&header).any(|field| field.name().is_empty()) {
            self.anomalies.insert(Anomalies::NOT_A_FIELD);
        }
        let Some(open) = self.open.last_mut() else { return };
        open.lines_before_body = self.lines;
        let part = &mut open.part;
        part.header.end = end;
        part.body = end..end;
        fields::read(part, &header, open.default_type);
        if of_message {
            part.envelope = Some(Box::new(Envelope::parse(&header)));
        }
        self.header = header;
        self.header.clear();

        let is_multipart = part.content_type.kind == "multipart";
        if !is_multipart && !part.content_type.is_message() {
            return;
        }
        if depth >= self.limits.nesting {
            self.anomalies.insert(Anomalies::NESTING_LIMIT);
        } else if is_multipart {
            match part.content_type.param("boundary") {
                Some(boundary) if (1..=MAX_BOUNDARY).contains(&boundary.trim_end().len()) => {
                    open.kind = Kind::Multipart(boundary.trim_end().as_bytes().to_vec());
                }
                _ => self.anomalies.insert(Anomalies::MISSING_BOUNDARY),
            }
        } else if part.transfer_encoding() != TransferEncoding::Identity {
            // RFC 2046 §5.2.1 forbids it; message/global may be encoded (RFC 6532 §3.7), its inside has no octets here.
            self.anomalies.insert(Anomalies::ENCODED_MESSAGE);
        } else if self.parts >= self.limits.parts {
            self.anomalies.insert(Anomalies::PART_LIMIT);
        } else {
            open.kind = Kind::Message;
            self.begin(end, DefaultType::TextPlain);
        }
    }

    /// Finishes a part whose body ends at `end`.
    fn close(&mut self, open: Open, end: u64, lines: u64) -> Part {
        let Open { mut part, kind, .. } = open;
        part.body.end = end.max(part.body.start);
        part.lines = if part.body.is_empty() { 0 } else { lines };
        if matches!(kind, Kind::Multipart(_)) {
            self.anomalies.insert(Anomalies::UNTERMINATED_MULTIPART);
        }
        if matches!(kind, Kind::Multipart(_) | Kind::Epilogue) && part.children.is_empty() {
            // IMAP's grammar wants at least one part in a multipart.
            let end = part.body.end;
            part.children.push(Part { header: end..end, body: end..end, ..Part::default() });
        }
        part
    }
}

impl Open {
    fn at(start: u64, lines: u64, default_type: DefaultType) -> Open {
        let part = Part { header: start..start, body: start..start, ..Part::default() };
        Open { part, kind: Kind::Leaf, lines_before_body: lines, default_type }
    }
}

/// Removes transport padding.
fn trim_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |at| at + 1);
    text.get(..end).unwrap_or(text)
}
