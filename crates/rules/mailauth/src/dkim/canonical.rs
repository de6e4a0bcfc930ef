//! Canonical forms of header fields and bodies (RFC 6376 §3.4).

use std::fmt;
use std::ops::Range;

use mailstead_message::{Field, Fields};

/// How much a message may change on its way without breaking a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Canonicalization {
    /// Hardly at all (§3.4.1, §3.4.3). The default of signatures that do not say (§3.5, `c=`).
    #[default]
    Simple,
    /// White space and folding may change (§3.4.2, §3.4.4).
    Relaxed,
}

impl Canonicalization {
    /// Both.
    pub(crate) const ALL: [Canonicalization; 2] = [Canonicalization::Simple, Canonicalization::Relaxed];

    /// The name in `c=`.
    pub fn name(self) -> &'static str {
        match self {
            Canonicalization::Simple => "simple",
            Canonicalization::Relaxed => "relaxed",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Canonicalization> {
        Canonicalization::ALL.into_iter().find(|canonicalization| canonicalization.name() == name)
    }

    /// Adds the canonical form of a field with its CRLF.
    pub(crate) fn field(self, field: &Field<'_>, out: &mut Vec<u8>) {
        match self {
            Canonicalization::Simple => out.extend_from_slice(without_line_end(field.raw())),
            Canonicalization::Relaxed => {
                out.extend(field.name().bytes().map(|octet| octet.to_ascii_lowercase()));
                out.push(b':');
                relaxed_value(field.value(), out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Adds the canonical form of a signature with its own value left out, and without CRLF (§3.7). `signature` is where
    /// in [`Field::value`] the value of `b=` is, white space around it included.
    pub(crate) fn own_field(self, field: &Field<'_>, signature: &Range<usize>, out: &mut Vec<u8>) {
        let value = field.value();
        let before = value.get(..signature.start).unwrap_or(value);
        let after = value.get(signature.end..).unwrap_or_default();
        match self {
            Canonicalization::Simple => {
                let name = without_line_end(field.raw()).strip_suffix(value).unwrap_or_default();
                out.extend_from_slice(name);
                out.extend_from_slice(before);
                out.extend_from_slice(after);
            }
            Canonicalization::Relaxed => {
                out.extend(field.name().bytes().map(|octet| octet.to_ascii_lowercase()));
                out.push(b':');
                relaxed_value(&[before, after].concat(), out);
            }
        }
    }

    /// The canonical form of a header field, which may be folded; with its CRLF.
    ///
    /// ```
    /// # use mailstead_mailauth::dkim::Canonicalization;
    /// let field = b"SUBJect : a\r\n\t b \r\n";
    /// assert_eq!(Canonicalization::Relaxed.header_field(field), b"subject:a b\r\n");
    /// assert_eq!(Canonicalization::Simple.header_field(field), field);
    /// ```
    ///
    /// Nothing for what is not a header field.
    pub fn header_field(self, field: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(field.len() + 2);
        if let Some(field) = Fields::new(field).next().filter(|field| !field.name().is_empty()) {
            self.field(&field, &mut out);
        }
        out
    }

    /// The canonical form of a body.
    pub fn body(self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + 2);
        let mut canonicalizer = Body::new(self);
        canonicalizer.update(body, &mut |octets| out.extend_from_slice(octets));
        canonicalizer.finish(&mut |octets| out.extend_from_slice(octets));
        out
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn without_line_end(raw: &[u8]) -> &[u8] {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw)
}

/// Unfolds, makes any white space one space, and drops it at both ends (§3.4.2). Line feeds within a field are only those
/// of folding; a CR that does not belong to one is an octet as any other.
fn relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut space = false;
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' | b'\t' => space = true,
            b'\n' => {}
            b'\r' if octets.peek() == Some(&b'\n') => {}
            _ => {
                if std::mem::take(&mut space) && out.len() > start {
                    out.push(b' ');
                }
                out.push(octet);
            }
        }
    }
}

/// WSP (RFC 5234 §B.1).
fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Empty lines are held back until something follows them; this many are written at once then.
const CRLFS: &[u8] = b"\r\n\r\n\r\n\r\n";

/// Brings a body into its canonical form, in pieces that may end anywhere.
#[derive(Debug)]
pub(crate) struct Body {
    canonicalization: Canonicalization,
    /// Line ends that are written only when something follows (§3.4.3).
    lines: u64,
    /// White space since the last other octet of the line (relaxed only).
    space: bool,
    /// A CR of which it is not known whether an LF follows.
    cr: bool,
    /// Whether anything was written.
    any: bool,
}

impl Body {
    pub(crate) fn new(canonicalization: Canonicalization) -> Body {
        Body { canonicalization, lines: 0, space: false, cr: false, any: false }
    }

    pub(crate) fn update(&mut self, octets: &[u8], out: &mut impl FnMut(&[u8])) {
        match self.canonicalization {
            Canonicalization::Simple => {
                // Up to the last octet that is not of a line end, nothing can be at the end of the body.
                let kept = octets.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n')).map_or(0, |at| at + 1);
                let (content, line_ends) = octets.split_at_checked(kept).unwrap_or((octets, &[]));
                if !content.is_empty() {
                    self.write_held(out);
                    if std::mem::take(&mut self.cr) {
                        out(b"\r");
                    }
                    self.write(content, out);
                }
                self.scan(line_ends, out);
            }
            Canonicalization::Relaxed => self.scan(octets, out),
        }
    }

    /// Takes octets in runs up to the next CR.
    fn scan(&mut self, mut octets: &[u8], out: &mut impl FnMut(&[u8])) {
        while let Some(&first) = octets.first() {
            if std::mem::take(&mut self.cr) {
                if first == b'\n' {
                    self.space = false;
                    self.lines += 1;
                    octets = octets.get(1..).unwrap_or_default();
                    continue;
                }
                // Not a line end, so an octet as any other.
                self.write(b"\r", out);
            }
            let run = memchr::memchr(b'\r', octets).unwrap_or(octets.len());
            let (content, rest) = octets.split_at_checked(run).unwrap_or((octets, &[]));
            match self.canonicalization {
                Canonicalization::Simple if content.is_empty() => {}
                Canonicalization::Simple => self.write(content, out),
                Canonicalization::Relaxed => self.reduce(content, out),
            }
            self.cr = !rest.is_empty();
            octets = rest.get(1..).unwrap_or_default();
        }
    }

    /// Writes content of a line with its white space reduced; what is at its end is held back.
    fn reduce(&mut self, content: &[u8], out: &mut impl FnMut(&[u8])) {
        let is_other = |octet: &u8| !is_wsp(*octet);
        let Some(start) = content.iter().position(is_other) else {
            self.space |= !content.is_empty();
            return;
        };
        let end = content.iter().rposition(is_other).map_or(content.len(), |last| last + 1);
        self.space |= start > 0;
        let mut rest = content.get(start..end).unwrap_or_default();
        // Words with one space between them, as nearly all lines have, stay as they are. Without a way out on the first
        // hit, this runs over many octets at a time.
        let is_reduced = rest.iter().fold(true, |so_far, octet| so_far & (*octet != b'\t'))
            & rest.iter().zip(rest.iter().skip(1)).fold(true, |so_far, (a, b)| so_far & !(*a == b' ' && *b == b' '));
        if is_reduced {
            self.write(rest, out);
        } else {
            while !rest.is_empty() {
                let word = rest.iter().position(|octet| is_wsp(*octet)).unwrap_or(rest.len());
                let (now, after) = rest.split_at_checked(word).unwrap_or((rest, &[]));
                self.write(now, out);
                let spaces = after.iter().position(is_other).unwrap_or(after.len());
                self.space = spaces > 0;
                rest = after.get(spaces..).unwrap_or_default();
            }
        }
        self.space = end < content.len();
    }

    /// Writes content after what was held back before it.
    fn write(&mut self, content: &[u8], out: &mut impl FnMut(&[u8])) {
        self.write_held(out);
        out(content);
    }

    fn write_held(&mut self, out: &mut impl FnMut(&[u8])) {
        self.any = true;
        while self.lines > 0 {
            let now = self.lines.min(CRLFS.len() as u64 / 2);
            self.lines -= now;
            out(CRLFS.get(..now as usize * 2).unwrap_or_default());
        }
        if std::mem::take(&mut self.space) {
            out(b" ");
        }
    }

    /// Ends the body: with one line end, also where there was none; an empty one is CRLF in simple form, and nothing in
    /// relaxed form.
    pub(crate) fn finish(mut self, out: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.cr) {
            self.write(b"\r", out);
        }
        if self.any || self.canonicalization == Canonicalization::Simple {
            out(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Canonicalization::{Relaxed, Simple};
    use super::*;

    /// §3.4.5
    const HEADER: [&[u8]; 2] = [b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n"];
    const BODY: &[u8] = b" C \r\nD \t E\r\n\r\n\r\n";

    #[test]
    fn examples_of_the_rfc() {
        assert_eq!(HEADER.map(|field| Relaxed.header_field(field)), [b"a:X\r\n".as_slice(), b"b:Y Z\r\n"]);
        assert_eq!(HEADER.map(|field| Simple.header_field(field)), HEADER);
        assert_eq!(Relaxed.body(BODY), b" C\r\nD E\r\n");
        assert_eq!(Simple.body(BODY), b" C \r\nD \t E\r\n");
    }

    #[test]
    fn bodies() {
        for (body, simple, relaxed) in [
            ("", "\r\n", ""),
            ("\r\n", "\r\n", ""),
            ("\r\n\r\n\r\n", "\r\n", ""),
            (" \r\n", " \r\n", ""),
            ("\t \r\n \r\n", "\t \r\n \r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            ("a ", "a \r\n", "a\r\n"),
            ("\r\na\r\n\r\n b\t\tc\r\n", "\r\na\r\n\r\n b\t\tc\r\n", "\r\na\r\n\r\n b c\r\n"),
            // Lone CR and LF are content.
            ("a\n\r\n", "a\n\r\n", "a\n\r\n"),
            ("a\r\n\n\r\n", "a\r\n\n\r\n", "a\r\n\n\r\n"),
            ("a\r", "a\r\r\n", "a\r\r\n"),
            ("a \r b\r\r\n", "a \r b\r\r\n", "a \r b\r\r\n"),
            ("a\r\r\n\r\n", "a\r\r\n", "a\r\r\n"),
            ("\r", "\r\r\n", "\r\r\n"),
            (" \r", " \r\r\n", " \r\r\n"),
        ] {
            assert_eq!(String::from_utf8(Simple.body(body.as_bytes())).unwrap(), simple, "simple {body:?}");
            assert_eq!(String::from_utf8(Relaxed.body(body.as_bytes())).unwrap(), relaxed, "relaxed {body:?}");
        }
    }

    #[test]
    fn fields() {
        for (field, simple, relaxed) in [
            ("Subject: a", "Subject: a\r\n", "subject:a\r\n"),
            ("Subject:\r\n", "Subject:\r\n", "subject:\r\n"),
            ("Subject:\r\n \r\n", "Subject:\r\n \r\n", "subject:\r\n"),
            ("X \t:\t a \t b\r\n\t\r\n c\t\r\n", "X \t:\t a \t b\r\n\t\r\n c\t\r\n", "x:a b c\r\n"),
            ("X: a\r b\r\n", "X: a\r b\r\n", "x:a\r b\r\n"),
            ("X: a\n b\n", "X: a\n b\r\n", "x:a b\r\n"),
            ("X: Ä\u{a0}ö:;\r\n", "X: Ä\u{a0}ö:;\r\n", "x:Ä\u{a0}ö:;\r\n"),
            ("not a field\r\n", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(String::from_utf8(Simple.header_field(field.as_bytes())).unwrap(), simple, "{field:?}");
            assert_eq!(String::from_utf8(Relaxed.header_field(field.as_bytes())).unwrap(), relaxed, "{field:?}");
        }
    }

    #[test]
    fn the_value_of_a_signature_is_left_out_of_itself() {
        let text = b"DKIM-Signature: a=1; b = ab\r\n cd ; c=2\r\n";
        let field = Fields::new(text).next().unwrap();
        let list = crate::taglist::TagList::parse(field.value()).unwrap();
        let own = |canonicalization: Canonicalization| {
            let mut out = Vec::new();
            canonicalization.own_field(&field, &list.tag("b").unwrap().span, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(own(Simple), "DKIM-Signature: a=1; b =; c=2");
        assert_eq!(own(Relaxed), "dkim-signature:a=1; b =; c=2");
    }

    /// §3.4.3 and §3.4.4 to the letter: all lines in memory, one step after the other.
    fn reference(canonicalization: Canonicalization, body: &[u8]) -> Vec<u8> {
        let text: String = body.iter().copied().map(char::from).collect();
        let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
        if canonicalization == Relaxed {
            for line in &mut lines {
                let runs = line.replace('\t', " ");
                let words: Vec<&str> = runs.split(' ').collect();
                let mut reduced = words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
                if runs.starts_with(' ') && !reduced.is_empty() {
                    reduced.insert(0, ' ');
                }
                *line = reduced;
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        if lines.is_empty() {
            return if canonicalization == Simple { b"\r\n".to_vec() } else { Vec::new() };
        }
        lines.iter().flat_map(|line| line.chars().chain("\r\n".chars())).map(|c| c as u8).collect()
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b" ".to_vec()),
            Just(b"\t".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 1..6),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(body in body(), cuts in proptest::collection::vec(0_usize..8, 0..60)) {
            for canonicalization in Canonicalization::ALL {
                let mut out = Vec::new();
                let mut canonicalizer = Body::new(canonicalization);
                let mut rest = body.as_slice();
                for cut in &cuts {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    canonicalizer.update(piece, &mut |octets| out.extend_from_slice(octets));
                    rest = after;
                }
                canonicalizer.update(rest, &mut |octets| out.extend_from_slice(octets));
                canonicalizer.finish(&mut |octets| out.extend_from_slice(octets));
                prop_assert_eq!(&out, &canonicalization.body(&body));
                prop_assert_eq!(out, reference(canonicalization, &body));
            }
        }

        #[test]
        fn the_canonical_form_is_its_own_canonical_form(body in body(), value in "[ -~\t\r]{0,30}(\r\n[ \t][ -~]{0,9}){0,3}") {
            for canonicalization in Canonicalization::ALL {
                let once = canonicalization.body(&body);
                prop_assert_eq!(canonicalization.body(&once), once);
                let once = canonicalization.header_field(format!("X-Test :{value}\r\n").as_bytes());
                prop_assert_eq!(canonicalization.header_field(&once), once);
            }
        }
    }
}
