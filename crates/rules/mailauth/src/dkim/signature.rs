//! The DKIM-Signature field (RFC 6376 §3.5, RFC 8463 §4.1, RFC 8616 §5).
//!
//! ```abnf
//! sig-v-tag = %x76 [FWS] "=" [FWS] 1*DIGIT
//! sig-a-tag = %x61 [FWS] "=" [FWS] sig-a-tag-k "-" sig-a-tag-h
//! sig-c-tag = %x63 [FWS] "=" [FWS] sig-c-tag-alg ["/" sig-c-tag-alg]
//! sig-d-tag = %x64 [FWS] "=" [FWS] domain-name
//! sig-h-tag = %x68 [FWS] "=" [FWS] hdr-name *( [FWS] ":" [FWS] hdr-name )
//! sig-i-tag = %x69 [FWS] "=" [FWS] [ Local-part ] "@" domain-name
//! sig-l-tag = %x6c [FWS] "=" [FWS] 1*76DIGIT
//! sig-q-tag = %x71 [FWS] "=" [FWS] sig-q-tag-method *([FWS] ":" [FWS] sig-q-tag-method)
//! sig-s-tag = %x73 [FWS] "=" [FWS] selector
//! selector  = sub-domain *( "." sub-domain )
//! ```

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mailstead_names::{Domain, DomainError};

use super::{Canonicalization, Reason};
use crate::crypto::KeyType;
use crate::taglist::{TagList, elements, number, without_space};

/// Fields that are longer are not read. One with all the fields of a message copied into it (`z=`) has some ten kilobytes.
pub(crate) const MOST_OCTETS: usize = 64 * 1024;
/// Octets of a local part in `i=`; generated ones are longer than those of addresses.
const MOST_LOCALPART: usize = 512;

/// Padding is often forgotten.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a signature is made (`a=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Historic: recognised, so that it can be named, and never passing (RFC 8301 §3.1).
    RsaSha1,
    /// RFC 6376 §3.3.2
    RsaSha256,
    /// RFC 8463 §3
    Ed25519Sha256,
}

impl Algorithm {
    const ALL: [Algorithm; 3] = [Algorithm::RsaSha1, Algorithm::RsaSha256, Algorithm::Ed25519Sha256];

    /// The one to sign with.
    pub fn of(key_type: KeyType) -> Algorithm {
        match key_type {
            KeyType::Rsa => Algorithm::RsaSha256,
            KeyType::Ed25519 => Algorithm::Ed25519Sha256,
        }
    }

    /// The name in `a=`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::RsaSha1 => "rsa-sha1",
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// The type of key that it needs.
    pub fn key_type(self) -> KeyType {
        match self {
            Algorithm::RsaSha1 | Algorithm::RsaSha256 => KeyType::Rsa,
            Algorithm::Ed25519Sha256 => KeyType::Ed25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A selector (§3.1): labels in front of `_domainkey`, in their ASCII form and in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector(Box<str>);

impl Selector {
    /// Parses a selector, which may have U-labels (RFC 8616 §5), and underscores, which are met.
    ///
    /// # Errors
    /// When it cannot be part of a domain name.
    pub fn parse(text: &str) -> Result<Selector, DomainError> {
        // A selector of digits alone is one, though not a domain name; in front of something it becomes one.
        const BELOW: &str = "._domainkey";
        let name = Domain::parse_lenient(&format!("{text}{BELOW}"))?;
        name.as_ascii().strip_suffix(BELOW).map(|labels| Selector(labels.into())).ok_or(DomainError::Empty)
    }

    /// The labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The Agent or User Identifier (`i=`). It has the form of an address and need not be one (§3.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Left of the `@`, decoded; may be empty.
    pub localpart: String,
    /// Right of the `@`; the signing domain or below it.
    pub domain: Domain,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.localpart, self.domain)
    }
}

/// A signature field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// `a=`
    pub algorithm: Algorithm,
    /// `b=`
    pub signature: Vec<u8>,
    /// `bh=`
    pub body_hash: Vec<u8>,
    /// `c=`, of the header
    pub header_canonicalization: Canonicalization,
    /// `c=`, of the body
    pub body_canonicalization: Canonicalization,
    /// `d=`, the Signing Domain Identifier
    pub domain: Domain,
    /// `h=`, in lower case
    pub fields: Vec<String>,
    /// `i=`; for the domain where it is left out.
    pub identity: Identity,
    /// `l=`, octets of the canonical body
    pub body_length: Option<u64>,
    /// `s=`
    pub selector: Selector,
    /// `t=`, seconds since 1970
    pub time: Option<u64>,
    /// `x=`, seconds since 1970
    pub expires: Option<u64>,
}

impl Signature {
    /// Reads the value of a DKIM-Signature field; folding may still be in it.
    ///
    /// # Errors
    /// When the field must be ignored (§6.1.1).
    pub fn parse(value: &[u8]) -> Result<Signature, Reason> {
        Signature::from_list(&list(value)?)
    }

    pub(crate) fn from_list(list: &TagList<'_>) -> Result<Signature, Reason> {
        // A number in the grammar, and only this one defined.
        if required(list, "v")? != "1" {
            return Err(Reason::Version);
        }
        let domain = domain(list)?;
        let identity = match list.get("i") {
            Some(value) => identity(value).ok_or(Reason::BadTag("i"))?,
            None => Identity { localpart: String::new(), domain: domain.clone() },
        };
        if !identity.domain.is_subdomain_of(&domain) {
            return Err(Reason::DomainMismatch);
        }
        Signature::from_tags(list, domain, identity)
    }

    /// What DKIM-Signature and ARC-Message-Signature have in common: everything but version and `i=`.
    pub(crate) fn from_tags(list: &TagList<'_>, domain: Domain, identity: Identity) -> Result<Signature, Reason> {
        let algorithm = algorithm(list)?;
        let signature = octets(list, "b")?;
        let body_hash = octets(list, "bh")?;
        if body_hash.len() != 32 && algorithm != Algorithm::RsaSha1 {
            return Err(Reason::BadTag("bh"));
        }
        let fields = field_names(required(list, "h")?)?;
        if !fields.iter().any(|name| name == "from") {
            return Err(Reason::FromNotSigned);
        }
        let (header_canonicalization, body_canonicalization) = match list.get("c") {
            Some(value) => canonicalizations(value)?,
            None => (Canonicalization::Simple, Canonicalization::Simple),
        };
        let body_length = match list.get("l") {
            Some(value) if value.len() > 76 => return Err(Reason::BadTag("l")),
            Some(value) => Some(number(value).ok_or(Reason::BadTag("l"))?),
            None => None,
        };
        // Unknown methods are ignored while a known one is there.
        if list.get("q").is_some_and(|value| elements(value).all(|method| method != "dns/txt")) {
            return Err(Reason::UnknownQueryMethod);
        }
        let time = optional_number(list, "t")?;
        let expires = optional_number(list, "x")?;
        // §3.5: x= must be greater than t=.
        if let (Some(time), Some(expires)) = (time, expires)
            && expires <= time
        {
            return Err(Reason::BadTag("x"));
        }
        Ok(Signature {
            algorithm,
            signature,
            body_hash,
            header_canonicalization,
            body_canonicalization,
            domain,
            fields,
            identity,
            body_length,
            selector: selector(list)?,
            time,
            expires,
        })
    }
}

/// The tag-list of a signature field.
pub(crate) fn list(value: &[u8]) -> Result<TagList<'_>, Reason> {
    if value.len() > MOST_OCTETS {
        return Err(Reason::FieldTooLong);
    }
    TagList::parse(value).map_err(Reason::TagList)
}

fn required<'a>(list: &TagList<'a>, tag: &'static str) -> Result<&'a str, Reason> {
    list.get(tag).ok_or(Reason::MissingTag(tag))
}

/// `a=`
pub(crate) fn algorithm(list: &TagList<'_>) -> Result<Algorithm, Reason> {
    let name = required(list, "a")?;
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(Reason::UnknownAlgorithm)
}

/// `d=`
pub(crate) fn domain(list: &TagList<'_>) -> Result<Domain, Reason> {
    Domain::parse(required(list, "d")?).map_err(|_| Reason::BadTag("d"))
}

/// `s=`
pub(crate) fn selector(list: &TagList<'_>) -> Result<Selector, Reason> {
    Selector::parse(required(list, "s")?).map_err(|_| Reason::BadTag("s"))
}

/// A value in base64, which must not be empty.
pub(crate) fn octets(list: &TagList<'_>, tag: &'static str) -> Result<Vec<u8>, Reason> {
    let text = without_space(required(list, tag)?);
    let octets = BASE64.decode(text.as_bytes()).map_err(|_| Reason::BadTag(tag))?;
    if octets.is_empty() { Err(Reason::BadTag(tag)) } else { Ok(octets) }
}

pub(crate) fn optional_number(list: &TagList<'_>, tag: &'static str) -> Result<Option<u64>, Reason> {
    list.get(tag).map(|value| number(value).ok_or(Reason::BadTag(tag))).transpose()
}

fn field_names(value: &str) -> Result<Vec<String>, Reason> {
    // RFC 5322 §3.6.8
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
    let names: Vec<String> = elements(value).map(str::to_ascii_lowercase).collect();
    if names.iter().all(|name| is_name(name)) { Ok(names) } else { Err(Reason::BadTag("h")) }
}

fn canonicalizations(value: &str) -> Result<(Canonicalization, Canonicalization), Reason> {
    let parse = |name| Canonicalization::parse(name).ok_or(Reason::UnknownCanonicalization);
    // §3.5: if only one is named, it is that of the header, and the body's is simple.
    match value.split_once('/') {
        Some((header, body)) => Ok((parse(header)?, parse(body)?)),
        None => Ok((parse(value)?, Canonicalization::Simple)),
    }
}

fn identity(value: &str) -> Option<Identity> {
    let decoded = String::from_utf8(unquote(&without_space(value))).ok()?;
    let (localpart, domain) = decoded.rsplit_once('@')?;
    let domain = Domain::parse(domain).ok()?;
    let is_sane = localpart.len() <= MOST_LOCALPART && !localpart.chars().any(char::is_control);
    is_sane.then(|| Identity { localpart: localpart.to_owned(), domain })
}

/// Decodes qp-section; and dkim-quoted-printable (§2.11) where white space, which means nothing in it, is taken out before.
/// An `=` without two digits after it stands for itself, as many forget to encode it.
pub(super) fn unquote(value: &str) -> Vec<u8> {
    let hex = |octet: Option<&u8>| octet.and_then(|octet| char::from(*octet).to_digit(16));
    let octets: Vec<u8> = value.bytes().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        match (octet, hex(octets.get(at + 1)), hex(octets.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(octet);
                at += 1;
            }
        }
    }
    decoded
}

/// Encodes as dkim-quoted-printable.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for octet in text.bytes() {
        // dkim-safe-char, and without what is special in z=.
        if octet.is_ascii_graphic() && !matches!(octet, b';' | b'=' | b'|') {
            quoted.push(char::from(octet));
        } else {
            quoted.push_str(&format!("={octet:02X}"));
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// §3.5, the example at its end, with a hash of the length of SHA-256.
    const EXAMPLE: &str = " v=1; a=rsa-sha256; d=example.net; s=brisbane;\r\n   c=simple; q=dns/txt; i=@eng.example.net;\r\n   t=1117574938; x=1118006938;\r\n   h=from:to:subject:date;\r\n   z=From:foo@eng.example.net|To:joe@example.com|\r\n    Subject:demo=20run|Date:July=205,=202005=203:44:08=20PM=20-0700;\r\n   bh=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=;\r\n   b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR";

    fn with(tag: &str, value: Option<&str>) -> Result<Signature, Reason> {
        let list = TagList::parse(EXAMPLE.as_bytes()).unwrap();
        let mut tags: Vec<(&str, &str)> = list.tags().iter().map(|tag| (tag.name, tag.value)).collect();
        tags.retain(|(name, _)| *name != tag);
        tags.extend(value.map(|value| (tag, value)));
        let text: String = tags.iter().map(|(name, value)| format!("{name}={value};")).collect();
        Signature::parse(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc() {
        let signature = Signature::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(signature.algorithm, Algorithm::RsaSha256);
        assert_eq!((signature.domain.as_ascii(), signature.selector.as_str()), ("example.net", "brisbane"));
        assert_eq!(signature.identity.to_string(), "@eng.example.net");
        assert_eq!(signature.fields, ["from", "to", "subject", "date"]);
        assert_eq!((signature.time, signature.expires), (Some(1_117_574_938), Some(1_118_006_938)));
        assert_eq!((signature.signature.len(), signature.body_hash.len()), (48, 32));
        assert_eq!(signature.body_length, None);
        assert_eq!(
            (signature.header_canonicalization, signature.body_canonicalization),
            (Canonicalization::Simple, Canonicalization::Simple)
        );
    }

    #[test]
    fn required_tags() {
        for tag in ["v", "a", "b", "bh", "d", "h", "s"] {
            assert_eq!(with(tag, None), Err(Reason::MissingTag(tag)), "{tag}");
        }
        for tag in ["c", "i", "q", "t", "x", "z"] {
            assert!(with(tag, None).is_ok(), "{tag}");
        }
        assert_eq!(with("i", None).unwrap().identity.to_string(), "@example.net");
    }

    #[test]
    fn values_that_are_not_understood_say_why() {
        for (tag, value, reason) in [
            ("v", "2", Reason::Version),
            ("v", "1.0", Reason::Version),
            ("v", "01", Reason::Version),
            ("v", "", Reason::Version),
            ("a", "RSA-SHA256", Reason::UnknownAlgorithm),
            ("a", "rsa-sha512", Reason::UnknownAlgorithm),
            ("c", "relaxed/nowsp", Reason::UnknownCanonicalization),
            ("c", "", Reason::UnknownCanonicalization),
            ("c", "simple/simple/simple", Reason::UnknownCanonicalization),
            ("q", "dns/spf", Reason::UnknownQueryMethod),
            ("q", "", Reason::UnknownQueryMethod),
            ("b", "", Reason::BadTag("b")),
            ("b", "!", Reason::BadTag("b")),
            ("bh", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", Reason::BadTag("bh")),
            ("d", "", Reason::BadTag("d")),
            ("d", "example.net.", Reason::BadTag("d")),
            ("d", "192.0.2.1", Reason::BadTag("d")),
            ("s", "", Reason::BadTag("s")),
            ("s", "a..b", Reason::BadTag("s")),
            ("s", "a b", Reason::BadTag("s")),
            ("h", "", Reason::BadTag("h")),
            ("h", "from:", Reason::BadTag("h")),
            ("h", "from:a b", Reason::BadTag("h")),
            ("h", "from:ä", Reason::BadTag("h")),
            ("h", "to:subject", Reason::FromNotSigned),
            ("i", "eng.example.net", Reason::BadTag("i")),
            ("i", "@", Reason::BadTag("i")),
            ("i", "a=0Ab@example.net", Reason::BadTag("i")),
            ("i", "@example.org", Reason::DomainMismatch),
            ("i", "@notexample.net", Reason::DomainMismatch),
            ("l", "-1", Reason::BadTag("l")),
            ("t", "soon", Reason::BadTag("t")),
            ("x", "", Reason::BadTag("x")),
            ("x", "1117574938", Reason::BadTag("x")),
        ] {
            assert_eq!(with(tag, Some(value)), Err(reason), "{tag}={value}");
        }
        assert_eq!(with("l", Some(&"9".repeat(77))), Err(Reason::BadTag("l")));
        assert_eq!(with("z", Some(&"x".repeat(MOST_OCTETS))), Err(Reason::FieldTooLong));
    }

    #[test]
    fn values_that_are_understood() {
        assert_eq!(with("h", Some("FROM : To:\r\n X-(1)")).unwrap().fields, ["from", "to", "x-(1)"]);
        assert_eq!(with("q", Some("x/y : dns/txt")).unwrap().selector.as_str(), "brisbane");
        assert_eq!(with("s", Some("20120113")).unwrap().selector.as_str(), "20120113");
        assert_eq!(with("s", Some("A_b.c")).unwrap().selector.as_str(), "a_b.c");
        let both = with("c", Some("relaxed/relaxed")).unwrap();
        assert_eq!(both.body_canonicalization, Canonicalization::Relaxed);
        let header = with("c", Some("relaxed")).unwrap();
        assert_eq!(header.header_canonicalization, Canonicalization::Relaxed);
        assert_eq!(header.body_canonicalization, Canonicalization::Simple);
        assert_eq!(with("l", Some("0")).unwrap().body_length, Some(0));
        assert_eq!(with("l", Some(&"9".repeat(76))).unwrap().body_length, Some(u64::MAX));
        assert_eq!(with("a", Some("rsa-sha1")).unwrap().algorithm, Algorithm::RsaSha1);
        let identity = with("i", Some("a=3Db=20c=b@Eng.example.net")).unwrap().identity;
        assert_eq!(
            identity,
            Identity { localpart: "a=b c=b".into(), domain: Domain::parse("eng.example.net").unwrap() }
        );
    }

    #[test]
    fn internationalised_names() {
        // RFC 8616 §5: U-labels and A-labels are both valid.
        let signature = with("d", Some("bücher.example"));
        assert_eq!(signature, Err(Reason::DomainMismatch));
        let text = EXAMPLE
            .replace("i=@eng.example.net", "i=jürgen@bücher.example")
            .replace("d=example.net", "d=xn--bcher-kva.example");
        let signature = Signature::parse(text.replace("s=brisbane", "s=schlüssel").as_bytes()).unwrap();
        assert_eq!(signature.domain.as_ascii(), "xn--bcher-kva.example");
        assert_eq!(signature.identity.localpart, "jürgen");
        assert_eq!(signature.selector.as_str(), "xn--schlssel-95a");
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(text in "(v=1;)?([abcdhilqstxvz]{1,2}=[ -~äß\r\n]{0,40};){0,14}") {
            let _ = Signature::parse(text.as_bytes());
        }

        #[test]
        fn quoting_is_undone(text in "\\PC{0,40}") {
            let quoted = quote(&text);
            prop_assert!(quoted.is_ascii() && !quoted.contains(' '));
            prop_assert_eq!(String::from_utf8(unquote(&quoted)).unwrap(), text);
        }
    }
}
