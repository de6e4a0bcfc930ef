//! Reading the field (RFC 8601 §2.2), comments, folding and quoting wherever they may be.
//!
//! ```abnf
//! authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]
//! authserv-id     = value
//! authres-version = 1*DIGIT [CFWS]
//! no-result       = [CFWS] ";" [CFWS] "none"
//! resinfo         = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
//! methodspec      = [CFWS] method [CFWS] "=" [CFWS] result
//! method          = Keyword [ [CFWS] "/" [CFWS] method-version ]
//! reasonspec      = "reason" [CFWS] "=" [CFWS] value
//! propspec        = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue
//! pvalue          = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS]
//! value           = token / quoted-string
//! ```
//! Three things are read that are not legal and still common: a semicolon at the end, properties without their type, and
//! values that ought to be quoted.

use super::{AuthenticationResults, Method, MethodResult, Property, Ptype, ResultCode, VERSION, Value, join};

/// Results of one field. Nobody checks that many things; a longer list is not read.
const MOST_RESULTS: usize = 100;

/// Why a field cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It does not follow the grammar.
    #[error("expected {expected} at offset {at}")]
    Syntax {
        /// Offset in octets of the first one that does not fit.
        at: usize,
        /// What the grammar wants there.
        expected: &'static str,
    },
    /// It is of a version with another grammar, perhaps (RFC 8601 §2.6).
    #[error("unsupported version {0}")]
    Version(u32),
    /// It has more results than are read.
    #[error("too many results")]
    TooMany,
}

impl AuthenticationResults {
    /// Reads the value of a field, folded or not.
    ///
    /// # Errors
    /// When it does not follow the grammar, or a version other than [`VERSION`].
    pub fn parse(text: &str) -> Result<AuthenticationResults, ParseError> {
        let mut scanner = Scanner { text, at: 0 };
        let (authserv_id, version) = scanner.authserv()?;
        let mut read = AuthenticationResults { authserv_id: Value::Text(authserv_id), version, results: Vec::new() };
        if scanner.peek().is_none() {
            return Err(scanner.expected("semicolon"));
        }
        loop {
            scanner.skip()?;
            if scanner.peek().is_none() {
                return Ok(read);
            }
            if !scanner.eat(';') {
                return Err(scanner.expected("semicolon"));
            }
            scanner.skip()?;
            if scanner.peek().is_none() {
                return if read.results.is_empty() { Err(scanner.expected("method")) } else { Ok(read) };
            }
            if read.results.is_empty() && scanner.no_result()? {
                return Ok(read);
            }
            if read.results.len() == MOST_RESULTS {
                return Err(ParseError::TooMany);
            }
            read.results.push(scanner.result()?);
        }
    }
}

/// The authserv-id of a field, and its version, whatever follows.
pub(super) fn authserv(text: &str) -> Result<(String, Option<u32>), ParseError> {
    match (Scanner { text, at: 0 }).authserv() {
        Err(ParseError::Version(version)) => {
            let mut scanner = Scanner { text, at: 0 };
            scanner.skip()?;
            Ok((scanner.value()?.unwrap_or_default(), Some(version)))
        }
        outcome => outcome,
    }
}

/// `Keyword` of RFC 5321 §4.1.2, and the underscore that some use.
pub(super) fn is_keyword(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// `token` of RFC 2045 §5.1.
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, expected: char) -> bool {
        let eaten = self.peek() == Some(expected);
        if eaten {
            self.at += expected.len_utf8();
        }
        eaten
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.split_once(|c| !keep(c)).map_or(rest, |(taken, _)| taken);
        self.at += taken.len();
        taken
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        ParseError::Syntax { at: self.at, expected }
    }

    /// `[CFWS]`, and what its comments say.
    fn cfws(&mut self) -> Result<Option<String>, ParseError> {
        let mut comments = None;
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if !self.eat('(') {
                return Ok(comments);
            }
            comments = join(comments, &self.comment()?);
        }
    }

    fn skip(&mut self) -> Result<(), ParseError> {
        self.cfws().map(drop)
    }

    /// The rest of a comment, nested ones in their parentheses, its white space as single spaces.
    fn comment(&mut self) -> Result<String, ParseError> {
        let mut depth = 1_usize;
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(self.expected("closing parenthesis")),
                Some('\\') => text.extend(self.bump()),
                Some('(') => {
                    depth += 1;
                    text.push('(');
                }
                Some(')') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
                    }
                    text.push(')');
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// `quoted-string` without its `[CFWS]`, folding undone.
    fn quoted_string(&mut self) -> Result<Option<String>, ParseError> {
        if !self.eat('"') {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(self.expected("closing quote")),
                Some('"') => return Ok(Some(text)),
                Some('\\') => text.extend(self.bump()),
                Some('\r' | '\n') => {}
                Some(c) => text.push(c),
            }
        }
    }

    /// `value`; nothing where there is none.
    fn value(&mut self) -> Result<Option<String>, ParseError> {
        if let Some(text) = self.quoted_string()? {
            return Ok(Some(text));
        }
        // Outside ASCII it should be quoted.
        let token = self.take_while(|c| is_token(c) || !c.is_ascii());
        Ok((!token.is_empty()).then(|| token.to_owned()))
    }

    fn keyword(&mut self, expected: &'static str) -> Result<&'a str, ParseError> {
        let word = self.take_while(is_keyword);
        if word.is_empty() { Err(self.expected(expected)) } else { Ok(word) }
    }

    /// `1*DIGIT`; nothing where there is none.
    fn number(&mut self) -> Option<u32> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
    }

    /// Everything before the first semicolon.
    fn authserv(&mut self) -> Result<(String, Option<u32>), ParseError> {
        self.skip()?;
        let Some(authserv_id) = self.value()? else { return Err(self.expected("authserv-id")) };
        self.skip()?;
        let version = self.number();
        match version {
            Some(version) if version != VERSION => return Err(ParseError::Version(version)),
            _ => {}
        }
        self.skip()?;
        Ok((authserv_id, version))
    }

    /// `none` with nothing after it; stays where it was if it is something else.
    fn no_result(&mut self) -> Result<bool, ParseError> {
        let start = self.at;
        if self.take_while(is_keyword).eq_ignore_ascii_case("none") {
            self.skip()?;
            if self.eat(';') {
                self.skip()?;
            }
            if self.peek().is_none() {
                return Ok(true);
            }
        }
        self.at = start;
        Ok(false)
    }

    /// `resinfo` after its semicolon.
    fn result(&mut self) -> Result<MethodResult, ParseError> {
        let method = Method::from(self.keyword("method")?);
        let mut comment = self.cfws()?;
        let mut version = None;
        if self.eat('/') {
            comment = merge(comment, self.cfws()?);
            version = Some(self.number().ok_or_else(|| self.expected("version"))?);
            comment = merge(comment, self.cfws()?);
        }
        if !self.eat('=') {
            return Err(self.expected("equals sign"));
        }
        comment = merge(comment, self.cfws()?);
        let code = ResultCode::from(self.keyword("result")?);
        comment = merge(comment, self.cfws()?);
        let mut result = MethodResult { version, comment, ..MethodResult::new(method, code) };
        while !matches!(self.peek(), None | Some(';')) {
            self.detail(&mut result)?;
        }
        Ok(result)
    }

    /// `reasonspec` or `propspec`, and the comments after it.
    fn detail(&mut self, result: &mut MethodResult) -> Result<(), ParseError> {
        let mut name = self.keyword("property")?;
        let mut ptype = None;
        let mut comment = self.cfws()?;
        if self.eat('.') {
            ptype = Some(Ptype::from(name));
            comment = merge(comment, self.cfws()?);
            name = self.keyword("property")?;
            comment = merge(comment, self.cfws()?);
        }
        if !self.eat('=') {
            return Err(self.expected("equals sign"));
        }
        comment = merge(comment, self.cfws()?);
        let value = self.pvalue()?;
        comment = merge(comment, self.cfws()?);
        if ptype.is_none() && name.eq_ignore_ascii_case("reason") && result.reason.is_none() {
            result.reason = Some(value);
            result.comment = merge(result.comment.take(), comment);
        } else {
            let name = name.to_ascii_lowercase();
            result.properties.push(Property { ptype, name, value: Value::Text(value), comment });
        }
        Ok(())
    }

    /// `value / [ [ local-part ] "@" ] domain-name`, and anything else without white space that stands in its place.
    fn pvalue(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        if let Some(text) = self.quoted_string()? {
            if self.peek() != Some('@') {
                return Ok(text);
            }
            // The local part keeps its quotes, without which it would mean something else.
            self.take_while(|c| !ends_value(c));
            let written = self.text.get(start..self.at).unwrap_or_default();
            return Ok(written.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
        }
        Ok(self.take_while(|c| !ends_value(c)).to_owned())
    }
}

fn ends_value(c: char) -> bool {
    c.is_ascii_whitespace() || c.is_ascii_control() || matches!(c, ';' | '(' | '"')
}

fn merge(first: Option<String>, second: Option<String>) -> Option<String> {
    match second {
        Some(second) => join(first, &second),
        None => first,
    }
}
