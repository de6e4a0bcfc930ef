//! Encoding of responses.

use crate::command::Section;
use crate::{Flag, NameEncoding, Response};

/// Which IMAP features change how responses are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// How mailbox names are written, and whether quoted strings may hold UTF-8.
    pub names: NameEncoding,
}

/// Writes responses into a buffer that the caller sends.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    mode: Mode,
    items: usize,
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

/// The octets of a FETCH item.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// NIL: there is no such part.
    Nil,
    /// Octets at hand: written quoted if short and plain, as a literal otherwise.
    Octets(&'a [u8]),
    /// A literal of which only the header is written: exactly `size` octets must follow by [`Encoder::raw`] (or
    /// directly on the stream after [`Encoder::take`]) before the next item.
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

    /// Writes octets of a streamed literal.
    pub fn raw(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// Writes a response.
    pub fn response(&mut self, response: &Response) {
        todo!("{response:?}")
    }

    /// Starts `* n FETCH (`.
    pub fn fetch_start(&mut self, sequence: u32) {
        self.items = 0;
        todo!("{sequence}")
    }

    /// Writes one item of the FETCH response begun.
    pub fn fetch_item(&mut self, item: &FetchItem<'_>) {
        todo!("{item:?}")
    }

    /// Ends the FETCH response.
    pub fn fetch_end(&mut self) {
        self.raw(b")\r\n");
    }
}
