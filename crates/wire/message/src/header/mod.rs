//! Header fields with their octets (RFC 5322 §2.2), lenient towards what is really sent.

use std::borrow::Cow;
use std::ops::Range;

use crate::word;

mod fold;

#[cfg(test)]
mod tests;

pub use fold::{fold, fold_text};

/// Iterates over the fields of a header. Every octet up to the empty line belongs to exactly one [`Field`], so that
/// any selection of fields can be copied verbatim.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

/// One header field, or one line that should have been one (its name is then empty).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    start: usize,
    /// Octets of the name; 0 where there is no colon or the name is not valid.
    name: usize,
    /// Where the value starts in `raw`: after the colon, or 0.
    value: usize,
}

impl<'a> Fields<'a> {
    /// Fields of `header`, which may have its empty line and a body after it.
    #[must_use]
    pub fn new(header: &'a [u8]) -> Fields<'a> {
        Fields { header, at: 0 }
    }

    /// The first field with this name, in any case.
    #[must_use]
    pub fn find(header: &'a [u8], name: &str) -> Option<Field<'a>> {
        Fields::new(header).find(|field| field.is(name))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.header.get(self.at..)?;
        // An empty line ends the header, RFC 5322 §2.1.
        if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return None;
        }
        let mut end = 0;
        loop {
            end += memchr::memchr(b'\n', &rest[end..]).map_or(rest.len() - end, |lf| lf + 1);
            // Folding, RFC 5322 §2.2.3.
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let raw = &rest[..end];
        let start = self.at;
        self.at += end;
        let (name, value) = split_name(raw);
        Some(Field { raw, start, name, value })
    }
}

/// `field-name ":"`, RFC 5322 §3.6.8, with white space before the colon tolerated (§4.5).
fn split_name(raw: &[u8]) -> (usize, usize) {
    let Some(colon) = memchr::memchr2(b':', b'\n', raw).filter(|at| raw[*at] == b':') else { return (0, 0) };
    let name = raw[..colon].trim_ascii_end();
    if !name.is_empty() && name.iter().all(|octet| (33..=126).contains(octet)) {
        (name.len(), colon + 1)
    } else {
        (0, 0)
    }
}

impl<'a> Field<'a> {
    /// The octets of the field with its final line end.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where [`Field::raw`] is in the header given to [`Fields::new`].
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.raw.len()
    }

    /// The name as written; empty for a line that is not a field.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.raw.get(..self.name).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("")
    }

    /// Whether the field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        !name.is_empty() && self.name().eq_ignore_ascii_case(name)
    }

    /// The octets after the colon, folding kept, without the final line end.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        let value = self.raw.get(self.value..).unwrap_or_default();
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        value.strip_suffix(b"\r").unwrap_or(value)
    }

    /// The value as text: line ends of folding removed (RFC 5322 §2.2.3), outer white space trimmed, encoded words
    /// kept; octets that are not UTF-8 read as windows-1252.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, str> {
        let value = self.value();
        if memchr::memchr2(b'\r', b'\n', value).is_none() {
            return word::lenient_utf8(value.trim_ascii());
        }
        let joined: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        Cow::Owned(word::lenient_utf8(joined.trim_ascii()).into_owned())
    }

    /// The value as a person reads it: unfolded, encoded words decoded, tabs (with which some programs fold) as spaces.
    #[must_use]
    pub fn text(&self) -> String {
        word::decode(&self.unfolded().replace('\t', " "))
    }
}
