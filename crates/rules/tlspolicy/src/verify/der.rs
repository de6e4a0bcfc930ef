//! As much of X.509 as it takes to find a certificate's public key, for certificates that a verifier would not read too:
//! DANE-EE asks for nothing else of them.
//!
//! ```text
//! Certificate    ::= SEQUENCE { tbsCertificate TBSCertificate, ... }
//! TBSCertificate ::= SEQUENCE { version [0] OPTIONAL, serialNumber INTEGER, signature SEQUENCE, issuer SEQUENCE,
//!                               validity SEQUENCE, subject SEQUENCE, subjectPublicKeyInfo SEQUENCE, ... }
//! ```

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;

/// The SubjectPublicKeyInfo of a certificate (RFC 5280 §4.1).
pub(super) fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate.content, SEQUENCE)?;
    let mut fields = rest.content;
    if fields.first() == Some(&VERSION) {
        (_, fields) = element(fields, VERSION)?;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, tag)?;
    }
    (rest, _) = element(fields, SEQUENCE)?;
    Some(rest.whole)
}

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The element at the beginning, which must have this tag, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&[found, first], rest) = octets.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Four octets are four gigabytes: more than any certificate has.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, following) = rest.split_at_checked(length)?;
    let whole = octets.get(..octets.len() - following.len())?;
    Some((Element { whole, content }, following))
}
