//! FETCH: its items, sections and modifiers.

use super::{EmptyList, Parser, Result};
use crate::command::{Fetch, FetchAttribute, Numbering, Partial, Section, SectionText, SeenEffect};
use crate::parse::Cursor;

impl Parser<'_> {
    /// `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
    /// [SP "(" fetch-modifier *(SP fetch-modifier) ")"]`
    ///
    /// `fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"` (RFC 7162 §7)
    pub(super) fn fetch(&mut self, numbering: Numbering) -> Result<Fetch> {
        let set = self.message_set_argument()?;
        self.cursor.space()?;
        let mut attributes = Vec::new();
        if self.cursor.peek()? == b'(' {
            for attribute in self.cursor.list(EmptyList::Refused, "items", attribute)? {
                if !attributes.contains(&attribute) {
                    attributes.push(attribute);
                }
            }
        } else {
            attributes = match macro_items(&mut self.cursor)? {
                Some(items) => items.to_vec(),
                None => vec![attribute(&mut self.cursor)?],
            };
        }
        let mut fetch = Fetch { numbering, set, attributes, changed_since: None, vanished: false };
        if self.cursor.eat(b' ')? {
            self.modifiers(&mut fetch)?;
        }
        Ok(fetch)
    }

    fn modifiers(&mut self, fetch: &mut Fetch) -> Result<()> {
        self.cursor.list(EmptyList::Refused, "\"(\" of the FETCH modifiers", |cursor| {
            let position = cursor.position();
            match cursor.keyword("CHANGEDSINCE or VANISHED")?.as_str() {
                "CHANGEDSINCE" if fetch.changed_since.is_none() => {
                    cursor.space()?;
                    // mod-sequence-value is not 0, but some clients start with 0.
                    fetch.changed_since = Some(cursor.number64()?);
                }
                // RFC 7162 §3.2.6: only in UID FETCH.
                "VANISHED" if fetch.numbering == Numbering::Uid => fetch.vanished = true,
                _ => return Err(cursor.expected_at(position, "one CHANGEDSINCE, or in UID FETCH also VANISHED")),
            }
            Ok(())
        })?;
        if fetch.vanished && fetch.changed_since.is_none() {
            return Err(self.cursor.bad_value("VANISHED without CHANGEDSINCE"));
        }
        Ok(())
    }
}

/// `"ALL" / "FULL" / "FAST"` (RFC 9051 §6.4.5)
fn macro_items(cursor: &mut Cursor<'_>) -> Result<Option<&'static [FetchAttribute]>> {
    const FULL: [FetchAttribute; 5] = [
        FetchAttribute::Flags,
        FetchAttribute::InternalDate,
        FetchAttribute::Rfc822Size,
        FetchAttribute::Envelope,
        FetchAttribute::Body,
    ];
    for (name, length) in [("FAST", 3), ("ALL", 4), ("FULL", 5)] {
        if cursor.eat_keyword(name)? {
            return Ok(FULL.get(..length));
        }
    }
    Ok(None)
}

/// `fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822.SIZE" / "BODY" ["STRUCTURE"] / "UID" /
/// "BODY" section [partial] / "BODY.PEEK" section [partial] / "BINARY" [".PEEK"] section-binary [partial] /
/// "BINARY.SIZE" section-binary`, with `"RFC822" [".HEADER" / ".TEXT"]` of RFC 3501 and `"MODSEQ"` of RFC 7162
fn attribute(cursor: &mut Cursor<'_>) -> Result<FetchAttribute> {
    let position = cursor.position();
    let name = cursor.keyword("an item to fetch")?;
    let seen = if name.ends_with(".PEEK") { SeenEffect::Peek } else { SeenEffect::Sets };
    Ok(match name.as_str() {
        "ENVELOPE" => FetchAttribute::Envelope,
        "FLAGS" => FetchAttribute::Flags,
        "INTERNALDATE" => FetchAttribute::InternalDate,
        "UID" => FetchAttribute::Uid,
        "MODSEQ" => FetchAttribute::ModSeq,
        "RFC822" => FetchAttribute::Rfc822,
        "RFC822.HEADER" => FetchAttribute::Rfc822Header,
        "RFC822.SIZE" => FetchAttribute::Rfc822Size,
        "RFC822.TEXT" => FetchAttribute::Rfc822Text,
        "BODYSTRUCTURE" => FetchAttribute::BodyStructure,
        "BODY" if cursor.peek()? != b'[' => FetchAttribute::Body,
        "BODY" | "BODY.PEEK" => FetchAttribute::Section { section: section(cursor)?, partial: partial(cursor)?, seen },
        "BINARY" | "BINARY.PEEK" => {
            FetchAttribute::Binary { part: section_binary(cursor)?, partial: partial(cursor)?, seen }
        }
        "BINARY.SIZE" => FetchAttribute::BinarySize { part: section_binary(cursor)? },
        _ => return Err(cursor.expected_at(position, "an item to fetch")),
    })
}

/// `section = "[" [section-spec] "]"`, `section-spec = section-msgtext / (section-part ["." section-text])`
///
/// `section-text = section-msgtext / "MIME"`
pub(crate) fn section(cursor: &mut Cursor<'_>) -> Result<Section> {
    cursor.expect(b'[', "\"[\" of a section")?;
    let mut part = Vec::new();
    let mut text_follows = cursor.peek()? != b']';
    while text_follows && cursor.peek()?.is_ascii_digit() {
        part.push(cursor.nz_number()?);
        text_follows = cursor.eat(b'.')?;
    }
    let text = if text_follows { Some(section_text(cursor, !part.is_empty())?) } else { None };
    cursor.expect(b']', "\"]\" at the end of a section")?;
    Ok(Section { part, text })
}

/// `section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"`
///
/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`
fn section_text(cursor: &mut Cursor<'_>, numbered: bool) -> Result<SectionText> {
    let position = cursor.position();
    let name = cursor.keyword("a part number, HEADER, HEADER.FIELDS, TEXT or MIME")?;
    let mut fields = || {
        cursor.space()?;
        cursor.list(EmptyList::Refused, "a list of header fields", |cursor| cursor.text("the name of a header field"))
    };
    Ok(match name.as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(fields()?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(fields()?),
        "TEXT" => SectionText::Text,
        "MIME" if numbered => SectionText::Mime,
        _ => {
            return Err(cursor.expected_at(position, "a part number, HEADER, HEADER.FIELDS, TEXT, or MIME of a part"));
        }
    })
}

/// `section-binary = "[" [section-part] "]"`, `section-part = nz-number *("." nz-number)`
pub(crate) fn section_binary(cursor: &mut Cursor<'_>) -> Result<Vec<u32>> {
    cursor.expect(b'[', "\"[\" of a part number")?;
    let mut part = Vec::new();
    if cursor.eat(b']')? {
        return Ok(part);
    }
    loop {
        part.push(cursor.nz_number()?);
        if cursor.eat(b']')? {
            return Ok(part);
        }
        cursor.expect(b'.', "\".\" or \"]\" in a part number")?;
    }
}

/// `partial = "<" number64 "." nz-number64 ">"`
fn partial(cursor: &mut Cursor<'_>) -> Result<Option<Partial>> {
    if !cursor.eat(b'<')? {
        return Ok(None);
    }
    let offset = cursor.number64()?;
    cursor.expect(b'.', "\".\" between offset and count")?;
    let count = cursor.number64()?;
    if count == 0 {
        return Err(cursor.bad_value("a count of zero"));
    }
    cursor.expect(b'>', "\">\"")?;
    Ok(Some(Partial { offset, count }))
}
