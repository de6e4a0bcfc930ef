//! Mail addresses (RFC 5321 §4.1.2 `Mailbox`) and the hosts to the right of the `@`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Domain, Error, Localpart, parse};

/// The right-hand side of an address: a domain, or an address literal (RFC 5321 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Ip(IpAddr),
}

impl Host {
    /// The domain, unless this is an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Host::Domain(domain) => Some(domain),
            Host::Ip(_) => None,
        }
    }
}

impl From<Domain> for Host {
    fn from(domain: Domain) -> Host {
        Host::Domain(domain)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Domain(domain) => domain.fmt(f),
            Host::Ip(ip) => literal(*ip, f),
        }
    }
}

/// Writes an `address-literal` (RFC 5321 §4.1.3).
pub(crate) fn literal(ip: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => write!(f, "[{ip}]"),
        IpAddr::V6(ip) => write!(f, "[IPv6:{ip}]"),
    }
}

/// A mail address.
///
/// Local parts compare exactly, because their case belongs to the receiving domain (RFC 5321 §2.4).
/// [`Display`](fmt::Display) writes the form for the wire: A-labels where the local part is ASCII, so that no SMTPUTF8
/// is needed; U-labels otherwise, because SMTPUTF8 is needed in any case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Left of the `@`.
    pub localpart: Localpart,
    /// Right of the `@`.
    pub host: Host,
}

impl Address {
    /// An address at a domain.
    pub fn new(localpart: Localpart, domain: Domain) -> Address {
        Address { localpart, host: Host::Domain(domain) }
    }

    /// Parses the form without angle brackets.
    ///
    /// # Errors
    /// When the text, all of it, is not a `Mailbox` of RFC 5321 §4.1.2 as extended by RFC 6531 §3.3.
    pub fn parse(text: &str) -> Result<Address, Error> {
        parse::whole(text, parse::mailbox)
    }

    /// The domain, unless the host is an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        self.host.domain()
    }

    /// Whether a transaction with this address needs SMTPUTF8 (RFC 6531 §3.2). An internationalised domain alone
    /// does not: it has an ASCII form.
    pub fn needs_smtputf8(&self) -> bool {
        !self.localpart.is_ascii()
    }

    /// The form to show to people: the domain in U-labels.
    pub fn unicode(&self) -> String {
        match &self.host {
            Host::Domain(domain) => format!("{}@{}", self.localpart, domain.unicode()),
            Host::Ip(_) => self.to_string(),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        Address::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Domain(domain) if self.needs_smtputf8() => write!(f, "{}@{}", self.localpart, domain.unicode()),
            host => write!(f, "{}@{host}", self.localpart),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_is_written_as_the_local_part_allows() {
        let ascii = Address::parse("user@Bücher.example").unwrap();
        assert!(!ascii.needs_smtputf8());
        assert_eq!(ascii.to_string(), "user@xn--bcher-kva.example");
        assert_eq!(ascii.unicode(), "user@bücher.example");
        let international = Address::parse("jürgen@xn--bcher-kva.example").unwrap();
        assert!(international.needs_smtputf8());
        assert_eq!(international.to_string(), "jürgen@bücher.example");
    }

    #[test]
    fn case_of_the_local_part_is_kept() {
        assert_ne!(Address::parse("A@example"), Address::parse("a@example"));
        assert_eq!(Address::parse("a@EXAMPLE"), Address::parse("a@example"));
    }

    #[test]
    fn literals() {
        for text in ["a@[192.0.2.1]", "a@[IPv6:2001:db8::1]"] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.domain(), None);
        }
    }
}
