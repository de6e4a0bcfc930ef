//! Macro strings and domain-specs (RFC 7208 §7.1): read and written, not expanded.
//!
//! ```abnf
//! domain-spec    = macro-string domain-end
//! domain-end     = ( "." toplabel [ "." ] ) / macro-expand
//! toplabel       = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
//! explain-string = *( macro-string / SP )
//! macro-string   = *( macro-expand / macro-literal )
//! macro-expand   = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
//! macro-literal  = %x21-24 / %x26-7E
//! transformers   = *DIGIT [ "r" ]
//! delimiter      = "." / "-" / "+" / "," / "/" / "_" / "="
//! ```

use std::fmt::{self, Write};

use super::SyntaxErrorKind;

/// Every delimiter there is.
const DELIMITERS: &str = ".-+,/_=";

/// What may stand in a macro string depends on where that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A domain-spec: the letters c, r and t are not allowed (§7.2).
    DomainSpec,
    /// The value of an unknown modifier. What its letters are about is unknown, too.
    Modifier,
    /// An explanation: spaces are allowed.
    Explanation,
}

/// Text with macros.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MacroString {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    /// Visible characters; in explanations also spaces. Never empty.
    Literal(String),
    Macro(Macro),
    /// `%%`
    Percent,
    /// `%_`
    Space,
    /// `%-`
    EncodedSpace,
}

/// `%{...}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Macro {
    pub(super) letter: Letter,
    /// The letter is a capital: the value is URL-escaped.
    pub(super) escaped: bool,
    /// How many parts from the right are kept; never zero.
    pub(super) keep: Option<u32>,
    pub(super) reversed: bool,
    /// Each at most once.
    pub(super) delimiters: String,
}

/// `macro-letter`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Ip,
    ValidatedName,
    IpVersion,
    Helo,
    ReadableIp,
    Receiver,
    Timestamp,
}

impl Letter {
    const ALL: [(char, Letter); 11] = [
        ('s', Letter::Sender),
        ('l', Letter::LocalPart),
        ('o', Letter::SenderDomain),
        ('d', Letter::Domain),
        ('i', Letter::Ip),
        ('p', Letter::ValidatedName),
        ('v', Letter::IpVersion),
        ('h', Letter::Helo),
        ('c', Letter::ReadableIp),
        ('r', Letter::Receiver),
        ('t', Letter::Timestamp),
    ];

    fn parse(c: char) -> Option<Letter> {
        Letter::ALL.iter().find(|(letter, _)| letter.eq_ignore_ascii_case(&c)).map(|(_, letter)| *letter)
    }

    fn as_char(self) -> char {
        Letter::ALL.iter().find(|(_, letter)| *letter == self).map_or('?', |(c, _)| *c)
    }

    fn is_for_explanations(self) -> bool {
        matches!(self, Letter::ReadableIp | Letter::Receiver | Letter::Timestamp)
    }
}

impl MacroString {
    pub(super) fn parse(text: &str, place: Place) -> Result<MacroString, SyntaxErrorKind> {
        let mut pieces = Vec::new();
        let mut rest = text;
        loop {
            let (literal, after) = rest.split_at(rest.find('%').unwrap_or(rest.len()));
            if !literal.chars().all(|c| matches!(c, '!'..='~') || (c == ' ' && place == Place::Explanation)) {
                return Err(SyntaxErrorKind::Character);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            let Some(after) = after.strip_prefix('%') else { return Ok(MacroString { pieces }) };
            let mut chars = after.chars();
            let piece = match chars.next() {
                Some('%') => Piece::Percent,
                Some('_') => Piece::Space,
                Some('-') => Piece::EncodedSpace,
                Some('{') => {
                    let (inside, after) = chars.as_str().split_once('}').ok_or(SyntaxErrorKind::Macro)?;
                    chars = after.chars();
                    Piece::Macro(Macro::parse(inside, place)?)
                }
                _ => return Err(SyntaxErrorKind::Macro),
            };
            pieces.push(piece);
            rest = chars.as_str();
        }
    }

    /// Whether a macro has this letter.
    pub(super) fn uses(&self, letter: Letter) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Macro(it) if it.letter == letter))
    }
}

impl Macro {
    /// What stands between the braces.
    fn parse(text: &str, place: Place) -> Result<Macro, SyntaxErrorKind> {
        let mut chars = text.chars();
        let c = chars.next().ok_or(SyntaxErrorKind::Macro)?;
        let letter = Letter::parse(c).ok_or(SyntaxErrorKind::Macro)?;
        if place == Place::DomainSpec && letter.is_for_explanations() {
            return Err(SyntaxErrorKind::ExplanationMacro);
        }
        let rest = chars.as_str().trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = chars.as_str().strip_suffix(rest).unwrap_or_default();
        let keep = match digits {
            "" => None,
            // A number beyond all bounds means every part.
            digits => Some(digits.parse().unwrap_or(u32::MAX)),
        };
        if keep == Some(0) {
            return Err(SyntaxErrorKind::Macro);
        }
        let unreversed = rest.strip_prefix(['r', 'R']);
        let mut delimiters = String::new();
        for c in unreversed.unwrap_or(rest).chars() {
            if !DELIMITERS.contains(c) {
                return Err(SyntaxErrorKind::Macro);
            }
            if !delimiters.contains(c) {
                delimiters.push(c);
            }
        }
        Ok(Macro { letter, escaped: c.is_ascii_uppercase(), keep, reversed: unreversed.is_some(), delimiters })
    }
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Percent => f.write_str("%%"),
            Piece::Space => f.write_str("%_"),
            Piece::EncodedSpace => f.write_str("%-"),
            Piece::Macro(it) => it.fmt(f),
        })
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("%{")?;
        let letter = self.letter.as_char();
        f.write_char(if self.escaped { letter.to_ascii_uppercase() } else { letter })?;
        if let Some(keep) = self.keep {
            write!(f, "{keep}")?;
        }
        f.write_str(if self.reversed { "r" } else { "" })?;
        write!(f, "{}}}", self.delimiters)
    }
}

/// A name of the DNS that may contain macros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainSpec(pub(super) MacroString);

impl DomainSpec {
    /// Reads a `domain-spec`.
    ///
    /// # Errors
    /// When the text, all of it, is not one.
    pub fn parse(text: &str) -> Result<DomainSpec, SyntaxErrorKind> {
        let string = MacroString::parse(text, Place::DomainSpec)?;
        match string.pieces.last() {
            None => return Err(SyntaxErrorKind::MissingDomain),
            Some(Piece::Literal(literal)) => check_end(literal)?,
            Some(_) => {}
        }
        Ok(DomainSpec(string))
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the text ends as `"." toplabel [ "." ]`.
fn check_end(text: &str) -> Result<(), SyntaxErrorKind> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let (_, label) = text.rsplit_once('.').ok_or(SyntaxErrorKind::DomainEnd)?;
    let only = |allowed: fn(char) -> bool| label.chars().all(allowed);
    if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
        Err(SyntaxErrorKind::DomainEnd)
    } else if only(|c| c.is_ascii_digit()) {
        Err(SyntaxErrorKind::NumericDomain)
    } else if only(|c| c.is_ascii_alphanumeric() || c == '-') {
        Ok(())
    } else {
        Err(SyntaxErrorKind::DomainEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_ends() {
        for text in
            ["example.org", "example.org.", ".museum", "a..b", "a:8/b.c", "x.1-1", "x.xn--zckzah", "%{d}", "a%%"]
        {
            assert_eq!(DomainSpec::parse(text).map(|spec| spec.to_string()), Ok(text.to_owned()));
        }
        let refused = |text: &str| DomainSpec::parse(text).unwrap_err();
        assert_eq!(refused(""), SyntaxErrorKind::MissingDomain);
        for text in ["museum", "museum.", ".", "a.", "a.-com", "a.com-", "a.com:80", "%{d}com", "%{d}.", "a.com/24"] {
            assert_eq!(refused(text), SyntaxErrorKind::DomainEnd, "{text}");
        }
        assert_eq!(refused("192.0.2.1"), SyntaxErrorKind::NumericDomain);
        for text in ["a b.example", "a\t.example", "ü.example", "a\0.example"] {
            assert_eq!(refused(text), SyntaxErrorKind::Character, "{text}");
        }
    }

    #[test]
    fn macros() {
        for (text, written) in [
            ("%{s}", "%{s}"),
            ("%{D2}", "%{D2}"),
            ("%{l1R+-+}", "%{l1r+-}"),
            ("%{ir}.%{v}.x%%%_%-", "%{ir}.%{v}.x%%%_%-"),
            ("%{d007}", "%{d7}"),
            ("%{d99999999999999999999}", "%{d4294967295}"),
        ] {
            assert_eq!(DomainSpec::parse(text).unwrap().to_string(), written);
        }
        let refused = |text: &str| MacroString::parse(text, Place::DomainSpec).unwrap_err();
        for text in ["%", "%a", "%(ir).x", "%{", "%{d", "%{}", "%{x}", "%{d0}", "%{d00r}", "%{d2rr}", "%{dr2}", "%{d%}"]
        {
            assert_eq!(refused(text), SyntaxErrorKind::Macro, "{text}");
        }
        for text in ["%{c}", "%{R}", "%{t}"] {
            assert_eq!(refused(text), SyntaxErrorKind::ExplanationMacro, "{text}");
            assert!(MacroString::parse(text, Place::Explanation).is_ok());
            assert!(MacroString::parse(text, Place::Modifier).is_ok());
        }
        assert!(MacroString::parse("two words", Place::Explanation).is_ok());
        assert_eq!(MacroString::parse("two words", Place::Modifier), Err(SyntaxErrorKind::Character));
    }
}
