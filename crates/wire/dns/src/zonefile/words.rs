//! From text to words: blanks, comments, strings, escapes, and lines that parentheses join (RFC 1035 §5.1).

use crate::zonefile::{ZonefileError, ZonefileErrorKind};

/// Longer words are cut where a mistake quotes them.
const MAX_EXCERPT: usize = 40;

/// A word of a record, its escapes as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// It stood between quotation marks.
    pub(super) quoted: bool,
    pub(super) line: usize,
}

impl Word<'_> {
    pub(super) fn error(&self, kind: ZonefileErrorKind) -> ZonefileError {
        ZonefileError { line: self.line, kind }
    }

    /// The word as a mistake quotes it.
    pub(super) fn excerpt(&self) -> String {
        let mut excerpt: String = self.text.chars().take(MAX_EXCERPT).flat_map(char::escape_debug).collect();
        if self.text.chars().nth(MAX_EXCERPT).is_some() {
            excerpt.push_str("...");
        }
        excerpt
    }
}

/// The words of a record or directive: of a line, or of several within parentheses.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Where it begins.
    pub(super) line: usize,
    /// The first word is the owner: no blank stands before it.
    pub(super) names_owner: bool,
    /// At least one.
    pub(super) words: Vec<Word<'a>>,
}

impl Entry<'_> {
    pub(super) fn error(&self, kind: ZonefileErrorKind) -> ZonefileError {
        ZonefileError { line: self.line, kind }
    }
}

/// The text from where it has not been read.
#[derive(Debug, Default)]
pub(super) struct Entries<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Entries { text, at: 0, line: 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, kind: ZonefileErrorKind) -> ZonefileError {
        ZonefileError { line: self.line, kind }
    }

    /// The words from `start` to here. Both are beside ASCII, so no character is cut.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next entry that has words.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ZonefileError> {
        while let Some(first) = self.peek() {
            let line = self.line;
            let words = self.words()?;
            if !words.is_empty() {
                return Ok(Some(Entry { line, names_owner: !matches!(first, b' ' | b'\t'), words }));
            }
        }
        Ok(None)
    }

    /// The words up to the end of the line, or of the line where the last parenthesis closes.
    fn words(&mut self) -> Result<Vec<Word<'a>>, ZonefileError> {
        let mut words = Vec::new();
        // The lines of the parentheses that are open.
        let (mut depth, mut opened) = (0_usize, self.line);
        while let Some(octet) = self.peek() {
            match octet {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        return Ok(words);
                    }
                }
                b' ' | b'\t' => self.at += 1,
                b'\r' if matches!(self.text.as_bytes().get(self.at + 1), None | Some(b'\n')) => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    if depth == 0 {
                        opened = self.line;
                    }
                    depth += 1;
                    self.at += 1;
                }
                b')' => {
                    depth = depth.checked_sub(1).ok_or_else(|| self.error(ZonefileErrorKind::UnopenedParenthesis))?;
                    self.at += 1;
                }
                b'"' => words.push(self.string()?),
                _ => words.push(self.word()?),
            }
        }
        if depth > 0 {
            return Err(ZonefileError { line: opened, kind: ZonefileErrorKind::UnclosedParenthesis });
        }
        Ok(words)
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|octet| octet != b'\n') {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Word<'a>, ZonefileError> {
        let start = self.at;
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' if self.at > start => break,
                b'"' => return Err(self.error(ZonefileErrorKind::QuotationMark)),
                b'\\' => self.escape()?,
                _ if octet.is_ascii_control() => return Err(self.error(ZonefileErrorKind::ControlCharacter)),
                _ => self.at += 1,
            }
        }
        Ok(Word { text: self.since(start), quoted: false, line: self.line })
    }

    fn string(&mut self) -> Result<Word<'a>, ZonefileError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                None | Some(b'\n') => return Err(self.error(ZonefileErrorKind::UnclosedString)),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
        let text = self.since(start);
        self.at += 1;
        if !matches!(self.peek(), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')')) {
            return Err(self.error(ZonefileErrorKind::QuotationMark));
        }
        Ok(Word { text, quoted: true, line: self.line })
    }

    /// A backslash and what it stands before, which ends nothing.
    fn escape(&mut self) -> Result<(), ZonefileError> {
        self.at += 1;
        match self.peek() {
            None => Err(self.error(ZonefileErrorKind::Escape)),
            Some(octet) if octet.is_ascii_control() => Err(self.error(ZonefileErrorKind::Escape)),
            Some(_) => {
                self.at += 1;
                Ok(())
            }
        }
    }
}
