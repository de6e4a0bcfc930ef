//! How a client names itself in EHLO or HELO (RFC 5321 §4.1.1.1).

use std::fmt;
use std::net::IpAddr;

use crate::{Domain, address, parse};

/// Longest name that is kept; RFC 5321 §4.5.3.1.2 obliges to accept 255 octets.
const MAX: usize = 255;

/// The argument of EHLO or HELO.
///
/// Clients put anything there, and §4.1.4 forbids refusing a message for that, so there is no error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EhloName {
    /// A domain name. Underscores are let through: host names of Windows machines.
    Domain(Domain),
    /// An address literal.
    Literal(IpAddr),
    /// Anything else, with whatever could do harm in a header field or a log replaced by `?`.
    Other(String),
}

impl EhloName {
    /// Reads the argument of the command. After an address literal, further text is ignored.
    pub fn parse(text: &str) -> EhloName {
        let text = text.trim_matches(' ');
        if let Ok((ip, used)) = parse::address_literal(text)
            && matches!(text.as_bytes().get(used), None | Some(b' '))
        {
            return EhloName::Literal(ip);
        }
        if let Ok(domain) = Domain::parse_lenient(text.strip_suffix('.').unwrap_or(text)) {
            return EhloName::Domain(domain);
        }
        let harmless = |c: char| c.is_alphanumeric() || (c.is_ascii_graphic() && !"()<>[]\\\",;@".contains(c));
        let text = &text[..text.floor_char_boundary(MAX)];
        EhloName::Other(text.chars().map(|c| if harmless(c) { c } else { '?' }).collect())
    }

    /// The domain, if it is one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            EhloName::Domain(domain) => Some(domain),
            EhloName::Literal(_) | EhloName::Other(_) => None,
        }
    }
}

impl fmt::Display for EhloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EhloName::Domain(domain) => domain.fmt(f),
            EhloName::Literal(ip) => address::literal(*ip, f),
            EhloName::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_clients_say() {
        let domain = |text: &str| EhloName::Domain(Domain::parse_lenient(text).unwrap());
        let literal = |ip: &str| EhloName::Literal(ip.parse().unwrap());
        let other = |text: &str| EhloName::Other(text.into());
        for (text, name) in [
            ("Mail.Example", domain("mail.example")),
            ("mail.example.", domain("mail.example")),
            ("DESKTOP_1", domain("desktop_1")),
            ("[192.0.2.1]", literal("192.0.2.1")),
            ("[IPv6:2001:db8::1] and more", literal("2001:db8::1")),
            ("[192.0.2.1]x", other("?192.0.2.1?x")),
            ("192.0.2.1", other("192.0.2.1")),
            ("", other("")),
            ("a (b)\r\nX: \u{1b}c", other("a??b???X:??c")),
        ] {
            assert_eq!(EhloName::parse(text), name, "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let EhloName::Other(text) = EhloName::parse(&"ü,".repeat(10_000)) else { panic!("not a name") };
        assert!(text.len() <= 255);
    }
}
