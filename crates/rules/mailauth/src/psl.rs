//! Public suffixes: names below which anybody can register a domain.
//!
//! DMARC no longer needs them, because it finds organisations by what they publish (RFC 9989 §4.10). What stays is what
//! no RFC decides: whose reputation a name shares, and whether a name can belong to anybody at all. The list is the one
//! of publicsuffix.org as compiled into the crate `psl`; a newer list comes with a newer release of it.

use mailstead_names::Domain;
use psl::{Psl, Type};

/// Who says that a name is a public suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suffix {
    /// A registry, or the rule that every top-level domain is one.
    Registry,
    /// The owner of a registered domain, who gives names below it to others: `github.io`, `uk.com`. The owner may well
    /// send mail under that very name.
    Private,
}

/// Whether this very name is a public suffix.
pub fn suffix(domain: &Domain) -> Option<Suffix> {
    let info = psl::List.find(domain.as_ascii().rsplit('.').map(str::as_bytes));
    (info.len == domain.as_ascii().len()).then_some(match info.typ {
        Some(Type::Private) => Suffix::Private,
        Some(Type::Icann) | None => Suffix::Registry,
    })
}

/// Whether nobody can own this name, so that nobody can vouch for it either: the suffix of a registry.
///
/// ```
/// use mailstead_mailauth::psl::is_public_suffix;
/// use mailstead_names::Domain;
///
/// let domain = |name| Domain::parse(name).unwrap();
/// assert!(is_public_suffix(&domain("co.uk")));
/// assert!(!is_public_suffix(&domain("example.co.uk")));
/// assert!(!is_public_suffix(&domain("github.io")));
/// ```
pub fn is_public_suffix(domain: &Domain) -> bool {
    suffix(domain) == Some(Suffix::Registry)
}

/// The name that stands for all names of one owner: the public suffix with one more label. A name that is itself a
/// public suffix stands for itself.
///
/// Private suffixes count, because strangers below `uk.com` must not share their reputation.
///
/// ```
/// use mailstead_mailauth::psl::organization;
/// use mailstead_names::Domain;
///
/// let domain = |name| Domain::parse(name).unwrap();
/// assert_eq!(organization(&domain("mail.news.example.co.uk")), domain("example.co.uk"));
/// ```
pub fn organization(domain: &Domain) -> Domain {
    let name = domain.as_ascii();
    let suffix = psl::List.find(name.rsplit('.').map(str::as_bytes)).len;
    let mut organization = domain.clone();
    while let Some(parent) = organization.parent().filter(|parent| parent.as_ascii().len() > suffix) {
        organization = parent;
    }
    organization
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn suffixes() {
        for (name, expected) in [
            ("com", Some(Suffix::Registry)),
            ("co.uk", Some(Suffix::Registry)),
            ("公司.cn", Some(Suffix::Registry)),
            // No rule at all: the last label is one.
            ("example", Some(Suffix::Registry)),
            // *.ck with the exception !www.ck.
            ("anything.ck", Some(Suffix::Registry)),
            ("www.ck", None),
            ("github.io", Some(Suffix::Private)),
            ("example.com", None),
            ("a.example", None),
            ("mail.example.co.uk", None),
        ] {
            assert_eq!(suffix(&domain(name)), expected, "{name}");
        }
    }

    #[test]
    fn organizations() {
        for (name, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("com", "com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("a.b.例子.公司.cn", "例子.公司.cn"),
            ("a.b.company.example", "company.example"),
            ("a.b.www.ck", "www.ck"),
            ("a.b.c.ck", "b.c.ck"),
            ("a.user.github.io", "user.github.io"),
            ("github.io", "github.io"),
            ("mail.shop.uk.com", "shop.uk.com"),
        ] {
            assert_eq!(organization(&domain(name)), domain(expected), "{name}");
        }
    }
}
