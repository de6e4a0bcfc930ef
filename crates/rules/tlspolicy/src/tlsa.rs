//! TLSA records (RFC 6698, RFC 7671) as SMTP uses them (RFC 7672): which can be used, where they are looked for, and what a
//! certificate below a trust anchor may be for.
//!
//! Looking them up is elsewhere, and so is matching certificates.

use std::fmt;
use std::net::IpAddr;

use mailstead_dns::{Answer, Authenticity, Tlsa};
use mailstead_names::{Domain, DomainError};

use crate::facts::{MxRecords, NextHop};

/// Certificate usages (RFC 6698 §2.1.1, RFC 7218).
pub mod usage {
    /// An authority that must be in the chain, which must also be trusted.
    pub const PKIX_TA: u8 = 0;
    /// The server's certificate, whose chain must also be trusted.
    pub const PKIX_EE: u8 = 1;
    /// A trust anchor of the server's own.
    pub const DANE_TA: u8 = 2;
    /// The server's certificate, whatever else is said of it.
    pub const DANE_EE: u8 = 3;
}

/// Selectors (RFC 6698 §2.1.2).
mod selector {
    pub(super) const CERT: u8 = 0;
    pub(super) const SPKI: u8 = 1;
}

/// Matching types (RFC 6698 §2.1.3).
mod matching_type {
    pub(super) const FULL: u8 = 0;
    pub(super) const SHA2_256: u8 = 1;
    pub(super) const SHA2_512: u8 = 2;
}

/// Who asks for the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Mail between servers, which has no certificate authorities in common: usages 2 and 3 only (RFC 7672 §3.1.3).
    Smtp,
    /// Any service, with all four usages.
    General,
}

/// Why a record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The usage is unknown, or not for mail.
    #[error("certificate usage {0} cannot be used here")]
    Usage(u8),
    /// The selector is unknown.
    #[error("selector {0} is unknown")]
    Selector(u8),
    /// The matching type is unknown.
    #[error("matching type {0} is unknown")]
    MatchingType(u8),
    /// The data has not the length that the digest has.
    #[error("the data has {0} octets, which is not the length of its digest")]
    Length(usize),
    /// The data is no certificate and no key.
    #[error("the data is neither a certificate nor a key")]
    Data,
}

/// Whether a record can be used.
///
/// # Errors
/// Why not.
pub fn usable(record: &Tlsa, purpose: Purpose) -> Result<(), Unusable> {
    match (record.usage, purpose) {
        (usage::DANE_TA | usage::DANE_EE, _) | (usage::PKIX_TA | usage::PKIX_EE, Purpose::General) => {}
        (other, _) => return Err(Unusable::Usage(other)),
    }
    if !matches!(record.selector, selector::CERT | selector::SPKI) {
        return Err(Unusable::Selector(record.selector));
    }
    let length = record.data.len();
    match record.matching_type {
        matching_type::FULL if is_der_sequence(&record.data) => Ok(()),
        matching_type::FULL => Err(Unusable::Data),
        matching_type::SHA2_256 if length == 32 => Ok(()),
        matching_type::SHA2_512 if length == 64 => Ok(()),
        matching_type::SHA2_256 | matching_type::SHA2_512 => Err(Unusable::Length(length)),
        other => Err(Unusable::MatchingType(other)),
    }
}

/// The records that are to be tried: those that can be used and, of the digests for one usage and selector, only the
/// strongest (RFC 7671 §9). None where none can be used.
#[must_use]
pub fn to_be_tried(records: &[Tlsa], purpose: Purpose) -> Vec<Tlsa> {
    let usable: Vec<&Tlsa> = records.iter().filter(|record| usable(record, purpose).is_ok()).collect();
    let strongest = |of: &Tlsa| {
        let same = usable.iter().filter(|other| (other.usage, other.selector) == (of.usage, of.selector));
        same.map(|other| other.matching_type).max()
    };
    let tried = |record: &&&Tlsa| {
        record.matching_type == matching_type::FULL || Some(record.matching_type) == strongest(record)
    };
    usable.iter().filter(tried).map(|record| (*record).clone()).collect()
}

/// Whether octets are one whole DER SEQUENCE, as certificates and keys are (X.690 §8.1.3, §10.1).
fn is_der_sequence(data: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = data else { return false };
    let length_octets = usize::from(first & 0x7f);
    match first {
        0..=0x7f => rest.len() == length_octets,
        0x81..=0x84 => {
            let Some((length, content)) = rest.split_at_checked(length_octets) else { return false };
            let length = length.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
            length >= 0x80 && content.len() == length
        }
        _ => false,
    }
}

/// A name below which TLSA records are looked for: the server's, as its certificate and its SNI have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsaBaseDomain(pub Domain);

impl TlsaBaseDomain {
    /// Where the records for a TCP port are (RFC 6698 §3).
    ///
    /// # Errors
    /// When the name would be too long, so that there can be no records.
    pub fn record_name(&self, port: u16) -> Result<Domain, DomainError> {
        self.0.prepend(&format!("_{port}._tcp"))
    }
}

impl fmt::Display for TlsaBaseDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether DANE is used for hosts whose names DNSSEC does not prove (RFC 7672 §2.2.1 leaves it to the sender).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InsecureMx {
    /// It is not: who can forge the MX records can name a host with records of their own.
    #[default]
    NotUsed,
    /// It is.
    Used,
}

/// How the addresses of a host were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChain {
    /// Of the first answer: of the address records or, where the host is an alias, of that alias.
    pub initial: Authenticity,
    /// Where the host is an alias: the name that the addresses stand under, and the weakest status on the way to them.
    pub alias: Option<(Domain, Authenticity)>,
}

impl AddressChain {
    /// How these addresses were found.
    #[must_use]
    pub fn of(answer: &Answer<IpAddr>) -> AddressChain {
        AddressChain {
            initial: answer.chain.first().map_or(answer.record_authenticity, |hop| hop.authenticity),
            alias: answer.chain.last().map(|hop| (hop.to.clone(), answer.authenticity())),
        }
    }
}

/// Where TLSA records of a host are to be looked for, in order (RFC 7672 §2.2.2). The first with secure records is the
/// TLSA base domain; none means that DANE does not apply.
#[must_use]
pub fn tlsa_candidates(
    mx: MxRecords,
    insecure_mx: InsecureMx,
    host: &Domain,
    chain: &AddressChain,
) -> Vec<TlsaBaseDomain> {
    let names_count = mx.authenticity() == Authenticity::Secure || insecure_mx == InsecureMx::Used;
    if !names_count || chain.initial == Authenticity::Insecure {
        return Vec::new();
    }
    let expanded = match &chain.alias {
        Some((name, Authenticity::Secure)) => Some(TlsaBaseDomain(name.clone())),
        // An insecure CNAME: as if the host were no alias.
        Some((_, Authenticity::Insecure)) | None => None,
    };
    expanded.into_iter().chain([TlsaBaseDomain(host.clone())]).collect()
}

/// What a certificate below a DANE-TA anchor may be for, the TLSA base domain first (RFC 7672 §3.2.2). The names that led
/// to the host count only where DNSSEC proves that they did.
#[must_use]
pub fn reference_identifiers(
    next_hop: &NextHop,
    mx: MxRecords,
    host: &mailstead_names::Host,
    base: &TlsaBaseDomain,
) -> Vec<Domain> {
    let mut names = vec![base.0.clone()];
    match (next_hop, mx.authenticity()) {
        (NextHop::Domain { name, expanded }, Authenticity::Secure) => {
            names.push(name.clone());
            names.extend(expanded.clone());
        }
        _ => names.extend(host.domain().cloned()),
    }
    let mut seen = Vec::with_capacity(names.len());
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use Authenticity::{Insecure, Secure};
    use mailstead_names::Host;
    use proptest::prelude::*;

    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    fn record(usage: u8, selector: u8, matching_type: u8, length: usize) -> Tlsa {
        Tlsa { usage, selector, matching_type, data: vec![1; length] }
    }

    #[test]
    fn which_can_be_used() {
        for usage in [0, 1, 2, 3, 4, 255] {
            let found = usable(&record(usage, 1, 1, 32), Purpose::Smtp);
            assert_eq!(found, if matches!(usage, 2 | 3) { Ok(()) } else { Err(Unusable::Usage(usage)) });
            assert_eq!(usable(&record(usage, 1, 1, 32), Purpose::General).is_ok(), usage < 4);
        }
        let smtp = |selector, matching_type, length| usable(&record(3, selector, matching_type, length), Purpose::Smtp);
        assert_eq!((smtp(0, 1, 32), smtp(1, 2, 64)), (Ok(()), Ok(())));
        assert_eq!(smtp(2, 1, 32), Err(Unusable::Selector(2)));
        assert_eq!(smtp(1, 3, 32), Err(Unusable::MatchingType(3)));
        assert_eq!((smtp(1, 1, 31), smtp(1, 2, 32)), (Err(Unusable::Length(31)), Err(Unusable::Length(32))));
        assert_eq!((smtp(1, 0, 0), smtp(1, 0, 32)), (Err(Unusable::Data), Err(Unusable::Data)));
    }

    #[test]
    fn whole_certificates_and_keys() {
        let whole = |data: &[u8]| usable(&Tlsa { data: data.to_vec(), ..record(3, 0, 0, 0) }, Purpose::Smtp).is_ok();
        let long = |length: usize, head: &[u8]| [head, &vec![0; length]].concat();
        assert!(whole(&[0x30, 2, 5, 0]));
        assert!(whole(&long(200, &[0x30, 0x81, 200])) && whole(&long(300, &[0x30, 0x82, 1, 44])));
        for bad in
            [&[0x30][..], &[0x30, 3, 5, 0], &[0x30, 1, 5, 0], &[0x31, 2, 5, 0], &[0x30, 0x80, 0, 0], &[0x30, 0x81]]
        {
            assert!(!whole(bad), "{bad:?}");
        }
        assert!(!whole(&long(100, &[0x30, 0x81, 100])), "a length in more octets than it needs is not DER");
    }

    /// RFC 7671 §9.
    #[test]
    fn the_strongest_digest_and_what_is_full() {
        let full = Tlsa { data: vec![0x30, 0], ..record(3, 1, 0, 0) };
        let published =
            [record(3, 1, 1, 32), record(3, 1, 2, 64), full.clone(), record(2, 0, 1, 32), record(3, 1, 2, 63)];
        assert_eq!(
            to_be_tried(&published, Purpose::Smtp),
            [record(3, 1, 2, 64), full, record(2, 0, 1, 32)],
            "the weaker digest is left out, one of another usage and selector is not"
        );
        assert_eq!(to_be_tried(&[record(3, 1, 1, 32), record(3, 1, 2, 1)], Purpose::Smtp), [record(3, 1, 1, 32)]);
        assert!(to_be_tried(&[record(0, 0, 1, 32), record(3, 9, 1, 32)], Purpose::Smtp).is_empty());
    }

    /// RFC 7672 §2.2.2 and §2.2.3.
    #[test]
    fn where_records_are_looked_for() {
        let host = domain("mx.example.org");
        let names = |mx, insecure_mx, initial, alias: Option<Authenticity>| -> Vec<String> {
            let alias = alias.map(|status| (domain("host.example.net"), status));
            let chain = AddressChain { initial, alias };
            tlsa_candidates(mx, insecure_mx, &host, &chain).iter().map(ToString::to_string).collect()
        };
        for mx in [MxRecords::Explicit, MxRecords::Implicit] {
            for (initial, alias, expected) in [
                (Secure, None, vec!["mx.example.org"]),
                (Insecure, None, vec![]),
                (Secure, Some(Secure), vec!["host.example.net", "mx.example.org"]),
                (Secure, Some(Insecure), vec!["mx.example.org"]),
                (Insecure, Some(Insecure), vec![]),
            ] {
                assert_eq!(names(mx(Secure), InsecureMx::NotUsed, initial, alias), expected, "{initial:?} {alias:?}");
                assert_eq!(names(mx(Insecure), InsecureMx::Used, initial, alias), expected, "{initial:?} {alias:?}");
                assert!(names(mx(Insecure), InsecureMx::NotUsed, initial, alias).is_empty());
            }
        }
        let hop = |to: &str, authenticity| mailstead_dns::Hop {
            from: domain("mx.example.org"),
            to: domain(to),
            kind: mailstead_dns::HopKind::Cname,
            authenticity,
        };
        let mut answer = Answer::found(vec![IpAddr::from([192, 0, 2, 1])], Secure, std::time::Duration::ZERO);
        assert_eq!(AddressChain::of(&answer), AddressChain { initial: Secure, alias: None });
        answer.chain = vec![hop("a.example.net", Secure), hop("b.example.net", Insecure)];
        let alias = Some((domain("b.example.net"), Insecure));
        assert_eq!(AddressChain::of(&answer), AddressChain { initial: Secure, alias });
        let base = TlsaBaseDomain(host);
        assert_eq!(base.record_name(25).unwrap().as_ascii(), "_25._tcp.mx.example.org");
        assert!(TlsaBaseDomain(domain(&[&"a".repeat(61)[..]; 4].join("."))).record_name(25).is_err());
    }

    /// The example of RFC 7672 §3.2.2.
    #[test]
    fn names_below_a_trust_anchor() {
        let next_hop = NextHop::Domain { name: domain("exchange.example.org"), expanded: Some(domain("example.com")) };
        let accepted = |mx, host: &str, base: &str| -> Vec<String> {
            let host = Host::Domain(domain(host));
            let names = reference_identifiers(&next_hop, mx, &host, &TlsaBaseDomain(domain(base)));
            names.iter().map(ToString::to_string).collect()
        };
        for (host, base) in [
            ("mx10.example.com", "mx10.example.com"),
            ("mx15.example.com", "mx15.example.com"),
            ("mx20.example.com", "mxbackup.example.net"),
        ] {
            let secure = accepted(MxRecords::Explicit(Secure), host, base);
            assert_eq!(secure, [base, "exchange.example.org", "example.com"]);
            let insecure = accepted(MxRecords::Explicit(Insecure), host, base);
            assert_eq!(insecure.first().map(String::as_str), Some(base));
            assert!(!insecure.iter().any(|name| name == "example.com"));
        }
    }

    proptest! {
        #[test]
        fn what_is_tried_can_be_used_and_was_there(
            published in prop::collection::vec(
                (0_u8..5, 0_u8..3, 0_u8..4, prop::sample::select(&[0_usize, 2, 32, 64]))
                    .prop_map(|(usage, selector, matching, length)| record(usage, selector, matching, length)),
                0..8,
            ),
        ) {
            let tried = to_be_tried(&published, Purpose::Smtp);
            for record in &tried {
                prop_assert!(published.contains(record));
                prop_assert_eq!(usable(record, Purpose::Smtp), Ok(()));
            }
            // Agility never leaves nothing where there was something.
            prop_assert_eq!(tried.is_empty(), published.iter().all(|record| usable(record, Purpose::Smtp).is_err()));
        }

        #[test]
        fn any_data_may_come(data in prop::collection::vec(any::<u8>(), 0..300), matching_type in 0_u8..4) {
            let _ = usable(&Tlsa { data, ..record(3, 1, matching_type, 0) }, Purpose::Smtp);
        }
    }
}
