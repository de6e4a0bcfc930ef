//! Encoding of responses (RFC 9051 §7, §9).
//!
//! [`Encoder`] appends to a buffer that the caller takes and sends. Large literals are streamed: the encoder writes their
//! header, the caller hands over the octets piece by piece and sends in between, so that no message is held in memory.

mod response;
mod strings;
mod structure;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;

use mailstead_message::{Envelope, Part};

use crate::command::{Section, SectionText};
use crate::{Flag, NameEncoding, Response};

/// Which IMAP features change how responses are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// How mailbox names are written. With UTF-8, quoted strings and texts may hold UTF-8 too (RFC 6855 §3).
    pub names: NameEncoding,
}

/// Writes responses into a buffer that the caller sends.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    mode: Mode,
    /// Whether the FETCH response being written has an item already.
    items: Separator,
    /// What may be in the literal being streamed.
    streamed: Octets,
}

/// What may be in a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Octets {
    /// literal8: anything.
    Any,
    /// literal: anything but NUL (RFC 9051 §4.3.1).
    #[default]
    NoNul,
}

/// The space between the items of a list, and not before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Separator {
    #[default]
    First,
    Later,
}

/// An item of a FETCH response.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FetchItem<'a> {
    /// `UID n`
    Uid(u32),
    /// `FLAGS (...)`
    Flags(&'a [Flag]),
    /// `INTERNALDATE "..."`, in UTC
    InternalDate(jiff::Timestamp),
    /// `RFC822.SIZE n`
    Rfc822Size(u64),
    /// `MODSEQ (n)`
    ModSeq(u64),
    /// `ENVELOPE (...)`
    Envelope(&'a Envelope),
    /// `BODY (...)`: structure without extension data
    Body(&'a Part),
    /// `BODYSTRUCTURE (...)`
    BodyStructure(&'a Part),
    /// `BODY[section]<origin> data`
    Section {
        /// The section asked for.
        section: &'a Section,
        /// First octet, if a range was asked for.
        origin: Option<u64>,
        /// The octets.
        data: Data<'a>,
    },
    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT` (the name as given)
    Rfc822(&'static str, Data<'a>),
    /// `BINARY[part]<origin> data`
    Binary {
        /// Part number.
        part: &'a [u32],
        /// First octet, if a range was asked for.
        origin: Option<u64>,
        /// The decoded octets: a literal8 if they hold NUL.
        data: Data<'a>,
    },
    /// `BINARY.SIZE[part] n`
    BinarySize {
        /// Part number.
        part: &'a [u32],
        /// Decoded size in octets.
        size: u64,
    },
}

/// The octets of a FETCH item. Always written as a literal, never quoted: many clients expect that.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// NIL: there is no such part.
    Nil,
    /// Octets at hand.
    Octets(&'a [u8]),
    /// A literal of which only the header is written: exactly `size` octets must follow by [`Encoder::raw`] before the
    /// next item.
    Streamed {
        /// Number of octets to follow.
        size: u64,
        /// Whether they may contain NUL: then a literal8, if the item allows it.
        nul: bool,
    },
}

impl Encoder {
    /// An encoder for a new session.
    #[must_use]
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Changes the mode: after ENABLE.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Number of octets written and not yet taken: send them when this grows beyond what you like to hold.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Takes what has been written.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Writes octets of a streamed literal. In anything but a literal8 a NUL, which RFC 9051 §4.3.1 forbids, becomes 0x80.
    pub fn raw(&mut self, octets: &[u8]) {
        let start = self.out.len();
        self.out.extend_from_slice(octets);
        if self.streamed == Octets::NoNul && memchr::memchr(0, octets).is_some() {
            self.out.iter_mut().skip(start).filter(|octet| **octet == 0).for_each(|octet| *octet = 0x80);
        }
    }

    /// Writes a response.
    pub fn response(&mut self, response: &Response) {
        response::write(self, response);
    }

    /// Starts `* n FETCH (`.
    pub fn fetch_start(&mut self, sequence: u32) {
        self.items = Separator::First;
        self.put(format_args!("* {sequence} FETCH ("));
    }

    /// Ends the FETCH response.
    pub fn fetch_end(&mut self) {
        self.put(")\r\n");
    }

    /// Writes one item of the FETCH response begun.
    pub fn fetch_item(&mut self, item: &FetchItem<'_>) {
        if std::mem::replace(&mut self.items, Separator::Later) == Separator::Later {
            self.put(' ');
        }
        match item {
            FetchItem::Uid(uid) => self.put(format_args!("UID {uid}")),
            FetchItem::Flags(flags) => {
                self.put("FLAGS ");
                self.list(*flags, Encoder::put);
            }
            // date-time: RFC 9051 §9
            FetchItem::InternalDate(date) => {
                self.put(format_args!("INTERNALDATE \"{}\"", date.strftime("%d-%b-%Y %H:%M:%S +0000")));
            }
            FetchItem::Rfc822Size(size) => self.put(format_args!("RFC822.SIZE {size}")),
            FetchItem::ModSeq(modseq) => self.put(format_args!("MODSEQ ({modseq})")),
            FetchItem::Envelope(envelope) => {
                self.put("ENVELOPE ");
                structure::envelope(self, envelope);
            }
            FetchItem::Body(part) => {
                self.put("BODY ");
                structure::body(self, part, structure::Extension::Without);
            }
            FetchItem::BodyStructure(part) => {
                self.put("BODYSTRUCTURE ");
                structure::body(self, part, structure::Extension::With);
            }
            FetchItem::Section { section, origin, data } => {
                self.put("BODY");
                self.section(section);
                self.origin(*origin);
                self.data(data, Octets::NoNul);
            }
            FetchItem::Rfc822(name, data) => {
                self.put(name);
                self.data(data, Octets::NoNul);
            }
            FetchItem::Binary { part, origin, data } => {
                self.put("BINARY[");
                self.part_number(part);
                self.put(']');
                self.origin(*origin);
                self.data(data, Octets::Any);
            }
            FetchItem::BinarySize { part, size } => {
                self.put("BINARY.SIZE[");
                self.part_number(part);
                self.put(format_args!("] {size}"));
            }
        }
    }

    /// `section = "[" [section-spec] "]"`
    fn section(&mut self, section: &Section) {
        self.put('[');
        self.part_number(&section.part);
        if let Some(text) = &section.text {
            if !section.part.is_empty() {
                self.put('.');
            }
            let (name, fields) = match text {
                SectionText::Header => ("HEADER", None),
                SectionText::HeaderFields(fields) => ("HEADER.FIELDS ", Some(fields)),
                SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT ", Some(fields)),
                SectionText::Text => ("TEXT", None),
                SectionText::Mime => ("MIME", None),
            };
            self.put(name);
            if let Some(fields) = fields {
                self.list(fields, |encoder, field| encoder.astring(field));
            }
        }
        self.put(']');
    }

    /// `section-part = nz-number *("." nz-number)`
    fn part_number(&mut self, part: &[u32]) {
        for (index, number) in part.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            self.put(format_args!("{dot}{number}"));
        }
    }

    fn origin(&mut self, origin: Option<u64>) {
        if let Some(origin) = origin {
            self.put(format_args!("<{origin}>"));
        }
    }

    /// `SP (nstring / literal8)`
    fn data(&mut self, data: &Data<'_>, allowed: Octets) {
        let (size, nul) = match data {
            Data::Nil => return self.put(" NIL"),
            Data::Octets(octets) => (octets.len() as u64, memchr::memchr(0, octets).is_some()),
            Data::Streamed { size, nul } => (*size, *nul),
        };
        self.streamed = if nul { allowed } else { Octets::NoNul };
        let tilde = if self.streamed == Octets::Any { "~" } else { "" };
        self.put(format_args!(" {tilde}{{{size}}}\r\n"));
        if let Data::Octets(octets) = data {
            self.raw(octets);
        }
    }

    /// Appends text that is known to be fit for the wire.
    fn put(&mut self, text: impl fmt::Display) {
        // Writing to a Vec does not fail.
        let _ = write!(self.out, "{text}");
    }

    /// `"(" [item *(SP item)] ")"`
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Encoder, T)) {
        self.put('(');
        for (index, value) in items.into_iter().enumerate() {
            if index > 0 {
                self.put(' ');
            }
            item(self, value);
        }
        self.put(')');
    }
}
