//! Finds out what is to be changed: octets in pieces of any size, one [`SevenBit`] out.

use std::ops::Range;

use super::{Encoding, Obstacle, Piece, SevenBit};
use crate::header::Fields;
use crate::structure::{Anomalies, Part, Structure, TransferEncoding};
use crate::text::{Base64, QuotedPrintable};

/// Octets of the longest line of 7bit data, without CRLF (RFC 2045 §2.7).
const LINE_MAX: u64 = 998;

const SEVEN_BIT: &str = "Content-Transfer-Encoding: 7bit\r\n";
const MIME_VERSION: &str = "MIME-Version: 1.0\r\n";
/// RFC 1428 §3: text of which nobody knows the charset.
const UNKNOWN_TEXT: &str = "Content-Type: text/plain; charset=unknown-8bit\r\n";

/// Plans the conversion of one message. The plan does not depend on how the octets are cut.
///
/// ```
/// use mailstead_message::Structure;
/// use mailstead_message::seven_bit::{Encoding, Piece, Planner};
///
/// let message = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrün\r\n".as_bytes();
/// let structure = Structure::scan(message);
/// let mut planner = Planner::new(&structure);
/// planner.feed(message);
/// assert_eq!(
///     planner.finish()?.pieces(),
///     [
///         Piece::Original(0..19),
///         Piece::Inserted("Content-Transfer-Encoding: quoted-printable\r\n"),
///         Piece::Original(52..54),
///         Piece::Encoded(54..61, Encoding::QuotedPrintable),
///     ]
/// );
/// # Ok::<(), mailstead_message::seven_bit::Obstacle>(())
/// ```
#[derive(Debug)]
pub struct Planner<'a> {
    structure: &'a Structure,
    /// The message without a gap, in its order.
    stretches: Vec<Stretch>,
    /// Stretches that are over.
    over: usize,
    /// Octets taken so far.
    offset: u64,
    /// The header that is being read.
    header: Vec<u8>,
    /// The body that is being read.
    measure: Measure,
    /// By the order of the parts, without those of which nothing may be changed.
    found: Vec<Found>,
    obstacle: Option<Obstacle>,
}

/// Octets that are looked at in the same way.
#[derive(Debug)]
struct Stretch {
    end: u64,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    /// Header of the part that is found at this place.
    Header(usize),
    /// Body of the part that is found at this place.
    Body(usize, Encoding),
    /// Not to be changed; this is in the way if it is not ASCII.
    Fixed(Obstacle),
}

/// What may be done with a part.
enum Treatment {
    /// Its parts are treated one by one.
    Inside,
    Encode(Encoding),
    Leave(Obstacle),
}

/// What was seen of a part. Ranges are octets of the message.
#[derive(Debug, Default)]
struct Found {
    /// The Content-Transfer-Encoding field.
    encoding: Option<Range<u64>>,
    /// Where its fields end.
    end: u64,
    has_mime_version: bool,
    has_type: bool,
    /// Others may read something else in this header.
    is_ambiguous: bool,
    /// Size of the encoded body, where it is to be encoded.
    encoded: Option<u64>,
}

/// A change of the message.
struct Edit {
    at: Range<u64>,
    piece: Piece,
    /// Octets that take the place of the range.
    size: u64,
}

impl<'a> Planner<'a> {
    /// For a message of this structure.
    #[must_use]
    pub fn new(structure: &'a Structure) -> Planner<'a> {
        let obstacle = if structure.needs_smtputf8() {
            Some(Obstacle::InternationalHeader)
        } else if structure.anomalies.contains(Anomalies::HEADER_LIMIT) {
            // There may be fields that nobody has looked at.
            Some(Obstacle::Structure)
        } else {
            None
        };
        let mut planner = Planner {
            structure,
            stretches: Vec::new(),
            over: 0,
            offset: 0,
            header: Vec::new(),
            measure: Measure::default(),
            found: Vec::new(),
            obstacle,
        };
        if obstacle.is_none() && structure.has_8bit() {
            planner.lay_out(&structure.root);
            planner.stretch(structure.size, Content::Fixed(Obstacle::Structure));
        }
        planner
    }

    /// Divides a part into stretches.
    fn lay_out(&mut self, part: &Part) {
        let place = self.found.len();
        self.found.push(Found { end: part.header.start, ..Found::default() });
        self.stretch(part.header.start, Content::Fixed(Obstacle::Structure));
        self.stretch(part.header.end, Content::Header(place));
        match treatment(part) {
            Treatment::Inside => part.children.iter().for_each(|child| self.lay_out(child)),
            Treatment::Encode(encoding) => self.stretch(part.body.end, Content::Body(place, encoding)),
            Treatment::Leave(obstacle) => self.stretch(part.body.end, Content::Fixed(obstacle)),
        }
    }

    fn stretch(&mut self, end: u64, content: Content) {
        if end > self.stretches.last().map_or(0, |last| last.end) {
            self.stretches.push(Stretch { end, content });
        }
    }

    /// Takes the next octets of the message.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty()
            && self.obstacle.is_none()
            && let Some(Stretch { end, content }) = self.stretches.get(self.over)
        {
            let (end, content) = (*end, *content);
            let left = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at(left.min(rest.len()));
            rest = after;
            self.look(content, piece);
            self.offset += piece.len() as u64;
            if self.offset >= end {
                self.end(content);
                self.over += 1;
            }
        }
    }

    fn look(&mut self, content: Content, piece: &[u8]) {
        match content {
            Content::Header(_) => self.header.extend_from_slice(piece),
            Content::Body(_, encoding) => self.measure.update(piece, encoding),
            Content::Fixed(obstacle) if !piece.is_ascii() => self.obstacle = Some(obstacle),
            Content::Fixed(_) => {}
        }
    }

    /// A stretch is complete.
    fn end(&mut self, content: Content) {
        match content {
            Content::Header(place) => {
                let start = self.offset - self.header.len() as u64;
                if let Some(found) = self.found.get_mut(place) {
                    *found = Found::of_header(&self.header, start);
                }
                self.header.clear();
            }
            Content::Body(place, encoding) => {
                let encoded = std::mem::take(&mut self.measure).finish(encoding);
                if let Some(found) = self.found.get_mut(place) {
                    found.encoded = encoded;
                }
            }
            Content::Fixed(_) => {}
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    /// Why it cannot be converted; [`Obstacle::Structure`] also where the octets were not those of the structure.
    pub fn finish(self) -> Result<SevenBit, Obstacle> {
        if let Some(obstacle) = self.obstacle {
            return Err(obstacle);
        }
        if self.over < self.stretches.len() {
            return Err(Obstacle::Structure);
        }
        let mut edits = Vec::new();
        if !self.stretches.is_empty() {
            edit(&self.structure.root, &mut self.found.iter(), &mut edits)?;
        }
        edits.sort_by_key(|edit| edit.at.start);
        Ok(pieces(edits, self.structure.size))
    }
}

/// What may be done with a part. RFC 2045 §6.4 knows no encodings of multiparts and messages, except for the new types of
/// RFC 6532 §3.5.
fn treatment(part: &Part) -> Treatment {
    let content_type = &part.content_type;
    let is_plain = part.transfer_encoding() == TransferEncoding::Identity;
    match (content_type.kind.as_str(), content_type.subtype.as_str()) {
        ("multipart", "signed" | "encrypted") => Treatment::Leave(Obstacle::Protected),
        _ if !is_plain => Treatment::Leave(Obstacle::Structure),
        _ if !part.children.is_empty() => Treatment::Inside,
        ("text", _) => Treatment::Encode(Encoding::QuotedPrintable),
        ("message", subtype) if subtype.starts_with("global-") => Treatment::Encode(Encoding::QuotedPrintable),
        ("multipart" | "message", _) => Treatment::Leave(Obstacle::Structure),
        _ => Treatment::Encode(Encoding::Base64),
    }
}

/// Changes a part and what is inside; says whether a body was encoded. `found` gives what was seen, in the order of the
/// parts.
fn edit(part: &Part, found: &mut std::slice::Iter<'_, Found>, edits: &mut Vec<Edit>) -> Result<bool, Obstacle> {
    let here = found.next().ok_or(Obstacle::Structure)?;
    let treatment = treatment(part);
    let is_encoded = match treatment {
        Treatment::Inside => {
            let mut inside = false;
            for child in &part.children {
                inside |= edit(child, found, edits)?;
            }
            inside
        }
        Treatment::Encode(_) => here.encoded.is_some(),
        Treatment::Leave(_) => false,
    };
    let is_typed = part.content_type.explicit || !here.has_type;
    if is_encoded && (here.is_ambiguous || !is_typed) {
        return Err(Obstacle::Structure);
    }
    // An envelope is what only messages have.
    if is_encoded && part.envelope.is_some() && !here.has_mime_version {
        edits.push(Edit::insert(here.end, MIME_VERSION));
        if !here.has_type {
            edits.push(Edit::insert(here.end, UNKNOWN_TEXT));
        }
    }
    match (treatment, here.encoded, &here.encoding) {
        (Treatment::Encode(encoding), Some(size), _) => {
            let field = here.encoding.clone().unwrap_or(here.end..here.end);
            edits.push(Edit::replace(field, encoding.field()));
            edits.push(Edit { at: part.body.clone(), piece: Piece::Encoded(part.body.clone(), encoding), size });
        }
        // What claims to be 8-bit may not be sent even where it is not.
        (_, _, Some(field)) if claims_8bit(part) && !here.is_ambiguous => {
            edits.push(Edit::replace(field.clone(), SEVEN_BIT));
        }
        _ => {}
    }
    Ok(is_encoded)
}

fn claims_8bit(part: &Part) -> bool {
    let label = part.encoding.as_deref().unwrap_or_default();
    label.eq_ignore_ascii_case("8bit") || label.eq_ignore_ascii_case("binary")
}

/// Edits that follow each other, with what is between them.
fn pieces(edits: Vec<Edit>, size: u64) -> SevenBit {
    let mut plan = SevenBit { pieces: Vec::with_capacity(edits.len() * 2 + 1), size: 0 };
    let mut at = 0;
    let original = |plan: &mut SevenBit, range: Range<u64>| {
        if !range.is_empty() {
            plan.size += range.end - range.start;
            plan.pieces.push(Piece::Original(range));
        }
    };
    for edit in edits {
        original(&mut plan, at..edit.at.start);
        plan.size += edit.size;
        plan.pieces.push(edit.piece);
        at = edit.at.end;
    }
    original(&mut plan, at..size);
    plan
}

impl Edit {
    fn insert(at: u64, field: &'static str) -> Edit {
        Edit::replace(at..at, field)
    }

    fn replace(at: Range<u64>, field: &'static str) -> Edit {
        Edit { at, piece: Piece::Inserted(field), size: field.len() as u64 }
    }
}

impl Found {
    /// What a header says that starts at this octet of the message.
    fn of_header(header: &[u8], start: u64) -> Found {
        let mut found = Found { end: start, ..Found::default() };
        for field in Fields::new(header) {
            let range = start + field.range().start as u64..start + field.range().end as u64;
            found.end = range.end;
            if field.is("Content-Transfer-Encoding") {
                found.is_ambiguous |= found.encoding.is_some();
                found.encoding.get_or_insert(range);
            } else if field.is("Content-Type") {
                found.is_ambiguous |= std::mem::replace(&mut found.has_type, true);
            } else if field.is("MIME-Version") {
                found.has_mime_version = true;
            } else {
                // A line that is no field ends the header for some.
                found.is_ambiguous |= field.name().is_empty();
            }
        }
        found
    }
}

/// Looks at a body while it passes by.
#[derive(Debug, Default)]
struct Measure {
    /// Something is not 7bit data.
    is_foreign: bool,
    /// Octets of the line so far, without its end.
    line: u64,
    last: u8,
    size: u64,
    encoder: QuotedPrintable,
    scratch: Vec<u8>,
    encoded: u64,
}

impl Measure {
    fn update(&mut self, piece: &[u8], encoding: Encoding) {
        self.size += piece.len() as u64;
        self.is_foreign = self.is_foreign || !self.is_7bit(piece);
        if encoding == Encoding::QuotedPrintable {
            self.encoder.update(piece, &mut self.scratch);
            self.encoded += self.scratch.len() as u64;
            self.scratch.clear();
        }
    }

    /// RFC 2045 §2.7: no NUL, nothing above 127, CR and LF only together, and short lines.
    fn is_7bit(&mut self, piece: &[u8]) -> bool {
        for octet in piece {
            let after_cr = std::mem::replace(&mut self.last, *octet) == b'\r';
            match octet {
                0 | 128.. => return false,
                b'\n' if after_cr => self.line = 0,
                _ if after_cr || *octet == b'\n' => return false,
                b'\r' => {}
                _ => self.line += 1,
            }
            if self.line > LINE_MAX {
                return false;
            }
        }
        true
    }

    /// Size of the encoded body, where it needs that.
    fn finish(mut self, encoding: Encoding) -> Option<u64> {
        if !self.is_foreign && self.last != b'\r' {
            return None;
        }
        Some(match encoding {
            Encoding::Base64 => Base64::encoded_size(self.size),
            Encoding::QuotedPrintable => {
                self.encoder.finish(&mut self.scratch);
                self.encoded + self.scratch.len() as u64
            }
        })
    }
}
