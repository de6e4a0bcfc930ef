//! The MIME structure of one message: a tree of parts with octet ranges (RFC 2045, RFC 2046), and IMAP's view of it
//! (part numbers and sections, RFC 9051 §6.4.5.1).
//!
//! [`Scanner`] builds the tree in one pass over the octets; [`Structure::encode`] and [`Structure::decode`] are its
//! stored form. Decoding of bodies is in [`crate::text`], writing of BODYSTRUCTURE in the IMAP crate.

use std::borrow::Cow;
use std::ops::Range;

use crate::envelope::Envelope;
use crate::param;

mod codec;
mod fields;
mod scan;
#[cfg(test)]
mod tests;

pub use scan::Scanner;

/// A part with the content fields of a header and nothing else.
pub(crate) fn read_fields(header: &[u8]) -> Part {
    let mut part = Part::default();
    fields::read(&mut part, header, fields::DefaultType::TextPlain);
    part
}

/// Bounds of what a [`Scanner`] keeps of a hostile message. Beyond them the scan goes on, the surplus stays opaque, and
/// the [`Anomalies`] say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest part that is still looked into; the root is level 0.
    pub nesting: usize,
    /// Largest number of parts, the root included.
    pub parts: usize,
    /// Octets of one part's header that are looked at.
    pub header: usize,
    /// Octets of all headers together that are looked at.
    pub headers_total: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { nesting: 100, parts: 10_000, header: 512 * 1024, headers_total: 4 * 1024 * 1024 }
    }
}

/// What was unusual about a message, as a set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Anomalies(u16);

impl Anomalies {
    /// A multipart ended without its close-delimiter.
    pub const UNTERMINATED_MULTIPART: Anomalies = Anomalies(1);
    /// A multipart has no usable boundary parameter.
    pub const MISSING_BOUNDARY: Anomalies = Anomalies(1 << 1);
    /// [`Limits::nesting`] was reached.
    pub const NESTING_LIMIT: Anomalies = Anomalies(1 << 2);
    /// [`Limits::parts`] was reached.
    pub const PART_LIMIT: Anomalies = Anomalies(1 << 3);
    /// [`Limits::header`] or [`Limits::headers_total`] was reached.
    pub const HEADER_LIMIT: Anomalies = Anomalies(1 << 4);
    /// A line ended with LF alone.
    pub const BARE_LF: Anomalies = Anomalies(1 << 5);
    /// A header has octets above 127 (RFC 6532 or plain 8-bit).
    pub const EIGHT_BIT_HEADER: Anomalies = Anomalies(1 << 6);
    /// A body has octets above 127.
    pub const EIGHT_BIT_BODY: Anomalies = Anomalies(1 << 7);
    /// A NUL octet is present.
    pub const NUL: Anomalies = Anomalies(1 << 8);
    /// The octets ended inside the root's header, without an empty line.
    pub const NO_BODY: Anomalies = Anomalies(1 << 9);
    /// A message/rfc822 or message/global part with a transfer encoding is not looked into.
    pub const ENCODED_MESSAGE: Anomalies = Anomalies(1 << 10);
    /// A line of a header is not a field.
    pub const NOT_A_FIELD: Anomalies = Anomalies(1 << 11);

    /// Whether every flag of `other` is set.
    #[must_use]
    pub fn contains(self, other: Anomalies) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing unusual was seen.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds the flags of `other`.
    pub fn insert(&mut self, other: Anomalies) {
        self.0 |= other.0;
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn from_bits(bits: u16) -> Anomalies {
        Anomalies(bits)
    }
}

impl std::fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Anomalies({:#06x})", self.0)
    }
}

/// The structure of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// The message itself.
    pub root: Part,
    /// Size of the message in octets.
    pub size: u64,
    /// What was unusual.
    pub anomalies: Anomalies,
}

/// One MIME entity. Ranges are octets from the start of the scanned message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The header with the empty line that ends it.
    pub header: Range<u64>,
    /// The body, without the line end that belongs to a following delimiter (RFC 2046 §5.1.1).
    pub body: Range<u64>,
    /// Lines of the body as transferred; a last line without line end counts.
    pub lines: u64,
    /// Content-Type, or the default that applies here (RFC 2045 §5.2, RFC 2046 §5.1.5).
    pub content_type: ContentType,
    /// Content-Disposition (RFC 2183).
    pub disposition: Option<Disposition>,
    /// Content-Transfer-Encoding as written; absent means 7bit.
    pub encoding: Option<String>,
    /// Content-ID, angle brackets kept.
    pub id: Option<String>,
    /// Content-Description, unfolded, encoded words kept.
    pub description: Option<String>,
    /// Content-MD5.
    pub md5: Option<String>,
    /// Content-Language tags.
    pub language: Vec<String>,
    /// Content-Location.
    pub location: Option<String>,
    /// Envelope, for the root and for messages embedded as message/rfc822 or message/global.
    pub envelope: Option<Box<Envelope>>,
    /// Parts of a multipart, never empty for one; or the one embedded message of a message part.
    pub children: Vec<Part>,
}

/// A media type with its parameters. Type and subtype are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `text`, `multipart`, ...
    pub kind: String,
    /// `plain`, `mixed`, ...
    pub subtype: String,
    /// Parameters as written: unquoted and unescaped, RFC 2231 segments and encoded words untouched.
    pub params: Vec<(String, String)>,
    /// Whether the header had a valid Content-Type, or the default was taken.
    pub explicit: bool,
}

impl Default for ContentType {
    /// `text/plain; charset=us-ascii`, RFC 2045 §5.2.
    fn default() -> ContentType {
        ContentType {
            kind: "text".to_owned(),
            subtype: "plain".to_owned(),
            params: vec![("charset".to_owned(), "us-ascii".to_owned())],
            explicit: false,
        }
    }
}

impl ContentType {
    /// Whether this is `kind/subtype`; both given in lower case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// Whether this is message/rfc822 (RFC 2046 §5.2.1) or message/global (RFC 6532 §3.7).
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.kind == "message" && matches!(self.subtype.as_str(), "rfc822" | "global")
    }

    /// A parameter with RFC 2231 continuations joined and charsets decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        param::value(&self.params, name)
    }
}

/// Content-Disposition, RFC 2183.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment`, ... in lower case.
    pub kind: String,
    /// Parameters as written, as in [`ContentType::params`].
    pub params: Vec<(String, String)>,
}

impl Disposition {
    /// A parameter with RFC 2231 continuations joined and charsets decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        param::value(&self.params, name)
    }
}

/// Which production of RFC 9051's `body` a part takes in BODYSTRUCTURE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `body-type-mpart`: the children, at least one.
    Multipart(&'a [Part]),
    /// `body-type-msg`: the embedded message.
    Message(&'a Part),
    /// `body-type-text`.
    Text,
    /// `body-type-basic`.
    Basic,
}

/// What of a part is asked for, as in IMAP's `BODY[1.2.MIME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The whole part body; the whole message where no part number is given.
    Body,
    /// The MIME header of a numbered part.
    Mime,
    /// The header of the message, or of an embedded message.
    Header,
    /// The body of the message, or of an embedded message.
    Text,
}

impl Part {
    /// The BODYSTRUCTURE production for this part.
    #[must_use]
    pub fn shape(&self) -> Shape<'_> {
        match self.children.as_slice() {
            [] if self.content_type.kind == "text" => Shape::Text,
            [] => Shape::Basic,
            [message] if self.content_type.is_message() => Shape::Message(message),
            children => Shape::Multipart(children),
        }
    }

    /// Type and subtype for BODYSTRUCTURE. A multipart or message type whose inside is not known (a limit, a missing
    /// boundary, a transfer encoding) has no valid production, so it is shown as application/octet-stream.
    #[must_use]
    pub fn shown_type(&self) -> (&str, &str) {
        match self.shape() {
            Shape::Basic if self.content_type.kind == "multipart" || self.content_type.is_message() => {
                ("application", "octet-stream")
            }
            _ => (&self.content_type.kind, &self.content_type.subtype),
        }
    }

    /// Size of the body in octets as transferred.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.body.end.saturating_sub(self.body.start)
    }

    /// The transfer encoding that decoding must undo.
    #[must_use]
    pub fn transfer_encoding(&self) -> TransferEncoding {
        TransferEncoding::parse(self.encoding.as_deref())
    }

    /// The name to save the part under: the disposition's `filename`, else the content type's `name`.
    #[must_use]
    pub fn file_name(&self) -> Option<Cow<'_, str>> {
        self.disposition
            .as_ref()
            .and_then(|disposition| disposition.param("filename"))
            .or_else(|| self.content_type.param("name"))
    }

    /// This part and all below it, in the order of their headers.
    pub fn walk(&self) -> impl Iterator<Item = &Part> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let part = stack.pop()?;
            stack.extend(part.children.iter().rev());
            Some(part)
        })
    }

    /// The part that `number` selects among what this part contains (RFC 9051 §6.4.5.1): the parts of a multipart, or,
    /// for anything else, part 1 is the thing itself.
    fn numbered(&self, number: u32) -> Option<&Part> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        match self.shape() {
            Shape::Multipart(children) => children.get(index),
            _ => (index == 0).then_some(self),
        }
    }
}

/// Content-Transfer-Encoding, RFC 2045 §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// 7bit, 8bit or binary: the octets are the content.
    Identity,
    /// base64, RFC 2045 §6.8.
    Base64,
    /// quoted-printable, RFC 2045 §6.7.
    QuotedPrintable,
    /// Not known: IMAP BINARY answers UNKNOWN-CTE.
    Unknown,
}

impl TransferEncoding {
    pub(crate) fn parse(name: Option<&str>) -> TransferEncoding {
        const NAMES: [(&str, TransferEncoding); 5] = [
            ("7bit", TransferEncoding::Identity),
            ("8bit", TransferEncoding::Identity),
            ("binary", TransferEncoding::Identity),
            ("base64", TransferEncoding::Base64),
            ("quoted-printable", TransferEncoding::QuotedPrintable),
        ];
        let Some(name) = name else { return TransferEncoding::Identity };
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(TransferEncoding::Unknown, |(_, encoding)| *encoding)
    }
}

impl Structure {
    /// The structure of a whole message in memory.
    #[must_use]
    pub fn scan(message: &[u8]) -> Structure {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(message);
        scanner.finish()
    }

    /// The part with an IMAP part number. The empty number is the message itself. Below an embedded message, numbers
    /// count that message's parts.
    #[must_use]
    pub fn part(&self, number: &[u32]) -> Option<&Part> {
        let Some((first, rest)) = number.split_first() else { return Some(&self.root) };
        let mut part = self.root.numbered(*first)?;
        for number in rest {
            part = match part.shape() {
                Shape::Message(message) => message.numbered(*number)?,
                Shape::Multipart(children) => children.get(usize::try_from(number.checked_sub(1)?).ok()?)?,
                // Only a message that is not multipart has a part 1 which is itself; a leaf has no parts.
                Shape::Text | Shape::Basic => return None,
            };
        }
        Some(part)
    }

    /// Whether a header anywhere in the message has octets above 127, so that it must not go where SMTPUTF8 is not
    /// offered (RFC 6531 §3.5, RFC 6532 §3).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        self.anomalies.contains(Anomalies::EIGHT_BIT_HEADER)
    }

    /// Whether any octet is above 127, so that 8BITMIME is needed (RFC 6152).
    #[must_use]
    pub fn has_8bit(&self) -> bool {
        self.needs_smtputf8() || self.anomalies.contains(Anomalies::EIGHT_BIT_BODY)
    }

    /// The octets of an IMAP section, `None` where it does not exist (IMAP then answers NIL or an empty string).
    #[must_use]
    pub fn section(&self, number: &[u32], section: Section) -> Option<Range<u64>> {
        if number.is_empty() {
            return match section {
                Section::Body => Some(0..self.size),
                Section::Header => Some(self.root.header.clone()),
                Section::Text => Some(self.root.body.clone()),
                Section::Mime => None,
            };
        }
        let part = self.part(number)?;
        match (section, part.shape()) {
            (Section::Body, _) => Some(part.body.clone()),
            (Section::Mime, _) => Some(part.header.clone()),
            (Section::Header, Shape::Message(message)) => Some(message.header.clone()),
            (Section::Text, Shape::Message(message)) => Some(message.body.clone()),
            (Section::Header | Section::Text, _) => None,
        }
    }

    /// The envelope of the message; empty if there is none.
    #[must_use]
    pub fn envelope(&self) -> Cow<'_, Envelope> {
        match &self.root.envelope {
            Some(envelope) => Cow::Borrowed(envelope),
            None => Cow::Owned(Envelope::default()),
        }
    }

    /// Accounts for `length` octets of header fields put in front of the message (Return-Path, Delivered-To, Received).
    /// The root's header then starts at 0 again and holds them. The fields must not be ones that decide structure or
    /// envelope.
    pub fn prepend(&mut self, length: u64) {
        fn shift(part: &mut Part, by: u64) {
            for range in [&mut part.header, &mut part.body] {
                *range = range.start.saturating_add(by)..range.end.saturating_add(by);
            }
            for child in &mut part.children {
                shift(child, by);
            }
        }
        shift(&mut self.root, length);
        self.root.header.start = 0;
        self.size = self.size.saturating_add(length);
    }
}
