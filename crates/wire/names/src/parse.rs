//! The productions of RFC 5321 §4.1.2 and §4.1.3 as extended by RFC 6531 §3.3, for protocol parsers.
//!
//! Each function reads its production at the beginning of the text and returns the value with the number of octets it
//! took, so that a caller can go on behind it. Text that no rule here can end (a domain, a local part) is taken as far
//! as its characters go.
//!
//! ```text
//! Reverse-path   = Path / "<>"
//! Forward-path   = Path / "<Postmaster>"
//! Path           = "<" [ A-d-l ":" ] Mailbox ">"
//! A-d-l          = At-domain *( "," At-domain )
//! At-domain      = "@" Domain
//! Mailbox        = Local-part "@" ( Domain / address-literal )
//! Local-part     = Dot-string / Quoted-string
//! Dot-string     = Atom *("." Atom)
//! Atom           = 1*atext                       ; atext of RFC 5322, and UTF8-non-ascii
//! Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
//! QcontentSMTP   = qtextSMTP / quoted-pairSMTP
//! quoted-pairSMTP = %d92 %d32-126
//! qtextSMTP      = %d32-33 / %d35-91 / %d93-126 / UTF8-non-ascii
//! Domain         = sub-domain *("." sub-domain)
//! sub-domain     = Let-dig [Ldh-str] / U-label
//! address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"
//! IPv6-address-literal = "IPv6:" IPv6-addr
//! ```

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Address, Domain, EnhancedStatus, Error, ForwardPath, Host, Localpart, ReversePath, StatusClass};

/// A value and the number of octets it took.
pub type Parsed<T> = Result<(T, usize), Error>;

/// Whether the character is `atext` (RFC 5322 §3.2.3, RFC 6531 §3.3).
pub fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// `Reverse-path`: `<>` or a path in angle brackets.
pub fn reverse_path(text: &str) -> Parsed<ReversePath> {
    if text.starts_with("<>") {
        return Ok((ReversePath::Null, 2));
    }
    let (address, used) = path(text)?;
    Ok((ReversePath::Address(address), used))
}

/// `Forward-path`: a path in angle brackets, or `<Postmaster>` in any case of letters.
pub fn forward_path(text: &str) -> Parsed<ForwardPath> {
    const POSTMASTER: &str = "<Postmaster>";
    if text.get(..POSTMASTER.len()).is_some_and(|start| start.eq_ignore_ascii_case(POSTMASTER)) {
        return Ok((ForwardPath::Postmaster, POSTMASTER.len()));
    }
    let (address, used) = path(text)?;
    Ok((ForwardPath::Address(address), used))
}

/// `Path`. A source route is read and ignored (RFC 5321 §3.6.1, appendix C).
pub fn path(text: &str) -> Parsed<Address> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.expect('<', "\"<\"")?;
    if cursor.peek() == Some('@') {
        loop {
            cursor.expect('@', "\"@\"")?;
            cursor.take(domain)?;
            if !cursor.accept(',') {
                break;
            }
        }
        cursor.expect(':', "\":\"")?;
    }
    let address = cursor.take(mailbox)?;
    cursor.expect('>', "\">\"")?;
    Ok((address, cursor.at))
}

/// `Mailbox`: an address without angle brackets.
pub fn mailbox(text: &str) -> Parsed<Address> {
    let mut cursor = Cursor { text, at: 0 };
    let localpart = cursor.take(local_part)?;
    cursor.expect('@', "\"@\"")?;
    let host = cursor.take(host)?;
    Ok((Address { localpart, host }, cursor.at))
}

/// `Local-part`, without its quotes and escapes.
pub fn local_part(text: &str) -> Parsed<Localpart> {
    let (raw, used) = if text.starts_with('"') { quoted_string(text)? } else { dot_string(text)? };
    Ok((Localpart::new(&raw)?, used))
}

fn dot_string(text: &str) -> Parsed<String> {
    let end = text.find(|c| !is_atext(c) && c != '.').unwrap_or(text.len());
    let taken = &text[..end];
    let mut at = 0;
    for atom in taken.split('.') {
        if atom.is_empty() {
            return Err(Error::Syntax { at, expected: "an atom" });
        }
        at += atom.len() + 1;
    }
    Ok((taken.to_owned(), end))
}

fn quoted_string(text: &str) -> Parsed<String> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((content, at + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ' '..='~')) => content.push(escaped),
                _ => return Err(Error::Syntax { at: at + 1, expected: "a printable ASCII character after \"\\\"" }),
            },
            c if c.is_control() => return Err(Error::Syntax { at, expected: "a printable character" }),
            c => content.push(c),
        }
    }
    Err(Error::Syntax { at: text.len(), expected: "a closing quotation mark" })
}

/// `Domain / address-literal`.
pub fn host(text: &str) -> Parsed<Host> {
    if text.starts_with('[') {
        let (ip, used) = address_literal(text)?;
        return Ok((Host::Ip(ip), used));
    }
    let (domain, used) = domain(text)?;
    Ok((Host::Domain(domain), used))
}

/// `Domain`, with A-labels or U-labels.
pub fn domain(text: &str) -> Parsed<Domain> {
    let end =
        text.find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '-' && c != '.').unwrap_or(text.len());
    if end == 0 {
        return Err(Error::Syntax { at: 0, expected: "a domain name" });
    }
    Ok((Domain::parse(&text[..end])?, end))
}

/// `address-literal` (RFC 5321 §4.1.3). No general address literal has ever been registered.
pub fn address_literal(text: &str) -> Parsed<IpAddr> {
    let expected = "an address literal";
    let inside = text.strip_prefix('[').ok_or(Error::Syntax { at: 0, expected })?;
    let (inside, _) = inside.split_once(']').ok_or(Error::Syntax { at: text.len(), expected: "\"]\"" })?;
    let ip = match inside.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6:") => rest.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => inside.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    let ip = ip.map_err(|_| Error::Syntax { at: 1, expected })?;
    Ok((ip, inside.len() + 2))
}

/// `status-code = class "." subject "." detail` (RFC 3463 §2); subject and detail have one to three digits.
pub fn enhanced_status(text: &str) -> Parsed<EnhancedStatus> {
    let mut cursor = Cursor { text, at: 0 };
    let class = match cursor.take(number)? {
        2 => StatusClass::Success,
        4 => StatusClass::PersistentTransient,
        5 => StatusClass::Permanent,
        _ => return Err(Error::Syntax { at: 0, expected: "2, 4 or 5" }),
    };
    cursor.expect('.', "\".\"")?;
    let subject = cursor.take(number)?;
    cursor.expect('.', "\".\"")?;
    let detail = cursor.take(number)?;
    Ok((EnhancedStatus::from_parts(class, subject, detail), cursor.at))
}

fn number(text: &str) -> Parsed<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text[..end].parse() {
        Ok(value) if end <= 3 => Ok((value, end)),
        _ => Err(Error::Syntax { at: 0, expected: "a number of one to three digits" }),
    }
}

/// Applies a parser that must take all of the text.
pub(crate) fn whole<T>(text: &str, parser: fn(&str) -> Parsed<T>) -> Result<T, Error> {
    match parser(text)? {
        (value, used) if used == text.len() => Ok(value),
        (_, at) => Err(Error::Syntax { at, expected: "the end" }),
    }
}

/// Reads productions one after the other, so that offsets in errors refer to the whole text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char, expected: &'static str) -> Result<(), Error> {
        if self.accept(c) { Ok(()) } else { Err(Error::Syntax { at: self.at, expected }) }
    }

    fn take<T>(&mut self, parser: fn(&str) -> Parsed<T>) -> Result<T, Error> {
        let (value, used) = parser(self.rest()).map_err(|error| match error {
            Error::Syntax { at, expected } => Error::Syntax { at: at + self.at, expected },
            other => other,
        })?;
        self.at += used;
        Ok(value)
    }
}
