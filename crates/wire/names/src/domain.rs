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
