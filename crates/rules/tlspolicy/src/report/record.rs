//! The TXT record below `_smtp._tls`, which says where a domain wants its reports (RFC 8460 §3).
//!
//! ```abnf
//! tlsrpt-record  = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
//! tlsrpt-version = %s"v=TLSRPTv1"
//! tlsrpt-rua     = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
//! ```
//! In a URI, `!`, `,` and `;` must be percent-encoded.

use std::fmt;

use mailstead_names::Address;

/// Labels below which the record is.
pub const RECORD_LABELS: &str = "_smtp._tls";
/// Most destinations that are read.
const MOST_DESTINATIONS: usize = 20;
/// Most fields that are read.
const MOST_FIELDS: usize = 64;

/// Where reports are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// In the order of the record; at least one. Schemes that RFC 8460 does not know are left out.
    pub destinations: Vec<Destination>,
}

/// Where a report is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// By mail (RFC 8460 §5.3).
    Mailto(Address),
    /// By POST (RFC 8460 §5.4).
    Https(String),
}

/// Why TXT records do not say where reports are to go. All of it counts as no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Several records begin with the version.
    #[error("there are several TLSRPT records; there must be one")]
    Several,
    /// A field is not a name, `=` and a value.
    #[error("a field of the TLSRPT record is malformed")]
    Field,
    /// There is no `rua`.
    #[error("the TLSRPT record has no rua")]
    NoRua,
    /// A destination is neither a mail address nor an https URI.
    #[error("a rua of the TLSRPT record is neither mailto: with an address nor https:")]
    Destination,
    /// There is no destination of a known kind.
    #[error("no rua of the TLSRPT record can be used")]
    NoDestination,
    /// More than 64 fields or 20 destinations.
    #[error("the TLSRPT record is too long")]
    TooMany,
}

impl Record {
    /// The one record among TXT records, each with its strings joined. `None` where there is none.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn find<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Option<Record>, RecordError> {
        let is_ours = |text: &&str| {
            text.strip_prefix("v=TLSRPTv1").is_some_and(|rest| rest.trim_start_matches(is_wsp).starts_with(';'))
        };
        let mut candidates = texts.into_iter().filter(is_ours);
        match (candidates.next(), candidates.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => Record::parse(text).map(Some),
            (Some(_), Some(_)) => Err(RecordError::Several),
        }
    }

    /// The record with this text.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn parse(text: &str) -> Result<Record, RecordError> {
        // The record begins with the version; there may be white space behind it only.
        let (version, fields) = text.split_once(';').unwrap_or((text, ""));
        if version.trim_end_matches(is_wsp) != "v=TLSRPTv1" {
            return Err(RecordError::Field);
        }
        let fields = fields.split(';').map(|field| field.trim_matches(is_wsp));
        let mut rua = None;
        for (index, field) in fields.filter(|field| !field.is_empty()).enumerate() {
            let (name, value) = field.split_once('=').ok_or(RecordError::Field)?;
            if index >= MOST_FIELDS {
                return Err(RecordError::TooMany);
            }
            if name.is_empty() {
                return Err(RecordError::Field);
            }
            if name == "rua" {
                rua = rua.or(Some(value));
            }
        }
        let mut destinations = Vec::new();
        for (index, uri) in rua.ok_or(RecordError::NoRua)?.split(',').map(|uri| uri.trim_matches(is_wsp)).enumerate() {
            if index >= MOST_DESTINATIONS {
                return Err(RecordError::TooMany);
            }
            destinations.extend(Destination::parse(uri)?);
        }
        if destinations.is_empty() {
            return Err(RecordError::NoDestination);
        }
        Ok(Record { destinations })
    }
}

impl Destination {
    /// `None` for other schemes.
    fn parse(uri: &str) -> Result<Option<Destination>, RecordError> {
        let (scheme, rest) = uri.split_once(':').ok_or(RecordError::Destination)?;
        if scheme.eq_ignore_ascii_case("mailto") {
            // Subjects and the like, which RFC 6068 allows, are of no use here.
            let address = rest.split('?').next().unwrap_or_default();
            let address = percent_decoded(address).ok_or(RecordError::Destination)?;
            let address = Address::parse(&address).map_err(|_| RecordError::Destination)?;
            return Ok(Some(Destination::Mailto(address)));
        }
        if scheme.eq_ignore_ascii_case("https") {
            let is_uri = rest.starts_with("//") && rest.len() > 2 && rest.bytes().all(|octet| octet.is_ascii_graphic());
            return if is_uri { Ok(Some(Destination::Https(uri.to_owned()))) } else { Err(RecordError::Destination) };
        }
        Ok(None)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Mailto(address) => write!(f, "mailto:{address}"),
            Destination::Https(uri) => f.write_str(uri),
        }
    }
}

fn is_wsp(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// RFC 3986 §2.1; `None` where it is malformed or no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digit = |octet: Option<u8>| char::from(octet?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            octets.push(high << 4 | low);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, RecordError> {
        Record::parse(text).map(|record| record.destinations.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn records() {
        assert_eq!(shown("v=TLSRPTv1;rua=mailto:reports@example.com").unwrap(), ["mailto:reports@example.com"]);
        let several = "v=TLSRPTv1; x=y; rua=https://r.example.com/v1 , mailto:a%21b@example.com?subject=x;";
        assert_eq!(shown(several).unwrap(), ["https://r.example.com/v1", "mailto:a!b@example.com"]);
        assert_eq!(shown("v=TLSRPTv1; rua=gopher://x,mailto:a@example.com").unwrap(), ["mailto:a@example.com"]);
        for (text, error) in [
            (" v=TLSRPTv1; rua=mailto:a@b.example", RecordError::Field),
            ("v=TLSRPTv2; rua=mailto:a@b.example", RecordError::Field),
            ("v=TLSRPTv1; rua", RecordError::Field),
            ("v=TLSRPTv1; =x", RecordError::Field),
            ("v=TLSRPTv1;", RecordError::NoRua),
            ("v=TLSRPTv1; rua=", RecordError::Destination),
            ("v=TLSRPTv1; rua=mailto:nobody", RecordError::Destination),
            ("v=TLSRPTv1; rua=mailto:%zz@b.example", RecordError::Destination),
            ("v=TLSRPTv1; rua=https:reports", RecordError::Destination),
            ("v=TLSRPTv1; rua=https://", RecordError::Destination),
            ("v=TLSRPTv1; rua=ftp://x", RecordError::NoDestination),
        ] {
            assert_eq!(shown(text), Err(error), "{text}");
        }
        assert_eq!(shown(&format!("v=TLSRPTv1; rua=x:y{}", ",x:y".repeat(20))), Err(RecordError::TooMany));
    }

    #[test]
    fn one_of_several() {
        let good = "v=TLSRPTv1 ; rua=mailto:a@b.example";
        assert_eq!(Record::find(["v=spf1 -all", "v=TLSRPTv10; rua=x"]), Ok(None));
        assert!(Record::find(["v=spf1 -all", good]).unwrap().is_some());
        assert_eq!(Record::find([good, good]), Err(RecordError::Several));
    }

    proptest! {
        #[test]
        fn anything_may_come(text in "(v=TLSRPTv1;)?( ?rua=)?\\PC{0,60}") {
            if let Ok(record) = Record::parse(&text) {
                prop_assert_eq!(Record::find([text.as_str()]), Ok(Some(record)));
            }
        }
    }
}
