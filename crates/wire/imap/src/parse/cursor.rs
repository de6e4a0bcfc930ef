//! The lexical elements shared by commands and responses: atoms, numbers, strings and literals (RFC 9051 §4, §9).
//!
//! Every method either consumes what it names, or fails: with [`Error::Incomplete`] if more octets could make it right,
//! with a syntax error otherwise. Literals stand in the input where they occur, after the CRLF of their header.

use std::borrow::Cow;

use crate::Error;

type Result<T> = std::result::Result<T, Error>;

/// The announcement of a literal: `["~"] "{" number64 ["+"] "}" CRLF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiteralHeader {
    pub(crate) size: u64,
    pub(crate) sync: Synchronisation,
    pub(crate) binary: bool,
}

/// Whether the client waits for a continuation request before it sends a literal (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synchronisation {
    Waits,
    DoesNotWait,
}

impl LiteralHeader {
    /// The literal header that ends `line`, if one does. `line` includes its line end.
    pub(crate) fn ending(line: &[u8]) -> Option<LiteralHeader> {
        let line = line.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
        let (line, sync) = match line.strip_suffix(b"+") {
            Some(line) => (line, Synchronisation::DoesNotWait),
            None => (line, Synchronisation::Waits),
        };
        let digits = line.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
        let (before, digits) = line.split_at_checked(line.len().checked_sub(digits)?)?;
        let before = before.strip_suffix(b"{")?;
        // A number that is no size is refused by the parser or by any limit.
        let size = decimal(digits).unwrap_or(u64::MAX);
        (!digits.is_empty()).then_some(LiteralHeader { size, sync, binary: before.ends_with(b"~") })
    }
}

/// The value of 1*DIGIT as an unsigned 63-bit integer (RFC 9051 §9, number64).
fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok())
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
///
/// `atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials`
pub(crate) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub(crate) fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

/// Characters of the grammar's own words, such as `BODY.PEEK` and `STATUS`.
fn is_keyword_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b".-_".contains(&octet)
}

#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Cursor<'a> {
        Cursor { input, at: 0 }
    }

    /// How many octets have been consumed.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// A syntax error here.
    pub(crate) fn expected(&self, expected: &'static str) -> Error {
        let found = match self.rest() {
            [] => return Error::Incomplete,
            [b'\r'] => return Error::Incomplete,
            [b'\r', b'\n', ..] => "the end of the line".to_owned(),
            [b'\n', ..] => "a line feed without carriage return".to_owned(),
            [b' ', ..] => "a space".to_owned(),
            [octet, ..] if octet.is_ascii_graphic() => format!("{:?}", char::from(*octet)),
            [octet, ..] => format!("octet {octet:#04x}"),
        };
        Error::Syntax { position: self.at, expected, found }
    }

    /// A complaint about the value just consumed.
    pub(crate) fn bad_value(&self, problem: &'static str) -> Error {
        Error::Value { position: self.at, problem }
    }

    /// The next octet, not consumed.
    pub(crate) fn peek(&self) -> Result<u8> {
        self.rest().first().copied().ok_or(Error::Incomplete)
    }

    /// Consumes `octet` if it is next.
    pub(crate) fn eat(&mut self, octet: u8) -> Result<bool> {
        let matches = self.peek()? == octet;
        self.at += usize::from(matches);
        Ok(matches)
    }

    /// Consumes `octet` or fails.
    pub(crate) fn expect(&mut self, octet: u8, expected: &'static str) -> Result<()> {
        if self.eat(octet)? { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// `SP`
    pub(crate) fn space(&mut self) -> Result<()> {
        self.expect(b' ', "a space")
    }

    /// `CRLF`
    pub(crate) fn crlf(&mut self) -> Result<()> {
        match self.rest() {
            [b'\r', b'\n', ..] => {
                self.at += 2;
                Ok(())
            }
            _ => Err(self.expected("the end of the line (CRLF)")),
        }
    }

    /// Whether the line ends here.
    pub(crate) fn at_line_end(&self) -> Result<bool> {
        Ok(matches!(self.peek()?, b'\r' | b'\n'))
    }

    /// Consumes the octets that satisfy `test`; the first that does not must be there to be seen.
    pub(crate) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> Result<&'a [u8]> {
        let rest = self.rest();
        let length = rest.iter().position(|octet| !test(*octet)).ok_or(Error::Incomplete)?;
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// One or more octets that satisfy `test`.
    pub(crate) fn word(&mut self, test: impl Fn(u8) -> bool, expected: &'static str) -> Result<&'a [u8]> {
        let octets = self.take_while(test)?;
        if octets.is_empty() { Err(self.expected(expected)) } else { Ok(octets) }
    }

    /// A word that is ASCII by the nature of `test`.
    fn take_text(&mut self, test: impl Fn(u8) -> bool, expected: &'static str) -> Result<&'a str> {
        let octets = self.word(test, expected)?;
        std::str::from_utf8(octets).map_err(|_| self.bad_value("text that is not UTF-8"))
    }

    /// `atom = 1*ATOM-CHAR`
    pub(crate) fn atom(&mut self, expected: &'static str) -> Result<&'a str> {
        self.take_text(is_atom_char, expected)
    }

    /// One of the grammar's words, in upper case. Fails without consuming anything if there is none.
    pub(crate) fn keyword(&mut self, expected: &'static str) -> Result<String> {
        Ok(self.take_text(is_keyword_char, expected)?.to_ascii_uppercase())
    }

    /// Consumes `word` (case-insensitively) if it is the next keyword.
    pub(crate) fn eat_keyword(&mut self, word: &str) -> Result<bool> {
        let before = self.at;
        let octets = self.take_while(is_keyword_char)?;
        let matches = octets.eq_ignore_ascii_case(word.as_bytes());
        if !matches {
            self.at = before;
        }
        Ok(matches)
    }

    /// Goes back to `position`, to complain about what was there.
    pub(crate) fn expected_at(&mut self, position: usize, expected: &'static str) -> Error {
        self.at = position;
        self.expected(expected)
    }

    /// `number64 = 1*DIGIT`: an unsigned 63-bit integer
    pub(crate) fn number64(&mut self) -> Result<u64> {
        let digits = self.take_text(|octet| octet.is_ascii_digit(), "a number")?;
        decimal(digits.as_bytes()).ok_or_else(|| self.bad_value("a number beyond 63 bits"))
    }

    /// `number = 1*DIGIT`: an unsigned 32-bit integer
    pub(crate) fn number(&mut self) -> Result<u32> {
        u32::try_from(self.number64()?).map_err(|_| self.bad_value("a number beyond 32 bits"))
    }

    /// `nz-number = digit-nz *DIGIT`
    pub(crate) fn nz_number(&mut self) -> Result<u32> {
        if self.peek()? == b'0' {
            return Err(self.expected("a number that is not zero"));
        }
        self.number()
    }

    /// Exactly `count` digits.
    pub(crate) fn digits(&mut self, count: usize) -> Result<u16> {
        let mut value: u16 = 0;
        for _ in 0..count {
            let octet = self.peek()?;
            if !octet.is_ascii_digit() {
                return Err(self.expected("a digit"));
            }
            value = value.saturating_mul(10).saturating_add(u16::from(octet - b'0'));
            self.at += 1;
        }
        Ok(value)
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`
    ///
    /// `QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4`
    pub(crate) fn quoted(&mut self) -> Result<Cow<'a, [u8]>> {
        self.expect(b'"', "a quoted string")?;
        let plain = self.take_while(|octet| !b"\"\\\r\n\0".contains(&octet))?;
        if self.eat(b'"')? {
            return Ok(Cow::Borrowed(plain));
        }
        let mut octets = plain.to_vec();
        loop {
            match self.peek()? {
                b'"' => break self.at += 1,
                b'\\' => {
                    self.at += 1;
                    let escaped = self.peek()?;
                    if !b"\"\\".contains(&escaped) {
                        return Err(self.expected("a double quote or backslash after a backslash"));
                    }
                    octets.push(escaped);
                    self.at += 1;
                }
                b'\r' | b'\n' | 0 => return Err(self.expected("the closing double quote")),
                octet => {
                    octets.push(octet);
                    self.at += 1;
                }
            }
        }
        Ok(Cow::Owned(octets))
    }

    /// `"{" number64 ["+"] "}" CRLF`, or with `~` in front for a literal8 (RFC 3516).
    pub(crate) fn literal_header(&mut self) -> Result<LiteralHeader> {
        let binary = self.eat(b'~')?;
        self.expect(b'{', "a literal")?;
        let size = self.number64()?;
        let sync = if self.eat(b'+')? { Synchronisation::DoesNotWait } else { Synchronisation::Waits };
        self.expect(b'}', "\"}\" or \"+}\" after the size of a literal")?;
        self.crlf()?;
        Ok(LiteralHeader { size, sync, binary })
    }

    /// The octets of a literal whose header has been consumed.
    pub(crate) fn literal_octets(&mut self, header: LiteralHeader) -> Result<&'a [u8]> {
        let size = usize::try_from(header.size).map_err(|_| Error::Incomplete)?;
        let octets = self.rest().get(..size).ok_or(Error::Incomplete)?;
        self.at += size;
        if !header.binary && octets.contains(&0) {
            return Err(self.bad_value("NUL within a literal"));
        }
        Ok(octets)
    }

    /// `string = quoted / literal`
    pub(crate) fn string(&mut self, expected: &'static str) -> Result<Cow<'a, [u8]>> {
        match self.peek()? {
            b'"' => self.quoted(),
            b'{' => {
                let header = self.literal_header()?;
                Ok(Cow::Borrowed(self.literal_octets(header)?))
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(crate) fn astring(&mut self, expected: &'static str) -> Result<Cow<'a, [u8]>> {
        match self.peek()? {
            b'"' | b'{' => self.string(expected),
            _ => Ok(Cow::Borrowed(self.take_text(is_astring_char, expected)?.as_bytes())),
        }
    }

    /// An astring that is UTF-8 text.
    pub(crate) fn text(&mut self, expected: &'static str) -> Result<String> {
        let octets = self.astring(expected)?;
        self.utf8(octets)
    }

    /// Checks that a string just consumed is UTF-8 (RFC 6855 §3: BAD otherwise).
    pub(crate) fn utf8(&self, octets: Cow<'_, [u8]>) -> Result<String> {
        String::from_utf8(octets.into_owned()).map_err(|_| self.bad_value("text that is not UTF-8"))
    }

    /// `"(" item *(SP item) ")"`, also empty if `empty` allows it.
    pub(crate) fn list<T>(
        &mut self,
        empty: EmptyList,
        expected: &'static str,
        mut item: impl FnMut(&mut Cursor<'a>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.expect(b'(', expected)?;
        if empty == EmptyList::Allowed && self.eat(b')')? {
            return Ok(Vec::new());
        }
        let mut items = vec![item(self)?];
        while !self.eat(b')')? {
            self.expect(b' ', "a space or \")\"")?;
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Whether a parenthesised list may have no items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyList {
    Allowed,
    Refused,
}
