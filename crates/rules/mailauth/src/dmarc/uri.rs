//! Addresses of reports (RFC 9989 §4.6), with the size limit of RFC 7489 §6.3, which is read and has no effect.
//!
//! ```abnf
//! dmarc-uri             = URI      ; commas and exclamation points must be encoded
//! obs-dmarc-uri         = dmarc-uri obs-dmarc-report-size
//! obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]
//! ```

use std::fmt;

use mailstead_names::{Address, Domain};

/// A URI that reports are to be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportUri {
    uri: Box<str>,
    size_limit: Option<u64>,
}

/// Why text is not a URI for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It does not begin with letters and a colon.
    #[error("no URI scheme")]
    Scheme,
    /// A character that a URI has only in its encoded form (RFC 3986 §2), or a bad encoding.
    #[error("illegal character")]
    Character,
    /// A `mailto` without exactly one address.
    #[error("no mail address")]
    Address,
    /// An exclamation point without a size after it.
    #[error("bad size limit")]
    Size,
}

impl ReportUri {
    /// For mail to this address.
    pub fn mailto(address: &Address) -> ReportUri {
        let mut uri = String::from("mailto:");
        for octet in address.to_string().bytes() {
            // What RFC 6068 §2 allows as it is, without the comma and the exclamation point.
            if octet.is_ascii_alphanumeric() || b"-._~@$'*+:[]".contains(&octet) {
                uri.push(char::from(octet));
            } else {
                uri.push_str(&format!("%{octet:02X}"));
            }
        }
        ReportUri { uri: uri.into(), size_limit: None }
    }

    /// Reads one element of `rua` or `ruf`.
    ///
    /// # Errors
    /// When it is not a URI, or a `mailto` without address.
    pub fn parse(text: &str) -> Result<ReportUri, UriError> {
        let (uri, size) = match text.split_once('!') {
            Some((uri, size)) => (uri, Some(size)),
            None => (text, None),
        };
        let (scheme, rest) = uri.split_once(':').ok_or(UriError::Scheme)?;
        let valid = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(valid) {
            return Err(UriError::Scheme);
        }
        if rest.is_empty() || !is_encoded(rest) {
            return Err(UriError::Character);
        }
        let size_limit = size.map(parse_size).transpose()?;
        let parsed = ReportUri { uri: uri.into(), size_limit };
        if scheme.eq_ignore_ascii_case("mailto") && parsed.address().is_none() {
            return Err(UriError::Address);
        }
        Ok(parsed)
    }

    /// The URI, without the size limit.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Most octets of one report, by RFC 7489 §6.3. Reporters ignore it (RFC 9989 §4.8).
    pub fn size_limit(&self) -> Option<u64> {
        self.size_limit
    }

    /// Scheme and the rest.
    fn split(&self) -> (&str, &str) {
        self.uri.split_once(':').unwrap_or_default()
    }

    /// The address of a `mailto` URI (RFC 6068 §2), header fields left out.
    pub fn address(&self) -> Option<Address> {
        let (scheme, rest) = self.split();
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let to = rest.split(['?', '#']).next().unwrap_or_default();
        Address::parse(&decode(to)?).ok()
    }

    /// The host that would receive reports: the "destination host" of RFC 9990 §4. None for an address literal.
    pub fn destination(&self) -> Option<Domain> {
        if let Some(address) = self.address() {
            return address.domain().cloned();
        }
        let authority = self.split().1.strip_prefix("//")?.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        let host = host.split(':').next()?;
        Domain::parse(&decode(host)?).ok()
    }
}

/// As in a record, the size limit included.
impl fmt::Display for ReportUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)?;
        match self.size_limit {
            Some(limit) => write!(f, "!{limit}"),
            None => Ok(()),
        }
    }
}

/// `unreserved`, `reserved` and `pct-encoded` of RFC 3986 §2, without comma and exclamation point.
fn is_encoded(text: &str) -> bool {
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let legal = match octet {
            b'%' => {
                [octets.next(), octets.next()].iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            }
            _ => octet.is_ascii_alphanumeric() || b"-._~:/?#[]@$&'()*+;=".contains(&octet),
        };
        if !legal {
            return false;
        }
    }
    true
}

/// Undoes percent-encoding; nothing for what is not UTF-8 then.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let digits = [octets.next()?, octets.next()?];
            decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            decoded.push(octet);
        }
    }
    String::from_utf8(decoded).ok()
}

/// Units are powers of 2^10 (RFC 7489 §6.3). A number too large for 64 bits is no limit worth the name.
fn parse_size(text: &str) -> Result<u64, UriError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(UriError::Size),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(UriError::Size);
    }
    let number = digits.parse().unwrap_or(u64::MAX);
    Ok(number.saturating_mul(1 << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses() {
        for (text, address, destination) in [
            ("mailto:a@example.com", "a@example.com", Some("example.com")),
            ("MailTo:%22a%2Cb%21%22@example.com?subject=x", "\"a,b!\"@example.com", Some("example.com")),
            ("mailto:j%C3%BCrgen@b%C3%BCcher.example", "jürgen@bücher.example", Some("xn--bcher-kva.example")),
            ("mailto:a@[192.0.2.1]", "a@[192.0.2.1]", None),
        ] {
            let uri = ReportUri::parse(text).unwrap();
            assert_eq!(uri.address(), Some(Address::parse(address).unwrap()), "{text}");
            assert_eq!(uri.destination().as_ref().map(Domain::as_ascii), destination, "{text}");
            // What we write means the same.
            let written = ReportUri::mailto(&Address::parse(address).unwrap());
            assert_eq!(ReportUri::parse(written.as_str()).unwrap().address(), uri.address(), "{written}");
        }
    }

    #[test]
    fn other_schemes() {
        let uri = ReportUri::parse("https://user@reports.example.net:8443/dmarc?x").unwrap();
        assert_eq!(uri.address(), None);
        assert_eq!(uri.destination().unwrap().as_ascii(), "reports.example.net");
        assert_eq!(ReportUri::parse("urn:example:x").unwrap().destination(), None);
    }

    #[test]
    fn sizes() {
        for (text, limit) in [
            ("mailto:a@b.example!10m", 10 << 20),
            ("mailto:a@b.example!3", 3),
            ("mailto:a@b.example!1K", 1 << 10),
            ("mailto:a@b.example!2g", 2 << 30),
            ("mailto:a@b.example!1t", 1 << 40),
            ("mailto:a@b.example!99999999999999999999999t", u64::MAX),
        ] {
            let uri = ReportUri::parse(text).unwrap();
            assert_eq!((uri.size_limit(), uri.as_str()), (Some(limit), "mailto:a@b.example"), "{text}");
            assert_eq!(ReportUri::parse(&uri.to_string()), Ok(uri), "{text}");
        }
    }

    #[test]
    fn refusals_name_the_reason() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("a@example.com", UriError::Scheme),
            (":a@example.com", UriError::Scheme),
            ("1a:b", UriError::Scheme),
            ("mailto:", UriError::Character),
            ("mailto:a b@example.com", UriError::Character),
            ("mailto:a%4@example.com", UriError::Character),
            ("mailto:jürgen@example.com", UriError::Character),
            ("mailto:nobody", UriError::Address),
            ("mailto:a@example.com%2Cb@example.com", UriError::Address),
            ("mailto:a@example.com!", UriError::Size),
            ("mailto:a@example.com!m", UriError::Size),
            ("mailto:a@example.com!1mb", UriError::Size),
            ("mailto:a@example.com!-1", UriError::Size),
        ] {
            assert_eq!(ReportUri::parse(text), Err(error), "{text}");
        }
    }
}
