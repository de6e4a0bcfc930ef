//! Lines of submitted mail and their length: at most 998 octets without CRLF (RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6).
//!
//! Servers on the way cut longer lines, and break what was signed. So lines are made right before they are signed: those
//! of the header by folding, which changes nothing that is read (RFC 5322 §2.2.3); those of parts by encoding, in
//! `reencode.rs`. What neither can help is refused. `docs/decisions/0013-line-lengths.md` says why.

use std::borrow::Cow;

/// Octets of the longest line, without CRLF.
pub(crate) const LINE_MAX: usize = 998;
/// Where a long line is folded if that is possible (RFC 5322 §2.1.1 recommends it).
const LINE_WANTED: usize = 78;

/// A line of a body that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongLine {
    /// Its number in the message as it was sent, from 1.
    pub(crate) number: u64,
    /// Octets without CRLF.
    pub(crate) length: u64,
}

/// Looks for the first line that is too long while a body passes by.
#[derive(Debug)]
pub(crate) struct LineMeter {
    number: u64,
    length: u64,
    found: Option<LongLine>,
}

impl LineMeter {
    /// For a body after this header.
    pub(crate) fn after(header: &[u8]) -> LineMeter {
        let lines = header.iter().filter(|octet| **octet == b'\n').count();
        LineMeter { number: lines as u64 + 1, length: 0, found: None }
    }

    /// Takes a piece of the body, in which all lines end in CRLF.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        if self.found.is_some() {
            return;
        }
        for line in piece.split_inclusive(|octet| *octet == b'\n') {
            self.length += line.len() as u64;
            if line.ends_with(b"\n") {
                if self.length > LINE_MAX as u64 + 2 {
                    self.found = Some(LongLine { number: self.number, length: self.length - 2 });
                    return;
                }
                self.number += 1;
                self.length = 0;
            }
        }
    }

    /// The line that is too long.
    pub(crate) fn finish(self) -> Option<LongLine> {
        let unended = LongLine { number: self.number, length: self.length };
        self.found.or_else(|| (unended.length > LINE_MAX as u64).then_some(unended))
    }
}

/// A field with a line that is too long and has no white space to fold it at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfoldable {
    /// Name of the field, as far as it can be shown.
    pub(crate) field: String,
    /// Octets of what cannot be folded.
    pub(crate) length: usize,
}

/// The header with all lines short enough: long ones are folded before white space that is there.
pub(crate) fn refolded(header: Vec<u8>) -> Result<Vec<u8>, Unfoldable> {
    let lines = || header.split_inclusive(|octet| *octet == b'\n');
    if lines().all(|line| content(line).len() <= LINE_MAX) {
        return Ok(header);
    }
    let mut folded = Vec::with_capacity(header.len() + header.len() / LINE_WANTED * 2);
    let mut field: &[u8] = b"";
    for line in lines() {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            field = line.split(|octet| *octet == b':').next().unwrap_or_default();
        }
        if content(line).len() <= LINE_MAX {
            folded.extend_from_slice(line);
            continue;
        }
        fold(content(line), &mut folded).map_err(|length| {
            let field: Cow<'_, str> = String::from_utf8_lossy(field);
            Unfoldable { field: field.chars().filter(char::is_ascii_graphic).take(40).collect(), length }
        })?;
    }
    Ok(folded)
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Writes a long line as several; or says how long the piece is that cannot be folded.
fn fold(line: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut rest = line;
    while rest.len() > LINE_WANTED {
        // No line may have white space alone (RFC 5322 §3.2.2), neither what is cut off nor what remains.
        let first = rest.iter().position(|octet| !is_blank(*octet)).unwrap_or(rest.len());
        let last = rest.iter().rposition(|octet| !is_blank(*octet)).unwrap_or(0);
        let fits = |at: &usize| *at > first && *at < last && rest.get(*at).copied().is_some_and(is_blank);
        let cut = (first..=LINE_WANTED).rev().find(fits).or_else(|| (LINE_WANTED..rest.len()).find(fits));
        let length = cut.unwrap_or(rest.len());
        if length > LINE_MAX {
            return Err(length);
        }
        let (line, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    if !rest.is_empty() {
        out.extend_from_slice(rest);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use mailstead_message::Fields;

    use super::*;

    #[test]
    fn the_first_long_line_is_found_in_any_pieces() {
        let line = |length: usize| "x".repeat(length) + "\r\n";
        let body = line(998) + &line(0) + &line(999) + &line(1200);
        for size in [1, 2, 7, 999, 1000, 1001, body.len()] {
            let mut meter = LineMeter::after(b"A: b\r\n\r\n");
            body.as_bytes().chunks(size).for_each(|piece| meter.update(piece));
            assert_eq!(meter.finish(), Some(LongLine { number: 5, length: 999 }), "{size}");
        }
        let mut meter = LineMeter::after(b"");
        meter.update(line(998).as_bytes());
        assert_eq!(meter.finish(), None);
        let mut meter = LineMeter::after(b"");
        meter.update(&[b'x'; 999]);
        assert_eq!(meter.finish(), Some(LongLine { number: 1, length: 999 }));
    }

    #[test]
    fn folding_changes_nothing_that_is_read() {
        let words = "word\t \"quoted  text\" =?utf-8?q?=C3=A9?= ".repeat(40);
        for value in
            [words.clone(), format!("{} {words}", "x".repeat(900)), format!("{words}    "), format!("   {words}")]
        {
            let header = format!("A: b\r\nX-Long: {value}\r\n and {value}\r\nC: d\r\n\r\n").into_bytes();
            let folded = refolded(header.clone()).unwrap();
            let lines = || folded.split(|octet| *octet == b'\n');
            assert!(lines().all(|line| line.len() <= LINE_MAX + 1));
            let blank = |line: &[u8]| line.len() > 1 && line.iter().all(u8::is_ascii_whitespace);
            assert!(!lines().any(blank), "{}", String::from_utf8_lossy(&folded));
            let values = |header: &[u8]| {
                Fields::new(header)
                    .map(|field| (field.name().to_owned(), field.unfolded().into_owned()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(values(&folded), values(&header));
        }
    }

    #[test]
    fn what_needs_no_folding_stays() {
        let header = format!("A: {} {}\r\n\r\n", "x".repeat(500), "y".repeat(494)).into_bytes();
        assert_eq!(refolded(header.clone()).unwrap(), header);
    }

    #[test]
    fn what_cannot_be_folded_is_named() {
        let header = format!("A: b\r\nX-Token: short\r\n {}\r\n\r\n", "x".repeat(999)).into_bytes();
        assert_eq!(refolded(header), Err(Unfoldable { field: "X-Token".into(), length: 1000 }));
        let header = format!("X: a {} b\r\n\r\n", "x".repeat(998)).into_bytes();
        assert_eq!(refolded(header), Err(Unfoldable { field: "X".into(), length: 999 }));
        // A blank more would be one octet too much, and there is nowhere else.
        assert!(refolded(format!("X: a {} b\r\n\r\n", "x".repeat(997)).into_bytes()).is_ok());
    }
}
