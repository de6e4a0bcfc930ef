//! One domain, or a domain with all that is below it, as operators name them.

use std::fmt;

use crate::{Domain, DomainError};

/// A domain, or with a leading dot in its text, a domain and all below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// This one only.
    Exact(Domain),
    /// This one and all below it.
    Subtree(Domain),
}

impl DomainPattern {
    /// Reads `example.org` or `.example.org`.
    ///
    /// # Errors
    /// As [`Domain::parse`].
    pub fn parse(text: &str) -> Result<DomainPattern, DomainError> {
        match text.strip_prefix('.') {
            Some(rest) => Domain::parse(rest).map(DomainPattern::Subtree),
            None => Domain::parse(text).map(DomainPattern::Exact),
        }
    }

    /// Whether this domain is meant.
    #[must_use]
    pub fn matches(&self, domain: &Domain) -> bool {
        match self {
            DomainPattern::Exact(one) => domain == one,
            DomainPattern::Subtree(top) => domain.is_subdomain_of(top),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DomainPattern::Exact(one) => one.fmt(f),
            DomainPattern::Subtree(top) => write!(f, ".{top}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_with_all_below() {
        let matched = |pattern: &str| {
            let pattern = DomainPattern::parse(pattern).unwrap();
            let domains =
                ["example.org", "mail.example.org", "a.b.example.org", "myexample.org", "org", "xn--bcher-kva.de"];
            let matched = domains.into_iter().filter(|domain| pattern.matches(&Domain::parse(domain).unwrap()));
            matched.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(matched("example.org"), "example.org");
        assert_eq!(matched("Example.ORG"), "example.org");
        assert_eq!(matched(".example.org"), "example.org mail.example.org a.b.example.org");
        assert_eq!(matched(".org"), "example.org mail.example.org a.b.example.org myexample.org org");
        assert_eq!(matched(".bücher.de"), "xn--bcher-kva.de");
    }

    #[test]
    fn texts() {
        for text in ["example.org", ".example.org", ".xn--bcher-kva.de"] {
            assert_eq!(DomainPattern::parse(text).unwrap().to_string(), text);
        }
        for text in ["", ".", "..example.org", "*.example.org", "example..org"] {
            assert!(DomainPattern::parse(text).is_err(), "{text}");
        }
    }
}
