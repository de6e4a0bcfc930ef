//! A cursor over the lexical tokens of structured header fields (RFC 5322 §3.2), UTF-8 included (RFC 6532 §3.2).
//!
//! ```abnf
//! CFWS          = (1*([FWS] comment) [FWS]) / FWS
//! quoted-string = [CFWS] DQUOTE *([FWS] qcontent) [FWS] DQUOTE [CFWS]
//! comment       = "(" *([FWS] ccontent) [FWS] ")"
//! ```

/// A position in an unfolded field value. Every method moves forward or stays; none fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { rest: text }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Consumes `expected` if it is next.
    pub(crate) fn eat(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Consumes while `keep` holds.
    pub(crate) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Skips white space and comments; answers the last comment's text, which old mail uses for a display name.
    pub(crate) fn skip_cfws(&mut self) -> Option<String> {
        let mut comment = None;
        loop {
            self.skip_space();
            match self.comment() {
                Some(text) => comment = Some(text),
                None => return comment,
            }
        }
    }

    /// One comment with nesting; an unclosed one runs to the end.
    fn comment(&mut self) -> Option<String> {
        if !self.eat('(') {
            return None;
        }
        let mut depth = 1_usize;
        let mut text = String::new();
        while let Some(c) = self.bump() {
            match c {
                '\\' => text.extend(self.bump()),
                '(' => {
                    depth += 1;
                    text.push(c);
                }
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    text.push(c);
                }
                _ => text.push(c),
            }
        }
        Some(text)
    }

    /// The content of a quoted-string, if one is next; an unclosed one runs to the end.
    pub(crate) fn quoted_string(&mut self) -> Option<String> {
        if !self.eat('"') {
            return None;
        }
        let mut text = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => text.extend(self.bump()),
                _ => text.push(c),
            }
        }
        Some(text)
    }
}

/// `atext` of RFC 5322 §3.2.3 and RFC 6532 §3.2.
pub(crate) fn is_atext(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// `token` of RFC 2045 §5.1.
pub(crate) fn is_token(c: char) -> bool {
    !c.is_ascii() || (c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c))
}

/// Writes `text` as a quoted-string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
