//! The left-hand side of an address (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! Whether case matters, what a `+` means and who owns the name is the receiving domain's own affair (RFC 5321 §2.4)
//! and therefore not decided here.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::LocalpartError;
use crate::parse::is_atext;

/// Twice what RFC 5321 §4.5.3.1.1 obliges a server to accept; longer ones (generated bounce addresses) do occur.
const MAX: usize = 128;

/// A local part: unquoted text in NFC without control characters, of at most 128 octets.
///
/// [`Display`](fmt::Display) writes the form for the wire, quoted where it must be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Localpart(Box<str>);

impl Localpart {
    /// Takes the text itself, without quotes or escapes, and brings it to NFC (RFC 6531 §3.1 point 7, RFC 5198 §3).
    ///
    /// # Errors
    /// When it is too long or contains a control character.
    pub fn new(text: &str) -> Result<Localpart, LocalpartError> {
        // Normalisation can shorten text, but not to less than a third.
        if text.len() > 3 * MAX {
            return Err(LocalpartError::TooLong);
        }
        let text: Box<str> = if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() };
        if text.len() > MAX {
            return Err(LocalpartError::TooLong);
        }
        // qtextSMTP and quoted-pairSMTP both exclude them (RFC 5321 §4.1.2); C1 controls are excluded by RFC 5198 §2.
        if text.chars().any(char::is_control) {
            return Err(LocalpartError::Control);
        }
        Ok(Localpart(text))
    }

    /// Parses the form used in protocols: `Dot-string` or `Quoted-string`.
    ///
    /// # Errors
    /// When the text, all of it, is not a local part.
    pub fn parse(text: &str) -> Result<Localpart, crate::Error> {
        crate::parse::whole(text, crate::parse::local_part)
    }

    /// The text itself, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can be sent without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// Whether it has at most the 64 octets that every server must accept (RFC 5321 §4.5.3.1.1).
    pub fn is_within_minimum_limit(&self) -> bool {
        self.0.len() <= 64
    }

    fn is_dot_string(&self) -> bool {
        self.0.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
    }
}

impl fmt::Display for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dot_string() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, c)?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Localpart({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_written_only_where_needed() {
        for (text, wire) in [
            ("user+tag", "user+tag"),
            ("a.b", "a.b"),
            ("a..b", "\"a..b\""),
            (".a", "\".a\""),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("a@b", "\"a@b\""),
            ("bücher", "bücher"),
            ("bü cher", "\"bü cher\""),
        ] {
            let localpart = Localpart::new(text).unwrap();
            assert_eq!(localpart.to_string(), wire);
            assert_eq!(Localpart::parse(wire), Ok(localpart));
        }
        // Needless quotes and escapes make no difference (RFC 5321 §4.1.2).
        assert_eq!(Localpart::parse("\"\\u\\s\\er\""), Localpart::parse("user"));
    }

    #[test]
    fn text_is_composed() {
        assert_eq!(Localpart::new("bu\u{308}cher").unwrap().as_str(), "bücher");
        // The canonical form of the Greek question mark is a semicolon, which needs quotes.
        assert_eq!(Localpart::parse("a\u{37e}b").unwrap().to_string(), "\"a;b\"");
    }

    #[test]
    fn limits_are_exact() {
        assert!(Localpart::new(&"a".repeat(64)).unwrap().is_within_minimum_limit());
        assert!(!Localpart::new(&"a".repeat(128)).unwrap().is_within_minimum_limit());
        assert_eq!(Localpart::new(&"a".repeat(129)), Err(LocalpartError::TooLong));
        assert!(Localpart::new(&"u\u{308}".repeat(64)).is_ok());
        assert_eq!(Localpart::new("a\tb"), Err(LocalpartError::Control));
        assert_eq!(Localpart::new("a\u{85}b"), Err(LocalpartError::Control));
    }
}
