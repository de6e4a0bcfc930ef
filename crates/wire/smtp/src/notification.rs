//! What a client asks to be told about delivery: the values of RET, NOTIFY and ORCPT (RFC 3461 §4.1 to §4.3).
//!
//! ```text
//! ret-value    = "FULL" / "HDRS"
//! notify-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )
//! orcpt-value  = addr-type ";" xtext          ; for the type utf-8 see RFC 6533 §3
//! addr-type    = atom
//! ```

use std::fmt;

use mailstead_names::Address;

use crate::xtext;

/// Longest value of ORCPT in octets (RFC 3461 §4.2).
const ORCPT_MAX: usize = 500;

/// How much of the message a notice of failure returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

impl Ret {
    /// Parses a value, in any case; `None` where it is none.
    pub fn parse(text: &str) -> Option<Ret> {
        [Ret::Full, Ret::Headers].into_iter().find(|ret| ret.as_str().eq_ignore_ascii_case(text))
    }

    fn as_str(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Headers => "HDRS",
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Of what a sender wants to be told about a recipient. Nothing at all is `NEVER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify {
    /// `SUCCESS`: delivery.
    pub success: bool,
    /// `FAILURE`: final failure.
    pub failure: bool,
    /// `DELAY`: an unusual delay.
    pub delay: bool,
}

impl Notify {
    /// `NEVER`
    pub const NEVER: Notify = Notify { success: false, failure: false, delay: false };

    /// Parses a value, in any case; `None` where it is none. Said twice is said once, and the list rule of RFC 822
    /// allows empty elements.
    pub fn parse(text: &str) -> Option<Notify> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(Notify::NEVER);
        }
        let mut notify = Notify::NEVER;
        for element in text.split(',').filter(|element| !element.is_empty()) {
            match element.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return None,
            }
        }
        (notify != Notify::NEVER).then_some(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements = [("SUCCESS", self.success), ("FAILURE", self.failure), ("DELAY", self.delay)];
        let wanted: Vec<&str> = elements.iter().filter(|(_, wanted)| *wanted).map(|(element, _)| *element).collect();
        if wanted.is_empty() { f.write_str("NEVER") } else { f.write_str(&wanted.join(",")) }
    }
}

/// The original recipient. Relays must pass it on as it was written, so that is what is kept (RFC 3461 §5.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Orcpt {
    written: String,
    type_length: usize,
    address: String,
}

impl Orcpt {
    /// Parses a value; `None` where it is none or has more than 500 octets. The address must be of printable ASCII
    /// characters once decoded, except for the type utf-8, where text that follows no form of RFC 6533 §3 is taken as it
    /// is.
    pub fn parse(text: &str) -> Option<Orcpt> {
        let (addr_type, encoded) = text.split_once(';')?;
        if text.len() > ORCPT_MAX || addr_type.is_empty() || !addr_type.bytes().all(is_atom) || encoded.is_empty() {
            return None;
        }
        let address = if addr_type.eq_ignore_ascii_case("utf-8") {
            let printable = encoded.chars().all(|c| c.is_ascii_graphic() || !(c.is_ascii() || c.is_control()));
            if !printable || encoded.contains('=') {
                return None;
            }
            let decoded = xtext::decode_unitext(encoded).filter(|decoded| Address::parse(decoded).is_ok());
            decoded.unwrap_or_else(|| encoded.to_owned())
        } else {
            printable(xtext::decode(encoded)?)?
        };
        Some(Orcpt { written: text.to_owned(), type_length: addr_type.len(), address })
    }

    /// The address type, for example `rfc822`, in the case it was given.
    pub fn addr_type(&self) -> &str {
        self.written.get(..self.type_length).unwrap_or_default()
    }

    /// The address, decoded: the form for message/global-delivery-status, and, as long as it is ASCII, for
    /// message/delivery-status (RFC 3464 §2.3.1).
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it cannot be written in a transaction without SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        !self.written.is_ascii()
    }

    /// The same in ASCII (utf-8-addr-xtext of RFC 6533 §3); `None` where that has more than 500 octets.
    pub fn to_ascii(&self) -> Option<Orcpt> {
        Orcpt::parse(&xtext::unitext_in_ascii(&self.written))
    }
}

impl fmt::Display for Orcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Decoded xtext as it may stand in a delivery status: graphic ASCII and spaces (RFC 3461 §4.2, §4.4).
pub(crate) fn printable(octets: Vec<u8>) -> Option<String> {
    let printable = octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
    String::from_utf8(octets).ok().filter(|_| printable)
}

/// RFC 822 §3.3: CHAR except specials, SPACE and CTLs.
fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\".[]".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notify_values() {
        for (text, shown) in [
            ("NEVER", "NEVER"),
            ("never", "NEVER"),
            ("Delay,SUCCESS", "SUCCESS,DELAY"),
            ("FAILURE,FAILURE", "FAILURE"),
            (",FAILURE,", "FAILURE"),
            ("SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"),
        ] {
            let notify = Notify::parse(text).unwrap();
            assert_eq!(notify.to_string(), shown);
            assert_eq!(Notify::parse(shown), Some(notify));
        }
        for bad in ["", ",", "NEVER,FAILURE", "FAILURE,NEVER", "NEVER,NEVER", "ALWAYS", "FAILURE;DELAY"] {
            assert_eq!(Notify::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn original_recipients() {
        for (text, addr_type, address) in [
            ("rfc822;a+2Bb@c.example", "rfc822", "a+b@c.example"),
            ("RFC822;Bob@C.example", "RFC822", "Bob@C.example"),
            ("x400;/CN+3Da+20b/", "x400", "/CN=a b/"),
            ("rfc822;a;b", "rfc822", "a;b"),
            ("utf-8;\u{e9}@c.example", "utf-8", "\u{e9}@c.example"),
            ("UTF-8;\\x{E9}@c.example", "UTF-8", "\u{e9}@c.example"),
            ("utf-8;\\x{E9}", "utf-8", "\\x{E9}"),
            ("utf-8;a+2Bb@c.example", "utf-8", "a+2Bb@c.example"),
        ] {
            let orcpt = Orcpt::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((orcpt.addr_type(), orcpt.address(), orcpt.to_string().as_str()), (addr_type, address, text));
        }
        let long = format!("rfc822;{}", "a".repeat(494));
        for bad in [
            "",
            "rfc822",
            "rfc822;",
            ";a",
            "rf c;a",
            "r.c;a",
            "rfc822;a=b",
            "rfc822;\u{e9}",
            "rfc822;+C3+A9",
            "rfc822;+0D+0A",
            "utf-8;a=b",
            "utf-8;a b",
            "utf-8;a\r\nb",
            "utf-8;\u{85}",
            &long,
        ] {
            assert_eq!(Orcpt::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn original_recipients_in_ascii() {
        let orcpt = Orcpt::parse("utf-8;\u{e9}@c.example").unwrap();
        assert!(orcpt.needs_smtputf8());
        let ascii = orcpt.to_ascii().unwrap();
        assert_eq!((ascii.to_string().as_str(), ascii.address()), ("utf-8;\\x{E9}@c.example", orcpt.address()));
        let long = Orcpt::parse(&format!("utf-8;{}@c.example", "\u{e9}".repeat(200))).unwrap();
        assert_eq!(long.to_ascii(), None);
    }

    proptest! {
        #[test]
        fn what_is_decoded_fits_into_a_field(text in "(rfc822|utf-8);([!-~\u{80}-\u{2ff}]|\\+[0-9A-F]{2}|\\\\x\\{[0-9A-F]{2,4}\\}){0,12}") {
            if let Some(orcpt) = Orcpt::parse(&text) {
                prop_assert!(!orcpt.address().chars().any(char::is_control));
                prop_assert_eq!(orcpt.to_string(), text);
            }
        }

        #[test]
        fn never_panics(text: String) {
            let _ = (Ret::parse(&text), Notify::parse(&text), Orcpt::parse(&text));
        }
    }
}
