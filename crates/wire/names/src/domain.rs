//! Domain names as mail uses them: absolute, canonical, internationalised.
//!
//! Labels follow IDNA with the mapping of UTS #46 (non-transitional processing, RFC 5890 to RFC 5893 underneath).
//! A name is kept as A-labels in lower case, which is what protocols and comparisons use, and as U-labels for people
//! and for SMTPUTF8. Looking names up is the business of `mailstead-dns`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::DomainError;

/// Everything in ASCII but letters, digits, hyphen and underscore is refused by [`Domain::parse_lenient`].
const ALL_BUT_LDH_AND_UNDERSCORE: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

/// All that is refused by [`Domain::parse_composed`] besides control characters: with it, the text of a name would be
/// ambiguous to those who read presentation forms.
const BACKSLASH: AsciiDenyList = AsciiDenyList::new(false, "\\");

/// Longest name in its ASCII form without the trailing dot (RFC 1035 §2.3.4 counts 255 octets on the wire).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A domain name: at least one label, no trailing dot, not an IP address.
///
/// Equality, order and hash are those of the ASCII form. Cloning is cheap. [`Display`](fmt::Display) writes the ASCII
/// form.
#[derive(Clone)]
pub struct Domain {
    ascii: Arc<str>,
    /// Only where it differs from `ascii`.
    unicode: Option<Arc<str>>,
}

impl Domain {
    /// Parses a host name or mail domain, in ASCII or with U-labels: letters, digits and hyphens.
    ///
    /// # Errors
    /// Any [`DomainError`]; among others for a trailing dot, an IP address or an underscore.
    pub fn parse(text: &str) -> Result<Domain, DomainError> {
        Domain::process(text, AsciiDenyList::STD3)
    }

    /// Like [`Domain::parse`], but labels may contain underscores and begin or end with a hyphen: names of TLSA, SRV
    /// and TXT records, and targets of MX and CNAME records as found in the wild.
    ///
    /// # Errors
    /// Any [`DomainError`].
    pub fn parse_lenient(text: &str) -> Result<Domain, DomainError> {
        Domain::process(text, ALL_BUT_LDH_AND_UNDERSCORE)
    }

    /// Like [`Domain::parse_lenient`], but labels may contain any printable ASCII character except the backslash: names
    /// that are composed of what others wrote, as SPF composes them of local parts (RFC 7208 §7). The DNS does not mind
    /// (RFC 2181 §11); nobody has an address there.
    ///
    /// # Errors
    /// Any [`DomainError`].
    pub fn parse_composed(text: &str) -> Result<Domain, DomainError> {
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err(DomainError::Invalid);
        }
        Domain::process(text, BACKSLASH)
    }

    fn process(text: &str, deny: AsciiDenyList) -> Result<Domain, DomainError> {
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        // Each input octet costs work in the mapping; no legal name is anywhere near this long in any encoding.
        if text.len() > 4 * MAX_NAME {
            return Err(DomainError::TooLong);
        }
        let hyphens = if deny == AsciiDenyList::STD3 { Hyphens::CheckFirstLast } else { Hyphens::Allow };
        let uts46 = Uts46::new();
        let ascii =
            uts46.to_ascii(text.as_bytes(), deny, hyphens, DnsLength::Ignore).map_err(|_| DomainError::Invalid)?;
        check_lengths(&ascii)?;
        let (unicode, outcome) = uts46.to_unicode(ascii.as_bytes(), deny, hyphens);
        outcome.map_err(|_| DomainError::Invalid)?;
        let unicode = (unicode != ascii).then(|| Arc::from(unicode));
        Ok(Domain { ascii: Arc::from(ascii), unicode })
    }

    /// The name in A-labels and lower case, for protocols and look-ups.
    pub fn as_ascii(&self) -> &str {
        &self.ascii
    }

    /// The name in U-labels, for people and for SMTPUTF8. Equal to [`Domain::as_ascii`] where there is no A-label.
    pub fn unicode(&self) -> &str {
        self.unicode.as_deref().unwrap_or(&self.ascii)
    }

    /// Whether the name has no internationalised label.
    pub fn is_ascii_only(&self) -> bool {
        self.unicode.is_none()
    }

    /// The labels in their ASCII form, from the left.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.ascii.split('.')
    }

    /// Whether this name is `ancestor` or lies below it.
    pub fn is_subdomain_of(&self, ancestor: &Domain) -> bool {
        match self.ascii.strip_suffix(&*ancestor.ascii) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// The name without its first label; nothing for a name of one label.
    pub fn parent(&self) -> Option<Domain> {
        let (_, ascii) = self.ascii.split_once('.')?;
        // UTS #46 keeps the number of labels, so the U-label form splits alike.
        let unicode = self.unicode.as_deref().and_then(|name| name.split_once('.')).map(|(_, rest)| rest);
        Some(Domain { ascii: Arc::from(ascii), unicode: unicode.filter(|rest| *rest != ascii).map(Arc::from) })
    }

    /// The name with labels put in front, as in `_25._tcp` or `_mta-sts`.
    ///
    /// # Errors
    /// As [`Domain::parse_lenient`], which in practice means too long.
    pub fn prepend(&self, labels: &str) -> Result<Domain, DomainError> {
        Domain::parse_lenient(&format!("{labels}.{}", self.ascii))
    }
}

/// Lengths (RFC 1035 §2.3.4), empty labels, and a last label that makes the whole an IP address.
fn check_lengths(ascii: &str) -> Result<(), DomainError> {
    if ascii.is_empty() {
        return Err(DomainError::Empty);
    }
    if let Some(rest) = ascii.strip_suffix('.') {
        return Err(if rest.is_empty() || rest.ends_with('.') {
            DomainError::EmptyLabel
        } else {
            DomainError::TrailingDot
        });
    }
    for label in ascii.split('.') {
        match label.len() {
            0 => return Err(DomainError::EmptyLabel),
            1..=MAX_LABEL => {}
            _ => return Err(DomainError::LabelTooLong),
        }
    }
    if ascii.len() > MAX_NAME {
        return Err(DomainError::TooLong);
    }
    // No top-level domain is numeric (RFC 3696 §2), so "192.0.2.1" and "300.1" are addresses or mistakes.
    if ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(DomainError::Address);
    }
    Ok(())
}

impl PartialEq for Domain {
    fn eq(&self, other: &Domain) -> bool {
        self.ascii == other.ascii
    }
}

impl Eq for Domain {}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Domain) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Domain) -> std::cmp::Ordering {
        self.ascii.cmp(&other.ascii)
    }
}

impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.ascii.hash(state);
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Domain, DomainError> {
        Domain::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ascii)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.unicode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_name_are_equal() {
        let name = domain("Bücher.Example");
        assert_eq!(name.as_ascii(), "xn--bcher-kva.example");
        assert_eq!(name.unicode(), "bücher.example");
        assert!(!name.is_ascii_only());
        for spelling in ["XN--BCHER-KVA.example", "bu\u{308}cher.example", "BÜCHER。EXAMPLE"] {
            assert_eq!(domain(spelling), name, "{spelling}");
        }
        assert_eq!(domain("EXAMPLE.org").to_string(), "example.org");
    }

    #[test]
    fn deviation_characters_are_kept() {
        // Non-transitional: "ß" is not "ss".
        assert_eq!(domain("faß.example").as_ascii(), "xn--fa-hia.example");
    }

    #[test]
    fn refusals_name_the_reason() {
        let refused = |text: &str| Domain::parse(text).unwrap_err();
        assert_eq!(refused(""), DomainError::Empty);
        assert_eq!(refused("."), DomainError::EmptyLabel);
        assert_eq!(refused("a..example"), DomainError::EmptyLabel);
        assert_eq!(refused(".example"), DomainError::EmptyLabel);
        assert_eq!(refused("example."), DomainError::TrailingDot);
        assert_eq!(refused("192.0.2.1"), DomainError::Address);
        assert_eq!(refused("a.300"), DomainError::Address);
        assert_eq!(refused("2001:db8::1"), DomainError::Invalid);
        for text in ["a_b.example", "-a.example", "a-.example", "a b.example", "a\0.example", "xn--a.example", "a@b"] {
            assert_eq!(refused(text), DomainError::Invalid, "{text}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let label = "a".repeat(63);
        assert!(Domain::parse(&label).is_ok());
        assert_eq!(Domain::parse(&format!("{label}a")), Err(DomainError::LabelTooLong));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(Domain::parse(&longest).is_ok());
        assert_eq!(Domain::parse(&format!("{longest}a")), Err(DomainError::TooLong));
        assert_eq!(Domain::parse(&"ü.".repeat(100_000)), Err(DomainError::TooLong));
        // 63 octets are counted in the ASCII form.
        assert_eq!(Domain::parse(&"ü".repeat(63)), Err(DomainError::LabelTooLong));
    }

    #[test]
    fn lenient_names_may_have_underscores() {
        assert_eq!(Domain::parse_lenient("_25._TCP.mx.example").unwrap().as_ascii(), "_25._tcp.mx.example");
        assert_eq!(domain("mx.example").prepend("_25._tcp").unwrap().as_ascii(), "_25._tcp.mx.example");
        assert_eq!(Domain::parse_lenient("a b.example"), Err(DomainError::Invalid));
        assert_eq!(Domain::parse_lenient("a@b.example"), Err(DomainError::Invalid));
        assert_eq!(Domain::parse_lenient("192.0.2.1"), Err(DomainError::Address));
    }

    #[test]
    fn composed_names_may_have_any_printable_ascii() {
        let name = "prvs=a+b/c:d %\"(;@~._spf.Example";
        assert_eq!(Domain::parse_composed(name).unwrap().as_ascii(), name.to_ascii_lowercase());
        assert_eq!(Domain::parse_composed("bücher.example"), Domain::parse("bücher.example"));
        for text in ["a\\b.example", "a\0b.example", "a\nb.example", "a\x7fb.example"] {
            assert_eq!(Domain::parse_composed(text), Err(DomainError::Invalid), "{text:?}");
        }
        assert_eq!(Domain::parse_composed("a b..example"), Err(DomainError::EmptyLabel));
    }

    #[test]
    fn ancestors() {
        let name = domain("a.bücher.example");
        assert!(name.is_subdomain_of(&domain("example")));
        assert!(name.is_subdomain_of(&domain("bücher.example")));
        assert!(name.is_subdomain_of(&name));
        assert!(!name.is_subdomain_of(&domain("r.example")));
        assert!(!domain("example").is_subdomain_of(&name));
        assert!(!domain("notexample").is_subdomain_of(&domain("example")));
        let parent = name.parent().unwrap();
        assert_eq!((parent.as_ascii(), parent.unicode()), ("xn--bcher-kva.example", "bücher.example"));
        let top = parent.parent().unwrap();
        assert_eq!((top.as_ascii(), top.is_ascii_only()), ("example", true));
        assert_eq!(top.parent(), None);
    }
}
