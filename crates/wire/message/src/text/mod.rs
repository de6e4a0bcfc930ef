//! Text of a message as a reader sees it: transfer encoding, charset and HTML undone, in pieces, for search and preview.

use std::ops::Range;

use crate::charset;
use crate::header::Fields;
use crate::structure::{Part, Shape, Structure};

mod base64;
mod html;
mod preview;
mod quoted;
#[cfg(test)]
mod tests;
mod transfer;

pub use base64::Base64;
pub use preview::preview;
pub use quoted::QuotedPrintable;
pub use transfer::Transfer;

/// Octets read from a [`Source`] at once.
const PIECE: u64 = 32 * 1024;
/// Octets of one header that are searched.
const SEARCHED_HEADER: u64 = 4 * 1024 * 1024;

/// Random access to the octets of a stored message.
pub trait Source {
    /// Why reading fails.
    type Error;

    /// Appends the octets of `range` to `out`; fewer where the message ends earlier.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), Self::Error>;
}

impl Source for &[u8] {
    type Error = std::convert::Infallible;

    fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), Self::Error> {
        let clamp = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        out.extend_from_slice(self.get(clamp(range.start)..clamp(range.end)).unwrap_or_default());
        Ok(())
    }
}

/// Which of IMAP's search keys a piece of text belongs to: TEXT is both, BODY is the second (RFC 9051 §6.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The header of the message.
    Header,
    /// Anything after it, the headers of parts and embedded messages included.
    Body,
}

/// Decodes the body of one text part in pieces.
#[derive(Debug)]
pub struct Decoder {
    transfer: Transfer,
    charset: charset::Decoder,
    html: Option<html::Stripper>,
    octets: Vec<u8>,
    markup: String,
    text: String,
}

impl Decoder {
    /// A decoder for a part's encoding and charset. HTML becomes plain text.
    #[must_use]
    pub fn new(part: &Part) -> Decoder {
        let label = part.content_type.param("charset").unwrap_or_default();
        Decoder {
            transfer: Transfer::new(part.transfer_encoding()),
            charset: charset::Decoder::new(&label),
            html: part.content_type.is("text", "html").then(html::Stripper::default),
            octets: Vec::new(),
            markup: String::new(),
            text: String::new(),
        }
    }

    /// Decodes the next octets of the body; the text is valid until the next call.
    pub fn decode(&mut self, octets: &[u8]) -> &str {
        self.octets.clear();
        self.transfer.decode(octets, &mut self.octets);
        self.advance(false)
    }

    /// What was held back, once the body has ended.
    pub fn finish(&mut self) -> &str {
        self.octets.clear();
        self.transfer.finish(&mut self.octets);
        self.advance(true)
    }

    fn advance(&mut self, last: bool) -> &str {
        self.text.clear();
        let Some(html) = &mut self.html else {
            self.charset.decode(&self.octets, last, &mut self.text);
            return &self.text;
        };
        self.markup.clear();
        self.charset.decode(&self.octets, last, &mut self.markup);
        html.feed(&self.markup, &mut self.text);
        if last {
            html.finish(&mut self.text);
        }
        &self.text
    }
}

/// All text that can be searched, in order and decoded: header fields as `Name: value`, names of attachments, and every
/// text part, with the message parts that are not looked into (a delivery status): RFC 9051 §6.4.4 only lets other types
/// be left out. Pieces with the same place follow each other without a break, except for the line end that is given after
/// each field and part, so that nothing is found across two of them.
///
/// # Errors
/// What the source says.
pub fn searchable<S: Source>(
    structure: &Structure,
    source: &mut S,
    sink: &mut dyn FnMut(Place, &str),
) -> Result<(), S::Error> {
    let mut octets = Vec::new();
    for (index, part) in structure.root.walk().enumerate() {
        let place = if index == 0 { Place::Header } else { Place::Body };
        octets.clear();
        let header = &part.header;
        source.read(header.start..header.end.min(header.start.saturating_add(SEARCHED_HEADER)), &mut octets)?;
        for field in Fields::new(&octets) {
            sink(place, &format!("{}: {}\n", field.name(), field.text()));
        }
        if let Some(name) = part.file_name() {
            sink(place, &format!("{name}\n"));
        }
        let is_searched = match part.shape() {
            Shape::Text => true,
            Shape::Basic => part.content_type.kind == "message",
            Shape::Message(_) | Shape::Multipart(_) => false,
        };
        if is_searched {
            read_text(part, source, u64::MAX, &mut octets, &mut |text| {
                sink(Place::Body, text);
                true
            })?;
            sink(Place::Body, "\n");
        }
    }
    Ok(())
}

/// Decodes up to `limit` octets of a text part, while `sink` wants more.
fn read_text<S: Source>(
    part: &Part,
    source: &mut S,
    limit: u64,
    octets: &mut Vec<u8>,
    sink: &mut dyn FnMut(&str) -> bool,
) -> Result<(), S::Error> {
    let mut decoder = Decoder::new(part);
    let end = part.body.end.min(part.body.start.saturating_add(limit));
    let mut at = part.body.start;
    while at < end {
        let next = end.min(at.saturating_add(PIECE));
        octets.clear();
        source.read(at..next, octets)?;
        if !sink(decoder.decode(octets)) {
            return Ok(());
        }
        at = next;
    }
    sink(decoder.finish());
    Ok(())
}
