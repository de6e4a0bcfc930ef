//! The Author Domain (RFC 9989 §3.2.2).

use mailstead_message::{Fields, address};
use mailstead_names::Domain;

/// The domains of all addresses in all From fields of a header, each once.
///
/// A message should have one From field with one address. One with more is not valid (RFC 5322 §3.6) or at least suspect
/// (RFC 9989 §11.5), and nobody knows which of the addresses its reader will be shown. Addresses without a domain, or
/// with one that cannot exist, are left out.
///
/// ```
/// use mailstead_mailauth::dmarc::author_domains;
///
/// let domains = author_domains(b"From: Jane <jane@Example.com>\r\nTo: x@example.net\r\n\r\n");
/// assert_eq!(domains[0].as_ascii(), "example.com");
/// ```
pub fn author_domains(header: &[u8]) -> Vec<Domain> {
    let mut domains = Vec::new();
    for field in Fields::new(header).filter(|field| field.is("From")) {
        for mailbox in address::mailboxes(&address::list(&field.unfolded())) {
            // A dot at the end is wrong, and no way out (RFC 5321 §2.3.5).
            let domain = mailbox.domain.as_deref().map(|domain| domain.strip_suffix('.').unwrap_or(domain));
            let domain = domain.and_then(|domain| Domain::parse_lenient(domain).ok());
            if let Some(domain) = domain.filter(|domain| !domains.contains(domain)) {
                if domains.len() == MOST_DOMAINS {
                    return domains;
                }
                domains.push(domain);
            }
        }
    }
    domains
}

/// More than anybody evaluates; the rest would be compared for nothing.
const MOST_DOMAINS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_counts() {
        for (header, expected) in [
            ("From: a@example.com\r\n", &["example.com"][..]),
            ("from : \"b@other.example\" <a@EXAMPLE.com>\r\n", &["example.com"]),
            ("From: a@example.com, b@example.com\r\n", &["example.com"]),
            ("From: a@example.com, b@bücher.example\r\n", &["example.com", "xn--bcher-kva.example"]),
            ("From: a@example.com\r\nTo: x@y.example\r\nFrom: b@example.net\r\n", &["example.com", "example.net"]),
            ("From: Team: a@example.com, b@example.net;\r\n", &["example.com", "example.net"]),
            ("From: a@(comment)example.com\r\n", &["example.com"]),
            ("From: a@a_b.example\r\n", &["a_b.example"]),
            ("From: a@example.com.\r\n", &["example.com"]),
            ("From: a@[192.0.2.1]\r\n", &[]),
            ("From: nobody\r\n", &[]),
            ("From:\r\n", &[]),
            ("To: a@example.com\r\n\r\nFrom: a@example.com\r\n", &[]),
        ] {
            let domains = author_domains(header.as_bytes());
            let domains: Vec<&str> = domains.iter().map(Domain::as_ascii).collect();
            assert_eq!(domains, expected, "{header}");
        }
    }
}
