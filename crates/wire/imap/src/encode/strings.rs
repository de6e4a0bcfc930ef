//! Strings: quoted where possible, a literal where necessary, and mailbox names.

use super::{Encoder, Octets};
use crate::parse::is_astring_char;
use crate::{MailboxName, NameEncoding, utf7};

/// Longer strings are written as literals, since clients have limits for lines (RFC 2683 §3.2.1.5).
const QUOTED_MAX: usize = 1000;

impl Encoder {
    /// `string = quoted / literal`
    pub(super) fn string(&mut self, text: &str) {
        let fits = self.mode.names == NameEncoding::Utf8 || text.is_ascii();
        if fits && text.len() <= QUOTED_MAX && !text.bytes().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            self.quoted(text);
        } else {
            self.put(format_args!("{{{}}}\r\n", text.len()));
            self.streamed = Octets::NoNul;
            self.raw(text.as_bytes());
        }
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`
    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        for octet in text.bytes() {
            if matches!(octet, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(octet);
        }
        self.out.push(b'"');
    }

    /// `astring = 1*ASTRING-CHAR / string`. What a client could read as NIL is quoted.
    pub(super) fn astring(&mut self, text: &str) {
        let plain = !text.is_empty() && !text.eq_ignore_ascii_case("NIL") && text.bytes().all(is_astring_char);
        if plain { self.put(text) } else { self.string(text) }
    }

    /// `nstring = string / nil`
    pub(super) fn nstring(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.put("NIL"),
        }
    }

    /// `mailbox = "INBOX" / astring`, in the session's encoding
    pub(super) fn mailbox(&mut self, name: &MailboxName) {
        match self.mode.names {
            NameEncoding::Utf8 => self.astring(name.as_str()),
            NameEncoding::ModifiedUtf7 => self.astring(&utf7::encode(name.as_str())),
        }
    }

    /// `text = 1*(TEXT-CHAR / UTF8-2 / UTF8-3 / UTF8-4)`: what cannot be written is replaced.
    pub(super) fn text(&mut self, text: &str) {
        let utf8 = self.mode.names == NameEncoding::Utf8;
        let writable = |c: char| match c {
            '\r' | '\n' | '\0' => ' ',
            c if c.is_ascii() || utf8 => c,
            _ => '?',
        };
        self.put(text.chars().map(writable).collect::<String>());
    }
}
